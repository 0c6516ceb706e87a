//! Discord clients, simulated for tests and fuzzing: they answer what reaches them, and check with every frame what must
//! always hold.
//!
//! Read next: `machine`, where they are; `tests/it/publish/sim.rs`, for a publisher alone.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use agent_presence::core::publish::{Endpoint, LinkCommand, LinkEvent, Loss, Payload};

pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What a Discord does with a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Welcome {
    Down,
    ReadyAfter(Duration),
    NeverReady,
    /// Close code 4000.
    Rejects,
    HangsUp,
}

/// What a Discord does with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    AcksAfter(Duration),
    /// Acknowledges, and shows nothing.
    Forgets,
    Refuses(i64),
    Never,
}

/// A card as it is shown, and whether it is reduced.
pub(crate) type Face<C> = (Arc<C>, bool);

/// What is to be shown when a frame arrives.
pub(crate) struct Wish<C> {
    pub(crate) card: Option<Arc<C>>,
    /// A clear need not wait.
    pub(crate) clears_at_once: bool,
}

#[derive(Debug)]
pub(crate) struct Discord<C> {
    pub(crate) welcome: Welcome,
    pub(crate) answer: Answer,
    pub(crate) bridge: bool,
    /// What friends see.
    pub(crate) visible: Option<Face<C>>,
    /// What Discord said it took.
    pub(crate) confirmed: Option<Face<C>>,
    is_connected: bool,
    is_ready: bool,
    connection: u64,
    unanswered: BTreeMap<u64, Option<Face<C>>>,
    /// Answers keep the order of the frames.
    answered_until: Duration,
    last_frame_at: Duration,
    woke: bool,
    /// Whether it has answered everything, and as one should.
    pub(crate) is_well: bool,
    /// When a handshake arrived.
    pub(crate) opened: Vec<Duration>,
    /// How a frame changed what friends see.
    pub(crate) changes: Vec<Change<C>>,
    /// Everything that was sent, also without a connection.
    pub(crate) frames: Vec<(Duration, Option<Face<C>>)>,
}

#[derive(Debug)]
pub(crate) struct Change<C> {
    pub(crate) at: Duration,
    pub(crate) to: Option<Face<C>>,
    /// It was a clear that must not wait.
    is_clear_at_once: bool,
}

/// All of them, and what is on its way from them: only for the connection that it belongs to, unless the connection is
/// what it is about.
#[derive(Debug)]
pub(crate) struct Discords<C> {
    pub(crate) all: BTreeMap<Endpoint, Discord<C>>,
    underway: BTreeMap<(Duration, u64), (Endpoint, u64, LinkEvent)>,
    sequence: u64,
    /// What they refuse as invalid.
    refuses: fn(&C, bool) -> bool,
}

impl<C: PartialEq + Debug> Discords<C> {
    pub(crate) fn new(refuses: fn(&C, bool) -> bool) -> Self {
        Self { all: BTreeMap::new(), underway: BTreeMap::new(), sequence: 0, refuses }
    }

    /// The one at this endpoint, which is well if it was not there.
    pub(crate) fn at(&mut self, endpoint: &Endpoint) -> &mut Discord<C> {
        self.all.entry(endpoint.clone()).or_insert_with(Discord::new)
    }

    /// The time passed unnoticed.
    pub(crate) fn woke(&mut self) {
        self.all.values_mut().for_each(|discord| discord.woke = true);
    }

    /// The connection ends. The next one counts its updates anew, unless it knows what was spent.
    pub(crate) fn daemon_is_gone(&mut self, is_budget_known: bool) {
        self.underway.clear();
        for (endpoint, discord) in &mut self.all {
            discord.hang_up();
            if *endpoint == Endpoint::terminal() {
                // Each daemon has a terminal of its own.
                *discord = Discord::new();
                (discord.is_connected, discord.is_ready) = (true, true);
            } else if !is_budget_known {
                (discord.changes, discord.opened) = (Vec::new(), Vec::new());
            }
        }
    }

