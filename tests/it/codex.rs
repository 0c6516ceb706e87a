//! What reading a Codex session file gives, fixture by fixture. Each fixture stands for one fact of the format.

use std::path::{Path, PathBuf};

use agent_presence::core::file::{LineageRequest, SessionFile, Skipped, UsageRow};
use agent_presence::core::source::Agent;
use jiff::Timestamp;

use crate::support::fixtures::{self, check_all};

pub(crate) fn root() -> PathBuf {
    fixtures::root(Agent::CODEX)
}

/// Every session file among the fixtures.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    fixtures::all(Agent::CODEX)
}

/// The rows that a fixture's neighbours offer.
pub(crate) fn lineage(path: &Path, parent: &str) -> Vec<Vec<UsageRow>> {
    let wanted = LineageRequest { parent: parent.to_owned(), ..LineageRequest::default() };
    fixtures::lineage(Agent::CODEX, path, &wanted)
}

#[test]
fn every_fixture_gives_what_its_fact_says() {
    check_all(Agent::CODEX, |_| true);
}

/// The fixtures with these names, and no other.
fn check(names: &[&str]) {
    for name in names {
        check_all(Agent::CODEX, |other| other == *name);
    }
}

/// A file that grows by these pieces; the usage events that each brings.
fn growing(pieces: &[&[u8]]) -> Vec<usize> {
    let mut file = SessionFile::new(Agent::CODEX, "home".into(), Timestamp::MIN);
    let mut events = Vec::new();
    for piece in pieces {
        file.push(piece);
        file.caught_up();
        events.push(file.take_update().map_or(0, |update| update.usage.len()));
    }
    events
}

#[test]
fn info_null_changes_limits_and_no_tokens() {
    check(&["0.104/info-null", "0.104/info-null-after-figures"]);
}

#[test]
fn copied_history_is_not_counted_with_either_kind_of_stamps() {
    check(&["0.136/fork-copy-restamped", "0.144/fork-copy-original-stamps"]);
}

#[test]
fn a_child_that_starts_at_zero_keeps_all_it_used() {
    check(&[
        "0.144/child-starts-at-zero",
        "0.147/fork-history-base-from-zero",
        "0.147/sub-agent-history-start-past-end-from-zero",
    ]);
}

#[test]
fn a_counter_that_falls_is_a_new_baseline() {
    check(&["0.40/resume-restarts-at-zero", "0.148/totals-lowered-at-compaction"]);
}

#[test]
fn both_kinds_of_records_count_once() {
    check(&["0.160/both-event-kinds", "0.153/usage-record-beside-count"]);
}

#[test]
fn two_processes_in_one_file_each_count_from_their_own_totals() {
    check(&["0.146/two-processes", "0.146/goes-on-from-an-earlier-total"]);
}

#[test]
fn records_and_counts_that_do_not_pair_count_once_each() {
    check(&[
        "0.155/counts-without-a-record",
        "0.155/record-behind-its-count",
        "0.155/record-of-a-classifier",
        "0.155/count-of-two-responses",
        "0.171/compaction-is-counted",
    ]);
}

#[test]
fn copied_history_is_recognised_by_every_mark_of_a_file() {
    check(&[
        "0.155/fork-slow-copy-plain-ids",
        "0.155/fork-copy-with-new-ids",
        "0.155/sub-agent-young-copied-turn",
        "0.147/sub-agent-history-start-past-end",
    ]);
}

/// What stands before the line that is named as the first own one counts in no piece of the file.
#[test]
fn an_inherited_turn_is_not_counted_for_a_moment_either() {
    let path = root().join("0.155/sub-agent-young-copied-turn.jsonl");
    let bytes = std::fs::read(path).unwrap();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let events = growing(&lines);
    assert_eq!(events.iter().sum::<usize>(), 2);
    assert_eq!(events.iter().position(|events| *events > 0), Some(lines.len() - 3), "{events:?}");
}

