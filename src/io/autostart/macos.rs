//! macOS: a LaunchAgent, loaded into the user's graphical session by `launchctl`.

use std::path::PathBuf;

use super::machine::{Machine, RunResult};
use super::texts::launch_agent::{self, LABEL};
use super::{Enabled, Kind, LARGEST, Login, Plan, Registration, compared, disabled, switched_off};
use crate::error::Failure;
use crate::io::files;

/// How often `bootstrap` is tried: unloading continues for a moment after `bootout` has returned, and `bootstrap` fails
/// until it has ended.
const TRIES: u32 = 10;

/// The present entry.
pub fn registered(login: &Login, machine: &dyn Machine) -> Registration {
    let path = path(login);
    let place = path.display().to_string();
    // A file that is not Unicode is a binary property list, which is an entry too.
    let Ok(bytes) = files::read(&path, LARGEST) else { return disabled(Kind::LaunchAgent, place) };
    let command = str::from_utf8(&bytes).ok().and_then(launch_agent::parse);
    let registration = compared(Kind::LaunchAgent, place, command, login);
    if is_switched_off(login, machine) {
        return switched_off(registration, switch_on(login));
    }
    registration
}

/// The entry that `enable` would write.
///
/// # Errors
/// The program runs from a temporary place that macOS made for this run.
pub fn planned(login: &Login) -> Result<Plan, Failure> {
    let program = &login.command.program;
    if program.contains("/AppTranslocation/") {
        let cause = "macOS runs it from a temporary place, because it was downloaded";
        return Err(Failure::new(format!("could not register {program}: {cause}"))
            .hint("move it to another folder, e.g. /usr/local/bin, and start it from there"));
    }
    let text = launch_agent::render(&login.command);
    let place = path(login).display().to_string();
    Ok(Plan { kind: Kind::LaunchAgent, place, text, removed: Vec::new() })
}

/// Writes the agent and loads it.
///
/// # Errors
/// The agent could not be written or loaded, or the user switched it off.
pub fn enable(login: &Login, machine: &dyn Machine, plan: &Plan, start: bool) -> Result<Enabled, Failure> {
    let path = path(login);
    let changed = super::write(&path, &plan.text)?;
    if is_switched_off(login, machine) {
        return Err(super::refused_by_user(&plan.place, switch_on(login)));
    }
    if start {
        load(login, machine, &plan.place, changed).map_err(|cause| {
            super::not_started(&cause).hint("without a graphical session, use `agent-presence run`")
        })?;
    }
    Ok(Enabled { changed, started: start })
}

/// Removes the agent's file. A loaded agent stays loaded until the user logs out, because unloading would end it.
///
/// # Errors
/// The file could not be removed.
pub fn disable(login: &Login) -> Result<bool, Failure> {
    super::remove(&path(login))
}

fn load(login: &Login, machine: &dyn Machine, plist: &str, changed: bool) -> Result<(), String> {
    let (domain, service) = (domain(login), service(login));
    let launchctl = |arguments: &[&str]| match machine.run("/bin/launchctl", arguments) {
        Ok(RunResult { success: true, .. }) => Ok(()),
        Ok(answer) => Err(answer.error.lines().next().unwrap_or("launchctl failed").to_owned()),
        Err(error) => Err(format!("launchctl: {error}")),
    };
    if !changed && launchctl(&["print", &service]).is_ok() {
        return launchctl(&["kickstart", &service]);
    }
    // Fails if nothing is loaded, which is fine.
    let _ = launchctl(&["bootout", &service]);
    let mut result = launchctl(&["bootstrap", &domain, plist]);
    for _ in 1..TRIES {
        if result.is_ok() {
            break;
        }
        machine.pause();
        result = launchctl(&["bootstrap", &domain, plist]);
    }
    result
}

/// System Settings' switch, which is also `launchctl disable`.
fn is_switched_off(login: &Login, machine: &dyn Machine) -> bool {
    let answer = machine.run("/bin/launchctl", &["print-disabled", &domain(login)]);
    let switch = format!("\"{LABEL}\" =>");
    answer.is_ok_and(|answer| {
        let state = answer.output.lines().find_map(|line| line.trim().strip_prefix(&switch));
        // Older systems print `true`, newer ones `disabled`.
        state.is_some_and(|state| matches!(state.trim(), "disabled" | "true"))
    })
}

fn switch_on(login: &Login) -> String {
    format!(
        "switch it on in System Settings, General, Login Items, or with `launchctl enable {}`",
        service(login)
    )
}

fn path(login: &Login) -> PathBuf {
    login.folders.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
}

fn domain(login: &Login) -> String {
    format!("gui/{}", login.user)
}

fn service(login: &Login) -> String {
    format!("gui/{}/{LABEL}", login.user)
}
