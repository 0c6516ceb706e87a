//! What the daemon keeps in its state folder besides the lock: the last known limits, and a pause.
//!
//! Each file is replaced whole. A file that cannot be written costs what is in it until it can be, not the daemon; one that
//! cannot be read counts as absent.

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::core::limits::Snapshot;
use crate::io::files;
use crate::io::instance::Instance;
use crate::io::paths::StateDir;

const LIMITS: &str = "limits.json";
const PAUSE: &str = "pause.json";

/// Larger files are not ours.
const LARGEST: u64 = 1 << 20;

/// What changes with every token is not written more often than this.
pub const PACE: Duration = Duration::from_secs(30);

/// What could not be written is tried again after so long.
pub const RETRY: Duration = Duration::from_secs(5);

/// A pause as it is kept; the file is there only while there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pause {
    paused_until: Timestamp,
}

/// The limits kept from the last run; none where the file is missing or garbled.
pub fn read_limits(state: &Path) -> Vec<Snapshot> {
    read(&state.join(LIMITS)).unwrap_or_default()
}

/// Until when the last daemon was paused, which may be over.
pub fn read_pause(state: &Path) -> Option<Timestamp> {
    read::<Pause>(&state.join(PAUSE)).map(|pause| pause.paused_until)
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = match files::read(path, LARGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        bytes => bytes,
    };
    match bytes.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!(
                "could not read {}: {error}; hint: it is made anew, what was in it is lost",
                path.display()
            );
            None
        }
    }
}

/// Writes the files when they have changed; what changes with every token, seldom.
///
/// What could not be written is tried again until it is, and [`Keeper::problem`] says so meanwhile.
#[derive(Debug)]
pub struct Keeper {
    folder: StateDir,
    /// As it is on the disk.
    paused_until: Option<Timestamp>,
    /// As they are on the disk.
    limits: Vec<Snapshot>,
    limits_written_at: Option<Duration>,
    /// What is wrong, and when to try again.
    failing: Option<(String, Duration)>,
    busy: bool,
}

impl Keeper {
    /// Keeps state in `folder`, where `limits` and `paused_until` are what is there already.
    pub fn new(folder: StateDir, limits: Vec<Snapshot>, paused_until: Option<Timestamp>) -> Self {
        Self { folder, paused_until, limits, limits_written_at: None, failing: None, busy: false }
    }

    /// Tells how things are at `mono`. Returns when to come again if something is still to be written: because it was
    /// only just, or because it could not be.
    pub fn keep<'a>(
        &mut self,
        mono: Duration,
        paused_until: Option<Timestamp>,
        limits: impl Iterator<Item = &'a Snapshot> + Clone,
        instance: &Instance,
    ) -> Option<Duration> {
        let retry = self.failing.as_ref().map_or(Duration::ZERO, |(_, retry)| *retry);
        let is_new = !self.limits.iter().eq(limits.clone());
        // The folder, or one that was made again, may have had no room for the record.
        let is_to_try = self.failing.is_some() || !instance.is_signed();
        if self.paused_until == paused_until && !is_new && !is_to_try {
            return None;
        }
        if retry > mono {
            return Some(retry);
        }
        let pace = self.limits_written_at.map(|at| at.saturating_add(PACE)).filter(|due| *due > mono);
        let mut result = Ok(());
        if self.paused_until != paused_until {
            result = self.put_pause(paused_until).map(|()| self.paused_until = paused_until);
        }
        // After a failure it is tried whether there is something new or not, so that its end is noticed.
        if is_to_try || is_new && pace.is_none() {
            let limits: Vec<Snapshot> = limits.cloned().collect();
            result = result.and_then(|()| instance.sign(&self.folder)).and(self.put(LIMITS, &limits));
            if result.is_ok() {
                (self.limits, self.limits_written_at) = (limits, Some(mono));
            }
        } else if is_new && result.is_ok() {
            return pace;
        }
        self.settle(mono, result);
        self.failing.as_ref().map(|(_, retry)| *retry)
    }

    /// Writes the limits whatever was written lately.
    pub fn finish(&mut self, limits: Vec<Snapshot>) {
        if self.limits != limits {
            let result = self.put(LIMITS, &limits);
            self.settle(Duration::ZERO, result);
        }
    }

    /// Whether anything was written, or was to be, since the last call.
    pub fn was_busy(&mut self) -> bool {
        std::mem::take(&mut self.busy)
    }

    /// The folder is another one: everything is to be written again.
    pub fn begin_anew(&mut self) {
        (self.paused_until, self.limits, self.limits_written_at) = (None, Vec::new(), None);
        self.failing = None;
    }

    /// The folder is gone, and could not be made again.
    pub fn fail(&mut self, mono: Duration, problem: String) {
        if self.failing.as_ref().is_none_or(|(told, _)| *told != problem) {
            tracing::warn!("{problem}");
        }
        self.failing = Some((problem, mono.saturating_add(RETRY)));
    }

    /// The folder.
    pub fn folder(&self) -> &StateDir {
        &self.folder
    }

    /// What keeps the state from being written, with a hint, for `status`.
    pub fn problem(&self) -> Option<&str> {
        self.failing.as_ref().map(|(problem, _)| problem.as_str())
    }

    fn put_pause(&self, paused_until: Option<Timestamp>) -> io::Result<()> {
        let Some(paused_until) = paused_until else {
            return match self.folder.folder().remove_file(PAUSE) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            };
        };
        self.put(PAUSE, &Pause { paused_until })
    }

    fn put<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        // The frames of this turn of the loop are not out yet, and a busy disk takes its time.
        self.folder.folder().put(name, &serde_json::to_vec_pretty(value)?, false)
    }

    /// A failure is worth one line in the log, and so is its end.
    fn settle(&mut self, mono: Duration, result: io::Result<()>) {
        self.busy = true;
        match result {
            Ok(()) if self.failing.take().is_some() => {
                tracing::info!("can write to the state folder {} again", self.folder.path().display());
            }
            Ok(()) => {}
            Err(error) => self.failed(mono, &error),
        }
    }

    /// Something could not be written.
    fn failed(&mut self, mono: Duration, error: &io::Error) {
        let (folder, hint) = (self.folder.path().display(), hint(error));
        self.fail(mono, format!("could not write to the state folder {folder}: {error}; hint: {hint}"));
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space; cards go on, but limits and a pause may not survive a restart"
        }
        _ => "make it writable; cards go on, but limits and a pause may not survive a restart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::instance::LockRecord;
    use crate::io::paths::ensure_state_dir;

    #[test]
    fn a_record_without_room_is_written_later_also_where_the_folder_was_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = ensure_state_dir(&folder.path().join("state")).unwrap();
        let in_the_way = state.join("instance.json");
        std::fs::create_dir_all(in_the_way.join("something")).unwrap();
        let instance = Instance::acquire(&state).unwrap();
        let mut keeper = Keeper::new(state.clone(), Vec::new(), None);
        let keep =
            |keeper: &mut Keeper, mono| keeper.keep(Duration::from_secs(mono), None, [].iter(), &instance);
        for begin in [0, 100] {
            assert_eq!(keep(&mut keeper, begin), Some(Duration::from_secs(begin) + RETRY));
            assert!(keeper.problem().is_some_and(|problem| problem.contains("could not write")));
            keeper.begin_anew();
        }
        std::fs::remove_dir_all(&in_the_way).unwrap();
        assert_eq!(keep(&mut keeper, 200), None);
        assert_eq!(keeper.problem(), None);
        assert_eq!(
            LockRecord::read(state.path()).map(|record| record.token),
            Some(instance.record.token.clone())
        );
    }
}
