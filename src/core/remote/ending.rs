//! Decides from the end of a remote's command whether a retry helps or the user has to fix something.

use crate::names::{shortened, visible};

/// The error for a program that cannot serve another machine.
pub(super) const TOO_OLD: &str = concat!(
    "the agent-presence there sends no hello: agent-presence ",
    env!("CARGO_PKG_VERSION"),
    " or later is needed there, and --alive in the command"
);

/// The exit codes of shells, `ssh` and `docker` for a program that is missing or may not be started.
const NOT_FOUND: i32 = 127;
const NOT_STARTED: i32 = 126;
/// This program's exit code for an unknown argument.
const USAGE: i32 = 2;

/// Error texts after which a retry does not help.
const UNTIL_FIXED: [&str; 6] = [
    "permission denied",
    "host key verification failed",
    "command not found",
    "executable file not found",
    "is not recognized",
    "no such file or directory",
];

/// The end of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Its exit code; `None` if a signal ended it, or if it was never started.
    pub code: Option<i32>,
    /// Why it could not be started.
    pub not_started: Option<String>,
    /// The last line of its standard error.
    pub last_line: String,
}

impl Ending {
    /// Whether the user has to fix something before a retry can succeed.
    pub(super) fn needs_a_fix(&self) -> bool {
        let last_line = self.last_line.to_lowercase();
        self.not_started.is_some()
            || [Some(NOT_FOUND), Some(NOT_STARTED), Some(USAGE)].contains(&self.code)
            || UNTIL_FIXED.iter().any(|words| last_line.contains(words))
    }

    /// The error as one harmless line.
    pub(super) fn text(&self) -> String {
        let last_line = shortened(&visible(&self.last_line), 160);
        let is_too_old = last_line.contains("--alive") || last_line.contains("unrecognized subcommand");
        match (&self.not_started, self.code) {
            (Some(why), _) => format!("could not start the command: {why}"),
            (None, Some(USAGE)) if is_too_old => TOO_OLD.to_owned(),
            (None, Some(0)) if last_line.is_empty() => "the command ended".to_owned(),
            (None, Some(code)) if last_line.is_empty() => format!("the command ended with code {code}"),
            (None, None) if last_line.is_empty() => "the command was ended by a signal".to_owned(),
            (None, _) => last_line,
        }
    }
}
