//! The system calls of launch at login other than files: service managers, the registry, starting the daemon.
//!
//! They are behind a trait, so that tests can record them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::LoginCommand;
use crate::io::instance::{self, LockState, held_by_another};

/// The result of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunResult {
    /// Whether it exited with success.
    pub success: bool,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub error: String,
}

/// The machine, or a test's replacement.
pub trait Machine {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// It cannot be started, or does not end in time.
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<RunResult>;

    /// Whether a daemon is running.
    fn is_running(&self) -> bool;

    /// Starts the daemon, detached from this process.
    ///
    /// # Errors
    /// It cannot be started, or ends at once with a failure.
    fn start(&self, command: &LoginCommand) -> io::Result<()>;

    /// Waits a moment for a service manager that has not finished.
    fn pause(&self);

    /// A value of the type `REG_SZ` or `REG_EXPAND_SZ` in a key of the current user; `None` when there is none.
    ///
    /// # Errors
    /// The registry refused, or there is no registry.
    fn registry_text(&self, key: &str, name: &str) -> io::Result<Option<String>>;

    /// The bytes of a value of any type in a key of the current user; `None` when there is none.
    ///
    /// # Errors
    /// The registry refused, or there is no registry.
    fn registry_bytes(&self, key: &str, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Sets a value of the type `REG_SZ` in a key of the current user; `None` removes it.
    ///
    /// # Errors
    /// The registry refused, or there is no registry.
    fn set_registry_text(&self, key: &str, name: &str, text: Option<&str>) -> io::Result<()>;
}

/// The real machine.
#[derive(Debug)]
pub struct ThisMachine {
    /// The working folder of a daemon that is started here, so that it keeps no other folder busy.
    pub home: PathBuf,
    /// The daemon's state folder.
    pub state: PathBuf,
}

/// The time for a service manager's answer: longer than its own deadlines.
const ANSWER: Waits = Waits { step: Duration::from_millis(5), steps: 12_000 };
/// The time for a daemon's start: it has taken its lock or failed long before.
const STARTED: Waits = Waits { step: Duration::from_millis(20), steps: 150 };
const PAUSE: Duration = Duration::from_millis(300);

struct Waits {
    step: Duration,
    steps: u32,
}

impl Machine for ThisMachine {
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<RunResult> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // The few lines of output fit into the pipes, so they are read after the end.
        for _ in 0..ANSWER.steps {
            if let Some(status) = child.try_wait()? {
                let success = status.success();
                return Ok(RunResult {
                    success,
                    output: text_of(child.stdout),
                    error: text_of(child.stderr),
                });
            }
            std::thread::sleep(ANSWER.step);
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
    }

    fn is_running(&self) -> bool {
        held_by_another(&self.state) == LockState::Held
    }

    fn start(&self, command: &LoginCommand) -> io::Result<()> {
        let mut process = Command::new(&command.program);
        process.args(&command.arguments).current_dir(&self.home);
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        on_its_own(&mut process);
        let mut child = process.spawn()?;
        for _ in 0..STARTED.steps {
            match child.try_wait()? {
                Some(status) if !status.success() => {
                    return Err(io::Error::other(format!("it ended at once ({status})")));
                }
                // The launcher on Windows ends before the daemon has started; so does a daemon that found a later one.
                Some(_) if self.is_running() => return Ok(()),
                None if holds_the_lock(child.id(), &self.state) => return Ok(()),
                _ => std::thread::sleep(STARTED.step),
            }
        }
        match child.try_wait()? {
            Some(status) => Err(io::Error::other(format!("it ended at once ({status})"))),
            // A slow machine: the daemon is still starting.
            None => Ok(()),
        }
    }

    fn pause(&self) {
        std::thread::sleep(PAUSE);
    }

    fn registry_text(&self, key: &str, name: &str) -> io::Result<Option<String>> {
        registry::text(key, name)
    }

