//! A session on another machine: a remote tells of it, and says itself what it does.

use std::sync::Arc;

use jiff::Timestamp;

use super::Session;

/// What there is to know of a session because its files are elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Far {
    /// The remote's name.
    pub host: Arc<str>,
    /// The name of the project's folder, as the remote tells it.
    pub project: Option<String>,
    /// When the remote was heard last while it says that the session is at work: no line of its own need come.
    pub vouched_at: Option<Timestamp>,
}

impl Session {
    /// The remote that tells of it; `None`: its files are on this machine.
    pub fn host(&self) -> Option<&Arc<str>> {
        self.far.as_ref().map(|far| &far.host)
    }

    /// When it gave a sign of life last.
    pub(super) fn alive_at(&self) -> Option<Timestamp> {
        self.last_event_at.max(self.far.as_ref().and_then(|far| far.vouched_at))
    }
}
