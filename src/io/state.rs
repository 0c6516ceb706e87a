//! The daemon's files in the state folder besides the lock: the last known limits, and a pause.
//!
//! Each file is replaced as a whole. If a file cannot be written, only its content is lost until it can be; a file that
//! cannot be read counts as missing.

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

/// Larger files are not this program's, in bytes.
const LARGEST: u64 = 1 << 20;

/// The shortest time between two writes of the limits, which change with every token.
pub const PACE: Duration = Duration::from_secs(30);

/// The pause before a failed write is tried again.
pub const RETRY: Duration = Duration::from_secs(5);

/// A stored pause; the file exists only during one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pause {
    paused_until: Timestamp,
}

/// The limits stored by the last run; none if the file is missing or damaged.
pub fn read_limits(state: &Path) -> Vec<Snapshot> {
    read(&state.join(LIMITS)).unwrap_or_default()
}

/// Until when the last daemon was paused; the time may have passed.
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
                "could not read {}: {error}; hint: it is replaced, and its content is lost",
                path.display()
            );
            None
        }
    }
}

/// Writes the files when they have changed, the limits at most every [`PACE`].
///
/// A failed write is tried again until it succeeds; [`Keeper::problem`] reports it meanwhile.
#[derive(Debug)]
pub struct Keeper {
    folder: StateDir,
    /// The pause on the disk.
    paused_until: Option<Timestamp>,
    /// The limits on the disk.
    limits: Vec<Snapshot>,
    limits_written_at: Option<Duration>,
    /// The problem, and when to try again.
    failing: Option<(String, Duration)>,
    busy: bool,
}

impl Keeper {
    /// Writes state to `folder`, which has `limits` and `paused_until` already.
    pub fn new(folder: StateDir, limits: Vec<Snapshot>, paused_until: Option<Timestamp>) -> Self {
        Self { folder, paused_until, limits, limits_written_at: None, failing: None, busy: false }
    }

    /// Takes the state at `mono` and writes it if it has changed. Returns when to call again if something is still to
    /// be written, because of [`PACE`] or a failure.
    pub fn keep<'a>(
        &mut self,
        mono: Duration,
        paused_until: Option<Timestamp>,
        limits: impl Iterator<Item = &'a Snapshot> + Clone,
        instance: &Instance,
    ) -> Option<Duration> {
        let retry = self.failing.as_ref().map_or(Duration::ZERO, |(_, retry)| *retry);
        let is_new = !self.limits.iter().eq(limits.clone());
        // The folder, or one that was made again, may have had no space for the lock record.
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
        // After a failure the write is tried even without changes, so that its end is noticed.
        if is_to_try || is_new && pace.is_none() {
            let limits: Vec<Snapshot> = limits.cloned().collect();
            result = result.and_then(|()| instance.sign(&self.folder)).and(self.put(LIMITS, &limits));
            if result.is_ok() {
                (self.limits, self.limits_written_at) = (limits, Some(mono));
            }
        } else if is_new && result.is_ok() {
            return pace;
        }
        self.note_result(mono, result);
        self.failing.as_ref().map(|(_, retry)| *retry)
    }

    /// Writes the limits without regard to [`PACE`].
    pub fn finish(&mut self, limits: Vec<Snapshot>) {
        if self.limits != limits {
            let result = self.put(LIMITS, &limits);
            self.note_result(Duration::ZERO, result);
        }
    }

    /// Whether a write was tried since the last call.
    pub fn was_busy(&mut self) -> bool {
        std::mem::take(&mut self.busy)
    }

    /// The folder was replaced: everything is to be written again.
    pub fn start_over(&mut self) {
        (self.paused_until, self.limits, self.limits_written_at) = (None, Vec::new(), None);
        self.failing = None;
    }

    /// The folder was removed, and could not be made again.
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

    /// Why the state cannot be written, with a hint, for `status`.
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
        // No sync: the frames of this turn of the loop are not sent yet, and a busy disk is slow.
        self.folder.folder().put(name, &serde_json::to_vec_pretty(value)?, false)
    }

    /// Logs a failure once, and its end once.
    fn note_result(&mut self, mono: Duration, result: io::Result<()>) {
        self.busy = true;
        match result {
            Ok(()) if self.failing.take().is_some() => {
                tracing::info!("the state folder {} can be written again", self.folder.path().display());
            }
            Ok(()) => {}
            Err(error) => self.note_failure(mono, &error),
        }
    }

    /// A write failed.
    fn note_failure(&mut self, mono: Duration, error: &io::Error) {
        let (folder, hint) = (self.folder.path().display(), hint(error));
        self.fail(mono, format!("could not write to the state folder {folder}: {error}; hint: {hint}"));
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space; cards continue, but limits and a pause may not survive a restart"
        }
        _ => "make it writable; cards continue, but limits and a pause may not survive a restart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::instance;
    use crate::io::paths::ensure_state_dir;

    #[test]
    fn a_lock_record_without_space_is_written_later_also_in_a_folder_made_again() {
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
            keeper.start_over();
        }
        std::fs::remove_dir_all(&in_the_way).unwrap();
        assert_eq!(keep(&mut keeper, 200), None);
        assert_eq!(keeper.problem(), None);
        assert_eq!(
            instance::read_record(state.path()).map(|record| record.token),
            Some(instance.record.token.clone())
        );
    }
}
