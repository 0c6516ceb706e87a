//! The session folders: waited for while they are missing, watched, listed, and noticed when they go.
//!
//! Every folder is listed after its watch has begun, so that a file is either in the listing or in an event. A folder's
//! modification time tells later whether anything in it came or went; no path of an old file is kept.
//! Read next: `watch`.

use std::collections::BTreeSet;
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
use super::open::Stamp;
use super::places::{Kind, Presence, Root};
use super::reader::Reader;
use super::scan::Found;
use super::watch::{self, WHOLE_TREES};
use crate::core::source_event::FileIdentity;
use crate::core::time::{earlier, later};
use crate::fs_watch::WatchError;
use crate::real_path;

/// File systems keep a folder's time in steps of up to two seconds: younger times may hide a change.
const TIME_STEP: Duration = Duration::from_secs(2);
/// How far back a Windows listing may be behind the files that their writers keep open.
const LISTING_LAG: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A session folder as it was when it was listed.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) level: usize,
    pub(super) identity: FileIdentity,
    /// `None` when it was too young to tell a later change.
    modified: Option<Timestamp>,
}

/// How much of a tree to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Everything,
    /// The folder, and below it what is not known yet.
    New,
}

impl Reader<'_> {
    /// An event for a path.
    pub(super) fn noticed(&mut self, path: &Path, change: Change) -> ControlFlow<()> {
        let place = self.places.find(path).filter(|(root, _)| root.is_present());
        match place.map(|(_, kind)| kind) {
            Some(Kind::Session) => {
                self.met += u64::from(self.files.at(path).is_none());
                self.look_at(path)
            }
            Some(Kind::Entry) => {
                self.entry_changed(path);
                ControlFlow::Continue(())
            }
            Some(Kind::Folder(_)) if change == Change::Content && self.folders.contains_key(path) => {
                ControlFlow::Continue(())
            }
            Some(Kind::Folder(_)) => self.refresh(path),
            None if change == Change::Content => ControlFlow::Continue(()),
            None => {
                // A folder above came or went; where it went, its watch and all below it went too.
                self.watcher.forget_only(path);
                let below = |root: &&Root| root.is_present() && root.path.starts_with(path);
                let roots: Vec<_> =
                    self.places.roots.iter().filter(below).map(|root| root.path.clone()).collect();
                roots.iter().try_for_each(|root| self.refresh(root))?;
                self.seek_roots()
            }
        }
    }

    /// A folder may have come, gone or been replaced.
    fn refresh(&mut self, folder: &Path) -> ControlFlow<()> {
        match (fs::metadata(folder), self.places.find(folder).map(|(root, _)| Arc::clone(&root.home))) {
            (Ok(there), _) if there.is_dir() => {}
            (Err(error), Some(home)) if !is_absence(&error) => return self.unreadable(&home, folder, &error),
            _ => return self.lost(folder),
        }
        if !WHOLE_TREES || self.is_replaced(folder) {
            self.watcher.forget(folder);
        }
        self.walk(folder, Depth::Everything)
    }

    /// Looks for the trees that are missing, and waits for those where sessions begin.
    pub(super) fn seek_roots(&mut self) -> ControlFlow<()> {
        let mut waiting = BTreeSet::new();
        for index in 0..self.places.roots.len() {
            while let Some(root) = self.places.roots.get(index).filter(|root| !root.is_present()).cloned() {
                if root.configured.is_dir() {
                    self.arrived(index)?;
                    continue;
                }
                if !self.wait_for(index, &root, &mut waiting) {
                    break;
                }
            }
        }
        for folder in std::mem::replace(&mut self.waiting, waiting) {
            if !self.waiting.contains(&folder) && !self.folders.contains_key(&folder) {
                self.watcher.forget_only(&folder);
            }
        }
        ControlFlow::Continue(())
    }

    /// Watches the nearest folder above a missing tree; true when the next one has appeared meanwhile.
    fn wait_for(&mut self, index: usize, root: &Root, waiting: &mut BTreeSet<PathBuf>) -> bool {
        let nearest = root.configured.ancestors().find(|folder| folder.is_dir());
        let Some((nearest, rest)) =
            nearest.and_then(|nearest| Some((nearest, root.configured.strip_prefix(nearest).ok()?)))
        else {
            return false;
        };
        let folder = real(nearest);
        let wanted = root.is_awaited()
            && watch::trust(nearest) != watch::Trust::Nothing
            && watch::may_wait_in(&folder, &real(&root.home.path));
        let awaited = match wanted.then(|| self.watcher.await_in(&folder)) {
            None => false,
            Some(Ok(())) => true,
            // It went just now: another one is the nearest.
            Some(Err(WatchError::Missing)) => return true,
            Some(Err(_)) => false,
        };
        let path = folder.join(rest);
        let presence = if awaited { Presence::Awaited } else { Presence::Missing };
        if let Some(root) = self.places.roots.get_mut(index)
            && (root.path != path || root.presence != presence)
        {
            (root.path, root.presence) = (path, presence);
            self.inbox.set_places(&self.places);
        }
        let next = folder.join(rest.iter().next().unwrap_or_default());
        if awaited {
            waiting.insert(folder);
        }
        awaited && next.is_dir()
    }

    /// A missing tree is there.
    fn arrived(&mut self, index: usize) -> ControlFlow<()> {
        let Some(root) = self.places.roots.get_mut(index) else { return ControlFlow::Continue(()) };
        root.path = real(&root.configured);
        root.presence = Presence::Present;
        let (home, path) = (Arc::clone(&root.home), root.path.clone());
        self.inbox.set_places(&self.places);
        self.found_tree(&home, &path)?;
        self.walk(&path, Depth::Everything)
    }

    /// Watches and lists a folder and what is below it; what deserves a look goes to the backlog.
    pub(super) fn walk(&mut self, start: &Path, depth: Depth) -> ControlFlow<()> {
        let Some((root, Kind::Folder(level))) = self.places.find(start) else {
            return ControlFlow::Continue(());
        };
        let root = root.clone();
        let mut stack = vec![(start.to_owned(), level)];
        while let Some((folder, level)) = stack.pop() {
            if self.inbox.stopping() {
                return ControlFlow::Break(());
            }
            self.watch(&root.home, &folder, level)?;
            match self.list(&root, &folder, level) {
                Ok(mut subfolders) => {
                    self.mended(&folder)?;
                    if root.is_register() {
                        self.read_register(&root)?;
                    }
                    // The greatest name is the newest date: it is taken first, and gets its watch first.
                    subfolders.sort_unstable();
                    let wanted = subfolders
                        .into_iter()
                        .filter(|folder| depth == Depth::Everything || !self.folders.contains_key(folder));
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
            let entry = entry?;
            let name = entry.file_name();
            if root.is_register() {
                // Its files are read together, below.
            } else if name.to_str().is_some_and(|name| root.is_read(name)) {
                self.found(&root.home, &entry, now);
            } else if root.has_folder(level, &name) && is_folder(&entry) {
                subfolders.push(entry.path());
            }
        }
        let modified = Some(stamp.modified).filter(|modified| later(*modified, TIME_STEP) < now);
        self.folders.insert(folder.to_owned(), Folder { level, identity: stamp.identity, modified });
        Ok(subfolders)
    }

    /// A session file in a listing.
    fn found(&mut self, home: &Arc<Home>, entry: &DirEntry, now: Timestamp) {
        let path = entry.path();
        let stamp = match stamp_of(entry, &path, now) {
            Ok(stamp) => stamp,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            // A look will tell what is wrong with it.
            Err(_) => return self.backlog.push(Found { modified: now, path }),
        };
        let found = Found { modified: stamp.modified, path };
        let known = self.files.at(&found.path).and_then(|id| self.files.get(id));
        match known {
            Some(tail) if tail.stamp == stamp => {}
            None if stamp.modified < earlier(now, LIVE_FOR) => self.offer_old(home, found),
            Some(_) => self.backlog.push(found),
            None => {
                self.met += 1;
                self.backlog.push(found);
            }
        }
    }

    /// A folder is gone, and what was in it.
    pub(super) fn lost(&mut self, folder: &Path) -> ControlFlow<()> {
        self.watcher.forget(folder);
        self.folders.retain(|path, _| !path.starts_with(folder));
        let mut is_root = false;
        for root in self.places.roots.iter_mut().filter(|root| root.is_present() && root.path == folder) {
            root.presence = Presence::Missing;
            is_root = true;
        }
        for id in self.files.ids(|tail| tail.path.starts_with(folder)) {
            if let Some(path) = self.files.get(id).map(|tail| tail.path.clone()) {
                self.look_at(&path)?;
            }
        }
        self.lose_registers(folder)?;
        if is_root { self.seek_roots() } else { ControlFlow::Continue(()) }
    }

    /// Looks whether anything came or went in a folder since it was listed.
    pub(super) fn check_folder(&mut self, folder: &Path) -> ControlFlow<()> {
        let Some(known) = self.folders.get(folder) else { return ControlFlow::Continue(()) };
        match Stamp::look(folder) {
            Ok(stamp) if stamp.identity != known.identity => {
                self.watcher.forget(folder);
                self.walk(folder, Depth::Everything)
            }
            Ok(stamp) if Some(stamp.modified) == known.modified => ControlFlow::Continue(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.lost(folder),
            // What else may be wrong with it, the listing says.
            Ok(_) | Err(_) => self.walk(folder, Depth::New),
        }
    }

    /// Looks whether the trees are still where they were: a link may lead elsewhere by now.
    pub(super) fn check_roots(&mut self) -> ControlFlow<()> {
        let moved =
            |root: &&Root| root.is_present() && (real(&root.configured) != root.path || !root.path.is_dir());
        let moved: Vec<_> = self.places.roots.iter().filter(moved).map(|root| root.path.clone()).collect();
        moved.iter().try_for_each(|root| self.lost(root))?;
        // Not every system tells that a watched folder is gone, or that it is another one by now.
        for folder in &self.waiting {
            self.watcher.forget_only(folder);
        }
        if cfg!(windows) {
            for root in self.places.roots.clone() {
                self.watcher.forget_only(&root.path);
                if root.is_present() {
                    self.watch(&root.home, &root.path, 0)?;
                }
            }
        }
        self.seek_roots()
    }

    fn is_replaced(&self, folder: &Path) -> bool {
        let known = self.folders.get(folder).map(|known| known.identity);
        known != Stamp::look(folder).ok().map(|stamp| stamp.identity)
    }
}

/// What the watcher calls a path. On Windows that is the path as given; elsewhere macOS tells real paths only.
fn real(path: &Path) -> PathBuf {
    if cfg!(windows) { path.to_owned() } else { real_path::real(path) }
}

/// Whether an error says that a path leads nowhere, and not that it cannot be told now.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Links to folders count; that trees are only so deep keeps a link in a circle from being followed for ever.
fn is_folder(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

fn stamp_of(entry: &DirEntry, path: &Path, now: Timestamp) -> io::Result<Stamp> {
    let metadata = entry.metadata()?;
    if metadata.is_symlink() {
        return Stamp::look(path);
    }
    let listed = Stamp::of(path, &metadata);
    // On Windows the listing shows an open file as it was when it was last closed.
    if cfg!(windows) && listed.modified >= earlier(now, LISTING_LAG) { Stamp::look(path) } else { Ok(listed) }
}
