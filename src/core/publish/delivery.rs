//! What one link shows, what is in flight, and when the next change may be sent.
//!
//! Connections are not handled here. Read next: `link`, which handles them.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Window;
use super::codes::INVALID_PAYLOAD;
use super::timing;
use super::wire::Payload;
use super::{Showable, Wish};
use crate::backoff::{Backoff, SplitMix};
use crate::settings::Publish;
use crate::timer::Timer;

/// A card in the form in which a link shows it.
#[derive(Debug)]
pub(super) struct CardForm<C> {
    pub(super) card: Arc<C>,
    /// Only with its texts and timer.
    reduced: bool,
}

impl<C> Clone for CardForm<C> {
    fn clone(&self) -> Self {
        Self { card: Arc::clone(&self.card), reduced: self.reduced }
    }
}

impl<C: Showable> CardForm<C> {
    /// Whether both look the same to friends.
    fn same(&self, other: &Self) -> bool {
        match (self.reduced, other.reduced) {
            (false, false) => self.card == other.card,
            (true, true) => self.card.reduced_eq(&other.card),
            _ => false,
        }
    }
}

/// A payload without an answer yet.
#[derive(Debug)]
struct InFlight<C> {
    nonce: u64,
    face: Option<CardForm<C>>,
}

/// The next frame for a link, and its time.
#[derive(Debug)]
pub(super) struct DueFrame<C> {
    pub(super) at: Duration,
    pub(super) timer: Timer,
    face: Option<CardForm<C>>,
    /// Whether the frame changes what friends see, as far as known.
    is_change: bool,
}

#[derive(Debug)]
pub(super) struct Delivery<C> {
    shown: Option<CardForm<C>>,
    /// One at a time, except that an immediate clear does not wait for earlier answers.
    in_flight: Vec<InFlight<C>>,
    /// The content of the newest frame: what is shown after all answers, if nothing is refused.
    coming: Option<CardForm<C>>,
    /// Kept across connections, like Discord's own count.
    pub(super) changes: Window,
    /// Since when the shown card, or the one in flight, differs from the wished one.
    unsettled_since: Option<Duration>,
    /// The next change skips the intervals.
    is_urgent: bool,
    /// Nothing is sent before this time, because Discord refused a frame for a reason other than its content.
    held_until: Duration,
    /// The same for a clear that Discord refused: even an immediate clear is not repeated without a pause.
    clear_held_until: Duration,
    refusals: Backoff,
    refused: RefusedCards<C>,
    /// How often the shown card is sent again; never to a terminal.
    reassert_every: Option<Duration>,
    reassert_at: Duration,
    last_sent_at: Duration,
}

impl<C: Showable> Delivery<C> {
    pub(super) fn new() -> Self {
        Self {
            shown: None,
            in_flight: Vec::new(),
            coming: None,
            changes: Window::new(timing::CHANGES, timing::CHANGES_SPAN),
            unsettled_since: None,
            is_urgent: false,
            held_until: Duration::ZERO,
            clear_held_until: Duration::ZERO,
            refusals: Backoff::new(timing::REFUSED_FIRST, timing::REFUSED_LAST),
            refused: RefusedCards::default(),
            reassert_every: None,
            reassert_at: Duration::ZERO,
            last_sent_at: Duration::ZERO,
        }
    }

    /// A connection is ready; it shows nothing yet.
    pub(super) fn begin(&mut self, now: Duration, wish: &Wish<C>, reassert_every: Option<Duration>) {
        self.end();
        self.reassert_every = reassert_every;
        // The wished card is not new: there is no burst to wait for.
        self.unsettled_since = Some(Duration::ZERO);
        self.settle(now, wish);
    }

    /// The connection is gone. Only the budget is kept.
    pub(super) fn end(&mut self) {
        self.shown = None;
        self.in_flight.clear();
        self.coming = None;
        self.unsettled_since = None;
        self.is_urgent = false;
        self.held_until = Duration::ZERO;
        self.clear_held_until = Duration::ZERO;
        self.refusals.reset();
        self.refused = RefusedCards::default();
    }

