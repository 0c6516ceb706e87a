//! Windows: a value under the user's Run key, which Task Manager lists and can switch off.

use super::machine::Machine;
use super::texts::command_line::{self, LONGEST};
use super::{Enabled, Kind, Login, Plan, Registration, compared, disabled, switched_off};
use crate::error::Failure;

/// The key of programs that login starts, in `HKEY_CURRENT_USER`.
pub const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
/// The key of Task Manager's switches for it.
pub const APPROVED: &str = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run";
/// The value's name in both keys.
pub const NAME: &str = "agent-presence";

const SWITCH_ON: &str = "switch it on in Task Manager, Startup apps";

/// The present entry.
pub fn registered(login: &Login, machine: &dyn Machine) -> Registration {
    let command = match machine.registry_text(RUN, NAME) {
        Ok(None) => return disabled(Kind::RunKey, place()),
        Ok(Some(line)) => command_line::parse(&line),
        // A value of another type is an entry too.
        Err(_) => None,
    };
    let registration = compared(Kind::RunKey, place(), command, login);
    if is_switched_off(machine) {
        return switched_off(registration, SWITCH_ON.to_owned());
    }
    registration
}

/// The entry that `enable` would write.
///
/// # Errors
/// The command is longer than Windows runs.
pub fn planned(login: &Login) -> Result<Plan, Failure> {
    let text = command_line::render(&login.command).ok_or_else(|| {
        let cause = format!("the command is longer than the {LONGEST} characters that Windows runs at login");
        Failure::new(format!("could not register {}: {cause}", login.command.program))
            .hint("move it to a folder with a shorter path")
    })?;
    Ok(Plan { kind: Kind::RunKey, place: place(), text, removed: Vec::new() })
}

/// Writes the value and starts the daemon. Task Manager's switch belongs to the user and stays as it is.
///
/// # Errors
/// The value could not be written or the daemon not started, or the user switched the entry off.
pub fn enable(login: &Login, machine: &dyn Machine, plan: &Plan, start: bool) -> Result<Enabled, Failure> {
    let changed = machine.registry_text(RUN, NAME).ok().flatten().as_ref() != Some(&plan.text);
    if changed {
        machine
            .set_registry_text(RUN, NAME, Some(&plan.text))
            .map_err(|error| Failure::new(format!("could not write {}: {error}", place())))?;
    }
    if is_switched_off(machine) {
        return Err(super::refused_by_user("the entry in Task Manager", SWITCH_ON.to_owned()));
    }
    if start {
        super::start_without_manager(login, machine)?;
    }
    Ok(Enabled { changed, started: start })
}

/// Removes the value.
///
/// # Errors
/// The registry refused.
pub fn disable(machine: &dyn Machine) -> Result<bool, Failure> {
    let failure = |error| Failure::new(format!("could not remove {}: {error}", place()));
    if matches!(machine.registry_text(RUN, NAME), Ok(None)) {
        return Ok(false);
    }
    machine.set_registry_text(RUN, NAME, None).map_err(failure)?;
    Ok(true)
}

fn place() -> String {
    format!(r"HKCU\{RUN}\{NAME}")
}

/// Whether Task Manager switched the entry off: the first byte is then odd. Without a value the entry is on.
fn is_switched_off(machine: &dyn Machine) -> bool {
    let switch = machine.registry_bytes(APPROVED, NAME).ok().flatten();
    switch.and_then(|bytes| bytes.first().copied()).is_some_and(|state| state % 2 == 1)
}
