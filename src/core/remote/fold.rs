//! What a remote has told, and what each line changes of it.
//!
//! Figures are taken as told, times are corrected by the difference of the clocks. What is told twice is told on once. All
//! of it is bounded, whatever comes.
//! Read next: `far_session`, which makes of it what a file would give.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::alive::{Beside, Hello};
use super::far;
use super::far_session::{FarSession, Id};
use super::sane;
use crate::core::activity::Activity;
use crate::core::event_log::Position;
use crate::core::limits::{Snapshot, Window, WindowState};
use crate::core::report::{Event, EventKind, LimitsReport, SessionReport, UsageReport};
use crate::core::source::Agent;
use crate::core::source_event::SourceEvent;
use crate::core::time::{Now, elapsed};

/// Sessions that are known of one remote; of more, those that were silent longest are forgotten.
pub(super) const SESSIONS: usize = 256;

/// Homes whose limits are known of one agent on one remote.
const HOMES: usize = 8;

/// Clocks that differ by less are the same: a line takes its time.
const SAME_CLOCK: SignedDuration = SignedDuration::from_secs(2);

/// How often a word of the remote is a word for all its sessions that are at work.
const VOUCH: Duration = Duration::from_secs(30);

/// What a line was.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// Who tells.
    Hello(Hello),
    /// A sign of life.
    Alive,
    /// An event, with what is odd about it.
    Event(Option<&'static str>),
    /// Nothing that is known here.
    Unknown,
    /// No line of a stream.
    Garbage,
}

/// Whether a line says who tells.
pub(super) fn is_hello(line: &[u8]) -> bool {
    matches!(serde_json::from_slice(line), Ok(Beside::Hello(_)))
}

/// Everything that one remote has told.
#[derive(Debug)]
pub struct Fold {
    name: Arc<str>,
    stream: String,
    seq: Option<u64>,
    /// What is added to its times.
    offset: SignedDuration,
    sessions: BTreeMap<Id, FarSession>,
    next_file: u64,
    homes: BTreeMap<Agent, Vec<String>>,
    vouched_at: Option<Duration>,
    /// Whether a session that it does not name any more may be over.
    is_anew: bool,
}

/// What one daemon leaves to the next of a remote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// Its name.
    pub name: String,
    /// How far it was heard.
    pub position: Option<Position>,
    /// What was added to its times, in seconds.
    pub offset: i64,
    /// Its sessions as it told them, in times of this machine.
    pub sessions: Vec<SessionReport>,
    /// How often each of them was told of.
    pub updates: Vec<u64>,
}

impl Fold {
    /// Nothing was told yet. `first_file` and what follows it are the ids of its sessions.
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

    /// How far it was heard.
    pub fn position(&self) -> Option<Position> {
        self.seq.map(|seq| Position { stream: self.stream.clone(), seq })
    }

