//! What the daemon keeps in its state folder besides the lock: the last known limits, and what `status` needs of it.
//!
//! Both files are replaced whole. A file that cannot be written costs what is in it, not the daemon; one that cannot be
//! read counts as absent.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::core::limits::Snapshot;
use crate::core::publish::LinkStatus;
use crate::core::report::DaemonReport;
use crate::files::write_atomically;
use crate::paths::StateDir;

const LIMITS: &str = "limits.json";
const DAEMON: &str = "daemon.json";

/// What changes with every token is not written more often than this.
pub const PACE: Duration = Duration::from_secs(30);

/// What `status` is told of a running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonState {
    /// The daemon.
    pub daemon: DaemonReport,
    /// Its links.
    pub links: Vec<LinkStatus>,
}

/// The limits kept from the last run; none where the file is missing or garbled.
pub fn read_limits(state: &Path) -> Vec<Snapshot> {
    read(&state.join(LIMITS)).unwrap_or_default()
}

/// What the last daemon said of itself. To be believed only while the lock is held.
pub fn read_daemon(state: &Path) -> Option<DaemonState> {
    read(&state.join(DAEMON))
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

/// Writes both files when they have changed, the quiet one seldom.
#[derive(Debug)]
pub struct Keeper {
    folder: StateDir,
    daemon: Option<DaemonState>,
    limits: Vec<Snapshot>,
    limits_written_at: Option<Duration>,
    failing: bool,
}

impl Keeper {
    /// Keeps state in `folder`, where `limits` is what is there already.
    pub fn new(folder: StateDir, limits: Vec<Snapshot>) -> Self {
        Self { folder, daemon: None, limits, limits_written_at: None, failing: false }
    }

    /// Tells what `status` should know.
    pub fn daemon(&mut self, state: DaemonState) {
        if self.daemon.as_ref() != Some(&state) {
            self.write(DAEMON, &state);
            self.daemon = Some(state);
        }
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
        match json.and_then(|json| write_atomically(&path, &json)) {
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
