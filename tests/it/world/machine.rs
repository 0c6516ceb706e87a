//! A simulated machine with a daemon on it: clocks, settings, Discord clients or a terminal. What a session file says is
//! handed in by the caller, which has the files.
//!
//! It is also the oracle: with every output it checks what the engine promises.
//! Longer than other files, because a machine that is half in another file explains nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_presence::core::activity::Activity;
use agent_presence::core::card::Card;
use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::engine::{Engine, Input, LOOSER_AFTER, Output};
use agent_presence::core::file::FileUpdate;
use agent_presence::core::limits::Snapshot;
use agent_presence::core::privacy::Policy;
use agent_presence::core::publish::{Budget, Endpoint, LinkCommand, Payload, Publisher};
use agent_presence::core::report::{Event, EventKind};
use agent_presence::core::settings::{Settings, Show};
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::time::Now;
use agent_presence::host::drive::{Drive, Folders};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::discords::{Discord, Discords, Welcome, Wish, s};

/// When every script begins.
pub(crate) const BEGIN: Timestamp = Timestamp::constant(1_795_168_800, 0);

/// Deadlines at one moment; more than this would be a loop.
const AT_ONCE: usize = 20;

/// What listeners have heard of a session.
#[derive(Debug, Default)]
struct Announced {
    is_present: bool,
    activity: Option<Activity>,
    total: u64,
}

/// Something that came out, and when.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) at: Duration,
    pub(crate) output: Output,
    /// It is a frame that shows what the one before it showed.
    pub(crate) is_again: bool,
}

pub(crate) struct Machine {
    drive: Option<Drive>,
    /// Time since the beginning.
    pub(crate) elapsed: Duration,
    asleep: Duration,
    /// Where the present daemon's monotonic clock began.
    origin: Duration,
    clock_offset: SignedDuration,
    furthest_offset: SignedDuration,
    /// The settings file's lines, by their keys.
    settings: BTreeMap<String, String>,
    is_terminal: bool,
    pub(crate) discords: Discords<Card>,
    /// When the present daemon started.
    pub(crate) live_since: Timestamp,
    remembered: Vec<Snapshot>,
    announced: BTreeMap<String, Announced>,
    /// Where sessions work, as far as the caller knows.
    pub(crate) folders: BTreeMap<String, String>,
    /// What a session file has told in this moment.
    burst: Vec<(FileId, Input)>,
    is_stopping: bool,
    /// Until when a rule hides something: one that is taken away is in force for a while.
    hides_until: Option<Duration>,
    /// How often the daemon woke up by itself.
    pub(crate) wakeups: u32,
    /// What came out and was not taken yet.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Machine {
    /// Cards go to a terminal, or to these Discord clients.
    pub(crate) fn new(is_terminal: bool, clients: &[&str]) -> Self {
        let mut discords = Discords::new(|_, _| false);
        if is_terminal {
            discords.at(&Endpoint::terminal());
        }
        for name in clients {
            discords.at(&Endpoint((*name).to_owned()));
        }
        let mut machine = Self {
            drive: None,
            elapsed: Duration::ZERO,
            asleep: Duration::ZERO,
            origin: Duration::ZERO,
            clock_offset: SignedDuration::ZERO,
            furthest_offset: SignedDuration::ZERO,
            settings: BTreeMap::new(),
            is_terminal,
            discords,
            live_since: Timestamp::MIN,
            remembered: Vec::new(),
            announced: BTreeMap::new(),
            folders: BTreeMap::new(),
            burst: Vec::new(),
            is_stopping: false,
            hides_until: None,
            wakeups: 0,
            outcomes: Vec::new(),
        };
        machine.set("discord.application_id = \"123456789012345678\"");
        machine
    }

