//! Whether the disk of a home holds the reading up.
//!
//! The reading thread says which home it turns to, and that it goes on with each piece that it gets. The loop looks now and
//! then, for as long as there is work: a home of which the thread waits for one piece from look to look, or is found waiting
//! again and again, is to be read apart from the others. A thread that only waits for a processor does not count.
//! Read next: `host::reading`, which does that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::io::clock;

/// A disk is stuck when this many looks in a row find the thread waiting for the same piece.
const MOST_LOOKS: u32 = 4;

/// A disk is slow when so many looks find the thread waiting for one, from one rescan to the next.
const MOST_WAITS: u32 = 20;

/// What a look shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Nothing is being read.
    Rests,
    /// The reading goes on.
    Reads,
    /// The disk of a home holds it up.
    Held {
        /// Which home, as configured.
        home: Arc<str>,
        /// Since when nothing has been read.
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
    /// The home that is being read, and since when it has given nothing.
    at: Option<(Arc<str>, Timestamp)>,
    /// How many looks have found the thread waiting for this piece.
    looks: u32,
    /// How many have found it waiting for any piece of a home.
    waits: BTreeMap<Arc<str>, u32>,
    /// Whether somebody looks now and then.
    is_looked_at: bool,
    thread: Thread,
}

impl Stall {
    /// It is this thread that reads.
    pub(super) fn is_here(&self) {
        self.lock().thread = Thread::this();
    }

    /// The reading turns to this home.
    pub(super) fn turn_to(&self, home: &Arc<str>) {
        let mut state = self.lock();
        (state.at, state.looks) = (Some((Arc::clone(home), clock::now().wall)), 0);
        if !std::mem::replace(&mut state.is_looked_at, true) {
            self.begun.notify_one();
        }
    }

    /// It got the next piece there.
    pub(super) fn go_on(&self) {
        let mut state = self.lock();
        state.looks = 0;
        state.at.iter_mut().for_each(|(_, since)| *since = clock::now().wall);
    }

    /// It waits for no disk.
    pub(super) fn rest(&self) {
        let mut state = self.lock();
        (state.at, state.looks) = (None, 0);
    }

    /// What was slow until now is forgotten.
    pub(super) fn forgive(&self) {
        self.lock().waits.clear();
    }

    /// Waits until the reading begins and is to be looked at. Nothing is lost when the wait is given up.
    pub(super) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// After [`Look::Rests`] nobody needs to look until it has begun again.
    pub(super) fn look(&self) -> Look {
        // Not while it is locked: the thread would wait for us.
        let thread = {
            let mut state = self.lock();
            state.is_looked_at = state.at.is_some();
            state.at.as_ref().map(|_| state.thread)
        };
        let Some(thread) = thread else { return Look::Rests };
        let is_running = thread.is_running();
        let state = &mut *self.lock();
        let Some((home, since)) = &state.at else {
            state.is_looked_at = false;
            return Look::Rests;
        };
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

    /// A thread that panicked meanwhile leaves the state whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread, as the system calls it.
#[derive(Debug, Clone, Copy, Default)]
struct Thread(#[cfg(target_os = "linux")] Option<rustix::thread::Pid>);

impl Thread {
    fn this() -> Self {
        Self(
            #[cfg(target_os = "linux")]
            Some(rustix::thread::gettid()),
        )
    }

    /// Whether it runs or could. Where the system does not say, it does not: then only what it says itself counts.
    fn is_running(self) -> bool {
        #[cfg(target_os = "linux")]
        if let Self(Some(thread)) = self {
            let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
            let stat = std::fs::read_to_string(path).unwrap_or_default();
            // Behind its name, which may hold anything.
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
    fn a_home_that_gives_nothing_from_look_to_look_holds_the_reading_up() {
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
    }

    #[test]
    fn a_home_that_gives_everything_late_holds_the_reading_up() {
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
    fn a_thread_that_works_or_waits_for_a_processor_is_not_held_up() {
        let (stall, home) = (Stall::default(), Arc::from("home"));
        stall.is_here();
        stall.turn_to(&home);
        for _ in 0..=MOST_WAITS {
            assert_eq!(stall.look(), Look::Reads);
        }
    }
}
