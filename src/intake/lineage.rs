//! Whose history a forked file has copied: finds the parent's file, else its other children's.
//!
//! The usage rows of these files are all that is read of them, and no more of a file than a copy could have taken from it.
//! Read next: `originals`, for copies that name nobody; [`crate::core::file`], which compares the rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Home;
use super::open::{Chunks, Opened, Stamp};
use super::reader::Reader;
use super::tail::{Tail, located};
use crate::core::file::{LineageRequest, RowReader, SessionFile, UsageRow};
use crate::core::source::Agent;
use crate::core::source_event::FileId;

/// How many files with the same parent are read.
const MOST_SIBLINGS: usize = 64;
/// How many files are opened to find them.
pub(super) const MOST_HEADS: usize = 256;
/// A copy's lines may be longer than the original's by what was stamped anew; this much more is read of the original.
const MARGIN: u64 = 1024 * 1024;
/// A beginning is read in pieces of this size until it says whose it is.
const STEP: u64 = 64 * 1024;

/// The session files of one home by the conversation in their names, sorted by it: Codex's ids of today's form begin
/// with a time, so the newest are last. Made when it is needed and dropped as soon as the intake has nothing more to do.
#[derive(Debug)]
pub(super) struct Index {
    home: Arc<Home>,
    /// How many files the intake had met when this was made.
    met: u64,
    pub(super) files: Vec<(String, PathBuf)>,
    /// What is known of files that are not followed.
    heads: BTreeMap<PathBuf, Head>,
    /// Rows that were read: a conversation's helpers all ask for the same.
    rows: BTreeMap<PathBuf, (Stamp, Vec<UsageRow>)>,
}

/// What the beginning of a file says of its relations.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// The conversation it belongs to.
    pub(super) id: String,
    /// The conversation that it was copied from or started by.
    parent: Option<String>,
    /// Whether it shows by itself that it was copied.
    pub(super) copy: bool,
    /// The first line's own id, which copies keep; only Claude Code's lines have one.
    pub(super) first_line: Option<String>,
    /// Whether another conversation started it.
    pub(super) subagent: bool,
}

impl Head {
    /// `None` until the first line has been read.
    fn of(file: &SessionFile) -> Option<Self> {
        let (id, parent) = file.family()?;
        Some(Self {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            copy: file.is_copy(),
            first_line: file.first_line().map(str::to_owned),
            subagent: file.is_subagent(),
        })
    }
}

