//! `tap`: standard input to standard output, and what passes by to the daemon.
//!
//! Copying is all that matters: one read, one write, and only then a look at the bytes, at the speed of memory as long
//! as they are of no interest. What came of them waits in [`Passing`], bounded, for a thread that tells the daemon; nothing
//! that this thread suffers from reaches the copy, and neither does a defect in understanding the bytes.
//! Read next: [`report`], which tells; [`crate::core::file::Stream`], which understands.

mod passing;
pub mod place;
pub mod report;

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::cmd::cli::Tap;
use crate::cmd::show;
use crate::control::transport;
use crate::core::file::Stream;
use crate::core::settings::Sources;
use crate::core::source::Agent;
use crate::error::{Exit, Failure};
use crate::io::clock;
use crate::io::homes;
use crate::io::paths::{self, Environment};
use place::RunFolders;
use report::Reporter;

pub use passing::Passing;

/// What the pipe that is read from may hold, in bytes.
#[cfg(target_os = "linux")]
const PIPE: usize = 256 << 10;

/// Copies everything. A problem with the daemon, the settings or the stream is not a failure.
///
/// # Errors
/// The input could not be read, or the output not be written.
pub fn run(command: &Tap, environment: &Environment, err: &mut dyn Write) -> Result<Exit, Failure> {
    let agent = command.agent;
    let unnamed = format!("tap-{}-{}", std::process::id(), clock::now().wall.as_second());
    let stream = Stream::new(agent, unnamed, None).in_homes(homes(environment));
    let passing = Arc::new(Passing::new(stream));
    let reporter = paths::state_dir(environment).ok().map(|state| {
        let environment = environment.clone();
        Reporter::start(move || transport::Address::of(&state, &environment), Arc::clone(&passing))
    });
    let (mut input, mut output) = standard_streams()?;
    // Rules of privacy go by the folder, and Codex does not tell its own.
    let place = || {
        let own = [std::env::current_dir().ok(), environment.path("PWD")].into_iter().flatten().collect();
        let printers = if command.cd.is_some() { Vec::new() } else { place::printers() };
        RunFolders::new(own, command.cd.as_deref(), &printers)
    };
    let copied = copy(&mut input, &mut output, &passing, place);
    drop((input, output));
    hang_up();
    let totals = passing.finish();
    if let Some(reporter) = reporter {
        reporter.finish();
    }
    match copied {
        Ok(()) => {}
        // Nobody reads any more: no word, as of any program in a pipe.
        Err(CopyError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(Exit::BrokenPipe);
        }
        Err(error) => return Err(Failure::new(error.to_string())),
    }
    if !command.quiet {
        let lines = if totals.is_empty() { vec![None] } else { totals };
        for total in lines {
            super::note(err, format_args!("{}\n", show::total_text(total.as_ref())));
        }
    }
    Ok(Exit::Done)
}

/// The home folders of agents that run in this environment, whatever the daemon's settings say.
fn homes(environment: &Environment) -> impl Iterator<Item = (Agent, Arc<str>)> {
    let sources = Sources::default();
    Agent::ALL.into_iter().filter_map(move |agent| {
        let folders = homes::folders(agent, sources.of(agent), environment);
        let home = folders.iter().find(|home| home.is_dir()).or(folders.first())?;
        Some((agent, Arc::from(home.to_string_lossy())))
    })
}

/// Closes both streams: the programs at both ends must not wait for the daemon.
fn hang_up() {
    #[cfg(unix)]
    if let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") {
        // Where that is refused, they end with the program.
        let _ = rustix::stdio::dup2_stdin(&nothing);
        let _ = rustix::stdio::dup2_stdout(&nothing);
    }
}

/// Both streams without the buffers of the standard library, which hold lines back.
fn standard_streams() -> Result<(File, File), Failure> {
    let failed = |error: io::Error| Failure::new(format!("could not use the standard streams: {error}"));
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;

        let input = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
        // More room in the pipe costs fewer turns between the two programs; where it is no pipe, nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&input, PIPE);
        Ok((input.into(), output.into()))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle;

        let input = io::stdin().as_handle().try_clone_to_owned().map_err(failed)?;
        let output = io::stdout().as_handle().try_clone_to_owned().map_err(failed)?;
        Ok((input.into(), output.into()))
    }
}

/// How much is read at once, in bytes: what stays in a core's own cache until it is looked at.
const BUFFER: usize = 128 << 10;

/// Why copying ended before the input did.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The input could not be read.
    #[error("could not read standard input: {0}")]
    Input(io::Error),
    /// The output could not be written.
    #[error("could not write standard output: {0}")]
    Output(io::Error),
}

/// Copies until the end of the input, and shows what it copied to `passing`. Where the run works is asked once, when
/// something has come.
///
/// # Errors
/// The input could not be read, or the output not be written.
pub fn copy(
    input: &mut impl Read,
    output: &mut impl Write,
    passing: &Passing,
    place: impl FnOnce() -> RunFolders,
) -> Result<(), CopyError> {
    let mut buffer = vec![0; BUFFER];
    let mut place = Some(place);
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Input(error)),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        output.write_all(bytes).and_then(|()| output.flush()).map_err(CopyError::Output)?;
        // Who prints is there for sure only now.
        if let Some(place) = place.take() {
            passing.set_place(place());
        }
        passing.show(bytes);
    }
}