/// Where that line does not come, what stands before it is own after all: in a file that was not just written.
#[test]
fn a_mark_that_lies_past_the_end_is_ignored_once_the_file_rests() {
    let bytes = std::fs::read(root().join("0.147/sub-agent-history-start-past-end.jsonl")).unwrap();
    let total = |live_since: &str| {
        let mut file = SessionFile::new(Agent::CODEX, "home".into(), live_since.parse().unwrap());
        file.push(&bytes);
        file.end_line();
        file.caught_up();
        file.take_update().unwrap().session.usage.session_total_tokens.map(|total| total.blended())
    };
    assert_eq!(total("2026-08-18T16:00:30Z"), None, "it may be in the middle of being copied");
    assert_eq!(total("2026-08-18T18:00:00Z"), Some(6000));
}

/// A copy that was seen half-way.
#[test]
fn counts_of_a_resting_file_are_taken_back_when_the_mark_comes() {
    let bytes = std::fs::read(root().join("0.155/sub-agent-young-copied-turn.jsonl")).unwrap();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for inherited in 2..8 {
        let mut file = SessionFile::new(Agent::CODEX, "home".into(), Timestamp::MAX);
        let mut total = |lines: &[&[u8]]| {
            lines.iter().for_each(|line| file.push(line));
            file.end_line();
            file.caught_up();
            let update = file.take_update().unwrap();
            update.session.usage.session_total_tokens.map(|total| total.blended())
        };
        total(&lines[..inherited]);
        assert_eq!(total(&lines[inherited..]), Some(6000), "after {inherited} lines");
    }
}

#[test]
fn half_a_line_then_the_rest_is_one_event() {
    let bytes = std::fs::read(root().join("0.160/both-event-kinds.jsonl")).unwrap();
    let usage = memchr::memmem::find(&bytes, b"token_count").unwrap();
    let end = usage + memchr::memchr(b'\n', &bytes[usage..]).unwrap();
    let (whole, half, last) = (&bytes[..usage], &bytes[usage..end - 30], &bytes[end - 30..]);
    let at_once = growing(&[&bytes]);
    let torn = growing(&[whole, half, b"", last]);
    assert_eq!(torn.iter().sum::<usize>(), at_once[0]);
    assert_eq!(torn[1..3], [0, 0], "nothing before the line is whole");
    check(&["0.162/torn-last-line", "0.162/torn-last-line-complete-json", "0.162/torn-line-then-duplicate"]);
}

#[test]
fn invalid_utf_8_and_a_5_mb_line_cost_only_themselves() {
    check(&["0.162/invalid-utf-8"]);
    let bytes = std::fs::read(root().join("0.160/both-event-kinds.jsonl")).unwrap();
    let first = memchr::memchr(b'\n', &bytes).unwrap() + 1;
    let mut image = br#"{"timestamp":"2026-10-04T10:00:00.500Z","type":"response_item","payload":{"type":"message","role":"user","content":""#.to_vec();
    image.resize(5 << 20, b'x');
    image.extend_from_slice(b"\"}}\n");
    let mut file = SessionFile::new(Agent::CODEX, "home".into(), Timestamp::MIN);
    [&bytes[..first], &image, &bytes[first..]].iter().for_each(|piece| file.push(piece));
    let update = file.take_update().unwrap();
    assert_eq!(update.skipped, Skipped { oversized_lines: 1, ..Skipped::default() });
    let mut plain = SessionFile::new(Agent::CODEX, "home".into(), Timestamp::MIN);
    plain.push(&bytes);
    assert_eq!(update.session, plain.take_update().unwrap().session);
}

#[test]
fn another_models_limits_are_a_family_of_their_own() {
    check(&["0.122/limits-spark-newer-than-main"]);
}

#[test]
fn windows_are_named_by_their_length() {
    check(&[
        "0.147/limits-weekly-in-primary",
        "0.162/limits-monthly-in-primary",
        "0.122/limits-window-lengths",
    ]);
}

#[test]
fn a_window_without_a_percentage_is_absent() {
    check(&["0.122/limits-used-percent-null", "0.122/limits-null-windows"]);
}

#[test]
fn fresh_tokens_without_limits_make_no_limits_fresher() {
    check(&["0.122/limits-null-beside-fresh-tokens"]);
}
