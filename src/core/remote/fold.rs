//! The state of one remote, and how each line changes it.
//!
//! Figures are used as reported; times are corrected by the difference of the clocks. Repeated reports are announced
//! once. Memory is bounded for any input.
//! Read next: `far_session`, which makes the updates of a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::alive::{Hello, LinkLine};
use super::far;
use super::far_session::{FarSession, Id};
use super::sane;
use crate::activity::Activity;
use crate::event_log::Position;
use crate::limits::{Snapshot, Window, WindowState};
use crate::report::{Event, EventKind, LimitsReport, SessionReport, UsageReport};
use crate::source::Agent;
use crate::source_event::SourceEvent;
use crate::time::{Now, elapsed};

/// The number of sessions known of one remote; of more, those silent longest are forgotten.
pub(super) const SESSIONS: usize = 256;

/// The number of homes with limits, per agent and remote.
const HOMES: usize = 8;

/// A smaller difference between clocks is ignored: it is a line's travel time.
const SAME_CLOCK: SignedDuration = SignedDuration::from_secs(2);

/// How often a line of the remote counts as a sign of life of its sessions at work.
const VOUCH: Duration = Duration::from_secs(30);

/// The kind of a line.
#[derive(Debug, PartialEq)]
pub enum LineKind {
    /// The remote program's introduction.
    Hello(Hello),
    /// A sign of life.
    Alive,
    /// An event, with a complaint about it.
    Event(Option<&'static str>),
    /// An unknown event.
    Unknown,
    /// A line that is not of a stream.
    Garbage,
}

/// Whether a line is a hello.
pub(super) fn is_hello(line: &[u8]) -> bool {
    matches!(serde_json::from_slice(line), Ok(LinkLine::Hello(_)))
}

/// The state of one remote.
#[derive(Debug)]
pub struct Fold {
    name: Arc<str>,
    stream: String,
    seq: Option<u64>,
    /// The correction that is added to the remote's times.
    offset: SignedDuration,
    sessions: BTreeMap<Id, FarSession>,
    next_file: u64,
    homes: BTreeMap<Agent, Vec<String>>,
    vouched_at: Option<Duration>,
    /// Whether sessions that it no longer names are over.
    is_anew: bool,
}

/// The handover of a remote's state to the next daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteHandover {
    /// Its name.
    pub name: String,
    /// The position up to which its events were read.
    pub position: Option<Position>,
    /// The correction of its times, in seconds.
    pub offset: i64,
    /// The last report of each session, with times of this machine's clock.
    pub sessions: Vec<SessionReport>,
    /// The number of updates of each session.
    pub updates: Vec<u64>,
}

impl Fold {
    /// A remote without lines yet. Its sessions' ids start with `first_file`.
    pub fn new(name: Arc<str>, first_file: u64) -> Self {
        Self {
            name,
            stream: String::new(),
            seq: None,
            offset: SignedDuration::ZERO,
            sessions: BTreeMap::new(),
            next_file: first_file,
            homes: BTreeMap::new(),
            vouched_at: None,
            is_anew: false,
        }
    }

    /// The position up to which its events were read.
    pub fn position(&self) -> Option<Position> {
        self.seq.map(|seq| Position { stream: self.stream.clone(), seq })
    }

    /// Takes a line; the resulting updates go to `tell`.
    pub fn line(&mut self, now: Now, line: &[u8], tell: &mut impl FnMut(SourceEvent)) -> LineKind {
        /// The fields beside an event.
        #[derive(Deserialize)]
        struct Place {
            event: String,
            #[serde(default)]
            seq: Option<u64>,
        }

        let Ok(place) = serde_json::from_slice::<Place>(line) else { return LineKind::Garbage };
        let read = match place.event.as_str() {
            "hello" | "alive" => match serde_json::from_slice(line) {
                Ok(LinkLine::Hello(hello)) => {
                    self.hello(now, &hello);
                    return LineKind::Hello(hello);
                }
                Ok(LinkLine::Alive { .. }) => {
                    self.all_told(now, tell);
                    LineKind::Alive
                }
                Err(_) => return LineKind::Garbage,
            },
            _ => match serde_json::from_slice::<Event>(line) {
                Ok(event) => self.event(now, event, tell),
                // An agent or an event of a later version.
                Err(_) => LineKind::Unknown,
            },
        };
        self.seq = self.seq.max(place.seq);
        self.vouch(now, tell);
        read
    }

