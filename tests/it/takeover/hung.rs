//! A prior instance that does not answer is ended; any other process lives.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent_presence::io::instance::Instance;
use agent_presence::io::paths::ensure_state_dir;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::control::{Held, Scripted, Stranger, socket};
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

/// Set for the child process of [`an_instance_that_ignores_sigterm_is_killed`]: the folder whose lock it takes.
const DEAF: &str = "AGENT_PRESENCE_TEST_DEAF";

#[test]
fn a_stopped_instance_is_ended() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    let first = home.start("run");
    discord.wait_for_presence("the first card", |_| true);
    first.signal(Signal::STOP);
    let second = home.start("run --no-takeover");
    second.wait_for_log(&format!("took over from={}", first.pid()));
    let ended = first.wait_for_end();
    assert!(!ended.err.contains("handing over"), "{}", ended.err);
    discord.wait_for("the second card", |seen| seen.presences.get(&1).cloned());
    discord.wait_for_end(1);
    assert_eq!(home.status()["daemon"]["pid"], second.pid());
    assert_eq!(second.terminate().code, Some(0));
}

#[test]
fn a_dry_run_leaves_even_a_hung_instance_alone() {
    let home = Home::new();
    let first = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == first.pid());
    first.signal(Signal::STOP);
    assert_eq!(home.run("run --dry-run").code, Some(4));
    first.signal(Signal::CONT);
    assert_eq!(first.terminate().code, Some(0));
}

/// Killed when the test ends, however it ends.
struct Deaf(Child);

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It has the lock and a true record, takes connections, says nothing and does not mind SIGTERM.
fn be_deaf(state: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let _ignored = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let _held = Instance::acquire(&ensure_state_dir(state).unwrap()).unwrap();
    let _listener = UnixListener::bind(state.join("control.sock")).unwrap();
    println!("\ndeaf");
    loop {
        std::thread::park();
    }
}

#[test]
fn an_instance_that_ignores_sigterm_is_killed() {
    if let Some(state) = std::env::var_os(DEAF) {
        be_deaf(Path::new(&state));
    }
    let home = Home::new();
    std::fs::create_dir_all(home.state()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "takeover::hung::an_instance_that_ignores_sigterm_is_killed", "--nocapture"])
        .env(DEAF, home.state())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut deaf = Deaf(child);
    let mut lines = BufReader::new(deaf.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "deaf"));

    let daemon = home.start("run");
    daemon.wait_for_log("took over");
    let ended = deaf.0.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9), "{ended}");
    home.wait_for_status("the new one", |status| status["daemon"]["pid"] == daemon.pid());
    assert_eq!(daemon.terminate().code, Some(0));
}

/// The lock is held, no process answers, and the record names a process that must live.
#[track_caller]
fn survives(change: impl FnOnce(&mut Value), why: &str) {
    let home = Home::new();
    let mut stranger = Stranger::new();
    let mut record = stranger.record();
    change(&mut record);
    let _held = Held::new(&home, Some(&record.to_string()));
    let _silent = Scripted::listen(&socket(&home), None, |_| ());
    let ended = home.run("run");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let expected = format!("process {} was left alone: {why}", record["pid"]);
    assert!(ended.err.contains(&expected), "{}", ended.err);
    assert!(stranger.is_alive());
}

#[test]
fn a_recycled_process_id_is_not_signalled() {
    survives(
        |record| record["start_time"] = json!(record["start_time"].as_u64().unwrap() - 1),
        "that process id is used by another process now",
    );
}

#[test]
fn a_foreign_program_is_not_signalled() {
    let foreign = |record: &mut Value| {
        record["exe"] = json!(env!("CARGO_BIN_EXE_agent-presence"));
        record["exe_file"] = json!([1, 1]);
    };
    survives(foreign, "it runs another program");
}

#[test]
fn a_record_of_an_earlier_boot_is_not_acted_upon() {
    survives(|record| record["boot_id"] = json!("an earlier one"), "the record is of another boot");
}

#[test]
fn another_users_process_is_not_signalled() {
    survives(
        |record| record["uid"] = json!(record["uid"].as_u64().unwrap() + 1),
        "it belongs to another user",
    );
}

#[test]
fn an_incomplete_record_is_not_acted_upon() {
    survives(|record| record["start_time"] = Value::Null, "its start time is not known on this system");
}

#[test]
fn a_dead_process_under_a_lock_that_is_kept_is_reported() {
    let home = Home::new();
    let record = Stranger::new().record();
    let _held = Held::new(&home, Some(&record.to_string()));
    let ended = home.run("run");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("was left alone: there is no such process any more"), "{}", ended.err);
}

#[test]
fn a_lock_without_a_readable_record_is_reported() {
    for record in [None, Some("{\"pid\": 1, \"start"), Some("\u{0}\u{0}\u{0}"), Some("{\"pid\": \"four\"}")] {
        let home = Home::new();
        let _held = Held::new(&home, record);
        let _silent = Scripted::listen(&socket(&home), None, |_| ());
        let ended = home.run("run");
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.err.contains("its record is missing\nhint: `fuser "), "{}", ended.err);
    }
}

#[test]
fn something_that_answers_nonsense_is_not_ended() {
    let home = Home::new();
    let mut stranger = Stranger::new();
    let _held = Held::new(&home, Some(&stranger.record().to_string()));
    let _scripted = Scripted::listen(&socket(&home), Some(json!("what?")), |_| ());
    let ended = home.run("run");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("another instance is running"), "{}", ended.err);
    assert!(stranger.is_alive());
}
