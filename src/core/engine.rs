//! The engine: takes every input, makes every decision, and returns outputs.
//!
//! The driver's duties, which `host` fulfils: after every [`Engine::handle`], drain [`Engine::poll_output`]
//! until it is empty and answer what [`Output::Locate`] asks. Then sleep until [`Engine::poll_deadline`] and hand in
//! [`Input::Tick`]. Nothing here reads a clock, does I/O or can fail. An engine without input has no deadlines except
//! real ones.
//! The daemon, `replay`, `run --demo` and an offline `status` use this engine with other drivers.
//!
//! Longer than other files because all parts of the core meet here, and their order is what matters.
//! Read next: `sessions` for the effect of a file's update; `awake` for the effect of time; `card` for the wanted card;
//! `report` for the whole state.

mod awake;
mod card;
mod folders;
mod handover;
mod in_force;
mod parts;
mod report;
mod report_state;
mod sessions;
mod shared;
mod tapped;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::awake::Awake;
use self::card::CardInputs;
use crate::card::Card;
use crate::limits::{LimitsBook, Snapshot};
use crate::privacy::{FolderAnswer, FolderQuestion};
use crate::publish::{
    Budget, Endpoint, LinkCommand, LinkEvent, LinkState, LinkStatus, Notice, Publisher, Urgency,
};
use crate::register::Registers;
use crate::report::{CardReport, Event, EventKind, LimitsReport};
use crate::roster::Roster;
use crate::settings::Settings;
use crate::source_event::{FileId, SourceEvent};
use crate::time::Now;
use crate::timer::{Timer, Timers};

use folders::FolderFacts;
use handover::Inherited;
pub use handover::Progress;
use in_force::InForce;
pub use in_force::LOOSER_AFTER;
use sessions::SessionEntry;
use shared::Shared;

/// An event outside of the engine.
#[derive(Debug)]
pub enum Input {
    /// An event about session files.
    Source(SourceEvent),
    /// Session files are read again from the beginning; everything known of them is invalid.
    SourcesLost,
    /// Limits that were stored by an earlier daemon.
    Remembered(Vec<Snapshot>),
    /// A Discord client was found; with its display name.
    Found(Endpoint, String),
    /// The socket or pipe of a Discord client was created anew.
    Renewed(Endpoint, String),
    /// A Discord client's socket or pipe is gone.
    Vanished(Endpoint),
    /// An event on a link.
    Link(Endpoint, LinkEvent),
    /// The user pauses the card until this time ([`UNTIL_RESUMED`]: until [`Input::Resume`]).
    Pause(Timestamp),
    /// The user ends the pause.
    Resume,
    /// The settings were read again.
    Settings(Box<Settings>),
    /// The answer to [`Output::Locate`].
    Located(FolderAnswer),
    /// The user's time zone has changed.
    Zone(TimeZone),
    /// Another machine listens: from now on lasting facts of sessions are reported, too.
    Far,
    /// The state of a remote has changed, which only listeners need to know.
    Remotes,
    /// The machine slept, or a clock jumped.
    Woke,
    /// A deadline has come.
    Tick,
    /// The daemon ends: the card is cleared everywhere.
    ShutDown,
}

/// The end of a pause without an end: beyond any lifetime, and valid in every calendar.
pub const UNTIL_RESUMED: Timestamp = Timestamp::constant(253_399_622_400, 0);

/// An action outside of the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A command for a link.
    Link(LinkCommand),
    /// The shell should check whether another process listens at this endpoint than before, and report that with
    /// [`LinkEvent::Restarted`].
    FindPeer(Endpoint),
    /// An event for listeners.
    Event(Box<Event>),
    /// A line for the log.
    Notice(Notice),
    /// The session files of this home cannot be followed, or can be again.
    Problem {
        /// The agent's home folder, as configured.
        home: Arc<str>,
        /// The problem, with a hint if there is one; `None` once it is over.
        message: Option<String>,
    },
    /// Every session that existed at the start is known.
    CaughtUp,
    /// An agent's register of running processes has changed.
    Register,
    /// These settings are in force from now on.
    Settings(Arc<Settings>),
    /// A question to be answered with [`Input::Located`], soon: until then the card stays as it is. If something
    /// cannot be found out, the answer says so.
    Locate(FolderQuestion),
}

