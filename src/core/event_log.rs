//! A bounded log of the published events, with a cursor for each listener.
//!
//! Adding never waits. A listener that falls so far behind that its next line is gone has to start again; so memory
//! is bounded. Every event has a number, which continues over a takeover, so that a listener can resume where it
//! stopped.
//! Read next: `control::log`, which shares it between tasks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The maximum size of the log, in bytes of lines.
const MOST: usize = 4 << 20;
/// The maximum size of one read, in bytes.
const BATCH: usize = 64 << 10;
/// How long lines are kept without a listener: after a takeover, and after the last listener left.
pub const KEPT_FOR: Duration = Duration::from_secs(60);

/// One line as sent to listeners.
pub type Line = Arc<[u8]>;

/// A position in the order of all events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The daemons that take over from each other share one stream, named after the first of them.
    pub stream: String,
    /// The number of the last event before this position.
    pub seq: u64,
}

impl Position {
    /// `stream:7`
    pub fn parse(text: &str) -> Option<Self> {
        let (stream, seq) = text.rsplit_once(':')?;
        let seq = seq.parse().ok()?;
        (!stream.is_empty()).then(|| Self { stream: stream.to_owned(), seq })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.stream, self.seq)
    }
}

/// The events that are kept, and the listeners' cursors. One task adds, others read.
#[derive(Debug)]
pub struct EventLog {
    /// The stream of the daemons that numbered the events.
    stream: String,
    /// The number of the newest event; 0 before the first.
    last: u64,
    /// The newest lines, the last of them with the number `last`.
    lines: VecDeque<Line>,
    /// Their total length.
    bytes: usize,
    /// The number of the last line that each cursor has read.
    cursors: BTreeMap<u64, u64>,
    next_cursor: u64,
    /// How long lines are kept without a cursor.
    kept_until: Duration,
    closed: bool,
}

/// The result of reading at a cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum CursorRead {
    /// The next lines.
    Lines(Vec<Line>),
    /// No new line yet.
    Nothing,
    /// The next line is no longer in the log.
    FellBehind,
    /// Everything was read, and the log is closed.
    End,
}

impl EventLog {
    /// A log whose next event follows `at`.
    pub fn new(at: Position, kept_until: Duration) -> Self {
        Self {
            stream: at.stream,
            last: at.seq,
            lines: VecDeque::new(),
            bytes: 0,
            cursors: BTreeMap::new(),
            next_cursor: 0,
            kept_until,
            closed: false,
        }
    }

