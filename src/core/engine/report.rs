//! The whole state of the engine: the status report, and the first events for a new listener.

use jiff::Timestamp;

use super::Engine;
use crate::activity::Activity;
use crate::file::Skipped;
use crate::limits::Snapshot;
use crate::report::{
    CardReport, ConfigReport, DaemonReport, Event, EventKind, LimitsReport, NoCard, SessionReport,
    StatusReport, UsageReport,
};
use crate::session::{Session, UsageEvent};
use crate::source::Agent;
use crate::time::Now;

impl Engine {
    /// The status report; values that the engine cannot know are arguments.
    pub fn status(&self, now: Now, daemon: DaemonReport, config: ConfigReport) -> StatusReport {
        let ConfigReport { path, mut issues } = config;
        issues.extend(self.problems().map(str::to_owned));
        StatusReport {
            schema: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: now.wall,
            daemon,
            card: self.card().map(|card| CardReport::from(card.as_ref())),
            no_card: self.no_card(now),
            sessions: self.sessions_report(now),
            limits: self.limits_report(now),
            links: self.links(now),
            remotes: Vec::new(),
            config: ConfigReport { path, issues },
            skipped: self.skipped(),
            reading: !self.caught_up,
        }
    }

    /// Why no card is wanted now; `None` if one is wanted.
    fn no_card(&self, now: Now) -> Option<NoCard> {
        let idle_after = self.settings().card.idle_after;
        let is_hidden = |session: &Session| {
            session.visible
                && session.activity(now.wall, idle_after) != Activity::Idle
                && self.allows(session).is_none()
        };
        match self.card() {
            Some(_) => None,
            None if self.paused_until().is_some() => Some(NoCard::Paused),
            None if self.settings().withheld => Some(NoCard::Settings),
            None if self.sessions().into_iter().any(is_hidden) => Some(NoCard::Hidden),
            None => Some(NoCard::Idle),
        }
    }

    /// The limits at `now`.
    pub fn limits_report(&self, now: Now) -> Vec<LimitsReport> {
        self.limits.iter().map(|snapshot| self.report_limits(snapshot, now)).collect()
    }

    pub(super) fn report_limits(&self, snapshot: &Snapshot, now: Now) -> LimitsReport {
        LimitsReport {
            home_name: self.home_name(snapshot.agent, &snapshot.home),
            ..LimitsReport::new(snapshot, now)
        }
    }

    fn home_name(&self, agent: Agent, home: &str) -> Option<String> {
        self.settings.sources.name_of(agent, home).map(str::to_owned)
    }

    /// The sessions, freshest first.
    pub fn sessions_report(&self, now: Now) -> Vec<SessionReport> {
        let mut sessions = self.sessions();
        sessions.sort_by_key(|session| (std::cmp::Reverse(session.last_event_at), session.id.clone()));
        sessions.into_iter().map(|session| self.report(session, now)).collect()
    }

    /// Lines that could not be used, over all followed files.
    pub fn skipped(&self) -> Skipped {
        let parts = self.files.values().flat_map(|known| known.parts.iter());
        parts.filter_map(|part| part.skipped.as_deref()).fold(Skipped::default(), |sum, skipped| Skipped {
            unreadable_lines: sum.unreadable_lines + skipped.unreadable_lines,
            oversized_lines: sum.oversized_lines + skipped.oversized_lines,
            unknown_types: sum.unknown_types + skipped.unknown_types,
        })
    }

    pub(super) fn report(&self, session: &Session, now: Now) -> SessionReport {
        let shown = self.wished.as_ref().is_some_and(|card| card.session() == session.id);
        let idle_after = self.settings.card.idle_after;
        let names_file = self.allows(session).is_some_and(|allowed| allowed.file);
        SessionReport {
            home_name: self.home_name(session.agent, &session.home),
            file: session.doing(now.wall, idle_after).file.filter(|_| names_file),
            ..SessionReport::new(session, shown, self.settings.tokens.count, now, idle_after)
        }
    }

    /// The same, with the facts for the user's other machines.
    pub(super) fn about(&self, session: &Session, now: Now) -> SessionReport {
        self.report(session, now).placed(session, now, self.settings.card.idle_after)
    }

    /// The first events for another machine that begins to listen: every live session of this machine with its
    /// figures, and the limits.
    pub fn introduction(&self, now: Now) -> Vec<Event> {
        let is_here = |event: &Event| event.host().is_none();
        let live = |session: &&Session| {
            session.far.is_none()
                && session.activity(now.wall, self.settings.card.idle_after) != Activity::Idle
        };
        let sessions = self.sessions().into_iter().filter(live);
        let about = sessions.map(|session| EventKind::About { session: Box::new(self.about(session, now)) });
        let limits = self.limits_report(now).into_iter().map(|limits| EventKind::Limits(Box::new(limits)));
        let reported = about.chain(limits).map(|kind| Event { at: now.wall, kind });
        reported.chain(self.restored(now)).filter(is_here).collect()
    }

    /// The figures of every live session, as restored usage, for a new listener.
    pub fn restored(&self, now: Now) -> Vec<Event> {
        let settings = self.settings();
        let live = self.sessions().into_iter().filter(|session| {
            session.usage.session_total_tokens.is_some()
                && !session.counting
                && session.activity(now.wall, settings.card.idle_after) != Activity::Idle
        });
        let usage = live.map(|session| UsageReport::new(session, &restored(session), settings.tokens.count));
        usage.map(|usage| Event { at: now.wall, kind: EventKind::Usage(usage) }).collect()
    }
}

/// The present figures of `session`, as restored usage.
pub(super) fn restored(session: &Session) -> UsageEvent {
    UsageEvent {
        at: session.last_token_event_at.unwrap_or(Timestamp::UNIX_EPOCH),
        turn: session.turn.as_deref().map(str::to_owned),
        usage: session.usage,
        added: None,
        call: None,
        unlisted: false,
    }
}
