//! Launch at login, for this user alone: a systemd user unit, a desktop autostart entry, a LaunchAgent or a value
//! under the Run key.
//!
//! Never two entries: enabling one removes the other. A switch with which the user turned an entry off outside of
//! this program is reported and left as it is. Nothing here runs with more rights than the user has.
//! Read next: [`texts`], what is written; [`linux`], [`macos`] and [`windows`], how it takes effect.

pub mod command;
pub mod linux;
pub mod machine;
pub mod macos;
pub mod texts;
pub mod window_managers;
pub mod windows;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::command::LoginCommand;
use self::machine::Machine;
use crate::error::Failure;
use crate::io::files;
use crate::io::paths::{Environment, Folders};
use crate::io::real_path;

/// The kind of system, by how it starts programs at login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Linux, and every other system with XDG autostart.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl System {
    /// The one that this was built for.
    pub fn current() -> Self {
        match () {
            () if cfg!(windows) => Self::Windows,
            () if cfg!(target_os = "macos") => Self::MacOs,
            () => Self::Linux,
        }
    }
}

/// Whose login it is, and what it is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The kind of system.
    pub system: System,
    /// What an entry is to start.
    pub command: LoginCommand,
    /// The user's folders.
    pub folders: Folders,
    /// `XDG_RUNTIME_DIR`, where a user manager has its socket.
    pub runtime: Option<PathBuf>,
    /// The user's number on Unix.
    pub user: u32,
}

impl Login {
    /// This process's user and program. `config` is what the entry is to hand on with `--config`.
    ///
    /// # Errors
    /// No home folder, or a program that cannot be found or written down.
    pub fn of_process(config: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        let own = std::env::current_exe().and_then(|own| own.try_exists().map(|exists| (own, exists)));
        let program = match own {
            Ok((own, true)) => {
                let called = std::env::args_os().next().map(PathBuf::from);
                let search = environment.text("PATH").map(std::env::split_paths);
                let search: Vec<PathBuf> = search.into_iter().flatten().collect();
                command::stable_path(&own, called.as_deref(), &search)
            }
            Ok((own, false)) => {
                return Err(Failure::new(format!("could not find this program: {} is gone", own.display()))
                    .hint("start the program that took its place"));
            }
            Err(error) => return Err(Failure::new(format!("could not find this program: {error}"))),
        };
        Ok(Self {
            system: System::current(),
            command: LoginCommand::new(&program, config)?,
            folders: environment.folders("run this as the user who logs in")?.clone(),
            runtime: environment.path("XDG_RUNTIME_DIR"),
            user: user(),
        })
    }
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(not(unix))]
fn user() -> u32 {
    0
}

/// The kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A unit of the user's own systemd.
    SystemdUnit,
    /// A file in the desktop's autostart folder.
    DesktopEntry,
    /// A LaunchAgent of macOS.
    LaunchAgent,
    /// A value under the Run key of Windows.
    RunKey,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SystemdUnit => "systemd user unit",
            Self::DesktopEntry => "desktop autostart entry",
            Self::LaunchAgent => "LaunchAgent",
            Self::RunKey => "Run key",
        })
    }
}

/// What login does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// It starts this program.
    Enabled,
    /// There is no entry, or one that takes no effect.
    Disabled,
    /// There is an entry, and the user switched it off with the system's own means.
    SwitchedOffByUser,
    /// There is an entry, but it is not for this program, or there are two.
    Differs,
}

/// The login entry as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The kind of the entry, or of the one that `enable` would make.
    pub kind: Kind,
    /// Where it is: a file, or a key and a value's name.
    pub place: String,
    /// What it starts, if there is an entry that can be understood.
    pub command: Option<LoginCommand>,
    /// What login does.
    pub state: LoginState,
    /// What to do about it, unless it is enabled.
    pub hint: Option<String>,
}

/// What `enable` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The kind of the entry.
    pub kind: Kind,
    /// Where it goes: a file, or a key and a value's name.
    pub place: String,
    /// The file's or the value's text.
    pub text: String,
    /// Entries of the other kind, which `enable` removes.
    pub removed: Vec<PathBuf>,
}

/// What `enable` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enabled {
    /// Whether the entry was written; otherwise it was there already, just so.
    pub changed: bool,
    /// Whether the daemon was started or is running.
    pub started: bool,
}

/// The login entry as it is, compared with this program. Changes nothing.
pub fn registered(login: &Login, machine: &dyn Machine) -> Registration {
    match login.system {
        System::Linux => linux::registered(login, machine),
        System::MacOs => macos::registered(login, machine),
        System::Windows => windows::registered(login, machine),
    }
}

