//! The session trees: their watched, awaited and known folders.
//!
//! Reads no listing and no file. Read next: `watch`, the watching itself; `folders`, the content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Home;
use super::inbox::Inbox;
use super::open::Stamp;
use super::trees::{Kind, Presence, Root, Trees};
use super::watch::{self, WHOLE_TREES, Watcher};
use crate::core::source::layout::Purpose;
use crate::core::source_event::FileIdentity;
use crate::core::time::later;
use crate::io::fs_watch::WatchError;
use crate::io::real_path;

/// File systems store a folder's time in steps of up to two seconds: a younger time may hide a later change.
const TIME_STEP: Duration = Duration::from_secs(2);

/// A session folder at its last listing.
#[derive(Debug)]
struct Folder {
    level: usize,
    identity: FileIdentity,
    /// `None` if it was too young to show a later change.
    modified: Option<Timestamp>,
}

/// A folder above trees.
struct Above {
    /// As the watcher calls it.
    path: PathBuf,
    trust: watch::Trust,
}

/// What was found at the paths above missing trees, which have most of them in common; `None`: no folder.
#[derive(Default)]
struct Seen(BTreeMap<PathBuf, Option<Above>>);

/// The session trees, with their watches and folders.
pub(super) struct WatchedTrees {
    watcher: Watcher,
    /// The inbox, which gives the trees to the watcher's callback.
    inbox: Arc<Inbox>,
    trees: Trees,
    /// The watched folders above missing trees.
    waiting: BTreeSet<PathBuf>,
    folders: BTreeMap<PathBuf, Folder>,
}

impl WatchedTrees {
    pub(super) fn new(watcher: Watcher, inbox: Arc<Inbox>) -> Self {
        let (trees, waiting, folders) = (Trees::default(), BTreeSet::new(), BTreeMap::new());
        Self { watcher, inbox, trees, waiting, folders }
    }

    /// Whether events are used.
    pub(super) fn listens(&self) -> bool {
        !self.watcher.is_off()
    }

    /// The trees, present or not.
    pub(super) fn roots(&self) -> &[Root] {
        &self.trees.roots
    }

    /// The tree of `path` and its kind there.
    pub(super) fn find(&self, path: &Path) -> Option<(&Root, Kind)> {
        self.trees.find(path)
    }

    /// The known folders of all trees, in the order of their paths.
    pub(super) fn folders(&self) -> impl DoubleEndedIterator<Item = (&PathBuf, usize)> {
        self.folders.iter().map(|(path, folder)| (path, folder.level))
    }

    /// The known folders of the wanted homes.
    pub(super) fn folders_of(
        &self,
        wanted: impl Fn(&Arc<Home>) -> bool,
    ) -> impl DoubleEndedIterator<Item = (&PathBuf, usize)> {
        let is_in = move |path: &Path| self.find(path).is_some_and(|(root, _)| wanted(&root.home));
        self.folders().filter(move |(path, _)| is_in(path))
    }

    pub(super) fn add(&mut self, home: &Arc<Home>) {
        self.trees.add(home);
        self.inbox.set_trees(&self.trees);
    }

    /// Removes a home and its watches; returns the paths of its trees.
    pub(super) fn remove(&mut self, home: &Arc<Home>) -> Vec<PathBuf> {
        let roots = self.trees.roots.extract_if(.., |root| Arc::ptr_eq(&root.home, home));
        let roots: Vec<_> = roots.map(|root| root.path).collect();
        for root in &roots {
            self.watcher.forget(root);
            self.folders.retain(|folder, _| !folder.starts_with(root));
        }
        self.inbox.set_trees(&self.trees);
        roots
    }

    /// Watches the nearest folder above a missing tree; true if the next one has appeared meanwhile.
    fn wait_for(
        &mut self,
        index: usize,
        root: &Root,
        (nearest, rest): (&Above, &Path),
        waiting: &mut BTreeSet<PathBuf>,
    ) -> bool {
        let folder = nearest.path.clone();
        let wanted = root.is_awaited()
            && nearest.trust != watch::Trust::Nothing
            && watch::may_wait_in(&folder, &root.home.path);
        let awaited = match wanted.then(|| self.watcher.await_in(&folder)) {
            None => false,
            Some(Ok(())) => true,
            // The folder was just removed: another one is the nearest.
            Some(Err(WatchError::Missing)) => return true,
            Some(Err(_)) => false,
        };
        let path = folder.join(rest);
        let presence = if awaited { Presence::Awaited } else { Presence::Missing };
        if let Some(root) = self.trees.roots.get_mut(index)
            && (root.path != path || root.presence != presence)
        {
            (root.path, root.presence) = (path, presence);
            self.inbox.set_trees(&self.trees);
        }
        let next = folder.join(rest.iter().next().unwrap_or_default());
        if awaited {
            waiting.insert(folder);
        }
        awaited && next.is_dir()
    }

    /// The missing trees that are there by now, from here on present. Of the others those where sessions begin are
    /// waited for.
    pub(super) fn arrived(&mut self) -> Vec<Root> {
        let (mut arrived, mut seen, mut waiting) = (Vec::new(), Seen::default(), BTreeSet::new());
        for index in 0..self.trees.roots.len() {
            while let Some(root) = self.trees.roots.get_mut(index).filter(|root| !root.is_present()) {
                self.inbox.turn_to(&root.home);
                let missing = root.clone();
                let Some((nearest, rest)) = seen.nearest(&missing.configured) else { break };
                if rest.as_os_str().is_empty() && !root.is_superseded() {
                    (root.path, root.presence) = (nearest.path.clone(), Presence::Present);
                    arrived.push(root.clone());
                } else if !self.wait_for(index, &missing, (nearest, rest), &mut waiting) {
                    break;
                } else {
                    seen = Seen::default();
                }
            }
        }
        if !arrived.is_empty() {
            self.inbox.set_trees(&self.trees);
        }
        for folder in std::mem::replace(&mut self.waiting, waiting) {
            if !self.waiting.contains(&folder) && !self.folders.contains_key(&folder) {
                self.watcher.forget_only(&folder);
            }
        }
        arrived
    }

