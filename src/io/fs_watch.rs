//! The file system's own events about folders and files, without waking up while nothing happens.
//!
//! [`Paths`] is the system's watcher and what it watches; [`Watch`] is that inside a tokio runtime: it waits until what
//! happened has settled, and lets its owner look now and then where the system does not tell.

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

/// How often it is tried to watch a folder that comes and goes.
const ATTEMPTS: usize = 3;

/// Folders inside folders, appearing while they are looked for.
const ROUNDS: usize = 6;

/// Why a path is not watched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WatchError {
    /// It is not there.
    Missing,
    /// The system's limit of watches is reached.
    Limit,
    /// The system's limit of watchers is reached (inotify's `EMFILE`, which may also mean the files that one program
    /// may open).
    Instances,
    Other(String),
}

impl WatchError {
    /// What to do about it.
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

/// What is called for every event, on the system's thread. It may be called once more after its last watch has ended.
type Heard = Arc<Mutex<Box<dyn FnMut(Event) + Send>>>;

/// Paths that the system watches, each by itself. The system is asked for a watcher with the first of them.
pub(crate) struct Paths {
    inner: Option<Watcher>,
    heard: Heard,
    watched: BTreeSet<PathBuf>,
}

impl Paths {
    /// `heard` is called on the system's thread for every event that is no access: our own reading is one. Where events
    /// were missed, the event says that a rescan is needed.
    pub(crate) fn new(heard: impl FnMut(Event) + Send + 'static) -> Self {
        Self { inner: None, heard: Arc::new(Mutex::new(Box::new(heard))), watched: BTreeSet::new() }
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
            none => none.insert(Watcher::new(&self.heard)?),
        };
        for _ in 0..ATTEMPTS {
            match inner.watch(path, mode) {
                // It may have been deleted and made again while it was being watched.
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

    /// Ends the watches on the paths that are not to be kept.
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
    /// What it is about, for the log.
    what: &'static str,
    paths: Paths,
    ping: Arc<Notify>,
    pace: Pace,
    /// When the changes began that are waiting to settle.
    stirred: Option<Instant>,
    settled: Option<Instant>,
    look: Option<Instant>,
    is_blind: bool,
}

/// When what changed has settled, and how often to look where nothing tells of changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// It has been left alone for this long,
    pub(crate) quiet: Duration,
    /// or began to change this long ago.
    pub(crate) at_most: Duration,
    pub(crate) look_every: Duration,
}

impl Watch {
    /// `matters` is asked on the system's thread which events are of interest. One that says that others were missed always
    /// is.
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
        Self { what, paths, ping, pace, stirred: None, settled: None, look: None, is_blind: false }
    }

    pub(crate) fn watched(&self) -> &BTreeSet<PathBuf> {
        self.paths.watched()
    }

    /// Looks at `at` whatever happens, or never.
    pub(crate) fn look_at(&mut self, at: Option<Instant>) {
        self.look = at;
    }

    /// Looks not later than `at`.
    pub(crate) fn look_by(&mut self, at: Instant) {
        self.look = Some(self.look.map_or(at, |look| look.min(at)));
    }

    /// Looks again, where nothing tells of changes.
    pub(crate) fn look_later(&mut self) {
        self.look = Some(Instant::now() + self.pace.look_every);
    }

    /// Waits until it is time to look. Nothing is lost when the wait is given up.
    pub(crate) async fn wait(&mut self) {
        loop {
            let due = [self.settled, self.look].into_iter().flatten().min();
            tokio::select! {
                () = self.ping.notified() => self.stir(Instant::now()),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => break,
            }
        }
        (self.stirred, self.settled, self.look) = (None, None, None);
    }

    fn stir(&mut self, now: Instant) {
        let stirred = *self.stirred.get_or_insert(now);
        self.settled = Some((now + self.pace.quiet).min(stirred + self.pace.at_most));
    }

    /// Watches exactly what is `wanted`, which is asked again until nothing new comes up meanwhile. Says whether all of it
    /// is watched.
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

    /// Watches `path` anew: the old watch may have gone with what it was on. Says whether it is watched.
    pub(crate) fn renew(&mut self, path: &Path) -> bool {
        self.paths.forget(path);
        self.paths.watch(path, RecursiveMode::NonRecursive).is_ok()
    }

    /// Ends the watch on `path`, which may have gone with what it was on.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.paths.forget(path);
    }

    /// Ends all watches, which may have gone with what they were on.
    pub(crate) fn forget_all(&mut self) {
        self.paths.retain(|_| false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_alone_has_settled_and_so_has_what_never_is() {
        let second = Duration::from_secs(1);
        let pace = Pace { quiet: second, at_most: 3 * second, look_every: 10 * second };
        let mut watch = Watch::new("changes", pace, |_| true);
        let start = Instant::now();
        for (at, settled) in [(0, 2), (2, 4), (4, 6), (5, 6)] {
            watch.stir(start + second / 2 * at);
            assert_eq!(watch.settled, Some(start + second / 2 * settled));
        }
    }
}