    /// Takes a line; what follows for the engine goes to `tell`.
    pub fn line(&mut self, now: Now, line: &[u8], tell: &mut impl FnMut(SourceEvent)) -> Said {
        /// What is beside an event.
        #[derive(Deserialize)]
        struct Place {
            event: String,
            #[serde(default)]
            seq: Option<u64>,
        }

        let Ok(place) = serde_json::from_slice::<Place>(line) else { return Said::Garbage };
        let said = match place.event.as_str() {
            "hello" | "alive" => match serde_json::from_slice(line) {
                Ok(Beside::Hello(hello)) => {
                    self.hello(now, &hello);
                    return Said::Hello(hello);
                }
                Ok(Beside::Alive { .. }) => {
                    self.all_told(now, tell);
                    Said::Alive
                }
                Err(_) => return Said::Garbage,
            },
            _ => match serde_json::from_slice::<Event>(line) {
                Ok(event) => self.event(now, event, tell),
                // An agent or an event of a later version.
                Err(_) => Said::Unknown,
            },
        };
        self.seq = self.seq.max(place.seq);
        self.vouch(now, tell);
        said
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

    /// The link is gone: nobody vouches for its sessions any more. They go silent, as others do.
    pub fn lost(&mut self) {
        self.vouched_at = None;
        self.sessions.values_mut().for_each(|session| session.is_named = false);
    }

    /// Whatever it has not named since it told everything anew is over.
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

    /// Those at work need no line of their own while it is heard.
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

    fn event(&mut self, now: Now, event: Event, tell: &mut impl FnMut(SourceEvent)) -> Said {
        if event.host().is_some() {
            return Said::Unknown;
        }
        let at = self.at(now, event.at);
        match event.kind {
            EventKind::Session { ended, session } => self.session(now, at, ended, *session, tell),
            EventKind::Usage(usage) => self.usage(now, at, usage, tell),
            EventKind::Activity { session, agent, activity, .. } => {
                if !sane::id(&session) {
                    return Said::Garbage;
                }
                self.change((agent, session), now, tell, |session| {
                    session.set_activity(at, activity);
                    (None, None)
                })
            }
            EventKind::Limits(limits) => self.limits(now, *limits, tell),
            // The card there is no matter of this machine's.
            EventKind::Card { .. } => Said::Event(None),
            EventKind::About { .. } | EventKind::Status => Said::Unknown,
        }
    }

    fn session(
        &mut self,
        now: Now,
        at: Timestamp,
        ended: bool,
        report: SessionReport,
        tell: &mut impl FnMut(SourceEvent),
    ) -> Said {
        if !sane::session(&report) {
            return Said::Garbage;
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
    ) -> Said {
        if !sane::usage(&usage) {
            return Said::Garbage;
        }
        let id = (usage.agent, usage.session.clone());
        self.change(id, now, tell, |session| session.set_usage(at, usage))
    }

    /// Changes a session, which need not be known, and tells it.
    fn change(
        &mut self,
        id: Id,
        now: Now,
        tell: &mut impl FnMut(SourceEvent),
        change: impl FnOnce(&mut FarSession) -> super::far_session::Change,
    ) -> Said {
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
        Said::Event(odd)
    }

    /// Forgets the one that was silent longest.
    fn forget(&mut self, tell: &mut impl FnMut(SourceEvent)) {
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_event_at());
        if let Some(id) = oldest.map(|(id, _)| id.clone())
            && let Some(session) = self.sessions.remove(&id)
        {
            tell(SourceEvent::Gone { file: session.file() });
        }
    }

    /// The whole of what is known on the remote replaces what it said before.
    fn limits(&mut self, now: Now, limits: LimitsReport, tell: &mut impl FnMut(SourceEvent)) -> Said {
        if !sane::limits(&limits) {
            return Said::Garbage;
        }
        let LimitsReport { agent, home, family, name, plan, observed_at, windows, .. } = limits;
        let homes = self.homes.entry(agent).or_default();
        if !homes.contains(&home) && homes.len() < HOMES {
            homes.push(home.clone());
        }
        let windows = windows.into_iter().filter(|window| window.state == WindowState::Current);
        let window = |window: crate::core::limits::WindowView| {
            Some(Window {
                minutes: window.minutes,
                used_percent: window.used_percent?,
                resets_at: window.resets_at.map(|at| corrected(at, self.offset)),
                credits: window.label == crate::core::limits::CREDITS,
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
            // One source: what it says next is its own next word, whichever session it is from.
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
        Said::Event(None)
    }

    /// A time of the remote's as this machine's clock would say it; nothing happens later than now.
    fn at(&self, now: Now, at: Timestamp) -> Timestamp {
        corrected(at, self.offset).min(now.wall)
    }

    /// Everything of it is to be forgotten.
    pub fn leave_all(self, tell: &mut impl FnMut(SourceEvent)) {
        for session in self.sessions.into_values() {
            tell(SourceEvent::Gone { file: session.file() });
        }
    }

    /// For the next daemon.
    pub fn leave(&self) -> Left {
        let (sessions, updates) =
            self.sessions.values().map(|session| (session.report().clone(), session.updates())).unzip();
        Left {
            name: self.name.to_string(),
            position: self.position(),
            offset: self.offset.as_secs(),
            sessions,
            updates,
        }
    }

    /// What an earlier daemon has left, as it told it last.
    pub fn resume(&mut self, left: Left, tell: &mut impl FnMut(SourceEvent)) {
        let Left { position, offset, sessions, updates, .. } = left;
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

    /// How far the remote's clock is from this one.
    pub fn clock_difference(&self) -> Duration {
        let zero = Timestamp::UNIX_EPOCH;
        let apart = corrected(zero, self.offset);
        elapsed(zero.min(apart), zero.max(apart))
    }
}

fn corrected(at: Timestamp, offset: SignedDuration) -> Timestamp {
    at.checked_add(offset).unwrap_or(at)
}
