//! The reports for people and programs: the status report and the events, with the field names of the contract.
//!
//! A report contains no content and no path of a session file. [`PlaceReport`] is the exception, and goes only to the
//! user's other machines.

mod limits;
mod place;
mod usage;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::activity::Activity;
use crate::card::Card;
use crate::file::Skipped;
use crate::publish::LinkStatus;
use crate::remote::{RemoteReport, far};
use crate::session::{Context, Session};
use crate::source::Agent;
use crate::source::Surface;
use crate::time::Now;
use crate::usage::{Count, Triplet, Usage};

pub use limits::LimitsReport;
pub use place::PlaceReport;
pub use usage::UsageReport;

/// `status --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusReport {
    /// The version of this format.
    pub schema: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// When it was written.
    pub now: Timestamp,
    /// The daemon.
    pub daemon: DaemonReport,
    /// The card shown now.
    pub card: Option<CardReport>,
    /// Why there is no card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_card: Option<NoCard>,
    /// The sessions of the last 24 hours, freshest first.
    pub sessions: Vec<SessionReport>,
    /// Limits of every account and family.
    pub limits: Vec<LimitsReport>,
    /// One entry per Discord client.
    pub links: Vec<LinkStatus>,
    /// One entry per `[[remote]]`.
    #[serde(default)]
    pub remotes: Vec<RemoteReport>,
    /// The settings file.
    pub config: ConfigReport,
    /// Lines that could not be used.
    pub skipped: Skipped,
    /// Whether session files are still being read, so that sessions may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reading: bool,
}

/// The daemon's state for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonReport {
    /// `running`, `not_running` or `unresponsive`.
    pub state: String,
    /// Its process id.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// The end of the pause.
    pub paused_until: Option<Timestamp>,
    /// Where cards go: `discord` or `terminal`.
    pub sink: Option<String>,
}

impl DaemonReport {
    /// The report without a daemon.
    pub fn not_running() -> Self {
        Self {
            state: "not_running".to_owned(),
            pid: None,
            version: None,
            started_at: None,
            paused_until: None,
            sink: None,
        }
    }
}

/// The card as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardReport {
    /// The top line: the agent's name.
    pub name: String,
    /// First line.
    pub details: Option<String>,
    /// Second line.
    pub state: Option<String>,
    /// Hover text.
    pub large_text: Option<String>,
    /// Hover text of the small image.
    pub small_text: Option<String>,
    /// The start of the timer.
    pub started_at: Timestamp,
    /// The text that the member list shows.
    pub member_list: String,
    /// The session shown.
    pub session: String,
}

impl From<&Card> for CardReport {
    fn from(card: &Card) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            name: card.name().to_owned(),
            details: owned(card.details()),
            state: owned(card.state()),
            large_text: owned(card.large_text()),
            small_text: owned(card.small_text()),
            started_at: card.started_at(),
            member_list: card.member_list_text().to_owned(),
            session: card.session().to_owned(),
        }
    }
}

/// Why there is no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoCard {
    /// The user paused it.
    Paused,
    /// Only sessions that a privacy rule hides are active.
    Hidden,
    /// A mistake in the settings may concern what is to be hidden.
    Settings,
    /// No session that can be shown is active.
    Idle,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

