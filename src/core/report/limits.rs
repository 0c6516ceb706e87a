//! The limits as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::{Snapshot, WindowView};
use crate::remote::far;
use crate::source::Agent;
use crate::time::Now;

/// One family of one account's limits as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitsReport {
    /// The agent.
    pub agent: Agent,
    /// The remote that reports them; `None` if they were observed on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The home folder they were found in.
    pub home: String,
    /// The name that the user gave to the home.
    #[serde(default)]
    pub home_name: Option<String>,
    /// The limit's id.
    pub family: String,
    /// The family's name.
    pub name: Option<String>,
    /// The account's plan.
    pub plan: Option<String>,
    /// When the values were observed.
    pub observed_at: Timestamp,
    /// Whether they are so old that their age must be shown.
    #[serde(default)]
    pub stale: bool,
    /// The session in which they were observed.
    pub source_session: Option<String>,
    /// The windows, shortest first.
    pub windows: Vec<WindowView>,
}

impl LimitsReport {
    /// `snapshot` as reported at `now`, without the name of its home.
    pub fn new(snapshot: &Snapshot, now: Now) -> Self {
        let (host, home) = far::parts(&snapshot.home);
        Self {
            agent: snapshot.agent,
            host: host.map(str::to_owned),
            home: home.to_owned(),
            home_name: None,
            family: snapshot.family.clone(),
            name: snapshot.name.clone(),
            plan: snapshot.plan.clone(),
            observed_at: snapshot.observed_at,
            stale: snapshot.is_stale(now),
            source_session: snapshot.source_session.clone(),
            windows: snapshot.views(now),
        }
    }
}
