//! Rests between the events of a busy file system: a hundred files that grow wake us a few times a second, not thousands.
//!
//! The first event after a pause is passed on at once, and so is the one that begins a rest; what comes during a rest waits
//! in the system's queue and is passed on together. The more came, the longer the next rest. Only where that queue is long
//! (inotify: 16,384 events by default, and an overflow is told) may anybody rest.
//! Read next: `watch`, whose thread this is.

use std::time::Duration;

/// After a silence of this length an event is the first.
const PAUSE: Duration = Duration::from_millis(200);

/// What was waiting is passed on within this time.
const EMPTYING: Duration = Duration::from_millis(2);

/// How long is rested for each event since the last rest.
const EACH: Duration = Duration::from_millis(5);

/// The longest rest.
const LONGEST: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Breath {
    heard_at: Option<Duration>,
    rested_until: Option<Duration>,
    /// Events since the last rest.
    events: u32,
}

impl Breath {
    /// An event has been passed on at `mono`. How long to rest before the next one.
    pub(super) fn after_event(&mut self, mono: Duration) -> Option<Duration> {
        let within =
            |since: Option<Duration>, span| since.is_some_and(|since| mono.saturating_sub(since) < span);
        let first = !within(self.heard_at, PAUSE);
        self.heard_at = Some(mono);
        self.events = if first { 1 } else { self.events.saturating_add(1) };
        if first || within(self.rested_until, EMPTYING) {
            return None;
        }
        let rest = EACH.saturating_mul(self.events).min(LONGEST);
        self.events = 0;
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
            assert_eq!(breath.after_event(ms(second * 200)), None);
        }
    }

    #[test]
    fn the_busier_it_is_the_longer_the_rest() {
        let mut breath = Breath::default();
        let mut now = Duration::ZERO;
        let mut rests = Vec::new();
        while now < ms(10_000) {
            // A line every half millisecond; those of a rest are there when it is over.
            let mut waiting = 1;
            while waiting > 0 {
                waiting -= 1;
                if let Some(rest) = breath.after_event(now) {
                    rests.push(rest);
                    waiting += rest.as_micros() / 500;
                    now += rest;
                }
            }
            now += Duration::from_micros(500);
        }
        assert_eq!(rests.first(), Some(&ms(10)));
        assert_eq!(rests.last(), Some(&LONGEST));
        assert!(rests.len() < 60, "{}", rests.len());
    }
}
