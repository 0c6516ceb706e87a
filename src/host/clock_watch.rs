//! Tells when the machine slept or a clock was set, without waking up for it.
//!
//! Timers follow the monotonic clock, which stands still while the machine sleeps. Linux says at once when the
//! calendar clock jumps, and waking up counts as that; elsewhere the next event of any kind shows it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::core::time::{Now, elapsed};

/// Clocks that come apart by more than this between two looks have jumped.
const JUMP: Duration = Duration::from_secs(5);

/// Compares the two clocks from one event to the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct JumpDetector {
    last: Option<Now>,
}

impl JumpDetector {
    /// Whether the clocks have come apart since the last call.
    pub fn has_jumped(&mut self, now: Now) -> bool {
        let Some(last) = self.last.replace(now) else { return false };
        let mono = now.mono.saturating_sub(last.mono);
        let wall = elapsed(last.wall, now.wall);
        // A calendar clock that was set back has not moved at all by `elapsed`.
        now.wall < last.wall && elapsed(now.wall, last.wall) > JUMP || wall.abs_diff(mono) > JUMP
    }
}

/// Waits until the calendar clock jumps.
#[derive(Debug, Default)]
pub struct ClockWatch {
    jumped: Arc<Notify>,
}

impl ClockWatch {
    /// Starts a thread that sleeps until the system says so. Where there is no such timer it waits for ever.
    pub fn start() -> Self {
        let watch = Self::default();
        #[cfg(target_os = "linux")]
        {
            let jumped = Arc::clone(&watch.jumped);
            // Without the thread the next event of any kind shows the jump, as on other systems.
            let _ = std::thread::Builder::new()
                .name("clock".to_owned())
                .stack_size(64 << 10)
                .spawn(move || linux::watch(|| jumped.notify_one()));
        }
        watch
    }

    /// Returns when the calendar clock has jumped. Nothing is lost when the wait is given up.
    pub async fn jumped(&self) {
        self.jumped.notified().await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    use rustix::io::Errno;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    /// Calls `jumped` whenever the calendar clock is set, which the end of a sleep counts as.
    pub(super) fn watch(jumped: impl Fn()) -> io::Result<()> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?;
        // Far beyond anybody's life: the timer is there to be cancelled.
        let far = Timespec { tv_sec: 1 << 40, tv_nsec: 0 };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: far };
        loop {
            timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &spec)?;
            match rustix::io::read(&timer, &mut [0; 8]) {
                Err(Errno::CANCELED) => jumped(),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, wall: i64) -> Now {
        Now { mono: Duration::from_secs(mono), wall: jiff::Timestamp::from_second(wall).unwrap() }
    }

    #[test]
    fn clocks_that_come_apart_have_jumped() {
        let mut detector = JumpDetector::default();
        assert!(!detector.has_jumped(at(0, 1_000)));
        assert!(!detector.has_jumped(at(60, 1_060)));
        assert!(detector.has_jumped(at(61, 5_000)), "slept");
        assert!(!detector.has_jumped(at(62, 5_001)));
        assert!(detector.has_jumped(at(63, 4_000)), "set back");
    }
}
