//! What an agent is doing, with the words on the card.

use serde::{Deserialize, Serialize};

/// What the agent is doing, as its files show it. A pending approval is in no session file, so an open call stays
/// [`Activity::Running`] unless the agent's register reports a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// The turn is open and no tool is running.
    Thinking,
    /// A command is running.
    Running,
    /// A tool is running of which only the name is known. In JSON it is `running`.
    Tool,
    /// A file is being changed.
    Editing,
    /// Files are being read.
    Reading,
    /// Files are being searched or listed.
    Searching,
    /// The web is being searched or read.
    Browsing,
    /// Sub-agents are at work.
    Delegating,
    /// A plan is being written.
    Planning,
    /// The turn is over, or the agent asked a question.
    Waiting,
    /// No event for so long that the session no longer counts as active.
    Idle,
    /// The account's limit was reached.
    LimitReached,
}

impl Activity {
    /// The same, as JSON shows it.
    #[must_use]
    pub fn listed(self) -> Self {
        if self == Self::Tool { Self::Running } else { self }
    }

    /// The name of its image.
    pub fn icon(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::LimitReached => "limit",
            _ => "working",
        }
    }

    /// The words on the card; a card never shows `Idle`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Thinking => "Thinking",
            Self::Running => "Running a command",
            Self::Tool => "Running a tool",
            Self::Editing => "Editing",
            Self::Reading => "Reading",
            Self::Searching => "Searching",
            Self::Browsing => "Browsing",
            Self::Delegating => "Delegating",
            Self::Planning => "Planning",
            Self::Waiting => "Waiting for input",
            Self::Idle => "Idle",
            Self::LimitReached => "Limit reached",
        }
    }

    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Thinking => "thinking",
            Self::Running | Self::Tool => "running",
            Self::Editing => "editing",
            Self::Reading => "reading",
            Self::Searching => "searching",
            Self::Browsing => "browsing",
            Self::Delegating => "delegating",
            Self::Planning => "planning",
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::LimitReached => "limit_reached",
        }
    }
}
