//! Finds files that begin with the same line: a file compares its messages only with those.
//!
//! Read next: `lineage`, which has the index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Home;
use super::file_path::FilePath;
use super::lineage::MOST_HEADS;
use super::reader::Reader;
use super::tail::Tail;
use crate::core::fingerprint;
use crate::core::source::relatives::Head;
use crate::core::source_event::FileId;

/// The files by their first lines: followed ones with their content in memory ("at hand"), and others as far as they
/// were opened. Most lines begin only one file, which then has no other to compare itself with.
#[derive(Debug, Default)]
pub(super) struct FirstLines {
    at_hand: BTreeSet<(Line, FileId)>,
    looked_at: BTreeSet<(Line, Place)>,
    /// How many files came to hand since this was made. They do not count against the limit of opened files.
    more: usize,
    /// The files of each folder that are not opened yet.
    beside: BTreeMap<Arc<Path>, Ahead>,
    /// The files of all folders that are not opened yet.
    everywhere: Ahead,
}

/// A line's hash; a few false matches do no harm.
type Line = u64;

/// The position of a file in the index.
type Place = usize;

/// Files to open, the newest last.
#[derive(Debug, Default)]
struct Ahead {
    files: Vec<Place>,
    /// How many were opened.
    opened: usize,
}

impl Ahead {
    fn new(files: impl Iterator<Item = Place>) -> Self {
        Self { files: files.collect(), opened: 0 }
    }
}

impl FirstLines {
    /// A file has come into the index.
    pub(super) fn listed(&mut self, place: Place, folder: &Path) {
        self.more = self.more.saturating_add(1);
        self.everywhere.files.push(place);
        self.beside.entry(Arc::from(folder)).or_default().files.push(place);
    }

    fn add(&mut self, id: FileId, tail: &Tail) {
        let line = tail.fold.as_ref().and_then(|fold| line_of(fold.head()?));
        self.at_hand.extend(line.map(|line| (line, id)));
    }
}

fn line_of(head: Head) -> Option<Line> {
    head.first_line.map(|line| fingerprint::short(line.as_bytes()))
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
        let line = fingerprint::short(line.as_bytes());
        let at_hand = lines.at_hand.range((line, FileId::new(0))..=(line, FileId::new(u64::MAX)));
        let at_hand = at_hand.filter_map(|(_, id)| Some(&self.files.get(*id)?.path));
        let looked_at = lines.looked_at.range((line, Place::MIN)..=(line, Place::MAX));
        let looked_at = looked_at.filter_map(|(_, place)| self.listed(*place));
        let files: BTreeSet<_> = at_hand.chain(looked_at).filter(|file| !file.is(own)).collect();
        let files = files.into_iter().rev().map(FilePath::whole);
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
        let mut beside = BTreeMap::<Arc<Path>, Vec<Place>>::new();
        for (place, file) in files.iter().enumerate() {
            beside.entry(Arc::clone(file.folder())).or_default().push(place);
        }
        let beside = beside.into_iter();
        let mut lines = FirstLines {
            beside: beside.map(|(folder, files)| (folder, Ahead::new(files.into_iter()))).collect(),
            everywhere: Ahead::new(0..files.len()),
            ..FirstLines::default()
        };
        for (id, tail) in self.files.iter().filter(|(_, tail)| tail.home.agent == home.agent) {
            lines.add(id, tail);
        }
        lines
    }

    fn listed(&self, place: Place) -> Option<&FilePath> {
        self.relations.index.as_ref()?.files.get(place)
    }

    fn look_ahead(&mut self, home: &Home, ahead: &mut Ahead, most: usize, lines: &mut FirstLines) {
        while ahead.opened < most
            && let Some(place) = ahead.files.pop()
        {
            let Some(path) = self.listed(place).map(FilePath::whole) else { continue };
            if !self.is_awake(&path) {
                ahead.opened += 1;
                let line = self.head_of(home, &path).and_then(line_of);
                lines.looked_at.extend(line.map(|line| (line, place)));
            }
        }
    }

    /// Adds a file whose content is in memory from now on.
    pub(super) fn has_come_to_hand(&mut self, id: FileId) {
        if let Some(tail) = self.files.get(id)
            && let Some(index) = &mut self.relations.index
            && let Some(lines) = index.lines.as_mut().filter(|_| index.agent == tail.home.agent)
        {
            lines.more = lines.more.saturating_add(1);
            lines.add(id, tail);
        }
    }
}
