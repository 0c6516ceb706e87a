//! What is needed to hear other machines: each `[[remote]]`'s command, tried once.

use std::time::Duration;

use super::{Check, Grade};
use crate::core::remote::{RemoteReport, RemoteState};

/// Clocks that differ by more are worth a word; times are corrected all the same.
const APART: Duration = Duration::from_secs(60);

/// What came of trying one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFacts {
    /// How it stood at the end: connecting, where it said nothing in time.
    pub report: RemoteReport,
    /// How far its clock is from this one.
    pub apart: Duration,
}

pub(super) fn check(facts: &RemoteFacts) -> Check {
    const NAME: &str = "remote";
    let RemoteReport { name, state, version, last_error, .. } = &facts.report;
    let why = last_error.as_deref().unwrap_or("it said nothing");
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
            .hint("it is tried again by itself; if the machine is there, run its command in a terminal"),
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
