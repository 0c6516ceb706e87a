//! What was reported of a session to listeners, and so what is reported of its next update.
//!
//! - The first update of a file has figures as they were found: no events. Later ones are new, independent of their
//!   times.
//! - A file that is read again from its start, or is back, does not repeat events up to the newest one that it
//!   reported.
//! - Events that an earlier engine has reported are not repeated: all those of an update up to the same position.
//! - Tokens that the session's stream has reported are subtracted from those of its file.
//! - Figures that were found of an idle session are reported when it continues, together with its return.
//!
//! Read next: `sessions`, which uses this; `tapped` for streams; `parts` for events that several files contain.

use jiff::Timestamp;

use super::handover::Progress;
use super::report::restored;
use super::tapped::StreamReport;
use crate::activity::Activity;
use crate::session::{Session, UsageEvent};
use crate::source::Agent;
use crate::source_event::ReadTo;

/// What was reported of one session.
#[derive(Debug)]
pub(super) struct ReportState {
    activity: Activity,
    /// Whether its end was reported, or its beginning never was.
    ended: bool,
    /// Whether its figures were found and not reported yet.
    untold: bool,
    /// What the session's stream has reported and its file still has to report.
    streamed: Option<Box<StreamReport>>,
    /// A hash of the lasting facts that were reported last.
    about: u32,
}

/// One event for listeners.
#[derive(Debug, PartialEq)]
pub(super) enum Announcement {
    Begins,
    Activity(Activity),
    Usage(Box<UsageEvent>),
    Ends,
}

impl Default for ReportState {
    fn default() -> Self {
        Self { activity: Activity::Idle, ended: true, untold: false, streamed: None, about: 0 }
    }
}

impl ReportState {
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The session has changed from `before` to `session`, with this usage. `anew`: its figures were found, and
    /// nothing of it was known before.
    pub(super) fn update(
        &mut self,
        (before, session): (&Session, &Session),
        activity: Activity,
        anew: bool,
        usage: Vec<UsageEvent>,
    ) -> Vec<Announcement> {
        let mut announcements = Vec::new();
        // An idle session is reported by `turn`, like all others.
        let asleep = activity == Activity::Idle;
        if !asleep {
            let is_back = std::mem::take(&mut self.ended);
            announcements.extend((is_back || anew).then_some(Announcement::Begins));
            let was = std::mem::replace(&mut self.activity, activity);
            announcements.extend((was != activity).then_some(Announcement::Activity(activity)));
        }
        let (news, mut found): (Vec<_>, Vec<_>) = usage.into_iter().partition(|event| event.added.is_some());
        let found = found.pop().or_else(|| self.untold.then(|| restored(before)));
        // Figures of a session that is idle for long are not reported until it continues, nor are provisional ones.
        let goes_on = !asleep || !news.is_empty();
        self.untold = found.is_some() && (!goes_on || session.counting);
        let mut found = found.filter(|_| !self.untold);
        if let Some(found) = found.as_mut().filter(|_| news.is_empty()) {
            // A turn may have begun since.
            found.usage = session.usage;
        }
        announcements.extend(found.into_iter().chain(news).map(|event| Announcement::Usage(Box::new(event))));
        announcements
    }

    /// The session's activity has changed to this.
    pub(super) fn turn(&mut self, activity: Activity) -> Vec<Announcement> {
        if std::mem::replace(&mut self.activity, activity) == activity {
            return Vec::new();
        }
        let is_back = activity != Activity::Idle && std::mem::take(&mut self.ended);
        let ends = if activity == Activity::Idle { self.end() } else { None };
        let begins = is_back.then_some(Announcement::Begins);
        begins.into_iter().chain([Announcement::Activity(activity)]).chain(ends).collect()
    }

    /// Sets the hash of the lasting facts; true if they have to be reported.
    pub(super) fn describe(&mut self, about: u32) -> bool {
        std::mem::replace(&mut self.about, about) != about
    }

    /// The session has ended.
    pub(super) fn end(&mut self) -> Option<Announcement> {
        (!std::mem::replace(&mut self.ended, true)).then_some(Announcement::Ends)
    }

