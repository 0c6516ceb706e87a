//! Which of two files with common messages is the copy.
//!
//! Where a copy names its original, or an original the session that it went on in, the matter is settled. Older versions resumed a session by copying it into a new file
//! without a word; such files begin with the same line. Whoever answers a lineage request compares them with
//! [`Relative::precedes`], so that every message is counted in one file and in one only.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::ledger::messages::{Mark, Row};
use super::ledger::{UsageRow, session_key};

/// A file that may share messages with another.
#[derive(Debug, Clone, Copy)]
pub struct Relative<'a> {
    /// The session it belongs to.
    pub id: &'a str,
    /// Whether it names a session that it was copied from.
    pub forked: bool,
    /// Where it lies: of two files of one session that are alike one has to be the original.
    pub path: &'a Path,
    /// Its usage rows, all of them.
    pub rows: &'a [UsageRow],
}

impl Relative<'_> {
    /// Whether `self` is the original of what both files have. Of two files one precedes the other, never both.
    ///
    /// A file that is a part of another was copied into it; where both go on after the common part, the one that went on
    /// first is the original.
    pub fn precedes(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.marks(), other.marks());
        if ours.is_disjoint(&theirs) {
            return false;
        }
        // A file without a message of its own has nothing that the other could have copied.
        let own_part = |of: &Self, others: &BTreeSet<Mark>| {
            let is_own = |row: &Row| !row.marks().any(|mark| others.contains(&mark));
            let own = of.rows.iter().filter_map(UsageRow::message).filter(is_own);
            own.map(|row| row.at).min().unwrap_or(Timestamp::MIN)
        };
        let rank = |of: &Self, others: &BTreeSet<Mark>, from: &Self| {
            (of.forked, from.went_on_in(of), own_part(of, others), of.id.to_owned(), of.path.to_owned())
        };
        rank(self, &theirs, other) < rank(other, &ours, self)
    }

    fn went_on_in(&self, other: &Self) -> bool {
        self.rows.contains(&UsageRow::ContinuedIn(session_key(other.id)))
    }

    fn marks(&self) -> BTreeSet<Mark> {
        self.rows.iter().filter_map(UsageRow::message).flat_map(|row| row.marks()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::source::Response;
    use crate::core::usage::Tokens;

    fn rows(messages: &[(u128, i64)]) -> Vec<UsageRow> {
        let row = |(message, at): &(u128, i64)| Row {
            message: *message,
            response: Response::default(),
            at: Timestamp::from_second(*at).unwrap(),
            tokens: Tokens::ZERO,
            at_least: false,
        };
        messages.iter().map(row).map(UsageRow::Message).collect()
    }

    fn check(original: (&str, bool, &[(u128, i64)]), copy: (&str, bool, &[(u128, i64)])) {
        let (ours, theirs) = (rows(original.2), rows(copy.2));
        let original = Relative { id: original.0, forked: original.1, path: Path::new("1"), rows: &ours };
        let copy = Relative { id: copy.0, forked: copy.1, path: Path::new("2"), rows: &theirs };
        assert!(original.precedes(&copy) && !copy.precedes(&original));
    }

    #[test]
    fn the_original_of_two() {
        check(("b", false, &[(1, 1), (2, 2)]), ("a", false, &[(1, 1), (2, 2), (3, 9)]));
        check(("b", false, &[(1, 1), (2, 5)]), ("a", false, &[(1, 1), (3, 9)]));
        check(("b", false, &[(1, 1), (2, 9)]), ("a", true, &[(1, 1)]));
        check(("a", false, &[(1, 1)]), ("b", false, &[(1, 1)]));
        check(("a", false, &[(1, 1)]), ("a", false, &[(1, 1)]));
    }

    /// The original may have gone on itself, later than the copy, or neither has.
    #[test]
    fn the_one_that_says_where_it_went_on() {
        for (ours, theirs) in [(&[(1, 1), (2, 9)][..], &[(1, 1), (3, 5)][..]), (&[(1, 1)], &[(1, 1)])] {
            let (mut ours, theirs) = (rows(ours), rows(theirs));
            ours.push(UsageRow::ContinuedIn(session_key("a")));
            let original = Relative { id: "b", forked: false, path: Path::new("2"), rows: &ours };
            let copy = Relative { id: "a", forked: false, path: Path::new("1"), rows: &theirs };
            assert!(original.precedes(&copy) && !copy.precedes(&original));
        }
    }

    #[test]
    fn strangers_precede_nobody() {
        let (ours, theirs) = (rows(&[(1, 1)]), rows(&[(2, 2)]));
        let one = Relative { id: "a", forked: false, path: Path::new("1"), rows: &ours };
        let other = Relative { id: "b", forked: false, path: Path::new("2"), rows: &theirs };
        assert!(!one.precedes(&other) && !other.precedes(&one));
    }
}
