//! Pace: whether a window lasts until its reset at the speed of its use so far.
//!
//! The speed follows from two readings of that window: the first one that is known, and the newest. If they are too
//! close, in time or in use, there is no pace.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Window;
use super::reports::SAME_RESET;
use crate::time::{clock, earlier, elapsed, later};

/// Two closer readings show a burst, not a speed.
const APART: Duration = Duration::from_secs(10 * 60);

/// A smaller difference in use may be caused by rounding.
const POINTS: f64 = 2.0;

/// The used share of a window at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The time of the observation.
    pub at: Timestamp,
    /// Consumed share, 0 to 100.
    pub used_percent: f64,
}

/// The expected state of a window if its use continues at the same speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Pace {
    /// A part of it is left at its reset.
    Lasts,
    /// It is used up before its reset.
    Empty {
        /// The expected time.
        empty_at: Timestamp,
    },
}

impl Pace {
    /// `lasts until reset` or `empty about 16:40`.
    pub fn text(self, now: Timestamp, zone: &TimeZone) -> String {
        match self {
            Self::Lasts => "lasts until reset".to_owned(),
            Self::Empty { empty_at } => format!("empty about {}", clock(empty_at, now, zone)),
        }
    }

    /// When it is used up, if that is before its reset.
    pub fn empty_at(self) -> Option<Timestamp> {
        match self {
            Self::Lasts => None,
            Self::Empty { empty_at } => Some(empty_at),
        }
    }
}

impl Window {
    /// The window's pace, if its values were last observed at `seen_at`; `None` if the result is in the past.
    pub(super) fn pace(&self, seen_at: Timestamp, now: Timestamp) -> Option<Pace> {
        let (first, resets_at) = (self.first?, self.resets_at?);
        let length = self.minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        let is_of_window =
            length.is_none_or(|length| first.at >= earlier(resets_at, length.saturating_add(SAME_RESET)));
        let (took, used) = (elapsed(first.at, seen_at), self.used_percent - first.used_percent);
        let left = 100.0 - self.used_percent;
        if !is_of_window || took < APART || used < POINTS || left <= 0.0 {
            return None;
        }
        // `None` if it takes longer than any window lasts.
        let until_empty =
            Duration::try_from_secs_f64(took.as_secs_f64() * left / used).unwrap_or(Duration::MAX);
        let empty_at = later(seen_at, Duration::from_secs(until_empty.as_secs()));
        match empty_at {
            _ if empty_at >= resets_at => Some(Pace::Lasts),
            _ if empty_at > now => Some(Pace::Empty { empty_at }),
            _ => None,
        }
    }
}