    /// The state for the next engine, for a file of the session.
    pub(super) fn progress(&self, read: ReadTo) -> Progress {
        Progress { read, activity: self.activity, ended: self.ended, untold: self.untold }
    }

    /// An earlier engine has reported everything up to here: nothing is reported. `any`: usage was found.
    pub(super) fn inherit(&mut self, earlier: Progress, any: bool) -> Vec<Announcement> {
        let untold = earlier.untold && (self.untold || any);
        *self = Self { activity: earlier.activity, ended: earlier.ended, untold, ..Self::default() };
        Vec::new()
    }

    /// A file replaces the stream that has reported this.
    pub(super) fn give_way(self, streamed: Option<StreamReport>) -> Self {
        Self { untold: false, streamed: streamed.map(Box::new), ..self }
    }

    /// Keeps the usage of a file that the session's stream has not reported.
    pub(super) fn take_off(&mut self, agent: Agent, usage: &mut Vec<UsageEvent>) {
        let streamed = self.streamed.take();
        self.streamed = streamed.and_then(|streamed| streamed.take_off(agent, usage)).map(Box::new);
    }
}

/// A file was read from its start: usage up to the newest that it reported counts as found figures.
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
    use crate::usage::{Tokens, Usage};

    const EARLY: Timestamp = Timestamp::constant(1_796_000_000, 0);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(EARLY.as_second() + second).unwrap()
    }

    fn event(second: i64, added: Option<u64>) -> UsageEvent {
        let added = added.map(|input| Tokens { input, ..Tokens::ZERO });
        let at = at(second);
        UsageEvent { at, turn: None, usage: Usage::default(), added, call: None, unlisted: false }
    }

    /// The remaining events after the one at `heard` was reported: their times, and whether each is new.
    fn left(heard: Option<i64>, events: &[(i64, Option<u64>)]) -> Vec<(i64, bool)> {
        let mut usage = events.iter().map(|(second, added)| event(*second, *added)).collect();
        find(&mut usage, heard.map(at));
        usage.iter().map(|event| (event.at.as_second() - EARLY.as_second(), event.added.is_some())).collect()
    }

    #[test]
    fn only_newer_events_of_a_file_read_again_are_new() {
        let events = [(1, Some(5)), (2, Some(5)), (3, Some(5))];
        assert_eq!(left(None, &events), [(1, true), (2, true), (3, true)], "nothing was reported before");
        assert_eq!(left(Some(0), &events), [(1, true), (2, true), (3, true)]);
        assert_eq!(
            left(Some(2), &events),
            [(2, false), (3, true)],
            "the newest of the rest is what was found"
        );
        assert_eq!(left(Some(9), &events), [(3, false)]);
        assert_eq!(left(Some(1), &[(0, None), (1, Some(5)), (2, Some(5))]), [(1, false), (2, true)]);
        assert_eq!(left(Some(1), &[(0, None), (2, Some(5))]), [(0, false), (2, true)]);
        // A clock that was set back: an older event after new ones was reported as well.
        assert_eq!(left(Some(2), &[(1, Some(5)), (3, Some(5)), (2, Some(5))]), [(1, false), (3, true)]);
        assert_eq!(left(Some(2), &[]), []);
    }

    #[test]
    fn an_idle_session_that_continues_begins_and_ends_again() {
        let mut reported = ReportState::default();
        assert_eq!(reported.turn(Activity::Idle), [], "listeners do not know it");
        assert_eq!(
            reported.turn(Activity::Waiting),
            [Announcement::Begins, Announcement::Activity(Activity::Waiting)]
        );
        assert_eq!(reported.turn(Activity::Waiting), []);
        assert_eq!(
            reported.turn(Activity::Idle),
            [Announcement::Activity(Activity::Idle), Announcement::Ends]
        );
        assert_eq!(reported.end(), None, "it has ended");
        assert_eq!(
            reported.turn(Activity::Waiting),
            [Announcement::Begins, Announcement::Activity(Activity::Waiting)]
        );
        assert_eq!(reported.end(), Some(Announcement::Ends));
    }
}
