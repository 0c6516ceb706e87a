//! Notices that the machine slept or a clock was set, without polling.
//!
//! Timers follow the monotonic clock, which stands still while the machine sleeps. Linux reports at once when the
//! calendar clock jumps, which a wake-up counts as; on other systems the next event of any kind shows it.

use std::time::Duration;

use crate::core::time::{Now, elapsed};

/// Clocks that differ by more than this between two checks have jumped.
const JUMP: Duration = Duration::from_secs(5);

/// Compares the two clocks from one event to the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct JumpDetector {
    last: Option<Now>,
}

impl JumpDetector {
    /// Whether the clocks have jumped since the last call.
    pub fn has_jumped(&mut self, now: Now) -> bool {
        let Some(last) = self.last.replace(now) else { return false };
        let mono = now.mono.saturating_sub(last.mono);
        let wall = elapsed(last.wall, now.wall);
        // For a calendar clock that was set back `elapsed` gives zero.
        now.wall < last.wall && elapsed(now.wall, last.wall) > JUMP || wall.abs_diff(mono) > JUMP
    }
}

/// Waits until the calendar clock jumps.
#[derive(Debug, Default)]
pub struct ClockWatch {
    #[cfg(target_os = "linux")]
    timer: Option<linux::Timer>,
}

impl ClockWatch {
    /// Starts the timer, if the system has one. Belongs inside a tokio runtime.
    pub fn start() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: linux::Timer::start().ok(),
        }
    }

    /// Returns when the calendar clock has jumped; never if there is no timer. Cancel safe.
    pub async fn jumped(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = &mut self.timer
            && timer.cancelled().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::io::Errno;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Very far in the future: the timer exists only to be cancelled.
    const FAR: Timespec = Timespec { tv_sec: 1 << 40, tv_nsec: 0 };

    /// A timer that the system cancels whenever the calendar clock is set, which the end of a sleep counts as.
    #[derive(Debug)]
    pub(super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        #[expect(deprecated, reason = "what replaces it is unsafe; the timer is owned, as that asks for")]
        pub(super) fn start() -> io::Result<Self> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
            set(&timer)?;
            Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
        }

        /// Waits until the timer is cancelled, and sets it again.
        pub(super) async fn cancelled(&mut self) -> io::Result<()> {
            let read = |timer: &OwnedFd| match rustix::io::read(timer, &mut [0; 8]) {
                Err(Errno::CANCELED) => Ok(()),
                Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(error.into()),
            };
            self.0.async_io(Interest::READABLE, read).await?;
            set(self.0.get_ref())
        }
    }

    fn set(timer: &OwnedFd) -> io::Result<()> {
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(timer, flags, &Itimerspec { it_interval: none, it_value: FAR })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, wall: i64) -> Now {
        Now { mono: Duration::from_secs(mono), wall: jiff::Timestamp::from_second(wall).unwrap() }
    }

    #[test]
    fn a_difference_between_the_clocks_is_a_jump() {
        let mut detector = JumpDetector::default();
        assert!(!detector.has_jumped(at(0, 1_000)));
        assert!(!detector.has_jumped(at(60, 1_060)));
        assert!(detector.has_jumped(at(61, 5_000)), "slept");
        assert!(!detector.has_jumped(at(62, 5_001)));
        assert!(detector.has_jumped(at(63, 4_000)), "set back");
    }
}
