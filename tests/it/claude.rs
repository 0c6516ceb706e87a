//! What reading Claude Code's files gives, fixture by fixture, and that nothing depends on how they are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agent_presence::cmd::replay::replay;
use agent_presence::core::file::{RowReader, SessionFile};
use agent_presence::core::register::Status;
use agent_presence::core::report::EventKind;
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::core::source::claude::registry;
use agent_presence::core::source::claude::statusline::Statusline;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::fixtures::{check_all, read, root, session_files};

#[test]
fn every_fixture_gives_what_its_fact_says() {
    check_all(Agent::CLAUDE, |_| true);
}

#[test]
fn chunks_do_not_matter() {
    for path in transcripts(&root(Agent::CLAUDE)) {
        let bytes = std::fs::read(&path).unwrap();
        let whole = read(Agent::CLAUDE, &path, &bytes, usize::MAX >> 1).map(|seen| seen.json());
        for chunk in [1, 7, 100, 4096] {
            let pieces = read(Agent::CLAUDE, &path, &bytes, chunk).map(|seen| seen.json());
            assert_eq!(pieces, whole, "{} in pieces of {chunk}", path.display());
        }
    }
}

#[test]
fn nothing_of_a_conversation_comes_out() {
    let paths = [root(Agent::CLAUDE)];
    let problems = replay(&paths, Settings::default(), TimeZone::UTC, &mut |event| {
        let told = serde_json::to_string(&event).unwrap();
        // A home is a folder of the user's own, and fixtures of families lie below none.
        assert!(!told.contains("MARKER-SECRET"), "{told}");
    });
    assert_eq!(problems, []);
}

/// `replay` of a folder: every session has its own total, and together they are one count of every message.
#[test]
fn the_sessions_of_a_folder_add_up_to_one_count_of_every_message() {
    // The sessions that have used something themselves: one of the forks has not.
    for (folder, sessions) in [
        ("1.0.17/resumed-copy", 2),
        ("2.0.76/agents-beside", 2),
        ("2.1.123/branch", 3),
        ("2.1.200/side-question", 2),
        ("2.1.286/context-cleared", 2),
        ("2.1.286/continued-and-both-go-on", 2),
        ("2.1.286/continued-from-a-compaction", 2),
        ("2.1.286/lineage-under-another-name", 2),
        ("2.1.286/subagents", 3),
    ] {
        let folder = root(Agent::CLAUDE).join(folder);
        let expected = one_count(&transcripts(&folder));
        for paths in [vec![folder.clone()], transcripts(&folder).into_iter().rev().collect()] {
            let totals = totals_of_replay(&paths);
            assert_eq!(totals.values().sum::<u64>(), expected, "{}: {totals:?}", folder.display());
            assert_eq!(totals.len(), sessions, "{}", folder.display());
        }
    }
}

/// The blended sum over all messages in a folder.
pub(crate) fn one_count_of(folder: &Path) -> u64 {
    one_count(&transcripts(folder))
}

fn transcripts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    session_files(folder, &mut found);
    found.retain(|path| path.file_stem().is_some_and(|stem| stem != "journal"));
    found
}

/// Each session's total after a replay, blended.
pub(crate) fn totals_of_replay(paths: &[PathBuf]) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    let problems = replay(paths, Settings::default(), TimeZone::UTC, &mut |event| {
        if let EventKind::Session { session, .. } = event.kind {
            totals.insert(session.id.clone(), session.tokens.total.unwrap_or(0));
        }
    });
    assert_eq!(problems, []);
    totals
}

