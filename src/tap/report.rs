//! Tells the daemon what passes by, where there is one.
//!
//! On a thread of its own, with an end to every wait. What the daemon has not taken yet is kept here, bounded: states of
//! one session replace each other, their usage events queue up. A daemon that comes later, or again, is told the state as
//! restored. Read next: [`crate::control::tap`], for what is told.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::control::Verb;
use crate::control::client::{Connection, block_on};
use crate::control::tap::{EVENTS, Tapped};
use crate::control::transport::Place;
use crate::core::session::UsageEvent;

/// Usage events that wait for a daemon; older ones are in the totals alone.
const WAITING: usize = 4096;
/// Sessions that wait for a daemon.
const SESSIONS: usize = 16;
/// How long after a failure a daemon is looked for again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a daemon may take to take a line.
const TAKE: Duration = Duration::from_secs(5);
/// Between two lines; what comes meanwhile is one line.
const PACE: Duration = Duration::from_millis(50);
/// How long a daemon may take at the end, when everything is copied already.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is to be told.
#[derive(Debug, Default)]
pub struct Pending {
    updates: Mutex<VecDeque<Tapped>>,
    over: AtomicBool,
    changed: Notify,
}

impl Pending {
    /// Adds what is new of a session.
    pub fn add(&self, update: Tapped) {
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        match updates.back_mut() {
            Some(last) if last.is_of(&update) => {
                let mut events = std::mem::take(&mut last.events);
                events.extend(update.events);
                events.drain(..events.len().saturating_sub(WAITING));
                *last = Tapped { events, ..update };
            }
            _ => {
                if updates.len() >= SESSIONS {
                    updates.pop_front();
                }
                updates.push_back(update);
            }
        }
        drop(updates);
        self.changed.notify_one();
    }

    /// Nothing more will be added.
    pub fn finish(&self) {
        self.over.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// The next line; `None` at the end.
    async fn next(&self) -> Option<Tapped> {
        loop {
            let over = self.is_over();
            if let Some(line) = self.take() {
                return Some(line);
            }
            if over {
                return None;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Tapped> {
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        let first = updates.front_mut()?;
        if first.events.len() <= EVENTS {
            return updates.pop_front();
        }
        let events = first.events.drain(..EVENTS).collect();
        Some(Tapped { events, ..first.clone_without_events() })
    }

    /// What another daemon has to be told first, unless something newer of it waits.
    fn put_back(&self, known: Tapped) {
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        if !updates.iter().any(|update| update.is_of(&known)) {
            updates.push_front(known);
        }
    }

    fn is_empty(&self) -> bool {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Until there is something to tell, or nothing any more.
    async fn wait(&self) {
        while self.is_empty() && !self.is_over() {
            self.changed.notified().await;
        }
        // The next one who waits finds what is there.
        self.changed.notify_one();
    }

    async fn ended(&self) {
        while !self.is_over() {
            self.changed.notified().await;
        }
        self.changed.notify_one();
    }
}

/// The thread that tells.
#[derive(Debug)]
pub struct Reporter(Receiver<()>);

impl Reporter {
    /// Tells the daemon at `place` everything that is added to `pending`.
    pub fn start(place: Place, pending: Arc<Pending>) -> Self {
        let (done, is_done) = channel();
        let telling = move || {
            // Without a runtime the stream is copied all the same.
            let _ = block_on(tell(&place, &pending));
            drop(done);
        };
        let _ = thread::Builder::new().name("report".to_owned()).spawn(telling);
        Self(is_done)
    }

    /// Waits until the daemon has been told, but not for long.
    pub fn finish(self) {
        let _ = self.0.recv_timeout(FAREWELL);
    }
}

async fn tell(place: &Place, pending: &Pending) {
    let mut known: Option<Tapped> = None;
    loop {
        pending.wait().await;
        if pending.is_empty() {
            return;
        }
        if let Ok(mut daemon) = connect(place).await
            && attend(&mut daemon, pending, &mut known).await.is_ok()
        {
            return;
        }
        if pending.is_over() {
            return;
        }
        if let Some(known) = known.take() {
            pending.put_back(restored(known));
        }
        let _ = timeout(AGAIN, pending.ended()).await;
    }
}

async fn connect(place: &Place) -> io::Result<Connection> {
    let failed = |_| io::Error::from(io::ErrorKind::NotConnected);
    let mut connection = Connection::open(place).await.map_err(failed)?;
    let reply = connection.ask(Verb::Tap).await.map_err(failed)?;
    // It may be of a version that does not listen, or listen to too many.
    if reply.ok { Ok(connection) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// Tells one daemon everything until the end; an error when it goes away before.
async fn attend(daemon: &mut Connection, pending: &Pending, known: &mut Option<Tapped>) -> io::Result<()> {
    loop {
        let next = tokio::select! {
            next = pending.next() => next,
            // Nothing is expected of it but its end.
            _ = daemon.next_line() => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let Some(line) = next else { return Ok(()) };
        *known = Some(line.clone_without_events());
        timeout(TAKE, daemon.tell(&line)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        if !pending.is_over() {
            sleep(PACE).await;
        }
    }
}

/// A state as another daemon is told it: figures that are no news.
fn restored(mut known: Tapped) -> Tapped {
    if let (Some(at), Some(_)) = (known.last_usage_at, known.usage.session_total_tokens) {
        let (turn, usage) = (known.turn.clone(), known.usage);
        known.events = vec![UsageEvent { at, turn, usage, added: None, call: None }];
    }
    known
}
