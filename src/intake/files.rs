//! The followed files, found by id, by path and by what the file system calls them.
//!
//! Keeps the three in step, nothing else.
//! Read next: `notice`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::tail::Tail;
use crate::core::source_event::{FileId, FileIdentity};

#[derive(Debug)]
pub(super) struct Files {
    /// Boxed: the map's nodes are half empty.
    tails: BTreeMap<FileId, Box<Tail>>,
    by_path: BTreeMap<Arc<Path>, FileId>,
    by_identity: BTreeMap<FileIdentity, FileId>,
    next: u64,
}

impl Files {
    pub(super) fn new() -> Self {
        Self { tails: BTreeMap::new(), by_path: BTreeMap::new(), by_identity: BTreeMap::new(), next: 1 }
    }

    pub(super) fn insert(&mut self, tail: Tail) -> FileId {
        let id = FileId::new(self.next);
        self.next += 1;
        self.put(id, tail);
        id
    }

    /// Puts another reading in the place of `id`.
    pub(super) fn put(&mut self, id: FileId, tail: Tail) {
        self.remove(id);
        self.by_path.insert(Arc::clone(&tail.path), id);
        self.by_identity.insert(tail.stamp.identity, id);
        self.tails.insert(id, Box::new(tail));
    }

    pub(super) fn remove(&mut self, id: FileId) -> Option<Tail> {
        let tail = *self.tails.remove(&id)?;
        self.by_path.remove(&tail.path);
        if self.by_identity.get(&tail.stamp.identity) == Some(&id) {
            self.by_identity.remove(&tail.stamp.identity);
        }
        Some(tail)
    }

    /// The same file has another path now.
    pub(super) fn rename(&mut self, id: FileId, path: &Path) {
        if let Some(mut tail) = self.remove(id) {
            tail.path = path.into();
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
        self.by_path.get(path).copied()
    }

    pub(super) fn with(&self, identity: FileIdentity) -> Option<FileId> {
        self.by_identity.get(&identity).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (FileId, &Tail)> {
        self.tails.iter().map(|(id, tail)| (*id, tail.as_ref()))
    }

    /// The ids of those that `wanted` picks, for when the files change on the way.
    pub(super) fn ids(&self, wanted: impl Fn(&Tail) -> bool) -> Vec<FileId> {
        self.iter().filter(|(_, tail)| wanted(tail)).map(|(id, _)| id).collect()
    }
}
