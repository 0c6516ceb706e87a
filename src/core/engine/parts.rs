//! A session that several files tell: it goes on in another file, or one of its files was copied or moved.
//!
//! Each file is folded by itself. What they amount to together follows from what they tell now, so that neither the order
//! in which they are read nor their number changes it.

use std::cmp::Reverse;

use jiff::Timestamp;

use crate::core::file::Skipped;
use crate::core::session::{Session, TIMER_GAP, UsageEvent};
use crate::core::source_event::{FileId, ReadTo};
use crate::core::time::elapsed;
use crate::core::usage::Tokens;

/// The files of one session, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<Part>);

/// One file of a session.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: FileId,
    pub(super) skipped: Skipped,
    /// How far the file has been read.
    pub(super) read: Option<ReadTo>,
    /// What it tells; not kept of an only file, whose session is all there is.
    pub(super) told: Option<Box<Session>>,
    /// Whether it is followed no longer. What was used stays used.
    pub(super) is_gone: bool,
    /// Of its usage, the time of the newest that was told.
    pub(super) heard: Option<Timestamp>,
}

/// What one file adds to the total.
struct Share {
    begun_at: Option<Timestamp>,
    before: Tokens,
    total: Tokens,
}

impl Parts {
    /// Takes what a file tells now. `whole` is what they all told until now; returns what they tell with it.
    pub(super) fn put(&mut self, part: Part, told: Session, whole: &Session) -> Session {
        let file = part.file;
        if self.0.iter().all(|part| part.file == file) {
            self.0 = vec![part];
            return told;
        }
        if let [only] = self.0.as_mut_slice() {
            only.told = Some(Box::new(whole.clone()));
        }
        let place = self.0.iter().position(|part| part.file == file);
        let part = Part { told: Some(Box::new(told)), ..part };
        match place.and_then(|place| self.0.get_mut(place)) {
            Some(known) => *known = part,
            None => self.0.push(part),
        }
        self.joined().unwrap_or_else(|| whole.clone())
    }

    /// Follows a file no longer; whether another one of them is still followed.
    pub(super) fn lose(&mut self, file: FileId) -> bool {
        for part in self.0.iter_mut().filter(|part| part.file == file) {
            part.is_gone = true;
        }
        self.0.iter().any(|part| !part.is_gone)
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, file: FileId) -> bool {
        self.0.iter().any(|part| part.file == file)
    }

    /// Up to when usage was told that a file may tell again: its own, or, of one that is new, that of those that have gone.
    pub(super) fn heard(&self, file: FileId) -> Option<Timestamp> {
        let own = self.0.iter().find(|part| part.file == file);
        own.map_or_else(|| self.newest_of(|part| part.is_gone), |part| part.heard)
    }

