//! What listeners have heard of a session, and so what they hear of the next update.
//!
//! - The first word on a file is figures as they were found: no events. What comes after it is news, whatever its stamp.
//! - A file that is read from its start again, or is back, does not tell again what is not newer than what it told.
//! - What an earlier engine has told is told no more: all of what an update brings that comes exactly as far as it did.
//! - What the session's stream has told is taken off what its file tells.
//! - Figures that were found of a session that sleeps are told when it goes on, and so is that it is back.
//!
//! Read next: `sessions`, which asks; `tapped`, for streams; `parts`, for what several files tell of one event.

use jiff::Timestamp;

use super::handover::Progress;
use super::report::restored;
use super::tapped::Streamed;
use crate::core::activity::Activity;
use crate::core::session::{Session, UsageEvent};
use crate::core::source::Agent;
use crate::core::source_event::ReadTo;

/// What listeners have heard of one session.
#[derive(Debug)]
pub(super) struct Told {
    activity: Activity,
    /// Whether its end was told, or its beginning never was.
    ended: bool,
    /// Whether its figures were found and not told yet.
    untold: bool,
    /// What the session's stream has told that its file is going to tell.
    streamed: Option<Box<Streamed>>,
    /// What was told last of what lasts of it.
    about: u32,
}

/// One thing that listeners hear.
#[derive(Debug, PartialEq)]
pub(super) enum Word {
    Begins,
    Activity(Activity),
    Usage(Box<UsageEvent>),
    Ends,
}

impl Default for Told {
    fn default() -> Self {
        Self { activity: Activity::Idle, ended: true, untold: false, streamed: None, about: 0 }
    }
}

impl Told {
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The session that was `before` has come to be `session`, by this usage. `anew`: its figures were found, and nothing
    /// of it had been known.
    pub(super) fn update(
        &mut self,
        (before, session): (&Session, &Session),
        activity: Activity,
        anew: bool,
        usage: Vec<UsageEvent>,
    ) -> Vec<Word> {
        let mut words = Vec::new();
        // One that sleeps is told by `turn`, like all others.
        let asleep = activity == Activity::Idle;
        if !asleep {
            let is_back = std::mem::take(&mut self.ended);
            words.extend((is_back || anew).then_some(Word::Begins));
            let was = std::mem::replace(&mut self.activity, activity);
            words.extend((was != activity).then_some(Word::Activity(activity)));
        }
        let (news, mut found): (Vec<_>, Vec<_>) = usage.into_iter().partition(|event| event.added.is_some());
        let found = found.pop().or_else(|| self.untold.then(|| restored(before)));
        // Figures of a session that is long idle are not news until it goes on, nor are provisional ones.
        let goes_on = !asleep || !news.is_empty();
        self.untold = found.is_some() && (!goes_on || session.counting);
        let mut found = found.filter(|_| !self.untold);
        if let Some(found) = found.as_mut().filter(|_| news.is_empty()) {
            // A turn may have begun since.
            found.usage = session.usage;
        }
        words.extend(found.into_iter().chain(news).map(|event| Word::Usage(Box::new(event))));
        words
    }

    /// What the session does has become this, by whatever.
    pub(super) fn turn(&mut self, activity: Activity) -> Vec<Word> {
        if std::mem::replace(&mut self.activity, activity) == activity {
            return Vec::new();
        }
        let is_back = activity != Activity::Idle && std::mem::take(&mut self.ended);
        let ends = if activity == Activity::Idle { self.end() } else { None };
        let begins = is_back.then_some(Word::Begins);
        begins.into_iter().chain([Word::Activity(activity)]).chain(ends).collect()
    }

    /// What lasts of it is this now; whether that is to be told.
    pub(super) fn describe(&mut self, about: u32) -> bool {
        std::mem::replace(&mut self.about, about) != about
    }

    /// The session is over.
    pub(super) fn end(&mut self) -> Option<Word> {
        (!std::mem::replace(&mut self.ended, true)).then_some(Word::Ends)
    }

    /// What the next engine needs to know, of a file of the session.
    pub(super) fn progress(&self, read: ReadTo) -> Progress {
        Progress { read, activity: self.activity, ended: self.ended, untold: self.untold }
    }

