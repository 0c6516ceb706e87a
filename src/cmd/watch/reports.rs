//! The newest status report, from the source of the events.
//!
//! It is asked for when it may say something else: after an event, and at the next moment at which something in it changes
//! by itself. When nothing of that comes, nothing is asked.
//! Read next: [`super::feed`], where the events come from; `super::due`, what changes by itself.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::due;
use super::feed::{Feed, Listener, Update};
use crate::core::report::StatusReport;
use crate::host::clock_watch::ClockWatch;
use crate::host::{Places, until};
use crate::io::clock;

/// So much of what happens together is reported together.
const TOGETHER: Duration = Duration::from_millis(100);
/// After a report was not to be had.
const AGAIN: Duration = Duration::from_secs(2);

/// What comes next.
#[derive(Debug)]
pub enum News {
    /// Something happened, or somebody else tells it from now on.
    Update(Update),
    /// The report as it is now; `None` where it was not to be had, and is asked for again.
    Report(Option<Box<StatusReport>>),
}

/// An answer that is waited for.
pub type Pending<T> = Option<Pin<Box<dyn Future<Output = T>>>>;

/// The reports, one after the other.
pub struct Reports {
    feed: Feed,
    zone: TimeZone,
    clock_watch: ClockWatch,
    asking: Pending<Option<StatusReport>>,
    /// When a report is to be asked for, by the monotonic clock.
    ask_at: Option<Duration>,
    /// When the last one says something else though nothing happens.
    due: Option<Timestamp>,
    /// Whether nobody is there who could be asked.
    is_lost: bool,
}

impl Reports {
    /// Begins to listen, and asks at once. Belongs inside a tokio runtime; ends when it is dropped.
    pub fn start(places: Places) -> Self {
        Self {
            zone: places.zone.clone(),
            feed: Feed::start(places, Listener::default()),
            clock_watch: ClockWatch::start(),
            asking: None,
            ask_at: Some(clock::now().mono),
            due: None,
            is_lost: false,
        }
    }

    /// Asks for a report after a while, unless that is due sooner.
    pub fn ask_in(&mut self, wait: Duration) {
        let at = clock::now().mono.saturating_add(wait);
        self.ask_at = Some(self.ask_at.map_or(at, |sooner| sooner.min(at)));
    }

    /// What comes next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> News {
        loop {
            let moment = self.next_moment();
            tokio::select! {
                update = self.feed.next() => {
                    self.is_lost = match update {
                        Update::Lost => true,
                        Update::Event(..) => self.is_lost,
                        Update::Attached { .. } | Update::Alone { .. } => false,
                    };
                    if self.is_lost {
                        self.ask_at = None;
                    } else {
                        self.ask_in(TOGETHER);
                    }
                    return News::Update(update);
                }
                report = pending(&mut self.asking) => {
                    match &report {
                        Some(report) => self.due = due::next(report, &self.zone),
                        None if self.is_lost => {}
                        None => self.ask_in(AGAIN),
                    }
                    return News::Report(report.map(Box::new));
                }
                () = self.clock_watch.jumped() => self.ask_in(Duration::ZERO),
                () = until(moment) => {
                    self.ask_at = None;
                    self.asking = Some(Box::pin(self.feed.status()));
                }
            }
        }
    }

    fn next_moment(&self) -> Option<Duration> {
        if self.asking.is_some() {
            return None;
        }
        let now = clock::now();
        let due = self.due.filter(|_| !self.is_lost).map(|at| now.mono_at(at).unwrap_or(now.mono));
        [self.ask_at, due].into_iter().flatten().min()
    }
}

/// Waits for an answer, for ever where none was asked for. Nothing is lost when the wait is given up.
pub async fn pending<T>(answer: &mut Pending<T>) -> T {
    match answer {
        Some(waiting) => {
            let told = waiting.await;
            *answer = None;
            told
        }
        None => std::future::pending().await,
    }
}
