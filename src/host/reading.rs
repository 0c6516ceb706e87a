//! Restarts the thread that reads session files after a panic.
//!
//! Read next: [`crate::io::intake`], which does the reading.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::core::backoff::Backoff;
use crate::core::register;
use crate::core::source_event::{ReadTo, SourceEvent};
use crate::io::homes::Home;
use crate::io::intake::{self, Clock, IntakeConfig, IntakeHandle};

/// Events that wait for the loop; a full channel holds the reading back.
const INBOX: usize = 64;

/// How long the first new start waits; each further one twice as long, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the reading brings.
#[derive(Debug)]
pub enum Read {
    /// Session files brought something.
    Event(SourceEvent),
    /// Everything is read anew: what is known of files is void.
    StartedAgain,
}

/// Where an earlier reading left off.
#[derive(Debug, Clone)]
pub struct Left {
    /// When: what is stamped later is live in every file.
    pub at: Timestamp,
    /// How far each file has been told.
    pub files: Vec<ReadTo>,
    /// What the agents' registers said.
    pub registers: Vec<register::Left>,
}

/// The running intake and its channel. Belongs inside a tokio runtime.
pub struct Reading {
    clock: Clock,
    homes: Vec<Home>,
    events: mpsc::Receiver<SourceEvent>,
    handle: IntakeHandle,
    backoff: Backoff,
    /// When the thread that broke off is started again.
    again_at: Option<Instant>,
}

impl Reading {
    /// Reads by this clock, and goes on where an earlier reading left off.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn resume(clock: Clock, homes: Vec<Home>, left: Option<Left>) -> io::Result<Self> {
        let (events, handle) = begin(&clock, homes.clone(), left)?;
        Ok(Self {
            clock,
            homes,
            events,
            handle,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            again_at: None,
        })
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Read {
        loop {
            if let Some(at) = self.again_at {
                sleep_until(at).await;
                self.again_at = None;
                match begin(&self.clock, self.homes.clone(), None) {
                    Ok((events, handle)) => {
                        (self.events, self.handle) = (events, handle);
                        return Read::StartedAgain;
                    }
                    Err(error) => self.try_later(&error.to_string()),
                }
            } else if let Some(event) = self.events.recv().await {
                return Read::Event(event);
            } else {
                self.try_later("an internal error");
            }
        }
    }

    /// What is there already.
    pub fn try_next(&mut self) -> Option<SourceEvent> {
        self.events.try_recv().ok()
    }

    /// Reads these homes from now on.
    pub fn set_homes(&mut self, homes: Vec<Home>) {
        self.homes.clone_from(&homes);
        self.handle.set_homes(homes);
    }

    /// Tells that time may have passed unnoticed.
    pub fn woke(&self) {
        self.handle.woke();
    }

    /// Tells that the loop is awake, so that a look at the processes that agents registered costs no wake-up.
    pub fn verify(&self) {
        self.handle.verify();
    }

    fn try_later(&mut self, why: &str) {
        let wait = self.backoff.fail();
        tracing::error!("the reading of session files broke off: {why}; starting it again in {wait:?}");
        self.again_at = Some(Instant::now() + wait);
    }
}

type Begun = (mpsc::Receiver<SourceEvent>, IntakeHandle);

fn begin(clock: &Clock, homes: Vec<Home>, left: Option<Left>) -> io::Result<Begun> {
    let (inbox, events) = mpsc::channel(INBOX);
    let mut config = IntakeConfig::new(homes, Arc::clone(clock));
    if let Some(left) = left {
        config.live_since = left.at.min(config.live_since);
        config.resume = left.files.into_iter().map(|read| (read.file, read.offset)).collect();
        config.registers = left.registers;
    }
    let handle = intake::start(config, move |event| match inbox.blocking_send(event) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })?;
    Ok((events, handle))
}