/// All state and every decision.
#[derive(Debug)]
pub struct Engine {
    /// The part of the settings that is in force.
    settings: Arc<Settings>,
    in_force: InForce,
    zone: TimeZone,
    /// The sessions, each by its first file. Boxed, because the map's nodes are half empty.
    files: BTreeMap<FileId, Box<SessionEntry>>,
    /// Sessions that ended long ago, while their files exist: one that continues in another file keeps its figures.
    dormant: BTreeMap<FileId, Box<SessionEntry>>,
    awake: Awake,
    /// The first file of the session of every other file.
    firsts: BTreeMap<FileId, FileId>,
    /// The first file of a session, by a hash of the session's key.
    by_session: BTreeMap<u64, FileId>,
    /// The newest reported usage of sessions whose files are gone, by the same hash: they may come back.
    past: BTreeMap<u64, Timestamp>,
    shared: Shared,
    limits: LimitsBook,
    registers: Registers,
    /// Sizes of context windows that are in no session file, by session.
    windows: BTreeMap<String, u64>,
    roster: Roster,
    folders: FolderFacts,
    publisher: Publisher,
    wished: Option<Arc<Card>>,
    /// The last card and its inputs, because most lines change nothing on a card.
    built: Option<(CardInputs, Option<Arc<Card>>)>,
    shown: Option<Arc<Card>>,
    /// What an earlier engine has reported.
    inherited: Inherited,
    /// The links as last reported.
    links: Vec<LinkStatus>,
    /// Whether the status report has changed without an event so far.
    unreported_status: bool,
    outputs: VecDeque<Output>,
    timers: Timers,
    problems: BTreeMap<(&'static str, Arc<str>), String>,
    /// Whether every session that existed at the start is known.
    caught_up: bool,
    /// Until when a session that rests waits for the others to be read.
    reads_until: Option<Duration>,
    paused_until: Option<Timestamp>,
    /// Whether another machine listens.
    is_far_heard: bool,
}

impl Engine {
    /// An engine without sessions. `zone` is the user's, for clock times on cards; the publisher has the sinks and
    /// the seed.
    pub fn new(settings: Settings, zone: TimeZone, publisher: Publisher) -> Self {
        let settings = Arc::new(settings);
        let mut this = Self {
            in_force: InForce::new(Arc::clone(&settings)),
            settings,
            zone,
            files: BTreeMap::new(),
            dormant: BTreeMap::new(),
            awake: Awake::default(),
            firsts: BTreeMap::new(),
            by_session: BTreeMap::new(),
            past: BTreeMap::new(),
            shared: Shared::default(),
            limits: LimitsBook::default(),
            registers: Registers::default(),
            windows: BTreeMap::new(),
            roster: Roster::default(),
            folders: FolderFacts::default(),
            publisher,
            wished: None,
            built: None,
            shown: None,
            inherited: Inherited::default(),
            links: Vec::new(),
            unreported_status: false,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            problems: BTreeMap::new(),
            caught_up: false,
            reads_until: None,
            paused_until: None,
            is_far_heard: false,
        };
        this.set_privacy();
        this
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.handle_all(now, [input]);
    }

    /// Takes inputs that arrived together and makes one decision for all of them.
    pub fn handle_all(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) {
        let urgencies = inputs.into_iter().map(|input| self.take(now, input));
        let urgency = urgencies.fold(Urgency::Usual, Urgency::max);
        self.refresh(now, urgency);
    }

