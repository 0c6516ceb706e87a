//! The destination of log lines, and their level.
//!
//! Lines go to standard error if it is a terminal or systemd's journal, which adds its own time. They go to daily files
//! in the state folder if standard error is closed or `/dev/null`, as at login. If it is a pipe or a file, they go to
//! both, because it is not known whether that is stored. If the folder cannot be written to, only the log is lost.
//!
//! Session content is never logged: no prompt, command or path from a session file.
//! Read next: [`files`], the writer of the daily files.

pub mod files;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::error::Failure;
use crate::io::paths::{Environment, StateDir};
use crate::io::printed::LogLines;
use files::DailyFiles;

/// The kind of standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// A terminal.
    Terminal,
    /// systemd's journal, by the device and inode in `JOURNAL_STREAM`.
    Journal,
    /// Closed, or the null device.
    Nowhere,
    /// A pipe, a file, or unknown.
    Other,
}

/// The destination of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// To standard error.
    pub stderr: bool,
    /// To daily files in the state folder.
    pub files: bool,
    /// Whether the reader of standard error adds the time itself.
    pub timed_by_reader: bool,
}

impl Destination {
    /// The destination for the daemon.
    pub fn choose(stderr: Stderr) -> Self {
        Self {
            stderr: stderr != Stderr::Nowhere,
            files: matches!(stderr, Stderr::Nowhere | Stderr::Other),
            timed_by_reader: stderr == Stderr::Journal,
        }
    }

    /// The destination for a command that ends by itself: standard error alone.
    pub fn of_command() -> Self {
        Self { stderr: true, files: false, timed_by_reader: false }
    }
}

/// The kind of the process's standard error.
pub fn stderr_of_process(environment: &Environment) -> Stderr {
    if std::io::stderr().is_terminal() {
        return Stderr::Terminal;
    }
    #[cfg(unix)]
    if let Ok(stderr) = rustix::fs::fstat(std::io::stderr()) {
        // All processes of a service inherit `JOURNAL_STREAM`, so the stream itself is compared.
        let stream = format!("{}:{}", stderr.st_dev, stderr.st_ino);
        if environment.text("JOURNAL_STREAM") == Some(stream.as_str()) {
            return Stderr::Journal;
        }
        let is_null = rustix::fs::stat("/dev/null").is_ok_and(|null| {
            (null.st_rdev, null.st_mode) == (stderr.st_rdev, stderr.st_mode) && null.st_rdev != 0
        });
        return if is_null { Stderr::Nowhere } else { Stderr::Other };
    }
    #[cfg(not(unix))]
    let _ = environment;
    Stderr::Other
}

/// The running log; its level can be changed.
#[derive(Debug, Clone)]
pub struct Logging {
    filter: reload::Handle<Targets, Registry>,
    files: Option<Files>,
}

/// The way to the daily files.
#[derive(Debug, Clone)]
struct Files(Arc<Mutex<LogLines<DailyFiles>>>);

/// As long as it lives, lines for the daily files are kept, and then written together.
#[derive(Debug)]
pub struct Gathering(Option<Files>);

impl Logging {
    /// Starts logging for the whole process, once. `level` is `settings.log.level`, which includes `RUST_LOG`; `folder`
    /// is the state folder, for a destination with files.
    ///
    /// # Errors
    /// Logging was started before.
    pub fn start(
        destination: Destination,
        folder: Option<&StateDir>,
        level: &str,
        colour: bool,
    ) -> Result<Self, Failure> {
        let (filter, handle) = reload::Layer::new(filter(level));
        let clock = (!destination.timed_by_reader).then_some(LocalTime);
        let stderr = destination.stderr.then(|| {
            let layer = fmt::layer()
                .compact()
                .with_target(false)
                .with_writer(move || LogLines::new(std::io::stderr(), colour && clock.is_some()));
            match clock {
                Some(clock) => layer.with_ansi(colour).with_timer(clock).boxed(),
                None => layer.with_ansi(false).without_time().boxed(),
            }
        });
        let files = folder.filter(|_| destination.files).map(|folder| {
            let lines = LogLines::new(DailyFiles::new(folder), false);
            Files(Arc::new(Mutex::new(lines)))
        });
        let to_files = files.clone().map(|files| {
            fmt::layer()
                .compact()
                .with_target(false)
                .with_ansi(false)
                .with_timer(LocalTime)
                .with_writer(move || files.clone())
        });
        tracing_subscriber::registry()
            .with(filter)
            .with(stderr)
            .with(to_files)
            .try_init()
            .map_err(|error| Failure::new(format!("could not start logging: {error}")))?;
        Ok(Self { filter: handle, files })
    }

    /// Changes the level at once, e.g. after a change of the settings.
    pub fn set_level(&self, level: &str) {
        // Fails only if the subscriber is gone; then there is no log to change.
        let _ = self.filter.reload(filter(level));
    }

    /// What is logged from now on is written to files when the answer is dropped: one write for all of it.
    #[must_use]
    pub fn gather(&self) -> Gathering {
        self.files.iter().for_each(|files| files.lines().to().gather());
        Gathering(self.files.clone())
    }
}

impl Files {
    /// A thread that panicked meanwhile leaves whole lines.
    fn lines(&self) -> MutexGuard<'_, LogLines<DailyFiles>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Files {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines().flush()
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.0.iter().for_each(|files| files.lines().to().release());
    }
}

/// The level was checked with the settings, so the default is never needed.
fn filter(level: &str) -> Targets {
    let parts: Vec<&str> = level.split(',').map(str::trim).collect();
    parts.join(",").parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO))
}

/// The local time with its offset, to the millisecond.
#[derive(Debug, Clone, Copy)]
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", files::now().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_follows_from_standard_error() {
        let check = |stderr, to_stderr, to_files, timed_by_reader| {
            let expected = Destination { stderr: to_stderr, files: to_files, timed_by_reader };
            assert_eq!(Destination::choose(stderr), expected, "{stderr:?}");
        };
        check(Stderr::Terminal, true, false, false);
        check(Stderr::Journal, true, false, true);
        check(Stderr::Nowhere, false, true, false);
        check(Stderr::Other, true, true, false);
    }

    #[test]
    fn every_form_of_a_level_is_parsed() {
        let of = |level: &str| filter(level).to_string();
        for level in ["error", "warn", "info", "debug", "trace", "off"] {
            assert_eq!(of(level), level);
            assert_eq!(of(&level.to_uppercase()), level);
        }
        assert_eq!(of("warn, agent_presence::core=debug"), "agent_presence::core=debug,warn");
    }

    #[test]
    fn the_time_is_local_with_its_offset() {
        let mut text = String::new();
        LocalTime.format_time(&mut Writer::new(&mut text)).unwrap();
        assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
    }
}
