//! The lines between machines that are not events: the hello, and the sign of life.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The shortest interval of signs of life.
pub const SHORTEST: Duration = Duration::from_millis(100);
/// The longest interval.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// The interval if the command does not set one.
pub const USUAL: Duration = Duration::from_secs(60);

/// The version of the line format.
pub const SCHEMA: u32 = 1;

/// A line that is not an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum LinkLine {
    /// The first line; repeated after the clock was set or when another stream begins.
    Hello(Hello),
    /// A sign of life: no event happened for a while.
    Alive {
        /// The time by the remote's clock.
        at: Timestamp,
    },
}

/// The remote program's introduction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The [`SCHEMA`] of the remote program.
    pub schema: u32,
    /// The remote program's version.
    pub version: String,
    /// The time by its clock.
    pub at: Timestamp,
    /// The agents that it supports.
    #[serde(default)]
    pub agents: Vec<String>,
    /// The stream to which its event numbers belong.
    #[serde(default)]
    pub stream: String,
    /// Whether it begins with all sessions, instead of continuing where the reader stopped.
    #[serde(default)]
    pub restored: bool,
    /// The interval of its signs of life, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive: Option<f64>,
}
