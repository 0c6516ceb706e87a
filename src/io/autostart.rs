//! Launch at login for this user: a systemd user unit, a desktop autostart entry, a LaunchAgent or a value under the
//! Run key.
//!
//! There is never more than one entry: enabling one kind removes the other. If the user switched an entry off with the
//! system's own means, that is reported and left as it is. Nothing here needs more rights than the user has.
//! Read next: [`texts`], the texts of entries; [`linux`], [`macos`] and [`windows`], how they take effect.

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
    /// The system that this program was built for.
    pub fn current() -> Self {
        match () {
            () if cfg!(windows) => Self::Windows,
            () if cfg!(target_os = "macos") => Self::MacOs,
            () => Self::Linux,
        }
    }
}

/// The user's login and the command for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The kind of system.
    pub system: System,
    /// The command of an entry.
    pub command: LoginCommand,
    /// The user's folders.
    pub folders: Folders,
    /// `XDG_RUNTIME_DIR`, where a user manager has its socket.
    pub runtime: Option<PathBuf>,
    /// The user's number on Unix.
    pub user: u32,
}

impl Login {
    /// The login of this process's user, with this program. `config` is passed on with `--config`.
    ///
    /// # Errors
    /// There is no home folder, or the program cannot be found, or its path cannot be written to an entry.
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
                    .hint("start the program that replaced it"));
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
    /// A unit of the user's systemd.
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

/// The state of launch at login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// Login starts this program.
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
    /// Its place: a file, or a key and a value's name.
    pub place: String,
    /// Its command, if there is an entry and it can be parsed.
    pub command: Option<LoginCommand>,
    /// The state of launch at login.
    pub state: LoginState,
    /// How to enable it, unless it is enabled.
    pub hint: Option<String>,
}

/// The entry that `enable` would write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The kind of the entry.
    pub kind: Kind,
    /// Its place: a file, or a key and a value's name.
    pub place: String,
    /// The file's or the value's text.
    pub text: String,
    /// Entries of the other kind, which `enable` removes.
    pub removed: Vec<PathBuf>,
}

/// The result of `enable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enabled {
    /// Whether the entry was written; otherwise it was there already with the same text.
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

/// The entry that `enable` would write. Changes nothing.
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
/// The entry could not be written or the daemon not started, or the user switched the entry off.
pub fn enable(login: &Login, machine: &dyn Machine, start: bool) -> Result<Enabled, Failure> {
    let plan = planned(login, machine)?;
    match login.system {
        System::Linux => linux::enable(login, machine, &plan, start),
        System::MacOs => macos::enable(login, machine, &plan, start),
        System::Windows => windows::enable(login, machine, &plan, start),
    }
}

/// Removes every entry; a running daemon continues. Returns whether there was one.
///
/// # Errors
/// An entry could not be removed.
pub fn disable(login: &Login, machine: &dyn Machine) -> Result<bool, Failure> {
    match login.system {
        System::Linux => linux::disable(login, machine),
        System::MacOs => macos::disable(login),
        System::Windows => windows::disable(machine),
    }
}

/// Compares an entry's command with this program: the same, another one, or one that does not exist.
fn compared(kind: Kind, place: String, command: Option<LoginCommand>, login: &Login) -> Registration {
    let own = &login.command.program;
    let is_same =
        |registered: &str| registered == own || real_path::is_same(registered.as_ref(), own.as_ref());
    let difference = match &command {
        None => Some("its command cannot be read".to_owned()),
        Some(command) if is_same(&command.program) => None,
        Some(command) if !Path::new(&command.program).exists() => {
            Some(format!("it starts {}, which does not exist", command.program))
        }
        Some(command) => Some(format!("it starts {}, and this is {own}", command.program)),
    };
    let state = if difference.is_none() { LoginState::Enabled } else { LoginState::Differs };
    let hint = difference.map(|difference| {
        format!("{difference}; register this program with `agent-presence autostart enable`")
    });
    Registration { kind, place, command, state, hint }
}

/// The registration without an entry; `enable` would make one of this kind.
fn disabled(kind: Kind, place: String) -> Registration {
    let hint = Some("launch it at login with `agent-presence autostart enable`".to_owned());
    Registration { kind, place, command: None, state: LoginState::Disabled, hint }
}

/// The registration, switched off by the user; `hint` names the switch.
fn switched_off(registration: Registration, hint: String) -> Registration {
    Registration { state: LoginState::SwitchedOffByUser, hint: Some(hint), ..registration }
}

/// The failure of `enable` for an entry that the user switched off.
fn refused_by_user(place: &str, hint: String) -> Failure {
    Failure::new(format!("could not enable launch at login: {place} is switched off")).hint(hint)
}

/// Larger files are not login entries, in bytes.
const LARGEST: u64 = 1 << 20;

/// The text of an entry's file.
fn text_of(path: &Path) -> Option<String> {
    String::from_utf8(files::read(path, LARGEST).ok()?).ok()
}

/// Writes an entry's file, unless it has this text already. Returns whether it was written.
fn write(path: &Path, text: &str) -> Result<bool, Failure> {
    if files::read(path, LARGEST).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(false);
    }
    let failure = |error: io::Error| {
        Failure::new(format!("could not write {}: {error}", path.display()))
            .hint("see what would be written with `agent-presence autostart enable --print`")
    };
    // A write through a link to a device would replace the device.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(failure(io::Error::other("it is not a file")));
    }
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failure)?;
    files::write_atomically(path, text.as_bytes()).map_err(failure)?;
    Ok(true)
}

/// Removes an entry's file, or a link to it. Returns whether it existed.
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

/// The failure for an entry that is written while the daemon could not be started.
fn not_started(cause: &str) -> Failure {
    Failure::new(format!("could not start the daemon now: {cause}"))
        .hint("the login entry is written, and starts it at the next login")
}
