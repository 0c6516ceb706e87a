//! The combination of several files of one session.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::activity::Activity;
use crate::engine::{Engine, Input, Output, Progress};
use crate::file::SessionFile;
use crate::publish::Publisher;
use crate::report::{EventKind, SessionReport};
use crate::settings::Settings;
use crate::source::Agent;
use crate::source_event::{FileIdentity, SourceEvent};
use crate::time::{Now, later};

const BEGAN: Timestamp = Timestamp::constant(1_796_000_000, 0);

fn now(second: u64) -> Now {
    let mono = Duration::from_secs(second);
    Now { mono, wall: later(BEGAN, mono) }
}

/// A file begun at a second, with a count of `(total, last)` each second from then on.
fn lines(begun: u64, counts: &[(u64, u64)]) -> String {
    let at = |second| later(BEGAN, Duration::from_secs(second));
    let mut text = format!(
        r#"{{"timestamp":"{0}","type":"session_meta","payload":{{"id":"s","timestamp":"{0}","source":"cli"}}}}"#,
        at(begun)
    );
    text.push('\n');
    for (second, (total, last)) in (begun + 1..).zip(counts) {
        let usage = |n: &u64| format!(r#"{{"input_tokens":{n},"output_tokens":0,"total_tokens":{n}}}"#);
        let info = format!(r#"{{"total_token_usage":{},"last_token_usage":{}}}"#, usage(total), usage(last));
        text += &format!(
            "{{\"timestamp\":\"{}\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"token_count\",\"info\":{info}}}}}\n",
            at(second)
        );
    }
    text
}

fn engine() -> Engine {
    let settings = Settings::default();
    let publisher = Publisher::new(0, &settings);
    Engine::new(settings, TimeZone::UTC, publisher)
}

fn read_to((number, bytes): (u64, &str)) -> ReadTo {
    ReadTo { file: FileIdentity(0, number), offset: bytes.len() as u64 }
}

/// The events of a file's state at `second`: the added tokens, and the sessions afterwards.
fn read(engine: &mut Engine, second: u64, file: (u64, &str), live: bool) -> Vec<Option<u64>> {
    let (number, bytes) = file;
    let live_since = if live { Timestamp::MIN } else { Timestamp::MAX };
    let mut fold = SessionFile::new(Agent::CODEX, Arc::from("/home"), live_since);
    fold.push(bytes.as_bytes());
    fold.caught_up();
    let update = Box::new(fold.take_update().unwrap());
    let read = Some(read_to(file));
    handle(engine, second, SourceEvent::Updated { file: FileId::new(number), update, read })
}

fn handle(engine: &mut Engine, second: u64, event: SourceEvent) -> Vec<Option<u64>> {
    engine.handle(now(second), Input::Source(event));
    let outputs = std::iter::from_fn(|| engine.poll_output(now(second)));
    let usage = |output| match output {
        Output::Event(event) => match event.kind {
            EventKind::Usage(usage) => Some(usage.added().map(|added| added.input)),
            _ => None,
        },
        _ => None,
    };
    outputs.filter_map(usage).collect()
}

fn session(engine: &Engine, second: u64) -> SessionReport {
    let sessions = engine.sessions_report(now(second));
    assert_eq!(sessions.len(), 1);
    sessions.into_iter().next().unwrap()
}

/// The session continues from 100 of the 150 used tokens in another file, and then from zero in a third one.
fn three() -> [(u64, String); 3] {
    [
        (1, lines(0, &[(100, 100), (150, 50)])),
        (2, lines(100, &[(120, 20), (150, 30)])),
        (3, lines(200, &[(7, 7)])),
    ]
}

#[test]
fn totals_do_not_depend_on_the_order_or_way_of_reading() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for inherits in [false, true] {
            let (mut engine, files) = (engine(), three());
            let reported = |(number, bytes): &(u64, String)| Progress {
                read: read_to((*number, bytes)),
                activity: Activity::Waiting,
                ended: false,
                untold: false,
            };
            if inherits {
                engine.inherit(&files.each_ref().map(reported), &[], None);
            }
            for place in order {
                let (number, bytes) = &files[place];
                let reported = read(&mut engine, 210, (*number, bytes), false);
                assert!(reported.iter().all(Option::is_none), "nothing is new: {reported:?}");
            }
            let session = session(&engine, 210);
            let tokens = session.tokens;
            assert_eq!((tokens.delta, tokens.last, tokens.total), (Some(7), Some(7), Some(207)), "{order:?}");
            assert_eq!(session.started_at, Some(BEGAN));
        }
    }
}

