//! The engine: everything that decides, behind one door.
//!
//! Driver contract, which `crate::host` keeps: after every [`Engine::handle`], drain [`Engine::poll_output`] until it is
//! empty, answer what [`Output::Locate`] asks, then sleep until [`Engine::poll_deadline`] and hand in [`Input::Tick`]. Nothing here reads a clock, does I/O or can fail; an engine
//! without input schedules nothing but real deadlines.
//! The daemon, `replay`, `run --demo` and an offline `status` are this engine with other drivers.
//!
//! Longer than other files because it is where all parts of the core meet, and the order in which they do is the point.
//! Read next: `sessions`, for what a file's news changes; `card`, for the card that is wanted; `report`, for the state as
//! a whole.

mod card;
mod handover;
mod in_force;
mod parts;
mod places;
mod report;
mod sessions;
mod shared;
mod tapped;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::card::Basis;
use crate::core::card::Card;
use crate::core::limits::{LimitsBook, Snapshot};
use crate::core::privacy::{Answer, Question};
use crate::core::publish::{
    Budget, Endpoint, LinkCommand, LinkEvent, LinkState, LinkStatus, Notice, Publisher, Urgency,
};
use crate::core::register::Registers;
use crate::core::report::{CardReport, Event, EventKind, LimitsReport};
use crate::core::roster::Roster;
use crate::core::settings::Settings;
use crate::core::source_event::{FileId, SourceEvent};
use crate::core::time::Now;
use crate::core::timer::{Timer, Timers};

use handover::Inherited;
pub use handover::Progress;
use in_force::InForce;
pub use in_force::LOOSER_AFTER;
use places::Places;
use sessions::Known;
use shared::Shared;

/// Something that happened outside.
#[derive(Debug)]
pub enum Input {
    /// Session files brought something.
    Source(SourceEvent),
    /// Session files are read anew from the beginning; what is known of them is void.
    SourcesLost,
    /// Limits that were kept over a restart.
    Remembered(Vec<Snapshot>),
    /// A Discord client was found; its name for people.
    Found(Endpoint, String),
    /// The socket or pipe of a Discord client was created anew.
    Renewed(Endpoint, String),
    /// A Discord client's socket or pipe is gone.
    Vanished(Endpoint),
    /// Something happened on a link.
    Link(Endpoint, LinkEvent),
    /// The user wants no card until then ([`UNTIL_RESUMED`]: until [`Input::Resume`]).
    Pause(Timestamp),
    /// The user wants cards again.
    Resume,
    /// The settings were read again.
    Settings(Box<Settings>),
    /// What was asked about folders was found out.
    Located(Answer),
    /// The user's time zone is another one.
    Zone(TimeZone),
    /// Another machine listens: from now on what lasts of sessions is told as well.
    Far,
    /// A remote stands otherwise than before, which is no matter of the engine's; listeners are told.
    Remotes,
    /// The machine slept, or a clock jumped.
    Woke,
    /// A deadline has come.
    Tick,
    /// The daemon is to end: the card is taken away everywhere.
    ShutDown,
}

/// The end of a pause without an end: beyond anybody's life, and in every calendar.
pub const UNTIL_RESUMED: Timestamp = Timestamp::constant(253_399_622_400, 0);

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// For a link.
    Link(LinkCommand),
    /// It should be found out whether another process listens at this endpoint than before, which is then told with
    /// [`LinkEvent::Restarted`].
    FindPeer(Endpoint),
    /// For those who listen.
    Event(Box<Event>),
    /// For the log.
    Notice(Notice),
    /// Session files of this home cannot be followed, or can be again.
    Problem {
        /// The agent's home folder, as configured.
        home: Arc<str>,
        /// What is wrong, with a hint where there is one; `None` once it is mended.
        message: Option<String>,
    },
    /// Every session that was there at the start is known.
    CaughtUp,
    /// An agent's register of running processes says something else.
    Register,
    /// These settings are in force from now on.
    Settings(Arc<Settings>),
    /// To be answered with [`Input::Located`], soon: until then the card stays as it is. Where it cannot be found out,
    /// that is the answer.
    Locate(Question),
}

