//! The program: parse, run, print a failure with its hints, exit.

use std::io::Write;
use std::process::ExitCode;

use agent_presence::cmd::{self, cli};
use agent_presence::error::Exit;
use agent_presence::io::printed::{self, TerminalWriter};

/// The application id of a packager: from the build's environment, else from the file, which may be empty.
const BUILT_IN_APPLICATION_ID: &str = match option_env!("AGENT_PRESENCE_APPLICATION_ID") {
    Some(id) if !id.is_empty() => id,
    _ => include_str!("../packaging/application-id"),
};

fn main() -> ExitCode {
    let invocation = match cli::parse() {
        Ok(invocation) => invocation,
        Err(exit) => return exit.into(),
    };
    let ended =
        cmd::run(&invocation, BUILT_IN_APPLICATION_ID).and_then(|exit| match std::io::stdout().flush() {
            // Output that is still in the buffer belongs to the command's result.
            Err(error) if exit == Exit::Done => printed::written(Err(error)),
            _ => Ok(exit),
        });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            printed::note(&mut TerminalWriter::new(std::io::stderr()), format_args!("{failure}\n"));
            failure.exit.into()
        }
    }
}