    /// When the next of them says something.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.underway.keys().next().map(|(at, _)| *at)
    }

    /// What one of them says by now.
    pub(crate) fn deliver(&mut self, now: Duration) -> Option<(Endpoint, LinkEvent)> {
        while let Some(entry) = self.underway.first_entry().filter(|entry| entry.key().0 <= now) {
            let (endpoint, connection, event) = entry.remove();
            let discord = self.all.get_mut(&endpoint).unwrap();
            let is_current = discord.connection == connection;
            match &event {
                LinkEvent::Opened => {}
                LinkEvent::Ready { .. } if is_current => discord.is_ready = true,
                LinkEvent::Acked { nonce } if is_current => {
                    discord.confirmed = discord.unanswered.remove(nonce).unwrap();
                }
                LinkEvent::Refused { nonce, .. } if is_current => drop(discord.unanswered.remove(nonce)),
                // The end of a connection is always told.
                LinkEvent::Lost(_) | LinkEvent::Unreachable { .. } => {
                    if is_current {
                        discord.confirmed = None;
                    }
                    if is_current && discord.is_connected {
                        discord.hang_up();
                        self.underway.retain(|_, (one, ..)| *one != endpoint);
                    }
                }
                _ => continue,
            }
            return Some((endpoint, event));
        }
        None
    }

    /// The connection ends, once, in place of what it was about to bring.
    pub(crate) fn end_connection(&mut self, now: Duration, endpoint: &Endpoint, after: Duration) {
        let discord = self.all.get_mut(endpoint).unwrap();
        if discord.is_connected && *endpoint != Endpoint::terminal() {
            // What it took is known there until the end is.
            let confirmed = discord.confirmed.take();
            discord.hang_up();
            discord.confirmed = confirmed;
            let connection = discord.connection;
            // Whether the handshake went out is known in any case.
            let is_kept = |one: &Endpoint, event: &LinkEvent| one != endpoint || *event == LinkEvent::Opened;
            self.underway.retain(|_, (one, _, event)| is_kept(one, event));
            self.schedule(now + after, endpoint, connection, LinkEvent::Lost(Loss::Eof));
        }
    }

    pub(crate) fn obey(
        &mut self,
        now: Duration,
        command: LinkCommand<C>,
        application_id: &str,
        wish: &Wish<C>,
    ) {
        match command {
            LinkCommand::Connect { endpoint, application_id: id } => {
                assert_eq!(id, application_id);
                self.connect(now, &endpoint);
            }
            LinkCommand::Send { endpoint, nonce, payload } => {
                self.receive(now, &endpoint, nonce, payload, wish);
            }
            LinkCommand::Disconnect { endpoint } => {
                self.end_connection(now, &endpoint, ms(1));
                self.at(&endpoint).confirmed = None;
            }
        }
    }

    fn connect(&mut self, now: Duration, endpoint: &Endpoint) {
        let discord = self.all.get_mut(endpoint).unwrap();
        assert!(!discord.is_connected, "a second connection to {endpoint}");
        discord.hang_up();
        let (connection, bridge) = (discord.connection, discord.bridge);
        if discord.welcome == Welcome::Down {
            let reason = "connection refused".to_owned();
            return self.schedule(now + ms(1), endpoint, connection, LinkEvent::Unreachable { reason });
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
            Welcome::NeverReady | Welcome::Down => (s(65), LinkEvent::Lost(Loss::Timeout("ready"))),
        };
        self.schedule(now + ms(1), endpoint, connection, LinkEvent::Opened);
        self.schedule(now + after, endpoint, connection, event);
    }

    fn receive(
        &mut self,
        now: Duration,
        endpoint: &Endpoint,
        nonce: u64,
        payload: Payload<C>,
        wish: &Wish<C>,
    ) {
        let face = match payload {
            Payload::Card(card) => Some((card, false)),
            Payload::Reduced(card) => Some((card, true)),
            Payload::Clear => None,
        };
        let discord = self.all.get_mut(endpoint).unwrap();
        discord.frames.push((now, face.clone()));
        if !discord.is_connected {
            // It just went away, and the news of it is on its way.
            return;
        }
        assert!(discord.is_ready, "a frame before READY is lost");
        match &face {
            None => assert!(wish.card.is_none() || wish.clears_at_once, "cleared only to be set again"),
            Some((card, _)) => {
                assert!(discord.unanswered.is_empty(), "a second card before the answer to the first");
                let is_again = discord.confirmed == face;
                let is_time = discord.woke || discord.last_frame_at + s(60) <= now;
                assert!(!is_again || is_time, "an equal card again after {:?}", now - discord.last_frame_at);
                assert!(is_again || wish.card.as_ref() == Some(card), "not what was wished last");
            }
        }
        (discord.woke, discord.last_frame_at) = (false, now);
        let is_invalid = face.as_ref().is_some_and(|(card, reduced)| (self.refuses)(card, *reduced));
        let answer = if is_invalid { Answer::Refuses(4000) } else { discord.answer };
        discord.is_well &= matches!(answer, Answer::AcksAfter(_));
        if matches!(answer, Answer::AcksAfter(_) | Answer::Never) && discord.visible != face {
            discord.visible.clone_from(&face);
            let is_clear_at_once = face.is_none() && wish.clears_at_once;
            discord.changes.push(Change { at: now, to: face.clone(), is_clear_at_once });
            discord.check_changes(now);
        }
        if *endpoint == Endpoint::terminal() {
            discord.confirmed = face;
            return;
        }
        let (after, event) = match answer {
            Answer::AcksAfter(after) => (after, LinkEvent::Acked { nonce }),
            Answer::Forgets => (ms(20), LinkEvent::Acked { nonce }),
            Answer::Refuses(code) => (ms(20), LinkEvent::Refused { nonce, code, message: "no".to_owned() }),
            Answer::Never => (s(10), LinkEvent::Lost(Loss::Timeout("reply"))),
        };
        discord.unanswered.insert(nonce, face);
        discord.answered_until = discord.answered_until.max(now + after);
        let (at, connection) = (discord.answered_until, discord.connection);
        self.schedule(at, endpoint, connection, event);
    }

    fn schedule(&mut self, at: Duration, endpoint: &Endpoint, connection: u64, event: LinkEvent) {
        self.sequence += 1;
        self.underway.insert((at, self.sequence), (endpoint.clone(), connection, event));
    }
}

