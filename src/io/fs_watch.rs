//! The file system's events of folders and files, without polling.
//!
//! [`Paths`] is the system's watcher and its paths. [`Watch`] uses it inside a tokio runtime: it waits until changes
//! have settled, and also wakes its owner now and then where the system does not report changes.

#[cfg(target_os = "linux")]
mod inotify;
#[cfg(not(target_os = "linux"))]
mod library;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notify::{ErrorKind, Event, RecursiveMode};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

#[cfg(target_os = "linux")]
use self::inotify::Watcher;
#[cfg(not(target_os = "linux"))]
use self::library::Watcher;

/// How often watching a folder is tried that is removed and made again.
const ATTEMPTS: usize = 3;

/// How often new folders are searched for that appear meanwhile.
const ROUNDS: usize = 6;

/// Why a path is not watched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WatchError {
    /// The path does not exist.
    Missing,
    /// The system's limit of watches is reached.
    Limit,
    /// The system's limit of watchers is reached (inotify's `EMFILE`, which may also mean the files that one program
    /// may open).
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only inotify has this limit"))]
    Instances,
    Other(String),
}

impl WatchError {
    /// The hint for the user; `None` if there is none.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            _ if !cfg!(target_os = "linux") => None,
            Self::Instances => Some("raise fs.inotify.max_user_instances"),
            _ => Some("raise fs.inotify.max_user_watches"),
        }
    }
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it is not there",
            Self::Limit => "the system's limit of watches is reached",
            Self::Instances => "other programs of this user have all of the system's watchers",
            Self::Other(cause) => cause,
        })
    }
}

impl From<notify::Error> for WatchError {
    fn from(error: notify::Error) -> Self {
        match error.kind {
            ErrorKind::PathNotFound | ErrorKind::WatchNotFound => Self::Missing,
            ErrorKind::MaxFilesWatch => Self::Limit,
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            ErrorKind::Io(error) if is_limit(&error) => Self::Limit,
            ErrorKind::Io(error) => Self::Other(error.to_string()),
            ErrorKind::Generic(text) => Self::Other(text),
            ErrorKind::InvalidConfig(_) => Self::Other("the watcher does not take its settings".to_owned()),
        }
    }
}

#[cfg(unix)]
fn is_limit(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::NOMEM]
        .iter()
        .any(|limit| error.raw_os_error() == Some(limit.raw_os_error()))
}

#[cfg(not(unix))]
fn is_limit(_: &io::Error) -> bool {
    false
}

/// The callback for events, on the system's thread. It may be called once more after its last watch has ended.
type Callback = Arc<Mutex<Box<dyn FnMut(Event) + Send>>>;

/// The watched paths, each with a watch of its own. The system's watcher is created with the first of them.
pub(crate) struct Paths {
    inner: Option<Watcher>,
    callback: Callback,
    watched: BTreeSet<PathBuf>,
}

impl Paths {
    /// `heard` is called on the system's thread for every event except accesses, which include this program's own
    /// reading. If events were missed, the event has the flag for a rescan.
    pub(crate) fn new(callback: impl FnMut(Event) + Send + 'static) -> Self {
        Self { inner: None, callback: Arc::new(Mutex::new(Box::new(callback))), watched: BTreeSet::new() }
    }

    pub(crate) fn watched(&self) -> &BTreeSet<PathBuf> {
        &self.watched
    }

    /// Watches `path`, unless it is watched already.
    pub(crate) fn watch(&mut self, path: &Path, mode: RecursiveMode) -> Result<(), WatchError> {
        if self.watched.contains(path) {
            return Ok(());
        }
        let inner = match &mut self.inner {
            Some(inner) => inner,
            none => none.insert(Watcher::new(&self.callback)?),
        };
        for _ in 0..ATTEMPTS {
            match inner.watch(path, mode) {
                // The path may have been deleted and made again meanwhile.
                Err(WatchError::Missing) if path.exists() => {}
                Err(refused) => return Err(refused),
                Ok(()) => {
                    self.watched.insert(path.to_owned());
                    return Ok(());
                }
            }
        }
        Err(WatchError::Other("it comes and goes".to_owned()))
    }

    /// Ends the watch on `path`, if there is one.
    pub(crate) fn forget(&mut self, path: &Path) {
        if self.watched.remove(path)
            && let Some(inner) = &mut self.inner
        {
            inner.unwatch(path);
        }
    }

    /// Ends the watches on paths for which `keep` is false.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        let gone: Vec<_> = self.watched.iter().filter(|path| !keep(path)).cloned().collect();
        gone.iter().for_each(|path| self.forget(path));
    }
}

impl fmt::Debug for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.watched).finish()
    }
}

