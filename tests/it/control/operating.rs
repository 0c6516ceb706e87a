//! `stop`, `pause` and `resume`, as a person or a script uses them.

use serde_json::Value;

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

const FOR_EVER: &str = "9999-12-01T00:00:00Z";

fn without_times(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn without_a_daemon_they_say_so() {
    let home = Home::new();
    for command in ["stop", "pause", "pause --for 2h", "resume"] {
        let ended = home.run(command);
        assert_eq!(ended.code, Some(3), "{command}: {ended:?}");
        let what = command.split(' ').next().unwrap();
        let said = format!(
            "error: could not {what} the daemon: none is running\nhint: start one with `agent-presence run`\n"
        );
        assert_eq!(ended.err, said);
    }
    assert!(!home.state().exists(), "asking leaves nothing behind");
    assert_eq!(home.run("pause --for soon").code, Some(2));
}

#[test]
fn stop_clears_the_card_and_ends_the_daemon() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for_presence("the card", |_| true);
    assert_eq!(home.run("stop").code, Some(0));
    discord.seen(|seen| assert_eq!(seen.activities.last(), Some(&None), "cleared before the end"));
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(0));
    assert_eq!(home.run("stop").code, Some(3), "it has ended when `stop` returns");
}

#[test]
fn a_pause_clears_the_card_and_goes_on_watching() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for_presence("the card", |_| true);

    assert_eq!(home.output("pause"), "paused until `agent-presence resume`\n");
    discord.wait_for_no_presence();
    session.tokens(500);
    let status =
        home.wait_for_status("the new tokens", |status| status["sessions"][0]["tokens"]["total"] == 5_000);
    assert_eq!(status["daemon"]["state"], "running");
    assert_eq!(status["daemon"]["paused_until"], FOR_EVER);
    assert_eq!(status["card"], Value::Null);
    assert!(home.output("status").contains("paused until `agent-presence resume`\n\nno card: paused\n"));

    assert_eq!(home.run("resume").code, Some(0));
    discord.wait_for_presence("the card with the new tokens", |card| {
        card["state"].as_str().unwrap().ends_with("5K tokens")
    });
    assert_eq!(home.status()["daemon"]["paused_until"], Value::Null);
    assert_eq!(home.run("resume").code, Some(0), "once more does no harm");
    assert_eq!(discord.connections(), 1, "a pause keeps the connection");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_pause_survives_restarts_and_is_over_in_time() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    let first = home.start("run");
    discord.wait_for_presence("the card", |_| true);
    let said = home.output("pause --for 2h");
    assert_eq!(without_times(&said), "paused until 0000-00-00 00:00:00\n");
    let until = home.status()["daemon"]["paused_until"].clone();
    first.kill();
    assert_eq!(home.status()["daemon"]["paused_until"], until, "also told without a daemon");

    let second = home.start("run");
    discord.wait_for_ready(2);
    let status = home.wait_for_status("the session", |status| !status["sessions"][0].is_null());
    assert_eq!((&status["daemon"]["paused_until"], &status["card"]), (&until, &Value::Null));
    discord.seen(|seen| assert!(seen.presences.is_empty()));

    home.run("pause --for 1s");
    discord.wait_for_presence("the card after the pause", |_| true);
    assert_eq!(home.status()["daemon"]["paused_until"], Value::Null);
    assert!(!home.state().join("pause.json").exists());
    assert_eq!(second.terminate().code, Some(0));
}

#[test]
fn a_garbled_pause_is_ignored_with_a_warning() {
    let home = Home::new();
    std::fs::create_dir_all(home.state()).unwrap();
    std::fs::write(home.state().join("pause.json"), "{\"paused_until\": tomorrow").unwrap();
    let daemon = home.start("run");
    daemon.wait_for_log("could not read");
    let status = home.wait_for_status("an answer", |status| status["daemon"]["state"] == "running");
    assert_eq!(status["daemon"]["paused_until"], Value::Null);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_daemon_that_hangs_is_called_unresponsive() {
    use rustix::process::Signal;

    let home = Home::new();
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    home.wait_for_status("an answer", |status| status["daemon"]["state"] == "running");
    daemon.signal(Signal::STOP);
    let status = home.status();
    assert_eq!(status["daemon"]["state"], "unresponsive");
    assert_eq!(status["daemon"]["pid"], daemon.pid());
    assert_eq!(status["sessions"][0]["tokens"]["total"], 4_500, "the files are read instead");
    let stop = home.run("stop");
    assert_eq!(stop.code, Some(1));
    let pid = daemon.pid();
    assert_eq!(
        stop.err,
        format!(
            "error: could not stop the daemon: it does not answer (process {pid})\nhint: `agent-presence run` takes over from a daemon that hangs\n"
        )
    );
    for command in ["pause", "resume"] {
        assert_eq!(home.run(command).code, Some(1), "{command}");
    }
    daemon.signal(Signal::CONT);
    home.wait_for_status("an answer", |status| status["daemon"]["state"] == "running");
    let status = home.status();
    assert_eq!(status["daemon"]["pid"], daemon.pid(), "what was given up is not done later");
    assert_eq!(status["daemon"]["paused_until"], Value::Null);
    let ended = daemon.terminate();
    assert!(ended.code == Some(0) && !ended.err.contains("asked to stop"), "{ended:?}");
}

/// Set for the child process of [`an_instance_without_a_socket_is_stopped_by_its_record`]: the folder whose lock it takes.
#[cfg(unix)]
const MUTE: &str = "AGENT_PRESENCE_TEST_MUTE";

#[cfg(unix)]
#[test]
fn an_instance_without_a_socket_is_stopped_by_its_record() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use agent_presence::io::instance::Instance;
    use agent_presence::io::paths::ensure_state_dir;

    use crate::support::control::{Held, Stranger};

    if let Some(state) = std::env::var_os(MUTE) {
        let _held = Instance::acquire(&ensure_state_dir(state.as_ref()).unwrap()).unwrap();
        println!("\nmute");
        loop {
            std::thread::park();
        }
    }
    let home = Home::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "control::operating::an_instance_without_a_socket_is_stopped_by_its_record",
            "--nocapture",
        ])
        .env(MUTE, home.state())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "mute"));
    assert_eq!(home.run("pause").code, Some(1), "there is nothing but to end it");
    assert_eq!(home.run("stop").code, Some(0));
    let ended = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(15), "{ended}");

    // A record of another process than the lock's holder ends no process.
    let home = Home::new();
    let mut stranger = Stranger::new();
    let mut record = stranger.record();
    record["start_time"] = serde_json::json!(1);
    let _held = Held::new(&home, Some(&record.to_string()));
    let stop = home.run("stop");
    assert_eq!(stop.code, Some(1), "{stop:?}");
    assert!(
        stop.err.contains("was left alone: that process id is used by another process now"),
        "{}",
        stop.err
    );
    assert!(stranger.is_alive());
}
