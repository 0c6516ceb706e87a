//! The running counters of each process that writes into a file.
//!
//! Two processes that have resumed one thread append to one file, and each adds its use to its own counters. A count
//! shows its process: without its last usage, it equals that process's earlier count.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::source::{CountInfo, Counters};

/// No more processes write at once.
const WRITERS: usize = 4;

/// How many earlier totals are remembered, for a process that continues from one of them.
const REMEMBERED: usize = 4096;

/// The last counters of each process.
#[derive(Debug, Clone, Default)]
pub(super) struct Writers {
    /// The newest last.
    totals: Vec<Counters>,
    /// Hashes of earlier totals.
    passed: VecDeque<u64>,
}

impl Writers {
    /// The last counters.
    pub(super) fn latest(&self) -> Option<&Counters> {
        self.totals.last()
    }

    /// Starts with these counters of any process.
    pub(super) fn begin_at(&mut self, total: Counters) {
        self.totals = vec![total];
        self.passed = VecDeque::from([hash(&total)]);
    }

    /// By how much a count raises the counters of its process. The first one must have begun.
    pub(super) fn rise(&mut self, info: &CountInfo) -> Counters {
        let CountInfo { total, last, .. } = *info;
        let latest = self.totals.pop().unwrap_or_default();
        if total == latest {
            self.totals.push(latest);
            return Counters::default();
        }
        let before = total.before(last.as_ref());
        let place = |totals: &[Counters], wanted: Option<Counters>| {
            wanted.and_then(|wanted| totals.iter().position(|known| *known == wanted))
        };
        if before != Some(latest) {
            if let Some(repeats) = place(&self.totals, Some(total)) {
                self.totals.push(latest);
                self.totals.remove(repeats);
                self.totals.push(total);
                return Counters::default();
            }
            if let Some(own) = place(&self.totals, before) {
                // Another process continues.
                self.totals.remove(own);
                self.totals.push(latest);
                self.wrote(total);
                return last.unwrap_or_default();
            }
            if before.is_some_and(|before| self.passed.contains(&hash(&before))) {
                // Another process begins at an earlier total of the thread, or the same one went back there.
                self.totals.push(latest);
                self.wrote(total);
                return last.unwrap_or_default();
            }
        }
        self.wrote(total);
        // Counters that fall were restarted.
        if total.is_below(&latest) { last.unwrap_or(total) } else { total.minus(&latest) }
    }

    fn wrote(&mut self, total: Counters) {
        if self.totals.len() >= WRITERS {
            self.totals.remove(0);
        }
        self.totals.push(total);
        if self.passed.len() >= REMEMBERED {
            self.passed.pop_front();
        }
        self.passed.push_back(hash(&total));
    }
}

fn hash(counters: &Counters) -> u64 {
    let mut hasher = DefaultHasher::new();
    counters.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens that each `(total, last)` adds, from zero.
    fn rises(counts: &[(u64, u64)]) -> Vec<u64> {
        let of = |input| Counters { input, total: input, ..Counters::default() };
        let mut writers = Writers::default();
        writers.begin_at(of(0));
        let info =
            |(total, last): &(u64, u64)| CountInfo { total: of(*total), last: Some(of(*last)), window: None };
        counts.iter().map(|count| writers.rise(&info(count)).input).collect()
    }

    #[test]
    fn each_of_two_processes_counts_from_its_own_totals() {
        let both = [(510, 510), (711, 201), (521, 11), (912, 201), (532, 11), (1113, 201)];
        assert_eq!(rises(&both), [510, 201, 11, 201, 11, 201]);
        // Until 0.130 each request repeats the counters of its process first.
        let repeating = [(510, 510), (711, 201), (521, 11), (711, 201), (912, 201), (521, 11), (532, 11)];
        assert_eq!(rises(&repeating), [510, 201, 11, 0, 201, 0, 11]);
    }

    #[test]
    fn a_process_that_restarts_or_goes_back_counts_its_own_use() {
        assert_eq!(rises(&[(100, 100), (150, 50), (30, 30), (70, 40)]), [100, 50, 30, 40]);
        assert_eq!(rises(&[(100, 100), (150, 50), (900, 900)]), [100, 50, 900], "from nothing, and above");
        assert_eq!(rises(&[(100, 100), (150, 50), (400, 300)]), [100, 50, 300], "from an earlier total");
        // Equal responses give equal totals again.
        let equal = [(10, 10), (20, 10), (30, 10), (10, 10), (20, 10), (30, 10), (40, 10)];
        assert_eq!(rises(&equal), [10; 7]);
    }

    #[test]
    fn a_missing_count_is_included_in_the_next() {
        assert_eq!(rises(&[(100, 100), (150, 20), (150, 20)]), [100, 50, 0]);
    }
}
