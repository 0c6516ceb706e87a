//! Runs the threads that read session files: restarts them after a panic, and gives a home on a slow disk one of its
//! own.
//!
//! One thread reads all homes. A home whose disk hangs or is slow gets a thread of its own until the daemon ends, and
//! the other homes are read on from where they were.
//! Read next: [`crate::io::intake`], the reading itself.

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

/// How many events may wait for the loop; a full channel pauses the reading.
const INBOX: usize = 64;

/// The pause before the first restart; each further one is twice as long, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// When to check for a slow disk first, after the reading began: as a rule it has ended by then.
const FIRST_CHECK: Duration = Duration::from_secs(1);

/// How often to check after that, while there is something to read.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// The same while the reading is done with everything again and again: files that grow bring a new piece several times
/// a second, and each check wakes the loop.
const CHECK_PAUSED_EVERY: Duration = Duration::from_secs(1);

/// An event of the reading.
#[derive(Debug)]
pub enum Read {
    /// An event of a session file.
    Event(SourceEvent),
    /// The threads were restarted and read everything again: what is known of files is void.
    Restarted,
}

/// Where an earlier reading ended.
#[derive(Debug, Clone)]
pub struct ResumePoint {
    /// When it ended: lines of a later time are live in every file.
    pub at: Timestamp,
    /// How far each file was read and sent as events.
    pub files: Vec<ReadTo>,
    /// The content of the agents' registers.
    pub registers: Vec<register::RegisterHandover>,
}

/// The running intakes and their channels. Belongs inside a tokio runtime.
pub struct Reading {
    /// The configuration of the next start.
    config: IntakeConfig,
    homes: Vec<Home>,
    /// The labels of the homes with a thread of their own.
    slow: BTreeSet<Arc<str>>,
    /// The threads; the first one reads all other homes.
    threads: Vec<ReadingThread>,
    /// Whether the first one has read everything once.
    has_caught_up: bool,
    /// How far each file was read and sent as events.
    progress: BTreeMap<FileId, ReadTo>,
    check_at: Option<Instant>,
    backoff: Backoff,
    /// When the reading is started again after a panic.
    restart_at: Option<Instant>,
}

/// One intake with a thread of its own.
struct ReadingThread {
    events: mpsc::Receiver<SourceEvent>,
    handle: IntakeHandle,
}

