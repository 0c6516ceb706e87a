//! The followed files, indexed by id, path and identity; which of them end inside a line, and which are to be counted.
//!
//! Read next: `notice`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::file_path::{FilePath, SharedFolders};
use super::tail::Tail;
use crate::core::source_event::{FileId, FileIdentity};

/// A file that was not written to for so long is at rest.
const REST: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Files {
    /// Boxed, because the map's nodes are half empty.
    tails: BTreeMap<FileId, Box<Tail>>,
    /// By hashes of paths and identities: these are smaller, and their random order fills the nodes better than an
    /// ascending one.
    named: BTreeSet<(u64, FileId)>,
    folders: SharedFolders,
    next: Arc<AtomicU64>,
    /// When files that end inside a line are at rest.
    resting: BTreeMap<FileId, Duration>,
    /// Large files whose count is not complete.
    counting: VecDeque<FileId>,
}

impl Files {
    /// New files get numbers from `next` on.
    pub(super) fn new(next: Arc<AtomicU64>) -> Self {
        Self {
            tails: BTreeMap::new(),
            named: BTreeSet::new(),
            folders: SharedFolders::default(),
            next,
            resting: BTreeMap::new(),
            counting: VecDeque::new(),
        }
    }

    /// A new id.
    pub(super) fn next_id(&mut self) -> FileId {
        FileId::new(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn insert(&mut self, tail: Tail) -> FileId {
        let id = self.next_id();
        self.put(id, tail);
        id
    }

    /// Replaces the reading of `id`.
    pub(super) fn put(&mut self, id: FileId, mut tail: Tail) {
        self.remove(id);
        self.folders.share(&mut tail.path);
        self.named.extend(names(&tail).map(|name| (name, id)));
        self.tails.insert(id, Box::new(tail));
    }

    pub(super) fn remove(&mut self, id: FileId) -> Option<Tail> {
        let tail = *self.tails.remove(&id)?;
        for name in names(&tail) {
            self.named.remove(&(name, id));
        }
        self.folders.leave(&tail.path);
        Some(tail)
    }

    /// The file has moved to another path.
    pub(super) fn rename(&mut self, id: FileId, path: &Path) {
        if let Some(mut tail) = self.remove(id) {
            tail.path = FilePath::new(path);
            self.put(id, tail);
        }
    }

    pub(super) fn get(&self, id: FileId) -> Option<&Tail> {
        self.tails.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: FileId) -> Option<&mut Tail> {
        self.tails.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn len(&self) -> usize {
        self.tails.len()
    }

    pub(super) fn at(&self, path: &Path) -> Option<FileId> {
        self.find(hash(path), |tail| tail.path.is(path))
    }

    pub(super) fn with(&self, identity: FileIdentity) -> Option<FileId> {
        self.find(hash(&identity), |tail| tail.stamp.identity == identity)
    }

    /// Different files may have the same hash, so each candidate is checked.
    fn find(&self, name: u64, is_it: impl Fn(&Tail) -> bool) -> Option<FileId> {
        let same = self.named.range((name, FileId::new(0))..=(name, FileId::new(u64::MAX)));
        same.map(|(_, id)| *id).rfind(|id| self.get(*id).is_some_and(&is_it))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (FileId, &Tail)> {
        self.tails.iter().map(|(id, tail)| (*id, tail.as_ref()))
    }

    /// The ids of the `wanted` files, for loops that change the files.
    pub(super) fn ids(&self, wanted: impl Fn(&Tail) -> bool) -> Vec<FileId> {
        self.iter().filter(|(_, tail)| wanted(tail)).map(|(id, _)| id).collect()
    }

    /// Notes that a file has grown. A last line without a line break counts when nothing has followed for a while.
    pub(super) fn grown(&mut self, id: FileId, mono: Duration) {
        let Some(tail) = self.tails.get_mut(&id) else { return };
        tail.grown_at = mono;
        if tail.unfinished() > 0 {
            self.resting.insert(id, mono.saturating_add(REST));
        } else {
            self.resting.remove(&id);
        }
    }

    /// The files that end inside a line and are at rest.
    pub(super) fn rested(&mut self, mono: Duration) -> Vec<FileId> {
        self.resting.extract_if(.., |_, at| *at <= mono).map(|(id, _)| id).collect()
    }

    /// When the next file is at rest.
    pub(super) fn next_rest(&self) -> Option<Duration> {
        self.resting.values().min().copied()
    }

    /// Notes that a file was read to its present end; if only its ends were read, it is to be counted.
    pub(super) fn caught_up(&mut self, id: FileId) {
        let Some(tail) = self.tails.get_mut(&id) else { return };
        tail.fold.iter_mut().for_each(|fold| fold.caught_up());
        if tail.count.is_some() && !self.counting.contains(&id) {
            self.counting.push_back(id);
        }
    }

    pub(super) fn is_any_to_count(&self) -> bool {
        !self.counting.is_empty()
    }

    /// The next file to count.
    pub(super) fn next_to_count(&mut self) -> Option<(FileId, &mut Tail)> {
        let tails = &self.tails;
        self.counting.retain(|id| tails.get(id).is_some_and(|tail| tail.count.is_some()));
        let id = *self.counting.front()?;
        Some((id, self.tails.get_mut(&id)?))
    }

    /// The next file was counted, or cannot be counted now.
    pub(super) fn counted(&mut self) {
        self.counting.pop_front();
    }
}

/// The hashes by which a file is found.
fn names(tail: &Tail) -> [u64; 2] {
    [hash(&*tail.path.whole()), hash(&tail.stamp.identity)]
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
