//! The state machine of publishing: when each Discord client gets which card, with throttle, connections and retries.
//!
//! The driver hands events to [`Publisher`], then drains [`Publisher::poll`], then sleeps until
//! [`Publisher::deadline`]. Nothing here reads a clock, does I/O or can fail. Per endpoint a `Link` decides about
//! connections and a `Delivery` about cards. `timing` has every duration and count.
//!
//! Invariants, tested in `tests/it/publish.rs`: at most four visible changes in any 20 s per endpoint; the last
//! wished card wins; nothing is cleared to be set again; an equal card is sent once per connection; at most two
//! connections a minute reach Discord. Read next: [`LinkCommand`], then `link`.

mod budget;
pub mod codes;
mod delivery;
mod link;
mod notice;
mod retry;
mod timing;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::budget::Budget;
pub use self::notice::{LinkState, LinkStatus, Notice};
pub use self::wire::{Endpoint, LinkCommand, LinkEvent, Loss, Payload};

use self::link::{Link, NextAction};
use crate::backoff::SplitMix;
use crate::card::Card;
use crate::settings::{Clients, Publish, Settings};
use crate::time::Now;
use crate::timer::Timer;

/// The comparisons of cards that the publisher needs.
pub trait Showable: PartialEq {
    /// Whether `self` differs from `shown`, the visible card, in numbers alone.
    fn only_numbers_moved(&self, shown: &Self) -> bool;

    /// Whether both are equal as [`Payload::Reduced`].
    fn reduced_eq(&self, other: &Self) -> bool;
}

impl Showable for Card {
    fn only_numbers_moved(&self, shown: &Self) -> bool {
        Card::only_numbers_moved(self, shown)
    }

    fn reduced_eq(&self, other: &Self) -> bool {
        self.name() == other.name()
            && self.details() == other.details()
            && self.state() == other.state()
            && self.started_at() == other.started_at()
    }
}

/// How soon a wished card is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// After the publish intervals.
    Usual,
    /// At once: the user paused or resumed, or a rule hides the shown card. A clear does not wait for the budget of
    /// visible changes either, though it counts; a card does wait.
    AtOnce,
}

/// The card that should be shown.
#[derive(Debug)]
enum Wish<C> {
    Card(Arc<C>),
    /// No card. `at_once`: clear again if the answer to an earlier frame may bring a card back.
    Nothing {
        at_once: bool,
    },
}

impl<C> Wish<C> {
    fn card(&self) -> Option<&Arc<C>> {
        match self {
            Self::Card(card) => Some(card),
            Self::Nothing { .. } => None,
        }
    }

    fn is_clear_at_once(&self) -> bool {
        matches!(self, Self::Nothing { at_once: true })
    }
}

/// The inputs of all links.
#[derive(Debug)]
struct Inputs<C> {
    wish: Wish<C>,
    application_id: Arc<str>,
    clients: Clients,
    publish: Publish,
    /// Set at shutdown: how long to wait for Discord to confirm the clear.
    ending: Option<Duration>,
}

impl<C> Inputs<C> {
    /// Whether a new connection to this endpoint may be made.
    fn allows(&self, endpoint: &Endpoint) -> bool {
        self.ending.is_none() && !self.application_id.is_empty() && self.is_selected(endpoint)
    }

    fn is_selected(&self, endpoint: &Endpoint) -> bool {
        match &self.clients {
            Clients::All => true,
            Clients::Only(endpoints) => endpoints.contains(&endpoint.0),
        }
    }
}

/// Decides what is sent over which link, and when.
#[derive(Debug)]
pub struct Publisher<C = Card> {
    aim: Inputs<C>,
    links: BTreeMap<Endpoint, Link<C>>,
    notices: Vec<Notice>,
    last_nonce: u64,
    random: SplitMix,
}

impl<C: Showable> Publisher<C> {
    /// A publisher without endpoints and without a wished card. The seed is used only to spread retries.
    pub fn new(seed: u64, settings: &Settings) -> Self {
        Self {
            aim: Inputs {
                wish: Wish::Nothing { at_once: false },
                application_id: settings.discord.application_id.as_str().into(),
                clients: settings.discord.clients.clone(),
                publish: settings.publish.clone(),
                ending: None,
            },
            links: BTreeMap::new(),
            notices: Vec::new(),
            last_nonce: 0,
            random: SplitMix::new(seed),
        }
    }

    /// Adds standard output as a sink: always ready, without an application id, paced like any link. It accepts every
    /// card at once and sends no answers.
    pub fn with_terminal(mut self, now: Now) -> Self {
        let mut link = Link::terminal(Endpoint::terminal());
        link.open_terminal(now.mono, &self.aim);
        self.links.insert(Endpoint::terminal(), link);
        self
    }

    /// Counts what an earlier daemon has spent.
    pub fn with_budget(mut self, now: Now, budget: &Budget) -> Self {
        for (endpoint, spent) in &budget.endpoints {
            let endpoint = Endpoint(endpoint.clone());
            let link =
                self.links.entry(endpoint.clone()).or_insert_with(|| Link::new(endpoint, String::new()));
            link.restore(now.mono, spent);
        }
        self
    }

    /// What this daemon has spent, for the next daemon.
    pub fn budget(&self, now: Now) -> Budget {
        let spent = |(endpoint, link): (&Endpoint, &Link<C>)| (endpoint.0.clone(), link.spent(now.mono));
        Budget { endpoints: self.links.iter().map(spent).collect() }
    }

