//! Handles a state folder, or a lock in it, that is removed while the daemon runs.
//!
//! Another daemon could lock a new file and start beside this one. So the folder is made again and locked, or this
//! daemon ends. Read next: [`crate::io::instance`].

use super::Daemon;
use crate::io::clock;
use crate::io::instance::AcquireError;
use crate::io::paths::ensure_state_dir;

impl Daemon<'_> {
    /// Makes the state folder and the lock again if they were removed, before another daemon starts without one.
    pub(super) fn mind_state(&mut self) {
        if self.instance.is_in_place(self.keeper.folder()) {
            self.requests.mind_sockets(self.instance);
            return;
        }
        let folder = self.keeper.folder().path().display().to_string();
        let made = ensure_state_dir(self.keeper.folder().path());
        let taken =
            made.map_err(|failure| failure.message).and_then(|made| match self.instance.take_again(&made) {
                Err(AcquireError::Held { .. }) => Ok(false),
                taken => taken
                    .map(|()| self.keeper.folder().renew(&made))
                    .map(|()| true)
                    .map_err(|error| error.to_string()),
            });
        match taken {
            Ok(true) => {
                tracing::warn!("the lock in the state folder {folder} was removed; it is made again");
                self.requests.listen(self.instance);
                self.keeper.start_over();
                self.host.inputs.look_again();
                self.keep();
            }
            Ok(false) => {
                tracing::warn!(
                    "the lock in the state folder {folder} was removed, and another instance has started there; ending"
                );
                self.ending = true;
                self.keep();
            }
            Err(problem) => {
                let problem = format!(
                    "the state folder {folder} was removed and could not be made again: {problem}; hint: make it yourself"
                );
                self.keeper.fail(clock::now().mono, problem);
            }
        }
    }
}