    fn registry_bytes(&self, key: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
        registry::bytes(key, name)
    }

    fn set_registry_text(&self, key: &str, name: &str, text: Option<&str>) -> io::Result<()> {
        registry::set_text(key, name, text)
    }
}

fn text_of(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // Text that cannot be read is only missing from a message.
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn holds_the_lock(pid: u32, state: &Path) -> bool {
    instance::read_record(state).is_some_and(|record| record.pid == pid)
        && held_by_another(state) == LockState::Held
}

/// Detaches the process from Ctrl-C and the end of this terminal.
#[cfg(unix)]
fn on_its_own(process: &mut Command) {
    std::os::unix::process::CommandExt::process_group(process, 0);
}

/// Gives the process a console that is never shown and that this one's Ctrl-C does not reach.
#[cfg(windows)]
fn on_its_own(process: &mut Command) {
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    std::os::windows::process::CommandExt::creation_flags(process, CREATE_NO_WINDOW);
}

#[cfg(windows)]
mod registry {
    use std::io;

    use windows_registry::{CURRENT_USER, Key};

    /// `HRESULT_FROM_WIN32(ERROR_FILE_NOT_FOUND)`: no such key or value.
    const NOT_FOUND: i32 = 0x8007_0002_u32 as i32;

    pub(super) fn text(key: &str, name: &str) -> io::Result<Option<String>> {
        found(CURRENT_USER.open(key).and_then(|key: Key| key.get_string(name)))
    }

    pub(super) fn bytes(key: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
        found(CURRENT_USER.open(key).and_then(|key: Key| Ok(key.get_value(name)?.to_vec())))
    }

    pub(super) fn set_text(key: &str, name: &str, text: Option<&str>) -> io::Result<()> {
        let key = CURRENT_USER.create(key)?;
        match text {
            Some(text) => Ok(key.set_string(name, text)?),
            None => found(key.remove_value(name)).map(|_| ()),
        }
    }

    fn found<T>(result: windows_registry::Result<T>) -> io::Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.code().0 == NOT_FOUND => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(windows))]
mod registry {
    use std::io::{Error, ErrorKind, Result};

    pub(super) fn text(_key: &str, _name: &str) -> Result<Option<String>> {
        Err(Error::from(ErrorKind::Unsupported))
    }

    pub(super) fn bytes(_key: &str, _name: &str) -> Result<Option<Vec<u8>>> {
        Err(Error::from(ErrorKind::Unsupported))
    }

    pub(super) fn set_text(_key: &str, _name: &str, _text: Option<&str>) -> Result<()> {
        Err(Error::from(ErrorKind::Unsupported))
    }
}

#[cfg(all(test, windows))]
mod tests {
    use windows_registry::{CURRENT_USER, Type};

    use super::*;

    #[test]
    fn registry_values_are_written_read_and_removed() {
        let key = format!(r"Software\agent-presence-test-{}", std::process::id());
        let machine = ThisMachine { home: PathBuf::new(), state: PathBuf::new() };
        assert_eq!(machine.registry_text(&key, "text").unwrap(), None);
        assert_eq!(machine.registry_bytes(&key, "bytes").unwrap(), None);

        machine.set_registry_text(&key, "text", Some(r#""C:\ü 漢\%x%" run"#)).unwrap();
        CURRENT_USER.create(&key).unwrap().set_bytes("bytes", Type::Bytes, &[3, 0, 1]).unwrap();
        assert_eq!(machine.registry_text(&key, "text").unwrap().unwrap(), r#""C:\ü 漢\%x%" run"#);
        assert_eq!(machine.registry_bytes(&key, "bytes").unwrap().unwrap(), [3, 0, 1]);

        machine.set_registry_text(&key, "text", None).unwrap();
        machine.set_registry_text(&key, "text", None).unwrap();
        assert_eq!(machine.registry_text(&key, "text").unwrap(), None);
        CURRENT_USER.remove_tree(&key).unwrap();
    }
}
