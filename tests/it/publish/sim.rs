//! A world for a [`Publisher`] alone: its clock and settings, and the simulated Discord clients of [`crate::world`], which
//! check with every frame what must always hold.
//!
//! Separate from [`crate::world::machine`], which has a whole engine: there cards follow from session files. Here a test
//! chooses two cards that differ in one thing, and what Discord refuses.

#![expect(clippy::unwrap_used, reason = "what a test asks for is there, or the test has failed")]

use std::sync::Arc;
use std::time::Duration;

use agent_presence::core::publish::{Budget, Endpoint, LinkState, LinkStatus, Publisher, Showable, Urgency};
use agent_presence::core::settings::Settings;
use agent_presence::core::time::Now;
use jiff::Timestamp;

pub(super) use crate::world::discords::{Answer, Discord, Discords, Welcome, Wish, ms, s};

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

/// A picture that Discord refuses, and a topic that it refuses in any form.
pub(super) const BAD_PICTURE: u32 = 1;
pub(super) const BAD_TOPIC: u32 = 9;

fn is_refused(card: &TestCard, is_reduced: bool) -> bool {
    card.topic == BAD_TOPIC || card.picture == BAD_PICTURE && !is_reduced
}

pub(super) struct World {
    pub(super) publisher: Publisher<TestCard>,
    pub(super) now: Duration,
    /// Where the present daemon's monotonic clock began.
    origin: Duration,
    pub(super) settings: Settings,
    pub(super) wish: Option<TestCard>,
    clears_at_once: bool,
    pub(super) discords: Discords<TestCard>,
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
            discords: Discords::new(is_refused),
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

    pub(super) fn start_discord(&mut self, name: &str) -> &mut Discord<TestCard> {
        self.publisher.endpoint_found(self.clock(), endpoint(name), "Discord".to_owned());
        self.discords.at(&endpoint(name))
    }

    pub(super) fn discord(&mut self, name: &str) -> &mut Discord<TestCard> {
        self.discords.at(&endpoint(name))
    }

    /// What friends see there: the card, and whether it is reduced.
    pub(super) fn visible(&mut self, name: &str) -> Option<(TestCard, bool)> {
        self.discord(name).visible.as_ref().map(|(card, reduced)| (**card, *reduced))
    }

    /// The process dies: every connected client sees it at once.
    pub(super) fn kill_discord(&mut self, name: &str) {
        self.discord(name).welcome = Welcome::Down;
        self.discords.end_connection(self.now, &endpoint(name), ms(1));
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
        self.discords.woke();
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
        self.discords.daemon_is_gone(true);
        self.publisher = Publisher::new(2, &self.settings).with_budget(self.clock(), &budget);
        self.publisher.wish(self.clock(), self.wish.map(Arc::new), Urgency::Usual);
        for endpoint in self.discords.all.keys() {
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

    /// The frames that Discord `a` got since the last call: seconds, then what was sent.
    pub(super) fn frames(&mut self) -> Vec<String> {
        let text = |(at, face): (Duration, Option<(Arc<TestCard>, bool)>)| {
            let at = (at - s(1000)).as_secs_f64();
            match face {
                None => format!("{at:.2} clear"),
                Some((card, reduced)) => {
                    let name = if reduced { "reduced" } else { "card" };
                    format!("{at:.2} {name} {}.{}", card.topic, card.number)
                }
            }
        };
        std::mem::take(&mut self.discord("a").frames).into_iter().map(text).collect()
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
            let next = [deadline, self.discords.next()].into_iter().flatten().min().filter(|&at| at <= end);
            let Some(next) = next else { break };
            self.wakeups += 1;
            self.now = self.now.max(next);
            self.deliver();
        }
        self.now = end;
        self.drain();
    }

    fn deliver(&mut self) {
        while let Some((endpoint, event)) = self.discords.deliver(self.now) {
            self.publisher.link_event(self.clock(), &endpoint, event);
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut commands = 0;
        while let Some(command) = self.publisher.poll(self.clock()) {
            commands += 1;
            assert!(commands < 100, "poll never ends: {command:?}");
            let wish = Wish { card: self.wish.map(Arc::new), clears_at_once: self.clears_at_once };
            self.discords.obey(self.now, command, &self.settings.discord.application_id, &wish);
        }
    }
}
