//! Clients that are slow, silent, hostile or many: the daemon goes on, and does not grow.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Command;

use agent_presence::io::clock;
use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::control::{ask, connect, hear, request, say, socket};
use crate::support::home::Home;
use crate::support::process::Process;

fn started() -> (Home, Process) {
    let home = Home::new();
    let daemon = home.start("run");
    answers(&home);
    (home, daemon)
}

#[track_caller]
fn answers(home: &Home) {
    home.wait_for_status("an answer", |status| status["daemon"]["state"] == "running");
}

/// Resident memory in kilobytes; nothing where there is no /proc to tell.
fn memory(daemon: &Process) -> u64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())) else { return 0 };
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The same bytes in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn noise_is_answered_or_ignored() {
    let (home, daemon) = started();
    for seed in 0..300 {
        let mut stream = UnixStream::connect(socket(&home)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = usize::try_from(seed % 50 * 37).unwrap();
        let _ = stream.write_all(&noise(seed, length));
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        if !answer.is_empty() {
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["ok"], false);
        }
    }
    answers(&home);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_line_without_an_end_is_cut_off() {
    let (home, daemon) = started();
    let before = memory(&daemon);
    for _ in 0..50 {
        let mut stream = connect(&home);
        // It is turned away before it has said all that.
        let _ = stream.get_mut().write_all(&vec![b'x'; 4 << 20]);
        if let Some(answer) = hear(&mut stream) {
            assert_eq!(answer["error"]["code"], "too_long");
        }
    }
    let grown = memory(&daemon).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} kB more after 200 MB of nonsense");
    answers(&home);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn silent_clients_make_room_for_others() {
    let (home, daemon) = started();
    let silent: Vec<_> = (0..200).map(|_| connect(&home)).collect();
    // Those who say nothing make room in time.
    answers(&home);
    let mut asking: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect(&home);
            // Who is turned away at once has its answer before it asks.
            let _ = writeln!(stream.get_mut(), "{}", request("status", Value::Null));
            stream
        })
        .collect();
    for stream in &mut asking {
        let answer = hear(stream).unwrap();
        assert!(answer["ok"] == true || answer["error"]["code"] == "busy", "{answer}");
    }
    drop((silent, asking));
    answers(&home);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_client_that_closes_half_or_all_of_its_connection_harms_no_other() {
    let (home, daemon) = started();
    for _ in 0..50 {
        drop(connect(&home));
        let mut stream = connect(&home);
        say(&mut stream, &request("status", Value::Null));
        drop(stream);
        let mut half = connect(&home);
        half.get_mut().write_all(request("status", Value::Null).as_bytes()).unwrap();
        half.get_mut().shutdown(Shutdown::Write).unwrap();
        assert_eq!(hear(&mut half).unwrap()["ok"], true, "the end of the stream ends the line as well");
    }
    answers(&home);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_watcher_that_does_not_read_is_dropped() {
    let (home, daemon) = started();
    let mut session = home.session();
    session.turn().tokens(100);
    let mut watcher = connect(&home);
    say(&mut watcher, &request("subscribe", Value::Null));
    assert_eq!(hear(&mut watcher).unwrap()["ok"], true);
    let before = memory(&daemon);
    let start = clock::now().mono;
    while !daemon.log().contains("dropped a subscriber that does not keep up") {
        assert!(clock::now().mono < start + PATIENCE, "{}", daemon.log());
        for _ in 0..200 {
            session.tokens(10);
        }
        answers(&home);
    }
    let grown = memory(&daemon).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} kB more");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_daemon_without_file_descriptors_comes_back() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let command = home.command("run");
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let daemon = Process::start(limited.env("PATH", "/usr/bin:/bin"));
    answers(&home);
    let many: Vec<_> = (0..60).map(|_| connect(&home)).collect();
    daemon.wait_for_log("could not take a control connection");
    // A file that cannot be opened now tells nothing, until it is looked at once more.
    session.tokens(500);
    daemon.wait_for_log("could not read a session");
    drop(many);
    home.wait_for_status("the figures", |status| status["sessions"][0]["tokens"]["total"] == 5_000);
    let issues = |status: &Value| status["config"]["issues"].to_string();
    home.wait_for_status("the end of it", |status| !issues(status).contains("could not read a session"));
    assert_eq!(ask(&home, &request("stop", Value::Null))["ok"], true);
    assert_eq!(daemon.wait_for_end().code, Some(0));
}
