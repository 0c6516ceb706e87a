//! How sessions end in `watch`, and how it ends itself.

#[cfg(unix)]
use std::io::{BufRead, BufReader};
#[cfg(unix)]
use std::process::Stdio;
use std::time::Duration;

use agent_presence::core::time::earlier;
use agent_presence::io::clock;
use serde_json::json;

use crate::support::home::Home;

#[test]
fn a_session_without_numbers_says_so_once_at_its_end() {
    let home = Home::new();
    let mut session = home.session();
    session.turn();
    let daemon = home.start("run");
    home.wait_for_status("the session", |status| {
        status["daemon"]["pid"] == daemon.pid() && !status["sessions"][0].is_null()
    });
    let watch = home.start("watch --bare");
    let mut other = home.session();
    other.turn().tokens(100);
    watch.wait_for_output("total=100");
    // Windows keeps a file for as long as its writer has it open.
    let [first, second] = [session, other].map(|session| session.path.clone());
    std::fs::remove_file(first).unwrap();
    watch.wait_for_output("Token usage: unknown\n");
    std::fs::remove_file(second).unwrap();
    watch.wait_for_output("Token usage: total=100 input=90 (+ 10,000 cached) output=10\n");
    assert_eq!(watch.output().matches("unknown").count(), 1, "{}", watch.output());
    drop(daemon);
}

/// The session's last line is almost as old as idle sessions are.
#[test]
fn an_idle_session_has_ended() {
    let mut home = Home::new();
    home.settings("[card]\nidle_after = \"1m\"\n[discord]\nclients = []\n");
    home.unset("AGENT_PRESENCE_APPLICATION_ID");
    let last = earlier(clock::now().wall, Duration::from_secs(55));
    let folder = home.codex().join(last.strftime("sessions/%Y/%m/%d").to_string());
    std::fs::create_dir_all(&folder).unwrap();
    let id = "0199c0de-0000-7000-8000-000000000001";
    let meta = json!({"id": id, "timestamp": last, "cwd": "/app", "source": "cli", "cli_version": "0.160.0"});
    let meta = json!({"timestamp": last, "type": "session_meta", "payload": meta});
    let file = folder.join(format!("rollout-{}-{id}.jsonl", last.strftime("%Y-%m-%dT%H-%M-%S")));
    std::fs::write(file, format!("{meta}\n")).unwrap();
    let watch = home.start("watch");
    watch.wait_for_output("codex 00000001 Token usage: unknown\n");
    assert_eq!(watch.output().lines().count(), 1, "{}", watch.output());
}

/// Nothing happens here after the reader has gone, so no write can tell.
#[cfg(unix)]
#[test]
fn it_ends_with_its_reader_and_does_not_wait_for_the_next_event() {
    for with_daemon in [true, false] {
        let home = Home::new();
        home.session().turn().tokens(100);
        let _daemon = with_daemon.then(|| home.start("run"));
        let mut command = home.command("watch");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.contains("total=100"), "{line}");
        drop(out);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(!String::from_utf8(ended.stderr).unwrap().contains("error"));
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_as_it_ends_any_program() {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    let home = Home::new();
    home.session().turn().tokens(100);
    let mut command = home.command("watch");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    // Not SIGINT: a shell makes processes in its background ignore it, and the tests may be one.
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
}
