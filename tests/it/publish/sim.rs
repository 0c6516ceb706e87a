//! A world for a [`Publisher`]: clocks, the links' shell and any number of Discord clients, all simulated.
//!
//! It is also the oracle: whatever a test does, [`World`] checks with every frame what must always hold.
//! Longer than other files, because a world that is half in another file explains nothing.

#![expect(clippy::unwrap_used, reason = "what a test asks for is there, or the test has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_presence::core::publish::{
    Budget, Endpoint, LinkCommand, LinkEvent, LinkState, LinkStatus, Loss, Payload, Publisher, Showable,
    Urgency,
};
use agent_presence::core::settings::Settings;
use agent_presence::core::time::Now;
use jiff::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TestCard {
    pub(super) topic: u32,
    pub(super) number: u32,
    pub(super) picture: u32,
}

impl Showable for TestCard {
    fn only_numbers_moved(&self, shown: &Self) -> bool {
        self.topic == shown.topic && self.picture == shown.picture && self.number != shown.number
    }

    fn reduced_eq(&self, other: &Self) -> bool {
        self.topic == other.topic && self.number == other.number
    }
}

pub(super) fn card(topic: u32, number: u32) -> TestCard {
    TestCard { topic, number, picture: 0 }
}

pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn endpoint(name: &str) -> Endpoint {
    Endpoint(name.to_owned())
}

/// A connected world with these publish intervals, in seconds and in milliseconds for settling.
///
/// Connecting takes its first half second; frames are given in seconds since its beginning.
pub(super) fn busy(min_interval: u64, tokens_interval: u64, settle: u64) -> World {
    let mut settings = settings();
    settings.publish.min_interval = s(min_interval);
    settings.publish.tokens_interval = s(tokens_interval);
    settings.publish.settle = ms(settle);
    World::connected(settings)
}

pub(super) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.discord.application_id = "123456789012345678".to_owned();
    settings
}

/// What a Discord does with a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Welcome {
    NobodyListens,
    ReadyAfter(Duration),
    NeverReady,
    /// Close code 4000.
    Rejects,
    HangsUp,
}

/// What a Discord does with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    AcksAfter(Duration),
    /// Acknowledges, and shows nothing.
    Forgets,
    Refuses(i64),
    Never,
}

/// A picture that Discord refuses, and a topic that it refuses in any form.
pub(super) const BAD_PICTURE: u32 = 1;
pub(super) const BAD_TOPIC: u32 = 9;

#[derive(Debug)]
pub(super) struct Discord {
    pub(super) welcome: Welcome,
    pub(super) answer: Answer,
    pub(super) bridge: bool,
    /// What friends see: the card, and whether it is reduced.
    pub(super) visible: Option<(TestCard, bool)>,
    /// What Discord said it took.
    accepted: Option<(TestCard, bool)>,
    is_connected: bool,
    is_ready: bool,
    unanswered: Vec<u64>,
    connection: u64,
    last_frame_at: Duration,
    woke: bool,
    /// Answers keep the order of the frames.
    answered_until: Duration,
    /// When a handshake arrived.
    pub(super) opened: Vec<Duration>,
    /// How a frame changed what friends see.
    pub(super) changes: Vec<Change>,
    /// All frames, for people: seconds, then what was sent.
    pub(super) frames: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Change {
    pub(super) at: Duration,
    pub(super) to: Option<TestCard>,
    /// It was a clear that must not wait.
    is_clear_at_once: bool,
}

impl Discord {
    fn new() -> Self {
        Self {
            welcome: Welcome::ReadyAfter(ms(100)),
            answer: Answer::AcksAfter(ms(20)),
            bridge: false,
            visible: None,
            accepted: None,
            is_connected: false,
            is_ready: false,
            unanswered: Vec::new(),
            connection: 0,
            last_frame_at: Duration::ZERO,
            woke: false,
            answered_until: Duration::ZERO,
            opened: Vec::new(),
            changes: Vec::new(),
            frames: Vec::new(),
        }
    }

