//! Detects a home whose disk delays the reading.
//!
//! The reading thread notes the home that it reads, and each piece that it gets. The loop checks now and then while
//! there is work. If the thread waits for one piece over several checks, or is found waiting often, the home is to be
//! read on a thread of its own. A thread that only waits for a processor does not count.
//! Read next: `host::reading`, which starts that thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::io::clock;

/// A disk hangs if so many checks in a row find the thread waiting for the same piece.
const MOST_LOOKS: u32 = 4;

/// A disk is slow if so many checks between two rescans find the thread waiting.
const MOST_WAITS: u32 = 20;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Nothing is read now, and nothing was read since the last check.
    Rests,
    /// Nothing is read now.
    Pauses,
    /// The reading makes progress.
    Reads,
    /// The disk of a home delays the reading.
    Held {
        /// The home's label.
        home: Arc<str>,
        /// Since when no bytes were read.
        since: Timestamp,
    },
}

#[derive(Debug, Default)]
pub(super) struct Stall {
    state: Mutex<State>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The home that is read, and the time of its last piece.
    at: Option<(Arc<str>, Timestamp)>,
    /// How many checks have found the thread waiting for this piece.
    looks: u32,
    /// How many checks have found it waiting, by home.
    waits: BTreeMap<Arc<str>, u32>,
    /// Whether anything was read since the last check.
    has_read: bool,
    /// Whether the loop checks now and then.
    is_looked_at: bool,
    thread: Thread,
}

impl Stall {
    /// Notes that this thread reads.
    pub(super) fn is_here(&self) {
        self.lock().thread = Thread::this();
    }

    /// Notes that this home is read now.
    pub(super) fn turn_to(&self, home: &Arc<str>) {
        let mut state = self.lock();
        (state.at, state.looks) = (Some((Arc::clone(home), clock::now().wall)), 0);
        state.has_read = true;
        if !std::mem::replace(&mut state.is_looked_at, true) {
            self.begun.notify_one();
        }
    }

    /// Notes that the next piece was read.
    pub(super) fn go_on(&self) {
        let mut state = self.lock();
        state.looks = 0;
        state.at.iter_mut().for_each(|(_, since)| *since = clock::now().wall);
    }

    /// Notes that the thread does not wait for a disk.
    pub(super) fn rest(&self) {
        let mut state = self.lock();
        (state.at, state.looks) = (None, 0);
    }

    /// Clears the counts of all homes.
    pub(super) fn forgive(&self) {
        self.lock().waits.clear();
    }

    /// Waits until the reading begins and has to be checked. Cancel safe.
    pub(super) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Checks the reading. After [`Look::Rests`] no check is needed until it has begun again.
    pub(super) fn look(&self) -> Look {
        // The system is asked without the lock, which the thread may wait for.
        let thread = {
            let state = &mut *self.lock();
            let has_read = std::mem::take(&mut state.has_read);
            if state.at.is_none() {
                state.is_looked_at = has_read;
                return if has_read { Look::Pauses } else { Look::Rests };
            }
            state.thread
        };
        let is_running = thread.is_running();
        let state = &mut *self.lock();
        let Some((home, since)) = &state.at else { return Look::Pauses };
        if is_running {
            return Look::Reads;
        }
        state.looks += 1;
        let waits = state.waits.entry(Arc::clone(home)).or_default();
        *waits += 1;
        if state.looks < MOST_LOOKS && *waits < MOST_WAITS {
            return Look::Reads;
        }
        Look::Held { home: Arc::clone(home), since: *since }
    }

    /// A thread that panicked leaves valid state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's id of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct Thread(#[cfg(target_os = "linux")] Option<rustix::thread::Pid>);

impl Thread {
    fn this() -> Self {
        Self(
            #[cfg(target_os = "linux")]
            Some(rustix::thread::gettid()),
        )
    }

    /// Whether it runs or waits for a processor; false where the system does not report it, so that only its own notes
    /// count.
    fn is_running(self) -> bool {
        #[cfg(target_os = "linux")]
        if let Self(Some(thread)) = self {
            let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
            let stat = std::fs::read_to_string(path).unwrap_or_default();
            // The state follows the name, which may have any characters.
            return stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('R'));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_held(stall: &Stall) -> bool {
        matches!(stall.look(), Look::Held { home, .. } if *home == *"home")
    }

    #[test]
    fn a_home_without_progress_over_several_checks_is_detected() {
        let (stall, home) = (Stall::default(), Arc::from("home"));
        assert_eq!(stall.look(), Look::Rests);
        for _ in 1..MOST_LOOKS {
            stall.turn_to(&home);
            assert!(!is_held(&stall));
            stall.go_on();
        }
        for _ in 1..MOST_LOOKS {
            assert_eq!(stall.look(), Look::Reads);
        }
        assert!(is_held(&stall));
        stall.rest();
        assert_eq!(stall.look(), Look::Rests);
        stall.turn_to(&home);
        stall.rest();
        assert_eq!([stall.look(), stall.look()], [Look::Pauses, Look::Rests]);
    }

    #[test]
    fn a_home_that_is_slow_at_many_checks_is_detected() {
        let (stall, home, other) = (Stall::default(), Arc::from("home"), Arc::from("other"));
        for _ in 1..MOST_WAITS {
            stall.turn_to(&home);
            assert!(!is_held(&stall));
            stall.turn_to(&other);
        }
        stall.turn_to(&home);
        assert!(is_held(&stall));
        stall.forgive();
        assert!(!is_held(&stall));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_running_thread_is_not_waiting_for_a_disk() {
        let (stall, home) = (Stall::default(), Arc::from("home"));
        stall.is_here();
        stall.turn_to(&home);
        for _ in 0..=MOST_WAITS {
            assert_eq!(stall.look(), Look::Reads);
        }
    }
}
