//! The card follows the sessions, and the log has each usage event.

use std::time::Duration;

use serde_json::json;

use crate::support::codex_session::Spent;
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::process::Process;

/// The usage lines of a log from their first figure on.
fn usage_lines(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| line.split_once("Token usage: "));
    lines.map(|(_, rest)| rest.to_owned()).collect()
}

#[test]
fn the_card_follows_a_growing_session() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");

    let first = discord.activity(1).unwrap();
    assert_eq!(first["name"], "Codex");
    assert_eq!(first["type"], 0);
    assert_eq!(first["details"], "Thinking · GPT-5.6 Sol");
    assert_eq!(first["state"], "5h 64% · weekly 47% left · +4.5K | 4.5K | 4.5K tokens");
    assert_eq!(first["status_display_type"], 1, "the member list shows the state");
    assert_eq!(first["timestamps"], json!({"start": session.timer()}));
    let hover = first["assets"]["large_text"].as_str().unwrap();
    assert!(
        hover.starts_with("in 4.05K (+ 10K cached) · out 450 · context 99% left · 5h resets "),
        "{hover}"
    );

    session.call();
    let second = discord.activity(2).unwrap();
    assert_eq!(second["details"], "Running a command · GPT-5.6 Sol");
    assert_eq!(second["state"], first["state"]);
    assert_eq!(second["timestamps"], first["timestamps"]);

    session.call_done().limits(37.0, 53.0).tokens(1_893);
    let third = discord.activity(3).unwrap();
    assert_eq!(third["details"], "Thinking · GPT-5.6 Sol");
    assert_eq!(third["state"], "5h 63% · weekly 47% left · +1.89K | 6.39K | 6.39K tokens");
    assert_eq!(third["timestamps"], first["timestamps"]);
    assert_eq!(daemon.output(), "", "nothing but logs off a terminal");
}

#[test]
fn every_usage_event_is_a_line_in_the_log_and_restored_ones_come_once() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().usage(Spent { input: 300_000, cached: 252_760, output: 4_983, reasoning: 3_871 });
    let short = agent_presence::cmd::show::short_id(&session.id);
    let restored = format!(
        "total=52,223 input=47,240 (+ 252,760 cached) output=4,983 (reasoning 3,871) agent=\"codex\" session=\"{short}\" restored=true"
    );

    let daemon = home.start("run");
    daemon.wait_for_log("restored=true");
    session.usage(Spent { input: 10_021, cached: 9_000, output: 872, reasoning: 600 });
    daemon.wait_for_log("restored=false");
    session.usage(Spent { input: 0, cached: 0, output: 5, reasoning: 0 });
    discord.wait_for_presence("the last event", |card| card["state"].as_str().unwrap().contains("+5 |"));
    let expected = [
        restored,
        format!(
            "total=54,116 (+1,893) input=48,261 (+1,021, + 261,760 cached) output=5,855 (+872, reasoning 4,471) agent=\"codex\" session=\"{short}\" restored=false"
        ),
        format!(
            "total=54,121 (+5) input=48,261 (+ 261,760 cached) output=5,860 (+5, reasoning 4,471) agent=\"codex\" session=\"{short}\" restored=false"
        ),
    ];
    assert_eq!(usage_lines(&daemon.terminate().err), expected);

    let daemon = home.start("run");
    discord.wait_for_presence("the same card", |card| card["state"] == "+5 | 54.1K | 54.1K tokens");
    let expected = [format!(
        "total=54,121 input=48,261 (+ 261,760 cached) output=5,860 (reasoning 4,471) agent=\"codex\" session=\"{short}\" restored=true"
    )];
    assert_eq!(usage_lines(&daemon.terminate().err), expected);
}

#[test]
fn a_quiet_daemon_prints_no_usage_lines() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run -q");
    discord.activity(1);
    session.tokens(500);
    discord.wait_for_presence("the new total", |card| card["state"] == "+500 | 5K | 5K tokens");
    let ended = daemon.terminate();
    assert!(!ended.err.contains("Token usage"), "{}", ended.err);
    assert!(ended.err.contains("connected to Discord"), "{}", ended.err);
}

#[test]
fn two_busy_sessions_do_not_take_the_card_from_each_other() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let (mut one, mut two) = (home.session(), home.session());
    one.turn().tokens(1_000);
    let daemon = home.start("run");
    assert_eq!(discord.activity(1).unwrap()["details"], "Thinking · GPT-5.6 Sol");
    // All sessions that are there when everything has been read have the same right to the card.
    one.tokens(10);
    daemon.wait_for_log("total=1,010 (+10)");

    two.model("gpt-5.5-codex").turn();
    for _ in 0..10 {
        one.tokens(10);
        two.tokens(10);
    }
    one.tokens(100);
    daemon.wait_for_log("total=1,210 (+100)");
    discord
        .wait_for_presence("the first one's tokens", |card| card["state"] == "+100 | 1.21K | 1.21K tokens");
    one.end();
    discord.wait_for_presence("the second one", |card| card["details"] == "Thinking · GPT-5.5 Codex");
    discord.seen(|seen| {
        let shown: Vec<_> = seen.payloads().iter().map(|card| card["details"].clone()).collect();
        let first_two = shown.iter().position(|details| details == "Thinking · GPT-5.5 Codex").unwrap();
        assert!(shown[first_two..].iter().all(|details| details == &shown[first_two]), "{shown:?}");
    });
}

#[test]
fn a_hundred_events_in_one_second_are_a_few_frames_and_the_last_state_lands() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(1_000);
    let daemon = home.start("run");
    discord.activity(1);
    for _ in 0..50 {
        session.call().call_done().tokens(10);
    }
    session.tokens(77);
    discord.wait_for_presence("the last state", |card| card["state"] == "+77 | 1.58K | 1.58K tokens");
    daemon.terminate();
    let frames = discord.seen(|seen| seen.payloads().len());
    assert!(frames <= 4, "{frames} frames, the clearing one included");
    assert!(discord.most_changes_within(Duration::from_secs(20)) <= 4);
}

#[test]
fn limits_outlive_the_daemon_and_their_session() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");
    discord.activity(1);
    daemon.terminate();
    std::fs::remove_file(&session.path).unwrap();

    let mut next = home.session();
    next.turn().tokens(700);
    let daemon = home.start("run");
    let card =
        discord.wait_for_presence("the next session", |card| card["details"] == "Thinking · GPT-5.6 Sol");
    assert_eq!(card["state"], "5h 64% · weekly 47% left · +700 | 700 | 700 tokens");
    drop(daemon);
    assert_eq!(home.status()["limits"][0]["source_session"], session.id.as_str());
}

/// At any log level what people wrote stays in their files. [`Process`] and [`Home`] look for it when they go.
#[test]
fn no_log_level_shows_content() {
    let mut home = Home::new();
    home.set("RUST_LOG", "trace");
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().call().tokens(4_500).raw(b"{\"MARKER-SECRET\": not JSON\n").call_done();
    let daemon: Process = home.start("run");
    discord.activity(1);
    session.end().raw(b"MARKER-SECRET\n").turn().tokens(1);
    discord.wait_for_presence("the second turn", |card| card["state"] == "+1 | 1 | 4.5K tokens");
    let ended = daemon.terminate();
    assert!(ended.err.contains("DEBUG"), "{}", ended.err);
    for line in home.output("status").lines().chain(home.output("preview").lines()) {
        assert!(!line.contains("MARKER"), "{line}");
    }
}