    /// Adds the next event. `make` builds its line, and is called only if a listener may read it.
    pub fn push(&mut self, now: Duration, make: impl FnOnce(Position) -> Vec<u8>) {
        self.last += 1;
        if self.cursors.is_empty() && now >= self.kept_until {
            self.lines = VecDeque::new();
            self.bytes = 0;
            return;
        }
        let line: Line = make(self.position()).into();
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > MOST
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// No more events will be added; those in the log can still be read.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The position after the newest event.
    pub fn position(&self) -> Position {
        Position { stream: self.stream.clone(), seq: self.last }
    }

    /// How many lines follow the event with this number; `None` if some of them are gone, or the number is in the
    /// future.
    fn ahead(&self, seq: u64) -> Option<usize> {
        let ahead = usize::try_from(self.last.checked_sub(seq)?).ok()?;
        (ahead <= self.lines.len()).then_some(ahead)
    }

    /// A cursor after that event, if everything after it is still in the log.
    pub fn cursor_after(&mut self, at: &Position) -> Option<u64> {
        let known = at.stream == self.stream && self.ahead(at.seq).is_some();
        known.then(|| self.cursor(at.seq))
    }

    /// A cursor after the event with this number.
    pub fn cursor(&mut self, seq: u64) -> u64 {
        let id = self.next_cursor;
        self.next_cursor += 1;
        self.cursors.insert(id, seq);
        id
    }

    /// Removes a cursor.
    pub fn drop_cursor(&mut self, now: Duration, id: u64) {
        self.cursors.remove(&id);
        if self.cursors.is_empty() {
            self.kept_until = now.saturating_add(KEPT_FOR);
        }
    }

    /// Whether the next line of a cursor is gone.
    pub fn has_fallen_behind(&self, id: u64) -> bool {
        self.cursors.get(&id).is_some_and(|seq| self.ahead(*seq).is_none())
    }

    /// The next lines for a cursor, which moves past them.
    pub fn next(&mut self, id: u64) -> CursorRead {
        let Some(seq) = self.cursors.get(&id).copied() else { return CursorRead::End };
        let Some(ahead) = self.ahead(seq) else { return CursorRead::FellBehind };
        if ahead == 0 {
            return if self.closed { CursorRead::End } else { CursorRead::Nothing };
        }
        let mut size = 0;
        let fits = |line: &&Line| {
            let first = size == 0;
            size += line.len();
            first || size <= BATCH
        };
        let from = self.lines.len() - ahead;
        let lines: Vec<Line> = self.lines.range(from..).take_while(fits).cloned().collect();
        self.cursors.insert(id, seq + lines.len() as u64);
        CursorRead::Lines(lines)
    }

    /// The lines that a listener may not have read yet, for the next daemon.
    pub fn unread(&self, now: Duration) -> Vec<Line> {
        let behind = self.cursors.values().map(|seq| self.ahead(*seq).unwrap_or(usize::MAX)).max();
        let kept = (now < self.kept_until).then_some(usize::MAX);
        let count = behind.max(kept).unwrap_or_default().min(self.lines.len());
        self.lines.range(self.lines.len() - count..).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Duration = Duration::from_secs(1000);

    fn log() -> EventLog {
        EventLog::new(at(0), Duration::ZERO)
    }

    fn at(seq: u64) -> Position {
        Position { stream: "s".to_owned(), seq }
    }

    fn push(log: &mut EventLog, text: &str) {
        log.push(LATER, |_| text.as_bytes().to_vec());
    }

    fn heard(log: &mut EventLog, id: u64) -> Vec<String> {
        match log.next(id) {
            CursorRead::Lines(lines) => {
                lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
            }
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn each_cursor_gets_every_later_line_once() {
        let mut log = log();
        let first = log.cursor(0);
        push(&mut log, "a");
        let second = log.cursor(1);
        push(&mut log, "b");
        assert_eq!(heard(&mut log, first), ["a", "b"]);
        assert_eq!(heard(&mut log, second), ["b"]);
        assert_eq!(heard(&mut log, second), ["Nothing"]);
        log.close();
        push(&mut log, "c");
        assert_eq!(heard(&mut log, second), ["c"]);
        assert_eq!(heard(&mut log, second), ["End"]);
    }

    #[test]
    fn event_numbers_rise_by_one_even_without_a_listener() {
        let mut log = log();
        push(&mut log, "no listener");
        assert!(log.lines.is_empty());
        log.cursor(1);
        log.push(LATER, |at| {
            assert_eq!(at, self::at(2));
            b"two".to_vec()
        });
        assert_eq!(log.position(), at(2));
    }

    #[test]
    fn a_returning_listener_gets_exactly_the_missed_lines_or_none() {
        let mut log = log();
        let only = log.cursor(0);
        for text in ["a", "b", "c"] {
            push(&mut log, text);
        }
        log.drop_cursor(LATER, only);
        let back = log.cursor_after(&at(1)).unwrap();
        assert_eq!(heard(&mut log, back), ["b", "c"]);
        let current = log.cursor_after(&at(3)).unwrap();
        assert_eq!(heard(&mut log, current), ["Nothing"]);
        assert_eq!(log.cursor_after(&at(4)), None, "of the future");
        assert_eq!(log.cursor_after(&Position { stream: "other".to_owned(), seq: 1 }), None);

        let mut short = EventLog::new(at(5), LATER + LATER);
        push(&mut short, "six");
        assert_eq!(short.cursor_after(&at(4)), None, "five is gone");
        assert!(short.cursor_after(&at(5)).is_some());
    }

    #[test]
    fn lines_are_kept_for_a_minute_after_the_last_listener_left() {
        let mut log = log();
        let only = log.cursor(0);
        log.drop_cursor(LATER, only);
        push(&mut log, "a");
        assert_eq!((log.lines.len(), log.unread(LATER).len()), (1, 1));
        log.push(LATER + KEPT_FOR, |_| b"b".to_vec());
        assert_eq!((log.lines.len(), log.bytes, log.last), (0, 0, 2));
    }

    #[test]
    fn a_listener_that_does_not_read_falls_behind_and_memory_is_bounded() {
        let mut log = log();
        let (slow, quick) = (log.cursor(0), log.cursor(0));
        let long = "x".repeat(MOST / 8);
        for _ in 0..20 {
            push(&mut log, &long);
            assert!(log.bytes <= MOST);
            assert!(matches!(log.next(quick), CursorRead::Lines(lines) if lines.len() == 1));
        }
        assert_eq!(log.next(slow), CursorRead::FellBehind);
        assert_eq!([slow, quick].map(|id| log.has_fallen_behind(id)), [true, false]);
        assert_eq!(log.unread(LATER).len(), log.lines.len(), "what can be had");
    }

    #[test]
    fn a_batch_is_bounded_and_never_empty() {
        let mut log = log();
        let cursor = log.cursor(0);
        for length in [BATCH + 1, BATCH / 2, BATCH / 2, 1] {
            push(&mut log, &"x".repeat(length));
        }
        let batches: Vec<usize> = (0..3).map(|_| heard(&mut log, cursor).len()).collect();
        assert_eq!(batches, [1, 2, 1]);
    }

    #[test]
    fn the_next_daemon_gets_the_lines_that_the_slowest_listener_lacks() {
        let mut log = log();
        let slow = log.cursor(0);
        for text in ["a", "b", "c"] {
            push(&mut log, text);
        }
        log.cursor(3);
        log.next(slow);
        push(&mut log, "d");
        assert_eq!(log.unread(LATER), [Line::from(*b"d")]);
        log.drop_cursor(LATER, slow);
        assert_eq!(log.unread(LATER).len(), 1, "the other one has not heard it either");
    }
}
