//! What the user's other machines need to know of a session, to judge and show it as this one would.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SessionReport;
use crate::core::activity::Activity;
use crate::core::session::Session;
use crate::core::time::Now;
use crate::core::usage::{Triplet, Usage};

/// Where a session is and was, for rules of privacy, and what else is on its card. It goes to the user's own machines
/// alone.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaceReport {
    /// The working folder.
    pub cwd: Option<String>,
    /// The other folders that it worked in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub been: Vec<String>,
    /// Whether it may have worked in folders that are not among those.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// The session whose history it began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<String>,
    /// From when the card's timer counts.
    pub timer_from: Option<Timestamp>,
    /// The name of the file at hand, whatever this machine shows of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether the tool at work, where one is, is not known and no command.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tool: bool,
}

impl std::fmt::Debug for PlaceReport {
    /// Names no folder: printed text may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaceReport").finish_non_exhaustive()
    }
}

impl PlaceReport {
    /// More folders than this are not told.
    pub const FOLDERS: usize = 16;

    fn new(session: &Session, now: Now, idle_after: Duration) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let doing = session.doing(now.wall, idle_after);
        let been = session.been.iter().map(|folder| (**folder).to_owned());
        Self {
            cwd: text(&session.cwd),
            been: been.take(Self::FOLDERS).collect(),
            lost: session.lost || session.been.len() > Self::FOLDERS,
            forked_from: text(&session.forked_from),
            timer_from: session.timer_from,
            file: doing.file,
            tool: doing.activity == Activity::Tool,
        }
    }
}

impl SessionReport {
    /// The same with what only the user's other machines need to know.
    #[must_use]
    pub fn placed(self, session: &Session, now: Now, idle_after: Duration) -> Self {
        Self { place: Some(Box::new(PlaceReport::new(session, now, idle_after))), ..self }
    }

    /// What of it no other event tells, to be compared.
    pub fn lasting(&self) -> Self {
        Self {
            shown: false,
            activity: Activity::Idle,
            last_event_at: None,
            last_usage_at: None,
            restored: false,
            tokens: Triplet::default(),
            usage: Usage::default(),
            ..self.clone()
        }
    }
}
