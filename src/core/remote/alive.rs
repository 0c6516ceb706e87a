//! What one machine tells another beside events: who it is, and that it is there.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The shortest time after which a sign of life may be asked for.
pub const SHORTEST: Duration = Duration::from_millis(100);
/// The longest one.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Where the command does not say after which time it gives a sign of life.
pub const USUAL: Duration = Duration::from_secs(60);

/// The version of the form of lines.
pub const SCHEMA: u32 = 1;

/// A line that is no event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Beside {
    /// The first line, and another one when its clock was set or another stream begins.
    Hello(Hello),
    /// Nothing has happened for a while.
    Alive {
        /// When, by its clock.
        at: Timestamp,
    },
}

/// Who tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`SCHEMA`] of who tells.
    pub schema: u32,
    /// The program's version of who tells.
    pub version: String,
    /// What its clock says now.
    pub at: Timestamp,
    /// The agents that it knows.
    #[serde(default)]
    pub agents: Vec<String>,
    /// What the numbers of the events are places in.
    #[serde(default)]
    pub stream: String,
    /// Whether what there is comes first: it does not go on where a reader left off.
    #[serde(default)]
    pub restored: bool,
    /// After so many seconds without a line it gives a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive: Option<f64>,
}
