//! Hears what terminals of Claude Code say through the statusline command, and what Claude Code keeps of the limits
//! itself, without waking up while nobody speaks. Notices as well that the state folder around it, or the lock in it, is
//! taken away.
//!
//! The folder is watched, and read whole whenever something in it has changed: a few small files, of which the engine
//! takes what is news. A daemon makes it, so that there is something to watch before the first terminal speaks. Claude
//! Code's own file is watched alone, not the user's home folder around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use notify::Event;
use tokio::time::Instant;

use crate::core::source_event::SourceEvent;
use crate::io::clock;
use crate::io::fs_watch::{Pace, Watch};
use crate::io::homes::Home;
use crate::io::instance::LOCK;
use crate::io::paths::StateDir;
use crate::io::statusline;
use crate::io::statusline::cached::{CacheFile, READ_EVERY, stamp};

/// Several terminals speak at once after a common answer; together that is one reading.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(50),
    at_most: Duration::from_millis(50),
    look_every: Duration::from_secs(30),
};

/// What in the state folder is not to be taken away: the lock, the socket, and the folder of the terminals.
const STANDING: [&str; 3] = [LOCK, "control.sock", statusline::FOLDER];

/// What becomes of the state folder meanwhile.
#[derive(Debug)]
pub enum Keeping {
    /// What is missing in it is made.
    All(StateDir),
    /// Nothing is written, whether or not it is there.
    Nothing(PathBuf),
}

impl Keeping {
    fn path(&self) -> &Path {
        match self {
            Self::All(state) => state.path(),
            Self::Nothing(state) => state,
        }
    }

    /// The folder of the terminals.
    fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::All(state) => Some(statusline::make(state).ok()?.path().to_owned()),
            Self::Nothing(state) => Some(statusline::folder(state)).filter(|folder| folder.is_dir()),
        }
    }

    fn pace(&self) -> Pace {
        match self {
            Self::All(_) => PACE,
            // Where no daemon has been yet, there is nothing to watch.
            Self::Nothing(_) => Pace { look_every: Duration::from_secs(5), ..PACE },
        }
    }
}

/// Reads what is said. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct StatuslineWatch {
    keeping: Keeping,
    homes: Vec<Home>,
    cached: Vec<Cached>,
    watch: Watch,
    is_watching: bool,
    /// Something happened to the folders themselves, or to what others find this daemon by. Shared with the system's
    /// callback.
    is_touched: Arc<AtomicBool>,
}

/// Claude Code's own file, as it was when it was read last.
#[derive(Debug)]
struct Cached {
    place: CacheFile,
    stamp: Option<(SystemTime, u64)>,
    read_at: Option<Instant>,
}

impl StatuslineWatch {
    /// Begins with what has been said already.
    pub fn new(keeping: Keeping, homes: Vec<Home>, cached: Vec<CacheFile>) -> Self {
        let is_touched = Arc::new(AtomicBool::new(false));
        let (touched, folder) = (Arc::clone(&is_touched), keeping.path().to_owned());
        let watch = Watch::new("what terminals say", keeping.pace(), move |event| {
            let (matters, touches) = heard(event, &folder);
            touched.fetch_or(touches, Ordering::Relaxed);
            matters
        });
        let mut this =
            Self { keeping, homes: Vec::new(), cached: Vec::new(), watch, is_watching: false, is_touched };
        this.set_homes(homes, cached);
        this
    }

    /// Listens to terminals of these homes, and reads these files, from now on.
    pub fn set_homes(&mut self, homes: Vec<Home>, cached: Vec<CacheFile>) {
        for old in self.cached.drain(..) {
            self.watch.forget(&old.place.path);
        }
        self.homes = homes;
        self.cached = cached.into_iter().map(|place| Cached { place, stamp: None, read_at: None }).collect();
        self.look_again();
    }

    /// Looks again soon, because something may have changed that no event tells: a missing file may be there.
    pub fn look_again(&mut self) {
        self.watch.look_by(Instant::now());
    }

    /// Waits for something to be said, and returns all that is; also, with nothing, for the folder or the lock to go.
    /// Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        loop {
            self.watch.wait().await;
            let is_untouched = self.watch_folders();
            let mut read = statusline::read(self.keeping.path(), &self.homes, clock::now());
            read.extend(self.read_cached());
            if !read.is_empty() || !is_untouched {
                return read;
            }
        }
    }

    /// Watches the folder and the state folder around it, and again when they were taken away: what is said before the
    /// reading that follows is then read. Says whether they are as they were, as far as the system tells.
    fn watch_folders(&mut self) -> bool {
        let is_touched = self.is_touched.swap(false, Ordering::Relaxed);
        let is_as_before = self.is_watching && !is_touched;
        let is_there = statusline::folder(self.keeping.path()).is_dir();
        if !is_as_before || !is_there {
            let folder = self.keeping.folder();
            self.is_watching = folder
                .is_some_and(|folder| self.watch.renew(self.keeping.path()) && self.watch.renew(&folder));
        }
        if !self.is_watching {
            self.watch.look_later();
        }
        is_as_before && is_there
    }

    /// Reads Claude Code's own files that have changed, or sees to it that they are read when it is time.
    fn read_cached(&mut self) -> Vec<SourceEvent> {
        let now = Instant::now();
        let mut read = Vec::new();
        for cached in &mut self.cached {
            let stamp = stamp(&cached.place.path);
            if stamp == cached.stamp {
                continue;
            }
            let again_at = cached.read_at.map(|at| at + READ_EVERY);
            if let Some(at) = again_at.filter(|at| *at > now) {
                self.watch.look_by(at);
                continue;
            }
            // It is replaced, not written to, and the old watch went with the old file.
            self.watch.renew(&cached.place.path);
            (cached.stamp, cached.read_at) = (stamp, Some(now));
            read.extend(cached.place.read(clock::now()));
        }
        read
    }
}

/// Whether an event matters, and whether it is about the folders themselves or what others find this daemon by.
fn heard(event: &Event, state: &Path) -> (bool, bool) {
    let is_around = |path: &Path| path == state || path.parent() == Some(state);
    // Most of what happens there is our own writing.
    let touches = |path: &Path| path == state || STANDING.iter().any(|name| path.ends_with(name));
    let touched = event.paths.iter().any(|path| is_around(path) && touches(path));
    (touched || event.paths.iter().any(|path| !is_around(path)), touched)
}
