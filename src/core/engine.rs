//! The engine: everything that decides, behind one door.
//!
//! Driver contract: after every [`Engine::handle`], drain [`Engine::poll_output`] until it is empty, then sleep until
//! [`Engine::poll_deadline`] and hand in [`Input::Tick`]. Nothing here reads a clock, does I/O or can fail; an engine
//! without input schedules nothing but real deadlines.
//! The daemon, `replay`, `run --demo` and an offline `status` are this engine with other drivers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::core::activity::{Activity, Agent};
use crate::core::card::{Card, CardFacts, CardWindow};
use crate::core::file::{FileUpdate, Skipped};
use crate::core::limits::{LimitsBook, Snapshot};
use crate::core::privacy;
use crate::core::publish::{Endpoint, LinkCommand, LinkEvent, LinkStatus, Notice, Publisher, Urgency};
use crate::core::report::{CardReport, Event, EventKind, LimitsReport, SessionReport, UsageReport};
use crate::core::roster::Roster;
use crate::core::session::Session;
use crate::core::settings::{Settings, Show};
use crate::core::source_event::{FileId, SourceEvent};
use crate::core::time::Now;

/// Something that happened outside.
#[derive(Debug)]
pub enum Input {
    /// Session files brought something.
    Source(SourceEvent),
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
    /// The settings were read again.
    Settings(Box<Settings>),
    /// The machine slept, or a clock jumped.
    Woke,
    /// A deadline has come.
    Tick,
    /// The daemon is to end: the card is taken away everywhere.
    ShutDown,
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// For a link.
    Link(LinkCommand),
    /// For whoever listens.
    Event(Event),
    /// For the log.
    Notice(Notice),
}

