//! Finds the usage lines at a file's beginning that belong to other files.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::held::Entry;
use crate::source::ledger::UsageRow;
use crate::source::{CountInfo, Counters};
use crate::time::elapsed;

/// Copied lines have the time of the copy, in direct succession; a model needs longer than this to answer.
const COPY_PACE_MILLIS: u128 = 1000;

/// The token figures of one usage line, as far as needed to recognise a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The last response's.
    pub last: Counters,
    /// The whole thread's.
    pub total: Counters,
}

/// The comparable form of a usage line.
pub fn row(info: &CountInfo) -> Row {
    Row { last: info.last.unwrap_or_default(), total: info.total }
}

/// Other files, and the position up to which their rows were found.
#[derive(Debug, Clone, Default)]
pub(super) struct Originals {
    files: Vec<Vec<Row>>,
    /// The file, and the index of the next row in it.
    next: Option<(usize, usize)>,
}

impl Originals {
    pub(super) fn new(files: &[Vec<UsageRow>]) -> Self {
        let rows = |file: &Vec<UsageRow>| file.iter().filter_map(UsageRow::totals).collect();
        Self { files: files.iter().map(rows).collect(), next: None }
    }

    /// How many of `rows`, from their beginning, are theirs. A copy begins at a file's first row, or later if its
    /// beginning was trimmed. A thread that continues in another file was copied from all of its files.
    pub(super) fn meet(&mut self, rows: &[Row]) -> usize {
        let begins = |(number, file): (usize, &Vec<Row>)| {
            let (run, end) = common_run(rows, file);
            (run, Reverse(end), number)
        };
        let best = self.files.iter().enumerate().map(begins).max_by_key(|(run, end, _)| (*run, *end));
        let Some((run, Reverse(end), number)) = best.filter(|(run, ..)| *run > 0) else { return 0 };
        self.next = Some((number, end));
        run + rows.iter().skip(run).take_while(|row| self.is_next(row)).count()
    }

    /// Whether this is the next row; if so, moves on to the one after it.
    pub(super) fn is_next(&mut self, row: &Row) -> bool {
        let Some((number, place)) = self.next else { return false };
        let at = |number: usize, place: usize| self.files.get(number).and_then(|file| file.get(place));
        let other = || (0..self.files.len()).find(|other| *other != number && at(*other, 0) == Some(row));
        let found = if at(number, place) == Some(row) {
            Some((number, place))
        } else {
            other().map(|other| (other, 0))
        };
        self.next = found.map(|(number, place)| (number, place + 1)).or(self.next);
        found.is_some()
    }

    /// Whether more of them may come.
    pub(super) fn may_go_on(&self) -> bool {
        let is_over =
            |(number, place): (usize, usize)| self.files.get(number).is_none_or(|file| file.len() <= place);
        self.next.is_some_and(|next| !is_over(next) || self.files.len() > 1)
    }

    /// How many rows, from the beginning, are in any of the files.
    pub(super) fn repeated(&self, rows: &[Row]) -> usize {
        rows.iter().take_while(|row| self.files.iter().any(|file| file.contains(row))).count()
    }
}

/// The longest run of `rows`, from its beginning, that is anywhere in `other`: its length and its end there.
fn common_run(rows: &[Row], other: &[Row]) -> (usize, usize) {
    (0..other.len())
        .filter(|start| other.get(*start) == rows.first())
        .map(|start| {
            let run =
                rows.iter().zip(other.iter().skip(start)).take_while(|(ours, theirs)| ours == theirs).count();
            (run, start + run)
        })
        .max_by_key(|(run, end)| (*run, Reverse(*end)))
        .unwrap_or_default()
}

/// If only another session's first line shows a copy: rows that are older than the session, or written at the pace of
/// a copy.
pub(super) fn copied_by_time(held: &[Entry], begun_at: Option<Timestamp>) -> usize {
    let mut before: Option<Timestamp> = None;
    let mut copied = 0;
    for entry in held {
        let Entry::Count { at, count } = entry else { continue };
        let older = begun_at.is_some_and(|begun_at| *at < begun_at);
        let reference = before.or(begun_at);
        let paced = reference.is_some_and(|reference| elapsed(reference, *at).as_millis() < COPY_PACE_MILLIS);
        if !older && !paced {
            break;
        }
        before = Some(*at);
        copied += usize::from(count.info.is_some());
    }
    copied
}
