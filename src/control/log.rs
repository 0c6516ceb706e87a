//! The log of told events as the loop and the subscribers' tasks share it.
//!
//! What is kept, for whom and for how long is decided in [`crate::core::event_log`]; here are the lock and the waiting.
//! Read next: [`super::server`], which writes the lines out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Told, line};
use crate::core::event_log::{EventLog, Found, KEPT_FOR, Line, Position};
use crate::core::report::Event;
use crate::daemon::clock;

/// The log as the loop and the tasks of the subscribers share it. Nobody holds the lock while waiting.
#[derive(Debug, Clone)]
pub struct SharedLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    log: Mutex<EventLog>,
    /// Wakes those that wait for the next line.
    news: Notify,
}

impl SharedLog {
    /// The log of a daemon that begins a lineage.
    pub fn new(stream: String) -> Self {
        Self::with(EventLog::new(Position { stream, seq: 0 }, Duration::ZERO))
    }

    /// The log of a daemon that took over: it goes on after `at`, and `unheard` are the newest lines up to there.
    pub fn inherited(at: Position, unheard: &[Told]) -> Self {
        // Only an unbroken run up to there is of use.
        let run = (1..=at.seq).rev().zip(unheard.iter().rev()).all(|(seq, told)| {
            told.position.as_ref().is_some_and(|told| told.stream == at.stream && told.seq == seq)
        });
        let unheard = if run && unheard.len() as u64 <= at.seq { unheard } else { &[] };
        let begin = Position { seq: at.seq.saturating_sub(unheard.len() as u64), ..at };
        let mut log = EventLog::new(begin, clock::now().mono.saturating_add(KEPT_FOR));
        for told in unheard {
            log.push(Duration::ZERO, |_| line(told));
        }
        Self::with(log)
    }

    fn with(log: EventLog) -> Self {
        Self(Arc::new(Shared { log: Mutex::new(log), news: Notify::new() }))
    }

    fn log(&self) -> MutexGuard<'_, EventLog> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody.
    pub fn tell(&self, event: &Event) {
        self.log().push(clock::now().mono, |at| line(&Told::new(event, Some(at))));
        self.0.news.notify_waiters();
    }

    /// Where whoever has heard everything is.
    pub fn position(&self) -> Position {
        self.log().position()
    }

    /// The lines that somebody may not have heard yet.
    pub fn unheard(&self) -> Vec<Line> {
        self.log().unheard(clock::now().mono)
    }

    /// A cursor behind that event, if everything after it is still here.
    pub fn cursor_after(&self, at: &Position) -> Option<Cursor> {
        let id = self.log().cursor_after(at)?;
        Some(Cursor { log: self.clone(), id })
    }

    /// A cursor behind everything.
    pub fn cursor(&self) -> Cursor {
        let mut log = self.log();
        let newest = log.position().seq;
        Cursor { log: self.clone(), id: log.cursor(newest) }
    }

    /// Nothing more will be told; what was is still read.
    pub fn close(&self) {
        self.log().close();
        self.0.news.notify_waiters();
    }
}

/// How far one subscriber has come.
#[derive(Debug)]
pub struct Cursor {
    log: SharedLog,
    id: u64,
}

/// Why there are no more lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The daemon ends.
    End,
    /// The next line is gone.
    FellBehind,
}

impl Cursor {
    /// The next lines, at least one.
    ///
    /// # Errors
    /// There are no more.
    pub async fn next(&mut self) -> Result<Vec<Line>, Over> {
        let shared = Arc::clone(&self.log.0);
        loop {
            // From here on nothing that is told goes unnoticed.
            let news = shared.news.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            match self.log.log().next(self.id) {
                Found::Lines(lines) => return Ok(lines),
                Found::Nothing => {}
                Found::FellBehind => return Err(Over::FellBehind),
                Found::End => return Err(Over::End),
            }
            news.await;
        }
    }
}

impl Cursor {
    /// Returns when the next line is gone. Nothing is lost when the wait is given up.
    pub async fn falls_behind(&self) {
        let shared = &self.log.0;
        loop {
            let news = shared.news.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            if self.log.log().has_left_behind(self.id) {
                return;
            }
            news.await;
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.log.log().drop_cursor(clock::now().mono, self.id);
    }
}
