//! One endpoint: its connection, its retries and its [`Delivery`].
//!
//! A link decides alone; the wished card and the settings are in [`Inputs`]. Read next: [`super::Publisher`].

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::budget::{Spent, Window};
use super::codes;
use super::delivery::{Delivery, DueFrame};
use super::notice::{self, LinkState, LinkStatus, Notice};
use super::retry::{End, Retries};
use super::timing;
use super::wire::{Endpoint, LinkCommand, LinkEvent};
use super::{Inputs, Showable};
use crate::backoff::SplitMix;
use crate::time::Now;
use crate::timer::Timer;

#[derive(Debug)]
pub(super) struct Link<C> {
    endpoint: Endpoint,
    client: String,
    /// Whether the socket or pipe exists, as far as is known.
    is_present: bool,
    /// It was created anew since the last attempt: another process listens there now.
    is_renewed: bool,
    /// It was created anew, and it is not known yet whether another process listens there.
    is_peer_unknown: bool,
    phase: Phase,
    retries: Retries,
    /// Kept across connections, like Discord's own count.
    connections: Window,
    delivery: Delivery<C>,
    /// The current run of refusals was reported.
    is_refusal_told: bool,
    last_ack_at: Option<Timestamp>,
    last_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Not connected; no attempt before `until`.
    Waiting { until: Duration },
    /// From the connect command until Discord is ready.
    Connecting { application_id: Arc<str>, since: Duration, is_opened: bool },
    /// Discord accepts cards.
    Ready { application_id: Arc<str>, since: Duration },
    /// Told to disconnect; after `until` its confirmation is no longer waited for.
    Closing { until: Duration },
    /// Standard output: always ready, without Discord.
    Terminal,
    /// A terminal that got its last card.
    Done,
}

/// The next action of a link, and its time.
#[derive(Debug)]
pub(super) struct NextAction<C> {
    pub(super) at: Duration,
    pub(super) timer: Timer,
    action: Action<C>,
}

#[derive(Debug)]
enum Action<C> {
    Connect,
    Send(DueFrame<C>),
    Disconnect,
    StopWaiting,
}

impl<C: Showable> Link<C> {
    pub(super) fn new(endpoint: Endpoint, client: String) -> Self {
        Self {
            endpoint,
            client,
            is_present: false,
            is_renewed: false,
            is_peer_unknown: false,
            phase: Phase::Waiting { until: Duration::ZERO },
            retries: Retries::new(),
            connections: Window::new(timing::CONNECTIONS, timing::CONNECTIONS_SPAN),
            delivery: Delivery::new(),
            is_refusal_told: false,
            last_ack_at: None,
            last_error: None,
        }
    }

    pub(super) fn terminal(endpoint: Endpoint) -> Self {
        Self { phase: Phase::Terminal, ..Self::new(endpoint, String::new()) }
    }

    /// The endpoint exists. It is tried at once if it did not exist before or is a new one.
    pub(super) fn found(&mut self, now: Duration, client: String, is_new: bool) {
        if !self.is_ready() {
            self.client = client;
        }
        if !is_new && self.is_present {
            return;
        }
        self.is_present = true;
        self.is_peer_unknown = true;
        self.retries.renewed();
        if !self.try_at(now) {
            self.is_renewed = true;
        }
    }

    /// The endpoint's file vanished, which does not end a live connection.
    pub(super) fn vanished(&mut self) {
        self.is_present = false;
    }

    /// Whether this link can be forgotten without a loss.
    pub(super) fn is_forgettable(&self, now: Duration) -> bool {
        let is_waiting = matches!(self.phase, Phase::Waiting { .. });
        let is_unspent = self.connections.is_unspent(now) && self.delivery.changes.is_unspent(now);
        is_waiting && !self.is_present && is_unspent
    }

    /// Whether only the budget delays a connection, and the endpoint may belong to another process, which would count
    /// anew. True once for each time that the socket or pipe was created.
    pub(super) fn take_unknown_peer(&mut self, now: Duration, aim: &Inputs<C>) -> bool {
        let is_held_back = matches!(self.phase, Phase::Waiting { until } if until <= now)
            && self.connections.free_at() > now;
        let is_wanted = self.is_present && aim.allows(&self.endpoint);
        is_held_back && is_wanted && std::mem::take(&mut self.is_peer_unknown)
    }

    pub(super) fn woke(&mut self, now: Duration, aim: &Inputs<C>) {
        self.try_at(now);
        self.delivery.reassert_soon(now, &aim.publish);
    }

    /// The application id has changed: earlier errors no longer count.
    pub(super) fn start_over(&mut self, now: Duration) {
        self.retries = Retries::new();
        self.last_error = None;
        self.try_at(now);
    }

    pub(super) fn forgive(&mut self, now: Duration, aim: &Inputs<C>) {
        if self.is_ready() {
            self.delivery.forgive(now, &aim.wish);
        }
    }