    /// The daemon's clocks. The monotonic one does not begin at zero: a daemon starts at any time after the machine did.
    pub(crate) fn now(&self) -> Now {
        let mono = s(1000) + self.elapsed - self.asleep - self.origin;
        let wall = BEGIN.checked_add(self.elapsed).and_then(|at| at.checked_add(self.clock_offset));
        Now { mono, wall: wall.unwrap_or(Timestamp::MAX) }
    }

    /// A moment of the daemon's monotonic clock, counted from the beginning.
    pub(crate) fn at(&self, mono: Duration) -> Duration {
        (mono + self.asleep + self.origin).saturating_sub(s(1000))
    }

    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.drive.as_ref().map(|drive| &drive.engine)
    }

    // The daemon.

    /// Starts a daemon that knows what the one before it kept, and what it spent if that was handed over. What is in session
    /// files comes next, and then [`Self::caught_up`].
    pub(crate) fn start(&mut self, budget: Option<&Budget>) {
        assert!(self.drive.is_none(), "a daemon is running");
        self.origin = self.elapsed - self.asleep;
        let now = self.now();
        let settings = self.read_settings();
        let mut publisher = Publisher::new(1, &settings);
        if let Some(budget) = budget {
            publisher = publisher.with_budget(now, budget);
        }
        if self.is_terminal {
            publisher = publisher.with_terminal(now);
        }
        self.discords.daemon_is_gone(budget.is_some());
        let engine = Engine::new(settings, TimeZone::UTC, publisher);
        self.drive = Some(Drive::new(engine, Folders::AsWritten));
        (self.live_since, self.is_stopping) = (now.wall, false);
        self.announced.clear();
        let remembered = std::mem::take(&mut self.remembered);
        self.input(Input::Remembered(remembered));
    }

    /// All session files were read; Discord clients of this kind are found.
    pub(crate) fn caught_up(&mut self, is_found: impl Fn(&Discord<Card>) -> bool) {
        self.input(Input::Source(SourceEvent::CaughtUp));
        let found = |(endpoint, discord): &(&Endpoint, &Discord<Card>)| {
            **endpoint != Endpoint::terminal() && is_found(discord)
        };
        let endpoints: Vec<Endpoint> =
            self.discords.all.iter().filter(found).map(|(endpoint, _)| endpoint.clone()).collect();
        for endpoint in endpoints {
            self.input(Input::Found(endpoint, "Discord".to_owned()));
        }
    }

    /// The daemon's process is gone; what it kept on disk is not.
    pub(crate) fn kill(&mut self) -> Engine {
        self.flush();
        let Drive { engine, .. } = self.drive.take().unwrap();
        self.remembered = engine.limits().cloned().collect();
        engine
    }

    /// It is told to end.
    pub(crate) fn stop(&mut self) {
        self.flush();
        self.is_stopping = true;
        self.input(Input::ShutDown);
    }

    // Clocks.

    /// The machine sleeps: only the calendar clock goes on.
    pub(crate) fn suspend(&mut self, time: Duration) {
        self.flush();
        self.elapsed += time;
        self.asleep += time;
        self.discords.woke();
        self.input(Input::Woke);
    }

    /// The calendar clock is set.
    pub(crate) fn set_clock(&mut self, by: SignedDuration) {
        self.flush();
        self.clock_offset += by;
        self.furthest_offset = self.furthest_offset.max(self.clock_offset);
        self.discords.woke();
        self.input(Input::Woke);
    }

    /// The clock is set right, so that no line is from the future: a daemon that starts among those takes them for news
    /// once more.
    pub(crate) fn set_clock_right(&mut self) {
        if self.clock_offset != self.furthest_offset {
            self.set_clock(self.furthest_offset - self.clock_offset);
        }
    }

    // Settings.

    /// Sets one key of the settings file, as `KEY = VALUE`.
    pub(crate) fn set(&mut self, assignment: &str) {
        let key = assignment.split('=').next().unwrap_or_default().trim();
        self.settings.insert(key.to_owned(), assignment.to_owned());
        let settings = self.read_settings();
        self.input(Input::Settings(Box::new(settings)));
    }

    fn read_settings(&mut self) -> Settings {
        let text: Vec<&str> = self.settings.values().map(String::as_str).collect();
        let settings = Effective::read(&text.join("\n"), &ConfigContext::default()).settings;
        let hides = settings.privacy.rules.iter().any(|rule| rule.show == Show::Hide);
        if hides {
            self.hides_until = Some(Duration::MAX);
        } else if self.hides_until.is_some_and(|until| self.elapsed <= until) {
            // Each change begins the wait anew.
            self.hides_until = Some(self.elapsed + LOOSER_AFTER);
        }
        settings
    }

    // Discord clients.

    /// A Discord client changes its manners, which the daemon notices or not.
    pub(crate) fn welcome(&mut self, name: &str, welcome: Welcome, noticed: Option<fn(Endpoint) -> Input>) {
        let endpoint = Endpoint(name.to_owned());
        self.discords.at(&endpoint).welcome = welcome;
        if welcome == Welcome::Down {
            self.discords.end_connection(self.elapsed, &endpoint, Duration::ZERO);
        }
        if let Some(noticed) = noticed {
            self.input(noticed(endpoint));
        }
    }

    // What happens.

    /// An event of a session file. Events of one file at one moment are one decision, made together with the next input.
    pub(crate) fn read(&mut self, file: FileId, update: FileUpdate) {
        let restores = update.usage.iter().filter(|event| event.added.is_none()).count();
        assert!(restores <= usize::from(update.first), "restored figures twice: {update:?}");
        if self.burst.first().is_some_and(|(first, _)| *first != file) {
            self.flush();
        }
        if update.first
            && let Some(announced) = self.announced.get_mut(&update.session.id)
        {
            // A provisional total may have been anything.
            announced.total = 0;
        }
        let event = SourceEvent::Updated { file, update: Box::new(update), read: None };
        self.burst.push((file, Input::Source(event)));
    }

    /// Forgets what listeners heard of these sessions.
    pub(crate) fn forget(&mut self, is_one: impl Fn(&str) -> bool) {
        self.announced.retain(|session, _| !is_one(session));
    }

    /// The sessions whose beginning was told and whose end was not.
    pub(crate) fn present(&self) -> impl Iterator<Item = &str> {
        self.announced.iter().filter(|(_, announced)| announced.is_present).map(|(id, _)| id.as_str())
    }

    /// Lets the daemon decide on what a session file has told.
    pub(crate) fn flush(&mut self) {
        if !self.burst.is_empty() {
            let burst = std::mem::take(&mut self.burst);
            self.step(burst.into_iter().map(|(_, input)| input));
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.flush();
        self.step([input]);
    }

    fn step(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let now = self.now();
        let Some(drive) = &mut self.drive else { return };
        drive.take(now, inputs);
        let mut outputs = 0;
        while let Some(output) = self.drive.as_mut().unwrap().poll(now) {
            outputs += 1;
            assert!(outputs < 1000, "outputs never end: {output:?}");
            let mut is_again = false;
            match &output {
                Output::Link(command) => is_again = self.obey(command),
                Output::Event(event) => self.check_event(event),
                _ => {}
            }
            self.outcomes.push(Outcome { at: self.elapsed, output, is_again });
        }
        let policy = Policy::new([&self.engine().unwrap().settings().privacy], &BTreeMap::new());
        let well = self.discords.all.values().filter(|discord| discord.is_well);
        for (card, _) in well.filter_map(|discord| discord.visible.as_ref()) {
            let is_shown =
                self.folders.get(card.session()).map(|folder| policy.allows(folder, &[]).is_some());
            assert_ne!(is_shown, Some(false), "a hidden session is seen: {card:?}");
        }
    }

    /// Lets time pass as a driver would: from deadline to deadline and event to event.
    pub(crate) fn run_until(&mut self, end: Duration) {
        assert!(end >= self.elapsed, "time goes on, not back");
        if end > self.elapsed {
            self.flush();
        }
        let mut at_once = 0;
        loop {
            let deadline = self.engine().and_then(Engine::poll_deadline);
            let due = deadline.map(|(at, _)| self.at(at));
            let event = self.discords.next();
            let next = [due, event].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            at_once = if next > self.elapsed { 0 } else { at_once + 1 };
            assert!(at_once < AT_ONCE, "a deadline that is never met: {deadline:?}");
            self.elapsed = self.elapsed.max(next);
            if event.is_some_and(|at| at <= self.elapsed) {
                if let Some((endpoint, event)) = self.discords.deliver(self.elapsed) {
                    self.input(Input::Link(endpoint, event));
                }
            } else {
                self.wakeups += 1;
                self.input(Input::Tick);
            }
        }
        self.elapsed = end;
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.elapsed + time);
    }

    /// Whether it is a frame that shows what the one before it showed.
    fn obey(&mut self, command: &LinkCommand) -> bool {
        let engine = self.engine().unwrap();
        let hides = self.hides_until.is_some_and(|until| self.elapsed <= until);
        let clears_at_once = self.is_stopping || hides || engine.paused_until().is_some();
        let wish = Wish { card: engine.card().cloned(), clears_at_once };
        let application_id = engine.settings().discord.application_id.clone();
        let mut is_again = false;
        if let LinkCommand::Send { endpoint, nonce, payload } = command {
            valid(*nonce, payload);
            let card = match payload {
                Payload::Card(card) | Payload::Reduced(card) => Some(card),
                Payload::Clear => None,
            };
            is_again = self.discords.at(endpoint).visible.as_ref().map(|(card, _)| card) == card;
        }
        self.discords.obey(self.elapsed, command.clone(), &application_id, &wish);
        is_again
    }

    fn check_event(&mut self, event: &Event) {
        assert_eq!(event.at, self.now().wall);
        match &event.kind {
            EventKind::Usage(usage) => {
                let announced = self.announced.entry(usage.session.clone()).or_default();
                let (tokens, total) = (usage.tokens, usage.usage.session_total_tokens);
                assert!(tokens.total.is_none() || tokens.delta <= tokens.total, "{usage:?}");
                let total = total.map_or(0, |total| total.all());
                assert!(announced.total <= total, "the total fell from {}: {usage:?}", announced.total);
                announced.total = total;
            }
            EventKind::Activity { session, activity, .. } => {
                let announced = self.announced.entry(session.clone()).or_default();
                assert_ne!(announced.activity.replace(*activity), Some(*activity), "{session} again");
            }
            EventKind::Session { ended, session } => {
                let announced = self.announced.entry(session.id.clone()).or_default();
                assert!(announced.is_present || !*ended, "{} ends without having been there", session.id);
                announced.is_present = !*ended;
                announced.activity = announced.activity.filter(|_| !*ended);
            }
            EventKind::Card { card } => {
                let announced = card.as_ref().map(|card| card.session.as_str());
                let mut confirmed =
                    self.discords.all.values().filter_map(|discord| discord.confirmed.as_ref());
                let is_true = match announced {
                    Some(announced) => confirmed.any(|(card, _)| card.session() == announced),
                    None => confirmed.next().is_none(),
                };
                assert!(is_true, "the event says more than may be shown: {event:?}");
            }
            EventKind::Limits(_) | EventKind::Status | EventKind::About { .. } => {}
        }
    }
}

/// Discord takes it, by its own rules.
fn valid(nonce: u64, payload: &Payload) {
    #[cfg(unix)]
    {
        let body = agent_presence::io::discord::activity::set_activity(nonce, payload, 1).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(crate::support::discord_rules::validate(&body["args"]), Ok(()), "{body}");
    }
    #[cfg(not(unix))]
    let _ = (nonce, payload);
}
