//! Delays the events of a busy file system: files that grow all the time wake the reading a few times a second, not
//! with each of their lines.
//!
//! The first event after a pause is passed on at once. A later one waits for half as long as the stream of events has
//! lasted: so the second of two lines is hardly late, and a stream of lines costs little. Events during a rest wait in
//! the system's queue, where several changes of one file are one, and are passed on together. This requires a long
//! queue (inotify: 16,384 events by default, and an overflow is reported). If many files grow at once, the rests are
//! longer, so that each file is read once for many lines. Read next: `watch`, the thread that uses it.

use std::ops::RangeInclusive;
use std::time::Duration;

/// After a pause of this length an event is the first one.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest rest, and the time in which waiting events are passed on.
const OF_FEW: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(2));

/// The same after many waiting events.
const OF_MANY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(20));

/// How many events count as many. With more than these, the queue would not hold the events of a longer rest.
const MANY: RangeInclusive<u32> = 128..=8192;

#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// When the first event of the stream came.
    began_at: Duration,
    heard_at: Option<Duration>,
    rested_until: Option<Duration>,
    /// How many events waited during the last rest.
    waited: u32,
    is_of_many: bool,
}

impl Throttle {
    /// Takes an event at `mono`; returns how long to rest before it is passed on.
    pub(super) fn before_event(&mut self, mono: Duration) -> Option<Duration> {
        let within =
            |since: Option<Duration>, span| since.is_some_and(|since| mono.saturating_sub(since) < span);
        let first = !within(self.heard_at, PAUSE);
        if first {
            *self = Self { began_at: mono, heard_at: Some(mono), ..Self::default() };
            return None;
        }
        self.heard_at = Some(mono);
        if within(self.rested_until, self.limits().1) {
            self.waited = self.waited.saturating_add(1);
            return None;
        }
        self.is_of_many = MANY.contains(&self.waited);
        self.waited = 0;
        let rest = (mono.saturating_sub(self.began_at) / 2).min(self.limits().0);
        self.heard_at = Some(mono.saturating_add(rest));
        self.rested_until = self.heard_at;
        Some(rest)
    }

    /// The time in which many waiting events are passed on; `None` if there were few.
    pub(super) fn more_within(&self) -> Option<Duration> {
        self.is_of_many.then_some(OF_MANY.1)
    }

    const fn limits(&self) -> (Duration, Duration) {
        if self.is_of_many { OF_MANY } else { OF_FEW }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_single_event_is_never_delayed() {
        let mut breath = Throttle::default();
        for second in 0..10 {
            assert_eq!(breath.before_event(ms(second * 200)), None);
        }
    }

    #[test]
    fn the_second_of_two_lines_is_delayed_by_half_the_time_between_them() {
        for between in [2, 20, 100, 199] {
            let mut breath = Throttle::default();
            assert_eq!(breath.before_event(ms(0)), None);
            assert_eq!(breath.before_event(ms(between)), Some(ms(between) / 2));
        }
    }

    /// The rests for one line per `every`, for ten seconds.
    fn rests(every: Duration, is_one_file: bool) -> Vec<Duration> {
        let mut breath = Throttle::default();
        let mut now = Duration::ZERO;
        let mut rests = Vec::new();
        while now < ms(10_000) {
            // Events during a rest are read at its end.
            let mut waiting = 1;
            while waiting > 0 {
                waiting -= 1;
                if let Some(rest) = breath.before_event(now) {
                    rests.push(rest);
                    let more = rest.as_micros() / every.as_micros();
                    waiting += if is_one_file { more.min(1) } else { more };
                    now += rest;
                }
            }
            now += every;
        }
        rests
    }

    #[test]
    fn the_rest_grows_with_the_length_of_the_stream() {
        for (every, is_one_file) in [(ms(1) / 2, true), (ms(50), true), (ms(50), false), (ms(5), false)] {
            let rests = rests(every, is_one_file);
            assert_eq!(rests.first(), Some(&(every / 2)));
            assert_eq!(rests.last(), Some(&OF_FEW.0));
            assert!(rests.len() < 60, "{}", rests.len());
        }
    }

    #[test]
    fn many_growing_files_get_longer_rests_within_the_queues_length() {
        let last = |every| rests(every, false).last().copied();
        assert_eq!(last(ms(1) / 2), Some(OF_MANY.0));
        assert_eq!(last(ms(1) / 50), Some(OF_FEW.0), "50,000 a second");
    }

    #[test]
    fn more_events_are_expected_only_after_many() {
        for (waiting, is_many) in [(0, false), (127, false), (128, true), (8192, true), (8193, false)] {
            let mut breath = Throttle::default();
            assert_eq!(breath.before_event(ms(0)), None);
            assert_eq!(breath.before_event(ms(150)), Some(ms(75)));
            for _ in 0..waiting {
                assert_eq!(breath.before_event(ms(225)), None);
            }
            assert_eq!(breath.before_event(ms(230)), Some(ms(115)));
            assert_eq!(breath.more_within(), is_many.then_some(OF_MANY.1), "{waiting}");
            // After a pause there may be a single line again.
            assert_eq!((breath.before_event(ms(2_000)), breath.more_within()), (None, None));
        }
    }
}