    /// The settings were read again. With another application id every link reconnects; cards that Discord refused
    /// are tried again.
    pub fn set_settings(&mut self, now: Now, settings: &Settings) {
        let is_other = *self.aim.application_id != *settings.discord.application_id;
        self.aim.application_id = settings.discord.application_id.as_str().into();
        self.aim.clients = settings.discord.clients.clone();
        self.aim.publish = settings.publish.clone();
        for link in self.links.values_mut() {
            link.forgive(now.mono, &self.aim);
            if is_other {
                link.start_over(now.mono);
            }
        }
    }

    /// Sets the card to show from now on; `None` for no card. Ignored after [`Self::shut_down`].
    pub fn wish(&mut self, now: Now, card: Option<Arc<C>>, urgency: Urgency) {
        if self.aim.ending.is_some() {
            return;
        }
        let at_once = urgency == Urgency::AtOnce;
        self.aim.wish = match card {
            Some(card) => Wish::Card(card),
            None => Wish::Nothing { at_once: at_once || self.aim.wish.is_clear_at_once() },
        };
        for link in self.links.values_mut() {
            link.wish_changed(now.mono, &self.aim, at_once);
        }
    }

    /// A socket or pipe exists. Reporting it again changes nothing. `client` is its display name until Discord gives
    /// a better one.
    pub fn endpoint_found(&mut self, now: Now, endpoint: Endpoint, client: String) {
        self.endpoint(now, endpoint, client, false);
    }

    /// A socket or pipe was created anew: earlier errors there may be over.
    pub fn endpoint_renewed(&mut self, now: Now, endpoint: Endpoint, client: String) {
        self.endpoint(now, endpoint, client, true);
    }

    /// A socket or pipe no longer exists. A live connection over it continues until it is lost.
    pub fn endpoint_gone(&mut self, now: Now, endpoint: &Endpoint) {
        if let Some(link) = self.links.get_mut(endpoint) {
            link.vanished();
        }
        self.forget(now);
    }

    /// Something happened on a link.
    pub fn link_event(&mut self, now: Now, endpoint: &Endpoint, event: LinkEvent) {
        let Some(link) = self.links.get_mut(endpoint) else { return };
        let notice = link.event(now, event, &self.aim, &mut self.random);
        self.notices.extend(notice);
    }

    /// The next endpoint for which the shell should check, without a connection, whether another process listens
    /// there than before ([`LinkEvent::Restarted`]).
    pub fn next_unknown_peer(&mut self, now: Now) -> Option<Endpoint> {
        let mut links = self.links.iter_mut();
        let (endpoint, _) = links.find_map(|(endpoint, link)| {
            link.take_unknown_peer(now.mono, &self.aim).then_some((endpoint, link))
        })?;
        Some(endpoint.clone())
    }

    /// The machine slept or a clock jumped: the shown cards are no longer certain.
    pub fn woke(&mut self, now: Now) {
        for link in self.links.values_mut() {
            link.woke(now.mono, &self.aim);
        }
    }

    /// Clears the card everywhere and ends every connection, within a second.
    pub fn shut_down(&mut self, now: Now) {
        self.wish(now, None, Urgency::AtOnce);
        self.aim.ending.get_or_insert(now.mono.saturating_add(timing::FAREWELL));
    }

    /// Whether [`Self::shut_down`] is complete: every connection was told to end, and the rest is the shell's work.
    pub fn is_finished(&self) -> bool {
        self.aim.ending.is_some() && self.links.values().all(Link::is_over)
    }

    /// The next command that is due. Call it until it returns `None`.
    pub fn poll(&mut self, now: Now) -> Option<LinkCommand<C>> {
        for link in self.links.values_mut() {
            while let Some(step) = link.next(&self.aim).filter(|step| step.at <= now.mono) {
                let command = link.take(now.mono, step, &self.aim, &mut self.last_nonce);
                if command.is_some() {
                    return command;
                }
            }
        }
        None
    }

    /// The time on the monotonic clock at which [`Self::poll`] has something to do next, and why.
    pub fn deadline(&self) -> Option<(Duration, Timer)> {
        let steps = self.links.values().filter_map(|link| link.next(&self.aim));
        steps.min_by_key(|step| step.at).map(|NextAction { at, timer, .. }| (at, timer))
    }

    /// The links as `status` lists them; none without an application id.
    pub fn links(&self, now: Now) -> impl Iterator<Item = LinkStatus> {
        self.links.values().filter_map(move |link| link.status(now.mono, &self.aim))
    }

    /// The card shown now, as confirmed: the wished one if some sink shows it, else the first sink's card.
    pub fn shown(&self) -> Option<&Arc<C>> {
        let mut shown = self.links.values().filter_map(Link::shown);
        let first = shown.next();
        let wished = self.aim.wish.card();
        first
            .filter(|card| Some(*card) == wished)
            .or_else(|| shown.find(|card| Some(*card) == wished))
            .or(first)
    }

    /// Whether any sink shows a card of this kind, or is about to.
    pub fn shows_any(&self, such: impl Fn(&C) -> bool) -> bool {
        self.links.values().filter_map(Link::showing).any(|card| such(card))
    }

    /// What happened since the last call and is worth a line in the log.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn endpoint(&mut self, now: Now, endpoint: Endpoint, client: String, is_new: bool) {
        self.forget(now);
        let link = self.links.entry(endpoint.clone()).or_insert_with(|| Link::new(endpoint, client.clone()));
        link.found(now.mono, client, is_new);
    }

    /// An endpoint that is gone is forgotten when its budget no longer counts.
    fn forget(&mut self, now: Now) {
        self.links.retain(|_, link| !link.is_forgettable(now.mono));
    }
}
