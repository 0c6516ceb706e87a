//! What each command does. Data goes to the writer that is passed in; everything else is the caller's to print.

pub mod autostart;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod man;
pub mod operate;
pub mod replay;
pub mod run;
pub mod setup;
pub mod status;
pub mod statusline;
pub mod tap;
pub mod watch;

use std::io;

use crate::error::{Exit, Failure};

/// The end of a command that only writes: a reader that went away (`| head`) is no failure.
pub(crate) fn written(result: io::Result<()>) -> Result<Exit, Failure> {
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::new(format!("could not write the output: {error}"))),
    }
}