    fn hello(&mut self, now: Now, hello: &Hello) {
        let offset = now.wall.duration_since(hello.at);
        if offset.checked_sub(self.offset).is_none_or(|by| by.abs() > SAME_CLOCK) {
            self.offset = SignedDuration::from_secs(offset.as_secs());
        }
        let is_other = self.stream != hello.stream;
        if is_other || hello.restored {
            self.stream.clone_from(&hello.stream);
            self.seq = None;
            self.is_anew = true;
            self.sessions.values_mut().for_each(|session| session.is_named = false);
        } else {
            self.sessions.values_mut().for_each(|session| session.is_named = true);
        }
    }

    /// The link is lost: its sessions at work get no more signs of life, and go silent like others.
    pub fn lost(&mut self) {
        self.vouched_at = None;
        self.sessions.values_mut().for_each(|session| session.is_named = false);
    }

    /// Ends the sessions that it has not named since it began with all sessions.
    fn all_told(&mut self, now: Now, tell: &mut impl FnMut(SourceEvent)) {
        if std::mem::take(&mut self.is_anew) {
            let name = &self.name;
            for session in self.sessions.values_mut().filter(|session| !session.is_named) {
                if session.set_activity(now.wall, Activity::Idle) {
                    tell(session.update(name, None, false));
                }
            }
        }
    }

    /// Keeps the sessions at work alive, which need no lines of their own while the remote is heard.
    fn vouch(&mut self, now: Now, tell: &mut impl FnMut(SourceEvent)) {
        let is_due = self.vouched_at.is_none_or(|at| now.mono.saturating_sub(at) >= VOUCH);
        if !is_due {
            return;
        }
        self.vouched_at = Some(now.mono);
        let name = &self.name;
        for session in self.sessions.values_mut().filter(|session| session.is_named) {
            if session.vouch(now.wall) {
                tell(session.update(name, None, false));
            }
        }
    }

    fn event(&mut self, now: Now, event: Event, tell: &mut impl FnMut(SourceEvent)) -> LineKind {
        if event.host().is_some() {
            return LineKind::Unknown;
        }
        let at = self.at(now, event.at);
        match event.kind {
            EventKind::Session { ended, session } => self.session(now, at, ended, *session, tell),
            EventKind::Usage(usage) => self.usage(now, at, usage, tell),
            EventKind::Activity { session, agent, activity, .. } => {
                if !sane::id(&session) {
                    return LineKind::Garbage;
                }
                self.change((agent, session), now, tell, |session| {
                    session.set_activity(at, activity);
                    (None, None)
                })
            }
            EventKind::Limits(limits) => self.limits(now, *limits, tell),
            // This machine chooses its own card.
            EventKind::Card { .. } => LineKind::Event(None),
            EventKind::About { .. } | EventKind::Status => LineKind::Unknown,
        }
    }

    fn session(
        &mut self,
        now: Now,
        at: Timestamp,
        ended: bool,
        report: SessionReport,
        tell: &mut impl FnMut(SourceEvent),
    ) -> LineKind {
        if !sane::session(&report) {
            return LineKind::Garbage;
        }
        let mut report = report;
        let (offset, wall) = (self.offset, now.wall);
        let held = |at: Option<Timestamp>| at.map(|at| corrected(at, offset).min(wall));
        for time in [&mut report.started_at, &mut report.last_event_at, &mut report.last_usage_at] {
            *time = held(*time);
        }
        if let Some(place) = &mut report.place {
            place.timer_from = held(place.timer_from);
        }
        report.host = None;
        self.change((report.agent, report.id.clone()), now, tell, |session| {
            session.set(at, report, ended);
            (None, None)
        })
    }

    fn usage(
        &mut self,
        now: Now,
        at: Timestamp,
        usage: UsageReport,
        tell: &mut impl FnMut(SourceEvent),
    ) -> LineKind {
        if !sane::usage(&usage) {
            return LineKind::Garbage;
        }
        let id = (usage.agent, usage.session.clone());
        self.change(id, now, tell, |session| session.set_usage(at, usage))
    }

