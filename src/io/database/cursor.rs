//! The progress of reading a session's rows: no row is passed on twice with the same content, and no later change is
//! missed.
//!
//! Rows are changed in place, several within one millisecond, and clocks are set back. So rows of the newest moment are
//! read again and passed on only if they have changed. If the clock is behind the newest row, everything since a little
//! before now is read again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::core::fingerprint;
use crate::core::source::database::Cell;
use crate::core::time::earlier;

/// How far before now rows are read again after the clock was set back.
const BEFORE: Duration = Duration::from_secs(60);

/// How far each table of a session has been read.
#[derive(Debug, Default)]
pub struct Cursors(BTreeMap<(&'static str, String), Cursor>);

/// The progress of one table or group of rows.
#[derive(Debug)]
pub struct Cursor {
    /// Rows before this time, in milliseconds, are not read again.
    newest: i64,
    /// The rows that are read again: key and content, as hashes.
    seen: BTreeMap<u64, u64>,
}

/// One reading of the rows.
#[derive(Debug)]
pub(super) struct RowReading<'a> {
    cursor: &'a mut Cursor,
    from: i64,
    newest: i64,
    /// Where the next reading begins if no newer rows come and the clock stands still.
    back: Option<i64>,
    rows_read: Vec<(u64, u64, Option<i64>)>,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { newest: i64::MIN, seen: BTreeMap::new() }
    }
}

impl Cursors {
    pub(super) fn of(&mut self, table: &'static str, key: &str) -> &mut Cursor {
        self.0.entry((table, key.to_owned())).or_default()
    }

    /// Drops the cursors of other keys of this table.
    pub(super) fn keep(&mut self, table: &'static str, keys: &[String]) {
        self.0.retain(|(of, key), _| *of != table || keys.contains(key));
    }
}

impl Cursor {
    /// Begins a reading at this time. `is_timed`: rows have the time of their last change.
    pub(super) fn begin(&mut self, now: Timestamp, is_timed: bool) -> RowReading<'_> {
        let is_behind = is_timed && now.as_millisecond() < self.newest;
        let back = is_behind.then(|| earlier(now, BEFORE).as_millisecond());
        let from = back.map_or(self.newest, |back| back.min(self.newest));
        RowReading { from, newest: self.newest, back, rows_read: Vec::new(), cursor: self }
    }
}

impl RowReading<'_> {
    /// The time since which rows are to be read, in milliseconds.
    pub(super) fn from(&self) -> i64 {
        self.from
    }

    /// Whether a row is new or has changed.
    pub(super) fn is_news(&mut self, key: &str, written: Option<i64>, cells: &[Cell<'_>]) -> bool {
        let (key, content) = (fingerprint::short(key.as_bytes()), hash(cells));
        self.rows_read.push((key, content, written));
        self.newest = self.newest.max(written.unwrap_or(i64::MIN));
        self.cursor.seen.get(&key) != Some(&content)
    }

    /// Ends a complete reading. One that is cut off is repeated.
    pub(super) fn end(self) {
        let Self { cursor, newest, back, rows_read, .. } = self;
        let again = back.unwrap_or(i64::MAX).min(newest);
        let is_again = |written: &Option<i64>| written.is_none_or(|written| written >= again);
        let rows_read = rows_read.into_iter().filter(|(.., written)| is_again(written));
        *cursor = Cursor { newest, seen: rows_read.map(|(key, content, _)| (key, content)).collect() };
    }
}

fn hash(cells: &[Cell<'_>]) -> u64 {
    cells.iter().fold(0, |hash: u64, cell| {
        let cell = match cell {
            Cell::Null => 1,
            Cell::Integer(number) => fingerprint::short(&number.to_le_bytes()),
            Cell::Real(number) => fingerprint::short(&number.to_le_bytes()),
            Cell::Text(bytes) => fingerprint::short(bytes),
        };
        hash.rotate_left(7) ^ cell
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows (key, written, content) that are new or changed at this second.
    fn news(cursor: &mut Cursor, second: i64, rows: &[(&'static str, i64, i64)]) -> Vec<&'static str> {
        let mut reading = cursor.begin(Timestamp::from_second(second).unwrap(), true);
        let from = reading.from();
        let read = rows.iter().filter(|(_, written, _)| *written >= from);
        let news = read.filter(|(key, written, content)| {
            reading.is_news(key, Some(*written), &[Cell::Integer(*content)])
        });
        let news = news.map(|(key, ..)| *key).collect();
        reading.end();
        news
    }

    #[test]
    fn rows_of_one_moment_are_passed_on_when_they_change() {
        let mut cursor = Cursor::default();
        assert_eq!(news(&mut cursor, 9, &[("a", 5_000, 1), ("b", 5_000, 1)]), ["a", "b"]);
        assert_eq!(news(&mut cursor, 9, &[("a", 5_000, 1), ("b", 5_000, 2)]), ["b"]);
        assert_eq!(news(&mut cursor, 9, &[("a", 5_000, 1), ("b", 5_000, 2), ("c", 5_000, 1)]), ["c"]);
        assert_eq!(news(&mut cursor, 9, &[("a", 6_000, 3), ("b", 5_000, 2), ("c", 5_000, 1)]), ["a"]);
        assert_eq!(news(&mut cursor, 9, &[("a", 6_000, 3), ("b", 5_000, 9)]), [""; 0], "it is older");
    }

    #[test]
    fn rows_written_after_the_clock_was_set_back_are_read() {
        let mut cursor = Cursor::default();
        let old = ("old", 3_600_000, 1);
        assert_eq!(news(&mut cursor, 3_600, &[old]), ["old"]);
        assert_eq!(news(&mut cursor, 100, &[old, ("new", 99_000, 1)]), ["new"]);
        assert_eq!(news(&mut cursor, 101, &[old, ("new", 99_000, 1), ("next", 101_000, 1)]), ["next"]);
        assert_eq!(news(&mut cursor, 102, &[old, ("new", 102_000, 2), ("next", 101_000, 1)]), ["new"]);
    }
}
