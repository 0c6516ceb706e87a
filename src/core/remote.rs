//! Sessions on other machines: what a remote says, what becomes of it here, and how the link to it stands.
//!
//! A remote is another machine's `agent-presence watch --json --alive`, reached by a command. Its figures are taken as it
//! tells them; nothing is counted again. Nothing here starts a process or reads a clock: a shell (`crate::host::remotes`)
//! hands in lines and times, and obeys.
//! Read next: `link`, how the command is kept running; `fold`, what its lines mean; `far`, for paths on other machines.

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
pub use fold::{Fold, Left, Said};
pub use link::{Command, LONGEST_LINE, Link, takes_arguments};

/// How a remote stands, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteReport {
    /// Its name.
    pub name: String,
    /// How the link to it stands.
    pub state: RemoteState,
    /// The version of the program there, once it was heard.
    pub version: Option<String>,
    /// When it was heard last.
    pub last_heard_at: Option<Timestamp>,
    /// Why it is not connected, or what is wrong with what it says.
    pub last_error: Option<String>,
}

impl RemoteReport {
    /// No daemon connects to it.
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

/// How the link to a remote stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemoteState {
    /// Its command runs and has not said who it is.
    Connecting,
    /// It tells.
    Connected,
    /// It is tried again later.
    Waiting,
    /// Somebody has to mend something; it is tried again all the same, seldom.
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
