//! Facts about other processes, and ending them.
//!
//! A [`Handle`] refers to one process, if the system has such handles (Linux, Windows): between the check of a process
//! and its end the id cannot pass to another one. [`crate::core::takeover`] decides whether to end it.
//! Read next: `running`, for processes that other programs' files name; `listening`, for processes behind a socket.

mod listening;
mod running;

use std::io;

use crate::core::takeover::Process;

pub use listening::who_listens;
pub use running::{NamedProcess, counts_in};

/// How to end a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM, and SIGCONT so that a stopped process receives it. Windows has no equivalent for a program without a
    /// console: there it is killed at once.
    Asked,
    /// SIGKILL; on Windows `TerminateProcess`.
    Forced,
}

/// When a process started, in the unit of [`crate::core::takeover::LockRecord::start_time`]; `None` if there is no such
/// process or the system does not report it.
pub fn start_time(pid: u32) -> Option<u64> {
    look(pid)?.start_time
}

/// The facts about a process; `None` if there is none. Facts that the system does not report are absent.
pub fn look(pid: u32) -> Option<Process> {
    system::look(pid)
}

/// A handle of a process that may be ended.
#[derive(Debug)]
pub struct Handle(system::Handle);

impl Handle {
    /// The process with this id; `None` if there is none.
    ///
    /// # Errors
    /// The system refused the handle.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        Ok(system::Handle::open(pid)?.map(Self))
    }

    /// The facts about the process; `None` if it has ended.
    pub fn look(&self) -> Option<Process> {
        self.0.look()
    }

    /// Ends the process. If it has ended already, that is not an error.
    ///
    /// # Errors
    /// The system refused.
    pub fn end(&self, ending: Ending) -> io::Result<()> {
        self.0.end(ending)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::fs;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;

    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::{Ending, Process};
    use crate::io::files;

    pub(super) fn look(pid: u32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        if super::is_zombie(&stat) {
            return None;
        }
        let exe = format!("/proc/{pid}/exe");
        Some(Process {
            start_time: super::start_time_in_stat(&stat),
            exe: fs::read_link(&exe).ok(),
            exe_file: fs::metadata(&exe).ok().as_ref().and_then(files::identity),
            uid: fs::metadata(format!("/proc/{pid}")).ok().map(|folder| folder.uid()),
            sid: None,
        })
    }

    #[derive(Debug)]
    pub(super) struct Handle {
        pid: u32,
        held: OwnedFd,
    }

    impl Handle {
        pub(super) fn open(pid: u32) -> io::Result<Option<Self>> {
            let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
            match pidfd_open(raw, PidfdFlags::empty()) {
                Ok(held) => Ok(Some(Self { pid, held })),
                Err(Errno::SRCH) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }

        pub(super) fn look(&self) -> Option<Process> {
            look(self.pid)
        }

        pub(super) fn end(&self, ending: Ending) -> io::Result<()> {
            let signals: &[Signal] = match ending {
                Ending::Asked => &[Signal::TERM, Signal::CONT],
                Ending::Forced => &[Signal::KILL],
            };
            for signal in signals {
                match pidfd_send_signal(&self.held, *signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        }
    }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod system {
    use std::io;

    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, kill_process};

    use super::{Ending, Process};

    pub(super) fn look(pid: u32) -> Option<Process> {
        let mut ps = std::process::Command::new("/bin/ps");
        ps.args(["-o", "stat=", "-o", "lstart=", "-o", "uid=", "-o", "comm=", "-p", &pid.to_string()]);
        ps.env("LC_ALL", "C").env("TZ", "UTC");
        super::process_in_ps(str::from_utf8(&ps.output().ok()?.stdout).ok()?)
    }

    /// This system has no handles; the time between the check and the signal is as short as possible.
    #[derive(Debug)]
    pub(super) struct Handle(Pid);

    impl Handle {
        pub(super) fn open(pid: u32) -> io::Result<Option<Self>> {
            Ok(i32::try_from(pid).ok().and_then(Pid::from_raw).map(Self))
        }

        pub(super) fn look(&self) -> Option<Process> {
            look(u32::try_from(self.0.as_raw_pid()).ok()?)
        }

        pub(super) fn end(&self, ending: Ending) -> io::Result<()> {
            let signals: &[Signal] = match ending {
                Ending::Asked => &[Signal::TERM, Signal::CONT],
                Ending::Forced => &[Signal::KILL],
            };
            for signal in signals {
                match kill_process(self.0, *signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use winsafe::guard::CloseHandleGuard;
    use winsafe::{HPROCESS, co};

    use super::{Ending, Process};
    use crate::io::files::io_error;

    /// The result of `GetExitCodeProcess` for a running process.
    const STILL_ACTIVE: u32 = 259;

    pub(super) fn look(pid: u32) -> Option<Process> {
        Handle::opened(pid, co::PROCESS::QUERY_LIMITED_INFORMATION).ok()??.look()
    }

    pub(super) struct Handle(CloseHandleGuard<HPROCESS>);

    impl Handle {
        pub(super) fn open(pid: u32) -> io::Result<Option<Self>> {
            Self::opened(pid, co::PROCESS::QUERY_LIMITED_INFORMATION | co::PROCESS::TERMINATE)
        }

        fn opened(pid: u32, access: co::PROCESS) -> io::Result<Option<Self>> {
            match HPROCESS::OpenProcess(access, false, pid) {
                Ok(handle) => Ok(Some(Self(handle))),
                Err(co::ERROR::INVALID_PARAMETER) => Ok(None),
                Err(error) => Err(io_error(error)),
            }
        }

        pub(super) fn look(&self) -> Option<Process> {
            if self.0.GetExitCodeProcess().is_ok_and(|code| code != STILL_ACTIVE) {
                return None;
            }
            Some(Process {
                start_time: self.0.GetProcessTimes().ok().map(|(created, ..)| created.into()),
                exe: self.0.QueryFullProcessImageName(co::PROCESS_NAME::WIN32).ok().map(Into::into),
                exe_file: None,
                uid: None,
                sid: self.user(),
            })
        }

        fn user(&self) -> Option<String> {
            let token = self.0.OpenProcessToken(co::TOKEN::QUERY).ok()?;
            match token.GetTokenInformation(co::TOKEN_INFORMATION_CLASS::User).ok()? {
                winsafe::TokenInfo::User(user) => winsafe::ConvertSidToStringSid(user.User.Sid()?).ok(),
                _ => None,
            }
        }

        pub(super) fn end(&self, ending: Ending) -> io::Result<()> {
            match ending {
                Ending::Asked | Ending::Forced => self.0.TerminateProcess(1).map_err(io_error),
            }
        }
    }

    impl std::fmt::Debug for Handle {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Handle").finish_non_exhaustive()
        }
    }
}

/// Field 22 of `/proc/<pid>/stat`. The second one, the program's name, may hold spaces and parentheses.
#[cfg(any(test, target_os = "linux", target_os = "android"))]
fn start_time_in_stat(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Whether a process has ended and only waits for its parent.
#[cfg(any(test, target_os = "linux", target_os = "android"))]
fn is_zombie(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, after_name)| after_name.split_whitespace().next());
    matches!(state, Some("Z" | "X"))
}

/// `Ss   Fri Nov 20 07:00:31 2026     501 /usr/local/bin/agent-presence`, the time in UTC; the state `Z` is that of a
/// process that has ended and only waits for its parent.
#[cfg(any(test, all(unix, not(any(target_os = "linux", target_os = "android")))))]
fn process_in_ps(line: &str) -> Option<Process> {
    let (state, mut rest) = line.trim().split_once(char::is_whitespace)?;
    rest = rest.trim_start();
    if state.starts_with('Z') {
        return None;
    }
    let mut words = Vec::new();
    for _ in 0..6 {
        let (word, after) = rest.split_once(char::is_whitespace)?;
        words.push(word);
        rest = after.trim_start();
    }
    let uid = words.pop()?.parse().ok();
    Some(Process {
        start_time: running::seconds_of_ps(&words.join(" ")),
        exe: Some(rest.into()),
        exe_file: None,
        uid,
        sid: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_survives_a_strange_name() {
        let stat = "4242 (a) b (c)) S 1 4242 4242 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        assert_eq!(start_time_in_stat(stat), Some(987_654));
        assert!(!is_zombie(stat));
        assert!(is_zombie("4242 (a Z) Z 1 4242"));
        assert_eq!(start_time_in_stat("4242 (cut"), None);
        assert_eq!(start_time_in_stat(""), None);
    }

    #[test]
    fn a_line_of_ps_is_parsed() {
        let line = "Ss+  Fri Nov 20 07:00:31 2026       501 /Applications/Agent Presence/agent-presence\n";
        let exe = Some("/Applications/Agent Presence/agent-presence".into());
        let process =
            Process { start_time: Some(1_795_158_031), exe, exe_file: None, uid: Some(501), sid: None };
        assert_eq!(process_in_ps(line), Some(process));
        let start_time = |line| process_in_ps(line).and_then(|process| process.start_time);
        assert_eq!(start_time("S Sun Nov  1 07:00:31 2026 0 sh"), Some(1_793_516_431));
        assert_eq!(process_in_ps("Z+   Fri Nov 20 07:00:31 2026       501 (sh)"), None, "it has ended");
        assert_eq!(process_in_ps(""), None);
    }

    #[cfg(any(target_os = "linux", windows))]
    #[test]
    fn a_missing_process_has_no_facts() {
        // Windows rounds an id down to a multiple of four.
        let unused = u32::MAX - 3;
        assert_eq!(look(unused), None);
        assert!(Handle::open(unused).unwrap().is_none());
    }

    #[cfg(any(target_os = "linux", windows))]
    #[test]
    fn a_process_is_recognised_and_ended_by_its_handle() {
        let own = look(std::process::id()).unwrap();
        assert!(own.start_time.is_some() && own.exe.is_some());
        assert!(own.uid.is_some() || own.sid.is_some());
        assert_eq!(own.exe_file.is_some(), cfg!(unix));

        let (program, arguments): (_, &[&str]) =
            if cfg!(windows) { ("cmd", &["/c", "pause"]) } else { ("cat", &[]) };
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let handle = Handle::open(child.id()).unwrap().unwrap();
        let seen = handle.look().unwrap();
        assert_eq!(Some(&seen), look(child.id()).as_ref());
        assert!(seen.start_time >= own.start_time);
        assert_eq!((seen.uid, &seen.sid), (own.uid, &own.sid));
        handle.end(Ending::Forced).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(handle.look(), None);
    }
}
