//! The updates of a tapped stream that are not sent to the daemon yet.
//!
//! Shared by the copying thread, which adds bytes, and the reporting thread, which takes lines. Bounded for any stream:
//! newer states of a session replace older ones, and usage events queue up to a limit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::cmd::tap::place::RunFolders;
use crate::control::tap::{EVENTS, Tapped};
use crate::core::file::Stream;
use crate::core::limits::add_report;
use crate::core::usage::Tokens;
use crate::io::clock;

/// After so long without a byte, the parser gives out what it holds back. Between two lines of one message a model
/// takes seconds.
const QUIET: Duration = Duration::from_secs(5);

/// How many usage events may wait for a daemon; older ones are in the totals alone.
const WAITING: usize = 4096;

/// How many sessions may wait for a daemon, and have their totals stored for the end.
const SESSIONS: usize = 64;

/// A parsed stream and its waiting updates.
#[derive(Debug)]
pub struct UpdateQueue {
    state: Mutex<State>,
    changed: Notify,
    /// Separate, so that a task that waits for the end does not wake for every byte.
    ended: Notify,
}

#[derive(Debug)]
struct State {
    /// `None` after a panic of the parser: the copy continues without figures.
    stream: Option<Stream>,
    updates: VecDeque<Tapped>,
    totals: Vec<(String, Option<Tokens>)>,
    /// Whether bytes came after the parser last gave out what it holds back.
    unsettled: bool,
    over: bool,
}

impl UpdateQueue {
    /// A queue for a stream that has not begun.
    pub fn new(stream: Stream) -> Self {
        let state = State {
            stream: Some(stream),
            updates: VecDeque::new(),
            totals: Vec::new(),
            unsettled: false,
            over: false,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), ended: Notify::new() }
    }

    /// Sets the folder of the run, for a stream without one.
    pub fn set_place(&self, place: RunFolders) {
        let RunFolders { folder, others } = place;
        self.state().look(|stream| stream.set_place(folder, others));
    }

    /// Parses copied bytes.
    pub fn show(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.look(|stream| stream.push(bytes, clock::now().wall));
        state.unsettled = true;
        if state.stream.as_ref().is_some_and(Stream::is_full) {
            state.collect();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Ends the stream. Returns the total of every session, in order; `None` if it is unknown.
    pub fn finish(&self) -> Vec<Option<Tokens>> {
        let mut state = self.state();
        state.look(|stream| stream.finish(clock::now().wall));
        state.collect();
        state.over = true;
        let totals = state.totals.iter().map(|(_, total)| *total).collect();
        drop(state);
        self.changed.notify_one();
        self.ended.notify_one();
        totals
    }

    /// Whether the stream has ended.
    pub(super) fn is_over(&self) -> bool {
        self.state().over
    }

    /// Waits for the end of the stream. Cancel safe.
    pub(super) async fn ended(&self) {
        while !self.is_over() {
            self.ended.notified().await;
        }
    }

    /// The next line to send; `None` at the end. Cancel safe.
    pub(super) async fn next(&self) -> Option<Tapped> {
        loop {
            let (line, over, unsettled) = {
                let mut state = self.state();
                state.collect();
                (state.take(), state.over, state.unsettled)
            };
            if line.is_some() || over {
                return line;
            }
            let changed = self.changed.notified();
            if !unsettled {
                changed.await;
            } else if timeout(QUIET, changed).await.is_err() {
                let mut state = self.state();
                state.look(|stream| stream.settle(clock::now().wall));
                state.unsettled = false;
            }
        }
    }

    /// Puts back an update that the daemon may not have. If a newer one waits, that keeps the unsent events of both.
    pub(super) fn put_back(&self, known: Tapped) {
        let mut state = self.state();
        match state.updates.iter_mut().find(|update| update.is_of(&known)) {
            Some(newer) => {
                let unheard = known.events.into_iter().filter(|event| event.added.is_some());
                newer.events.splice(0..0, unheard);
                let newest = std::mem::replace(&mut newer.limits, known.limits);
                newest.into_iter().for_each(|report| add_report(&mut newer.limits, report));
            }
            None => state.updates.push_front(known),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn look(&mut self, look: impl FnOnce(&mut Stream)) {
        if let Some(stream) = &mut self.stream
            && catch_unwind(AssertUnwindSafe(|| look(stream))).is_err()
        {
            self.stream = None;
        }
    }

    /// Takes the updates that the stream has parsed.
    fn collect(&mut self) {
        let updates = self.stream.as_mut().map(Stream::take_updates).unwrap_or_default();
        for update in updates {
            let (id, total) = (&update.session.id, update.session.usage.session_total_tokens);
            match self.totals.last_mut() {
                Some((last, known)) if last == id => *known = total,
                _ => {
                    self.totals.drain(..(self.totals.len() + 1).saturating_sub(SESSIONS));
                    self.totals.push((id.clone(), total));
                }
            }
            self.add(update.into());
        }
    }

    fn add(&mut self, update: Tapped) {
        match self.updates.back_mut() {
            Some(last) if last.is_of(&update) => {
                let mut events = std::mem::take(&mut last.events);
                events.extend(update.events);
                events.drain(..events.len().saturating_sub(WAITING));
                let mut limits = std::mem::take(&mut last.limits);
                update.limits.into_iter().for_each(|report| add_report(&mut limits, report));
                *last = Tapped { events, limits, ..update };
            }
            _ => {
                if self.updates.len() >= SESSIONS {
                    self.updates.pop_front();
                }
                self.updates.push_back(update);
            }
        }
    }

    fn take(&mut self) -> Option<Tapped> {
        let first = self.updates.front_mut()?;
        if first.events.len() <= EVENTS {
            return self.updates.pop_front();
        }
        let events = first.events.drain(..EVENTS).collect();
        Some(Tapped { events, ..first.clone_without_events() })
    }
}
