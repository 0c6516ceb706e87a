//! Errors for the user, and the exit codes.
//!
//! A [`Failure`] is for the person at the terminal: one message, hints, an exit code. An error that the program handles
//! itself has a type of its own, beside the code that handles it.

use std::fmt;
use std::process::ExitCode;

use crate::core::names::one_line;

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: the command line was not understood.
    Usage,
    /// 3: no daemon is running.
    NotRunning,
    /// 4: another instance keeps the lock.
    Held,
    /// 141: the reader of the output has gone. A shell reports this code for a program that SIGPIPE ended; Rust's
    /// runtime ignores that signal.
    BrokenPipe,
}

impl Exit {
    /// The number that a shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::Held => 4,
            Self::BrokenPipe => 141,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error for the user: what could not be done and why, what to do, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `could not … <what>: cause`; lowercase, no final stop.
    pub message: String,
    /// What to do, one line each.
    pub hints: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// A failure with exit code 1 and no hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), exit: Exit::Failed }
    }

    /// The same with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Failure {
    /// `error: …`, then a line `hint: …` for each hint; no final line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", one_line(&self.message))?;
        self.hints.iter().try_for_each(|hint| write!(f, "\nhint: {}", one_line(hint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_printed_with_its_hints() {
        let failure = Failure::new("could not stop the daemon: none is running")
            .hint("start it with `agent-presence run`")
            .hint("see `agent-presence status`")
            .exit(Exit::NotRunning);
        assert_eq!(
            failure.to_string(),
            "error: could not stop the daemon: none is running\n\
             hint: start it with `agent-presence run`\n\
             hint: see `agent-presence status`"
        );
        assert_eq!(failure.exit.code(), 3);
    }

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::NotRunning, Exit::Held];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4]);
    }
}
