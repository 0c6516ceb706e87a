//! The event log, shared by the loop and the subscribers' tasks.
//!
//! [`crate::core::event_log`] decides what is stored, for whom and for how long; this adds the lock and the waiting.
//! Read next: [`super::server`], which writes the lines out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::{EventMessage, line};
use crate::core::event_log::{CursorRead, EventLog, KEPT_FOR, Line, Position};
use crate::core::report::Event;
use crate::io::clock;

/// The loop's end of the log. When it is dropped no more events follow; stored ones are still read.
#[derive(Debug)]
pub struct SharedLog(Arc<Shared>);

/// The data that the loop and the subscribers' tasks share. The lock is not held while waiting.
#[derive(Debug)]
struct Shared {
    log: Mutex<EventLog>,
    /// Wakes the tasks that wait for the next line.
    news: Notify,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, EventLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedLog {
    /// The log of a daemon without a predecessor.
    pub fn new(stream: String) -> Self {
        Self::with(EventLog::new(Position { stream, seq: 0 }, Duration::ZERO))
    }

    /// The log of a daemon that took over: it continues after `at`, and `unheard` are the newest lines up to there.
    pub fn inherited(at: Position, unheard: &[EventMessage]) -> Self {
        // Lines count only without a gap up to there.
        let run = (1..=at.seq).rev().zip(unheard.iter().rev()).all(|(seq, message)| {
            message.position.as_ref().is_some_and(|message| message.stream == at.stream && message.seq == seq)
        });
        let unheard = if run && unheard.len() as u64 <= at.seq { unheard } else { &[] };
        let begin = Position { seq: at.seq.saturating_sub(unheard.len() as u64), ..at };
        let mut log = EventLog::new(begin, clock::now().mono.saturating_add(KEPT_FOR));
        for message in unheard {
            log.push(Duration::ZERO, |_| line(message));
        }
        Self::with(log)
    }

    fn with(log: EventLog) -> Self {
        Self(Arc::new(Shared { log: Mutex::new(log), news: Notify::new() }))
    }

    /// Appends an event for all subscribers.
    pub fn tell(&self, event: &Event) {
        self.0.log().push(clock::now().mono, |at| line(&EventMessage::new(event, Some(at))));
        self.0.news.notify_waiters();
    }

    /// The position after the newest event.
    pub fn position(&self) -> Position {
        self.0.log().position()
    }

    /// The lines that some subscriber may not have received.
    pub fn unheard(&self) -> Vec<Line> {
        self.0.log().unread(clock::now().mono)
    }

    /// A cursor after that event, if everything after it is still stored.
    pub fn cursor_after(&self, at: &Position) -> Option<Cursor> {
        let id = self.0.log().cursor_after(at)?;
        Some(Cursor { shared: Arc::clone(&self.0), id })
    }

    /// A cursor after the newest event.
    pub fn cursor(&self) -> Cursor {
        let mut log = self.0.log();
        let newest = log.position().seq;
        Cursor { shared: Arc::clone(&self.0), id: log.cursor(newest) }
    }
}

impl Drop for SharedLog {
    fn drop(&mut self) {
        self.0.log().close();
        self.0.news.notify_waiters();
    }
}

/// The position of one subscriber.
#[derive(Debug)]
pub struct Cursor {
    shared: Arc<Shared>,
    id: u64,
}

/// Why there are no more lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The daemon ends.
    End,
    /// The next line is no longer stored.
    FellBehind,
}

impl Cursor {
    /// The next lines, at least one.
    ///
    /// # Errors
    /// There are no more.
    pub async fn next(&mut self) -> Result<Vec<Line>, StreamEnd> {
        loop {
            // From here on no event goes unnoticed.
            let news = self.shared.news.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            match self.shared.log().next(self.id) {
                CursorRead::Lines(lines) => return Ok(lines),
                CursorRead::Nothing => {}
                CursorRead::FellBehind => return Err(StreamEnd::FellBehind),
                CursorRead::End => return Err(StreamEnd::End),
            }
            news.await;
        }
    }

    /// Returns when the next line is no longer stored. Cancel safe.
    pub async fn falls_behind(&self) {
        loop {
            let news = self.shared.news.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            if self.shared.log().has_fallen_behind(self.id) {
                return;
            }
            news.await;
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.shared.log().drop_cursor(clock::now().mono, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::report::EventKind;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    fn event() -> Event {
        Event { at: jiff::Timestamp::UNIX_EPOCH, kind: EventKind::Card { card: None } }
    }

    #[test]
    fn a_waiting_subscriber_gets_the_rest_and_then_the_end() {
        block_on(async {
            let log = SharedLog::new("s".to_owned());
            let mut cursor = log.cursor();
            log.tell(&event());
            let waiting = async {
                assert_eq!(cursor.next().await.map(|lines| lines.len()), Ok(1));
                cursor.next().await
            };
            let (over, ()) = tokio::join!(waiting, async { drop(log) });
            assert_eq!(over, Err(StreamEnd::End));
        });
    }

    #[test]
    fn the_next_daemon_continues_with_the_events_that_were_not_received() {
        block_on(async {
            let first = SharedLog::new("s".to_owned());
            let cursor = first.cursor();
            first.tell(&event());
            let heard = first.position();
            first.tell(&event());
            let message = |lines: Vec<Line>| -> Vec<EventMessage> {
                lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
            };
            let unheard = message(first.unheard());
            drop(cursor);

            let next = SharedLog::inherited(first.position(), &unheard);
            let mut cursor = next.cursor_after(&heard).unwrap();
            assert_eq!(message(cursor.next().await.unwrap()), unheard[1..]);
            next.tell(&event());
            let [news] = message(cursor.next().await.unwrap()).try_into().unwrap();
            assert_eq!(news.position, Some(Position { stream: "s".to_owned(), seq: 3 }));

            let broken = SharedLog::inherited(first.position(), &unheard[..1]);
            assert!(broken.cursor_after(&heard).is_none(), "the last one is missing");
            assert!(broken.cursor_after(&first.position()).is_some());
        });
    }
}
