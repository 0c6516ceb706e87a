//! Chooses which existing files are read, and in which order.
//!
//! Live files are read newest first, so that the freshest session is on the card first. Of older files only the names
//! of the newest few are stored, until one of them has given the limits.
//! Read next: `reader`, which reads the files chosen here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::open::Opened;
use super::reader::Reader;
use super::tail::Reading;
use crate::core::file::SessionFile;
use crate::core::source_event::SourceEvent;

/// The most old files that are read for a home's limits.
const MOST_OLD: usize = 50;

/// A file to read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) modified: Timestamp,
    pub(super) path: PathBuf,
}

/// The state of the search for a home's limits.
#[derive(Debug)]
pub(super) enum LimitsSearch {
    /// Folders are being listed: the newest old files so far.
    Listing(BinaryHeap<Reverse<Candidate>>),
    /// The remaining files, the newest last.
    Reading(Vec<PathBuf>),
    Done,
}

impl LimitsSearch {
    /// Begins a search; old files will be offered.
    pub(super) fn begin(&mut self) {
        if !matches!(self, Self::Listing(_)) {
            *self = Self::Listing(BinaryHeap::new());
        }
    }

    /// Whether a file of this age would be among the newest so far.
    pub(super) fn wants(&self, modified: Timestamp) -> bool {
        let Self::Listing(newest) = self else { return false };
        newest.len() < MOST_OLD || newest.peek().is_some_and(|Reverse(oldest)| oldest.modified <= modified)
    }

    pub(super) fn offer(&mut self, found: Candidate) {
        if let Self::Listing(newest) = self {
            newest.push(Reverse(found));
            if newest.len() > MOST_OLD {
                newest.pop();
            }
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// The next file to read; `None` when the search has ended.
    pub(super) fn next(&mut self) -> Option<PathBuf> {
        if let Self::Listing(newest) = self {
            let newest = std::mem::take(newest).into_sorted_vec();
            *self = Self::Reading(newest.into_iter().rev().map(|Reverse(found)| found.path).collect());
        }
        if let Self::Reading(paths) = self
            && let Some(path) = paths.pop()
        {
            return Some(path);
        }
        *self = Self::Done;
        None
    }
}

impl Reader<'_> {
    /// Reads one more old file for limits that no live file has.
    pub(super) fn search_limits(&mut self) -> ControlFlow<()> {
        let Some((home, path)) = self.homes.next_old() else { return ControlFlow::Continue(()) };
        self.inbox.turn_to(&home);
        // An unreadable file is skipped; the next one may have limits.
        let Ok(mut opened) = Opened::open(&path) else { return ControlFlow::Continue(()) };
        let live_since = self.config.live_since;
        let new = || SessionFile::new(home.agent, Arc::clone(&home.label), live_since);
        let reading = Reading::ends(new, &mut opened, &self.config.sizes.limits, &mut self.chunks);
        let Ok(Reading { mut fold, .. }) = reading else { return ControlFlow::Continue(()) };
        fold.caught_up();
        let Some(update) = fold.take_update() else { return ControlFlow::Continue(()) };
        self.homes.limits_found(&home, &update.limits);
        self.out.send(update.limits.into_iter().map(SourceEvent::limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_old_files_are_stored_and_the_newest_comes_first() {
        let mut search = LimitsSearch::Done;
        search.begin();
        for second in 0..1000 {
            let modified = Timestamp::from_second((second * 7919) % 1000).unwrap();
            if search.wants(modified) {
                search.offer(Candidate { modified, path: modified.as_second().to_string().into() });
            }
        }
        let order: Vec<_> = std::iter::from_fn(|| search.next()).collect();
        let expected: Vec<PathBuf> = (950..1000).rev().map(|second| second.to_string().into()).collect();
        assert_eq!(order, expected);
        assert!(search.is_done());
    }
}