/// Waits for changes. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The subject, for the log.
    what: &'static str,
    paths: Paths,
    ping: Arc<Notify>,
    pace: Pace,
    /// When the changes began that have not settled yet.
    changed_at: Option<Instant>,
    settled: Option<Instant>,
    look: Option<Instant>,
    is_blind: bool,
}

/// When changes have settled, and how often to check where they are not reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// After no change for this long,
    pub(crate) quiet: Duration,
    /// or this long after the first change.
    pub(crate) at_most: Duration,
    pub(crate) look_every: Duration,
}

impl Watch {
    /// `matters` decides on the system's thread which events count. An event that reports missed ones always counts.
    pub(crate) fn new(
        what: &'static str,
        pace: Pace,
        mut matters: impl FnMut(&Event) -> bool + Send + 'static,
    ) -> Self {
        let ping = Arc::new(Notify::new());
        let pinged = Arc::clone(&ping);
        let paths = Paths::new(move |event| {
            let is_missed = event.need_rescan() || event.paths.is_empty();
            if matters(&event) || is_missed {
                pinged.notify_one();
            }
        });
        Self { what, paths, ping, pace, changed_at: None, settled: None, look: None, is_blind: false }
    }

    pub(crate) fn watched(&self) -> &BTreeSet<PathBuf> {
        self.paths.watched()
    }

    /// Wakes at `at`, or at no fixed time.
    pub(crate) fn look_at(&mut self, at: Option<Instant>) {
        self.look = at;
    }

    /// Wakes at `at` at the latest.
    pub(crate) fn look_by(&mut self, at: Instant) {
        self.look = Some(self.look.map_or(at, |look| look.min(at)));
    }

    /// Wakes after the usual pause, where changes are not reported.
    pub(crate) fn look_later(&mut self) {
        self.look = Some(Instant::now() + self.pace.look_every);
    }

    /// Waits until it is time to check. Cancel safe.
    pub(crate) async fn wait(&mut self) {
        loop {
            let due = [self.settled, self.look].into_iter().flatten().min();
            tokio::select! {
                () = self.ping.notified() => self.note_change(Instant::now()),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => break,
            }
        }
        (self.changed_at, self.settled, self.look) = (None, None, None);
    }

    fn note_change(&mut self, now: Instant) {
        let changed_at = *self.changed_at.get_or_insert(now);
        self.settled = Some((now + self.pace.quiet).min(changed_at + self.pace.at_most));
    }

    /// Watches exactly the `wanted` paths, which are computed again until no new ones appear. Returns whether all are
    /// watched.
    pub(crate) fn follow(&mut self, mut wanted: impl FnMut() -> BTreeSet<PathBuf>) -> bool {
        let mut refused = None;
        for _ in 0..ROUNDS {
            let wanted = wanted();
            self.paths.retain(|path| wanted.contains(path));
            let before = self.paths.watched.len();
            refused = None;
            for path in wanted {
                if let Err(error) = self.paths.watch(&path, RecursiveMode::NonRecursive) {
                    refused = Some((path, error));
                }
            }
            let is_missing = matches!(refused, Some((_, WatchError::Missing)));
            if self.paths.watched.len() == before && !is_missing {
                break;
            }
        }
        let was_blind = std::mem::replace(&mut self.is_blind, refused.is_some());
        if let Some((path, error)) = refused
            && !was_blind
        {
            let (what, path, every) = (self.what, path.display(), self.pace.look_every);
            tracing::warn!(%error, hint = error.hint(), "could not watch {path}; looking for {what} every {every:?}");
        }
        !self.is_blind
    }

    /// Watches `path` again: the old watch may have ended with its file. Returns whether it is watched.
    pub(crate) fn renew(&mut self, path: &Path) -> bool {
        self.paths.forget(path);
        self.paths.watch(path, RecursiveMode::NonRecursive).is_ok()
    }

    /// Ends the watch on `path`, which may have ended with its file.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.paths.forget(path);
    }

    /// Ends all watches, which may have ended with their files.
    pub(crate) fn forget_all(&mut self) {
        self.paths.retain(|_| false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_settle_after_a_quiet_time_and_at_the_latest_after_the_limit() {
        let second = Duration::from_secs(1);
        let pace = Pace { quiet: second, at_most: 3 * second, look_every: 10 * second };
        let mut watch = Watch::new("changes", pace, |_| true);
        let start = Instant::now();
        for (at, settled) in [(0, 2), (2, 4), (4, 6), (5, 6)] {
            watch.note_change(start + second / 2 * at);
            assert_eq!(watch.settled, Some(start + second / 2 * settled));
        }
    }
}
