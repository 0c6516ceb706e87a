//! How the daemon ends.

#[cfg(unix)]
use crate::support::fake_discord::{CLOSE, FRAME};
use crate::support::fake_discord::{FakeDiscord, Rules};
use crate::support::home::Home;

#[cfg(unix)]
#[test]
fn every_polite_signal_clears_the_card_and_ends_with_success() {
    use rustix::process::Signal;

    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let home = Home::new();
        let discord = FakeDiscord::in_folder(&home.path("run"));
        home.session().turn().tokens(4_500);
        let daemon = home.start("run");
        assert!(discord.activity(1).is_some());
        daemon.signal(signal);
        let ended = daemon.wait_for_end();
        assert_eq!(ended.code, Some(0), "{signal:?}: {ended:?}");
        assert_eq!(discord.activity(2), None);
        discord.wait_for_end(1);
        let frames =
            discord.seen(|seen| seen.frames.iter().map(|frame| frame.opcode).skip(1).collect::<Vec<_>>());
        assert_eq!(frames, [FRAME, FRAME, CLOSE], "{signal:?}");
        assert_eq!(home.status()["daemon"]["state"], "not_running");
    }
}

#[cfg(unix)]
#[test]
fn a_hangup_ignored_at_the_start_does_not_end_the_daemon() {
    use rustix::process::Signal;

    use crate::support::process::Process;

    let home = Home::new();
    let run = home.command("run");
    let mut nohup = std::process::Command::new("nohup");
    nohup.arg(run.get_program()).args(run.get_args()).env_clear().current_dir(home.path(""));
    nohup.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    nohup.env("PATH", "/usr/bin:/bin");
    let daemon = Process::start(&mut nohup);
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    daemon.signal(Signal::HUP);
    assert_eq!(home.run("pause").code, Some(0));
    assert_eq!(home.status()["daemon"]["pid"], daemon.pid());
    assert_eq!(daemon.terminate().code, Some(0));
}

/// The clear is waited for no longer than it is worth.
#[test]
fn a_silent_discord_does_not_hold_up_the_end() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    assert!(discord.activity(1).is_some());
    home.wait_for_status("an acknowledgement", |status| status["links"][0]["last_ack_at"].is_string());
    discord.freeze();
    // When the end comes, one frame has been written that the client never reads.
    session.tokens(500);
    daemon.wait_for_log("total=5,000");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_discord_that_never_gets_ready_does_not_hold_up_the_end() {
    let home = Home::new();
    let discord = FakeDiscord::at(&home.discord(), Rules::default());
    discord.freeze();
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    home.wait_for_status("an attempt", |status| status["links"][0]["state"] == "connecting");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_it_at_once() {
    use rustix::process::Signal;

    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    assert!(discord.activity(1).is_some());
    discord.freeze();
    daemon.signal(Signal::INT);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait_for_end().code, Some(0));
}

/// The system closes the connection, and Discord takes the card away; nothing is in the way of the next daemon.
#[test]
fn a_killed_daemon_leaves_no_obstacle() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    let first = discord.activity(1);
    daemon.kill();
    discord.wait_for_no_presence();
    let status = home.status();
    assert_eq!(status["daemon"]["state"], "not_running", "{status:#}");
    assert_eq!(status["links"], serde_json::json!([]));
    session.tokens(500);
    let daemon = home.start("run");
    let second = discord.activity(2).unwrap();
    assert_eq!(second["timestamps"], first.unwrap()["timestamps"]);
    assert_eq!(second["state"], "+500 | 5K | 5K tokens");
    assert_eq!(daemon.terminate().code, Some(0));
}
