//! The ways in which a system asks a daemon to end.

use std::io;

/// Waits for the system or the user to ask for the end.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    streams: [tokio::signal::unix::Signal; 3],
    #[cfg(windows)]
    console: windows::Console,
}

#[cfg(unix)]
impl Signals {
    /// Takes over SIGINT, SIGTERM and SIGHUP. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// The system refused.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { streams: [interrupt?, terminate?, hangup?] })
    }

    /// Returns at the next one. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.streams;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(windows)]
impl Signals {
    /// Takes over Ctrl-C, Ctrl-Break, and the close, log-off and shutdown events of the console.
    ///
    /// # Errors
    /// The system refused.
    pub fn new() -> io::Result<Self> {
        Ok(Self { console: windows::Console::new()? })
    }

    /// Returns at the next one. Nothing is lost when the wait is given up.
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
