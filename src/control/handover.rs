//! The state that one daemon hands over to the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EventMessage;
use crate::core::engine::Progress;
use crate::core::event_log::Position;
use crate::core::limits::Snapshot;
use crate::core::publish::Budget;
use crate::core::register::RegisterHandover;
use crate::core::remote;
use crate::core::report::CardReport;
use crate::core::settings::Settings;

/// The state that one daemon hands over to the next. The content of session files is not in it, only how much of it was
/// sent as events: the files are read again, and give the same figures and the same timer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// The process that hands over.
    pub pid: u32,
    /// Its [`LockRecord::token`](crate::core::takeover::LockRecord::token).
    pub token: String,
    /// What it has spent of Discord's rate limit.
    #[serde(default)]
    pub budget: Budget,
    /// The newest limits of each source.
    #[serde(default)]
    pub limits: Vec<Snapshot>,
    /// Until when it is paused.
    #[serde(default)]
    pub paused_until: Option<Timestamp>,
    /// The position of the last event. No event follows between this message and the end.
    #[serde(default)]
    pub position: Option<Position>,
    /// The newest events up to there that a subscriber may not have received.
    #[serde(default)]
    pub unheard: Vec<EventMessage>,
    /// When this was written.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// How far each session file was read, and what was sent of it.
    #[serde(default)]
    pub positions: Vec<Progress>,
    /// The card that is shown.
    #[serde(default)]
    pub card: Option<CardReport>,
    /// The content of the agents' registers.
    #[serde(default)]
    pub registers: Vec<RegisterHandover>,
    /// The settings that it used last.
    #[serde(default)]
    pub settings: Value,
    /// The state of the links to other machines.
    #[serde(default)]
    pub remotes: Vec<remote::RemoteHandover>,
    /// Whether another machine listens.
    #[serde(default)]
    pub is_far_heard: bool,
    /// Earlier settings that are still in force where they show less than newer ones.
    #[serde(default)]
    pub obeyed: Vec<Value>,
}

impl Handover {
    /// The settings that were used last, and the earlier ones in force. Settings of another version that this one
    /// cannot read are left out.
    pub fn settings(&self) -> (Option<Settings>, Vec<Settings>) {
        let settings = |value: &Value| Settings::deserialize(value).ok();
        (settings(&self.settings), self.obeyed.iter().filter_map(settings).collect())
    }
}
