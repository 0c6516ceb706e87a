//! The facts of a session that the user's other machines need, to judge and show it as this one would.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SessionReport;
use crate::activity::Activity;
use crate::session::Session;
use crate::time::Now;
use crate::usage::{Triplet, Usage};

/// The folders of a session, for privacy rules, and the rest of its card. It is sent only to the user's own machines.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaceReport {
    /// The working folder.
    pub cwd: Option<String>,
    /// The other folders that it worked in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub been: Vec<String>,
    /// Whether it may have worked in further folders that are not listed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// The session whose history is copied at its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<String>,
    /// The start of the card's timer.
    pub timer_from: Option<Timestamp>,
    /// The name of the current file, even if this machine may not show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether the running tool is unknown and not a command.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tool: bool,
}

impl std::fmt::Debug for PlaceReport {
    /// Prints no folder, because the text may get into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaceReport").finish_non_exhaustive()
    }
}

impl PlaceReport {
    /// The maximum number of folders in a report.
    pub const FOLDERS: usize = 16;

    fn new(session: &Session, now: Now, idle_after: Duration) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let doing = session.doing(now.wall, idle_after);
        let been = session.other_folders.iter().map(|folder| (**folder).to_owned());
        Self {
            cwd: text(&session.cwd),
            been: been.take(Self::FOLDERS).collect(),
            lost: session.has_unlisted_folders || session.other_folders.len() > Self::FOLDERS,
            forked_from: text(&session.forked_from),
            timer_from: session.timer_from,
            file: doing.file,
            tool: doing.activity == Activity::Tool,
        }
    }
}

impl SessionReport {
    /// The same, with the facts for the user's other machines.
    #[must_use]
    pub fn placed(self, session: &Session, now: Now, idle_after: Duration) -> Self {
        Self { place: Some(Box::new(PlaceReport::new(session, now, idle_after))), ..self }
    }

    /// The facts that no other event reports, for comparison.
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
