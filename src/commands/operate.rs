//! `stop`, `pause` and `resume`: what a script or a person tells the running daemon.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::cli::Pause;
use crate::control::client::{AskError, Found, ask_daemon};
use crate::control::{Reply, Verb};
use crate::core::time::later;
use crate::daemon::clock;
use crate::error::{Exit, Failure};
use crate::instance::{Holding, Record, held_by_another};
use crate::paths::Environment;

/// How long a daemon that was asked to end may take: clearing the card in Discord and closing its files.
const STOPPING: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The daemon of one state folder, whether or not it runs.
#[derive(Debug, Clone, Copy)]
pub struct Daemon<'a> {
    /// The state folder.
    pub state: &'a Path,
    /// The process's environment.
    pub environment: &'a Environment,
}

/// Ends the daemon, and returns when it has ended.
///
/// # Errors
/// None is running, it does not answer, or it does not end.
pub fn stop(daemon: Daemon<'_>) -> Result<Exit, Failure> {
    let token = || Record::read(daemon.state).map(|record| record.token);
    let stopped = token();
    ask(daemon, "stop", &Verb::Stop)?;
    let start = clock::now().mono;
    // Somebody else who takes the lock meanwhile is not the one that was to end.
    while held_by_another(daemon.state) == Holding::Held && token() == stopped {
        if clock::now().mono.saturating_sub(start) > STOPPING {
            return Err(Failure::new("could not stop the daemon: it has not ended in time")
                .hint("see `agent-presence status`"));
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Ok(Exit::Done)
}

/// Pauses the daemon and says until when.
///
/// # Errors
/// None is running, it does not answer, or the output could not be written.
pub fn pause(
    daemon: Daemon<'_>,
    pause: &Pause,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let until = pause.duration.map(|duration| later(clock::now().wall, duration));
    ask(daemon, "pause", &Verb::Pause { until })?;
    super::written(match until {
        Some(until) => {
            let until = until.to_zoned(zone.clone());
            writeln!(out, "paused until {}", until.strftime("%Y-%m-%d %H:%M:%S"))
        }
        None => writeln!(out, "paused until `agent-presence resume`"),
    })
}

/// Ends a pause.
///
/// # Errors
/// None is running, or it does not answer.
pub fn resume(daemon: Daemon<'_>) -> Result<Exit, Failure> {
    ask(daemon, "resume", &Verb::Resume)?;
    Ok(Exit::Done)
}

fn ask(daemon: Daemon<'_>, what: &str, verb: &Verb) -> Result<(), Failure> {
    let failed = |cause: &str| Failure::new(format!("could not {what} the daemon: {cause}"));
    match ask_daemon(daemon.state, daemon.environment, verb)? {
        Found::Reply(reply) => match *reply {
            Reply { ok: true, .. } => Ok(()),
            Reply { error, .. } => {
                Err(failed(&error.map_or_else(|| "it refused".to_owned(), |error| error.message)))
            }
        },
        Found::Nobody => {
            Err(failed("none is running").hint("start one with `agent-presence run`").exit(Exit::NotRunning))
        }
        Found::Unresponsive(error) => {
            let pid = Record::read(daemon.state).map(|record| format!(" (process {})", record.pid));
            let cause = match error {
                AskError::Silent | AskError::Away(_) => {
                    format!("it does not answer{}", pid.unwrap_or_default())
                }
                AskError::Garbled(_) => error.to_string(),
            };
            Err(failed(&cause).hint("`agent-presence run` takes over from a daemon that hangs"))
        }
    }
}