/// One session as JSON. Reports of other versions and machines may have fewer fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionReport {
    /// The agent's own id.
    pub id: String,
    /// The agent.
    pub agent: Agent,
    /// The agent's home folder, as configured.
    #[serde(default)]
    pub home: String,
    /// The name that the user gave to the home.
    #[serde(default)]
    pub home_name: Option<String>,
    /// The remote that reports it; `None` if its files are on this machine.
    #[serde(default)]
    pub host: Option<Arc<str>>,
    /// How the user runs it.
    #[serde(default)]
    pub surface: Surface,
    /// Whether it is on the card.
    #[serde(default)]
    pub shown: bool,
    /// Whether it may be on the card: helpers of other sessions never are.
    #[serde(default = "yes")]
    pub visible: bool,
    /// Name of the project's folder.
    pub project: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The reasoning effort.
    pub effort: Option<String>,
    /// The service tier, if one was chosen.
    pub service_tier: Option<String>,
    /// What the agent is doing.
    pub activity: Activity,
    /// The name of the current file, if cards may show it.
    #[serde(default)]
    pub file: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// The time of its newest line.
    pub last_event_at: Option<Timestamp>,
    /// The time of its newest change of tokens.
    pub last_usage_at: Option<Timestamp>,
    /// Whether the figures are as found at the start.
    #[serde(default)]
    pub restored: bool,
    /// Whether the total is still being counted.
    #[serde(default)]
    pub counting: bool,
    /// Whether more was used than the agent's version records.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lower_bound: bool,
    /// The session that started it.
    pub parent: Option<String>,
    /// The triplet.
    #[serde(default)]
    pub tokens: Triplet,
    /// The triplet by kind.
    #[serde(default)]
    pub usage: Usage,
    /// The context window.
    pub context: Option<Context>,
    /// What only the user's other machines need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Box<PlaceReport>>,
}

/// The default for reports of earlier versions.
fn yes() -> bool {
    true
}

impl SessionReport {
    /// `session` at `now`, without the names of its current file and its home.
    pub fn new(
        session: &Session,
        shown: bool,
        count: Count,
        now: Now,
        idle_after: std::time::Duration,
    ) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            id: session.id.clone(),
            agent: session.agent,
            home: far::parts(&session.home).1.to_owned(),
            host: session.host().cloned(),
            home_name: None,
            surface: session.surface,
            shown,
            visible: session.visible,
            project: session.project().map(str::to_owned),
            branch: text(&session.branch),
            model: text(&session.model.name),
            effort: text(&session.model.effort),
            service_tier: text(&session.model.service_tier),
            activity: session.activity(now.wall, idle_after),
            file: None,
            started_at: session.started_at,
            last_event_at: session.last_event_at,
            last_usage_at: session.last_token_event_at,
            restored: session.restored,
            counting: session.counting,
            lower_bound: session.lower_bound,
            parent: text(&session.parent),
            tokens: session.usage.triplet(count),
            usage: session.usage,
            context: session.context,
            place: None,
        }
    }
}

/// The settings file as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// Its path, even if it does not exist.
    pub path: Option<String>,
    /// The mistakes, one line each, with file, line and key.
    pub issues: Vec<String>,
}

/// One line of `watch --json` and `replay --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The time.
    pub at: Timestamp,
    /// The event.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// Whether `watch --json` and `replay --json` print it.
    pub fn is_printed(&self) -> bool {
        !matches!(self.kind, EventKind::Status | EventKind::About { .. })
    }

    /// The remote that reports it.
    pub fn host(&self) -> Option<&str> {
        match &self.kind {
            EventKind::Usage(usage) => usage.host.as_deref(),
            EventKind::Activity { host, .. } => host.as_deref(),
            EventKind::Limits(limits) => limits.host.as_deref(),
            EventKind::Session { session, .. } | EventKind::About { session } => session.host.as_deref(),
            EventKind::Status | EventKind::Card { .. } => None,
        }
    }
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum EventKind {
    /// A session's tokens changed, or were restored.
    Usage(UsageReport),
    /// A session's activity changed.
    Activity {
        /// The session.
        session: String,
        /// The agent.
        agent: Agent,
        /// The remote that reports it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<Arc<str>>,
        /// The new activity.
        activity: Activity,
    },
    /// New limits were observed.
    Limits(Box<LimitsReport>),
    /// A session appeared, was restored or ended.
    Session {
        /// Whether it ended.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ended: bool,
        /// The session.
        session: Box<SessionReport>,
    },
    /// Lasting facts of a session changed, for the user's other machines: its model, its folder, how full its context
    /// is.
    About {
        /// The session.
        session: Box<SessionReport>,
    },
    /// The status report changed in a way that no other event shows: links, a pause, the settings, problems, or
    /// sessions idle for long. For listeners that show the report.
    Status,
    /// The card changed, or was cleared.
    Card {
        /// The card; `None` when it was cleared.
        card: Option<CardReport>,
    },
}