    fn hang_up(&mut self) {
        self.is_connected = false;
        self.is_ready = false;
        self.visible = None;
        self.accepted = None;
        self.unanswered.clear();
        self.answered_until = Duration::ZERO;
        self.connection += 1;
    }
}

/// An event on its way to the publisher: only for this connection, unless the connection is what it is about.
struct Underway {
    endpoint: Endpoint,
    connection: u64,
    event: LinkEvent,
}

pub(super) struct World {
    pub(super) publisher: Publisher<TestCard>,
    pub(super) now: Duration,
    /// Where the present daemon's monotonic clock began.
    origin: Duration,
    pub(super) settings: Settings,
    pub(super) wish: Option<TestCard>,
    clears_at_once: bool,
    pub(super) discords: BTreeMap<Endpoint, Discord>,
    underway: BTreeMap<(Duration, u64), Underway>,
    sequence: u64,
    /// How often the driver woke up.
    pub(super) wakeups: u32,
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        // The clock does not begin at zero: a daemon starts at any time after the machine did.
        let origin = Duration::ZERO;
        Self {
            publisher: Publisher::new(1, &settings),
            now: s(1000),
            origin,
            settings,
            wish: None,
            clears_at_once: false,
            discords: BTreeMap::new(),
            underway: BTreeMap::new(),
            sequence: 0,
            wakeups: 0,
        }
    }

    /// A world with one healthy Discord, `a`, connected and quiet.
    pub(super) fn connected(settings: Settings) -> Self {
        let mut world = Self::new(settings);
        world.start_discord("a");
        world.run_for(ms(500));
        assert_eq!(world.state("a"), LinkState::Connected);
        world
    }

    pub(super) fn clock(&self) -> Now {
        let wall = Timestamp::from_second(1_790_000_000).unwrap() + self.now;
        Now { mono: self.now - self.origin, wall }
    }

    pub(super) fn start_discord(&mut self, name: &str) -> &mut Discord {
        let (now, endpoint) = (self.clock(), endpoint(name));
        self.discords.entry(endpoint.clone()).or_insert_with(Discord::new);
        self.publisher.endpoint_found(now, endpoint.clone(), "Discord".to_owned());
        self.discords.get_mut(&endpoint).unwrap()
    }

    pub(super) fn discord(&mut self, name: &str) -> &mut Discord {
        self.discords.get_mut(&endpoint(name)).unwrap()
    }

    /// The process dies: whatever is connected sees it at once.
    pub(super) fn kill_discord(&mut self, name: &str) {
        self.discord(name).welcome = Welcome::NobodyListens;
        self.end_connection(&endpoint(name));
    }

    /// Whatever the connection was about to bring, it now brings its end, once.
    fn end_connection(&mut self, endpoint: &Endpoint) {
        let discord = self.discords.get_mut(endpoint).unwrap();
        if discord.is_connected {
            discord.hang_up();
            let connection = discord.connection;
            // Whether the handshake went out is known in any case.
            let is_kept = |one: &Underway| one.endpoint != *endpoint || one.event == LinkEvent::Opened;
            self.underway.retain(|_, underway| is_kept(underway));
            self.schedule(ms(1), endpoint, connection, LinkEvent::Lost(Loss::Eof));
        }
    }

    pub(super) fn wish(&mut self, wish: Option<TestCard>, urgency: Urgency) {
        self.wish = wish;
        self.clears_at_once = wish.is_none() && (self.clears_at_once || urgency == Urgency::AtOnce);
        self.publisher.wish(self.clock(), wish.map(Arc::new), urgency);
        self.drain();
    }

    pub(super) fn show(&mut self, card: TestCard) {
        self.wish(Some(card), Urgency::Usual);
    }