    /// Another process counts the changes from now on.
    pub(super) fn forget_changes(&mut self) {
        self.changes = Window::new(timing::CHANGES, timing::CHANGES_SPAN);
    }

    /// The connection closes, which clears its card: a visible change.
    pub(super) fn end_visibly(&mut self, now: Duration) {
        if self.shown.is_some() || self.in_flight.iter().any(|sent| sent.face.is_some()) {
            self.changes.spend(now);
        }
        self.end();
    }

    pub(super) fn shown(&self) -> Option<&Arc<C>> {
        self.shown.as_ref().map(|face| &face.card)
    }

    /// What is shown after all answers, if nothing is refused.
    pub(super) fn showing(&self) -> Option<&Arc<C>> {
        self.outlook().map(|face| &face.card)
    }

    /// Answers may arrive in another order than the frames were sent; so the result is known only after all answers.
    fn outlook(&self) -> Option<&CardForm<C>> {
        if self.is_awaiting_answer() { self.coming.as_ref() } else { self.shown.as_ref() }
    }

    pub(super) fn is_awaiting_answer(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// The wished card has changed; `at_once` if the change must not wait.
    pub(super) fn wish_changed(&mut self, now: Duration, wish: &Wish<C>, at_once: bool) {
        if at_once {
            self.is_urgent = true;
            self.held_until = Duration::ZERO;
        }
        self.settle(now, wish);
    }

    /// The settings have changed: the card may no longer have the content that Discord refused.
    pub(super) fn forgive(&mut self, now: Duration, wish: &Wish<C>) {
        self.refused = RefusedCards::default();
        self.settle(now, wish);
    }

    /// Discord may have lost the card while the machine slept.
    pub(super) fn reassert_soon(&mut self, now: Duration, pace: &Publish) {
        let soon = self.last_sent_at.saturating_add(pace.min_interval).max(now);
        self.reassert_at = self.reassert_at.min(soon);
    }

    pub(super) fn next(&self, wish: &Wish<C>, pace: &Publish) -> Option<DueFrame<C>> {
        let (change, again) = (self.change(wish, pace), self.reassertion(wish));
        match (change, again) {
            (Some(change), Some(again)) if again.at < change.at => Some(again),
            (change, again) => change.or(again),
        }
    }

    fn change(&self, wish: &Wish<C>, pace: &Publish) -> Option<DueFrame<C>> {
        let since = self.unsettled_since?;
        let face = match wish.card() {
            Some(card) => Some(self.refused.face(card)?),
            None => None,
        };
        let at = if wish.is_clear_at_once() {
            self.held_until.max(self.clear_held_until)
        } else if self.is_awaiting_answer() {
            return None;
        } else if self.is_urgent {
            self.held_until.max(self.changes.free_at())
        } else {
            let only_numbers = match (wish.card(), &self.shown) {
                (Some(card), Some(shown)) => card.only_numbers_moved(&shown.card),
                _ => false,
            };
            let interval = if only_numbers { pace.tokens_interval } else { pace.min_interval };
            since
                .saturating_add(pace.settle)
                .max(self.changes.after_last(interval))
                .max(self.changes.free_at())
                .max(self.held_until)
        };
        Some(DueFrame { at, timer: Timer::Publish, face, is_change: true })
    }

    fn reassertion(&self, wish: &Wish<C>) -> Option<DueFrame<C>> {
        // A card that is about to be cleared is not sent again.
        if wish.card().is_none() || self.is_awaiting_answer() {
            return None;
        }
        let (face, _) = self.shown.as_ref().zip(self.reassert_every)?;
        let at = self.reassert_at.max(self.held_until);
        Some(DueFrame { at, timer: Timer::Reassert, face: Some(face.clone()), is_change: false })
    }

    /// Sends the frame that [`Self::next`] returned.
    pub(super) fn send(&mut self, now: Duration, due: DueFrame<C>, nonce: u64, wish: &Wish<C>) -> Payload<C> {
        if due.is_change {
            self.changes.spend(now);
            self.is_urgent = false;
        }
        self.last_sent_at = now;
        self.reassert_at = now.saturating_add(self.reassert_every.unwrap_or_default());
        let payload = match &due.face {
            None => Payload::Clear,
            Some(CardForm { card, reduced: true }) => Payload::Reduced(Arc::clone(card)),
            Some(CardForm { card, reduced: false }) => Payload::Card(Arc::clone(card)),
        };
        self.coming = due.face.clone();
        self.in_flight.push(InFlight { nonce, face: due.face });
        self.settle(now, wish);
        payload
    }

    /// Discord accepted it. `None` for a nonce of an earlier connection, else whether it was anything but a reduced
    /// card.
    pub(super) fn acked(&mut self, now: Duration, nonce: u64, wish: &Wish<C>) -> Option<bool> {
        let sent = self.answered(nonce)?;
        let is_whole = sent.face.as_ref().is_none_or(|face| !face.reduced);
        self.refused.only_reduced |= !is_whole && self.refused.whole.is_some();
        // The order of the answers is the order in which Discord acted: a card may wait for its images and so be
        // applied after a clear that was sent later.
        self.shown = sent.face;
        self.refusals.reset();
        self.held_until = Duration::ZERO;
        self.settle(now, wish);
        Some(is_whole)
    }

    /// Discord refused it; the earlier card is still shown. False for a nonce of an earlier connection.
    pub(super) fn refused(
        &mut self,
        now: Duration,
        nonce: u64,
        code: i64,
        wish: &Wish<C>,
        random: &mut SplitMix,
    ) -> bool {
        let Some(sent) = self.answered(nonce) else { return false };
        match sent.face {
            Some(face) if code == INVALID_PAYLOAD => {
                // Nothing has changed for friends yet, so the reduced card need not wait for the interval.
                self.is_urgent |= !face.reduced && wish.card() == Some(&face.card);
                self.refused.note(face);
            }
            face => {
                self.held_until = now.saturating_add(random.spread(self.refusals.fail()));
                if face.is_none() {
                    self.clear_held_until = self.held_until;
                }
            }
        }
        self.settle(now, wish);
        true
    }

    fn answered(&mut self, nonce: u64) -> Option<InFlight<C>> {
        let index = self.in_flight.iter().position(|sent| sent.nonce == nonce)?;
        Some(self.in_flight.remove(index))
    }

    /// Updates since when there is a change to send, if there is one.
    fn settle(&mut self, now: Duration, wish: &Wish<C>) {
        let coming = self.outlook();
        let is_settled = match wish.card() {
            None => coming.is_none(),
            Some(card) => match (self.refused.face(card), coming) {
                (None, _) => true,
                (Some(wanted), Some(coming)) => wanted.same(coming),
                (Some(_), None) => false,
            },
        };
        if is_settled {
            self.unsettled_since = None;
            self.is_urgent = false;
        } else {
            self.unsettled_since.get_or_insert(now);
        }
    }
}

/// The cards that Discord refused as invalid on this connection, so that they are not sent again.
#[derive(Debug)]
struct RefusedCards<C> {
    whole: Option<Arc<C>>,
    reduced: Option<Arc<C>>,
    /// A reduced card was accepted after a whole one was refused: the mistake is in the parts left out.
    only_reduced: bool,
}

impl<C> Default for RefusedCards<C> {
    fn default() -> Self {
        Self { whole: None, reduced: None, only_reduced: false }
    }
}

impl<C: Showable> RefusedCards<C> {
    fn note(&mut self, face: CardForm<C>) {
        let place = if face.reduced { &mut self.reduced } else { &mut self.whole };
        *place = Some(face.card);
    }

    /// The form in which to send this card; `None` if every form was refused.
    fn face(&self, card: &Arc<C>) -> Option<CardForm<C>> {
        if self.reduced.as_ref().is_some_and(|refused| refused.reduced_eq(card)) {
            return None;
        }
        let reduced = self.only_reduced || self.whole.as_ref() == Some(card);
        Some(CardForm { card: Arc::clone(card), reduced })
    }
}