/// All state and every decision.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    zone: TimeZone,
    files: BTreeMap<FileId, Known>,
    limits: LimitsBook,
    roster: Roster,
    publisher: Publisher,
    wished: Option<Arc<Card>>,
    shown: Option<Arc<Card>>,
    outputs: VecDeque<Output>,
    next: Option<(Duration, &'static str)>,
    problems: BTreeMap<(&'static str, Arc<str>), String>,
}

/// What is known of one file.
#[derive(Debug)]
struct Known {
    session: Session,
    skipped: Skipped,
    activity: Activity,
    ended: bool,
}

impl Engine {
    /// An engine that knows nothing yet. `zone` is the user's, for clock times on cards; the publisher carries the
    /// sinks and the seed.
    pub fn new(settings: Settings, zone: TimeZone, publisher: Publisher) -> Self {
        Self {
            settings,
            zone,
            files: BTreeMap::new(),
            limits: LimitsBook::default(),
            roster: Roster::default(),
            publisher,
            wished: None,
            shown: None,
            outputs: VecDeque::new(),
            next: None,
            problems: BTreeMap::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        let mut urgency = Urgency::Usual;
        match input {
            Input::Source(event) => self.source(now, event),
            Input::Remembered(snapshots) => {
                for snapshot in snapshots {
                    self.limits.learn(snapshot);
                }
            }
            Input::Found(endpoint, client) => self.publisher.endpoint_found(now, endpoint, client),
            Input::Renewed(endpoint, client) => self.publisher.endpoint_renewed(now, endpoint, client),
            Input::Vanished(endpoint) => self.publisher.endpoint_gone(now, &endpoint),
            Input::Link(endpoint, event) => self.publisher.link_event(now, &endpoint, event),
            Input::Settings(settings) => {
                // A rule that hides the session on the card acts at once.
                urgency = Urgency::AtOnce;
                self.settings = *settings;
                self.publisher.set_settings(now, &self.settings);
            }
            Input::Woke => self.publisher.woke(now),
            Input::Tick => {}
            Input::ShutDown => self.publisher.shut_down(now),
        }
        self.refresh(now, urgency);
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

    /// The card that a sink shows now.
    pub fn shown(&self) -> Option<&Arc<Card>> {
        self.shown.as_ref()
    }

    /// The links, for `status`.
    pub fn links(&self, now: Now) -> Vec<LinkStatus> {
        self.publisher.links(now).collect()
    }

    /// The freshest limits, to be kept over a restart.
    pub fn limits(&self) -> impl Iterator<Item = &Snapshot> {
        self.limits.iter()
    }

    /// The limits as they may be told now.
    pub fn limits_report(&self, now: Now) -> Vec<LimitsReport> {
        self.limits.iter().map(|snapshot| LimitsReport::new(snapshot, now)).collect()
    }

    /// The sessions, freshest first.
    pub fn sessions_report(&self, now: Now) -> Vec<SessionReport> {
        let shown = self.wished.as_ref().map(|card| card.session());
        let mut sessions = self.sessions();
        sessions.sort_by_key(|session| (std::cmp::Reverse(session.last_event_at), session.id.clone()));
        sessions
            .into_iter()
            .map(|session| self.report(session, shown == Some(session.id.as_str()), now))
            .collect()
    }

    /// Lines that could not be used, over all files followed.
    pub fn skipped(&self) -> Skipped {
        self.files.values().fold(Skipped::default(), |sum, known| Skipped {
            unreadable_lines: sum.unreadable_lines + known.skipped.unreadable_lines,
            oversized_lines: sum.oversized_lines + known.skipped.oversized_lines,
            unknown_types: sum.unknown_types + known.skipped.unknown_types,
        })
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
            SourceEvent::Updated { file, update, restored } => self.updated(now, file, *update, restored),
            SourceEvent::Gone { file } => {
                self.end(now, file);
                self.files.remove(&file);
            }
            SourceEvent::Limits(snapshot) => self.learn(now, snapshot),
            SourceEvent::CaughtUp => {}
            SourceEvent::Problem { key, home, message } => {
                match message {
                    Some(message) => self.problems.insert((key, home), message),
                    None => self.problems.remove(&(key, home)),
                };
            }
        }
    }

    fn updated(&mut self, now: Now, file: FileId, update: FileUpdate, restored: bool) {
        let FileUpdate { session, usage, limits, skipped } = update;
        let idle_after = self.settings.card.idle_after;
        let activity = session.doing(now.wall, idle_after).activity;
        let asleep = activity == Activity::Idle;
        let before = self.files.insert(file, Known { session, skipped, activity, ended: asleep });
        let is_new = restored || before.as_ref().is_none_or(|before| before.ended);
        let Some(known) = self.files.get(&file) else { return };
        let mut events = Vec::new();
        if is_new && !asleep {
            let session = Box::new(self.report(&known.session, false, now));
            events.push(EventKind::Session { ended: false, session });
        }
        if !asleep && before.as_ref().is_none_or(|before| before.activity != activity) {
            events.push(activity_event(&known.session, activity));
        }
        let count = self.settings.tokens.count;
        // Figures of a session that is long idle are not news.
        let news = usage.iter().filter(|event| !asleep || event.added.is_some());
        events.extend(news.map(|event| EventKind::Usage(UsageReport::new(&known.session, event, count))));
        for kind in events {
            self.tell(now.wall, kind);
        }
        for snapshot in limits {
            self.learn(now, snapshot);
        }
    }

    fn learn(&mut self, now: Now, snapshot: Snapshot) {
        let report = LimitsReport::new(&snapshot, now);
        if self.limits.learn(snapshot) {
            self.tell(now.wall, EventKind::Limits(Box::new(report)));
        }
    }

    fn end(&mut self, now: Now, file: FileId) {
        let Some(known) = self.files.get_mut(&file).filter(|known| !known.ended) else { return };
        known.ended = true;
        let session = known.session.clone();
        let session = Box::new(self.report(&session, false, now));
        self.tell(now.wall, EventKind::Session { ended: true, session });
    }

    fn report(&self, session: &Session, shown: bool, now: Now) -> SessionReport {
        SessionReport::new(session, shown, self.settings.tokens.count, now, self.settings.card.idle_after)
    }

    fn tell(&mut self, at: Timestamp, kind: EventKind) {
        self.outputs.push_back(Output::Event(Event { at, kind }));
    }

    /// Tells when what the sinks show has changed.
    fn tell_card(&mut self, now: Now) {
        let shown = self.publisher.shown().cloned();
        if shown != self.shown {
            let card = shown.as_deref().map(CardReport::from);
            self.shown = shown;
            self.tell(now.wall, EventKind::Card { card });
        }
    }

    /// Decides anew what follows from the state and the time.
    fn refresh(&mut self, now: Now, urgency: Urgency) {
        self.activities(now);
        let card = self.choose(now);
        self.next = self.next_deadline(now);
        let is_other = card.as_ref() != self.wished.as_deref();
        if is_other {
            let hides = urgency == Urgency::AtOnce
                && self.wished.as_ref().is_some_and(|before| {
                    card.as_ref().is_none_or(|card| card.session() != before.session())
                });
            // Of new settings only a rule that takes the card away is urgent. Another session's card comes after
            // it, as soon as the intervals allow.
            if hides && card.is_some() {
                self.next = Some((now.mono, "another session after a hidden one"));
            }
            self.wished = card.filter(|_| !hides).map(Arc::new);
            let urgency = if hides { Urgency::AtOnce } else { Urgency::Usual };
            self.publisher.wish(now, self.wished.clone(), urgency);
        }
    }

    /// Notices activities that changed because time passed, and sessions that went idle.
    fn activities(&mut self, now: Now) {
        let idle_after = self.settings.card.idle_after;
        let mut changed = Vec::new();
        for (file, known) in &mut self.files {
            let activity = known.session.doing(now.wall, idle_after).activity;
            if activity != known.activity {
                known.activity = activity;
                changed.push((*file, activity_event(&known.session, activity), activity == Activity::Idle));
            }
        }
        for (file, event, is_over) in changed {
            self.tell(now.wall, event);
            if is_over {
                self.end(now, file);
            }
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

    fn choose(&mut self, now: Now) -> Option<Card> {
        let settings = self.settings.clone();
        let rule = |session: &Session| {
            session.cwd.as_deref().and_then(|cwd| privacy::rule_for(&settings.privacy.rules, cwd))
        };
        let mut roster = std::mem::take(&mut self.roster);
        let sessions = self.sessions();
        let idle_after = settings.card.idle_after;
        let chosen = roster.choose(now, &sessions, |session| rule(session) != Some(Show::Hide), idle_after);
        let card = chosen.and_then(|session| {
            let facts = self.facts(session, now);
            Card::build(&facts, &settings, rule(session), &self.zone, now)
        });
        self.roster = roster;
        card
    }

    fn facts(&self, session: &Session, now: Now) -> CardFacts {
        let settings = &self.settings;
        let mut doing = session.doing(now.wall, settings.card.idle_after);
        if doing.activity == Activity::Idle {
            // It is on the card because its sub-agents are at work.
            doing.activity = Activity::Delegating;
        }
        let limits = self.limits.main(session.agent, &session.home);
        let window = |view: crate::core::limits::WindowView| {
            let remaining_percent = view.remaining_percent?;
            Some(CardWindow { label: view.label, remaining_percent, resets_at: view.resets_at })
        };
        CardFacts {
            agent: session.agent,
            session: session.id.clone(),
            activity: doing.activity,
            file: doing.file,
            project: session.project().map(str::to_owned),
            branch: session.branch.clone(),
            model: session.model.clone(),
            effort: session.effort.clone(),
            triplet: session.usage.triplet(settings.tokens.count),
            counting: session.counting,
            total: session.usage.session_total_tokens,
            context_remaining_percent: session.context.map(|context| context.remaining_percent),
            windows: limits
                .map(|limits| limits.views(now).into_iter().filter_map(window).collect())
                .unwrap_or_default(),
            limits_as_of: limits.filter(|limits| limits.is_stale(now)).map(|limits| limits.observed_at),
            started_at: session.timer_from.or(session.started_at).unwrap_or(now.wall),
        }
    }

    fn next_deadline(&self, now: Now) -> Option<(Duration, &'static str)> {
        let idle_after = self.settings.card.idle_after;
        let sessions = self
            .files
            .values()
            .filter_map(|known| known.session.next_change(now.wall, idle_after))
            .map(|at| (at, "activity"));
        let limits = self.limits.iter().flat_map(|snapshot| {
            let resets = snapshot.windows.iter().filter_map(|window| snapshot.expires_at(window));
            resets.map(|at| (at, "limit reset")).chain([(snapshot.stale_at(), "limits stale")])
        });
        // Limits without a session in sight change nothing that anybody sees.
        let limits = limits.filter(|_| self.wished.is_some());
        let by_wall = sessions.chain(limits).filter_map(|(at, why)| {
            // Stale begins just after its threshold; a millisecond later nothing is missed.
            Some((now.mono_at(at)?.saturating_add(Duration::from_millis(1)), why))
        });
        let patience =
            self.roster.deadline().filter(|at| *at > now.mono).map(|at| (at, "another session waits"));
        by_wall.chain(patience).min_by_key(|(at, _)| *at)
    }
}

fn activity_event(session: &Session, activity: Activity) -> EventKind {
    EventKind::Activity { session: session.id.clone(), agent: session.agent, activity }
}
