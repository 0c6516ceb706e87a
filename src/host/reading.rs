//! Restarts the thread that reads session files after a panic, and reads a home apart whose disk would hold up the others.
//!
//! All homes are read by one thread. One whose disk is stuck or slow gets a thread of its own for as long as the daemon runs,
//! and the others are read on where they were.
//! Read next: [`crate::io::intake`], which does the reading.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{pending, poll_fn};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::core::backoff::Backoff;
use crate::core::register;
use crate::core::source_event::{FileId, ReadTo, SourceEvent};
use crate::io::homes::Home;
use crate::io::intake::{self, Clock, IntakeConfig, IntakeHandle, Look};

/// Events that wait for the loop; a full channel holds the reading back.
const INBOX: usize = 64;

/// How long the first new start waits; each further one twice as long, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often is looked whether a disk holds the reading up, while there is something to read.
const LOOK_EVERY: Duration = Duration::from_millis(250);

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

/// The running intakes and their channels. Belongs inside a tokio runtime.
pub struct Reading {
    /// With what the next start begins.
    config: IntakeConfig,
    homes: Vec<Home>,
    /// What the homes are called that are read apart.
    slow: BTreeSet<Arc<str>>,
    /// The first reads all homes but those.
    parts: Vec<Part>,
    /// Whether that one has announced everything that there was.
    has_caught_up: bool,
    /// How far each file has been told.
    told: BTreeMap<FileId, ReadTo>,
    look_at: Option<Instant>,
    backoff: Backoff,
    /// When the reading that broke off is started again.
    again_at: Option<Instant>,
}

/// One intake with a thread of its own.
struct Part {
    events: mpsc::Receiver<SourceEvent>,
    handle: IntakeHandle,
}