/// The earlier one of two first readings.
pub(super) fn earlier_of(one: Option<Reading>, other: Option<Reading>) -> Option<Reading> {
    [one, other].into_iter().flatten().min_by_key(|reading| reading.at)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{now, snapshot};
    use super::super::{LimitsBook, Snapshot, add_report, main_family};
    use super::*;
    use crate::source::Agent;

    const MINUTE: i64 = 60;
    const RESET: i64 = 300 * MINUTE;

    /// A report of `session` about the 5-hour window, and about a week with hardly any use.
    fn report(session: &str, minute: i64, used: f64, reset: i64) -> Snapshot {
        let report = snapshot(minute * MINUTE, &[(300, used, Some(reset)), (10_080, 1.0, Some(600_000))]);
        Snapshot { source_session: Some(session.to_owned()), fresh: true, ..report }
    }

    fn reports(session: &str, readings: &[(i64, f64)]) -> Vec<Snapshot> {
        readings.iter().map(|(minute, used)| report(session, *minute, *used, RESET)).collect()
    }

    fn pace(book: &LimitsBook, minute: i64) -> Option<String> {
        let combined = book.iter().next()?;
        let view = combined.views(now(minute * MINUTE)).into_iter().next()?;
        Some(view.pace?.text(now(minute * MINUTE).wall, &TimeZone::UTC))
    }

    /// The pace at a minute of 1970 after readings of one session of any agent: taken one by one, read together,
    /// stored and read again.
    #[track_caller]
    fn check(readings: &[(i64, f64)], minute: i64, expected: Option<&str>) {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let of_agent = |report| Snapshot { agent, family: main_family(agent).to_owned(), ..report };
            check_words(reports("a", readings).into_iter().map(of_agent).collect(), minute, expected);
        }
    }

    #[track_caller]
    fn check_words(reports: Vec<Snapshot>, minute: i64, expected: Option<&str>) {
        let mut live = LimitsBook::default();
        for report in &reports {
            live.learn([report.clone()]);
        }
        assert_eq!(pace(&live, minute).as_deref(), expected, "heard one by one");
        let mut pending = Vec::new();
        reports.into_iter().for_each(|report| add_report(&mut pending, report));
        let mut read = LimitsBook::default();
        read.learn(pending.clone());
        assert_eq!(pace(&read, minute).as_deref(), expected, "read at once");
        let kept = serde_json::to_vec(&live.reports().collect::<Vec<_>>()).unwrap();
        let mut next = LimitsBook::default();
        next.learn(serde_json::from_slice::<Vec<Snapshot>>(&kept).unwrap());
        assert_eq!(pace(&next, minute).as_deref(), expected, "kept");
        next.learn(pending);
        assert_eq!(pace(&next, minute).as_deref(), expected, "kept, and read again");
    }

    #[test]
    fn a_speed_tells_whether_a_window_lasts() {
        // 10 points in 20 minutes: 80 more in 160.
        check(&[(0, 10.0), (20, 20.0)], 20, Some("empty about 03:00"));
        check(&[(0, 10.0), (7, 30.0), (20, 30.0)], 20, Some("empty about 01:30"));
        // 2 points in 10 minutes: 98 in 490.
        check(&[(0, 0.0), (10, 2.0)], 10, Some("lasts until reset"));
        // To the second: a window that is used up at its reset has lasted until then.
        check(&[(0, 0.0), (30, 10.0)], 30, Some("lasts until reset"));
        check(&[(0, 0.0), (30, 10.1)], 30, Some("empty about 04:57"));
    }

    #[test]
    fn readings_that_are_too_close_give_no_pace() {
        check(&[(0, 10.0)], 0, None);
        check(&[(0, 10.0), (9, 50.0)], 9, None);
        check(&[(0, 10.0), (10, 11.9)], 10, None);
        check(&[(0, 10.0), (10, 12.0)], 10, Some("lasts until reset"));
        // The same use for an hour gives no speed; then the hour counts.
        check(&[(0, 10.0), (60, 10.0)], 60, None);
        check(&[(0, 10.0), (60, 10.0), (61, 30.5)], 61, Some("empty about 04:27"));
    }

    #[test]
    fn old_readings_give_no_pace() {
        check(&[(0, 10.0), (20, 20.0)], 35, Some("empty about 03:00"));
        check(&[(0, 10.0), (20, 20.0)], 36, None);
    }

    #[test]
    fn a_pace_in_the_past_is_absent() {
        check(&[(0, 10.0), (20, 70.0)], 29, Some("empty about 00:30"));
        check(&[(0, 10.0), (20, 70.0)], 30, None);
        check(&[(0, 10.0), (20, 100.0)], 20, None);
        check(&[(0, 10.0), (20, 99.6)], 20, None);
    }

    #[test]
    fn the_next_window_starts_with_new_readings() {
        let next = |minute, used| report("a", minute, used, RESET + 300 * MINUTE);
        let mut book = LimitsBook::default();
        book.learn(reports("a", &[(0, 10.0), (200, 90.0)]));
        book.learn([next(301, 1.0)]);
        assert_eq!(pace(&book, 301), None);
        book.learn([next(310, 31.0)]);
        assert_eq!(pace(&book, 310), None, "9 minutes");
        book.learn([next(311, 31.0)]);
        assert_eq!(pace(&book, 311).as_deref(), Some("empty about 05:34"));
        // A fall within a window: it was reset early, or the account has changed.
        let mut book = LimitsBook::default();
        book.learn(reports("a", &[(0, 10.0), (20, 60.0), (30, 5.0), (35, 9.0)]));
        assert_eq!(pace(&book, 35), None);
        book.learn(reports("a", &[(40, 15.0)]));
        assert_eq!(pace(&book, 40).as_deref(), Some("empty about 02:05"));
    }

    #[test]
    fn a_reading_from_before_the_window_does_not_count() {
        // The reset moves with each report, slightly, as long as nothing is used.
        let moving = (0..=100).map(|minute| report("a", minute, 0.0, RESET + minute * MINUTE));
        let mut book = LimitsBook::default();
        moving.for_each(|report| drop(book.learn([report])));
        book.learn([report("a", 115, 5.0, RESET + 100 * MINUTE)]);
        assert_eq!(pace(&book, 115), None);
    }

    #[test]
    fn readings_of_several_sources_count_together() {
        let mut book = LimitsBook::default();
        book.learn(reports("a", &[(0, 10.0), (5, 12.0)]));
        book.learn(reports("b", &[(20, 20.0)]));
        assert_eq!(pace(&book, 20).as_deref(), Some("empty about 03:00"));
        // A late repetition by another source is lower than the known use, and no reading of its time.
        book.learn(reports("c", &[(21, 15.0)]));
        assert_eq!(pace(&book, 21).as_deref(), Some("empty about 03:00"));
        // A fall makes the earlier reports void.
        book.learn(reports("b", &[(30, 5.0), (31, 8.0)]));
        assert_eq!(pace(&book, 31), None);
    }

    #[test]
    fn an_exhausted_week_leaves_no_pace_to_the_shorter_window() {
        let week = |minute, used, week| {
            snapshot(minute * MINUTE, &[(300, used, Some(RESET)), (10_080, week, Some(600_000))])
        };
        let mut book = LimitsBook::default();
        book.learn([week(0, 10.0, 90.0), week(20, 20.0, 99.0)]);
        assert!(pace(&book, 20).is_some());
        book.learn([week(21, 21.0, 100.0)]);
        assert_eq!(pace(&book, 21), None);
    }

    #[test]
    fn a_window_without_a_known_reset_has_no_pace() {
        let mut book = LimitsBook::default();
        book.learn([0, 20].map(|minute| snapshot(minute * MINUTE, &[(299, minute as f64, None)])));
        assert_eq!(pace(&book, 20), None);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_speed() {
        let mut book = LimitsBook::default();
        book.learn(reports("a", &[(100, 10.0), (120, 20.0)]));
        book.not_after(now(90 * MINUTE).wall);
        assert_eq!(pace(&book, 90), None);
        book.learn(reports("a", &[(101, 30.0)]));
        assert_eq!(pace(&book, 101).as_deref(), Some("empty about 02:19"));
    }
}