    /// An earlier engine has told everything up to here: nothing is heard. `any`: usage was found.
    pub(super) fn inherit(&mut self, earlier: Progress, any: bool) -> Vec<Word> {
        let untold = earlier.untold && (self.untold || any);
        *self = Self { activity: earlier.activity, ended: earlier.ended, untold, ..Self::default() };
        Vec::new()
    }

    /// A file tells the session from here on, of which a stream has told this.
    pub(super) fn give_way(self, streamed: Option<Streamed>) -> Self {
        Self { untold: false, streamed: streamed.map(Box::new), ..self }
    }

    /// Leaves of a file's usage what the session's stream has not told.
    pub(super) fn take_off(&mut self, agent: Agent, usage: &mut Vec<UsageEvent>) {
        let streamed = self.streamed.take();
        self.streamed = streamed.and_then(|streamed| streamed.take_off(agent, usage)).map(Box::new);
    }
}

/// A file was read from its start: of its usage, what is not newer than what it has told is figures that were found.
pub(super) fn find(usage: &mut Vec<UsageEvent>, heard: Option<Timestamp>) {
    let Some(heard) = heard else { return };
    let old = usage.iter().take_while(|event| event.added.is_none() || event.at <= heard).count();
    let mut found = usage.drain(..old).next_back();
    usage.retain(|event| event.at > heard);
    if let Some(found) = &mut found {
        (found.added, found.call, found.unlisted) = (None, None, false);
    }
    usage.splice(..0, found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::usage::{Tokens, Usage};

    const EARLY: Timestamp = Timestamp::constant(1_796_000_000, 0);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(EARLY.as_second() + second).unwrap()
    }

    fn event(second: i64, added: Option<u64>) -> UsageEvent {
        let added = added.map(|input| Tokens { input, ..Tokens::ZERO });
        let at = at(second);
        UsageEvent { at, turn: None, usage: Usage::default(), added, call: None, unlisted: false }
    }

    /// What is left of these, after this second was told: when, and whether it is news.
    fn left(heard: Option<i64>, events: &[(i64, Option<u64>)]) -> Vec<(i64, bool)> {
        let mut usage = events.iter().map(|(second, added)| event(*second, *added)).collect();
        find(&mut usage, heard.map(at));
        usage.iter().map(|event| (event.at.as_second() - EARLY.as_second(), event.added.is_some())).collect()
    }

    #[test]
    fn of_what_is_read_again_only_what_is_newer_is_news() {
        let events = [(1, Some(5)), (2, Some(5)), (3, Some(5))];
        assert_eq!(left(None, &events), [(1, true), (2, true), (3, true)], "nothing of it was told");
        assert_eq!(left(Some(0), &events), [(1, true), (2, true), (3, true)]);
        assert_eq!(
            left(Some(2), &events),
            [(2, false), (3, true)],
            "the newest of the rest is what was found"
        );
        assert_eq!(left(Some(9), &events), [(3, false)]);
        assert_eq!(left(Some(1), &[(0, None), (1, Some(5)), (2, Some(5))]), [(1, false), (2, true)]);
        assert_eq!(left(Some(1), &[(0, None), (2, Some(5))]), [(0, false), (2, true)]);
        // A clock that was set back: what stands behind news and is older was told as well.
        assert_eq!(left(Some(2), &[(1, Some(5)), (3, Some(5)), (2, Some(5))]), [(1, false), (3, true)]);
        assert_eq!(left(Some(2), &[]), []);
    }

    #[test]
    fn a_session_that_sleeps_and_wakes_begins_again_and_ends_again() {
        let mut told = Told::default();
        assert_eq!(told.turn(Activity::Idle), [], "nobody knows of it");
        assert_eq!(told.turn(Activity::Waiting), [Word::Begins, Word::Activity(Activity::Waiting)]);
        assert_eq!(told.turn(Activity::Waiting), []);
        assert_eq!(told.turn(Activity::Idle), [Word::Activity(Activity::Idle), Word::Ends]);
        assert_eq!(told.end(), None, "it has ended");
        assert_eq!(told.turn(Activity::Waiting), [Word::Begins, Word::Activity(Activity::Waiting)]);
        assert_eq!(told.end(), Some(Word::Ends));
    }
}