impl Reading {
    /// Starts reading with this clock, and continues where an earlier reading ended.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn resume(clock: Clock, homes: Vec<Home>, left: Option<ResumePoint>) -> io::Result<Self> {
        let mut config = IntakeConfig::new(homes, clock);
        if let Some(left) = left {
            config.live_since = left.at.min(config.live_since);
            config.resume = left.files.into_iter().map(|read| (read.file, read.offset)).collect();
            config.registers = left.registers;
        }
        Self::start(config)
    }

    /// Starts reading with this configuration.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn start(mut config: IntakeConfig) -> io::Result<Self> {
        let homes = std::mem::take(&mut config.homes);
        let mut this = Self {
            config,
            homes,
            slow: BTreeSet::new(),
            threads: Vec::new(),
            has_caught_up: false,
            progress: BTreeMap::new(),
            check_at: None,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            restart_at: None,
        };
        this.begin()?;
        Ok(this)
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> Read {
        loop {
            if let Some(at) = self.restart_at {
                sleep_until(at).await;
                self.restart_at = None;
                match self.begin() {
                    Ok(()) => return Read::Restarted,
                    Err(error) => self.try_later(&error.to_string()),
                }
                continue;
            }
            let check_at = self.check_at;
            let begun = self.begun();
            tokio::select! {
                biased;
                (thread, event) = next_of(&mut self.threads) => match event {
                    Some(event) => {
                        if let Some(event) = self.note_progress(thread, event) {
                            return Read::Event(event);
                        }
                    }
                    None => {
                        self.forget_progress();
                        self.try_later("an internal error");
                    }
                },
                () = begun, if check_at.is_none() => self.check_at = Some(Instant::now() + FIRST_CHECK),
                () = sleep_until(check_at.unwrap_or_else(Instant::now)), if check_at.is_some() => self.check_disks(),
            }
        }
    }

    /// The next event, if one waits.
    pub fn try_next(&mut self) -> Option<SourceEvent> {
        for thread in 0..self.threads.len() {
            while let Some(event) =
                self.threads.get_mut(thread).and_then(|thread| thread.events.try_recv().ok())
            {
                if let Some(event) = self.note_progress(thread, event) {
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
            self.threads.iter().take(1).for_each(|thread| thread.handle.set_homes(usual.clone()));
        } else {
            // The state of a home whose disk does not answer is dropped with all other state.
            self.slow.clear();
            self.restart(None);
        }
    }

    /// Reports a clock jump.
    pub fn woke(&self) {
        self.threads.iter().for_each(|thread| thread.handle.woke());
    }

    /// Reports that the loop is awake: a check of the processes that agents registered costs no wake-up now.
    pub fn verify(&self) {
        self.threads.iter().for_each(|thread| thread.handle.verify());
    }

    /// The homes of the thread for `slow`; `None`: those of the first thread.
    fn homes_of(&self, slow: Option<&Arc<str>>) -> Vec<Home> {
        let is_in =
            |home: &&Home| slow.map_or_else(|| !self.slow.contains(&home.label), |slow| home.label == *slow);
        self.homes.iter().filter(is_in).cloned().collect()
    }

    /// Waits until the first thread begins to read. Delays of the others do not matter.
    fn begun(&self) -> impl Future<Output = ()> + use<> {
        let begun = self.threads.first().map(|thread| thread.handle.begun());
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
        let threads = groups.map(|slow| {
            let (homes, next_file) = (self.homes_of(slow), Arc::clone(&next_file));
            ReadingThread::begin(IntakeConfig { homes, next_file, ..self.config.clone() })
        });
        self.threads = threads.collect::<io::Result<_>>()?;
        (self.has_caught_up, self.check_at) = (false, None);
        self.progress.clear();
        Ok(())
    }

    /// Notes the progress in an event for the loop; `None` if the loop does not need it.
    fn note_progress(&mut self, thread: usize, event: SourceEvent) -> Option<SourceEvent> {
        match &event {
            SourceEvent::Updated { file, read: Some(read), .. } => {
                self.progress.insert(*file, *read);
            }
            SourceEvent::Gone { file } => {
                self.progress.remove(file);
            }
            SourceEvent::CaughtUp if thread == 0 => {
                self.has_caught_up = true;
                self.config.resume.clear();
                self.config.registers.clear();
            }
            // The loop does not wait for slow homes.
            SourceEvent::CaughtUp if !self.has_caught_up => return None,
            _ => {}
        }
        Some(event)
    }

    /// Checks whether the disk of a home delays the others.
    fn check_disks(&mut self) {
        let Some(look) = self.threads.first().map(|thread| thread.handle.look()) else { return };
        let pause = match look {
            Look::Rests => None,
            Look::Pauses => Some(CHECK_PAUSED_EVERY),
            Look::Reads | Look::Held { .. } => Some(CHECK_EVERY),
        };
        self.check_at = pause.map(|pause| Instant::now() + pause);
        if let Look::Held { home, since } = look
            && self.homes.iter().any(|other| other.label != home && !self.slow.contains(&other.label))
            && self.slow.insert(Arc::clone(&home))
        {
            tracing::warn!(
                "the disk of {home} is slow; reading it on a thread of its own, so that it does not delay other homes"
            );
            self.restart(Some(since));
        }
    }

    /// Restarts the reading from its present state, or from that of `since`.
    fn restart(&mut self, since: Option<Timestamp>) {
        let progress = std::mem::take(&mut self.progress).into_values();
        self.config.resume.extend(progress.map(|read| (read.file, read.offset)));
        if self.has_caught_up {
            let now = (self.config.clock)().wall;
            self.config.live_since = since.map_or(now, |since| since.min(now));
        }
        self.restart_at = Some(Instant::now());
    }

    /// Drops the progress: it may have caused the panic.
    fn forget_progress(&mut self) {
        self.config.live_since = (self.config.clock)().wall;
        self.config.resume.clear();
        self.config.registers.clear();
    }

    fn try_later(&mut self, why: &str) {
        let wait = self.backoff.fail();
        tracing::error!("reading session files stopped: {why}; restarting it in {wait:?}");
        self.restart_at = Some(Instant::now() + wait);
    }
}

impl ReadingThread {
    fn begin(config: IntakeConfig) -> io::Result<Self> {
        let (inbox, events) = mpsc::channel(INBOX);
        let handle = intake::start(config, move |event| match inbox.blocking_send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })?;
        Ok(Self { events, handle })
    }
}

/// The next event of any thread; `None` if that thread has ended. Cancel safe.
async fn next_of(threads: &mut [ReadingThread]) -> (usize, Option<SourceEvent>) {
    poll_fn(|context| {
        let next = threads.iter_mut().enumerate().find_map(|(index, thread)| {
            match thread.events.poll_recv(context) {
                Poll::Ready(event) => Some((index, event)),
                Poll::Pending => None,
            }
        });
        next.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
