//! From session files to [`SourceEvent`]s: finds the files, follows them, and parses their bytes.
//!
//! It has a thread of its own, because reading files blocks and parsing them takes time; the loop gets only small
//! events. The thread sleeps until the file system reports a change or the slow rescan is due. It reads session files
//! and writes nothing. [`SessionFile`](crate::core::file::SessionFile) parses an agent's lines; the agent's
//! [row](crate::core::source::Spec) has the places of its files.
//!
//! Inside, from the outermost: `reader` (the thread and its timers), `homes`, `watched`, `folders` and `scan` (which
//! files there are), `notice` (changes of one file), `files`, `file_path`, `tail`, `rest` and `open` (its bytes),
//! `documents` and `databases` (sessions in other forms), `lineage` (copied history), `outbox` (events for the loop),
//! `registers` and `exits` (running processes), `watch`, `throttle`, `inbox` and `trees` (wake-ups), `stall` (slow
//! disks), and `survey` (a single check for `doctor`).

mod databases;
mod documents;
mod exits;
mod file_path;
mod files;
mod first_lines;
mod folders;
mod homes;
mod inbox;
mod lineage;
mod notice;
mod open;
mod outbox;

mod reader;
mod registers;
mod rest;
mod scan;
mod stall;
mod survey;
mod tail;
mod throttle;
mod trees;
mod watch;
mod watched;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use jiff::Timestamp;

use crate::core::register;
use crate::core::source_event::{FileIdentity, SourceEvent};
use crate::core::time::Now;
use crate::io::homes::Home;

pub(crate) use databases::databases_in;
pub use documents::LARGEST_DOCUMENT;
pub(crate) use documents::noted_folder;
pub(crate) use lineage::{helper_files, session_files};
pub use stall::Look;
pub use survey::survey;

use inbox::Inbox;
use reader::Reader;
use watch::Watcher;

/// How long [`IntakeHandle::stop`] waits for the thread.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Reads the clocks.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// A function that is called on the reading thread, with the home's label, before a home is read.
pub type Turn = Arc<dyn Fn(&str) + Send + Sync>;

/// The configuration of the intake. [`IntakeConfig::new`] sets everything but the homes to its usual value.
#[derive(Clone)]
pub struct IntakeConfig {
    /// The homes to read.
    pub homes: Vec<Home>,
    /// Usage with an earlier time is restored, not new; usually the intake's start.
    pub live_since: Timestamp,
    /// Files that an earlier reading has sent as events up to this offset.
    pub resume: BTreeMap<FileIdentity, u64>,
    /// The agents' registers at the end of an earlier reading.
    pub registers: Vec<register::RegisterHandover>,
    /// The clock.
    pub clock: Clock,
    /// How much is read at once.
    pub sizes: Sizes,
    /// How often to check without events.
    pub pace: Pace,
    /// The most folders to watch, below the system's limit.
    pub most_watches: usize,
    /// The number of the next new file; the readings of one daemon share it.
    pub next_file: Arc<AtomicU64>,
    /// Called before a home is read.
    pub turn: Option<Turn>,
}

/// How much of a file is read at once, in bytes.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// Larger files are first announced from their ends, and counted after that.
    pub whole: u64,
    /// The ends of such a file.
    pub ends: Ends,
    /// The ends of a file that is read only for its limits.
    pub limits: Ends,
    /// A large file is counted in slices of this size; other files are read between two of them.
    pub slice: u64,
    /// The one reading buffer.
    pub chunk: usize,
}

/// How much of a file's ends is read, in bytes.
#[derive(Debug, Clone)]
pub struct Ends {
    /// At most this much for the first line.
    pub head: u64,
    /// This much of the end at first, then four times as much while that does not suffice …
    pub tail: u64,
    /// … and never more than this.
    pub most: u64,
}

/// How often the intake checks without an event.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The watched folders and the live files.
    pub rescan: Duration,
    /// Files in use, where the system does not report their changes.
    pub hot: Duration,
    /// Live files that are not in use, in the same case.
    pub cold: Duration,
    /// The newest folders of homes whose folders cannot be watched.
    pub list: Duration,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

