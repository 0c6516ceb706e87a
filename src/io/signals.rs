//! Signals that ask the program to end.

use std::io;
use std::sync::Once;
use std::time::Duration;

use crate::error::Exit;

/// How long the end may take after a signal. Every wait during the end is shorter.
const LONGEST_END: Duration = Duration::from_millis(1_900);

/// Ends the process in time after a signal, even if its loop is blocked by a stopped terminal, a pipe without a reader,
/// or a disk that does not answer. Once per process.
pub fn ensure_end() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // Without the thread, the loop still handles the signal unless it is blocked.
        let _ = std::thread::Builder::new().name("end".to_owned()).stack_size(128 * 1024).spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let asked = runtime.and_then(|runtime| {
                runtime.block_on(async {
                    Signals::new()?.next().await;
                    tokio::time::sleep(LONGEST_END).await;
                    Ok(())
                })
            });
            if asked.is_ok() {
                end_now();
            }
        });
    });
}

#[expect(clippy::disallowed_methods, reason = "the code that could return an exit code is blocked")]
fn end_now() {
    std::process::exit(Exit::Failed.code().into());
}

/// Waits for a signal that ends the program.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    streams: [tokio::signal::unix::Signal; 2],
    /// `None` if it is ignored, as with `nohup`.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
    #[cfg(windows)]
    console: windows::Console,
}

#[cfg(unix)]
impl Signals {
    /// Handles SIGINT, SIGTERM and SIGHUP, the last one only if it was not ignored. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// The system refused.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let streams = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        let hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { streams, hangup })
    }

    /// Waits for the next signal. Cancel safe.
    pub async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.streams;
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = hangup => {}
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("SigIgn:")).is_some_and(has_hangup)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn is_hangup_ignored() -> bool {
    let mut ps = std::process::Command::new("/bin/ps");
    ps.args(["-o", "ignored=", "-p", &std::process::id().to_string()]);
    ps.output().is_ok_and(|output| str::from_utf8(&output.stdout).is_ok_and(has_hangup))
}

/// Whether the set of signals, in hexadecimal, has SIGHUP, which is the first signal on all systems.
#[cfg(unix)]
fn has_hangup(set: &str) -> bool {
    u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & 1 == 1)
}

#[cfg(windows)]
impl Signals {
    /// Handles Ctrl-C, Ctrl-Break, and the close, log-off and shutdown events of the console.
    ///
    /// # Errors
    /// The system refused.
    pub fn new() -> io::Result<Self> {
        Ok(Self { console: windows::Console::new()? })
    }

    /// Waits for the next signal. Cancel safe.
    pub async fn next(&mut self) {
        self.console.next().await;
    }
}

#[cfg(windows)]
mod windows {
    use std::io;

    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff,
        ctrl_shutdown,
    };

    #[derive(Debug)]
    pub(super) struct Console {
        c: CtrlC,
        pause: CtrlBreak,
        close: CtrlClose,
        log_off: CtrlLogoff,
        shutdown: CtrlShutdown,
    }

    impl Console {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                c: ctrl_c()?,
                pause: ctrl_break()?,
                close: ctrl_close()?,
                log_off: ctrl_logoff()?,
                shutdown: ctrl_shutdown()?,
            })
        }

        pub(super) async fn next(&mut self) {
            tokio::select! {
                _ = self.c.recv() => {}
                _ = self.pause.recv() => {}
                _ = self.close.recv() => {}
                _ = self.log_off.recv() => {}
                _ = self.shutdown.recv() => {}
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn sighup_is_found_in_a_set_of_signals() {
        assert!(has_hangup("\t0000000000001001") && has_hangup("1"));
        assert!(!has_hangup("\t0000000000001000") && !has_hangup("") && !has_hangup("-"));
    }
}
