//! Which of the files that were there deserve reading, and in which order.
//!
//! Live files newest first, so that the freshest session is on the card first. Of all older files only the newest few
//! are kept by name, and only until one of them has told the limits.
//! Read next: `reader`, which works through what is found here.

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

/// How many old files are looked at for a home's limits.
const MOST_OLD: usize = 50;

/// A file to look at.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) modified: Timestamp,
    pub(super) path: PathBuf,
}

/// How far the search for the limits of a home has come.
#[derive(Debug)]
pub(super) enum LimitsSearch {
    /// Folders are being listed: the newest old files so far.
    Listing(BinaryHeap<Reverse<Found>>),
    /// These are left, the newest last.
    Reading(Vec<PathBuf>),
    Done,
}

impl LimitsSearch {
    /// Old files are going to be offered.
    pub(super) fn begin(&mut self) {
        if !matches!(self, Self::Listing(_)) {
            *self = Self::Listing(BinaryHeap::new());
        }
    }

    /// Whether a file that changed last at this time would be among the newest so far.
    pub(super) fn wants(&self, modified: Timestamp) -> bool {
        let Self::Listing(newest) = self else { return false };
        newest.len() < MOST_OLD || newest.peek().is_some_and(|Reverse(oldest)| oldest.modified <= modified)
    }

    pub(super) fn offer(&mut self, found: Found) {
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

    /// The next file to read; none when the search is over.
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
    /// Looks at one more old file for limits that no live file has told.
    pub(super) fn search_limits(&mut self) -> ControlFlow<()> {
        let Some((home, path)) = self.homes.next_old() else { return ControlFlow::Continue(()) };
        self.inbox.turn_to(&home);
        // A file that cannot be read now tells nothing; the next one may.
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
    fn only_the_newest_old_files_are_kept_and_the_newest_comes_first() {
        let mut search = LimitsSearch::Done;
        search.begin();
        for second in 0..1000 {
            let modified = Timestamp::from_second((second * 7919) % 1000).unwrap();
            if search.wants(modified) {
                search.offer(Found { modified, path: modified.as_second().to_string().into() });
            }
        }
        let order: Vec<_> = std::iter::from_fn(|| search.next()).collect();
        let expected: Vec<PathBuf> = (950..1000).rev().map(|second| second.to_string().into()).collect();
        assert_eq!(order, expected);
        assert!(search.is_done());
    }
}
