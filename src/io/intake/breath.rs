//! Rests between the events of a busy file system: files that grow all the time wake us a few times a second, not with
//! each of their lines.
//!
//! The first event after a pause is passed on at once. One that follows it waits for those behind it, for half as long as
//! this has been going on: so the second of two lines is hardly late, and a stream of them costs little. What comes during a
//! rest waits in the system's queue, where several changes of one file are one, and is passed on together. Only where that
//! queue is long (inotify: 16,384 events by default, and an overflow is told) may anybody rest.
//! Read next: `watch`, whose thread this is.

use std::time::Duration;

/// After a silence of this length an event is the first.
const PAUSE: Duration = Duration::from_millis(200);

/// What was waiting is passed on within this time.
const EMPTYING: Duration = Duration::from_millis(2);

/// The longest rest.
const LONGEST: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Breath {
    /// When the first of these events came.
    began_at: Duration,
    heard_at: Option<Duration>,
    rested_until: Option<Duration>,
}

impl Breath {
    /// An event has come at `mono`. How long to rest before it is passed on.
    pub(super) fn before_event(&mut self, mono: Duration) -> Option<Duration> {
        let within =
            |since: Option<Duration>, span| since.is_some_and(|since| mono.saturating_sub(since) < span);
        let first = !within(self.heard_at, PAUSE);
        self.heard_at = Some(mono);
        if first {
            self.began_at = mono;
            return None;
        }
        if within(self.rested_until, EMPTYING) {
            return None;
        }
        let rest = (mono.saturating_sub(self.began_at) / 2).min(LONGEST);
        self.heard_at = Some(mono.saturating_add(rest));
        self.rested_until = self.heard_at;
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_comes_alone_is_never_held_up() {
        let mut breath = Breath::default();
        for second in 0..10 {
            assert_eq!(breath.before_event(ms(second * 200)), None);
        }
    }

    #[test]
    fn the_second_of_two_lines_is_late_by_half_of_what_lies_between_them() {
        for between in [2, 20, 100, 199] {
            let mut breath = Breath::default();
            assert_eq!(breath.before_event(ms(0)), None);
            assert_eq!(breath.before_event(ms(between)), Some(ms(between) / 2));
        }
    }

    /// One line every so often for ten seconds: the rests that were taken.
    fn rests(every: Duration) -> Vec<Duration> {
        let mut breath = Breath::default();
        let mut now = Duration::ZERO;
        let mut rests = Vec::new();
        while now < ms(10_000) {
            // Those of a rest are there when it is over.
            let mut waiting = 1;
            while waiting > 0 {
                waiting -= 1;
                if let Some(rest) = breath.before_event(now) {
                    rests.push(rest);
                    waiting += rest.as_micros() / every.as_micros();
                    now += rest;
                }
            }
            now += every;
        }
        rests
    }

    #[test]
    fn the_longer_it_goes_on_the_longer_the_rest() {
        for every in [ms(1) / 2, ms(50)] {
            let rests = rests(every);
            assert_eq!(rests.first(), Some(&(every / 2)));
            assert_eq!(rests.last(), Some(&LONGEST));
            assert!(rests.len() < 60, "{}", rests.len());
        }
    }
}
