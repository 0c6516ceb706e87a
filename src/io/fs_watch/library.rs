//! The events of other systems, from the `notify` library: a watcher and a thread for each part of the program.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use notify::event::Flag;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::{Callback, WatchError};

pub(super) struct Watcher(RecommendedWatcher);

impl Watcher {
    pub(super) fn new(callback: &Callback) -> Result<Self, WatchError> {
        let callback = Arc::clone(callback);
        let made = notify::recommended_watcher(move |event| {
            if let Some(event) = change(event) {
                callback.lock().unwrap_or_else(PoisonError::into_inner)(event);
            }
        });
        Ok(Self(made?))
    }

    pub(super) fn watch(&mut self, path: &Path, mode: RecursiveMode) -> Result<(), WatchError> {
        Ok(self.0.watch(path, mode)?)
    }

    pub(super) fn unwatch(&mut self, path: &Path) {
        // A watch that ended with its folder cannot be removed a second time.
        let _gone_already = self.0.unwatch(path);
    }
}

/// The event to pass on; `None` for accesses. An error means that events were missed.
fn change(event: notify::Result<Event>) -> Option<Event> {
    let event = event.unwrap_or_else(|_| Event::new(EventKind::Other).set_flag(Flag::Rescan));
    (!matches!(event.kind, EventKind::Access(_))).then_some(event)
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, ModifyKind};

    use super::*;

    #[test]
    fn accesses_are_ignored_and_an_error_reports_missed_events() {
        let is_change = |kind| change(Ok(Event::new(kind))).is_some();
        assert!(is_change(EventKind::Modify(ModifyKind::Any)));
        assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(change(Err(notify::Error::generic("lost"))).is_some_and(|event| event.need_rescan()));
    }
}
