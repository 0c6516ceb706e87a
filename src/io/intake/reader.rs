//! The reading thread: its state, its timers and its order of work.
//!
//! News comes first, then due timers, then one piece of the remaining work; so a large file never delays a small one.
//! Without work the thread sleeps until the inbox or the next deadline wakes it.
//! Read next: `folders` and `notice`, the handling of news.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::Home;
use super::IntakeConfig;
use super::databases::Databases;
use super::documents::Documents;
use super::exits::Exits;
use super::files::Files;
use super::folders::Depth;
use super::homes::Homes;
use super::inbox::{Inbox, News};
use super::lineage::Relations;
use super::open::{Chunks, Stamp};
use super::outbox::{Outbox, Sink};
use super::registers::Registers;
use super::scan::Candidate;
use super::tail::Tail;
use super::trees::Kind;
use super::watch::Watcher;
use super::watched::WatchedTrees;
use crate::core::source_event::SourceEvent;
use crate::core::time::Now;

/// A file that grew within this time is in use: an open tool call may be silent for so long.
const HOT_FOR: Duration = Duration::from_secs(30 * 60);
/// How many of the newest folders of the deepest level are listed where watching is not possible.
const NEWEST_FOLDERS: usize = 3;

pub(super) struct Reader<'a> {
    pub(super) config: IntakeConfig,
    pub(super) inbox: Arc<Inbox>,
    pub(super) out: Outbox<'a>,
    pub(super) chunks: Chunks,
    pub(super) homes: Homes,
    pub(super) watched: WatchedTrees,
    pub(super) files: Files,
    pub(super) documents: Documents,
    pub(super) databases: Databases,
    /// Files to check, the newest last.
    pub(super) backlog: Vec<Candidate>,
    pub(super) registers: Registers,
    pub(super) relations: Relations,
    pub(super) caught_up: bool,
    rescanned_at: Duration,
    polled_at: Duration,
    listed_at: Duration,
}

impl<'a> Reader<'a> {
    pub(super) fn new(mut config: IntakeConfig, inbox: Arc<Inbox>, watcher: Watcher, sink: Sink<'a>) -> Self {
        let earlier = std::mem::take(&mut config.registers);
        Self {
            chunks: Chunks::new(config.sizes.chunk, Arc::clone(&inbox)),
            out: Outbox::new(sink, Arc::clone(&inbox)),
            registers: Registers::new(earlier, (!watcher.is_off()).then(|| Exits::new(Arc::clone(&inbox)))),
            watched: WatchedTrees::new(watcher, Arc::clone(&inbox)),
            files: Files::new(Arc::clone(&config.next_file)),
            config,
            inbox,
            homes: Homes::default(),
            documents: Documents::default(),
            databases: Databases::default(),
            backlog: Vec::new(),
            relations: Relations::default(),
            caught_up: false,
            rescanned_at: Duration::ZERO,
            polled_at: Duration::ZERO,
            listed_at: Duration::ZERO,
        }
    }

    /// Reads until it is stopped or the receiver has gone.
    pub(super) fn run(mut self) {
        let _ended = self.serve();
    }

    fn serve(&mut self) -> ControlFlow<()> {
        self.inbox.stall.is_here();
        let mono = self.now().mono;
        (self.rescanned_at, self.polled_at, self.listed_at) = (mono, mono, mono);
        let homes = std::mem::take(&mut self.config.homes);
        self.set_homes(homes)?;
        self.out.deliver()?;
        loop {
            let news = if self.has_work() { self.inbox.take() } else { self.sleep() };
            if self.inbox.stopping() {
                return ControlFlow::Break(());
            }
            self.read_news(news)?;
            self.look_around()?;
            self.out.deliver()?;
            self.work()?;
            self.out.deliver()?;
        }
    }

    /// Reads everything once.
    pub(super) fn read_once(mut self) {
        let homes = std::mem::take(&mut self.config.homes);
        let mut flow = self.set_homes(homes);
        while flow.is_continue() && self.has_work() {
            flow = self.work();
        }
        if flow.is_continue() {
            let _ended = self.out.deliver();
        }
    }

