//! The report of one change of a session's tokens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::session::{Session, UsageEvent};
use crate::source::{Agent, Call};
use crate::usage::{Count, Tokens, Triplet, Usage};

/// A usage event as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    /// The session.
    pub session: String,
    /// The agent.
    pub agent: Agent,
    /// The remote that reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Arc<str>>,
    /// The turn, by the agent's own id.
    pub turn: Option<String>,
    /// The triplet after the event.
    #[serde(default)]
    pub tokens: Triplet,
    /// The triplet by kind.
    pub usage: Usage,
    /// Whether this announces existing figures; otherwise `usage.delta` is what this event added.
    pub restored: bool,
    /// The model call that it came from, if the source names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// Whether no usage line contained it: the agent's own account of the session has more than its lines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
}

impl UsageReport {
    /// `event` of `session`.
    pub fn new(session: &Session, event: &UsageEvent, count: Count) -> Self {
        Self {
            session: session.id.clone(),
            agent: session.agent,
            host: session.host().cloned(),
            turn: event.turn.clone(),
            tokens: event.usage.triplet(count),
            usage: event.usage,
            restored: event.added.is_none(),
            call: event.call.clone(),
            unlisted: event.unlisted,
        }
    }

    /// The tokens that this event added.
    pub fn added(&self) -> Option<&Tokens> {
        self.usage.session_delta_tokens.as_ref().filter(|_| !self.restored)
    }
}
