//! What passes by, as far as it was understood and nobody has been told.
//!
//! Shared by the thread that copies, which shows bytes, and the one that tells, which takes lines. Bounded whatever
//! passes: states of one session replace each other, their usage events queue up to a limit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::cmd::tap::place::RunFolders;
use crate::control::tap::{EVENTS, Tapped};
use crate::core::file::Stream;
use crate::core::limits::say;
use crate::core::usage::Tokens;
use crate::io::clock;

/// After so long without a byte, what is held back is told. Between two lines of one message a model takes seconds.
const QUIET: Duration = Duration::from_secs(5);

/// Usage events that wait for a daemon; older ones are in the totals alone.
const WAITING: usize = 4096;

/// Sessions that wait for a daemon, and whose figures are kept for the end.
const SESSIONS: usize = 64;

/// A stream on its way.
#[derive(Debug)]
pub struct Passing {
    state: Mutex<State>,
    changed: Notify,
    /// Apart from the rest, so that who waits for the end alone is not woken for every byte.
    ended: Notify,
}

#[derive(Debug)]
struct State {
    /// `None` after a defect: the copy goes on without figures.
    stream: Option<Stream>,
    updates: VecDeque<Tapped>,
    totals: Vec<(String, Option<Tokens>)>,
    /// Whether anything came since what is held back was told.
    unsettled: bool,
    over: bool,
}

impl Passing {
    /// A stream of which nothing has passed yet.
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

    /// Where the run works if its stream does not say so.
    pub fn set_place(&self, place: RunFolders) {
        let RunFolders { folder, others } = place;
        self.state().look(|stream| stream.set_place(folder, others));
    }

    /// Bytes that have been copied.
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

    /// Nothing more will pass. The total of every session, in order; unknown where it told none.
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

    /// Whether nothing more will pass.
    pub(super) fn is_over(&self) -> bool {
        self.state().over
    }

    /// Until the end of the stream, or until this is given up.
    pub(super) async fn ended(&self) {
        while !self.is_over() {
            self.ended.notified().await;
        }
    }

    /// The next line to tell; `None` at the end. Nothing is lost when the wait is given up.
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

    /// What has to be told again. Where something newer waits, that is told, with the events that nobody has heard.
    pub(super) fn put_back(&self, known: Tapped) {
        let mut state = self.state();
        match state.updates.iter_mut().find(|update| update.is_of(&known)) {
            Some(newer) => {
                let unheard = known.events.into_iter().filter(|event| event.added.is_some());
                newer.events.splice(0..0, unheard);
                let newest = std::mem::replace(&mut newer.limits, known.limits);
                newest.into_iter().for_each(|word| say(&mut newer.limits, word));
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

    /// Takes what the stream has understood.
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
                update.limits.into_iter().for_each(|word| say(&mut limits, word));
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
