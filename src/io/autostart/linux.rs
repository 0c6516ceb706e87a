//! Linux: a unit of the user's systemd if there is one, else a desktop autostart entry.
//!
//! Whether an entry takes effect is read from the files, as systemd and the desktops do; only changes call `systemctl`.
//! A unit that a package installed counts like one of this program.

use std::fs;
use std::path::{Path, PathBuf};

use super::machine::Machine;
use super::texts::{desktop, systemd};
use super::{Enabled, Kind, Login, Plan, Registration, compared, disabled, switched_off, text_of};
use crate::error::Failure;

const UNIT: &str = "agent-presence.service";
const UNMASK: &str = "switch it on with `systemctl --user unmask agent-presence.service`";

/// The present entry.
pub fn registered(login: &Login, machine: &dyn Machine) -> Registration {
    let (unit, entry) = (unit_path(login), entry_path(login));
    let links = links(login);
    let text = text_of(&entry);
    let by_desktop = text.as_deref().map(|text| {
        let registration = compared(Kind::DesktopEntry, shown(&entry), desktop::parse(text), login);
        if !desktop::is_switched_off(text) {
            return registration;
        }
        switched_off(registration, "switch it on with `agent-presence autostart enable`".to_owned())
    });
    if is_masked(&unit) {
        let masked = disabled(Kind::SystemdUnit, shown(&unit));
        return by_desktop.unwrap_or_else(|| switched_off(masked, UNMASK.to_owned()));
    }
    let Some(link) = links.first() else {
        return by_desktop.unwrap_or_else(|| match has_user_manager(login, machine) {
            true => disabled(Kind::SystemdUnit, shown(&unit)),
            false => disabled(Kind::DesktopEntry, shown(&entry)),
        });
    };
    let place = fs::canonicalize(link).unwrap_or(unit);
    let command = text_of(link).and_then(|text| systemd::parse(&text));
    let by_unit = compared(Kind::SystemdUnit, shown(&place), command, login);
    if by_desktop.is_none() {
        return by_unit;
    }
    let second = format!("{} starts it as well", entry.display());
    let hint = format!("{second}; remove the second entry with `agent-presence autostart enable`");
    Registration { state: super::LoginState::Differs, hint: Some(hint), ..by_unit }
}

/// The entry that `enable` would write.
///
/// # Errors
/// Login cannot start a program at this path.
pub fn planned(login: &Login, machine: &dyn Machine) -> Result<Plan, Failure> {
    let (unit, entry) = (unit_path(login), entry_path(login));
    let has_manager = has_user_manager(login, machine);
    let text = if has_manager { systemd::render(&login.command) } else { desktop::render(&login.command) };
    let text = text.ok_or_else(|| {
        let program = &login.command.program;
        let cause = "its path has both an equals sign and a character that login cannot take";
        Failure::new(format!("could not register {program}: {cause}")).hint("move it to another folder")
    })?;
    if has_manager {
        let removed = Some(entry).filter(|entry| is_there(entry)).into_iter().collect();
        return Ok(Plan { kind: Kind::SystemdUnit, place: shown(&unit), text, removed });
    }
    let mut removed = links(login);
    removed.extend(Some(unit).filter(|unit| is_there(unit) && !is_masked(unit)));
    Ok(Plan { kind: Kind::DesktopEntry, place: shown(&entry), text, removed })
}

/// Writes the planned entry, and starts the daemon.
///
/// # Errors
/// The entry could not be written or the daemon not started, or the unit is masked.
pub fn enable(login: &Login, machine: &dyn Machine, plan: &Plan, start: bool) -> Result<Enabled, Failure> {
    let unit = unit_path(login);
    if plan.kind == Kind::DesktopEntry {
        let changed = super::write(&entry_path(login), &plan.text)?;
        remove_all(&plan.removed)?;
        if start {
            super::start_without_manager(login, machine)?;
        }
        return Ok(Enabled { changed, started: start });
    }
    if is_masked(&unit) {
        return Err(super::refused_by_user(UNIT, UNMASK.to_owned()));
    }
    let changed = super::write(&unit, &plan.text)?;
    remove_all(&plan.removed)?;
    let failed = |cause: String| Failure::new(format!("could not enable {UNIT}: {cause}"));
    systemctl(machine, &["daemon-reload"]).map_err(failed)?;
    systemctl(machine, &["enable", UNIT]).map_err(failed)?;
    if start {
        // A daemon of a unit with another text is restarted.
        let verb = if changed { "restart" } else { "start" };
        systemctl(machine, &[verb, UNIT]).map_err(|cause| {
            super::not_started(&cause).hint(format!("see why with `systemctl --user status {UNIT}`"))
        })?;
    }
    Ok(Enabled { changed, started: start })
}

/// Removes entries of both kinds.
///
/// # Errors
/// An entry could not be removed.
pub fn disable(login: &Login, machine: &dyn Machine) -> Result<bool, Failure> {
    let mut there = super::remove(&entry_path(login))?;
    let unit = unit_path(login);
    let has_own = is_there(&unit) && !is_masked(&unit);
    if !has_own && links(login).is_empty() {
        return Ok(there);
    }
    there |= !links(login).is_empty();
    let has_manager = has_user_manager(login, machine);
    if has_manager {
        // Links that it leaves are removed below; only the files count at the next login.
        let _ = systemctl(machine, &["disable", UNIT]);
    }
    remove_all(&links(login))?;
    if has_own {
        super::remove(&unit)?;
    }
    if has_manager {
        let _ = systemctl(machine, &["daemon-reload"]);
    }
    Ok(there)
}

fn unit_path(login: &Login) -> PathBuf {
    login.folders.config.join("systemd/user").join(UNIT)
}

fn entry_path(login: &Login) -> PathBuf {
    login.folders.config.join("autostart/agent-presence.desktop")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The links through which any target of the user's systemd starts the unit.
fn links(login: &Login) -> Vec<PathBuf> {
    let folders = fs::read_dir(login.folders.config.join("systemd/user")).into_iter().flatten().flatten();
    let wanting = folders.filter(|folder| folder.file_name().to_string_lossy().ends_with(".target.wants"));
    let mut links: Vec<PathBuf> =
        wanting.map(|folder| folder.path().join(UNIT)).filter(|link| is_there(link)).collect();
    links.sort();
    links
}

/// Whether the path exists, also as a link to nothing.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether the unit is masked: `systemctl mask` makes a link to the null device, and systemd treats an empty file in
/// the same way.
fn is_masked(unit: &Path) -> bool {
    fs::read_link(unit).is_ok_and(|target| target == Path::new("/dev/null"))
        || fs::metadata(unit).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// Whether this user has a running systemd.
fn has_user_manager(login: &Login, machine: &dyn Machine) -> bool {
    login.runtime.as_ref().is_some_and(|runtime| runtime.join("systemd").is_dir())
        && systemctl(machine, &["show", "--property=Version"]).is_ok()
}

/// Runs `systemctl --user`; the error is the first line of its standard error.
fn systemctl(machine: &dyn Machine, arguments: &[&str]) -> Result<(), String> {
    let arguments: Vec<&str> = std::iter::once("--user").chain(arguments.iter().copied()).collect();
    match machine.run("systemctl", &arguments) {
        Ok(answer) if answer.success => Ok(()),
        Ok(answer) => Err(answer.error.lines().next().unwrap_or("systemctl failed").to_owned()),
        Err(error) => Err(format!("systemctl: {error}")),
    }
}

fn remove_all(paths: &[PathBuf]) -> Result<(), Failure> {
    paths.iter().try_for_each(|path| super::remove(path).map(|_| ()))
}
