//! Reports the ends of registered processes, from the system's own events.
//!
//! A thread sleeps until any of them ends (on Windows a thread for each). Where the system does not report ends,
//! `registers` checks again after a while.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::inbox::Inbox;

/// The processes whose ends are reported.
pub(super) struct Exits(system::Exits);

impl Exits {
    pub(super) fn new(inbox: Arc<Inbox>) -> Self {
        Self(system::Exits::new(inbox))
    }

    /// Reports the ends of these processes from now on; false if not of all of them.
    pub(super) fn watch(&mut self, pids: &BTreeSet<u32>) -> bool {
        self.0.watch(pids)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::fd::OwnedFd;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::Inbox;

    pub(super) struct Exits {
        inbox: Arc<Inbox>,
        /// Created with the first process.
        shared: Option<Arc<Shared>>,
        watched: BTreeSet<u32>,
        all: bool,
    }

    /// The data shared with the thread.
    struct Shared {
        held: Mutex<BTreeMap<u32, Arc<OwnedFd>>>,
        stopping: AtomicBool,
        /// Written to when the other fields have changed.
        wake: OwnedFd,
    }

    impl Exits {
        pub(super) fn new(inbox: Arc<Inbox>) -> Self {
            Self { inbox, shared: None, watched: BTreeSet::new(), all: true }
        }

        pub(super) fn watch(&mut self, pids: &BTreeSet<u32>) -> bool {
            if *pids == self.watched {
                return self.all;
            }
            let Some(shared) = self.shared() else { return pids.is_empty() };
            {
                let mut held = lock(&shared.held);
                held.retain(|pid, _| pids.contains(pid));
                for pid in pids.difference(&self.watched) {
                    let raw = i32::try_from(*pid).ok().and_then(Pid::from_raw);
                    let opened = raw.and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok());
                    held.extend(opened.map(|opened| (*pid, Arc::new(opened))));
                }
                self.all = held.len() == pids.len();
            }
            self.watched.clone_from(pids);
            shared.wake();
            self.all
        }

        fn shared(&mut self) -> Option<Arc<Shared>> {
            if self.shared.is_none() {
                let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
                let shared =
                    Arc::new(Shared { held: Mutex::default(), stopping: AtomicBool::new(false), wake });
                let (of_thread, inbox) = (Arc::clone(&shared), Arc::clone(&self.inbox));
                let thread = std::thread::Builder::new().name("exits".to_owned());
                thread.spawn(move || of_thread.tell(&inbox)).ok()?;
                self.shared = Some(shared);
            }
            self.shared.clone()
        }
    }

    impl Drop for Exits {
        fn drop(&mut self) {
            if let Some(shared) = &self.shared {
                shared.stopping.store(true, Ordering::Relaxed);
                shared.wake();
            }
        }
    }

    impl Shared {
        fn wake(&self) {
            // A full counter has been written to often enough.
            let _full = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }

        fn tell(&self, inbox: &Inbox) {
            while !self.stopping.load(Ordering::Relaxed) {
                let held: Vec<(u32, Arc<OwnedFd>)> =
                    lock(&self.held).iter().map(|(pid, fd)| (*pid, Arc::clone(fd))).collect();
                let mut asked = vec![PollFd::new(&self.wake, PollFlags::IN)];
                asked.extend(held.iter().map(|(_, fd)| PollFd::new(fd, PollFlags::IN)));
                if poll(&mut asked, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
                    return;
                }
                let mut ended = asked.iter().skip(1).map(|fd| !fd.revents().is_empty());
                let ended: BTreeSet<u32> =
                    held.iter().filter(|_| ended.next() == Some(true)).map(|(pid, _)| *pid).collect();
                let _nothing_to_read = rustix::io::read(&self.wake, &mut [0; 8]);
                if !ended.is_empty() {
                    lock(&self.held).retain(|pid, _| !ended.contains(pid));
                    inbox.ended(ended);
                }
            }
        }
    }

    /// A thread that panicked with the lock held leaves the map whole.
    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(windows)]
mod system {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::thread::{Builder, JoinHandle};

    use winsafe::{HPROCESS, co};

    use super::Inbox;

    /// A thread that waits for a process can be woken only by its end, so there is a small one for each.
    pub(super) struct Exits {
        inbox: Arc<Inbox>,
        waiting: BTreeMap<u32, JoinHandle<()>>,
    }

