//! `completions SHELL`: made from the types of the command line.

use std::io::Write;

use clap_complete::Shell;

use crate::cli;
use crate::error::{Exit, Failure};

/// Prints the completions of `shell`.
///
/// # Errors
/// The output could not be written.
pub fn run(shell: Shell, out: &mut dyn Write) -> Result<Exit, Failure> {
    // clap_complete panics where its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "agent-presence", &mut script);
    super::written(out.write_all(&script).and_then(|()| out.flush()))
}