    /// Updates the state for an input, without a decision.
    fn take(&mut self, now: Now, input: Input) -> Urgency {
        let mut urgency = Urgency::Usual;
        self.awake.input(&input);
        match input {
            Input::Source(event) => self.source(now, event),
            Input::SourcesLost => {
                self.files.retain(|file, _| file.is_stream());
                self.dormant.clear();
                self.firsts.clear();
                self.by_session.clear();
                self.inherited.files = None;
                self.registers = Registers::default();
                self.caught_up = false;
                self.await_reading(now);
            }
            Input::Remembered(snapshots) => {
                self.limits.learn(snapshots);
            }
            Input::Found(endpoint, client) => self.publisher.endpoint_found(now, endpoint, client),
            Input::Renewed(endpoint, client) => self.publisher.endpoint_renewed(now, endpoint, client),
            Input::Vanished(endpoint) => self.publisher.endpoint_gone(now, &endpoint),
            Input::Link(endpoint, event) => self.publisher.link_event(now, &endpoint, event),
            Input::Settings(settings) => self.take_settings(now, *settings),
            Input::Located(answer) => self.located(answer),
            Input::Pause(until) => {
                self.paused_until = Some(until);
                self.unreported_status = true;
                urgency = Urgency::AtOnce;
            }
            Input::Resume => {
                if self.paused_until.take().is_some() {
                    self.unreported_status = true;
                    urgency = Urgency::AtOnce;
                }
            }
            Input::Zone(zone) => {
                (self.zone, self.built) = (zone, None);
            }
            Input::Far => self.is_far_heard = true,
            Input::Remotes => self.unreported_status = true,
            Input::Woke => self.publisher.woke(now),
            Input::Tick => {}
            Input::ShutDown => self.publisher.shut_down(now),
        }
        self.expire_settings(now);
        if self.paused_until.is_some_and(|until| until <= now.wall) {
            self.paused_until = None;
            self.unreported_status = true;
            urgency = Urgency::AtOnce;
        }
        urgency
    }