    impl Exits {
        pub(super) fn new(inbox: Arc<Inbox>) -> Self {
            Self { inbox, waiting: BTreeMap::new() }
        }

        pub(super) fn watch(&mut self, pids: &BTreeSet<u32>) -> bool {
            self.waiting.retain(|_, thread| !thread.is_finished());
            for pid in pids {
                if !self.waiting.contains_key(pid)
                    && let Some(thread) = self.wait(*pid)
                {
                    self.waiting.insert(*pid, thread);
                }
            }
            pids.iter().all(|pid| self.waiting.contains_key(pid))
        }

        fn wait(&self, pid: u32) -> Option<JoinHandle<()>> {
            const STACK: usize = 64 * 1024;
            let process = HPROCESS::OpenProcess(co::PROCESS::SYNCHRONIZE, false, pid).ok()?;
            let inbox = Arc::clone(&self.inbox);
            let thread = Builder::new().name("exits".to_owned()).stack_size(STACK);
            let tell = move || {
                if process.WaitForSingleObject(None).is_ok() {
                    inbox.ended([pid]);
                }
            };
            thread.spawn(tell).ok()
        }
    }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod system {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use nix::errno::Errno;
    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

    use super::Inbox;

    pub(super) struct Exits {
        inbox: Arc<Inbox>,
        /// Created with the first process.
        queue: Option<Arc<Kqueue>>,
    }

    impl Exits {
        pub(super) fn new(inbox: Arc<Inbox>) -> Self {
            Self { inbox, queue: None }
        }

        /// Watched processes stay watched; the end of one that is no longer wanted costs one needless check.
        pub(super) fn watch(&mut self, pids: &BTreeSet<u32>) -> bool {
            if pids.is_empty() {
                return true;
            }
            let Some(queue) = self.queue() else { return false };
            let watched = pids.iter().filter(|pid| {
                let flags = EvFlags::EV_ADD | EvFlags::EV_ONESHOT;
                usize::try_from(**pid).is_ok_and(|pid| {
                    change(&queue, pid, EventFilter::EVFILT_PROC, flags, FilterFlag::NOTE_EXIT).is_ok()
                })
            });
            watched.count() == pids.len()
        }

        fn queue(&mut self) -> Option<Arc<Kqueue>> {
            if self.queue.is_none() {
                let queue = Arc::new(Kqueue::new().ok()?);
                let none = FilterFlag::empty();
                change(&queue, 0, EventFilter::EVFILT_USER, EvFlags::EV_ADD | EvFlags::EV_CLEAR, none)
                    .ok()?;
                let (of_thread, inbox) = (Arc::clone(&queue), Arc::clone(&self.inbox));
                let thread = std::thread::Builder::new().name("exits".to_owned());
                thread.spawn(move || tell(&of_thread, &inbox)).ok()?;
                self.queue = Some(queue);
            }
            self.queue.clone()
        }
    }

    impl Drop for Exits {
        fn drop(&mut self) {
            if let Some(queue) = &self.queue {
                let (flags, end) = (EvFlags::empty(), FilterFlag::NOTE_TRIGGER);
                // This event was added with the queue.
                let _there = change(queue, 0, EventFilter::EVFILT_USER, flags, end);
            }
        }
    }

    /// Changes the queue. Without a buffer for events the call returns at once and takes no event from the thread.
    fn change(
        queue: &Kqueue,
        what: usize,
        filter: EventFilter,
        flags: EvFlags,
        more: FilterFlag,
    ) -> Result<usize, Errno> {
        queue.kevent(&[KEvent::new(what, filter, flags, more, 0, 0)], &mut [], None)
    }

    /// Runs until the user event, which marks the end.
    fn tell(queue: &Kqueue, inbox: &Inbox) {
        let none = KEvent::new(0, EventFilter::EVFILT_USER, EvFlags::empty(), FilterFlag::empty(), 0, 0);
        let mut events = [none; 16];
        loop {
            let found = match queue.kevent(&[], &mut events, None) {
                Ok(count) => events.get(..count).unwrap_or_default(),
                Err(Errno::EINTR) => &[],
                Err(_) => return,
            };
            if found.iter().any(|event| event.filter() == Ok(EventFilter::EVFILT_USER)) {
                return;
            }
            inbox.ended(found.iter().filter_map(|event| u32::try_from(event.ident()).ok()));
        }
    }
}