impl Reader<'_> {
    /// Gives the fold of `id` the rows it wants. Where none were found, it is asked again when other files have appeared.
    pub(super) fn ask_lineage(&mut self, id: FileId) {
        let met = self.met;
        let Some(tail) = self.files.get_mut(id) else { return };
        // The ends of a file tell no share of copied history; the count will ask.
        if tail.count.is_some() || tail.lineage_asked == Some(met) && !tail.shared {
            return;
        }
        let Some(request) = tail.fold.as_ref().and_then(|fold| fold.lineage_wanted()) else { return };
        tail.lineage_asked = Some(met);
        let copied = tail.position.offset.saturating_mul(2).saturating_add(MARGIN);
        let most = if request.whole { u64::MAX } else { copied };
        let (home, own) = (Arc::clone(&tail.home), tail.path.clone());
        self.make_index(&home);
        let mut parents = self.files_of(&request.parent);
        parents.retain(|path| **path != *own);
        let candidates = if home.agent == Agent::CODEX {
            // What others made of the same history says nothing of what is repeated of it.
            let is_copied = parents.is_empty() && !request.whole;
            let paths = if is_copied { self.siblings(&home, &request, &own) } else { parents };
            paths.iter().filter_map(|path| read_rows(home.agent, path, most, &mut self.chunks)).collect()
        } else {
            self.claude_relatives(&home, &request, &own, &parents)
        };
        if let Some(tail) = self.files.get_mut(id)
            && let Some(fold) = &mut tail.fold
        {
            fold.set_lineage(&candidates);
        }
    }

    /// The files whose names say they are `thread`'s.
    pub(super) fn files_of(&self, thread: &str) -> Vec<PathBuf> {
        let files = self.index.iter().flat_map(|index| &index.files);
        files.filter(|(known, _)| known == thread).map(|(_, path)| path.clone()).collect()
    }

    /// Other files that name the same parent: live ones, then the newest of the others.
    fn siblings(&mut self, home: &Arc<Home>, request: &LineageRequest, own: &Path) -> Vec<PathBuf> {
        let is_sibling = |head: Option<&Head>| {
            head.is_some_and(|head| head.parent.as_deref() == Some(request.parent.as_str()))
        };
        let head = |tail: &Tail| tail.fold.as_deref().and_then(Head::of);
        let related = |tail: &Tail| Arc::ptr_eq(&tail.home, home) && is_sibling(head(tail).as_ref());
        let live = self.files.iter().filter(|(_, tail)| related(tail) && *tail.path != *own);
        let mut paths: Vec<_> = live.map(|(_, tail)| tail.path.to_path_buf()).take(MOST_SIBLINGS).collect();
        let listed = self.index.iter().flat_map(|index| index.files.iter().rev());
        let old = listed.map(|(_, path)| path).filter(|path| !self.is_awake(path));
        for path in old.take(MOST_HEADS).cloned().collect::<Vec<_>>() {
            if paths.len() >= MOST_SIBLINGS {
                break;
            }
            if is_sibling(self.head_of(home, &path).as_ref()) {
                paths.push(path);
            }
        }
        paths
    }

    /// Whether a file is followed, and what was read of it is at hand.
    fn is_awake(&self, path: &Path) -> bool {
        self.files.at(path).and_then(|id| self.files.get(id)).is_some_and(|tail| tail.fold.is_some())
    }

    /// The followed file at `path` with what was read of it at hand.
    pub(super) fn awake(&mut self, path: &Path) -> Option<&mut Tail> {
        let id = self.files.at(path)?;
        let tail = self.files.get_mut(id)?;
        if tail.fold.is_none() {
            let mut opened = Opened::open(path).ok()?;
            tail.wake(&mut opened, &mut self.chunks).ok().filter(|woke| *woke)?;
        }
        Some(tail)
    }

    /// What the beginning of a file says of its relations.
    pub(super) fn head_of(&mut self, home: &Home, path: &Path) -> Option<Head> {
        if let Some(fold) =
            self.files.at(path).and_then(|id| self.files.get(id)).and_then(|tail| tail.fold.as_deref())
        {
            return Head::of(fold);
        }
        if let Some(known) = self.index.as_ref().and_then(|index| index.heads.get(path)) {
            return Some(known.clone());
        }
        let mut opened = Opened::open(path).ok()?;
        let mut fold =
            located(SessionFile::new(home.agent, Arc::clone(&home.label), self.config.live_since), path);
        let mut passed = 0;
        while fold.family().is_none() && passed < self.config.sizes.ends.head {
            let count = self.chunks.stream(&mut opened.file, passed, STEP, |bytes| fold.push(bytes)).ok()?;
            if count == 0 {
                break;
            }
            passed += count;
        }
        let head = Head::of(&fold)?;
        if let Some(index) = &mut self.index {
            index.heads.insert(path.to_owned(), head.clone());
        }
        Some(head)
    }

    /// All usage rows of a file as it is now; `None` when it cannot be read.
    pub(super) fn all_rows(&mut self, path: &Path) -> Option<Vec<UsageRow>> {
        let stamp = Stamp::look(path).ok()?;
        let known = self.index.as_ref().and_then(|index| index.rows.get(path));
        if let Some((_, rows)) = known.filter(|(of, _)| *of == stamp) {
            return Some(rows.clone());
        }
        let rows = read_rows(self.index.as_ref()?.home.agent, path, u64::MAX, &mut self.chunks)?;
        if let Some(index) = &mut self.index {
            index.rows.insert(path.to_owned(), (stamp, rows.clone()));
        }
        Some(rows)
    }

    pub(super) fn make_index(&mut self, home: &Arc<Home>) {
        let usable = |index: &Index| Arc::ptr_eq(&index.home, home) && index.met == self.met;
        if !self.index.as_ref().is_some_and(usable) {
            let (files, home) = (self.list_threads(home), Arc::clone(home));
            let (heads, rows) = (BTreeMap::new(), BTreeMap::new());
            self.index = Some(Index { home, met: self.met, files, heads, rows });
        }
    }

    fn list_threads(&self, home: &Arc<Home>) -> Vec<(String, PathBuf)> {
        let thread = home.agent.spec().layout.thread;
        let folders = self.folders.keys();
        let own = folders.filter(|folder| self.is_in(folder, home));
        let entries = own.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some((thread(entry.file_name().to_str()?)?.to_owned(), entry.path())))
            .collect();
        files.sort_unstable();
        files
    }
}

/// The usage rows in the first `most` bytes of a file; `None` when it cannot be read.
pub(super) fn read_rows(agent: Agent, path: &Path, most: u64, chunks: &mut Chunks) -> Option<Vec<UsageRow>> {
    let mut opened = Opened::open(path).ok()?;
    let mut reader = RowReader::new(agent);
    chunks.stream(&mut opened.file, 0, most, |bytes| reader.push(bytes)).ok()?;
    Some(reader.finish())
}
