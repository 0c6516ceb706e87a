//! Handles a change of one path.
//!
//! Events are hints that a file may have changed; the file itself shows the change. So a needless event costs only a
//! check, and the order of events does not matter.
//! Read next: `tail`, the reading.

use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Home;
use super::open::{Opened, Stamp};
use super::reader::Reader;
use super::scan::Candidate;
use super::tail::{Followed, Tail};
use crate::core::source_event::{FileId, ReadTo, SourceEvent};
use crate::core::time::{earlier, elapsed};

/// Files silent for longer are not followed.
pub(super) const LIVE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

impl Reader<'_> {
    /// Checks a session file: a new one, a known one that may have changed, or one that may be gone.
    pub(super) fn look_at(&mut self, path: &Path) -> ControlFlow<()> {
        let Some((root, _)) = self.watched.find(path) else { return ControlFlow::Continue(()) };
        let home = Arc::clone(&root.home);
        self.inbox.turn_to(&home);
        if let Some(database) = root.database(path) {
            self.look_at_database(&home, database);
            return ControlFlow::Continue(());
        }
        let session = home.agent.spec().layout.document(path);
        let looked = match self.files.at(path) {
            _ if let Some(session) = session => self.look_at_document(&home, session, path),
            Some(id) => self.look_again(id),
            None => match self.look_before(&home, path) {
                ControlFlow::Continue(()) => self.look_first(&home, path, LIVE_FOR),
                stopped @ ControlFlow::Break(()) => Ok(stopped),
            },
        };
        match looked {
            Ok(flow) => {
                self.out.send(self.homes.readable_again(path))?;
                flow
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.out.send(self.homes.readable_again(path))?;
                self.missing(path)
            }
            Err(error) => self.unreadable(&home, path, &error),
        }
    }

    /// Reads the files that a live one continues, of any age: their figures belong to its session.
    fn look_before(&mut self, home: &Arc<Home>, path: &Path) -> ControlFlow<()> {
        let layout = &home.agent.spec().layout;
        let name = path.file_name().and_then(OsStr::to_str).filter(|name| (layout.goes_on)(name));
        let Some(thread) = name.and_then(layout.thread) else { return ControlFlow::Continue(()) };
        let oldest_live = earlier(self.now().wall, LIVE_FOR);
        if !Stamp::look(path).is_ok_and(|stamp| stamp.modified >= oldest_live) {
            return ControlFlow::Continue(());
        }
        self.make_index(home.agent);
        for other in self.files_of(thread) {
            let of = self.watched.find(&other).map(|(root, _)| Arc::clone(&root.home));
            if let Some(of) = of.filter(|_| other != path && self.files.at(&other).is_none()) {
                // An unreadable file adds nothing.
                self.look_first(&of, &other, Duration::MAX).unwrap_or(ControlFlow::Continue(()))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn look_first(
        &mut self,
        home: &Arc<Home>,
        path: &Path,
        live_for: Duration,
    ) -> io::Result<ControlFlow<()>> {
        let stamp = Stamp::look(path)?;
        if let Some(id) = self.files.with(stamp.identity) {
            let there = self.is_there(id);
            if there || self.continues(id, path)? {
                if !there {
                    self.files.rename(id, path);
                }
                return self.look_again(id);
            }
            // File systems reuse the inode number of a deleted file.
            if self.forget(id).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let now = self.now();
        if stamp.modified < earlier(now.wall, live_for) {
            self.homes.offer_old(home, Candidate { modified: stamp.modified, path: path.to_owned() });
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(offset) = self.config.resume.remove(&stamp.identity)
            && offset <= self.config.sizes.whole
            && let Some(id) = self.resume(home, path, offset)?
        {
            self.read_rows_beside(id);
            let resumed = self.announce(id);
            let flow = if resumed.is_break() { resumed } else { self.look_again(id)? };
            self.rest(id);
            return Ok(flow);
        }
        let mut tail = self.read(home, path, &mut Opened::open(path)?)?;
        tail.grown_at = now.mono.saturating_sub(now.since(stamp.modified));
        let id = self.files.insert(tail);
        self.read_rows_beside(id);
        let flow = self.announce(id);
        self.rest(id);
        Ok(flow)
    }

    /// Continues after the events of an earlier reading. `None` if it is another file.
    fn resume(&mut self, home: &Arc<Home>, path: &Path, offset: u64) -> io::Result<Option<FileId>> {
        let now = self.now();
        let mut opened = Opened::open(path)?;
        let tail = Tail::resume(home, path, &mut opened, offset, &mut self.chunks)?;
        Ok(tail.map(|mut tail| {
            tail.grown_at = now.mono.saturating_sub(now.since(opened.stamp.modified));
            self.files.insert(tail)
        }))
    }

    fn look_again(&mut self, id: FileId) -> io::Result<ControlFlow<()>> {
        let Some(tail) = self.files.get_mut(id) else { return Ok(ControlFlow::Continue(())) };
        let mut opened = Opened::open(&tail.path.whole())?;
        match tail.follow(&mut opened, &mut self.chunks)? {
            Followed::Unchanged => Ok(ControlFlow::Continue(())),
            Followed::Grown => {
                let mono = self.now().mono;
                self.files.grown(id, mono);
                Ok(self.announce(id))
            }
            Followed::StartOver => self.start_over(id, &mut opened),
        }
    }

    /// Counts last lines without a line break, if nothing has followed for a while.
    pub(super) fn check_rests(&mut self) -> ControlFlow<()> {
        let mono = self.now().mono;
        for id in self.files.rested(mono) {
            if self.files.get_mut(id).and_then(|tail| tail.fold.as_mut()).is_some_and(|fold| fold.end_line())
            {
                self.announce(id)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Reads `id` again from its start, because its path has other content.
    fn start_over(&mut self, id: FileId, opened: &mut Opened) -> io::Result<ControlFlow<()>> {
        let Some(old) = self.files.get(id) else { return Ok(ControlFlow::Continue(())) };
        let (home, path) = (Arc::clone(&old.home), old.path.whole());
        if let Some(moved) = self.files.with(opened.stamp.identity)
            && moved != id
            && !self.is_there(moved)
        {
            // A followed file was moved over this one.
            let gone = self.forget(id);
            self.files.rename(moved, &path);
            return if gone.is_break() { Ok(gone) } else { self.look_again(moved) };
        }
        let mut tail = self.read(&home, &path, opened)?;
        tail.grown_at = self.now().mono;
        self.files.put(id, tail);
        self.read_rows_beside(id);
        Ok(self.announce(id))
    }

    /// Reads a file from its start. Lines older than [`LIVE_FOR`] are not live.
    fn read(&mut self, home: &Arc<Home>, path: &Path, opened: &mut Opened) -> io::Result<Tail> {
        let live_since = self.config.live_since.max(earlier(self.now().wall, LIVE_FOR));
        Tail::read(home, path, opened, live_since, &self.config.sizes, &mut self.chunks)
    }

    /// Sends the update of `id`.
    pub(super) fn announce(&mut self, id: FileId) -> ControlFlow<()> {
        self.files.caught_up(id);
        self.ask_lineage(id);
        self.ask_helpers(id);
        let Some(tail) = self.files.get_mut(id) else { return ControlFlow::Continue(()) };
        let update = tail.fold.as_mut().and_then(|fold| fold.take_update());
        let Some(update) = update else { return ControlFlow::Continue(()) };
        let offset = tail.position.offset.saturating_sub(tail.unfinished());
        let read = tail.count.is_none().then_some(ReadTo { file: tail.stamp.identity, offset });
        let home = Arc::clone(&tail.home);
        self.homes.limits_found(&home, &update.limits);
        self.out.send([SourceEvent::Updated { file: id, update: Box::new(update), read }])
    }

    /// Handles a path without a file: the file was moved or deleted, or lost with its folder.
    fn missing(&mut self, path: &Path) -> ControlFlow<()> {
        let Some(id) = self.files.at(path) else { return ControlFlow::Continue(()) };
        self.seek_roots()?;
        if let (Some(tail), Some(name)) = (self.files.get(id), path.file_name()) {
            let identity = tail.stamp.identity;
            let is_it = |path: &PathBuf| Stamp::look(path).is_ok_and(|stamp| stamp.identity == identity);
            let moved = self.watched.folders().map(|(folder, _)| folder.join(name)).find(is_it);
            if let Some(moved) = moved {
                if let Some(under) = self.files.at(&moved) {
                    self.forget(under)?;
                }
                self.files.rename(id, &moved);
                return self.look_at(&moved);
            }
        }
        self.forget(id)?;
        let root = self.watched.find(path).map(|(root, _)| root);
        let lost = root.filter(|root| root.is_present() && !root.path.is_dir()).map(|root| root.path.clone());
        lost.map_or(ControlFlow::Continue(()), |root| self.lost(&root))
    }

    /// Stops following a file.
    pub(super) fn forget(&mut self, id: FileId) -> ControlFlow<()> {
        match self.files.remove(id) {
            Some(_) => self.out.send([SourceEvent::Gone { file: id }]),
            None => ControlFlow::Continue(()),
        }
    }

    /// Stops following files that have been silent for long.
    pub(super) fn drop_silent(&mut self) -> ControlFlow<()> {
        let now = self.now().wall;
        for id in self.files.ids(|tail| tail.count.is_none() && elapsed(tail.stamp.modified, now) > LIVE_FOR)
        {
            self.forget(id)?;
        }
        self.drop_silent_rows()?;
        let oldest = earlier(now, LIVE_FOR);
        self.drop_documents(|session| session.modified() >= oldest)
    }

    /// Counts one slice of the next large file.
    pub(super) fn count(&mut self) -> ControlFlow<()> {
        let slice = self.config.sizes.slice;
        let Some((id, tail)) = self.files.next_to_count() else { return ControlFlow::Continue(()) };
        self.inbox.turn_to(&tail.home);
        let done = Opened::open(&tail.path.whole()).and_then(|mut opened| {
            let same = opened.stamp.identity == tail.stamp.identity;
            let done = if same { tail.count(&mut opened, slice, &mut self.chunks)? } else { false };
            Ok((same, done))
        });
        match done {
            Ok((true, false)) => ControlFlow::Continue(()),
            Ok((true, true)) => {
                self.files.counted();
                self.read_rows_beside(id);
                self.announce(id)
            }
            Ok((false, _)) | Err(_) => {
                // A check of the file shows what happened; if it cannot be counted now, the next event or rescan tries
                // again.
                let path = tail.path.whole();
                self.files.counted();
                self.look_at(&path)
            }
        }
    }

    /// Whether the file at `path` begins with the content that was read of `id`.
    fn continues(&self, id: FileId, path: &Path) -> io::Result<bool> {
        let mut opened = Opened::open(path)?;
        self.files.get(id).map_or(Ok(false), |tail| tail.position.holds(&mut opened))
    }

    fn is_there(&self, id: FileId) -> bool {
        self.files.get(id).is_some_and(|tail| {
            Stamp::look(&tail.path.whole()).is_ok_and(|stamp| stamp.identity == tail.stamp.identity)
        })
    }
}
