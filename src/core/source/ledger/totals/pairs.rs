//! Matches the record and the count of one response.
//!
//! A record comes before its count, or after it. Some have no counterpart: the record of a compaction or a background
//! classifier, the count of a response without an id. Only equal tokens are a pair, so that nothing is subtracted
//! from an unrelated count.

use crate::usage::Tokens;

/// How many response ids are remembered; repetitions of a line follow it closely.
const REMEMBERED_RESPONSES: usize = 32;

/// How many records may wait for their count.
const WAITING_RECORDS: usize = 64;

/// How many counts may wait for their record.
const WAITING_COUNTS: usize = 8;

/// The records and counts that wait for their counterpart.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs {
    records: Vec<Tokens>,
    counts: Vec<Tokens>,
    responses: Vec<String>,
}

impl Pairs {
    /// Whether a response was recorded before. Records it.
    pub(super) fn is_repeated(&mut self, response: &str) -> bool {
        if self.responses.iter().any(|known| known == response) {
            return true;
        }
        push(&mut self.responses, response.to_owned(), REMEMBERED_RESPONSES);
        false
    }

    /// The tokens of a record that no count has.
    pub(super) fn record(&mut self, used: Tokens) -> Tokens {
        if let Some(place) = self.counts.iter().rposition(|count| *count == used) {
            self.counts.remove(place);
            return Tokens::ZERO;
        }
        push(&mut self.records, used, WAITING_RECORDS);
        used
    }

    /// The tokens of a count that no record has: of the last response, and of those before it that it is the first to
    /// count.
    pub(super) fn count(&mut self, last: Tokens, others: Tokens) -> Tokens {
        let unrecorded = self.unrecorded(last);
        if !unrecorded.is_zero() {
            push(&mut self.counts, unrecorded, WAITING_COUNTS);
        }
        unrecorded.plus(&self.unrecorded(others))
    }

    /// Records of counts from an earlier turn no longer come.
    pub(super) fn turn_started(&mut self) {
        self.counts.clear();
    }

    fn unrecorded(&mut self, used: Tokens) -> Tokens {
        if used.is_zero() {
            return used;
        }
        // One response, or several in a row; the newest first.
        for end in (1..=self.records.len()).rev() {
            let mut sum = Tokens::ZERO;
            for start in (0..end).rev() {
                sum = self.records.get(start).map_or(sum, |record| sum.plus(record));
                if sum == used {
                    self.records.drain(start..end);
                    return Tokens::ZERO;
                }
            }
        }
        used
    }
}

fn push<T>(waiting: &mut Vec<T>, new: T, most: usize) {
    if waiting.len() >= most {
        waiting.remove(0);
    }
    waiting.push(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(input: u64) -> Tokens {
        Tokens { input, ..Tokens::ZERO }
    }

    /// The tokens that records (`r`) and counts (`c`) add, in this order.
    fn adds(lines: &[(char, u64)]) -> Vec<u64> {
        let mut pairs = Pairs::default();
        let line = |(kind, input): &(char, u64)| match kind {
            'r' => pairs.record(used(*input)).input,
            _ => pairs.count(used(*input), Tokens::ZERO).input,
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_record_and_a_count_of_one_response_count_once_in_either_order() {
        assert_eq!(adds(&[('r', 5), ('c', 5), ('r', 7), ('c', 7)]), [5, 0, 7, 0]);
        assert_eq!(adds(&[('c', 5), ('r', 5), ('c', 7), ('r', 7)]), [5, 0, 7, 0]);
        assert_eq!(adds(&[('r', 5), ('r', 7), ('c', 5), ('c', 7)]), [5, 7, 0, 0]);
        assert_eq!(adds(&[('c', 5), ('r', 5), ('c', 5), ('r', 5), ('r', 5), ('c', 5)]), [5, 0, 5, 0, 5, 0]);
    }

    #[test]
    fn records_and_counts_without_a_counterpart_count() {
        assert_eq!(
            adds(&[('r', 900), ('c', 5), ('c', 7), ('r', 8), ('c', 8), ('c', 400)]),
            [900, 5, 7, 8, 0, 400]
        );
    }

    #[test]
    fn a_count_of_several_responses_equals_their_records() {
        let mut pairs = Pairs::default();
        for record in [900, 5, 7] {
            pairs.record(used(record));
        }
        assert_eq!(pairs.count(used(7), used(5)), Tokens::ZERO);
        pairs.record(used(3));
        assert_eq!(pairs.count(used(3), used(20)), used(20), "one that nothing recorded");
        assert_eq!(pairs.count(Tokens::ZERO, used(900)), Tokens::ZERO, "a compaction that is counted late");
    }
}
