//! `uninstall`: undoes what this program set up for this user, and prints what is left.
//!
//! A part that fails does not stop the others. Only files that this program wrote are removed.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::operate::stop;
use crate::cmd::cli::{Autostart, StatuslineAction, Uninstall};
use crate::error::{Exit, Failure};
use crate::host::Places;
use crate::io::folder::Folder;
use crate::io::instance::{LOCK, LockState, held_by_another};
use crate::io::paths::spare_others;
use crate::io::statusline;

/// The files of the state folder except the logs. The lock is removed last.
const STATE: [&str; 6] =
    ["instance.json", "control.sock", "limits.json", "pause.json", "statusline.json", LOCK];

/// The folders in it, in which every file is this program's.
const FOLDERS: [&str; 2] = ["record", "statusline"];

/// Undoes the setup. Prints what was done to `out`, and each failure except the last one to `err`.
///
/// # Errors
/// The last part that could not be undone.
pub fn run(
    command: &Uninstall,
    places: &Places,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    spare_others("", &places.state)?;
    let sources = &places.effective.settings.sources;
    let has_status_line = statusline::homes(sources, &places.environment).iter().any(|home| home.is_dir());
    let parts = [
        stopped(places, out),
        super::autostart::run(&Autostart::Disable, &places.config, &places.environment, out, err),
        if has_status_line {
            super::statusline::set_up(StatuslineAction::Uninstall, sources, &places.environment, out)
        } else {
            Ok(Exit::Done)
        },
        if command.purge { purge(places, out) } else { Ok(Exit::Done) },
    ];
    let mut failed: Option<Failure> = None;
    for failure in parts.into_iter().filter_map(Result::err) {
        if let Some(earlier) = failed.replace(failure) {
            super::note(err, format_args!("{earlier}\n"));
        }
    }
    let left = left(places, command.purge);
    super::written(out.write_all(left.as_bytes()).and_then(|()| out.flush()))?;
    failed.map_or(Ok(Exit::Done), Err)
}

fn stopped(places: &Places, out: &mut dyn Write) -> Result<Exit, Failure> {
    let said = match stop(places) {
        Ok(_) => "the daemon is stopped",
        Err(failure) if failure.exit == Exit::NotRunning => "no daemon is running",
        Err(failure) => return Err(failure),
    };
    super::written(writeln!(out, "{said}"))
}

/// Removes settings and state.
fn purge(places: &Places, out: &mut dyn Write) -> Result<Exit, Failure> {
    if held_by_another(&places.state) == LockState::Held {
        return Err(Failure::new("could not remove the state: a daemon is using it")
            .hint("end it with `agent-presence stop`, then try again"));
    }
    let settings = &places.config.path;
    let removed = [
        (settings.as_path(), fs::remove_file(settings)),
        (places.state.as_path(), remove_state(&places.state)),
    ];
    // Its own folder as well, if nothing else is in it.
    if let Some(folder) = settings.parent().filter(|folder| folder.ends_with("agent-presence")) {
        let _ = fs::remove_dir(folder);
    }
    for (path, result) in removed {
        let path = path.display();
        match result {
            Ok(()) => super::written(writeln!(out, "removed {path}"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Exit::Done,
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => super::written(writeln!(
                out,
                "left: {path}, which has files that this program did not write"
            ))?,
            Err(error) => return Err(Failure::new(format!("could not remove {path}: {error}"))),
        };
    }
    Ok(Exit::Done)
}

fn remove_state(path: &Path) -> io::Result<()> {
    let folder = Folder::open(path)?;
    for name in FOLDERS {
        if let Ok(below) = folder.subfolder(name) {
            for file in below.names() {
                below.remove_file(&file)?;
            }
            fs::remove_dir(below.path())?;
        }
    }
    let there = folder.names();
    let is_log = |name: &str| name.starts_with("agent-presence.") && name.ends_with(".log");
    let logs = there.iter().map(String::as_str).filter(|name| is_log(name));
    for name in logs.chain(STATE) {
        match folder.remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(path)
}

/// The message on what is left and how to remove it.
fn left(places: &Places, purged: bool) -> String {
    let mut text = String::new();
    let by_purge = [("settings", places.config.path.as_path()), ("state", places.state.as_path())];
    for (what, path) in by_purge.into_iter().filter(|(_, path)| !purged && path.exists()) {
        text.push_str(&format!("left: the {what}, {}\n", path.display()));
    }
    if !text.is_empty() {
        text.push_str("hint: `agent-presence uninstall --purge` removes them\n");
    }
    for home in statusline::homes(&places.effective.settings.sources, &places.environment) {
        let copy = home.join("settings.json.before-agent-presence");
        if copy.exists() {
            text.push_str(&format!("left: a copy of Claude Code's settings, {}\n", copy.display()));
        }
    }
    if let Ok(program) = std::env::current_exe() {
        text.push_str(&format!(
            "left: the program, {}\nhint: remove it in the way it was installed\n",
            program.display()
        ));
    }
    text
}
