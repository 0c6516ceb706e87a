//! `replay`: what the program prints for recorded files, however they are given to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use agent_presence::core::source::Agent;
use serde_json::Value;
use snapbox::{Data, assert_data_eq};

use crate::codex;
use crate::support::fixtures;
use crate::support::program::{Home, text};

/// The events of `replay --json`, with the arguments as given.
fn replay(home: &Home, paths: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["replay", "--json"];
    arguments.extend(paths);
    let output = home.run(&arguments);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last word on a session: its `[delta, last, total]` as it ended.
fn ended(events: &[Value], id: &str) -> Value {
    let is_end =
        |event: &&Value| event["ended"] == true && event["session"]["id"].as_str().unwrap().ends_with(id);
    let end = events.iter().rev().find(is_end).expect(id);
    end["session"]["tokens"]["total"].clone()
}

fn home_with(files: &[(&str, &str)]) -> Home {
    let home = Home::new();
    for (fixture, name) in files {
        let to = home.path().join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(codex::root().join(fixture), to).unwrap();
    }
    home
}

fn recording() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cmd/demo/recording.jsonl"))
}

#[test]
fn the_recording_gives_its_snapshots_in_text_and_json() {
    let home = Home::new();
    std::fs::copy(recording(), home.path().join("recording.jsonl")).unwrap();
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for (arguments, snapshot) in [
        (["replay", "recording.jsonl"].as_slice(), "replay-recording.txt"),
        (&["replay", "--json", "recording.jsonl"], "replay-recording.jsonl"),
    ] {
        let output = home.run(arguments);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        assert_data_eq!(text(&output.stdout), Data::read_from(&snapshots.join(snapshot), None).raw());
    }
}

#[test]
fn every_time_in_json_is_utc() {
    fn times<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| match value {
                Value::String(text) if key == "at" || key.ends_with("_at") => found.push(text),
                other => times(other, found),
            }),
            Value::Array(values) => values.iter().for_each(|value| times(value, found)),
            _ => {}
        }
    }
    let home = Home::new();
    std::fs::copy(recording(), home.path().join("recording.jsonl")).unwrap();
    let output =
        home.command(&["replay", "--json", "recording.jsonl"]).env("TZ", "Asia/Tokyo").output().unwrap();
    let events: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut found = Vec::new();
    events.iter().for_each(|event| times(event, &mut found));
    assert!(found.len() > 200, "{}", found.len());
    for time in found {
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }
}

const PARENT: &str = "0.60/fork-unmarked-parent-at-hand/rollout-2025-11-21T10-00-00-019aa5db-3d00-7014-808c-000c5c5581d4.jsonl";
const CHILD: &str = "0.60/fork-unmarked-parent-at-hand/rollout-2025-11-21T12-00-00-019aa649-1a00-7015-8093-000cfa8cfb85.jsonl";
const SIBLINGS: [&str; 2] = [
    "0.60/fork-unmarked-siblings-only/rollout-2025-11-21T12-00-00-019aa649-1a00-7017-80a1-000e36fbeee7.jsonl",
    "0.60/fork-unmarked-siblings-only/rollout-2025-11-21T12-30-00-019aa664-9140-7018-80a8-000ed5336898.jsonl",
];

/// What reading the fixture with everything at hand gives.
fn expected_total(fixture: &str) -> Value {
    fixtures::expected(Agent::CODEX)[fixture.trim_end_matches(".jsonl")]["tokens"]["total"].clone()
}

#[test]
fn a_fork_with_its_parent_in_the_same_folder_counts_its_own() {
    let home = home_with(&[(PARENT, "both/a.jsonl"), (CHILD, "both/b.jsonl")]);
    for paths in [["both"].as_slice(), &["both/a.jsonl", "both/b.jsonl"], &["both/b.jsonl", "both/a.jsonl"]] {
        let events = replay(&home, paths);
        assert_eq!(ended(&events, "000cfa8cfb85"), expected_total(CHILD), "{paths:?}");
        assert_eq!(ended(&events, "000c5c5581d4"), expected_total(PARENT), "{paths:?}");
    }
}

#[test]
fn a_fork_finds_its_parent_in_its_home() {
    let name = |fixture: &str| Path::new(fixture).file_name().unwrap().to_string_lossy().into_owned();
    for parent in [".codex/sessions/2025/11/20", ".codex/archived_sessions"] {
        let (parent, child) =
            (format!("{parent}/{}", name(PARENT)), format!(".codex/sessions/2025/11/21/{}", name(CHILD)));
        let home = home_with(&[(PARENT, &parent), (CHILD, &child)]);
        let events = replay(&home, &[&child]);
        assert_eq!(ended(&events, "000cfa8cfb85"), expected_total(CHILD), "{parent}");
        let foreign =
            events.iter().find(|event| event["id"].as_str().is_some_and(|id| id.ends_with("000c5c5581d4")));
        assert_eq!(foreign, None, "the parent was not asked for");
    }
}

