//! The original of a file that was copied without a word of where from, as older versions of Claude Code resumed sessions.
//!
//! A copy begins with the same line. Which of two such files is the original is decided by
//! [`Relative::precedes`], the same way for both, so that every message is counted in one of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Home;
use super::fold::{Fold, Head};
use super::lineage::MOST_HEADS;
use super::reader::Reader;
use crate::core::file::{LineageRequest, UsageRow};
use crate::core::source::claude::lineage::Relative;

impl<F: Fold> Reader<'_, F> {
    /// The rows of the files that begin with the same line as `own` and were there before.
    pub(super) fn originals(
        &mut self,
        home: &Arc<Home>,
        request: &LineageRequest,
        own: &Path,
    ) -> Vec<Vec<UsageRow>> {
        let Some(own_head) = self.head_of(home, own).filter(|_| request.first_line.is_some()) else {
            return Vec::new();
        };
        let mut relatives = Vec::new();
        for path in self.near(own) {
            if let Some(head) = self.head_of(home, &path)
                && head.first_line == request.first_line
                && (own_head.subagent || !head.subagent)
            {
                relatives.push((path, head));
            }
        }
        if relatives.is_empty() {
            return Vec::new();
        }
        let Some(own_rows) = self.all_rows(own) else { return Vec::new() };
        let own = relative(&own_head, &own_rows);
        let with_rows = relatives.into_iter().filter_map(|(path, head)| Some((head, self.all_rows(&path)?)));
        let before = with_rows.filter(|(head, rows)| relative(head, rows).precedes(&own));
        before.map(|(_, rows)| rows).collect()
    }

    /// Other files, those of the same folder first: copies are made there.
    fn near(&self, own: &Path) -> Vec<PathBuf> {
        let files = || self.index.iter().flat_map(|index| &index.files).map(|(_, path)| path);
        let (beside, elsewhere): (Vec<_>, Vec<_>) = files().partition(|path| path.parent() == own.parent());
        let others = beside.into_iter().chain(elsewhere).filter(|path| path.as_path() != own);
        others.take(MOST_HEADS).cloned().collect()
    }
}

fn relative<'a>(head: &'a Head, rows: &'a [UsageRow]) -> Relative<'a> {
    Relative { id: &head.id, forked: head.parent.is_some(), rows }
}