    pub(super) fn wish_changed(&mut self, now: Duration, aim: &Inputs<C>, at_once: bool) {
        if self.is_ready() {
            self.delivery.wish_changed(now, &aim.wish, at_once);
        }
    }

    /// A terminal is ready at once.
    pub(super) fn open_terminal(&mut self, now: Duration, aim: &Inputs<C>) {
        self.delivery.begin(now, &aim.wish, None);
    }

    pub(super) fn next(&self, aim: &Inputs<C>) -> Option<NextAction<C>> {
        let step = |at, timer, action| Some(NextAction { at, timer, action });
        match &self.phase {
            Phase::Waiting { until } => {
                let is_wanted = self.is_present && aim.allows(&self.endpoint);
                let at = self.connections.free_at().max(*until);
                if is_wanted { step(at, Timer::Connect, Action::Connect) } else { None }
            }
            Phase::Connecting { application_id, .. } => {
                let is_wanted = self.is_wanted_as(application_id, aim) && aim.ending.is_none();
                if is_wanted { None } else { step(Duration::ZERO, Timer::Disconnect, Action::Disconnect) }
            }
            Phase::Ready { application_id, .. } if !self.is_wanted_as(application_id, aim) => {
                step(Duration::ZERO, Timer::Disconnect, Action::Disconnect)
            }
            Phase::Ready { .. } | Phase::Terminal => {
                let due = self.delivery.next(&aim.wish, &aim.publish);
                match (due, aim.ending) {
                    (Some(due), None) => step(due.at, due.timer, Action::Send(due)),
                    (Some(due), Some(ending)) if due.at < ending => {
                        step(due.at, due.timer, Action::Send(due))
                    }
                    (_, Some(ending)) => {
                        let at = if self.delivery.is_awaiting_answer() { ending } else { Duration::ZERO };
                        step(at, Timer::Disconnect, Action::Disconnect)
                    }
                    (None, None) => None,
                }
            }
            Phase::Closing { until } => step(*until, Timer::Close, Action::StopWaiting),
            Phase::Done => None,
        }
    }

    /// Does the action that [`Self::next`] returned.
    pub(super) fn take(
        &mut self,
        now: Duration,
        step: NextAction<C>,
        aim: &Inputs<C>,
        nonce: &mut u64,
    ) -> Option<LinkCommand<C>> {
        let endpoint = self.endpoint.clone();
        match step.action {
            Action::Connect => {
                self.is_renewed = false;
                self.is_peer_unknown = false;
                let application_id = Arc::clone(&aim.application_id);
                let command = LinkCommand::Connect { endpoint, application_id: application_id.to_string() };
                self.phase = Phase::Connecting { application_id, since: now, is_opened: false };
                Some(command)
            }
            Action::Send(due) => {
                *nonce = nonce.wrapping_add(1);
                let payload = self.delivery.send(now, due, *nonce, &aim.wish);
                if self.phase == Phase::Terminal {
                    self.delivery.acked(now, *nonce, &aim.wish);
                }
                Some(LinkCommand::Send { endpoint, nonce: *nonce, payload })
            }
            Action::Disconnect => {
                self.delivery.end_visibly(now);
                if self.phase == Phase::Terminal {
                    self.phase = Phase::Done;
                    return None;
                }
                self.phase = Phase::Closing { until: now.saturating_add(timing::CLOSING) };
                Some(LinkCommand::Disconnect { endpoint })
            }
            Action::StopWaiting => {
                self.phase = Phase::Waiting { until: now };
                None
            }
        }
    }

    pub(super) fn event(
        &mut self,
        now: Now,
        event: LinkEvent,
        aim: &Inputs<C>,
        random: &mut SplitMix,
    ) -> Option<Notice> {
        match event {
            LinkEvent::Restarted => {
                self.connections = Window::new(timing::CONNECTIONS, timing::CONNECTIONS_SPAN);
                self.delivery.forget_changes();
                self.try_at(now.mono);
                None
            }
            LinkEvent::Opened => {
                self.connections.spend(now.mono);
                if let Phase::Connecting { is_opened, .. } = &mut self.phase {
                    *is_opened = true;
                }
                None
            }
            LinkEvent::Ready { client, bridge } => self.became_ready(now, client, bridge, aim),
            LinkEvent::Acked { nonce } => {
                let is_whole = self.delivery.acked(now.mono, nonce, &aim.wish)?;
                self.last_ack_at = Some(now.wall);
                self.is_refusal_told = false;
                if is_whole {
                    self.last_error = None;
                }
                None
            }
            LinkEvent::Refused { nonce, code, message } => {
                if !self.delivery.refused(now.mono, nonce, code, &aim.wish, random) {
                    return None;
                }
                let message = notice::one_line(&message);
                self.last_error = Some(codes::refused(code, &message));
                let is_told = std::mem::replace(&mut self.is_refusal_told, true);
                (!is_told).then(|| Notice::Refused { endpoint: self.endpoint.clone(), code, message })
            }
            LinkEvent::Unreachable { reason } => self.ended(now.mono, End::Unreachable(reason), aim, random),
            LinkEvent::Lost(loss) => self.ended(now.mono, End::Lost(loss), aim, random),
        }
    }