#[test]
fn the_usage_of_a_deleted_file_still_counts() {
    let (mut engine, [first, second, _]) = (engine(), three());
    read(&mut engine, 110, (first.0, &first.1), false);
    read(&mut engine, 110, (second.0, &second.1), false);
    for (gone, sessions) in [(first.0, 1), (second.0, 0)] {
        let total = engine.sessions_report(now(110)).first().and_then(|session| session.tokens.total);
        assert_eq!(total, Some(200));
        handle(&mut engine, 110, SourceEvent::Gone { file: FileId::new(gone) });
        assert_eq!(engine.sessions_report(now(110)).len(), sessions);
    }
    // Nothing is left of it for a file that begins again.
    read(&mut engine, 111, (9, &lines(0, &[(10, 10)])), false);
    assert_eq!(session(&engine, 111).tokens.total, Some(10));
}

#[test]
fn usage_of_a_file_is_not_repeated_when_it_is_read_again_or_is_back() {
    let mut engine = engine();
    let counts = [(100, 100), (150, 50), (170, 20), (175, 5)];
    let (new, grown) = (vec![Some(100), Some(50)], vec![None, Some(20)]);
    // It is replaced, cut, and rewritten.
    for (count, expected) in [(2, new), (2, vec![None]), (1, vec![None]), (3, grown)] {
        let reported = read(&mut engine, 10, (1, &lines(0, &counts[..count])), true);
        assert_eq!((session(&engine, 10).restored, reported), (expected.len() == 1, expected));
    }
    handle(&mut engine, 10, SourceEvent::Gone { file: FileId::new(1) });
    assert_eq!(read(&mut engine, 10, (2, &lines(0, &counts)), true), [None, Some(5)]);
    // Another session in its place has reported nothing.
    let other = lines(0, &counts[..1]).replace("\"id\":\"s\"", "\"id\":\"other\"");
    assert_eq!(read(&mut engine, 10, (2, &other), true), [Some(100)]);
}

/// Like a program that mirrors a folder.
#[test]
fn two_growing_copies_give_each_event_once() {
    let mut engine = engine();
    let text = lines(0, &[(100, 100), (150, 50), (170, 20)]);
    let new = || SessionFile::new(Agent::CODEX, Arc::from("/home"), Timestamp::MIN);
    let (mut original, mut copy) = (new(), new());
    let mut heard = Vec::new();
    for line in text.split_inclusive('\n') {
        for (number, file) in [(1, &mut original), (2, &mut copy)] {
            file.push(line.as_bytes());
            file.caught_up();
            let update = Box::new(file.take_update().unwrap());
            let file = FileId::new(number);
            let event = SourceEvent::Updated { file, update, read: None };
            heard.extend(handle(&mut engine, 10, event).into_iter().map(|added| (number, added)));
        }
    }
    assert_eq!(heard, [(1, Some(100)), (1, Some(50)), (1, Some(20))]);
    assert_eq!(session(&engine, 10).tokens.total, Some(170));
}

#[test]
fn a_session_that_ended_long_ago_continues_with_its_figures() {
    const LATER: u64 = 3 * 86_400;
    let (mut engine, [first, ..]) = (engine(), three());
    read(&mut engine, LATER, (first.0, &first.1), false);
    assert!(engine.sessions_report(now(LATER)).is_empty());
    let second = lines(LATER - 10, &[(120, 20), (150, 30)]);
    assert_eq!(read(&mut engine, LATER, (2, &second), true).last(), Some(&Some(30)));
    assert_eq!(session(&engine, LATER).tokens.total, Some(200));
}

#[test]
fn a_stream_of_a_session_that_ended_long_ago_is_not_its_old_file() {
    const LATER: u64 = 3 * 86_400;
    let (mut engine, [first, ..]) = (engine(), three());
    read(&mut engine, LATER, (first.0, &first.1), false);
    let text = lines(LATER - 10, &[(120, 20)]);
    let mut stream = SessionFile::new(Agent::CODEX, Arc::from("/home"), Timestamp::MIN);
    stream.push(text.as_bytes());
    let update = Box::new(stream.take_update().unwrap());
    let file = FileId::stream(1);
    let reported = handle(&mut engine, LATER, SourceEvent::Updated { file, update, read: None });
    assert_eq!(reported, [Some(20)]);
    let second = lines(LATER - 10, &[(120, 20), (150, 30)]);
    assert_eq!(read(&mut engine, LATER, (2, &second), true), [Some(30)]);
    assert_eq!(session(&engine, LATER).tokens.total, Some(200));
}