impl IntakeConfig {
    /// Reads `homes`; usage is live from the present time on.
    pub fn new(homes: Vec<Home>, clock: Clock) -> Self {
        Self {
            homes,
            live_since: clock().wall,
            resume: BTreeMap::new(),
            registers: Vec::new(),
            clock,
            sizes: Sizes::default(),
            pace: Pace::default(),
            most_watches: usize::MAX,
            next_file: Arc::new(AtomicU64::new(1)),
            turn: None,
        }
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            whole: 64 * MIB,
            ends: Ends { head: MIB, tail: MIB, most: 64 * MIB },
            limits: Ends { head: MIB, tail: 256 * KIB, most: 4 * MIB },
            slice: 8 * MIB,
            chunk: 256 * 1024,
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rescan: Duration::from_secs(5 * 60),
            hot: Duration::from_secs(2),
            cold: Duration::from_secs(30),
            list: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for IntakeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntakeConfig").field("homes", &self.homes).finish_non_exhaustive()
    }
}

/// The running intake. Dropping it asks the thread to end, without waiting.
#[derive(Debug)]
pub struct IntakeHandle {
    inbox: Arc<Inbox>,
    /// Disconnects when the thread has ended.
    ended: mpsc::Receiver<()>,
}

/// Starts following `config.homes`. `sink` takes each event; it may block, which pauses the reading and loses nothing.
/// If it returns `Break`, the intake ends.
///
/// # Errors
/// The system could not start a thread.
pub fn start(
    config: IntakeConfig,
    sink: impl FnMut(SourceEvent) -> ControlFlow<()> + Send + 'static,
) -> io::Result<IntakeHandle> {
    let inbox = Arc::new(Inbox::with(config.turn.clone()));
    let (running, ended) = mpsc::channel();
    let watcher = Watcher::new(Arc::clone(&inbox), Arc::clone(&config.clock), Some(config.most_watches));
    let reader = Reader::new(config, Arc::clone(&inbox), watcher, Box::new(sink));
    std::thread::Builder::new().name("intake".to_owned()).spawn(move || {
        reader.run();
        drop(running);
    })?;
    Ok(IntakeHandle { inbox, ended })
}

/// Reads `config.homes` once, to the end, with very large files, and watches nothing.
pub fn read_once(config: IntakeConfig, sink: impl FnMut(SourceEvent) -> ControlFlow<()> + Send) {
    let inbox = Arc::new(Inbox::default());
    let watcher = Watcher::new(Arc::clone(&inbox), Arc::clone(&config.clock), None);
    Reader::new(config, inbox, watcher, Box::new(sink)).read_once();
}

/// Whether another machine may write to a path.
pub(crate) fn is_on_network(path: &Path) -> bool {
    watch::trust(path) >= watch::Trust::Network
}

impl IntakeHandle {
    /// Follows these homes from now on. Files of removed homes are announced as gone.
    pub fn set_homes(&self, homes: Vec<Home>) {
        self.inbox.set_homes(homes);
    }

    /// Reports a clock jump (sleep): every file is checked.
    pub fn woke(&self) {
        self.inbox.rescan();
    }

    /// Reports that the program is awake: the registered processes are checked.
    pub fn verify(&self) {
        self.inbox.verify();
    }

    /// Waits until the reading begins and has to be checked with [`Self::look`]. Cancel safe.
    pub fn begun(&self) -> impl Future<Output = ()> + use<> {
        let inbox = Arc::clone(&self.inbox);
        async move { inbox.stall.begun().await }
    }

    /// Checks whether the disk of a home delays the reading. To be called a few times a second from the beginning of a
    /// reading until it [rests](Look::Rests).
    pub fn look(&self) -> Look {
        self.inbox.stall.look()
    }

    /// Ends the intake, even in the middle of a large file; true if it ended within two seconds. A blocking sink must
    /// be released before: drop the receiver first.
    pub fn stop(self) -> bool {
        self.inbox.stop();
        self.ended.recv_timeout(STOP_WITHIN) == Err(mpsc::RecvTimeoutError::Disconnected)
    }
}

impl Drop for IntakeHandle {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}