    fn became_ready(&mut self, now: Now, client: String, bridge: bool, aim: &Inputs<C>) -> Option<Notice> {
        let Phase::Connecting { application_id, is_opened, .. } = &self.phase else { return None };
        if !is_opened {
            // A link that is ready was opened, even if that was not reported.
            self.connections.spend(now.mono);
        }
        self.phase = Phase::Ready { application_id: Arc::clone(application_id), since: now.mono };
        self.retries.became_ready();
        self.is_refusal_told = false;
        self.last_error = None;
        if !client.is_empty() {
            self.client = client;
        }
        let reassert_every = if bridge { timing::REASSERT_BRIDGE } else { timing::REASSERT };
        self.delivery.begin(now.mono, &aim.wish, Some(reassert_every));
        Some(Notice::Connected { endpoint: self.endpoint.clone(), client: self.client.clone() })
    }

    fn ended(&mut self, now: Duration, end: End, aim: &Inputs<C>, random: &mut SplitMix) -> Option<Notice> {
        let application_id = match &self.phase {
            Phase::Connecting { application_id, .. } => application_id,
            Phase::Ready { application_id, since } => {
                self.retries.was_ready(now.saturating_sub(*since));
                application_id
            }
            Phase::Closing { .. } => {
                self.phase = Phase::Waiting { until: now };
                return None;
            }
            Phase::Waiting { .. } | Phase::Terminal | Phase::Done => return None,
        };
        let was_wanted = self.is_wanted_as(application_id, aim);
        self.delivery.end();
        if !was_wanted {
            // It ended by itself just before its disconnect: not an error.
            self.phase = Phase::Waiting { until: now };
            return None;
        }
        let retry = self.retries.ended(end, self.endpoint.clone(), random);
        let until = if self.is_renewed { now } else { now.saturating_add(retry.wait) };
        self.phase = Phase::Waiting { until };
        self.last_error = Some(retry.error);
        retry.notice
    }

    pub(super) fn shown(&self) -> Option<&Arc<C>> {
        self.delivery.shown()
    }

    pub(super) fn showing(&self) -> Option<&Arc<C>> {
        self.delivery.showing()
    }

    /// Whether the end of the program need not wait for this link.
    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Waiting { .. } | Phase::Closing { .. } | Phase::Done => true,
            Phase::Connecting { .. } | Phase::Ready { .. } | Phase::Terminal => false,
        }
    }

    /// The entry in `status`; `None` if the link is not to a Discord client that the settings select.
    pub(super) fn status(&self, now: Duration, aim: &Inputs<C>) -> Option<LinkStatus> {
        let state = match &self.phase {
            Phase::Ready { .. } => LinkState::Connected,
            Phase::Waiting { .. } if !self.is_present => return None,
            Phase::Connecting { .. } | Phase::Waiting { .. } if self.retries.is_rejected() => {
                LinkState::Rejected
            }
            Phase::Connecting { since, .. } if now.saturating_sub(*since) < timing::SLOW_READY => {
                LinkState::Connecting
            }
            Phase::Connecting { .. } | Phase::Waiting { .. } | Phase::Closing { .. } => LinkState::Waiting,
            Phase::Terminal | Phase::Done => return None,
        };
        aim.allows(&self.endpoint).then(|| LinkStatus {
            endpoint: self.endpoint.0.clone(),
            client: self.client.clone(),
            state,
            last_ack_at: self.last_ack_at,
            last_error: self.last_error.clone(),
        })
    }

    pub(super) fn spent(&self, now: Duration) -> Spent {
        let mut connections = self.connections.clone();
        if matches!(self.phase, Phase::Connecting { is_opened: false, .. }) {
            // Its handshake may be sent before the next daemon connects.
            connections.spend(now);
        }
        Spent::of(now, &self.delivery.changes, &connections)
    }

    pub(super) fn restore(&mut self, now: Duration, spent: &Spent) {
        spent.restore(now, &mut self.delivery.changes, &mut self.connections);
    }

    /// Schedules the next attempt for `now`; false if there is a connection or an attempt.
    fn try_at(&mut self, now: Duration) -> bool {
        match &mut self.phase {
            Phase::Waiting { until } => {
                *until = now;
                true
            }
            _ => false,
        }
    }

    fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. } | Phase::Terminal)
    }

    fn is_wanted_as(&self, application_id: &Arc<str>, aim: &Inputs<C>) -> bool {
        *application_id == aim.application_id && aim.is_selected(&self.endpoint)
    }
}
