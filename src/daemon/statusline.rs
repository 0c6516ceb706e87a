//! Hears what terminals of Claude Code say through the statusline command, without waking up while nobody speaks.
//!
//! The folder is watched, and read whole whenever something in it has changed: a few small files, of which the book of
//! limits takes what is news. It is made here, so that there is something to watch before the first terminal speaks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::core::limits::Snapshot;
use crate::daemon::clock;
use crate::daemon::intake::Home;
use crate::paths::StateDir;
use crate::statusline;

/// Several terminals speak at once after a common answer; together that is one reading.
const SETTLE: Duration = Duration::from_millis(50);

/// How often the folder is looked at where the system does not tell of changes.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Reads what terminals say. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct StatuslineWatch {
    state: StateDir,
    homes: Vec<Home>,
    ping: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    watched: Option<PathBuf>,
    /// When to read.
    due: Option<Instant>,
}

impl StatuslineWatch {
    /// Begins with what has been said already.
    pub fn new(state: StateDir, homes: Vec<Home>) -> Self {
        let ping = Arc::new(Notify::new());
        let callback = Arc::clone(&ping);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reading is an access.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                callback.notify_one();
            }
        });
        Self { state, homes, ping, watcher: watcher.ok(), watched: None, due: Some(Instant::now()) }
    }

    /// Listens to terminals of these homes from now on.
    pub fn set_homes(&mut self, homes: Vec<Home>) {
        self.homes = homes;
        self.due = Some(Instant::now());
    }

    /// Waits for something to be said, and returns all that is. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Vec<Snapshot> {
        loop {
            tokio::select! {
                () = self.ping.notified() => {
                    let settled = Instant::now() + SETTLE;
                    self.due = Some(self.due.map_or(settled, |due| due.min(settled)));
                }
                () = sleep_until(self.due.unwrap_or_else(Instant::now)), if self.due.is_some() => {
                    self.watch();
                    let read = statusline::read(self.state.path(), &self.homes, clock::now());
                    if !read.is_empty() {
                        return read;
                    }
                }
            }
        }
    }

    /// Watches the folder, and again when it was deleted: what is said before the reading that follows is then read.
    fn watch(&mut self) {
        let is_there = statusline::folder(self.state.path()).is_dir();
        if self.watched.is_none() || !is_there {
            self.watched = statusline::make(self.state.path()).ok().filter(|folder| {
                let watcher = self.watcher.as_mut();
                watcher.is_some_and(|watcher| {
                    // The old watch went with the old folder.
                    let _ = watcher.unwatch(folder);
                    watcher.watch(folder, RecursiveMode::NonRecursive).is_ok()
                })
            });
        }
        self.due = self.watched.is_none().then(|| Instant::now() + LOOK_EVERY);
    }
}
