//! Which files begin with the same line: a file asks the others about its messages only where there are such.
//!
//! Read next: `lineage`, whose index this is a part of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use super::Home;
use super::file_path::FilePath;
use super::lineage::MOST_HEADS;
use super::reader::Reader;
use super::tail::Tail;
use crate::core::source::relatives::Head;
use crate::core::source_event::FileId;

/// Which files begin with a line: of those at hand, and of others as far as they were looked at. Most lines are one
/// file's only, which then has no other file to compare itself with.
#[derive(Debug, Default)]
pub(super) struct FirstLines {
    files: BTreeMap<String, BTreeSet<PathBuf>>,
    /// How many files came to hand since this was made. Those at hand take no other file's place among those looked at.
    more: usize,
    /// Those of a folder that are still to be looked at.
    beside: BTreeMap<Arc<Path>, Ahead>,
    /// The same of all folders.
    everywhere: Ahead,
}

/// Files to look at, by their places in the index, the newest first.
#[derive(Debug, Default)]
struct Ahead {
    files: vec::IntoIter<usize>,
    /// How many were opened.
    opened: usize,
}

impl Ahead {
    fn new(files: impl DoubleEndedIterator<Item = usize>) -> Self {
        Self { files: files.rev().collect::<Vec<_>>().into_iter(), opened: 0 }
    }
}

impl FirstLines {
    fn add(&mut self, path: PathBuf, head: Option<Head>) {
        if let Some(line) = head.and_then(|head| head.first_line) {
            self.files.entry(line).or_default().insert(path);
        }
    }

    fn add_known(&mut self, tail: &Tail) {
        if let Some(fold) = &tail.fold {
            self.add(tail.path.whole(), fold.head());
        }
    }
}

impl Reader<'_> {
    /// The other files that begin with this line: those at hand, then those of the same folder, because copies are made
    /// there, then the newest.
    pub(super) fn files_with(&mut self, line: &str, home: &Arc<Home>, own: &Path) -> Vec<PathBuf> {
        let lines = self.relations.index.as_mut().and_then(|index| index.lines.take());
        let mut lines = lines.unwrap_or_else(|| self.first_lines(home));
        let most = MOST_HEADS.saturating_add(lines.more.min(MOST_HEADS));
        let mut beside = own.parent().and_then(|folder| lines.beside.remove_entry(folder));
        if let Some((_, beside)) = &mut beside {
            self.look_ahead(home, beside, most, &mut lines);
        }
        if beside.as_ref().is_none_or(|(_, beside)| beside.opened < most) {
            let mut everywhere = std::mem::take(&mut lines.everywhere);
            self.look_ahead(home, &mut everywhere, most, &mut lines);
            lines.everywhere = everywhere;
        }
        lines.beside.extend(beside);
        let files = lines.files.get(line).into_iter().flatten().rev().filter(|path| **path != *own).cloned();
        let (mut files, mut old): (Vec<_>, Vec<_>) = files.partition(|path| self.is_awake(path));
        old.sort_by_key(|path| path.parent() != own.parent());
        old.truncate(MOST_HEADS);
        files.append(&mut old);
        if let Some(index) = &mut self.relations.index {
            index.lines = Some(lines);
        }
        files
    }

    fn first_lines(&self, home: &Arc<Home>) -> FirstLines {
        let files = self.relations.index.as_ref().map_or(&[][..], |index| &index.files);
        let mut beside = BTreeMap::<Arc<Path>, Vec<usize>>::new();
        for (place, file) in files.iter().enumerate() {
            beside.entry(Arc::clone(file.folder())).or_default().push(place);
        }
        let beside = beside.into_iter();
        let mut lines = FirstLines {
            beside: beside.map(|(folder, files)| (folder, Ahead::new(files.into_iter()))).collect(),
            everywhere: Ahead::new(0..files.len()),
            ..FirstLines::default()
        };
        for (_, tail) in self.files.iter().filter(|(_, tail)| tail.home.agent == home.agent) {
            lines.add_known(tail);
        }
        lines
    }

    fn look_ahead(&mut self, home: &Home, ahead: &mut Ahead, most: usize, lines: &mut FirstLines) {
        while ahead.opened < most
            && let Some(place) = ahead.files.next()
        {
            let file = self.relations.index.as_ref().and_then(|index| index.files.get(place));
            let Some(path) = file.map(FilePath::whole) else { continue };
            if !self.is_awake(&path) {
                ahead.opened += 1;
                let head = self.head_of(home, &path);
                lines.add(path, head);
            }
        }
    }

    /// What was read of a file is at hand from now on.
    pub(super) fn has_come_to_hand(&mut self, id: FileId) {
        if let Some(tail) = self.files.get(id)
            && let Some(index) = &mut self.relations.index
            && let Some(lines) = index.lines.as_mut().filter(|_| index.agent == tail.home.agent)
        {
            lines.more = lines.more.saturating_add(1);
            lines.add_known(tail);
        }
    }
}
