//! What one daemon leaves to the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EventMessage;
use crate::core::engine::Progress;
use crate::core::event_log::Position;
use crate::core::limits::Snapshot;
use crate::core::publish::Budget;
use crate::core::register::Left;
use crate::core::remote;
use crate::core::report::CardReport;
use crate::core::settings::Settings;

/// What one daemon leaves to the next. What is in the session files is not in it, only how much of it was told: it
/// is read again, and gives the same figures and the same timer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// The process that hands over.
    pub pid: u32,
    /// Its [`LockRecord::token`](crate::core::takeover::LockRecord::token).
    pub token: String,
    /// What it has spent of Discord's patience.
    #[serde(default)]
    pub budget: Budget,
    /// The last word on limits of each source.
    #[serde(default)]
    pub limits: Vec<Snapshot>,
    /// Until when it is paused.
    #[serde(default)]
    pub paused_until: Option<Timestamp>,
    /// The last event that was told. Nothing is told between this word and the end.
    #[serde(default)]
    pub position: Option<Position>,
    /// The newest events up to there that a subscriber may not have heard yet.
    #[serde(default)]
    pub unheard: Vec<EventMessage>,
    /// When this was written.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// How far each session file was read, and what was told of it.
    #[serde(default)]
    pub positions: Vec<Progress>,
    /// The card that is shown.
    #[serde(default)]
    pub card: Option<CardReport>,
    /// What the agents' registers said.
    #[serde(default)]
    pub registers: Vec<Left>,
    /// The settings that it used last.
    #[serde(default)]
    pub settings: Value,
    /// What other machines have told.
    #[serde(default)]
    pub remotes: Vec<remote::Left>,
    /// Whether another machine listens.
    #[serde(default)]
    pub is_far_heard: bool,
    /// Those that it obeyed, as far as they show less than newer ones.
    #[serde(default)]
    pub obeyed: Vec<Value>,
}

impl Handover {
    /// The settings that were used last, and those that were obeyed. What another version wrote and this one does not
    /// understand is as if it had not been told.
    pub fn settings(&self) -> (Option<Settings>, Vec<Settings>) {
        let settings = |value: &Value| Settings::deserialize(value).ok();
        (settings(&self.settings), self.obeyed.iter().filter_map(settings).collect())
    }
}
