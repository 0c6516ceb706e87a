//! From session files to [`SourceEvent`]s: finds the files, follows them, folds their bytes.
//!
//! One thread of its own, because reading files blocks and folding them takes time; the loop only ever gets small events.
//! It sleeps until the file system tells of a change or the slow rescan is due. It reads session files and writes nothing.
//! What an agent's lines mean is the business of [`SessionFile`](crate::core::file::SessionFile); where its files lie,
//! its [row](crate::core::source::Spec) tells.
//!
//! Inside, from the outermost: `reader` (the thread and its timers), `homes`, `watched`, `folders` and `scan` (which files
//! there are), `notice` (what happened to one), `files`, `file_path`, `tail`, `rest` and `open` (its bytes),
//! `documents` and `databases` (what is written otherwise), `lineage` (whose history it copied), `outbox` (what is told),
//! `registers` and `exits` (which processes run), `watch`, `breath`, `inbox` and `places` (who wakes us, about what);
//! `stall` (whether a disk holds us up); `survey` (a look from outside).

mod breath;
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
mod places;
mod reader;
mod registers;
mod rest;
mod scan;
mod stall;
mod survey;
mod tail;
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

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Is called on the reading thread before it turns to a home, with what the home is called.
pub type Turn = Arc<dyn Fn(&str) + Send + Sync>;

/// What the intake needs to know. [`IntakeConfig::new`] gives everything but the homes its usual value.
#[derive(Clone)]
pub struct IntakeConfig {
    /// Whose files to read.
    pub homes: Vec<Home>,
    /// Usage stamped before this moment is restored, not new: the intake's start, as a rule.
    pub live_since: Timestamp,
    /// Files of which an earlier reading has told everything before this offset.
    pub resume: BTreeMap<FileIdentity, u64>,
    /// What the agents' registers said to an earlier reading.
    pub registers: Vec<register::RegisterHandover>,
    /// The time.
    pub clock: Clock,
    /// How much is read at once.
    pub sizes: Sizes,
    /// How often is looked.
    pub pace: Pace,
    /// How many folders may be watched at most, below what the system allows.
    pub most_watches: usize,
    /// The number of the next file that is met: several readings of one daemon share it.
    pub next_file: Arc<AtomicU64>,
    /// Called before a home is read.
    pub turn: Option<Turn>,
}

/// How much of a file is read at once, in bytes.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// Larger files are announced from their ends first and counted after that.
    pub whole: u64,
    /// The ends of such a file.
    pub ends: Ends,
    /// The ends of a file that is only looked at for its limits.
    pub limits: Ends,
    /// A large file is counted in slices of this size; between two of them other files have their turn.
    pub slice: u64,
    /// The one reading buffer.
    pub chunk: usize,
}

/// How much of a file's ends is read, in bytes.
#[derive(Debug, Clone)]
pub struct Ends {
    /// At most this much for the first line.
    pub head: u64,
    /// From the end, first; four times as much as long as that does not suffice …
    pub tail: u64,
    /// … and never more than this.
    pub most: u64,
}

/// How often the intake looks without having been told to.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The watched folders and the live files.
    pub rescan: Duration,
    /// Files in use, where the system does not tell of their changes.
    pub hot: Duration,
    /// Live files that are not in use, there.
    pub cold: Duration,
    /// The newest folders of homes whose folders cannot be watched.
    pub list: Duration,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

impl IntakeConfig {
    /// Reads `homes`; the clock's present is where live usage begins.
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

/// Starts following `config.homes`. `sink` takes each event; it may block, which holds the reading back and loses
/// nothing, and ends the intake with `Break`.
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

/// Reads what there is in `config.homes` once, to the end, very large files included, and watches nothing.
pub fn read_once(config: IntakeConfig, sink: impl FnMut(SourceEvent) -> ControlFlow<()> + Send) {
    let inbox = Arc::new(Inbox::default());
    let watcher = Watcher::new(Arc::clone(&inbox), Arc::clone(&config.clock), None);
    Reader::new(config, inbox, watcher, Box::new(sink)).read_once();
}

/// Whether what is at a path may be written on another machine.
pub(crate) fn is_on_network(path: &Path) -> bool {
    watch::trust(path) >= watch::Trust::Network
}

impl IntakeHandle {
    /// Follows these homes from now on. Files of a home that is gone are announced as gone.
    pub fn set_homes(&self, homes: Vec<Home>) {
        self.inbox.set_homes(homes);
    }

    /// Tells that time may have passed unnoticed (sleep): every file is looked at.
    pub fn woke(&self) {
        self.inbox.rescan();
    }

    /// Tells that somebody is awake anyway: whether registered processes still run is looked up.
    pub fn verify(&self) {
        self.inbox.verify();
    }

    /// Waits until the reading begins and is to be looked at. Nothing is lost when the wait is given up.
    pub fn begun(&self) -> impl Future<Output = ()> + use<> {
        let inbox = Arc::clone(&self.inbox);
        async move { inbox.stall.begun().await }
    }

    /// Looks whether the disk of a home holds the reading up. To be called a few times a second from its beginning until it
    /// [rests](Look::Rests).
    pub fn look(&self) -> Look {
        self.inbox.stall.look()
    }

    /// Ends the intake, even in the middle of a large file, and says whether it ended within two seconds.
    /// A sink that blocks must have let go before: drop the receiving end first.
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