    fn sleep(&mut self) -> News {
        self.relations.rest();
        self.backlog.shrink_to_fit();
        self.inbox.stall.rest();
        self.inbox.wait(self.deadline().saturating_sub(self.now().mono))
    }

    fn read_news(&mut self, news: News) -> ControlFlow<()> {
        if let Some(homes) = news.homes {
            self.set_homes(homes)?;
        }
        if news.verify {
            self.registers.verify(self.now());
        }
        self.registers.ended(&news.ended);
        if news.rescan {
            self.rescan(Depth::Everything)?;
        }
        news.paths.into_iter().try_for_each(|(path, change)| self.noticed(&path, change))?;
        self.tell_registers()
    }

    fn has_work(&self) -> bool {
        self.homes.searches()
            || !self.caught_up
            || !self.backlog.is_empty()
            || self.files.is_any_to_count()
            || self.has_database_to_read()
    }

    /// Does one piece of work, the most urgent one.
    fn work(&mut self) -> ControlFlow<()> {
        if let Some(found) = self.backlog.pop() {
            self.look_at(&found.path)
        } else if self.has_database_to_read() {
            self.read_next_database()
        } else if self.homes.searches() {
            self.search_limits()
        } else if !self.caught_up {
            self.caught_up = true;
            // A missing file is gone, and its inode number may be reused.
            self.config.resume.clear();
            self.out.send([SourceEvent::CaughtUp])
        } else {
            self.count()
        }
    }

    /// Checks for changes without an event: the folders and the live files, or everything.
    fn rescan(&mut self, depth: Depth) -> ControlFlow<()> {
        self.rescanned_at = self.now().mono;
        self.inbox.stall.forgive();
        self.check_roots()?;
        self.retry_watches()?;
        if depth == Depth::Everything {
            let roots = self.watched.roots().iter().filter(|root| root.is_present());
            let roots: Vec<_> = roots.map(|root| root.path.clone()).collect();
            roots.iter().try_for_each(|root| self.walk(root, depth))?;
        } else {
            let folders: Vec<_> = self.watched.folders().map(|(path, _)| path.clone()).collect();
            folders.iter().try_for_each(|folder| self.check_folder(folder))?;
        }
        self.check_files(|_| true)?;
        self.check_documents(|_| true)?;
        self.check_databases(|_| true);
        self.registers.verify(self.now());
        self.check_registers(|_| true);
        self.tell_registers()?;
        self.retry_unreadable()?;
        self.drop_silent()?;
        self.rest_silent();
        ControlFlow::Continue(())
    }

    fn retry_unreadable(&mut self) -> ControlFlow<()> {
        for path in self.homes.retry() {
            match self.watched.find(&path).map(|(_, kind)| kind) {
                Some(Kind::Folder(_)) => self.walk(&path, Depth::New)?,
                _ => self.look_at(&path)?,
            }
        }
        ControlFlow::Continue(())
    }