/// The blended sum over all messages, found in another way: all lines of all files, the greatest output of each id. Only
/// for files of which no helper's copy is larger than the main one.
fn one_count(files: &[PathBuf]) -> u64 {
    let mut messages: BTreeMap<String, (bool, u64, u64)> = BTreeMap::new();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let (Some(id), usage) = (line["message"]["id"].as_str(), &line["message"]["usage"]) else {
                continue;
            };
            let count = |name: &str| usage[name].as_u64().unwrap_or(0);
            let output = count("output_tokens");
            let sum = count("input_tokens") + count("cache_creation_input_tokens") + output;
            let figure = (line["isSidechain"] != true, output, sum);
            let best = messages.entry(id.to_owned()).or_insert(figure);
            *best = figure.max(*best);
        }
    }
    messages.values().map(|(_, _, sum)| sum).sum()
}

#[test]
fn pictures_too_long_to_read_are_prompts_and_results_all_the_same() {
    let picture = format!(r#"[{{"type":"image","source":{{"data":"{}"}}}}]"#, "x".repeat(2 << 20));
    // In the order in which Claude Code writes the keys.
    let entry = |kind: &str, content: &str, at: u32| {
        let body = match kind {
            "user" => format!(r#""role":"user","content":{content}"#),
            _ => format!(
                r#""id":"msg_{at}","model":"claude-opus-5","content":{content},"usage":{{"input_tokens":1,"output_tokens":1}}"#
            ),
        };
        format!(
            r#"{{"parentUuid":null,"isSidechain":false,"sessionId":"s","version":"2.1.270","type":"{kind}","message":{{{body}}},"uuid":"u{at}","timestamp":"2026-09-14T10:00:{at:02}.000Z"}}"#
        ) + "\n"
    };
    let lines = [
        entry("user", r#""look""#, 1),
        entry("assistant", r#"[{"type":"tool_use","id":"t1","name":"Read","input":{}}]"#, 2),
        entry("user", &format!(r#"[{{"tool_use_id":"t1","type":"tool_result","content":{picture}}}]"#), 3),
        entry("assistant", r#"[{"type":"text","text":"a cat"}]"#, 4),
        entry("user", &picture, 5),
    ];
    let mut file = SessionFile::new(Agent::CLAUDE, "home".into(), Timestamp::MIN);
    let mut calls = Vec::new();
    for line in &lines {
        file.push(line.as_bytes());
        file.set_lineage(&[]);
        let session = file.take_update().unwrap().session;
        calls.push((session.work.calls.len(), session.usage.last_turn_tokens.map(|tokens| tokens.blended())));
    }
    assert_eq!(calls, [(0, None), (1, Some(2)), (0, Some(2)), (0, Some(4)), (0, Some(0))]);
}

#[test]
fn statuslines_of_every_version_are_read() {
    let of = |version: &str| {
        let path = format!("{}/tests/fixtures/claude-statusline/{version}.json", env!("CARGO_MANIFEST_DIR"));
        let line = Statusline::read(&std::fs::read(path).unwrap(), Timestamp::UNIX_EPOCH).unwrap();
        let limits = line.snapshots(&"home".into());
        assert!(!format!("{limits:?}").contains("MARKER-SECRET"));
        let limits = limits.into_iter().map(|family| {
            (family.family, family.windows.iter().map(|window| window.used_percent).collect::<Vec<_>>())
        });
        (line.model.unwrap(), line.context_used, line.context_window, limits.collect::<Vec<_>>())
    };
    let family = |name: &str, used: &[f64]| (name.to_owned(), used.to_vec());
    assert_eq!(of("1.0.71"), ("claude-opus-4-1-20250805".to_owned(), None, None, vec![]));
    assert_eq!(of("2.0.70"), ("claude-sonnet-4-5-20250929".to_owned(), None, Some(200_000), vec![]));
    let sparse = vec![family("claude", &[41.5])];
    assert_eq!(of("2.1.80"), ("claude-opus-4-6".to_owned(), Some(50_000), Some(200_000), sparse));
    let full = vec![family("claude", &[23.5, 100.0]), family("opus", &[7.0])];
    assert_eq!(of("2.1.240"), ("claude-opus-5[1m]".to_owned(), Some(15_500), Some(1_000_000), full));
    // Behind a gateway: what may be spent in a month.
    let spend = vec![family("claude", &[72.4])];
    assert_eq!(of("2.1.284"), ("claude-opus-5[1m]".to_owned(), Some(15_500), Some(1_000_000), spend));
}

#[test]
fn lines_say_which_session_their_process_began_with() {
    let of = |name: &str| {
        let path = root(Agent::CLAUDE).join(name);
        read(Agent::CLAUDE, &path, &std::fs::read(&path).unwrap(), 100).unwrap().session.process
    };
    assert_eq!(of("2.1.332/after-clear.jsonl").as_deref(), Some("c3bd9b8d-8493-597f-ad83-e3aac8692ace"));
    assert_eq!(of("2.1.332/agents-pending.jsonl"), None);
    // What was copied from a session says nothing of the process that copied it.
    let copied = r#"{"type":"assistant","uuid":"u","sessionId":"b","session_id":"p","timestamp":"2026-11-26T10:00:00Z","forkedFrom":{"sessionId":"a"},"message":{"content":[]}}"#;
    let mut file = SessionFile::new(Agent::CLAUDE, "home".into(), Timestamp::MIN);
    file.push(format!("{copied}\n").as_bytes());
    assert_eq!(file.take_update().unwrap().session.process, None);
    file.push(format!("{}\n", copied.replace(r#""forkedFrom":{"sessionId":"a"},"#, "")).as_bytes());
    assert_eq!(file.take_update().unwrap().session.process.as_deref(), Some("p"));
}

#[test]
fn registers_are_read_with_and_without_a_status() {
    for (version, start, status) in [
        ("2.1.91", Some("123456"), None),
        ("2.1.139", None, Some(Status::Busy)),
        ("2.1.270", Some("123456"), Some(Status::Waiting)),
        ("2.1.332", Some("123456"), Some(Status::Busy)),
    ] {
        let path = format!("{}/tests/fixtures/claude-registry/{version}.json", env!("CARGO_MANIFEST_DIR"));
        let entry = registry::read(4242, &std::fs::read(path).unwrap()).unwrap();
        assert_eq!((entry.process_start.as_deref(), entry.status), (start, status), "{version}");
        assert_eq!(entry.pid_domain.is_some(), version == "2.1.332");
        assert!(!format!("{entry:?}").contains("MARKER-SECRET"));
    }
}

/// A message as Claude Code writes it: its lines, whose output never falls.
#[derive(Debug, Clone)]
struct Written {
    input: u64,
    outputs: Vec<u64>,
}

fn messages() -> impl Strategy<Value = Vec<Written>> {
    let message = (1..1000_u64, prop::collection::vec(0..500_u64, 1..5)).prop_map(|(input, mut outputs)| {
        outputs.sort_unstable();
        Written { input, outputs }
    });
    prop::collection::vec(message, 1..8)
}

/// All lines, shuffled by `picks`, with those of each message in their order; some are written again.
fn shuffled(messages: &[Written], picks: &[usize]) -> String {
    let mut left: Vec<(usize, std::slice::Iter<'_, u64>)> =
        messages.iter().map(|message| message.outputs.iter()).enumerate().collect();
    let mut lines: Vec<String> = vec![line(0, None)];
    let mut picks = picks.iter().cycle();
    while !left.is_empty() {
        let pick = picks.next().unwrap();
        let place = pick % left.len();
        let (id, outputs) = &mut left[place];
        match outputs.next() {
            Some(output) => lines.push(line(lines.len(), Some((*id, messages[*id].input, *output)))),
            None => {
                drop(left.remove(place));
            }
        }
        if pick.is_multiple_of(5) {
            lines.push(lines[pick % lines.len()].clone());
        }
    }
    lines.concat()
}

fn line(number: usize, usage: Option<(usize, u64, u64)>) -> String {
    let message = match usage {
        None => json!({"role": "user", "content": "MARKER-SECRET"}),
        Some((id, input, output)) => {
            json!({"id": format!("msg_{id}"), "role": "assistant", "model": "claude-opus-5",
            "content": [{"type": "text", "text": "MARKER-SECRET"}],
            "usage": {"input_tokens": input, "output_tokens": output}})
        }
    };
    let kind = if usage.is_some() { "assistant" } else { "user" };
    let at = Timestamp::from_second(1_790_000_000 + number as i64).unwrap();
    json!({"type": kind, "sessionId": "s", "uuid": format!("u{number}"), "timestamp": at, "message": message})
        .to_string()
        + "\n"
}

proptest! {
    /// For any order of lines and any split of the bytes, the totals are those of each message's last line.
    #[test]
    fn any_order_of_lines_and_any_chunks_give_the_same_totals(
        messages in messages(),
        picks in prop::collection::vec(0..100_usize, 1..40),
        chunk in 1..300_usize,
        asked_after in 0..20_usize,
    ) {
        let text = shuffled(&messages, &picks);
        let mut file = SessionFile::new(Agent::CLAUDE, "home".into(), Timestamp::MIN);
        for (number, piece) in text.as_bytes().chunks(chunk).enumerate() {
            file.push(piece);
            if number >= asked_after {
                file.set_lineage(&[]);
            }
        }
        file.set_lineage(&[]);
        let total = file.take_update().unwrap().session.usage.session_total_tokens;
        let expected: u64 = messages.iter().map(|message| message.input + message.outputs.last().unwrap()).sum();
        prop_assert_eq!(total.map(|tokens| tokens.blended()), Some(expected));
    }

    /// What belongs to another file is never counted, whichever part of it that is, and what is left counts as before.
    #[test]
    fn two_files_with_common_messages_count_them_once(
        messages in messages(),
        picks in prop::collection::vec(0..100_usize, 1..40),
        shared in 0..8_usize,
    ) {
        let shared = shared.min(messages.len());
        let original = shuffled(&messages[..shared], &picks);
        let copy = shuffled(&messages, &picks);
        let mut reader = RowReader::new(Agent::CLAUDE);
        reader.push(original.as_bytes());
        let rows = reader.finish();
        let total = |text: &str, lineage: &[Vec<_>]| {
            let mut file = SessionFile::new(Agent::CLAUDE, "home".into(), Timestamp::MIN);
            file.push(text.as_bytes());
            file.set_lineage(lineage);
            let usage = file.take_update().unwrap().session.usage;
            usage.session_total_tokens.map_or(0, |tokens| tokens.blended())
        };
        let expected: u64 = messages.iter().map(|message| message.input + message.outputs.last().unwrap()).sum();
        prop_assert_eq!(total(&original, &[]) + total(&copy, &[rows]), expected);
    }

    /// Foreign bytes, also behind half a transcript, cost no line that follows them.
    #[test]
    fn foreign_bytes_cost_no_later_line(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cut in 0..600_usize,
        at in 0..600_usize,
    ) {
        let mut text = line(1, None).into_bytes();
        text.extend(line(2, Some((1, 10, 10))).into_bytes());
        text.truncate(cut);
        let at = at.min(text.len());
        text.splice(at..at, bytes);
        text.push(b'\n');
        text.extend(line(3, Some((2, 10, 10))).into_bytes());
        let mut file = SessionFile::new(Agent::CLAUDE, "home".into(), Timestamp::MIN);
        file.push(&text);
        file.set_lineage(&[]);
        let usage = file.take_update().map(|update| update.session.usage);
        let total = usage.and_then(|usage| usage.session_total_tokens).map_or(0, |tokens| tokens.blended());
        prop_assert!(total == 20 || total == 40, "{total}");
        file.jump();
        file.push(&text);
        prop_assert_eq!(Statusline::read(&text, Timestamp::UNIX_EPOCH), None);
        prop_assert_eq!(agent_presence::core::source::claude::limits::cached(&text), None);
    }
}
