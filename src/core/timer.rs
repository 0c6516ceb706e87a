//! The named timers of the engine.
//!
//! Read next: [`crate::engine`], which keeps the table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What happens at the time of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A session's activity changes, or it goes idle.
    Activity,
    /// A rate-limit window resets.
    LimitReset,
    /// Limits were not observed for so long that they may have changed.
    LimitsStale,
    /// A rate-limit window was expected to be used up.
    LimitEmpty,
    /// Another session takes the card.
    CardSwitch,
    /// Settings that show more than the earlier ones take effect.
    Settings,
    /// A pause ends.
    Pause,
    /// A link is connected.
    Connect,
    /// A card is sent or cleared.
    Publish,
    /// A card is sent again, in case Discord lost it.
    Reassert,
    /// A link is disconnected.
    Disconnect,
    /// A link that was told to disconnect counts as disconnected.
    Close,
}

impl fmt::Display for Timer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Activity => "activity",
            Self::LimitReset => "limit reset",
            Self::LimitsStale => "limits stale",
            Self::LimitEmpty => "limit used up",
            Self::CardSwitch => "another session waits",
            Self::Settings => "settings that show more",
            Self::Pause => "the pause ends",
            Self::Connect => "connect",
            Self::Publish => "publish",
            Self::Reassert => "re-assert",
            Self::Disconnect => "disconnect",
            Self::Close => "close",
        })
    }
}

/// The timers, with their monotonic times.
#[derive(Debug, Default)]
pub struct Timers(BTreeMap<Timer, Duration>);

impl Timers {
    /// Sets a timer; `None` stops it.
    pub fn set(&mut self, timer: Timer, at: Option<Duration>) {
        match at {
            Some(at) => drop(self.0.insert(timer, at)),
            None => drop(self.0.remove(&timer)),
        }
    }

    /// The timer that is due first.
    pub fn next(&self) -> Option<(Duration, Timer)> {
        self.0.iter().map(|(timer, at)| (*at, *timer)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_timer_is_next_until_it_is_stopped() {
        let mut timers = Timers::default();
        let at = |second| Some(Duration::from_secs(second));
        assert_eq!(timers.next(), None);
        timers.set(Timer::Pause, at(5));
        timers.set(Timer::Activity, at(7));
        assert_eq!(timers.next(), Some((Duration::from_secs(5), Timer::Pause)));
        timers.set(Timer::Pause, at(9));
        assert_eq!(timers.next(), Some((Duration::from_secs(7), Timer::Activity)));
        timers.set(Timer::Activity, None);
        assert_eq!(timers.next(), Some((Duration::from_secs(9), Timer::Pause)));
    }
}
