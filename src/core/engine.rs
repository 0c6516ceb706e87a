//! The engine: everything that decides, behind one door.
//!
//! Driver contract: after every [`Engine::handle`], drain [`Engine::poll_output`] until it is empty, then sleep until
//! [`Engine::poll_deadline`] and hand in [`Input::Tick`]. Nothing here reads a clock, does I/O or can fail; an engine
//! without input schedules nothing but real deadlines.
//! The daemon, `replay`, `run --demo` and an offline `status` are this engine with other drivers.
//!
//! Longer than other files because it is where all parts of the core meet, and the order in which they do is the point.
//! Which card is wanted is in `card`, what is told of the state in `report`.

mod card;
mod handover;
mod in_force;
mod parts;
mod places;
mod report;
mod tapped;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::card::Basis;
use self::parts::Parts;
use self::tapped::Told;
use crate::core::activity::{Activity, Agent};
use crate::core::card::Card;
use crate::core::file::FileUpdate;
use crate::core::limits::{LimitsBook, Snapshot};
use crate::core::privacy::{Answer, Question};
use crate::core::publish::{
    Budget, Endpoint, LinkCommand, LinkEvent, LinkState, LinkStatus, Notice, Publisher, Urgency,
};
use crate::core::register::Registers;
use crate::core::report::{CardReport, Event, EventKind, LimitsReport, UsageReport};
use crate::core::roster::{self, Roster};
use crate::core::session::{Context, Session, UsageEvent};
use crate::core::settings::Settings;
use crate::core::source_event::{FileId, ReadTo, SourceEvent, Standing};
use crate::core::time::Now;

use handover::Inherited;
pub use handover::Progress;
use in_force::InForce;
pub use in_force::LOOSER_AFTER;
use places::Places;