    pub(super) fn woke(&mut self) {
        self.discords.values_mut().for_each(|discord| discord.woke = true);
        self.publisher.woke(self.clock());
        self.drain();
    }

    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.publisher.set_settings(self.clock(), &self.settings);
        self.drain();
    }

    /// Another daemon takes over: its clock has another origin, and it knows nothing but the budget.
    pub(super) fn hand_over(&mut self) {
        // What already happened is known to the daemon that goes.
        self.run_for(ms(1));
        let budget = serde_json::to_string(&self.publisher.budget(self.clock())).unwrap();
        let budget: Budget = serde_json::from_str(&budget).unwrap();
        self.origin = self.now;
        self.underway.clear();
        self.publisher = Publisher::new(2, &self.settings).with_budget(self.clock(), &budget);
        self.publisher.wish(self.clock(), self.wish.map(Arc::new), Urgency::Usual);
        for (endpoint, discord) in &mut self.discords {
            discord.hang_up();
            let now = Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH };
            self.publisher.endpoint_found(now, endpoint.clone(), "Discord".to_owned());
        }
        self.drain();
    }

    pub(super) fn status(&self, name: &str) -> LinkStatus {
        self.publisher.links(self.clock()).find(|link| link.endpoint == name).unwrap()
    }

    pub(super) fn state(&self, name: &str) -> LinkState {
        self.status(name).state
    }

    pub(super) fn notices(&mut self) -> Vec<String> {
        self.publisher.take_notices().iter().map(ToString::to_string).collect()
    }

    /// The frames that Discord `a` got since the last call.
    pub(super) fn frames(&mut self) -> Vec<String> {
        std::mem::take(&mut self.discord("a").frames)
    }

    /// Lets time pass as a driver would: from deadline to deadline and event to event.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.drain();
            let deadline = self.publisher.deadline();
            if let Some((at, reason)) = deadline {
                assert!(at > self.clock().mono, "{reason} is due but poll gave nothing");
            }
            let deadline = deadline.map(|(at, _)| at + self.origin);
            let event = self.underway.keys().next().map(|&(at, _)| at);
            let next = [deadline, event].into_iter().flatten().min().filter(|&at| at <= end);
            let Some(next) = next else { break };
            self.wakeups += 1;
            self.now = self.now.max(next);
            self.deliver();
        }
        self.now = end;
        self.drain();
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.underway.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let Underway { endpoint, connection, event } = entry.remove();
            let discord = self.discords.get_mut(&endpoint).unwrap();
            let is_current = discord.connection == connection;
            match &event {
                LinkEvent::Opened => {}
                LinkEvent::Ready { .. } if is_current => discord.is_ready = true,
                LinkEvent::Acked { nonce } | LinkEvent::Refused { nonce, .. } if is_current => {
                    discord.unanswered.retain(|open| open != nonce);
                }
                // The end of a connection is always told.
                LinkEvent::Lost(_) | LinkEvent::Unreachable { .. } => {
                    if is_current && discord.is_connected {
                        discord.hang_up();
                        self.underway.retain(|_, underway| underway.endpoint != endpoint);
                    }
                }
                _ => continue,
            }
            self.publisher.link_event(self.clock(), &endpoint, event);
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut commands = 0;
        while let Some(command) = self.publisher.poll(self.clock()) {
            commands += 1;
            assert!(commands < 100, "poll never ends: {command:?}");
            self.obey(command);
        }
    }

    fn schedule(&mut self, after: Duration, endpoint: &Endpoint, connection: u64, event: LinkEvent) {
        self.sequence += 1;
        let underway = Underway { endpoint: endpoint.clone(), connection, event };
        self.underway.insert((self.now + after, self.sequence), underway);
    }

    fn obey(&mut self, command: LinkCommand<TestCard>) {
        match command {
            LinkCommand::Connect { endpoint, application_id } => {
                assert_eq!(application_id, self.settings.discord.application_id);
                self.connect(&endpoint);
            }
            LinkCommand::Send { endpoint, nonce, payload } => self.receive(&endpoint, nonce, &payload),
            LinkCommand::Disconnect { endpoint } => self.end_connection(&endpoint),
        }
    }

    fn connect(&mut self, endpoint: &Endpoint) {
        let now = self.now;
        let discord = self.discords.get_mut(endpoint).unwrap();
        assert!(!discord.is_connected, "a second connection to {endpoint}");
        discord.hang_up();
        let (connection, bridge) = (discord.connection, discord.bridge);
        if discord.welcome == Welcome::NobodyListens {
            let reason = "connection refused".to_owned();
            return self.schedule(ms(1), endpoint, connection, LinkEvent::Unreachable { reason });
        }
        discord.is_connected = true;
        discord.opened.push(now);
        let recent = discord.opened.iter().filter(|&&at| at + s(60) > now).count();
        assert!(recent <= 2, "{recent} connections within a minute: {:?}", discord.opened);
        let (after, event) = match discord.welcome {
            Welcome::ReadyAfter(after) => (after, LinkEvent::Ready { client: "Discord".to_owned(), bridge }),
            Welcome::Rejects => {
                let message = "Invalid Client ID".to_owned();
                (ms(100), LinkEvent::Lost(Loss::Closed { code: 4000, message }))
            }
            Welcome::HangsUp => (ms(10), LinkEvent::Lost(Loss::Eof)),
            Welcome::NeverReady | Welcome::NobodyListens => (s(65), LinkEvent::Lost(Loss::Timeout("ready"))),
        };
        self.schedule(ms(1), endpoint, connection, LinkEvent::Opened);
        self.schedule(after, endpoint, connection, event);
    }

    fn receive(&mut self, endpoint: &Endpoint, nonce: u64, payload: &Payload<TestCard>) {
        let now = self.now;
        let discord = self.discords.get_mut(endpoint).unwrap();
        let (face, name) = match payload {
            Payload::Card(card) => (Some((**card, false)), "card"),
            Payload::Reduced(card) => (Some((**card, true)), "reduced"),
            Payload::Clear => (None, "clear"),
        };
        let at = (now - s(1000)).as_secs_f64();
        discord.frames.push(match face {
            Some((card, _)) => format!("{at:.2} {name} {}.{}", card.topic, card.number),
            None => format!("{at:.2} {name}"),
        });

        let sent_to_nobody = !discord.is_connected;
        if sent_to_nobody {
            // Discord just went away, and the news of it is on its way.
            return;
        }
        assert!(discord.is_ready, "a frame before READY is lost");
        match face {
            None => assert_eq!(self.wish, None, "cleared only to be set again"),
            Some((card, _)) => {
                assert!(discord.unanswered.is_empty(), "a second card before the answer to the first");
                let is_again = discord.accepted == face;
                let is_time = discord.woke || discord.last_frame_at + s(60) <= now;
                assert!(!is_again || is_time, "an equal card again after {:?}", now - discord.last_frame_at);
                assert!(is_again || self.wish == Some(card), "not what was wished last");
            }
        }
        discord.woke = false;
        discord.last_frame_at = now;
        discord.unanswered.push(nonce);

        let is_invalid = face.is_some_and(|(card, reduced)| {
            card.topic == BAD_TOPIC || card.picture == BAD_PICTURE && !reduced
        });
        let answer = if is_invalid { Answer::Refuses(4000) } else { discord.answer };
        let (after, event) = match answer {
            Answer::AcksAfter(after) => (after, LinkEvent::Acked { nonce }),
            Answer::Forgets => (ms(20), LinkEvent::Acked { nonce }),
            Answer::Refuses(code) => (ms(20), LinkEvent::Refused { nonce, code, message: "no".to_owned() }),
            Answer::Never => (s(10), LinkEvent::Lost(Loss::Timeout("reply"))),
        };
        if matches!(answer, Answer::AcksAfter(_) | Answer::Forgets) {
            discord.accepted = face;
        }
        if matches!(answer, Answer::AcksAfter(_) | Answer::Never) && discord.visible != face {
            discord.visible = face;
            let to = face.map(|(card, _)| card);
            discord.changes.push(Change {
                at: now,
                to,
                is_clear_at_once: to.is_none() && self.clears_at_once,
            });
            discord.check_changes(now);
        }
        discord.answered_until = discord.answered_until.max(now + after);
        let (after, connection) = (discord.answered_until - now, discord.connection);
        self.schedule(after, endpoint, connection, event);
    }
}

impl Discord {
    /// At most four visible changes in any 20 s; only a clear that must not wait may be the fifth.
    fn check_changes(&self, now: Duration) {
        let recent = self.changes.iter().filter(|change| change.at + s(20) > now).count();
        let is_clear_at_once = self.changes.last().is_some_and(|change| change.is_clear_at_once);
        let most = if is_clear_at_once { 5 } else { 4 };
        assert!(recent <= most, "{recent} visible changes in 20 s: {:?}", self.changes);
    }
}
