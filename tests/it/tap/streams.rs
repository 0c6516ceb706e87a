//! What the streams of both agents give, fixture by fixture. Each fixture stands for one fact of the format.

use std::path::PathBuf;

use agent_presence::core::file::{FileUpdate, Stream};
use agent_presence::core::limits::LimitsBook;
use agent_presence::core::source::Agent;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::SECRET;
use crate::support::fixtures::{expected_in, root};

/// Every stream among the fixtures, with what it must give.
fn expected(agent: Agent) -> impl Iterator<Item = (PathBuf, Value)> {
    let folder = root(agent).with_file_name(format!("{}-stream", agent.word()));
    let expected = expected_in(&folder).into_iter();
    expected.map(move |(name, expected)| (folder.join(format!("{name}.jsonl")), expected))
}

fn fixtures(agent: Agent) -> impl Iterator<Item = PathBuf> {
    expected(agent).map(|(path, _)| path)
}

fn read<'a>(
    agent: Option<Agent>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    settle: bool,
) -> Vec<FileUpdate> {
    let at = Timestamp::from_second(1_790_000_000).unwrap();
    let mut stream = Stream::new(agent, "unnamed".to_owned(), Some("/work/here".to_owned()));
    let mut updates = Vec::new();
    for piece in pieces {
        stream.push(piece, at);
        if settle {
            stream.settle(at);
        }
        updates.extend(stream.take_updates());
    }
    stream.finish(at);
    updates.extend(stream.take_updates());
    updates
}

/// What an expectation compares, session by session.
fn told(updates: &[FileUpdate]) -> Value {
    let mut sessions: Vec<(String, Value, Vec<Value>)> = Vec::new();
    for update in updates {
        let id = &update.session.id;
        if sessions.last().is_none_or(|(last, ..)| last != id) {
            sessions.push((id.clone(), Value::Null, Vec::new()));
        }
        let (_, total, events) = sessions.last_mut().unwrap();
        *total = json!(update.session.usage.session_total_tokens);
        for event in &update.usage {
            assert_eq!(event.added, event.usage.session_delta_tokens);
            events.push(json!({"added": event.added, "call": event.call}));
        }
    }
    sessions
        .into_iter()
        .map(|(id, total, events)| json!({"id": id, "total": total, "events": events}))
        .collect()
}

/// The windows of each family: length, use, reset.
fn limits_told(updates: &[FileUpdate]) -> Value {
    let mut book = LimitsBook::default();
    updates.iter().for_each(|update| drop(book.learn(update.limits.clone())));
    let families = book.iter().map(|limits| {
        let windows = limits.windows.iter().map(|window| {
            json!([window.minutes, window.used_percent, window.resets_at.map(Timestamp::as_second)])
        });
        (limits.family.clone(), windows.collect::<Value>())
    });
    families.collect::<serde_json::Map<_, _>>().into()
}

fn check_all(agent: Agent) {
    for (path, expected) in expected(agent) {
        let bytes = std::fs::read(&path).unwrap();
        for agent in [None, Some(agent)] {
            let updates = read(agent, [&*bytes], false);
            assert_eq!(told(&updates), expected["sessions"], "{}: {}", path.display(), expected["fact"]);
            let limits = expected.get("limits").cloned().unwrap_or_else(|| json!({}));
            assert_eq!(limits_told(&updates), limits, "{}: {}", path.display(), expected["fact"]);
        }
    }
}

#[test]
fn every_stream_of_codex_gives_what_its_fact_says() {
    check_all(Agent::CODEX);
}

#[test]
fn every_stream_of_claude_gives_what_its_fact_says() {
    check_all(Agent::CLAUDE);
}

#[test]
fn no_update_holds_a_secret() {
    for path in [Agent::CODEX, Agent::CLAUDE].into_iter().flat_map(fixtures) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(path.ends_with("no-numbers.jsonl") || !bytes.is_empty());
        for mut update in read(None, [&*bytes], false) {
            // Folders are what rules of privacy go by; of them only the last name is ever shown.
            update.session.other_folders.clear();
            update.session.cwd = update.session.project().map(Into::into);
            assert!(!format!("{update:?}").contains(SECRET), "{}: {update:?}", path.display());
        }
    }
}

#[test]
fn a_session_without_a_folder_is_where_it_was_started() {
    let stream = b"{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n";
    let updates = read(None, [&stream[..]], false);
    assert_eq!(updates[0].session.project(), Some("here"));
}

proptest! {
    /// Any split of the same bytes gives the same.
    #[test]
    fn chunking_does_not_matter(which in any::<prop::sample::Index>(), mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let all: Vec<PathBuf> = [Agent::CODEX, Agent::CLAUDE].into_iter().flat_map(fixtures).collect();
        let bytes = std::fs::read(which.get(&all)).unwrap();
        let mut at: Vec<usize> = cuts.drain(..).map(|cut| cut.index(bytes.len())).collect();
        at.sort_unstable();
        let ends = at.iter().copied().chain([bytes.len()]);
        let pieces: Vec<&[u8]> =
            [0].into_iter().chain(at.iter().copied()).zip(ends).map(|(from, to)| &bytes[from..to]).collect();
        prop_assert_eq!(told(&read(None, pieces, false)), told(&read(None, [&*bytes], false)));
    }

    /// What is held back may be told at any time: the total is the same.
    #[test]
    fn pauses_change_no_total(which in any::<prop::sample::Index>(), chunk in 1_usize..3000) {
        let all: Vec<PathBuf> = [Agent::CODEX, Agent::CLAUDE].into_iter().flat_map(fixtures).collect();
        let bytes = std::fs::read(which.get(&all)).unwrap();
        let totals = |updates: &[FileUpdate]| -> Vec<Value> {
            told(updates).as_array().unwrap().iter().map(|session| session["total"].clone()).collect()
        };
        prop_assert_eq!(totals(&read(None, bytes.chunks(chunk), true)), totals(&read(None, [&*bytes], false)));
    }

    /// Nothing that is no stream is taken for one, and nothing fails.
    #[test]
    fn garbage_lines_are_skipped(bytes in prop::collection::vec(any::<u8>(), 0..3000), agent in prop::sample::select(vec![Agent::CODEX, Agent::CLAUDE])) {
        prop_assert!(read(None, [&*bytes], false).is_empty());
        read(Some(agent), [&*bytes], true);
    }

    /// Damage at any place is read the same in any pieces.
    #[test]
    fn a_damaged_stream_gives_the_same_in_pieces(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), chunk in 1_usize..3000) {
        let all: Vec<PathBuf> = [Agent::CODEX, Agent::CLAUDE].into_iter().flat_map(fixtures).collect();
        let mut bytes = std::fs::read(which.get(&all)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(told(&read(None, bytes.chunks(chunk), false)), told(&read(None, [&*bytes], false)));
    }
}