    /// The trees that have moved: a link may have another target.
    pub(super) fn moved(&self) -> Vec<PathBuf> {
        let moved = |root: &&Root| {
            self.inbox.turn_to(&root.home);
            root.is_present() && (root.leads_elsewhere() || !root.path.is_dir())
        };
        self.roots().iter().filter(moved).map(|root| root.path.clone()).collect()
    }

    /// Watches a folder of a tree, `level` levels below its root.
    pub(super) fn watch(&mut self, folder: &Path, level: usize) -> Result<(), WatchError> {
        self.watcher.watch(folder, level)
    }

    /// Some systems do not report that a watched folder was removed or replaced: ends such watches; the returned trees
    /// are to be watched again.
    pub(super) fn doubt(&mut self) -> Vec<Root> {
        for folder in &self.waiting {
            self.watcher.forget_only(folder);
        }
        if !cfg!(windows) {
            return Vec::new();
        }
        for root in &self.trees.roots {
            self.watcher.forget_only(&root.path);
        }
        self.roots().iter().filter(|root| root.is_present()).cloned().collect()
    }

    /// Handles a change of a folder above trees, which may have ended its watch; returns the trees below it.
    pub(super) fn above_changed(&mut self, folder: &Path) -> Vec<PathBuf> {
        self.watcher.forget_only(folder);
        let below = |root: &&Root| root.is_present() && root.path.starts_with(folder);
        self.roots().iter().filter(below).map(|root| root.path.clone()).collect()
    }

    /// Drops the trees of earlier versions in a home.
    pub(super) fn supersede(&mut self, home: &Arc<Home>) {
        let is_it = |root: &&Root| {
            root.tree.purpose == Purpose::Superseded && root.is_present() && Arc::ptr_eq(&root.home, home)
        };
        let superseded: Vec<_> = self.roots().iter().filter(is_it).map(|root| root.path.clone()).collect();
        for root in superseded {
            self.lose(&root);
        }
    }

    /// Ends the watches of a replaced folder.
    pub(super) fn forget(&mut self, folder: &Path) {
        self.watcher.forget(folder);
    }

    /// Prepares a folder for a new listing, with a new watch.
    pub(super) fn refresh(&mut self, folder: &Path) {
        let known = self.folders.get(folder).map(|known| known.identity);
        if !WHOLE_TREES || known != Stamp::look(folder).ok().map(|stamp| stamp.identity) {
            self.watcher.forget(folder);
        }
    }

    pub(super) fn knows(&self, folder: &Path) -> bool {
        self.folders.contains_key(folder)
    }

    /// Notes that a folder was listed; `stamp` is from the beginning of the listing.
    pub(super) fn listed(&mut self, folder: &Path, level: usize, stamp: Stamp, now: Timestamp) {
        let modified = Some(stamp.modified).filter(|modified| later(*modified, TIME_STEP) < now);
        self.folders.insert(folder.to_owned(), Folder { level, identity: stamp.identity, modified });
    }

    /// Whether a folder was replaced since its listing, and whether its entries may have changed.
    pub(super) fn compare(&self, folder: &Path, stamp: Stamp) -> (bool, bool) {
        let known = self.folders.get(folder);
        let same =
            |known: &Folder| (known.identity != stamp.identity, known.modified != Some(stamp.modified));
        known.map_or((false, true), same)
    }

    /// Removes a folder and those below it; returns whether it was a tree.
    pub(super) fn lose(&mut self, folder: &Path) -> bool {
        self.watcher.forget(folder);
        self.folders.retain(|path, _| !path.starts_with(folder));
        let mut is_root = false;
        for root in self.trees.roots.iter_mut().filter(|root| root.is_present() && root.path == folder) {
            root.presence = Presence::Missing;
            is_root = true;
        }
        is_root
    }
}

impl Seen {
    /// The nearest folder above a path, or the path itself where it is one, and the rest of the path.
    fn nearest<'a>(&mut self, path: &'a Path) -> Option<(&Above, &'a Path)> {
        let there = path.ancestors().find(|folder| {
            let look = || folder.is_dir().then(|| Above { path: real(folder), trust: watch::trust(folder) });
            self.0.entry((*folder).to_owned()).or_insert_with(look).is_some()
        })?;
        Some((self.0.get(there)?.as_ref()?, path.strip_prefix(there).ok()?))
    }
}

/// The path as the watcher reports it: on Windows as given; macOS reports only real paths.
pub(super) fn real(path: &Path) -> PathBuf {
    if cfg!(windows) { path.to_owned() } else { real_path::real(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_above_missing_trees_are_looked_at_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().canonicalize().unwrap();
        let mut seen = Seen::default();
        let mut nearest = |below: &str| {
            let tree = path.join(below);
            let (above, rest) = seen.nearest(&tree).unwrap();
            (above.path.clone(), rest.to_owned())
        };
        assert_eq!(nearest("agent/sessions"), (path.clone(), "agent/sessions".into()));
        // What comes later is found by the next look around, and by events.
        std::fs::create_dir_all(path.join("agent/archive")).unwrap();
        assert_eq!(nearest("agent/archive/old"), (path.join("agent/archive"), "old".into()));
        assert_eq!(nearest("agent/register"), (path.clone(), "agent/register".into()));
        assert_eq!(nearest(""), (path.clone(), PathBuf::new()));
    }
}
