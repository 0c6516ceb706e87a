//! A session on another machine, as reported by a remote.

use std::sync::Arc;

use jiff::Timestamp;

use super::Session;

/// The facts of a session that come from a remote.
#[derive(Debug, Clone, PartialEq)]
pub struct Far {
    /// The remote's name.
    pub host: Arc<str>,
    /// The name of the project's folder, as the remote reports it.
    pub project: Option<String>,
    /// When the remote was last heard while it reported the session as at work: the session need not send lines of
    /// its own.
    pub vouched_at: Option<Timestamp>,
}

impl Session {
    /// The remote that reports it; `None` if its files are on this machine.
    pub fn host(&self) -> Option<&Arc<str>> {
        self.far.as_ref().map(|far| &far.host)
    }

    /// When it last gave a sign of life.
    pub(super) fn alive_at(&self) -> Option<Timestamp> {
        self.last_event_at.max(self.far.as_ref().and_then(|far| far.vouched_at))
    }
}
