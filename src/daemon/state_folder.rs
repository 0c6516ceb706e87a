//! What becomes of a state folder that is removed while the daemon runs.
//!
//! The lock goes with the folder, so another daemon could start beside this one: the folder is made again and locked, or
//! this daemon ends. Read next: [`crate::instance`].

use super::requests::Requests;
use super::{Daemon, clock};
use crate::instance::AcquireError;
use crate::paths::ensure_state_dir;

impl Daemon<'_> {
    /// Makes the state folder again if it was removed, before another daemon starts in one that has no lock.
    pub(super) fn mind_state(&mut self, requests: &mut Requests) {
        if self.instance.is_in_place(self.keeper.folder()) {
            return;
        }
        let folder = self.keeper.folder().path().display().to_string();
        let made = ensure_state_dir(self.keeper.folder().path());
        let taken =
            made.map_err(|failure| failure.message).and_then(|made| match self.instance.take_again(&made) {
                Err(AcquireError::Held { .. }) => Ok(false),
                taken => taken.map(|()| true).map_err(|error| error.to_string()),
            });
        match taken {
            Ok(true) => {
                tracing::warn!("the state folder {folder} was removed; it was made again");
                requests.listen(self.instance);
                self.keeper.begin_anew();
                self.keep();
            }
            Ok(false) => {
                tracing::warn!(
                    "the state folder {folder} was removed, and another instance began there; ending"
                );
                self.ending = true;
                self.keep();
            }
            Err(problem) => {
                let problem =
                    format!("the state folder {folder} was removed: {problem}; hint: make it again");
                self.keeper.fail(clock::now().mono, problem);
            }
        }
    }
}
