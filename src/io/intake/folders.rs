//! The session folders: waits for missing ones, watches and lists them, and notices removed ones.
//!
//! Every folder is listed after its watch has begun, so that a file is either in the listing or in an event. A folder's
//! modification time shows later whether a file in it was added or removed; no path of an old file is stored.
//! Read next: `watched`, the state of the folders.

use std::fs::{self, DirEntry};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Home;
use super::inbox::Change;
use super::notice::LIVE_FOR;
use super::open::{Stamp, modified};
use super::reader::Reader;
use super::scan::Candidate;
use super::trees::{Kind, Root};
use crate::core::time::earlier;

/// How far a Windows listing may lag behind files that their writers keep open.
const LISTING_LAG: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How much of a tree to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Everything,
    /// The folder, and unknown folders below it.
    New,
}

impl Reader<'_> {
    /// Handles an event of a path.
    pub(super) fn noticed(&mut self, path: &Path, change: Change) -> ControlFlow<()> {
        let place = self.watched.find(path).filter(|(root, _)| root.is_present());
        place.iter().for_each(|(root, _)| self.inbox.turn_to(&root.home));
        match place.map(|(_, kind)| kind) {
            Some(Kind::Session) => {
                if self.files.at(path).is_none() {
                    let agent = place.map(|(root, _)| root.home.agent);
                    agent.iter().for_each(|agent| self.relations.meet(*agent, path));
                }
                self.look_at(path)
            }
            Some(Kind::Entry) => {
                self.registers.entry_changed(path, self.now());
                ControlFlow::Continue(())
            }
            Some(Kind::Folder(_)) if change == Change::Content && self.watched.knows(path) => {
                ControlFlow::Continue(())
            }
            Some(Kind::Folder(_)) => self.refresh(path),
            None if change == Change::Content => ControlFlow::Continue(()),
            None => {
                let below = self.watched.above_changed(path);
                below.iter().try_for_each(|root| self.refresh(root))?;
                self.seek_roots()
            }
        }
    }

    /// Reads these homes from now on.
    pub(super) fn set_homes(&mut self, homes: Vec<Home>) -> ControlFlow<()> {
        for home in self.homes.retain(&homes) {
            for root in self.watched.remove(&home) {
                self.out.send(self.registers.lose(&root))?;
            }
            for id in self.files.ids(|tail| Arc::ptr_eq(&tail.home, &home)) {
                self.forget(id)?;
            }
            self.drop_documents(|session| !session.is_of(&home))?;
            self.drop_databases(&home)?;
        }
        for home in homes {
            self.inbox.turn_to(&home);
            if let Some(home) = self.homes.add(home) {
                self.watched.add(&home);
            }
        }
        self.caught_up = false;
        self.seek_roots()
    }

    /// Watches a folder of `home`, if watching is useful there.
    fn watch(&mut self, home: &Arc<Home>, folder: &Path, level: usize) -> ControlFlow<()> {
        if !self.homes.is_watched(home) {
            return ControlFlow::Continue(());
        }
        match self.watched.watch(folder, level) {
            Ok(()) => ControlFlow::Continue(()),
            Err(refused) => self.out.send(self.homes.refused(home, refused)),
        }
    }

    /// Tries again to watch folders that could not be watched.
    pub(super) fn retry_watches(&mut self) -> ControlFlow<()> {
        for home in self.homes.take_refused() {
            let folders = self.watched.folders_of(|of| Arc::ptr_eq(of, &home)).rev();
            let folders: Vec<_> = folders.map(|(path, level)| (path.clone(), level)).collect();
            folders.iter().try_for_each(|(folder, level)| self.watch(&home, folder, *level))?;
            self.out.send(self.homes.tried_again(&home))?;
        }
        ControlFlow::Continue(())
    }

    /// Reports a file or folder of `home` that could not be read.
    pub(super) fn unreadable(&mut self, home: &Arc<Home>, path: &Path, error: &io::Error) -> ControlFlow<()> {
        let soon = self.now().mono.saturating_add(self.config.pace.list);
        self.out.send(self.homes.unreadable(home, path, error, soon))
    }

    /// Handles a folder that may have been added, removed or replaced.
    fn refresh(&mut self, folder: &Path) -> ControlFlow<()> {
        let home = self.watched.find(folder).map(|(root, _)| Arc::clone(&root.home));
        home.iter().for_each(|home| self.inbox.turn_to(home));
        match (fs::metadata(folder), home) {
            (Ok(there), _) if there.is_dir() => {}
            (Err(error), Some(home)) if !is_absence(&error) => return self.unreadable(&home, folder, &error),
            _ => return self.lost(folder),
        }
        self.watched.refresh(folder);
        self.walk(folder, Depth::Everything)
    }

    /// Looks for missing trees, and waits for those where sessions begin.
    pub(super) fn seek_roots(&mut self) -> ControlFlow<()> {
        for root in self.watched.arrived() {
            self.inbox.turn_to(&root.home);
            self.out.send(self.homes.found_tree(&root.home, &root.path, self.watched.listens()))?;
            self.walk(&root.path, Depth::Everything)?;
        }
        ControlFlow::Continue(())
    }

    /// Watches and lists a folder and those below it; files to read go to the backlog.
    pub(super) fn walk(&mut self, start: &Path, depth: Depth) -> ControlFlow<()> {
        let Some((root, Kind::Folder(level))) = self.watched.find(start) else {
            return ControlFlow::Continue(());
        };
        let root = root.clone();
        let mut stack = vec![(start.to_owned(), level)];
        while let Some((folder, level)) = stack.pop() {
            if self.inbox.stopping() {
                return ControlFlow::Break(());
            }
            self.inbox.turn_to(&root.home);
            self.watch(&root.home, &folder, level)?;
            match self.list(&root, &folder, level) {
                Ok(mut subfolders) => {
                    self.out.send(self.homes.readable_again(&folder))?;
                    if root.is_register() {
                        self.registers.read(&root);
                        self.tell_registers()?;
                    }
                    // The greatest name is the newest date, so it is listed and watched first.
                    subfolders.sort_unstable();
                    let wanted = subfolders
                        .into_iter()
                        .filter(|folder| depth == Depth::Everything || !self.watched.knows(folder));
                    stack.extend(wanted.map(|folder| (folder, level + 1)));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.lost(&folder)?,
                Err(error) => self.unreadable(&root.home, &folder, &error)?,
            }
        }
        self.backlog.sort_unstable();
        ControlFlow::Continue(())
    }

    fn list(&mut self, root: &Root, folder: &Path, level: usize) -> io::Result<Vec<PathBuf>> {
        let stamp = Stamp::look(folder)?;
        let now = self.now().wall;
        let mut subfolders = Vec::new();
        for entry in fs::read_dir(folder)? {
            self.inbox.stall.go_on();
            let entry = entry?;
            let name = entry.file_name();
            if root.is_register() {
                // A register's files are read together, below.
            } else if name.to_str().is_some_and(|name| root.is_read(name)) {
                self.found(&root.home, &entry, now);
            } else if root.has_folder(level, &name) && is_folder(&entry) {
                subfolders.push(entry.path());
            }
        }
        self.watched.listed(folder, level, stamp, now);
        Ok(subfolders)
    }

    /// Handles a session file of a listing.
    fn found(&mut self, home: &Arc<Home>, entry: &DirEntry, now: Timestamp) {
        let modified = match modified_of(entry, now) {
            Ok(modified) => modified,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            // Reading the file will report the problem.
            Err(_) => return self.backlog.push(Candidate { modified: now, path: entry.path() }),
        };
        // Most files are old and need nothing else.
        let is_old = modified < earlier(now, LIVE_FOR);
        if is_old && self.files.len() == 0 && !self.homes.wants_old(home, modified) {
            return;
        }
        let found = Candidate { modified, path: entry.path() };
        let known = self.files.at(&found.path).and_then(|id| self.files.get(id));
        match known {
            Some(tail) if Stamp::look(&found.path).is_ok_and(|stamp| stamp == tail.stamp) => {}
            None if is_old => self.homes.offer_old(home, found),
            Some(_) => self.backlog.push(found),
            None => {
                self.relations.meet(home.agent, &found.path);
                self.backlog.push(found);
            }
        }
    }

    /// Handles a removed folder and its files.
    pub(super) fn lost(&mut self, folder: &Path) -> ControlFlow<()> {
        let is_root = self.watched.lose(folder);
        for id in self.files.ids(|tail| tail.path.folder().starts_with(folder)) {
            if let Some(path) = self.files.get(id).map(|tail| tail.path.whole()) {
                self.look_at(&path)?;
            }
        }
        self.out.send(self.registers.lose(folder))?;
        if is_root { self.seek_roots() } else { ControlFlow::Continue(()) }
    }

    /// Checks whether files were added to or removed from a folder since it was listed.
    pub(super) fn check_folder(&mut self, folder: &Path) -> ControlFlow<()> {
        if !self.watched.knows(folder) {
            return ControlFlow::Continue(());
        }
        self.watched.find(folder).iter().for_each(|(root, _)| self.inbox.turn_to(&root.home));
        match Stamp::look(folder).map(|stamp| self.watched.compare(folder, stamp)) {
            Ok((true, _)) => {
                self.watched.forget(folder);
                self.walk(folder, Depth::Everything)
            }
            Ok((false, false)) => ControlFlow::Continue(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.lost(folder),
            // The listing reports any other problem.
            Ok(_) | Err(_) => self.walk(folder, Depth::New),
        }
    }

    /// Checks whether the trees are still in their places.
    pub(super) fn check_roots(&mut self) -> ControlFlow<()> {
        self.watched.moved().iter().try_for_each(|root| self.lost(root))?;
        for root in self.watched.doubt() {
            self.watch(&root.home, &root.path, 0)?;
        }
        self.seek_roots()
    }
}

/// Whether an error means that a path does not exist, and not that it is unknown now.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether an entry is a folder or a link to one; the limited depth of trees ends circles of links.
fn is_folder(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

/// When a listed file was last changed.
fn modified_of(entry: &DirEntry, now: Timestamp) -> io::Result<Timestamp> {
    let listed = entry.metadata()?;
    let at = modified(&listed);
    // On Windows the listing has the state of an open file at its last close.
    let is_to_be_looked_at = listed.is_symlink() || cfg!(windows) && at >= earlier(now, LISTING_LAG);
    if is_to_be_looked_at { Ok(modified(&fs::metadata(entry.path())?)) } else { Ok(at) }
}