    fn check_files(&mut self, wanted: impl Fn(&Tail) -> bool) -> ControlFlow<()> {
        let mono = self.now().mono;
        for id in self.files.ids(wanted) {
            let Some(tail) = self.files.get_mut(id) else { continue };
            tail.polled_at = mono;
            self.inbox.turn_to(&tail.home);
            let path = tail.path.whole();
            if !Stamp::look(&path).is_ok_and(|stamp| stamp == tail.stamp) {
                self.look_at(&path)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Runs due timers.
    fn look_around(&mut self) -> ControlFlow<()> {
        self.check_rests()?;
        let mono = self.now().mono;
        let due = |last: Duration, every: Duration| mono >= last.saturating_add(every);
        if due(self.rescanned_at, self.config.pace.rescan) {
            self.rescan(Depth::New)?;
            // Without events for an old file that grows, its folder does not change either.
            for root in self.watched.roots().to_vec() {
                if root.is_present() && self.homes.is_polled(&root.home) {
                    self.walk(&root.path, Depth::Everything)?;
                }
            }
        }
        if self.poll_every().is_some_and(|every| due(self.polled_at, every)) {
            self.polled_at = mono;
            let cold = self.config.pace.cold;
            let homes: Vec<_> = self.homes.untold().collect();
            self.check_files(|tail| {
                homes.iter().any(|home| Arc::ptr_eq(home, &tail.home))
                    && (is_hot(tail, mono) || due(tail.polled_at, cold))
            })?;
            let is_untold = |home: &Arc<Home>| homes.iter().any(|untold| Arc::ptr_eq(untold, home));
            self.check_documents(is_untold)?;
            self.check_databases(is_untold);
            self.check_registers(is_untold);
            self.tell_registers()?;
            self.seek_roots()?;
        }
        if self.homes.retry_at().is_some_and(|at| mono >= at) {
            self.retry_unreadable()?;
        }
        self.registers.look_again(mono);
        self.tell_registers()?;
        if self.homes.any_is_polled() && due(self.listed_at, self.config.pace.list) {
            self.listed_at = mono;
            self.list_newest()?;
        }
        ControlFlow::Continue(())
    }

    /// Without watches: lists the upper levels, and the newest of the deepest folders.
    fn list_newest(&mut self) -> ControlFlow<()> {
        for root in self.watched.roots().to_vec() {
            if !root.is_present() || !self.homes.is_polled(&root.home) {
                continue;
            }
            let below = self.watched.folders().filter(|(path, _)| path.starts_with(&root.path));
            let deepest = root.tree.levels.len();
            let (deep, upper): (Vec<_>, Vec<_>) = below.partition(|(_, level)| *level == deepest);
            let newest = deep.into_iter().rev().take(NEWEST_FOLDERS);
            let folders: Vec<_> = upper.into_iter().chain(newest).map(|(path, _)| path.clone()).collect();
            folders.iter().try_for_each(|folder| self.check_folder(folder))?;
        }
        self.seek_roots()
    }

    fn deadline(&self) -> Duration {
        let rescan = self.rescanned_at.saturating_add(self.config.pace.rescan);
        let poll = self.poll_every().map(|every| self.polled_at.saturating_add(every));
        let list = self.homes.any_is_polled().then(|| self.listed_at.saturating_add(self.config.pace.list));
        let rest = self.files.next_rest();
        let ends = self.registers.look_again_at();
        let read = self.databases.due_at();
        [poll, list, self.homes.retry_at(), rest, ends, read]
            .into_iter()
            .flatten()
            .fold(rescan, Duration::min)
    }

    /// How often files without events are checked; `None` if there are none.
    fn poll_every(&self) -> Option<Duration> {
        let mono = self.now().mono;
        let homes: Vec<_> = self.homes.untold().collect();
        let files = self.files.iter().map(|(_, tail)| (&tail.home, tail.grown_at));
        let followed = files.chain(self.documents.grown()).chain(self.databases.grown());
        let mut followed =
            followed.filter(|(of, _)| homes.iter().any(|home| Arc::ptr_eq(home, of))).peekable();
        let unwatched_root = self.watched.roots().iter().any(|root| root.is_awaited() && root.is_unheard());
        if followed.peek().is_none() && !unwatched_root {
            return None;
        }
        let hot = followed.any(|(_, grown_at)| mono.saturating_sub(grown_at) < HOT_FOR);
        Some(if hot { self.config.pace.hot } else { self.config.pace.cold })
    }

    fn check_registers(&mut self, wanted: impl Fn(&Arc<Home>) -> bool) {
        let inbox = &self.inbox;
        self.registers.check(|home| {
            let is_wanted = wanted(home);
            if is_wanted {
                inbox.turn_to(home);
            }
            is_wanted
        });
    }

    pub(super) fn tell_registers(&mut self) -> ControlFlow<()> {
        let now = self.now();
        self.out.send(self.registers.tell(now))
    }

    pub(super) fn now(&self) -> Now {
        (self.config.clock)()
    }
}

fn is_hot(tail: &Tail, mono: Duration) -> bool {
    mono.saturating_sub(tail.grown_at) < HOT_FOR
}
