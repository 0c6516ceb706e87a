//! How the daemon starts, or does not, and what it can do without Discord.

use std::fs;

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

#[test]
fn a_state_folder_that_cannot_be_used_is_a_clear_message() {
    let mut home = Home::new();
    fs::write(home.path("file"), "").unwrap();
    let state = home.path("file/state");
    home.set("AGENT_PRESENCE_STATE_DIR", state.to_str().unwrap());
    let ended = home.run("run");
    assert_eq!(ended.code, Some(1));
    let expected = format!("error: could not create the state folder {}: ", state.display());
    assert!(ended.err.starts_with(&expected), "{}", ended.err);
    assert!(ended.err.contains("\nhint: make it writable, or set AGENT_PRESENCE_STATE_DIR"), "{}", ended.err);
    assert_eq!(ended.out, "");
}

#[test]
fn no_takeover_names_the_running_instance() {
    let home = Home::new();
    let daemon = home.start("run");
    daemon.wait_for_log("started");
    for arguments in ["run --no-takeover", "run --dry-run"] {
        let second = home.run(arguments);
        assert_eq!(second.code, Some(4), "{second:?}");
        let expected = format!(
            "error: could not start: another instance is running (process {})\nhint: see `agent-presence status`\n",
            daemon.pid()
        );
        assert_eq!(second.err, expected);
    }
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_dry_run_prints_cards_holds_the_lock_and_connects_to_nothing() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run --dry-run");
    daemon.wait_for_output(
        "│ Thinking · GPT-5.6 Sol\n│ 5h 64% · weekly 47% left · +4.5K | 4.5K | 4.5K tokens\n",
    );
    session.call();
    daemon.wait_for_output("│ Running a command · GPT-5.6 Sol\n");

    assert_eq!(home.run("run --no-takeover").code, Some(4));
    let status = home.status();
    assert_eq!(status["daemon"]["state"], "running");
    assert_eq!(status["daemon"]["sink"], "terminal");
    assert_eq!(status["links"], serde_json::json!([]));
    let ended = daemon.terminate();
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.ends_with(" no card\n"), "{}", ended.out);
    assert_eq!(discord.connections(), 0);
}

#[test]
fn the_demo_needs_nothing_and_leaves_nothing() {
    let mut home = Home::new();
    home.unset("AGENT_PRESENCE_APPLICATION_ID");
    home.settings(&format!("[discord]\nclients = [{:?}]\n", home.discord()));
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let other = home.start("run");
    home.wait_for_status("a daemon", |status| status["daemon"]["started_at"].is_string());
    let before = home.snapshot();
    let demo = home.start("run --demo");
    demo.wait_for_output("┌ Codex\n│ ");
    demo.wait_for_output(" tokens\n└ ");
    assert_eq!(home.snapshot(), before);
    demo.kill();
    assert_eq!(discord.connections(), 0);
    assert_eq!(other.terminate().code, Some(0), "the demo needs no lock");
}

#[test]
fn the_demo_can_be_seen_in_discord() {
    let mut home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let demo = home.start("run --demo --discord");
    assert_eq!(discord.activity(1).unwrap()["name"], "Codex");
    demo.kill();

    home.unset("AGENT_PRESENCE_APPLICATION_ID");
    let ended = home.run("run --demo --discord");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("there is no application id\nhint: "), "{}", ended.err);
}

#[test]
fn without_an_application_id_the_user_is_told_what_to_do() {
    let mut home = Home::new();
    home.unset("AGENT_PRESENCE_APPLICATION_ID");
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    daemon.wait_for_log("hint: create an application at https://discord.com/developers/applications");
    daemon.wait_for_log("Token usage");
    let status = home.status();
    assert_eq!(status["daemon"]["state"], "running");
    assert_eq!(status["links"], serde_json::json!([]));
    assert_eq!(status["card"]["state"], "+4.5K | 4.5K | 4.5K tokens", "what it would show");
    let issue = status["config"]["issues"][0].as_str().unwrap();
    assert!(issue.contains("application_id") && issue.contains("hint: "), "{issue}");
    let ended = daemon.terminate();
    assert!(ended.err.contains(" WARN "), "{}", ended.err);
    assert_eq!(discord.connections(), 0);
}

#[test]
fn problems_of_the_settings_are_logged_with_their_place() {
    let home = Home::new();
    home.settings("[discord]\nclients = []\n[card]\nidle_after = \"soon\"\n[publsh]\n");
    let daemon = home.start("run");
    let config = home.config();
    for line in [4, 5] {
        daemon.wait_for_log(&format!("{}:{line}:", config.display()));
    }
    let ended = daemon.terminate();
    assert!(ended.err.contains("publish"), "the nearest known key: {}", ended.err);
}

/// The loop, what ends it by force, what hears the file system for all who ask, and the reading.
#[cfg(target_os = "linux")]
#[test]
fn four_threads_are_enough() {
    let home = Home::new();
    home.settings(&format!("[discord]\nclients = [{:?}]\n[sources]\ncodex_live = true\n", home.discord()));
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    home.claude_session().turn().call(100);
    let daemon = home.start("run");
    discord.wait_for_presence("a card", |_| true);
    home.wait_for_status("four threads", |_| {
        let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
        threads.count() <= 4
    });
    assert_eq!(daemon.terminate().code, Some(0));
}
