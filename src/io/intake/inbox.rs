//! What wakes the reading thread: changed paths, wishes of the daemon, the end.
//!
//! A set, not a queue: a thousand changes of one file are one entry, so nothing overflows and nothing is lost.
//! The watcher's callback only ever adds here.
//! Read next: `reader`, which empties it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};

use super::places::Places;
use super::stall::Stall;
use super::{Home, Turn};

/// Everything since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) paths: BTreeMap<PathBuf, Change>,
    /// Events may be missing: look at everything.
    pub(super) rescan: bool,
    pub(super) homes: Option<Vec<Home>>,
    /// Look whether registered processes still run.
    pub(super) verify: bool,
    /// Registered processes of which the system says that they have ended.
    pub(super) ended: BTreeSet<u32>,
    /// More changed paths come within this time.
    more_within: Option<Duration>,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Its content or its attributes.
    Content,
    /// It came, went or was renamed: a watch on it may have gone with it.
    Existence,
}

#[derive(Default)]
pub(super) struct Inbox {
    news: Mutex<News>,
    places: Mutex<Arc<Places>>,
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

    /// Whether a look at each of these is still to come that will find this change.
    fn has_all(&self, paths: &[PathBuf], change: Change) -> bool {
        paths.iter().all(|path| self.paths.get(path).is_some_and(|known| *known >= change))
    }
}

impl Inbox {
    pub(super) fn with(turn: Option<Turn>) -> Self {
        Self { turn, ..Self::default() }
    }

    /// The reading turns to this home. To be said before each piece that is read of it.
    pub(super) fn turn_to(&self, home: &Home) {
        self.stall.turn_to(&home.label);
        self.turn.iter().for_each(|turn| turn(&home.label));
    }

    /// The watcher's callback. What matters is told after `rest`, which says within what time more may come; says whether
    /// anything does.
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
        let places = Arc::clone(&lock(&self.places));
        // As root, SQLite sets the owner of what it reads: such a change may be our own.
        let of_metadata = matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
        let is_own = |path: &PathBuf| of_metadata && places.is_database(path);
        event.paths.retain(|path| places.matters(path) && !is_own(path));
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

    /// From now on only these paths are of interest.
    pub(super) fn set_places(&self, places: &Places) {
        *lock(&self.places) = Arc::new(places.clone());
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
        // Whoever has just found that there is no end yet waits by now.
        drop((lock(&self.news), lock(&self.resting)));
        self.ping.notify_one();
        self.over.notify_all();
    }

    /// Asked between any two chunks of work.
    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Lets the watcher's thread rest, at most until the end.
    pub(super) fn rest(&self, rest: Duration) {
        let _woken = self.over.wait_timeout_while(lock(&self.resting), rest, |()| !self.stopping());
    }

    /// What there is, at once.
    pub(super) fn take(&self) -> News {
        std::mem::take(&mut *lock(&self.news))
    }

    /// What there is, as soon as there is something, and what comes soon behind it; nothing after `timeout`.
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
        // Where there was something before, the reader was woken for that and will find both.
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

/// What a panicking thread left behind is still a set of paths.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, MetadataKind};

    use super::*;
    use crate::core::source::Agent;

    #[test]
    fn the_owner_of_a_database_is_no_news() {
        let inbox = Inbox::default();
        let mut places = Places::default();
        places.add(&Arc::new(Home { agent: Agent::COPILOT, path: "/h".into(), label: "/h".into() }));
        inbox.set_places(&places);
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
    fn what_waits_to_be_looked_at_is_told_once_and_again_after_the_look() {
        let inbox = Inbox::default();
        let mut places = Places::default();
        places.add(&Arc::new(Home { agent: Agent::CODEX, path: "/h".into(), label: "/h".into() }));
        inbox.set_places(&places);
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
