//! `stop`, `pause` and `resume`: commands to the running daemon.

use std::io::Write;
use std::time::Duration;

use crate::cmd::cli::Pause;
use crate::control::client::{AskError, Contact, ask_daemon};
use crate::control::{Reply, Verb};
use crate::core::takeover::{LockRecord, Verdict, verify};
use crate::core::time::later;
use crate::error::{Exit, Failure};
use crate::host::Places;
use crate::io::clock;
use crate::io::folder::Folder;
use crate::io::instance::{self, LockState, held_by_another};
use crate::io::process::{Ending, Handle};

/// How long a daemon may take to end after it was asked: it clears the card in Discord and closes its files.
const STOPPING: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Ends the daemon, and returns when it has ended. If its channel is gone, or it agreed and hangs, the process of its
/// record is ended; if it takes the request and does not answer, it is left to the next takeover.
///
/// # Errors
/// No daemon is running, it does not answer, or it does not end.
pub fn stop(places: &Places) -> Result<Exit, Failure> {
    let holder = instance::read_record(&places.state);
    match ask_daemon(&places.state, &places.environment, &Verb::Stop)? {
        Contact::Unresponsive(AskError::Away(error)) => {
            let holder =
                holder.ok_or_else(|| failed("stop", &format!("{error}, and there is no record of it")))?;
            end(places, &holder, &[Ending::Asked, Ending::Forced])?;
        }
        found => {
            done(places, "stop", found)?;
            if !has_ended(places, holder.as_ref()) {
                let holder = holder.ok_or_else(|| failed("stop", "it has not ended in time"))?;
                end(places, &holder, &[Ending::Forced])?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Ends the process that the record names, if it is still that process. The record counts because the lock is held.
fn end(places: &Places, holder: &LockRecord, endings: &[Ending]) -> Result<(), Failure> {
    let left_alone = |why: &str| {
        failed("stop", &format!("it does not answer; process {} was left alone: {why}", holder.pid))
            .hint("see `agent-presence status`, and end the process that keeps the lock")
    };
    let system = |error: std::io::Error| left_alone(&error.to_string());
    let proof = Folder::open(&places.state).ok().and_then(|folder| instance::read_own_record(&folder));
    if proof.as_ref() != Some(holder) && instance::read_record(&places.state).as_ref() == Some(holder) {
        return Err(left_alone("others may write to the folder of its record"));
    }
    let own = instance::own_record();
    let handle = Handle::open(holder.pid).map_err(system)?;
    for ending in endings {
        match verify(holder, &own, handle.as_ref().and_then(Handle::look).as_ref()) {
            Verdict::Ours => {}
            Verdict::Gone => return Err(left_alone("there is no such process any more")),
            Verdict::NotOurs(why) => return Err(left_alone(why)),
        }
        if let Some(handle) = &handle {
            handle.end(*ending).map_err(system)?;
        }
        if has_ended(places, Some(holder)) {
            return Ok(());
        }
    }
    Err(failed("stop", "it was ended, but the lock is still kept"))
}

/// Waits until the lock is free, for [`STOPPING`] at most. Another instance that takes it meanwhile also means that the
/// holder has ended.
fn has_ended(places: &Places, holder: Option<&LockRecord>) -> bool {
    let start = clock::now().mono;
    while held_by_another(&places.state) == LockState::Held
        && instance::read_record(&places.state).as_ref() == holder
    {
        if clock::now().mono.saturating_sub(start) > STOPPING {
            return false;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    true
}

/// Pauses the daemon and prints until when.
///
/// # Errors
/// No daemon is running, it does not answer, or the output could not be written.
pub fn pause(places: &Places, pause: &Pause, out: &mut dyn Write) -> Result<Exit, Failure> {
    let until = pause.duration.map(|duration| later(clock::now().wall, duration));
    ask(places, "pause", &Verb::Pause { until })?;
    super::written(match until {
        Some(until) => {
            let until = until.to_zoned(places.zone.clone());
            writeln!(out, "paused until {}", until.strftime("%Y-%m-%d %H:%M:%S"))
        }
        None => writeln!(out, "paused until `agent-presence resume`"),
    })
}

/// Ends a pause.
///
/// # Errors
/// No daemon is running, or it does not answer.
pub fn resume(places: &Places) -> Result<Exit, Failure> {
    ask(places, "resume", &Verb::Resume)?;
    Ok(Exit::Done)
}

fn ask(places: &Places, what: &str, verb: &Verb) -> Result<(), Failure> {
    done(places, what, ask_daemon(&places.state, &places.environment, verb)?)
}

fn failed(what: &str, cause: &str) -> Failure {
    Failure::new(format!("could not {what} the daemon: {cause}"))
}

fn done(places: &Places, what: &str, found: Contact) -> Result<(), Failure> {
    match found {
        Contact::Reply(reply) => match *reply {
            Reply { ok: true, .. } => Ok(()),
            Reply { error, .. } => {
                let cause = error.map_or_else(|| "the daemon refused".to_owned(), |error| error.message);
                Err(failed(what, &cause))
            }
        },
        Contact::NotRunning => Err(failed(what, "none is running")
            .hint("start one with `agent-presence run`")
            .exit(Exit::NotRunning)),
        Contact::Unresponsive(error) => {
            let pid = instance::read_record(&places.state).map(|record| format!(" (process {})", record.pid));
            let cause = match error {
                AskError::Silent | AskError::Away(_) => {
                    format!("it does not answer{}", pid.unwrap_or_default())
                }
                AskError::Garbled(_) => error.to_string(),
            };
            Err(failed(what, &cause).hint("`agent-presence run` takes over from a daemon that hangs"))
        }
    }
}