impl Reading {
    /// Reads by this clock, and goes on where an earlier reading left off.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn resume(clock: Clock, homes: Vec<Home>, left: Option<Left>) -> io::Result<Self> {
        let mut config = IntakeConfig::new(homes, clock);
        if let Some(left) = left {
            config.live_since = left.at.min(config.live_since);
            config.resume = left.files.into_iter().map(|read| (read.file, read.offset)).collect();
            config.registers = left.registers;
        }
        Self::start(config)
    }

    /// Reads what `config` says.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn start(mut config: IntakeConfig) -> io::Result<Self> {
        let homes = std::mem::take(&mut config.homes);
        let mut this = Self {
            config,
            homes,
            slow: BTreeSet::new(),
            parts: Vec::new(),
            has_caught_up: false,
            told: BTreeMap::new(),
            look_at: None,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            again_at: None,
        };
        this.begin()?;
        Ok(this)
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Read {
        loop {
            if let Some(at) = self.again_at {
                sleep_until(at).await;
                self.again_at = None;
                match self.begin() {
                    Ok(()) => return Read::StartedAgain,
                    Err(error) => self.try_later(&error.to_string()),
                }
                continue;
            }
            let look_at = self.look_at;
            let begun = self.begun();
            tokio::select! {
                biased;
                (part, event) = next_of(&mut self.parts) => match event {
                    Some(event) => {
                        if let Some(event) = self.pass(part, event) {
                            return Read::Event(event);
                        }
                    }
                    None => {
                        self.forget_progress();
                        self.try_later("an internal error");
                    }
                },
                () = begun, if look_at.is_none() => self.look_at = Some(Instant::now() + LOOK_EVERY),
                () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => self.look(),
            }
        }
    }

    /// What is there already.
    pub fn try_next(&mut self) -> Option<SourceEvent> {
        for part in 0..self.parts.len() {
            while let Some(event) = self.parts.get_mut(part).and_then(|part| part.events.try_recv().ok()) {
                if let Some(event) = self.pass(part, event) {
                    return Some(event);
                }
            }
        }
        None
    }

    /// Reads these homes from now on.
    pub fn set_homes(&mut self, homes: Vec<Home>) {
        self.homes = homes;
        if self.slow.iter().all(|slow| self.homes.iter().any(|home| home.label == *slow)) {
            let usual = self.homes_of(None);
            self.parts.iter().take(1).for_each(|part| part.handle.set_homes(usual.clone()));
        } else {
            // What is known of a home whose disk does not answer is forgotten with everything else.
            self.slow.clear();
            self.start_again(None);
        }
    }

    /// Tells that time may have passed unnoticed.
    pub fn woke(&self) {
        self.parts.iter().for_each(|part| part.handle.woke());
    }

    /// Tells that the loop is awake, so that a look at the processes that agents registered costs no wake-up.
    pub fn verify(&self) {
        self.parts.iter().for_each(|part| part.handle.verify());
    }

    /// Those of the homes that are called so and read apart, or those that are not.
    fn homes_of(&self, slow: Option<&Arc<str>>) -> Vec<Home> {
        let is_in =
            |home: &&Home| slow.map_or_else(|| !self.slow.contains(&home.label), |slow| home.label == *slow);
        self.homes.iter().filter(is_in).cloned().collect()
    }

    /// Waits until the first part begins to read. Whether the others are held up is nobody's concern.
    fn begun(&self) -> impl Future<Output = ()> + use<> {
        let begun = self.parts.first().map(|part| part.handle.begun());
        async move {
            match begun {
                Some(begun) => begun.await,
                None => pending().await,
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        let next_file = Arc::new(AtomicU64::new(1));
        let groups = std::iter::once(None).chain(self.slow.iter().map(Some));
        let parts = groups.map(|slow| {
            let (homes, next_file) = (self.homes_of(slow), Arc::clone(&next_file));
            Part::begin(IntakeConfig { homes, next_file, ..self.config.clone() })
        });
        self.parts = parts.collect::<io::Result<_>>()?;
        (self.has_caught_up, self.look_at) = (false, None);
        self.told.clear();
        Ok(())
    }

    /// An event on its way to the loop.
    fn pass(&mut self, part: usize, event: SourceEvent) -> Option<SourceEvent> {
        match &event {
            SourceEvent::Updated { file, read: Some(read), .. } => {
                self.told.insert(*file, *read);
            }
            SourceEvent::Gone { file } => {
                self.told.remove(file);
            }
            SourceEvent::CaughtUp if part == 0 => {
                self.has_caught_up = true;
                self.config.resume.clear();
                self.config.registers.clear();
            }
            // A home that is read apart is waited for by nobody.
            SourceEvent::CaughtUp if !self.has_caught_up => return None,
            _ => {}
        }
        Some(event)
    }

    /// Looks whether the disk of a home holds up the others.
    fn look(&mut self) {
        let Some(look) = self.parts.first().map(|part| part.handle.look()) else { return };
        self.look_at = (look != Look::Rests).then(|| Instant::now() + LOOK_EVERY);
        if let Look::Held { home, since } = look
            && self.homes.iter().any(|other| other.label != home && !self.slow.contains(&other.label))
            && self.slow.insert(Arc::clone(&home))
        {
            tracing::warn!("the disk of {home} is slow; reading it apart, so that it holds up no other home");
            self.start_again(Some(since));
        }
    }

    /// Reads on where the reading is, or was at `since`.
    fn start_again(&mut self, since: Option<Timestamp>) {
        let told = std::mem::take(&mut self.told).into_values();
        self.config.resume.extend(told.map(|read| (read.file, read.offset)));
        if self.has_caught_up {
            let now = (self.config.clock)().wall;
            self.config.live_since = since.map_or(now, |since| since.min(now));
        }
        self.again_at = Some(Instant::now());
    }

    /// What was read is not gone on with: it may be what was wrong.
    fn forget_progress(&mut self) {
        self.config.live_since = (self.config.clock)().wall;
        self.config.resume.clear();
        self.config.registers.clear();
    }

    fn try_later(&mut self, why: &str) {
        let wait = self.backoff.fail();
        tracing::error!("the reading of session files broke off: {why}; starting it again in {wait:?}");
        self.again_at = Some(Instant::now() + wait);
    }
}

impl Part {
    fn begin(config: IntakeConfig) -> io::Result<Self> {
        let (inbox, events) = mpsc::channel(INBOX);
        let handle = intake::start(config, move |event| match inbox.blocking_send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })?;
        Ok(Self { events, handle })
    }
}

/// The next event of any part; none when that part has broken off. Nothing is lost when the wait is given up.
async fn next_of(parts: &mut [Part]) -> (usize, Option<SourceEvent>) {
    poll_fn(|context| {
        let next =
            parts.iter_mut().enumerate().find_map(|(index, part)| match part.events.poll_recv(context) {
                Poll::Ready(event) => Some((index, event)),
                Poll::Pending => None,
            });
        next.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
