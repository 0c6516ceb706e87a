//! The files that a Claude Code transcript has lines in common with, whether or not it names them.
//!
//! A copy that names nobody begins with the same line, or with one from the middle of its original where it begins at a
//! compaction. Which of two files that begin alike is the original is decided by [`Relative::precedes`], the same way
//! for both; of those that are followed already, what one counts is not counted by another.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Home;
use super::lineage::{Head, MOST_HEADS, read_rows};
use super::open::Opened;
use super::reader::Reader;
use crate::core::file::{LineageRequest, UsageRow};
use crate::core::lines::Finder;
use crate::core::source::relatives::Relative;
use crate::core::source_event::FileId;

impl Reader<'_> {
    /// The rows of what belongs to other files than `own`, of a session or of a helper.
    pub(super) fn claude_relatives(
        &mut self,
        home: &Arc<Home>,
        request: &LineageRequest,
        own: &Path,
        parents: &[PathBuf],
    ) -> Vec<Vec<UsageRow>> {
        let mut rows = self.of_same_session(home, own);
        if request.only_named {
            rows.extend(self.preceding(home, own, parents.to_vec()));
        } else {
            // A helper may repeat any message of a parent that is much larger than itself.
            rows.extend(parents.iter().filter_map(|path| self.all_rows(path)));
        }
        if parents.is_empty() || request.only_named {
            rows.extend(self.originals(home, request, own));
        }
        rows
    }

    /// Gives the fold of `id` the rows of its helpers' files, if it wants them.
    pub(super) fn ask_helpers(&mut self, id: FileId) {
        let Some(tail) = self.files.get(id).filter(|tail| tail.count.is_none()) else { return };
        if !tail.fold.as_ref().is_some_and(|fold| fold.helpers_wanted(true)) {
            return;
        }
        let (files, agent) = (helper_files(&tail.path), tail.home.agent);
        let rows: Vec<_> =
            files.iter().filter_map(|path| read_rows(agent, path, u64::MAX, &mut self.chunks)).collect();
        if let Some(tail) = self.files.get_mut(id) {
            tail.helped = true;
            tail.fold.iter_mut().for_each(|fold| fold.set_helpers(&rows, true));
        }
    }

    /// What other files of the same session count, which are followed where this one is. From now on the two of them ask
    /// for each new message whether the other one has it.
    fn of_same_session(&mut self, home: &Arc<Home>, own: &Path) -> Vec<Vec<UsageRow>> {
        let name = own.file_name().and_then(OsStr::to_str);
        let Some(session) = name.and_then(home.agent.spec().layout.thread) else { return Vec::new() };
        let mut same = self.files_of(session);
        if same.len() < 2 {
            return Vec::new();
        }
        same.retain(|path| self.files.at(path).is_some());
        for path in &same {
            if let Some(tail) = self.awake(path) {
                tail.shared = true;
                tail.fold.iter_mut().for_each(|fold| fold.share());
            }
        }
        same.iter().filter(|path| *path != own).filter_map(|path| self.counted(path)).collect()
    }

    /// What a file that is followed counts.
    fn counted(&mut self, path: &Path) -> Option<Vec<UsageRow>> {
        let tail = self.awake(path)?;
        tail.fold.as_ref()?.counted().filter(|_| tail.count.is_none())
    }

    /// The rows of the files that begin with the same line as `own` and were there before, or have that line elsewhere.
    fn originals(&mut self, home: &Arc<Home>, request: &LineageRequest, own: &Path) -> Vec<Vec<UsageRow>> {
        let (Some(own_head), Some(first_line)) = (self.head_of(home, own), &request.first_line) else {
            return Vec::new();
        };
        let (mut alike, mut longer) = (Vec::new(), Vec::new());
        for path in self.near(own) {
            let Some(head) = self.head_of(home, &path) else { continue };
            if head.id == own_head.id || head.subagent && !own_head.subagent {
                continue;
            }
            if head.first_line.as_ref() == Some(first_line) {
                alike.push(path);
            } else if request.midway && self.has_text(&path, first_line.as_bytes()) {
                longer.push(path);
            }
        }
        let mut rows = self.preceding(home, own, alike);
        rows.extend(longer.iter().filter_map(|path| self.all_rows(path)));
        rows
    }

    /// Of files that have lines in common with `own`, the rows of what they count or had before.
    fn preceding(&mut self, home: &Arc<Home>, own: &Path, others: Vec<PathBuf>) -> Vec<Vec<UsageRow>> {
        let (mut rows, mut unknown) = (Vec::new(), Vec::new());
        for path in others {
            match self.counted(&path) {
                Some(counted) => rows.push(counted),
                None => unknown.push(path),
            }
        }
        if unknown.is_empty() {
            return rows;
        }
        let (Some(head), Some(own_rows)) = (self.head_of(home, own), self.all_rows(own)) else { return rows };
        let own = relative(&head, own, &own_rows);
        for path in unknown {
            if let (Some(head), Some(theirs)) = (self.head_of(home, &path), self.all_rows(&path))
                && relative(&head, &path, &theirs).precedes(&own)
            {
                rows.push(theirs);
            }
        }
        rows
    }

    /// Whether a file has this text anywhere.
    fn has_text(&mut self, path: &Path, text: &[u8]) -> bool {
        let Ok(mut opened) = Opened::open(path) else { return false };
        let mut finder = Finder::new(text);
        let whole = self.chunks.stream(&mut opened.file, 0, u64::MAX, |bytes| finder.push(bytes));
        whole.is_ok() && finder.has_found()
    }

    /// Other files, those of the same folder first: copies are made there.
    fn near(&self, own: &Path) -> Vec<PathBuf> {
        let files = || self.index.iter().flat_map(|index| &index.files).map(|(_, path)| path);
        let (beside, elsewhere): (Vec<_>, Vec<_>) = files().partition(|path| path.parent() == own.parent());
        let others = beside.into_iter().chain(elsewhere).filter(|path| path.as_path() != own);
        others.take(MOST_HEADS).cloned().collect()
    }
}

/// The files of a session's helpers.
pub(crate) fn helper_files(session: &Path) -> Vec<PathBuf> {
    const LEVELS: usize = 2;
    let mut folders = vec![(session.with_extension("").join("subagents"), LEVELS)];
    let mut files = Vec::new();
    while let Some((folder, levels)) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_helper =
                name.to_str().is_some_and(|name| name.starts_with("agent-") && name.ends_with(".jsonl"));
            if is_helper {
                files.push(path);
            } else if levels > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push((path, levels - 1));
            }
        }
    }
    files.sort_unstable();
    files
}

fn relative<'a>(head: &'a Head, path: &'a Path, rows: &'a [UsageRow]) -> Relative<'a> {
    Relative { id: &head.id, forked: head.copy, path, rows }
}
