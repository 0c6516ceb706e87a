//! What is needed to read sessions of other machines: each `[[remote]]`'s command, tried once.

use std::time::Duration;

use super::{Check, Grade};
use crate::remote::{RemoteReport, RemoteState};

/// A larger difference between clocks is mentioned; times are corrected in any case.
const APART: Duration = Duration::from_secs(60);

/// The result of trying one remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFacts {
    /// Its state at the end: connecting, if it sent nothing in time.
    pub report: RemoteReport,
    /// The difference between its clock and this one.
    pub apart: Duration,
}

pub(super) fn check(facts: &RemoteFacts) -> Check {
    const NAME: &str = "remote";
    let RemoteReport { name, state, version, last_error, .. } = &facts.report;
    let why = last_error.as_deref().unwrap_or("it sent nothing");
    match state {
        RemoteState::Connected => {
            let version = version.as_deref().unwrap_or_default();
            let minutes = facts.apart.as_secs() / 60;
            let clock = match facts.apart > APART {
                true => format!("; its clock is off by {minutes} min, which is corrected"),
                false => String::new(),
            };
            Check::new(NAME, Grade::Ok, format!("{name}: agent-presence {version} answers{clock}"))
        }
        RemoteState::Rejected => Check::new(NAME, Grade::Failure, format!("{name}: {why}"))
            .hint("run its command in a terminal: the first line has to be a hello"),
        RemoteState::Waiting => Check::new(NAME, Grade::Warning, format!("{name}: {why}"))
            .hint("it is tried again automatically; if the machine is there, run its command in a terminal"),
        RemoteState::Connecting => Check::new(
            NAME,
            Grade::Warning,
            format!("{name}: it does not answer in time"),
        )
        .hint(
            "run its command in a terminal: it must not ask for anything, as `ssh -o BatchMode=yes` does not",
        ),
    }
}