#[test]
fn a_fork_with_only_a_sibling_at_hand_counts_its_own() {
    let home = home_with(&[(SIBLINGS[0], "a.jsonl"), (SIBLINGS[1], "b.jsonl")]);
    for paths in [["a.jsonl", "b.jsonl"], ["b.jsonl", "a.jsonl"]] {
        let events = replay(&home, &paths);
        assert_eq!(ended(&events, "000e36fbeee7"), expected_total(SIBLINGS[0]), "{paths:?}");
        assert_eq!(ended(&events, "000ed5336898"), expected_total(SIBLINGS[1]), "{paths:?}");
    }
}

#[test]
fn a_fork_alone_shows_all_that_its_file_holds() {
    let alone =
        "0.60/fork-unmarked-alone/rollout-2025-11-21T12-00-00-019aa649-1a00-701a-80b6-001011a25bfa.jsonl";
    let home = home_with(&[(alone, "a.jsonl")]);
    assert_eq!(ended(&replay(&home, &["a.jsonl"]), "001011a25bfa"), expected_total(alone));
}

#[test]
fn the_order_of_the_arguments_does_not_matter() {
    let home = home_with(&[
        ("0.160/both-event-kinds.jsonl", "a.jsonl"),
        ("0.160/code-mode-run.jsonl", "b.jsonl"),
        ("0.160/turn-replaced.jsonl", "c.jsonl"),
    ]);
    let expected = replay(&home, &["a.jsonl", "b.jsonl", "c.jsonl"]);
    for paths in [["c.jsonl", "b.jsonl", "a.jsonl"], ["b.jsonl", "c.jsonl", "a.jsonl"]] {
        assert_eq!(replay(&home, &paths), expected, "{paths:?}");
    }
    assert_eq!(replay(&home, &["."]).len(), expected.len());
    assert_eq!(
        replay(&home, &["a.jsonl", ".", "b.jsonl"]).len(),
        expected.len(),
        "a file given twice is read once"
    );
}

#[test]
fn a_file_of_any_name_is_replayed() {
    let home = home_with(&[
        ("0.160/both-event-kinds.jsonl", "notes.backup"),
        ("0.160/both-event-kinds.jsonl", "same.jsonl"),
    ]);
    assert_eq!(replay(&home, &["notes.backup"]), replay(&home, &["same.jsonl"]));
}

#[test]
fn sessions_of_one_time_keep_the_order_of_their_lines() {
    let home =
        home_with(&[("0.160/both-event-kinds.jsonl", "a.jsonl"), ("0.160/turn-replaced.jsonl", "b.jsonl")]);
    let events = replay(&home, &["."]);
    let times: Vec<jiff::Timestamp> =
        events.iter().map(|event| event["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted());
    for (file, fixture) in
        [("a.jsonl", "0.160/both-event-kinds.jsonl"), ("b.jsonl", "0.160/turn-replaced.jsonl")]
    {
        let alone = replay(&home, &[file]);
        let id = alone[0]["session"]["id"].as_str().unwrap();
        let of_session = |events: &[Value]| -> Vec<Value> {
            let own = |event: &&Value| event["event"] == "usage" && event["session"] == id;
            events.iter().filter(own).map(|event| event["tokens"].clone()).collect()
        };
        assert_eq!(of_session(&events), of_session(&alone), "{fixture}");
    }
}

#[test]
fn broken_lines_cost_nothing_but_themselves() {
    let whole = std::fs::read_to_string(recording()).unwrap();
    let broken: Vec<String> = whole
        .lines()
        .map(|line| format!("{line}\n{}\n", line.chars().take(line.len() / 2).collect::<String>()))
        .collect();
    let home = Home::new();
    std::fs::write(home.path().join("a.jsonl"), whole).unwrap();
    std::fs::write(home.path().join("b.jsonl"), broken.concat()).unwrap();
    assert_eq!(replay(&home, &["a.jsonl"]), replay(&home, &["b.jsonl"]));
}

#[test]
fn an_unreadable_file_is_reported_and_the_rest_is_replayed() {
    let home = home_with(&[("0.160/both-event-kinds.jsonl", "a.jsonl")]);
    std::fs::write(home.path().join("poem.txt"), "no session\n").unwrap();
    let output = home.run(&["replay", "missing.jsonl", "poem.txt", "a.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    let err = text(&output.stderr);
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].starts_with("error: could not replay missing.jsonl: "), "{err}");
    assert!(lines[1].starts_with("hint: "), "{err}");
    assert_eq!(lines[2], "error: could not replay poem.txt: not a session file of a known agent");
    assert!(lines[3].starts_with("hint: ") && lines.len() == 4, "{err}");
    assert_eq!(text(&output.stdout), text(&home.run(&["replay", "a.jsonl"]).stdout));
}

#[test]
fn a_reader_that_closes_early_ends_it_quietly() {
    // More than a pipe holds.
    let home = Home::new();
    let lines = std::fs::read_to_string(recording()).unwrap();
    for copy in 0..8 {
        let other = lines.replace(
            "01a19b7c-a680-7389-88bf-0c12c9b842b9",
            &format!("01a19b7c-a680-7389-88bf-00000000000{copy}"),
        );
        std::fs::write(home.path().join(format!("{copy}.jsonl")), other).unwrap();
    }
    let mut child = home
        .command(&["replay", "--json", "."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.ends_with("}\n"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
