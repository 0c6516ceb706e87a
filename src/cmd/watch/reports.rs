//! The newest status report, from the source of the events.
//!
//! It is requested when it may have changed: after an event, and at the next moment at which something in it changes by
//! itself. Otherwise nothing is requested.
//! Read next: [`super::feed`], the events; `super::due`, the changes without an event.

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

/// Events within this time share one report.
const TOGETHER: Duration = Duration::from_millis(100);
/// The pause after a report could not be had.
const AGAIN: Duration = Duration::from_secs(2);

/// A change to show.
#[derive(Debug)]
pub enum News {
    /// An event, or another source of events.
    Update(Update),
    /// The present report; `None` if it could not be had, and is requested again.
    Report(Option<Box<StatusReport>>),
}

/// An answer to wait for; `None` if there is none.
pub type Pending<T> = Option<Pin<Box<dyn Future<Output = T>>>>;

/// The reports in order.
pub struct Reports {
    feed: Feed,
    zone: TimeZone,
    clock_watch: ClockWatch,
    asking: Pending<Option<StatusReport>>,
    /// When to request a report, by the monotonic clock.
    ask_at: Option<Duration>,
    /// When the last report changes by itself.
    due: Option<Timestamp>,
    /// Whether there is no source to ask.
    is_lost: bool,
}

impl Reports {
    /// Begins to listen, and requests a report at once. Belongs inside a tokio runtime; ends when it is dropped.
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

    /// Requests a report after `wait`, or sooner if that is due.
    pub fn ask_in(&mut self, wait: Duration) {
        let at = clock::now().mono.saturating_add(wait);
        self.ask_at = Some(self.ask_at.map_or(at, |sooner| sooner.min(at)));
    }

    /// The next change. Cancel safe.
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

/// Waits for an answer; for ever if there is none to wait for. Cancel safe.
pub async fn pending<T>(answer: &mut Pending<T>) -> T {
    match answer {
        Some(waiting) => {
            let received = waiting.await;
            *answer = None;
            received
        }
        None => std::future::pending().await,
    }
}