    /// Changes a session, creating it if needed, and announces it.
    fn change(
        &mut self,
        id: Id,
        now: Now,
        tell: &mut impl FnMut(SourceEvent),
        change: impl FnOnce(&mut FarSession) -> super::far_session::Change,
    ) -> LineKind {
        if !self.sessions.contains_key(&id) && self.sessions.len() >= SESSIONS {
            self.forget(tell);
        }
        let next_file = &mut self.next_file;
        let session = self.sessions.entry(id.clone()).or_insert_with(|| {
            *next_file += 1;
            FarSession::new(*next_file, id)
        });
        session.is_named = true;
        let (event, odd) = change(session);
        session.vouch(now.wall);
        if session.home().is_none()
            && let Some([home]) = self.homes.get(&session.agent()).map(Vec::as_slice)
        {
            session.stand_in(home);
        }
        let first = session.is_new();
        tell(session.update(&self.name, event, first));
        LineKind::Event(odd)
    }

    /// Forgets the session that was silent longest.
    fn forget(&mut self, tell: &mut impl FnMut(SourceEvent)) {
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_event_at());
        if let Some(id) = oldest.map(|(id, _)| id.clone())
            && let Some(session) = self.sessions.remove(&id)
        {
            tell(SourceEvent::Gone { file: session.file() });
        }
    }

    /// Takes the limits of one family, which replace the remote's earlier report.
    fn limits(&mut self, now: Now, limits: LimitsReport, tell: &mut impl FnMut(SourceEvent)) -> LineKind {
        if !sane::limits(&limits) {
            return LineKind::Garbage;
        }
        let LimitsReport { agent, home, family, name, plan, observed_at, windows, .. } = limits;
        let homes = self.homes.entry(agent).or_default();
        if !homes.contains(&home) && homes.len() < HOMES {
            homes.push(home.clone());
        }
        let windows = windows.into_iter().filter(|window| window.state == WindowState::Current);
        let window = |window: crate::limits::WindowView| {
            Some(Window {
                minutes: window.minutes,
                used_percent: window.used_percent?,
                resets_at: window.resets_at.map(|at| corrected(at, self.offset)),
                credits: window.label == crate::limits::CREDITS,
                ..Window::default()
            })
        };
        tell(SourceEvent::limits(Snapshot {
            agent,
            home: far::named(&self.name, &home),
            family,
            name,
            plan,
            observed_at: self.at(now, observed_at),
            // One source for all sessions, so that a later report replaces this one.
            source_session: None,
            windows: windows.filter_map(window).collect(),
            since: None,
            fresh: true,
            fell_at: None,
            first: None,
            refusal: false,
        }));
        let without_home: Vec<Id> = self
            .sessions
            .iter()
            .filter(|((of, _), session)| *of == agent && session.home().is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in without_home {
            self.change(id, now, tell, |_| (None, None));
        }
        LineKind::Event(None)
    }

    /// A time of the remote by this machine's clock; not later than now.
    fn at(&self, now: Now, at: Timestamp) -> Timestamp {
        corrected(at, self.offset).min(now.wall)
    }

    /// Ends all its sessions.
    pub fn leave_all(self, tell: &mut impl FnMut(SourceEvent)) {
        for session in self.sessions.into_values() {
            tell(SourceEvent::Gone { file: session.file() });
        }
    }

    /// The state for the next daemon.
    pub fn leave(&self) -> RemoteHandover {
        let (sessions, updates) =
            self.sessions.values().map(|session| (session.report().clone(), session.updates())).unzip();
        RemoteHandover {
            name: self.name.to_string(),
            position: self.position(),
            offset: self.offset.as_secs(),
            sessions,
            updates,
        }
    }

    /// Continues with the state of an earlier daemon.
    pub fn resume(&mut self, left: RemoteHandover, tell: &mut impl FnMut(SourceEvent)) {
        let RemoteHandover { position, offset, sessions, updates, .. } = left;
        self.offset = SignedDuration::from_secs(offset);
        if let Some(position) = position {
            (self.stream, self.seq) = (position.stream, Some(position.seq));
        }
        for (report, updates) in sessions.into_iter().zip(updates).take(SESSIONS) {
            self.next_file += 1;
            let id = (report.agent, report.id.clone());
            let mut session = FarSession::left(self.next_file, report, updates);
            tell(session.update(&self.name, None, true));
            self.sessions.insert(id, session);
        }
    }

    /// The difference between the remote's clock and this one.
    pub fn clock_difference(&self) -> Duration {
        let zero = Timestamp::UNIX_EPOCH;
        let apart = corrected(zero, self.offset);
        elapsed(zero.min(apart), zero.max(apart))
    }
}

fn corrected(at: Timestamp, offset: SignedDuration) -> Timestamp {
    at.checked_add(offset).unwrap_or(at)
}
