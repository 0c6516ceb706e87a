//! Sessions on other machines: a remote's lines, the sessions made of them, and the state of the link.
//!
//! A remote is another machine's `agent-presence watch --json --alive`, reached by a command. Its figures are used as
//! reported; nothing is counted again. Nothing here starts a process or reads a clock: a shell
//! (`host::remotes`) hands in lines and times, and runs the commands.
//! Read next: `link` for the life of the command; `fold` for the meaning of its lines; `far` for paths on other
//! machines.

pub mod alive;
mod ending;
pub mod far;
mod far_session;
mod fold;
mod link;
mod sane;
#[cfg(test)]
mod tests;
pub mod wsl;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use ending::Ending;
pub use fold::{Fold, LineKind, RemoteHandover};
pub use link::{Command, LONGEST_LINE, Link, takes_arguments};

/// The state of a remote, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteReport {
    /// Its name.
    pub name: String,
    /// The state of the link to it.
    pub state: RemoteState,
    /// The version of the remote program, after its hello.
    pub version: Option<String>,
    /// When its last line arrived.
    pub last_heard_at: Option<Timestamp>,
    /// Why it is not connected, or what is wrong with its lines.
    pub last_error: Option<String>,
}

impl RemoteReport {
    /// The report without a daemon.
    pub fn unheard(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: RemoteState::Waiting,
            version: None,
            last_heard_at: None,
            last_error: Some("no daemon is running to connect to it".to_owned()),
        }
    }
}

/// The state of the link to a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemoteState {
    /// Its command runs and has not sent a hello.
    Connecting,
    /// It sends events.
    Connected,
    /// The next attempt is scheduled.
    Waiting,
    /// The user has to fix something; attempts continue with long waits.
    Rejected,
}

impl std::fmt::Display for RemoteState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Waiting => "waiting",
            Self::Rejected => "rejected",
        })
    }
}