    /// The same of all of them.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest_of(|_| true)
    }

    fn newest_of(&self, wanted: impl Fn(&Part) -> bool) -> Option<Timestamp> {
        self.0.iter().filter(|part| wanted(part)).filter_map(|part| part.heard).max()
    }

    /// Whether there are several.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.0.iter()
    }

    /// Makes events of one file those of the session. What another file has told already is none.
    pub(super) fn tell(&self, file: FileId, usage: &mut Vec<UsageEvent>) {
        if !self.are_several() {
            return;
        }
        usage.retain_mut(|event| {
            let Some(total) = event.usage.session_total_tokens else { return true };
            let whole = self.total(Some((file, total)));
            if let (Some(added), Some(whole)) = (event.added, whole) {
                let before = self.total(Some((file, total.minus(&added)))).unwrap_or_default();
                let added = whole.minus(&before);
                if added.is_zero() {
                    return false;
                }
                event.added = Some(added);
                event.usage.session_delta_tokens = Some(added);
            }
            event.usage.session_total_tokens = whole;
            true
        });
    }

    /// What all of them tell: the one with the newest line speaks, and until it has figures those before it stay.
    pub(super) fn joined(&self) -> Option<Session> {
        let told = || self.0.iter().rev().filter_map(|part| Some((part.is_gone, part.told.as_deref()?)));
        let (_, newest) = told().max_by_key(|(is_gone, told)| (!is_gone, told.last_event_at))?;
        let mut session = newest.clone();
        let counted = told().filter(|(_, told)| told.usage.session_total_tokens.is_some());
        if let Some((_, figures)) = counted.max_by_key(|(_, told)| told.last_token_event_at) {
            session.usage = figures.usage;
            session.usage.session_total_tokens = self.total(None);
            session.last_token_event_at = figures.last_token_event_at;
            if session.context.is_none() && session.context_used.is_none() {
                (session.context, session.context_used) = (figures.context, figures.context_used);
            }
            if session.model.is_none() {
                session.model.clone_from(&figures.model);
                session.effort.clone_from(&figures.effort);
                session.service_tier.clone_from(&figures.service_tier);
            }
        }
        for (_, told) in told() {
            told.folders().for_each(|folder| session.was_in(folder));
            session.lost |= told.lost;
        }
        session.counting = told().any(|(_, told)| told.counting);
        session.lower_bound = told().any(|(_, told)| told.lower_bound);
        session.started_at = told().filter_map(|(_, told)| told.started_at).min();
        // The stretch of lines that the newest one ends, without a long gap, may begin in other files.
        let stretches = || told().filter_map(|(_, told)| Some((told.timer_from?, told.last_event_at?)));
        while let Some(from) = session.timer_from
            && let Some(earlier) = stretches()
                .filter(|(begin, end)| *begin < from && elapsed(*end, from) <= TIMER_GAP)
                .map(|(begin, _)| begin)
                .min()
        {
            session.timer_from = Some(earlier);
        }
        Some(session)
    }

    /// The session's total; `instead`: if one file's total were this.
    fn total(&self, instead: Option<(FileId, Tokens)>) -> Option<Tokens> {
        let shares = self.0.iter().filter_map(|part| {
            let told = part.told.as_deref()?;
            let instead = instead.filter(|(file, _)| *file == part.file).map(|(_, total)| total);
            let total = instead.or(told.usage.session_total_tokens)?;
            Some(Share {
                begun_at: told.file_begun_at,
                before: told.before.as_deref().copied().unwrap_or_default(),
                total,
            })
        });
        let mut shares: Vec<Share> = shares.collect();
        // Of copies of one file, the fullest.
        shares.sort_by_key(|share| (share.begun_at, Reverse(share.total.all())));
        shares.dedup_by(|copy, share| share.begun_at.is_some() && copy.begun_at == share.begun_at);
        shares
            .into_iter()
            .map(|share| (share.before, share.total))
            .reduce(|(_, sum), (before, total)| {
                // What came before a file is in those before it, unless they are not there.
                let sum = sum.plus(&before.minus(&sum));
                (Tokens::ZERO, sum.plus(&total.minus(&before)))
            })
            .map(|(_, sum)| sum)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::core::activity::Activity;
    use crate::core::engine::{Engine, Input, Output, Progress};
    use crate::core::file::SessionFile;
    use crate::core::publish::Publisher;
    use crate::core::report::{EventKind, SessionReport};
    use crate::core::settings::Settings;
    use crate::core::source::Agent;
    use crate::core::source_event::{FileIdentity, SourceEvent};
    use crate::core::time::{Now, later};

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
            let info =
                format!(r#"{{"total_token_usage":{},"last_token_usage":{}}}"#, usage(total), usage(last));
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

    /// What comes of a file as it stands at `second`: what was added, and the sessions after it.
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

    /// It goes on from 100 of the 150 that were used, in a file of its own, and then in another one from nothing.
    fn three() -> [(u64, String); 3] {
        [
            (1, lines(0, &[(100, 100), (150, 50)])),
            (2, lines(100, &[(120, 20), (150, 30)])),
            (3, lines(200, &[(7, 7)])),
        ]
    }

    #[test]
    fn neither_the_order_nor_the_way_of_reading_matters() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for inherits in [false, true] {
                let (mut engine, files) = (engine(), three());
                let told = |(number, bytes): &(u64, String)| Progress {
                    read: read_to((*number, bytes)),
                    activity: Activity::Waiting,
                    ended: false,
                    untold: false,
                };
                if inherits {
                    engine.inherit(&files.each_ref().map(told), &[], None);
                }
                for place in order {
                    let (number, bytes) = &files[place];
                    let told = read(&mut engine, 210, (*number, bytes), false);
                    assert!(told.iter().all(Option::is_none), "nothing is news: {told:?}");
                }
                let session = session(&engine, 210);
                let tokens = session.tokens;
                assert_eq!(
                    (tokens.delta, tokens.last, tokens.total),
                    (Some(7), Some(7), Some(207)),
                    "{order:?}"
                );
                assert_eq!(session.started_at, Some(BEGAN));
            }
        }
    }

    #[test]
    fn a_file_that_is_gone_has_still_been_used() {
        let (mut engine, [first, second, _]) = (engine(), three());
        read(&mut engine, 110, (first.0, &first.1), false);
        read(&mut engine, 110, (second.0, &second.1), false);
        for (gone, sessions) in [(first.0, 1), (second.0, 0)] {
            let total = engine.sessions_report(now(110)).first().and_then(|session| session.tokens.total);
            assert_eq!(total, Some(200));
            handle(&mut engine, 110, SourceEvent::Gone { file: FileId::new(gone) });
            assert_eq!(engine.sessions_report(now(110)).len(), sessions);
        }
        // Nothing is left of it for a file that begins anew.
        read(&mut engine, 111, (9, &lines(0, &[(10, 10)])), false);
        assert_eq!(session(&engine, 111).tokens.total, Some(10));
    }

    #[test]
    fn what_was_told_of_a_file_is_not_told_again_when_it_is_read_again_or_is_back() {
        let mut engine = engine();
        let counts = [(100, 100), (150, 50), (170, 20), (175, 5)];
        let (new, grown) = (vec![Some(100), Some(50)], vec![None, Some(20)]);
        // It is replaced, cut, and rewritten.
        for (count, expected) in [(2, new), (2, vec![None]), (1, vec![None]), (3, grown)] {
            let told = read(&mut engine, 10, (1, &lines(0, &counts[..count])), true);
            assert_eq!((session(&engine, 10).restored, told), (expected.len() == 1, expected));
        }
        handle(&mut engine, 10, SourceEvent::Gone { file: FileId::new(1) });
        assert_eq!(read(&mut engine, 10, (2, &lines(0, &counts)), true), [None, Some(5)]);
        // Another session in its place has told nothing.
        let other = lines(0, &counts[..1]).replace("\"id\":\"s\"", "\"id\":\"other\"");
        assert_eq!(read(&mut engine, 10, (2, &other), true), [Some(100)]);
    }

    /// As a program that mirrors a folder does.
    #[test]
    fn two_copies_that_grow_tell_each_event_once() {
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
    fn a_session_that_ended_long_ago_goes_on_with_its_figures() {
        const LATER: u64 = 3 * 86_400;
        let (mut engine, [first, ..]) = (engine(), three());
        read(&mut engine, LATER, (first.0, &first.1), false);
        assert!(engine.sessions_report(now(LATER)).is_empty());
        let second = lines(LATER - 10, &[(120, 20), (150, 30)]);
        assert_eq!(read(&mut engine, LATER, (2, &second), true).last(), Some(&Some(30)));
        assert_eq!(session(&engine, LATER).tokens.total, Some(200));
    }

    #[test]
    fn a_stream_of_a_session_that_ended_long_ago_is_not_taken_for_its_old_file() {
        const LATER: u64 = 3 * 86_400;
        let (mut engine, [first, ..]) = (engine(), three());
        read(&mut engine, LATER, (first.0, &first.1), false);
        let text = lines(LATER - 10, &[(120, 20)]);
        let mut stream = SessionFile::new(Agent::CODEX, Arc::from("/home"), Timestamp::MIN);
        stream.push(text.as_bytes());
        let update = Box::new(stream.take_update().unwrap());
        let file = FileId::stream(1);
        let told = handle(&mut engine, LATER, SourceEvent::Updated { file, update, read: None });
        assert_eq!(told, [Some(20)]);
        let second = lines(LATER - 10, &[(120, 20), (150, 30)]);
        assert_eq!(read(&mut engine, LATER, (2, &second), true), [Some(30)]);
        assert_eq!(session(&engine, LATER).tokens.total, Some(200));
    }
}
