//! Reads the limits that the statusline command stores and those that Claude Code stores itself, without polling. Also
//! notices that the state folder, or the lock in it, is removed.
//!
//! The folder is watched, and read completely whenever something in it has changed: it has a few small files, and the
//! engine takes what is new. A daemon creates the folder, so that it can be watched before the first terminal writes.
//! Read next: `cached`, for Claude Code's own file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::Event;
use tokio::time::Instant;

use super::cached::Cached;
use crate::core::source_event::SourceEvent;
use crate::io::clock;
use crate::io::fs_watch::{Pace, Watch};
use crate::io::homes::Home;
use crate::io::instance::LOCK;
use crate::io::paths::StateDir;
use crate::io::statusline;
use crate::io::statusline::cached::CacheFile;

/// Several terminals write at once after a common answer; that is one reading.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(50),
    at_most: Duration::from_millis(50),
    look_every: Duration::from_secs(30),
};

/// Files of the state folder whose removal matters: the lock, the socket, and the terminals' folder.
const ESSENTIAL: [&str; 3] = [LOCK, "control.sock", statusline::FOLDER];

/// Whether the state folder may be changed.
#[derive(Debug)]
pub enum StateAccess {
    /// Missing parts of it are created.
    Write(StateDir),
    /// Nothing is written.
    ReadOnly(PathBuf),
}

impl StateAccess {
    fn path(&self) -> &Path {
        match self {
            Self::Write(state) => state.path(),
            Self::ReadOnly(state) => state,
        }
    }

    /// The terminals' folder; `None` if it does not exist.
    fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Write(state) => Some(statusline::make(state).ok()?.path().to_owned()),
            Self::ReadOnly(state) => Some(statusline::folder(state)).filter(|folder| folder.is_dir()),
        }
    }

    fn pace(&self) -> Pace {
        match self {
            Self::Write(_) => PACE,
            // Before the first daemon there is no folder to watch.
            Self::ReadOnly(_) => Pace { look_every: Duration::from_secs(5), ..PACE },
        }
    }
}

/// Watches and reads stored limits. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct StatuslineWatch {
    access: StateAccess,
    homes: Vec<Home>,
    cached: Cached,
    watch: Watch,
    is_watching: bool,
    /// Whether the folders, the lock or the socket were changed. Shared with the system's callback.
    is_changed: Arc<AtomicBool>,
}

impl StatuslineWatch {
    /// Begins with a reading of what is stored.
    pub fn new(access: StateAccess, homes: Vec<Home>, cached: Vec<CacheFile>) -> Self {
        let is_changed = Arc::new(AtomicBool::new(false));
        let (touched, folder) = (Arc::clone(&is_changed), access.path().to_owned());
        let watch = Watch::new("stored status lines", access.pace(), move |event| {
            let (matters, touches) = matches(event, &folder);
            touched.fetch_or(touches, Ordering::Relaxed);
            matters
        });
        let cached = Cached::follow(cached);
        let mut this = Self { access, homes, cached, watch, is_watching: false, is_changed };
        this.look_again();
        this
    }

    /// Uses terminals of these homes, and reads these files, from now on.
    pub fn set_homes(&mut self, homes: Vec<Home>, cached: Vec<CacheFile>) {
        (self.homes, self.cached) = (homes, Cached::follow(cached));
        self.look_again();
    }

    /// Reads again soon: a missing file may exist now, which no event reports.
    pub fn look_again(&mut self) {
        self.watch.look_by(Instant::now());
    }

    /// Waits for new files and returns everything that is stored; returns an empty list if the folder or the lock was
    /// removed. Cancel safe.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        loop {
            tokio::select! {
                biased;
                () = self.watch.wait() => {}
                kept = self.cached.next() => return kept,
            }
            self.cached.look_again();
            let is_untouched = self.watch_folders();
            let read = statusline::read(self.access.path(), &self.homes, clock::now());
            if !read.is_empty() || !is_untouched {
                return read;
            }
        }
    }

    /// Watches the folder and the state folder around it, and again after they were removed. The following reading then
    /// misses nothing. True if they are unchanged, as far as the system reports.
    fn watch_folders(&mut self) -> bool {
        let is_changed = self.is_changed.swap(false, Ordering::Relaxed);
        let is_as_before = self.is_watching && !is_changed;
        let is_there = statusline::folder(self.access.path()).is_dir();
        if !is_as_before || !is_there {
            let folder = self.access.folder();
            self.is_watching = folder
                .is_some_and(|folder| self.watch.renew(self.access.path()) && self.watch.renew(&folder));
        }
        if !self.is_watching {
            self.watch.look_later();
        }
        is_as_before && is_there
    }
}

/// Whether an event matters, and whether it concerns the folders, the lock or the socket.
fn matches(event: &Event, state: &Path) -> (bool, bool) {
    let is_around = |path: &Path| path == state || path.parent() == Some(state);
    // Most changes there are this program's own.
    let touches = |path: &Path| path == state || ESSENTIAL.iter().any(|name| path.ends_with(name));
    let touched = event.paths.iter().any(|path| is_around(path) && touches(path));
    (touched || event.paths.iter().any(|path| !is_around(path)), touched)
}