impl<C: Debug> Discord<C> {
    fn new() -> Self {
        Self {
            welcome: Welcome::ReadyAfter(ms(100)),
            answer: Answer::AcksAfter(ms(20)),
            bridge: false,
            visible: None,
            confirmed: None,
            is_connected: false,
            is_ready: false,
            connection: 0,
            unanswered: BTreeMap::new(),
            answered_until: Duration::ZERO,
            last_frame_at: Duration::ZERO,
            woke: false,
            is_well: true,
            opened: Vec::new(),
            changes: Vec::new(),
            frames: Vec::new(),
        }
    }

    fn hang_up(&mut self) {
        (self.is_connected, self.is_ready) = (false, false);
        (self.visible, self.confirmed) = (None, None);
        self.unanswered.clear();
        self.answered_until = Duration::ZERO;
        self.connection += 1;
    }

    /// At most four visible changes in any 20 s; only a clear that must not wait may be the fifth.
    fn check_changes(&self, now: Duration) {
        let recent = self.changes.iter().filter(|change| change.at + s(20) > now).count();
        let is_clear_at_once = self.changes.last().is_some_and(|change| change.is_clear_at_once);
        let most = if is_clear_at_once { 5 } else { 4 };
        assert!(recent <= most, "{recent} visible changes in 20 s: {:?}", self.changes);
    }
}
