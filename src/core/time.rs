//! Time in the core: given by the driver, never read.
//!
//! Two clocks for two purposes. `mono` never jumps and drives every timer. `wall` is the time in session files and
//! limit resets, and may jump at any moment.
//! Read next: [`crate::engine`], which is driven by [`Now`].

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since an origin that the driver chooses; never decreases.
    pub mono: Duration,
    /// Calendar time, UTC; may jump either way (sleep, NTP, the user).
    pub wall: Timestamp,
}

impl Now {
    /// How long ago `then` was by the wall clock; zero if it is in the future.
    pub fn since(&self, then: Timestamp) -> Duration {
        elapsed(then, self.wall)
    }

    /// The monotonic time at which the wall clock will show `then`, if it does not jump before; `None` if `then` is
    /// not in the future.
    pub fn mono_at(&self, then: Timestamp) -> Option<Duration> {
        (then > self.wall).then(|| self.mono.saturating_add(elapsed(self.wall, then)))
    }
}

/// The time from `from` to `to`; zero if `to` is earlier.
pub fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// `at + by`, limited to the calendar's end.
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `at - by`, limited to the calendar's beginning.
pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The local time of day, with the date if it is not today: `14:20`, `14:20 on 19 Nov`, in Codex's format.
pub fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    clock_as(["%H:%M", "%H:%M on %-d %b"], at, now, zone)
}

/// The local time in one format if it is today, else in another.
pub fn clock_as([today, else_when]: [&str; 2], at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    at.strftime(if at.date() == now.date() { today } else { else_when }).to_string()
}

/// `3 min ago`; rounded down to one unit.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let (count, unit) = match elapsed(at, now).as_secs() {
        ..MINUTE => return "just now".to_owned(),
        time @ ..HOUR => (time / MINUTE, "min"),
        time if time < 2 * DAY => (time / HOUR, "h"),
        time => (time / DAY, "days"),
    };
    format!("{count} {unit} ago")
}
