//! Hears what terminals of Claude Code say through the statusline command, and what Claude Code keeps of the limits
//! itself, without waking up while nobody speaks. Notices as well that the state folder around it, or the lock in it, is
//! taken away.
//!
//! The folder is watched, and read whole whenever something in it has changed: a few small files, of which the engine
//! takes what is news. It is made here, so that there is something to watch before the first terminal speaks. Claude
//! Code's own file is watched alone, not the user's home folder around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::core::source_event::SourceEvent;
use crate::homes::Home;
use crate::instance::LOCK;
use crate::paths::StateDir;
use crate::statusline;
use crate::statusline::cached::{Place, READ_EVERY, stamp};

/// Several terminals speak at once after a common answer; together that is one reading.
const SETTLE: Duration = Duration::from_millis(50);

/// What in the state folder is not to be taken away: the lock, the socket, and the folder of the terminals.
const STANDING: [&str; 3] = [LOCK, "control.sock", statusline::FOLDER];

/// How often the folder is looked at where the system does not tell of changes.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Reads what is said. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct StatuslineWatch {
    state: StateDir,
    homes: Vec<Home>,
    cached: Vec<Cached>,
    ears: Arc<Ears>,
    watcher: Option<RecommendedWatcher>,
    watched: Option<PathBuf>,
    /// When to read.
    due: Option<Instant>,
}

/// What the system's callback tells the watch.
#[derive(Debug, Default)]
struct Ears {
    ping: Notify,
    /// Something happened to the folders themselves, or to what others find this daemon by.
    is_touched: AtomicBool,
}

impl Ears {
    /// Called by the system's watcher, on its thread.
    fn hear(&self, event: notify::Result<notify::Event>, state: &Path) {
        let event = event.unwrap_or_else(|_| notify::Event::new(EventKind::Other));
        // Our own reading is an access.
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        // An error means that something was missed.
        let mut matters = event.paths.is_empty();
        for path in &event.paths {
            if path == state || path.parent() == Some(state) {
                // Most of what happens there is our own writing.
                if path == state || STANDING.iter().any(|name| path.ends_with(name)) {
                    self.is_touched.store(true, Ordering::Relaxed);
                    matters = true;
                }
            } else {
                matters = true;
            }
        }
        if matters {
            self.ping.notify_one();
        }
    }
}

/// Claude Code's own file, as it was when it was read last.
#[derive(Debug)]
struct Cached {
    place: Place,
    stamp: Option<(SystemTime, u64)>,
    read_at: Option<Instant>,
}

impl StatuslineWatch {
    /// Begins with what has been said already.
    pub fn new(state: StateDir, homes: Vec<Home>, cached: Vec<Place>) -> Self {
        let ears = Arc::new(Ears::default());
        let (callback, folder) = (Arc::clone(&ears), state.path().to_owned());
        let watcher = notify::recommended_watcher(move |event| callback.hear(event, &folder));
        let mut watch = Self {
            state,
            homes: Vec::new(),
            cached: Vec::new(),
            ears,
            watcher: watcher.ok(),
            watched: None,
            due: None,
        };
        watch.set_homes(homes, cached);
        watch
    }

    /// Listens to terminals of these homes, and reads these files, from now on.
    pub fn set_homes(&mut self, homes: Vec<Home>, cached: Vec<Place>) {
        for old in self.cached.drain(..) {
            if let Some(watcher) = &mut self.watcher {
                // It need not have been there to be watched.
                let _ = watcher.unwatch(&old.place.path);
            }
        }
        self.homes = homes;
        self.cached = cached.into_iter().map(|place| Cached { place, stamp: None, read_at: None }).collect();
        self.look_again();
    }

    /// Looks again soon, because something may have changed that no event tells: a missing file may be there.
    pub fn look_again(&mut self) {
        self.due = Some(Instant::now());
    }

    /// Waits for something to be said, and returns all that is; also, with nothing, for the folder or the lock to go.
    /// Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        loop {
            tokio::select! {
                () = self.ears.ping.notified() => {
                    let settled = Instant::now() + SETTLE;
                    self.due = Some(self.due.map_or(settled, |due| due.min(settled)));
                }
                () = sleep_until(self.due.unwrap_or_else(Instant::now)), if self.due.is_some() => {
                    let is_untouched = self.watch();
                    let mut read = statusline::read(self.state.path(), &self.homes, clock::now());
                    read.extend(self.read_cached());
                    if !read.is_empty() || !is_untouched {
                        return read;
                    }
                }
            }
        }
    }

    /// Watches the folder and the state folder around it, and again when they were taken away: what is said before the
    /// reading that follows is then read. Says whether they are as they were, as far as the system tells.
    fn watch(&mut self) -> bool {
        let is_touched = self.ears.is_touched.swap(false, Ordering::Relaxed);
        let is_as_before = self.watched.is_some() && !is_touched;
        let is_there = statusline::folder(self.state.path()).is_dir();
        if !is_as_before || !is_there {
            self.watched =
                statusline::make(&self.state).ok().map(|folder| folder.path().to_owned()).filter(|folder| {
                    self.watcher.as_mut().is_some_and(|watcher| {
                        watch_anew(watcher, self.state.path()) && watch_anew(watcher, folder)
                    })
                });
        }
        self.due = self.watched.is_none().then(|| Instant::now() + LOOK_EVERY);
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
                self.due = Some(self.due.map_or(at, |due| due.min(at)));
                continue;
            }
            // It is replaced, not written to, and the old watch went with the old file.
            if let Some(watcher) = &mut self.watcher {
                watch_anew(watcher, &cached.place.path);
            }
            (cached.stamp, cached.read_at) = (stamp, Some(now));
            read.extend(cached.place.read(clock::now()));
        }
        read
    }
}

fn watch_anew(watcher: &mut RecommendedWatcher, path: &Path) -> bool {
    // The old watch may have gone with what it was on.
    let _ = watcher.unwatch(path);
    watcher.watch(path, RecursiveMode::NonRecursive).is_ok()
}
