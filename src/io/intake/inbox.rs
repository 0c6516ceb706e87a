//! The inbox of the reading thread: changed paths, requests of the daemon, the end.
//!
//! It is a set, not a queue: a thousand changes of one file are one entry, so nothing overflows and nothing is lost.
//! The watcher's callback only adds here.
//! Read next: `reader`, which empties it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};

use super::stall::Stall;
use super::trees::Trees;
use super::{Home, Turn};

/// Everything since the last call.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) paths: BTreeMap<PathBuf, Change>,
    /// Events may be missing: check everything.
    pub(super) rescan: bool,
    pub(super) homes: Option<Vec<Home>>,
    /// Check whether registered processes still run.
    pub(super) verify: bool,
    /// Registered processes that have ended, as the system reports.
    pub(super) ended: BTreeSet<u32>,
    /// More changed paths follow within this time.
    more_within: Option<Duration>,
}

/// A change of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Its content or its attributes.
    Content,
    /// It was created, removed or renamed: a watch on it may have ended.
    Existence,
}

#[derive(Default)]
pub(super) struct Inbox {
    news: Mutex<News>,
    trees: Mutex<Arc<Trees>>,
    ping: Condvar,
    resting: Mutex<()>,
    over: Condvar,
    stopping: AtomicBool,
    pub(super) stall: Stall,
    turn: Option<Turn>,
}

impl News {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.rescan && !self.verify && self.ended.is_empty() && self.homes.is_none()
    }

    /// Whether checks that will find this change are pending for all these paths.
    fn has_all(&self, paths: &[PathBuf], change: Change) -> bool {
        paths.iter().all(|path| self.paths.get(path).is_some_and(|known| *known >= change))
    }
}

impl Inbox {
    pub(super) fn with(turn: Option<Turn>) -> Self {
        Self { turn, ..Self::default() }
    }

    /// Notes that this home is read now. To be called before each piece of its reading.
    pub(super) fn turn_to(&self, home: &Home) {
        self.stall.turn_to(&home.label);
        self.turn.iter().for_each(|turn| turn(&home.label));
    }

    /// The watcher's callback: adds relevant paths after `rest`, which returns the time in which more may follow;
    /// returns whether there were any.
    pub(super) fn heard(&self, mut event: notify::Event, rest: impl FnOnce() -> Option<Duration>) -> bool {
        if event.need_rescan() {
            self.rescan();
            return true;
        }
        let change = match event.kind {
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                Change::Existence
            }
            _ => Change::Content,
        };
        if !event.paths.is_empty() && lock(&self.news).has_all(&event.paths, change) {
            rest();
            return true;
        }
        let trees = Arc::clone(&lock(&self.trees));
        // As root, SQLite sets the owner of the files that it reads: such a change may be this program's own.
        let of_metadata = matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
        let is_own = |path: &PathBuf| of_metadata && trees.is_database(path);
        event.paths.retain(|path| trees.matters(path) && !is_own(path));
        if event.paths.is_empty() {
            return false;
        }
        let more_within = rest();
        self.tell(|news| {
            news.more_within = more_within;
            for path in event.paths {
                let known = news.paths.entry(path).or_insert(change);
                *known = change.max(*known);
            }
        });
        true
    }

    /// Uses these trees from now on.
    pub(super) fn set_trees(&self, trees: &Trees) {
        *lock(&self.trees) = Arc::new(trees.clone());
    }

    pub(super) fn set_homes(&self, homes: Vec<Home>) {
        self.tell(|news| news.homes = Some(homes));
    }

    pub(super) fn rescan(&self) {
        self.tell(|news| news.rescan = true);
    }

    pub(super) fn verify(&self) {
        self.tell(|news| news.verify = true);
    }

    pub(super) fn ended(&self, pids: impl IntoIterator<Item = u32>) {
        self.tell(|news| news.ended.extend(pids));
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        // After this, a thread that has just found no end is waiting, and gets the notification.
        drop((lock(&self.news), lock(&self.resting)));
        self.ping.notify_one();
        self.over.notify_all();
    }

    /// Whether to end; checked between any two chunks of work.
    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Lets the watcher's thread sleep, until the end at most.
    pub(super) fn rest(&self, rest: Duration) {
        let _woken = self.over.wait_timeout_while(lock(&self.resting), rest, |()| !self.stopping());
    }

    /// The news, without waiting.
    pub(super) fn take(&self) -> News {
        std::mem::take(&mut *lock(&self.news))
    }

    /// Waits for news, and for more that follow soon; empty after `timeout`.
    pub(super) fn wait(&self, timeout: Duration) -> News {
        let quiet = |news: &mut News| news.is_empty() && !self.stopping();
        let waited = self.ping.wait_timeout_while(lock(&self.news), timeout, quiet);
        let (news, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let more_within = news.more_within;
        drop(news);
        if let Some(time) = more_within {
            self.rest(time);
        }
        self.take()
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        let mut news = lock(&self.news);
        let was_empty = news.is_empty();
        change(&mut news);
        drop(news);
        // If there was news before, the reader was woken for that and finds both.
        if was_empty {
            self.ping.notify_one();
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("stall", &self.stall).finish_non_exhaustive()
    }
}

/// A thread that panicked leaves a valid set.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, MetadataKind};

    use super::*;
    use crate::core::source::Agent;

    #[test]
    fn a_change_of_a_databases_owner_is_ignored() {
        let inbox = Inbox::default();
        let mut trees = Trees::default();
        trees.add(&Arc::new(Home { agent: Agent::COPILOT, path: "/h".into(), label: "/h".into() }));
        inbox.set_trees(&trees);
        let heard = |kind, path: &str| {
            inbox.heard(notify::Event::new(EventKind::Modify(kind)).add_path(path.into()), || None)
        };
        let (owner, data) =
            (ModifyKind::Metadata(MetadataKind::Ownership), ModifyKind::Data(DataChange::Content));
        assert!(!heard(owner, "/h/session-store.db-wal"));
        assert!(heard(data, "/h/session-store.db-wal"));
        assert!(heard(owner, "/h/session-state/11111111-1111-4111-8111-111111111111.jsonl"));
    }

    #[test]
    fn a_pending_path_is_reported_once_until_it_is_checked() {
        let inbox = Inbox::default();
        let mut trees = Trees::default();
        trees.add(&Arc::new(Home { agent: Agent::CODEX, path: "/h".into(), label: "/h".into() }));
        inbox.set_trees(&trees);
        let path = PathBuf::from("/h/sessions/2026/11/20");
        let mut rests = 0;
        let mut heard = |kind| {
            inbox.heard(notify::Event::new(kind).add_path(path.clone()), || {
                rests += 1;
                None
            })
        };
        let content = EventKind::Modify(ModifyKind::Data(DataChange::Content));
        let gone = EventKind::Remove(notify::event::RemoveKind::Folder);
        for (kinds, told) in [
            (&[content, content][..], Change::Content),
            (&[content, gone], Change::Existence),
            (&[gone, content], Change::Existence),
        ] {
            assert!(kinds.iter().all(|kind| heard(*kind)));
            assert_eq!(inbox.take().paths, BTreeMap::from([(path.clone(), told)]));
        }
        assert_eq!(rests, 6, "each event may be one of many");
        assert!(!inbox.heard(notify::Event::new(content), || None), "about nothing");
    }
}