    /// The next action outside of the engine. Call it until it returns `None`.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if let Some(command) = self.publisher.poll(now) {
            return Some(Output::Link(command));
        }
        self.outputs.extend(self.publisher.take_notices().into_iter().map(Output::Notice));
        self.tell_card(now);
        self.tell_status(now);
        self.outputs.pop_front().or_else(|| self.publisher.next_unknown_peer(now).map(Output::FindPeer))
    }

    /// The time on the monotonic clock of the next tick without another event, and the timer that is due then.
    pub fn poll_deadline(&self) -> Option<(Duration, Timer)> {
        [self.timers.next(), self.publisher.deadline()].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether a shutdown is complete.
    pub fn is_finished(&self) -> bool {
        self.publisher.is_finished()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The card that is wanted now, even if the publish intervals delay it.
    pub fn card(&self) -> Option<&Arc<Card>> {
        self.wished.as_ref()
    }

    /// The user's time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The end of the pause, if there is one.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    /// What this daemon has spent, for the next daemon.
    pub fn budget(&self, now: Now) -> Budget {
        self.publisher.budget(now)
    }

    /// The card that listeners were last told about.
    pub fn shown_report(&self) -> Option<CardReport> {
        self.inherited.card.clone().or_else(|| self.shown.as_deref().map(CardReport::from))
    }

    /// Whether a client is connected, as of the last drained [`Engine::poll_output`].
    pub fn is_any_link_up(&self) -> bool {
        self.links.iter().any(|link| link.state == LinkState::Connected)
    }

    /// The links, for `status`.
    pub fn links(&self, now: Now) -> Vec<LinkStatus> {
        self.publisher.links(now).collect()
    }

    /// The last report of each source about limits, to be stored for a restart.
    pub fn limits(&self) -> impl Iterator<Item = &Snapshot> + Clone {
        self.limits.reports()
    }

    /// The problems of session folders, one line each.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.values().map(String::as_str)
    }

    fn source(&mut self, now: Now, event: SourceEvent) {
        match event {
            SourceEvent::Updated { file, update, read } => self.updated(now, file, *update, read),
            SourceEvent::Gone { file } if file.is_stream() => self.stream_ended(file),
            SourceEvent::Gone { file } => {
                self.gone(now, file);
                self.unreported_status = true;
            }
            SourceEvent::Limits(word) => self.learn(now, [*word]),
            SourceEvent::CaughtUp => {
                (self.inherited.files, self.reads_until) = (None, None);
                self.unreported_status |= !std::mem::replace(&mut self.caught_up, true);
                self.outputs.push_back(Output::CaughtUp);
                // The order in which files were read at the start must not decide about the card.
                self.roster = Roster::default();
            }
            SourceEvent::Register { home, register } => {
                self.registers.learn(now.wall, home, register);
                for known in self.files.values() {
                    self.registers.heard(now.wall, &known.session);
                }
                self.outputs.push_back(Output::Register);
            }
            SourceEvent::Window { session, tokens } => {
                self.windows.insert(session, tokens);
            }
            SourceEvent::Problem { key, home, message } => {
                match message.clone() {
                    Some(message) => self.problems.insert((key, Arc::clone(&home)), message),
                    None => self.problems.remove(&(key, Arc::clone(&home))),
                };
                self.outputs.push_back(Output::Problem { home, message });
                self.unreported_status = true;
            }
        }
    }

    fn learn(&mut self, now: Now, words: impl IntoIterator<Item = Snapshot>) {
        let changed: Vec<Snapshot> = self.limits.learn(words).into_iter().cloned().collect();
        let reports: Vec<LimitsReport> =
            changed.iter().map(|limits| self.report_limits(limits, now)).collect();
        for report in reports {
            self.tell(now.wall, EventKind::Limits(Box::new(report)));
        }
    }

    fn tell(&mut self, at: Timestamp, kind: EventKind) {
        self.outputs.push_back(Output::Event(Box::new(Event { at, kind })));
    }

    /// Reports a change of the card that the sinks show.
    fn tell_card(&mut self, now: Now) {
        let shown = self.publisher.shown().cloned();
        let report = |card: &Option<Arc<Card>>| card.as_deref().map(CardReport::from);
        let was = if let Some(left) = &self.inherited.card {
            // The last daemon's card is shown until this one has its own card, or wants none.
            if shown.is_none() && (self.inherited.files.is_some() || self.wished.is_some()) {
                return;
            }
            Some(left.clone())
        } else if shown == self.shown {
            return;
        } else {
            report(&self.shown)
        };
        let card = report(&shown);
        self.inherited.card = None;
        self.shown = shown;
        if card != was {
            self.tell(now.wall, EventKind::Card { card });
        }
    }

    /// Reports a change of the status report that no other event shows.
    fn tell_status(&mut self, now: Now) {
        let links = self.links(now);
        if links != self.links || self.unreported_status {
            self.links = links;
            self.unreported_status = false;
            self.tell(now.wall, EventKind::Status);
        }
    }

    /// Makes all decisions again that depend on the state and the time.
    fn refresh(&mut self, now: Now, urgency: Urgency) {
        self.limits.not_after(now.wall);
        self.activities(now);
        self.forget(now);
        self.look_around(now);
        let card = if self.paused_until.is_some() || self.settings.withheld {
            None
        } else if self.is_finding_out() {
            self.wished.clone().filter(|card| !self.is_hidden(card))
        } else {
            self.choose(now)
        };
        if self.publisher.shows_any(|card| self.is_hidden(card)) {
            // A hidden session's card is cleared first, before another one is wished.
            self.wished = None;
            self.publisher.wish(now, None, Urgency::AtOnce);
            while let Some(command) = self.publisher.poll(now) {
                self.outputs.push_back(Output::Link(command));
            }
        }
        let is_too_open = |shown: &Card| card.as_ref().is_some_and(|card| shown.may_show_more_than(card));
        let urgency =
            if self.publisher.shows_any(|card| is_too_open(card)) { Urgency::AtOnce } else { urgency };
        if card != self.wished || urgency == Urgency::AtOnce {
            self.wished = card;
            self.publisher.wish(now, self.wished.clone(), urgency);
        }
        self.set_timers(now);
    }
}
