//! What the daemon keeps in its state folder besides the lock: the last known limits, and a pause.
//!
//! Each file is replaced whole. A file that cannot be written costs what is in it, not the daemon; one that cannot be
//! read counts as absent.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::core::limits::Snapshot;
use crate::files;
use crate::paths::StateDir;

const LIMITS: &str = "limits.json";
const PAUSE: &str = "pause.json";

/// What changes with every token is not written more often than this.
pub const PACE: Duration = Duration::from_secs(30);

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
    let bytes = std::fs::read(path).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!("could not read {}: {error}", path.display());
            None
        }
    }
}

/// Writes the files when they have changed; what changes with every token, seldom.
#[derive(Debug)]
pub struct Keeper {
    folder: StateDir,
    paused_until: Option<Timestamp>,
    limits: Vec<Snapshot>,
    limits_written_at: Option<Duration>,
    failing: bool,
}

impl Keeper {
    /// Keeps state in `folder`, where `limits` and `paused_until` are what is there already.
    pub fn new(folder: StateDir, limits: Vec<Snapshot>, paused_until: Option<Timestamp>) -> Self {
        Self { folder, paused_until, limits, limits_written_at: None, failing: false }
    }

    /// Tells until when the daemon is paused.
    pub fn pause(&mut self, paused_until: Option<Timestamp>) {
        if self.paused_until == paused_until {
            return;
        }
        match paused_until {
            Some(paused_until) => self.write(PAUSE, &Pause { paused_until }),
            None => {
                let path = self.folder.join(PAUSE);
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!("could not remove {}: {error}", path.display());
                }
            }
        }
        self.paused_until = paused_until;
    }

    /// Tells the limits as they are at `mono`. Returns when to come again if they were not written because they
    /// have been only just.
    pub fn limits(&mut self, mono: Duration, limits: Vec<Snapshot>) -> Option<Duration> {
        if self.limits == limits {
            return None;
        }
        let due = self.limits_written_at.map(|at| at.saturating_add(PACE));
        if let Some(due) = due.filter(|due| *due > mono) {
            return Some(due);
        }
        self.write_limits(limits);
        self.limits_written_at = Some(mono);
        None
    }

    /// Writes the limits whatever was written lately.
    pub fn finish(&mut self, limits: Vec<Snapshot>) {
        if self.limits != limits {
            self.write_limits(limits);
        }
    }

    fn write_limits(&mut self, limits: Vec<Snapshot>) {
        self.write(LIMITS, &limits);
        self.limits = limits;
    }

    /// A failure is worth one line, and so is its end.
    fn write<T: Serialize>(&mut self, name: &str, value: &T) {
        let path = self.folder.join(name);
        let json = serde_json::to_vec_pretty(value).map_err(std::io::Error::from);
        // The frames of this turn of the loop are not out yet, and a busy disk takes its time.
        match json.and_then(|json| files::replace(&path, &json)) {
            Ok(()) if std::mem::take(&mut self.failing) => {
                tracing::info!("can write {} again", path.display())
            }
            Ok(()) => {}
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::warn!("could not write {}: {error}", path.display());
            }
            Err(_) => {}
        }
    }
}