/// How long a session is listed after its last line.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

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
    /// For whoever listens.
    Event(Box<Event>),
    /// For the log.
    Notice(Notice),
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
    next: Option<(Duration, &'static str)>,
    problems: BTreeMap<(&'static str, Arc<str>), String>,
    paused_until: Option<Timestamp>,
}

/// What is known of one session.
#[derive(Debug)]
struct Known {
    session: Session,
    parts: Parts,
    activity: Activity,
    ended: bool,
    /// Restored figures that nobody was told of.
    untold: Option<Box<UsageEvent>>,
    /// What the session's stream has told of its file already.
    told: Option<Told>,
    /// A start of the timer that lay in the future, because the clock was set back, and what stands for it.
    late_start: Option<(Timestamp, Timestamp)>,
}

impl Known {
    /// A session that nothing was said of.
    fn unheard(session: Session) -> Self {
        Self {
            session,
            parts: Parts::default(),
            activity: Activity::Idle,
            ended: true,
            untold: None,
            told: None,
            late_start: None,
        }
    }

    /// Nothing in it is later than now. A timer that would start in the future starts at the moment at which that was
    /// noticed, and stays there.
    fn not_after(&mut self, wall: Timestamp) {
        self.session.not_after(wall);
        let Some(from) = self.session.timer_from else { return };
        let (start, shown) = match self.late_start {
            Some((start, shown)) if from == start || from == shown => (start, shown),
            _ => (from, from),
        };
        let shown = shown.min(wall);
        self.session.timer_from = Some(shown);
        self.late_start = (shown != start).then_some((start, shown));
    }
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
            next: None,
            problems: BTreeMap::new(),
            paused_until: None,
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
        self.outputs.pop_front()
    }

    /// When the engine has to be ticked if nothing else happens, by the monotonic clock, and why.
    pub fn poll_deadline(&self) -> Option<(Duration, &'static str)> {
        [self.next, self.publisher.deadline()].into_iter().flatten().min_by_key(|(at, _)| *at)
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

    /// Until when no card is wanted, if that is so.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    /// What the next daemon needs to know of what this one has spent.
    pub fn budget(&self, now: Now) -> Budget {
        self.publisher.budget(now)
    }

    /// The card that a sink shows now.
    pub fn shown(&self) -> Option<&Arc<Card>> {
        self.shown.as_ref()
    }

    /// The card that those who listen take to be shown.
    pub fn shown_report(&self) -> Option<CardReport> {
        self.inherited.card.clone().or_else(|| self.shown.as_deref().map(CardReport::from))
    }

    /// The next endpoint of which it should be found out whether another process listens there than before.
    pub fn next_unknown_peer(&mut self, now: Now) -> Option<Endpoint> {
        self.publisher.next_unknown_peer(now)
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

    /// Says that every session has ended, for a driver whose files are over.
    pub fn end_sessions(&mut self, now: Now) {
        let files: Vec<FileId> = self.files.keys().copied().collect();
        for file in files {
            self.end(now, file);
        }
    }

    fn source(&mut self, now: Now, event: SourceEvent) {
        match event {
            SourceEvent::Updated { file, update, standing: Standing::Resumed, read } => {
                self.resumed(now, file, *update, read);
            }
            SourceEvent::Updated { file, update, standing, read } => {
                self.updated(now, file, *update, standing == Standing::Restored, read);
            }
            SourceEvent::Gone { file } if file.is_stream() => self.stream_ended(file),
            SourceEvent::Gone { file } => {
                self.gone(now, file);
                self.untold_status = true;
            }
            SourceEvent::Limits(word) => self.learn(now, [*word]),
            SourceEvent::CaughtUp => {
                self.inherited.files = None;
                // Nobody has the card yet just because its file was read first.
                self.roster = Roster::default();
            }
            SourceEvent::Register { home, register } => {
                self.registers.learn(now.wall, home, register);
                for known in self.files.values() {
                    self.registers.heard(now.wall, &known.session);
                }
            }
            SourceEvent::Window { session, tokens } => {
                self.windows.insert(session, tokens);
            }
            SourceEvent::Problem { key, home, message } => {
                match message {
                    Some(message) => self.problems.insert((key, home), message),
                    None => self.problems.remove(&(key, home)),
                };
                self.untold_status = true;
            }
        }
    }

    fn updated(&mut self, now: Now, file: FileId, update: FileUpdate, restored: bool, read: Option<ReadTo>) {
        let FileUpdate { session: mut told, mut usage, limits, skipped } = update;
        if file.is_stream() && self.has_file(&told) {
            self.files.remove(&file);
            // The file need not tell those.
            self.learn(now, limits);
            return;
        }
        let place = self.place_of(now, file, &told);
        let (before, adopted) = self.take_known(place, file, &told);
        let joins = before.as_ref().is_some_and(|known| !known.parts.has(file));
        let restored = restored && !adopted && !joins;
        let mut before = before.unwrap_or_else(|| Known::unheard(told.clone()));
        if let Some(of_stream) = before.told.take() {
            before.told = of_stream.take_off(told.agent, &mut usage);
        }
        told.not_after(now.wall);
        let mut session = before.parts.put(file, skipped, read, told, &before.session);
        before.parts.tell(file, &mut usage);
        if before.parts.are_several() && session.usage == before.session.usage {
            // A file that changes nothing is no news.
            usage.clear();
        }
        session.helped = before.session.helped;
        if session.id == before.session.id {
            // A file that was cut does not undo where its session was.
            before.session.folders().for_each(|folder| session.was_in(folder));
        }
        if let Some(folder) =
            session.cwd.as_deref().filter(|folder| before.session.cwd.as_deref() != Some(*folder))
        {
            self.places.doubt(folder);
        }
        self.registers.heard(now.wall, &session);
        beside(&mut session, &self.registers, &self.windows);
        let activity = session.activity(now.wall, self.settings.card.idle_after);
        let asleep = activity == Activity::Idle;
        // Nothing else is told of those.
        self.untold_status |= asleep;
        let count = self.settings.tokens.count;
        let mut events = Vec::new();
        if !asleep && (restored || before.ended) {
            let session = Box::new(self.report(&session, now));
            events.push(EventKind::Session { ended: false, session });
        }
        if !asleep && before.activity != activity {
            events.push(activity_event(&session, activity));
        }
        let (mut untold, mut news, told) = (before.untold, Vec::new(), before.told);
        let late_start = before.late_start;
        for event in usage {
            if event.added.is_none() { untold = Some(Box::new(event)) } else { news.push(event) }
        }
        // Figures of a session that is long idle are not news until it goes on, nor are provisional ones.
        let goes_on = !asleep || !news.is_empty();
        let mut found = if goes_on && !session.counting { untold.take() } else { None };
        if let Some(found) = found.as_mut().filter(|_| news.is_empty()) {
            // A turn may have begun since.
            found.usage = session.usage;
        }
        let usage = found.as_deref().into_iter().chain(&news);
        events.extend(usage.map(|event| EventKind::Usage(UsageReport::new(&session, event, count))));
        // Whoever fell asleep unnoticed is told of like anybody who does, by `activities`.
        let (activity, ended) = if asleep { (before.activity, before.ended) } else { (activity, false) };
        let parts = before.parts;
        let known = Known { session, parts, activity, ended, untold, told, late_start };
        self.files.insert(place, Box::new(known));
        for kind in events {
            self.tell(now.wall, kind);
        }
        self.learn(now, limits);
    }

    /// By which file the session of `file` is known. A file of which nothing is known may be another one of a session that is.
    fn place_of(&mut self, now: Now, file: FileId, session: &Session) -> FileId {
        if file.is_stream() {
            return file;
        }
        if let Some(first) = self.first_of(file) {
            let known = self.files.get(&first).or_else(|| self.dormant.get(&first));
            if known.is_some_and(|known| tapped::is_same(&known.session, session)) {
                return first;
            }
            // Another session's file was put in its place.
            self.gone(now, file);
        }
        let first = *self.by_session.entry(hash(session)).or_insert(file);
        let known = self.files.get(&first).or_else(|| self.dormant.get(&first));
        match known {
            Some(known) if tapped::is_same(&known.session, session) => {
                self.firsts.insert(file, first);
                first
            }
            _ => file,
        }
    }

    fn first_of(&self, file: FileId) -> Option<FileId> {
        let first = self.firsts.get(&file).copied();
        let is_first = || self.files.contains_key(&file) || self.dormant.contains_key(&file);
        first.or_else(|| is_first().then_some(file))
    }

    /// What is known of the session at `place`, taken out of there; and whether a stream has told of it.
    fn take_known(&mut self, place: FileId, file: FileId, session: &Session) -> (Option<Known>, bool) {
        if let Some(known) = self.files.remove(&place) {
            return (Some(*known), false);
        }
        let dormant = self.dormant.remove(&place).map(|known| *known);
        match self.adopt(file, session) {
            Some(adopted) => {
                let parts = dormant.map(|dormant| dormant.parts).unwrap_or_default();
                (Some(Known { parts, ..adopted }), true)
            }
            None => (dormant, false),
        }
    }

    /// A file is followed no longer. Its session goes on as long as another file tells of it.
    fn gone(&mut self, now: Now, file: FileId) {
        let Some(first) = self.first_of(file) else { return };
        let known = self.files.get_mut(&first).or_else(|| self.dormant.get_mut(&first));
        let Some(known) = known else { return };
        if known.parts.lose(file) {
            if let Some(session) = known.parts.joined() {
                let before = std::mem::replace(&mut known.session, session);
                before.folders().for_each(|folder| known.session.was_in(folder));
                (known.session.helped, known.session.registration) = (before.helped, before.registration);
            }
            return;
        }
        let key = hash(&known.session);
        self.end(now, first);
        if let Some(known) = self.files.remove(&first).or(self.dormant.remove(&first)) {
            self.places.file_gone(&known.session);
        }
        self.firsts.retain(|_, of| *of != first);
        if self.by_session.get(&key) == Some(&first) {
            self.by_session.remove(&key);
        }
    }

    fn learn(&mut self, now: Now, words: impl IntoIterator<Item = Snapshot>) {
        let said = self.limits.learn(words);
        let reports: Vec<LimitsReport> = said.into_iter().map(|said| LimitsReport::new(said, now)).collect();
        for report in reports {
            self.tell(now.wall, EventKind::Limits(Box::new(report)));
        }
    }

    fn end(&mut self, now: Now, file: FileId) {
        let Some(known) = self.files.get_mut(&file).filter(|known| !known.ended) else { return };
        known.ended = true;
        let session = known.session.clone();
        let session = Box::new(self.report(&session, now));
        self.tell(now.wall, EventKind::Session { ended: true, session });
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
        self.next = self.next_deadline(now);
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
    }

    /// Notices what changed because time passed, sub-agents went on or a register spoke: activities, and sessions that went idle or are
    /// back.
    fn activities(&mut self, now: Now) {
        let idle_after = self.settings.card.idle_after;
        self.registers.not_after(now.wall);
        for known in self.files.values_mut() {
            beside(&mut known.session, &self.registers, &self.windows);
            known.not_after(now.wall);
        }
        let any_helper = self.files.values().any(|known| known.session.parent.is_some());
        let mut helped = if any_helper { roster::helped(&self.sessions()) } else { BTreeMap::new() };
        let mut changed = Vec::new();
        for (file, known) in &mut self.files {
            known.session.helped = helped.remove(&known.session.id);
            let activity = known.session.activity(now.wall, idle_after);
            // Until all files were met, who helps whom is not known.
            if activity != known.activity && self.inherited.files.is_none() {
                known.activity = activity;
                changed.push((*file, activity));
            }
        }
        for (file, activity) in changed {
            let Some(known) = self.files.get_mut(&file) else { continue };
            let is_back = activity != Activity::Idle && std::mem::take(&mut known.ended);
            let session = known.session.clone();
            if is_back {
                let session = Box::new(self.report(&session, now));
                self.tell(now.wall, EventKind::Session { ended: false, session });
            }
            self.tell(now.wall, activity_event(&session, activity));
            if activity == Activity::Idle {
                self.end(now, file);
            }
        }
    }

    /// Sessions that ended long ago are nobody's concern any more.
    fn forget(&mut self, now: Now) {
        let is_old = |known: &Known| {
            known.ended && known.session.last_event_at.is_none_or(|last| now.since(last) > REMEMBERED)
        };
        let old: Vec<FileId> =
            self.files.iter().filter(|(_, known)| is_old(known)).map(|(first, _)| *first).collect();
        for first in &old {
            let known = self.files.remove(first).filter(|_| !first.is_stream());
            self.dormant.extend(known.map(|known| (*first, known)));
        }
        if !old.is_empty() {
            let files = &self.files;
            self.windows.retain(|id, _| files.values().any(|known| known.session.id == *id));
        }
    }

    /// One entry per session: where a thread has several files, the one with the newest line speaks for it.
    fn sessions(&self) -> Vec<&Session> {
        let mut newest: BTreeMap<(Agent, &str), &Session> = BTreeMap::new();
        for known in self.files.values() {
            let session = &known.session;
            let place = newest.entry((session.agent, &session.id)).or_insert(session);
            if session.last_event_at > place.last_event_at {
                *place = session;
            }
        }
        newest.into_values().collect()
    }
}

fn hash(session: &Session) -> u64 {
    let mut hasher = DefaultHasher::new();
    (session.agent.word(), &session.id).hash(&mut hasher);
    hasher.finish()
}

/// What is said of a session elsewhere than in its file.
fn beside(session: &mut Session, registers: &Registers, windows: &BTreeMap<String, u64>) {
    session.registration = registers.registration(session);
    if session.context.is_none() {
        let window = windows.get(&session.id).copied();
        session.context = session.context_used.zip(window).map(|(used, window)| Context::plain(used, window));
    }
}

fn activity_event(session: &Session, activity: Activity) -> EventKind {
    EventKind::Activity { session: session.id.clone(), agent: session.agent, activity }
}