/// All state and every decision.
#[derive(Debug)]
pub struct Engine {
    /// What is in force of them.
    settings: Arc<Settings>,
    in_force: InForce,
    zone: TimeZone,
    /// The sessions, each by the first of its files. Boxed: the map's nodes are half empty.
    files: BTreeMap<FileId, Box<Known>>,
    /// Sessions that ended long ago, as far as their files are there: one that goes on in another file still has its figures.
    dormant: BTreeMap<FileId, Box<Known>>,
    /// The first file of the session that any other file is of.
    firsts: BTreeMap<FileId, FileId>,
    /// The first file of a session by a hash of whose it is.
    by_session: BTreeMap<u64, FileId>,
    /// The newest usage that was told of sessions whose files have gone, by the same hash: they may come back.
    past: BTreeMap<u64, Timestamp>,
    shared: Shared,
    limits: LimitsBook,
    registers: Registers,
    /// Sizes of context windows that no session file tells, by session.
    windows: BTreeMap<String, u64>,
    roster: Roster,
    places: Places,
    publisher: Publisher,
    wished: Option<Arc<Card>>,
    /// The card built last and what it was built from: most lines change nothing that a card shows.
    built: Option<(Basis, Option<Arc<Card>>)>,
    shown: Option<Arc<Card>>,
    /// What an earlier engine has told.
    inherited: Inherited,
    /// The links as they were told last.
    links: Vec<LinkStatus>,
    /// Whether the status report says something else that nobody was told of.
    untold_status: bool,
    outputs: VecDeque<Output>,
    timers: Timers,
    problems: BTreeMap<(&'static str, Arc<str>), String>,
    /// Whether every session that was there at the start is known.
    caught_up: bool,
    paused_until: Option<Timestamp>,
    /// Whether another machine listens.
    is_far_heard: bool,
}

impl Engine {
    /// An engine that knows nothing yet. `zone` is the user's, for clock times on cards; the publisher carries the
    /// sinks and the seed.
    pub fn new(settings: Settings, zone: TimeZone, publisher: Publisher) -> Self {
        let settings = Arc::new(settings);
        let mut this = Self {
            in_force: InForce::new(Arc::clone(&settings)),
            settings,
            zone,
            files: BTreeMap::new(),
            dormant: BTreeMap::new(),
            firsts: BTreeMap::new(),
            by_session: BTreeMap::new(),
            past: BTreeMap::new(),
            shared: Shared::default(),
            limits: LimitsBook::default(),
            registers: Registers::default(),
            windows: BTreeMap::new(),
            roster: Roster::default(),
            places: Places::default(),
            publisher,
            wished: None,
            built: None,
            shown: None,
            inherited: Inherited::default(),
            links: Vec::new(),
            untold_status: false,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            problems: BTreeMap::new(),
            caught_up: false,
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

    /// Takes inputs that came at once: one decision follows from all of them.
    pub fn handle_all(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) {
        let urgencies = inputs.into_iter().map(|input| self.take(now, input));
        let urgency = urgencies.fold(Urgency::Usual, Urgency::max);
        self.refresh(now, urgency);
    }

    /// Learns what an input tells, without deciding anything.
    fn take(&mut self, now: Now, input: Input) -> Urgency {
        let mut urgency = Urgency::Usual;
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
                self.untold_status = true;
                urgency = Urgency::AtOnce;
            }
            Input::Resume => {
                if self.paused_until.take().is_some() {
                    self.untold_status = true;
                    urgency = Urgency::AtOnce;
                }
            }
            Input::Zone(zone) => {
                (self.zone, self.built) = (zone, None);
            }
            Input::Far => self.is_far_heard = true,
            Input::Remotes => self.untold_status = true,
            Input::Woke => self.publisher.woke(now),
            Input::Tick => {}
            Input::ShutDown => self.publisher.shut_down(now),
        }
        self.expire_settings(now);
        if self.paused_until.is_some_and(|until| until <= now.wall) {
            self.paused_until = None;
            self.untold_status = true;
            urgency = Urgency::AtOnce;
        }
        urgency
    }

    /// The next thing to be done outside; to be called until there is none.
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

    /// When the engine has to be ticked if nothing else happens, by the monotonic clock, and what is due then.
    pub fn poll_deadline(&self) -> Option<(Duration, Timer)> {
        [self.timers.next(), self.publisher.deadline()].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether a shutdown is through.
    pub fn is_finished(&self) -> bool {
        self.publisher.is_finished()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The card that is wanted now, whatever the publish intervals still hold back.
    pub fn card(&self) -> Option<&Arc<Card>> {
        self.wished.as_ref()
    }

    /// The user's time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Until when no card is wanted, if that is so.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    /// What the next daemon needs to know of what this one has spent.
    pub fn budget(&self, now: Now) -> Budget {
        self.publisher.budget(now)
    }

    /// The card that those who listen take to be shown.
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

    /// The last word on limits of each source, to be kept over a restart.
    pub fn limits(&self) -> impl Iterator<Item = &Snapshot> + Clone {
        self.limits.words()
    }

    /// What session folders suffer from, one line each.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.values().map(String::as_str)
    }

    fn source(&mut self, now: Now, event: SourceEvent) {
        match event {
            SourceEvent::Updated { file, update, read } => self.updated(now, file, *update, read),
            SourceEvent::Gone { file } if file.is_stream() => self.stream_ended(file),
            SourceEvent::Gone { file } => {
                self.gone(now, file);
                self.untold_status = true;
            }
            SourceEvent::Limits(word) => self.learn(now, [*word]),
            SourceEvent::CaughtUp => {
                self.inherited.files = None;
                self.untold_status |= !std::mem::replace(&mut self.caught_up, true);
                self.outputs.push_back(Output::CaughtUp);
                // Nobody has the card yet just because its file was read first.
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
                self.untold_status = true;
            }
        }
    }

    fn learn(&mut self, now: Now, words: impl IntoIterator<Item = Snapshot>) {
        let said: Vec<Snapshot> = self.limits.learn(words).into_iter().cloned().collect();
        let reports: Vec<LimitsReport> = said.iter().map(|said| self.report_limits(said, now)).collect();
        for report in reports {
            self.tell(now.wall, EventKind::Limits(Box::new(report)));
        }
    }

    fn tell(&mut self, at: Timestamp, kind: EventKind) {
        self.outputs.push_back(Output::Event(Box::new(Event { at, kind })));
    }

    /// Tells when what the sinks show has changed.
    fn tell_card(&mut self, now: Now) {
        let shown = self.publisher.shown().cloned();
        let report = |card: &Option<Arc<Card>>| card.as_deref().map(CardReport::from);
        let was = if let Some(left) = &self.inherited.card {
            // The last daemon's card is what is seen until this one has one of its own, or wants none.
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

    /// Tells when the status report says something else that no other event tells.
    fn tell_status(&mut self, now: Now) {
        let links = self.links(now);
        if links != self.links || self.untold_status {
            self.links = links;
            self.untold_status = false;
            self.tell(now.wall, EventKind::Status);
        }
    }

    /// Decides anew what follows from the state and the time.
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
            // A hidden session's card goes at once, before anything else may be wished.
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