/// What `enable` would write, and where. Changes nothing.
///
/// # Errors
/// The system cannot start this program at login.
pub fn planned(login: &Login, machine: &dyn Machine) -> Result<Plan, Failure> {
    match login.system {
        System::Linux => linux::planned(login, machine),
        System::MacOs => macos::planned(login),
        System::Windows => windows::planned(login),
    }
}

/// Writes the entry, removes one of the other kind, and starts the daemon if `start`.
///
/// # Errors
/// What could not be written or started, or that the user switched the entry off.
pub fn enable(login: &Login, machine: &dyn Machine, start: bool) -> Result<Enabled, Failure> {
    let plan = planned(login, machine)?;
    match login.system {
        System::Linux => linux::enable(login, machine, &plan, start),
        System::MacOs => macos::enable(login, machine, &plan, start),
        System::Windows => windows::enable(login, machine, &plan, start),
    }
}

/// Removes every entry; a daemon that runs goes on. Whether there was one.
///
/// # Errors
/// What could not be removed.
pub fn disable(login: &Login, machine: &dyn Machine) -> Result<bool, Failure> {
    match login.system {
        System::Linux => linux::disable(login, machine),
        System::MacOs => macos::disable(login),
        System::Windows => windows::disable(machine),
    }
}

/// Tells what an entry's command makes of it: this program, another one, or one that is gone.
fn compared(kind: Kind, place: String, command: Option<LoginCommand>, login: &Login) -> Registration {
    let own = &login.command.program;
    let is_same =
        |registered: &str| registered == own || real_path::is_same(registered.as_ref(), own.as_ref());
    let trouble = match &command {
        None => Some("its command cannot be read".to_owned()),
        Some(command) if is_same(&command.program) => None,
        Some(command) if !Path::new(&command.program).exists() => {
            Some(format!("it starts {}, which is not there", command.program))
        }
        Some(command) => Some(format!("it starts {}, and this is {own}", command.program)),
    };
    let state = if trouble.is_none() { LoginState::Enabled } else { LoginState::Differs };
    let hint = trouble
        .map(|trouble| format!("{trouble}; register this program with `agent-presence autostart enable`"));
    Registration { kind, place, command, state, hint }
}

/// No entry, where `enable` would make one of this kind.
fn disabled(kind: Kind, place: String) -> Registration {
    let hint = Some("launch it at login with `agent-presence autostart enable`".to_owned());
    Registration { kind, place, command: None, state: LoginState::Disabled, hint }
}

/// The same entry, switched off; `hint` says where to switch it on.
fn switched_off(registration: Registration, hint: String) -> Registration {
    Registration { state: LoginState::SwitchedOffByUser, hint: Some(hint), ..registration }
}

/// The failure to make an entry take effect that the user switched off.
fn refused_by_user(place: &str, hint: String) -> Failure {
    Failure::new(format!("could not enable launch at login: {place} is switched off")).hint(hint)
}

/// Larger files are no login entries.
const MOST: u64 = 1 << 20;

/// The text of an entry's file.
fn text_of(path: &Path) -> Option<String> {
    String::from_utf8(files::read(path, MOST).ok()?).ok()
}

/// Writes an entry's file if it is not there just so. Whether it was written.
fn write(path: &Path, text: &str) -> Result<bool, Failure> {
    if files::read(path, MOST).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(false);
    }
    let failure = |error: io::Error| {
        Failure::new(format!("could not write {}: {error}", path.display()))
            .hint("see what would be written with `agent-presence autostart enable --print`")
    };
    // Through a link to a device the device itself would be replaced.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(failure(io::Error::other("it is not a file")));
    }
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failure)?;
    files::write_atomically(path, text.as_bytes()).map_err(failure)?;
    Ok(true)
}

/// Removes an entry's file, or a link to it. Whether it was there.
fn remove(path: &Path) -> Result<bool, Failure> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::new(format!("could not remove {}: {error}", path.display()))),
    }
}

/// Starts the daemon without a service manager, unless one is running.
fn start_without_manager(login: &Login, machine: &dyn Machine) -> Result<(), Failure> {
    if machine.is_running() {
        return Ok(());
    }
    machine
        .start(&login.command)
        .map_err(|error| not_started(&error.to_string()).hint("see why with `agent-presence run`"))
}

/// The entry is in place, but the daemon is not running.
fn not_started(cause: &str) -> Failure {
    Failure::new(format!("could not start the daemon now: {cause}"))
        .hint("the login entry is written, and starts it at the next login")
}
