//! What the lines look like, with and without a daemon.

use serde_json::{Value, json};

use crate::support::home::Home;
use crate::support::process::Process;

fn started(home: &Home) -> Process {
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| {
        status["daemon"]["pid"] == daemon.pid() && !status["sessions"][0].is_null()
    });
    daemon
}

fn events(watch: &Process) -> Vec<Value> {
    watch.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_usage_event_of_both_agents_is_a_line() {
    let home = Home::new();
    let mut codex = home.session();
    codex.turn().tokens(4_500);
    let daemon = started(&home);
    let lines = home.start("watch");
    let bare = home.start("watch --bare");
    let restored = "Token usage: total=4,500 input=4,050 (+ 10,000 cached) output=450\n";
    bare.wait_for_output(restored);
    lines.wait_for_output(restored);

    codex.tokens(1_000);
    let codex_line =
        "Token usage: total=5,500 (+1,000) input=4,950 (+900, + 20,000 cached) output=550 (+100)\n";
    bare.wait_for_output(codex_line);
    let mut claude = home.claude_session();
    claude.turn().call(200);
    let claude_line = "Token usage: total=200 (+200) input=180 (+180, + 10,000 cached) output=20 (+20)\n";
    bare.wait_for_output(claude_line);
    assert_eq!(bare.output(), [restored, codex_line, claude_line].concat());

    lines.wait_for_output(claude_line);
    let expected = [
        ("codex", &codex.id, restored),
        ("codex", &codex.id, codex_line),
        ("claude", &claude.id, claude_line),
    ];
    let output = lines.output();
    assert_eq!(output.lines().count(), expected.len(), "{output}");
    for (line, (agent, session, usage)) in output.lines().zip(expected) {
        let (time, rest) = line.split_at("2026-11-20 10:00:00".len());
        assert!(jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", time).is_ok(), "{line}");
        assert_eq!(
            format!("{rest}\n"),
            format!(" {agent} {} {usage}", session.get(session.len() - 8..).unwrap())
        );
    }
    assert_eq!(lines.log(), "", "there is nothing else to say");
    drop(daemon);
}

#[test]
fn a_new_listener_hears_restored_figures_first() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let _daemon = started(&home);
    let first = home.start("watch --json");
    first.wait_for_output("\"restored\":true");
    let second = home.start("watch --json");
    second.wait_for_output("\"restored\":true");
    session.tokens(1_000);
    first.wait_for_output("\"restored\":false");
    second.wait_for_output("\"restored\":false");
    for watch in [&first, &second] {
        let events = events(watch);
        let restored: Vec<_> = events.iter().map(|event| event["restored"].clone()).collect();
        assert_eq!(restored.iter().filter(|restored| **restored == json!(true)).count(), 1, "{events:#?}");
        assert_eq!(events[0]["restored"], true, "{events:#?}");
        assert_eq!(events[0]["tokens"]["total"], 4_500);
        let last = events.last().unwrap();
        assert_eq!(last["tokens"], json!({"delta": 1_000, "last": 5_500, "total": 5_500}));
    }
}

#[test]
fn without_a_daemon_the_files_are_followed_until_there_is_one() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let before = home.path("state").exists();
    let watch = home.start("watch --bare");
    watch.wait_for_log("no daemon is running; reading the session files without it\n");
    watch.wait_for_output("Token usage: total=4,500 input");
    session.tokens(1_000);
    watch.wait_for_output("Token usage: total=5,500 (+1,000)");
    assert_eq!((before, home.path("state").exists()), (false, false), "it writes nothing");

    let daemon = home.start("run");
    watch.wait_for_log("a daemon is running; its events follow\n");
    session.tokens(500);
    watch.wait_for_output("Token usage: total=6,000 (+500)");
    assert_eq!(
        watch.output().lines().count(),
        3,
        "what was printed is not printed again: {}",
        watch.output()
    );
    drop(daemon);
}

/// Apart from the card: without a daemon there is none.
#[test]
fn the_events_are_the_same_with_and_without_a_daemon() {
    let kinds = [true, false].map(|with_daemon| {
        let home = Home::new();
        let mut session = home.session();
        session.limits(36.0, 53.0).turn().tokens(4_500);
        let _daemon = with_daemon.then(|| started(&home));
        let watch = home.start("watch --json");
        watch.wait_for_output("\"restored\":true");
        session.limits(37.0, 53.0).tokens(1_000);
        watch.wait_for_output("\"remaining_percent\":63");
        session.end();
        watch.wait_for_output("\"activity\":\"waiting\"}\n");
        let events = events(&watch).into_iter();
        let live = events.skip_while(|event| event["event"] != "usage").skip(1);
        let kinds = live.map(|event| event["event"].as_str().unwrap().to_owned());
        // The limits of the beginning are told to those who were there.
        kinds.skip_while(|kind| kind == "limits").collect::<Vec<_>>()
    });
    assert_eq!(kinds, [["usage", "limits", "activity"]; 2]);
}
