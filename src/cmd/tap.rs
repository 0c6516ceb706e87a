//! `tap`: copies standard input to standard output, and sends the usage in it to the daemon.
//!
//! Copying comes first: one read, one write, and only then the bytes are parsed. Parsed updates wait in
//! [`UpdateQueue`], which is bounded, for a thread that sends them to the daemon. Neither a failure of that thread nor
//! a panic of the parser reaches the copy.
//! Read next: [`report`], which sends; [`crate::core::file::Stream`], which parses.

pub mod place;
mod queue;
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

pub use queue::UpdateQueue;

/// The size of the input pipe, in bytes.
#[cfg(target_os = "linux")]
const PIPE: usize = 256 << 10;

/// Copies everything. A problem with the daemon, the settings or the stream is not a failure.
///
/// # Errors
/// The input could not be read, or the output could not be written.
pub fn run(command: &Tap, environment: &Environment, err: &mut dyn Write) -> Result<Exit, Failure> {
    let agent = command.agent;
    let unnamed = format!("tap-{}-{}", std::process::id(), clock::now().wall.as_second());
    let stream = Stream::new(agent, unnamed, None).in_homes(homes(environment));
    let queue = Arc::new(UpdateQueue::new(stream));
    let reporter = paths::state_dir(environment).ok().map(|state| {
        let environment = environment.clone();
        Reporter::start(move || transport::Address::of(&state, &environment), Arc::clone(&queue))
    });
    let (mut input, mut output) = standard_streams()?;
    // Privacy rules depend on the folder, and Codex's stream does not have it.
    let place = || {
        let own = [std::env::current_dir().ok(), environment.path("PWD")].into_iter().flatten().collect();
        let printers = if command.cd.is_some() { Vec::new() } else { place::printers() };
        RunFolders::new(own, command.cd.as_deref(), &printers)
    };
    let copied = copy(&mut input, &mut output, &queue, place);
    drop((input, output));
    hang_up();
    let totals = queue.finish();
    if let Some(reporter) = reporter {
        reporter.finish();
    }
    match copied {
        Ok(()) => {}
        // The reader has gone: no message, as for any program in a pipe.
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

/// The agents' homes in this environment. The daemon's settings are not used.
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
        // If that fails, the streams close when the program ends.
        let _ = rustix::stdio::dup2_stdin(&nothing);
        let _ = rustix::stdio::dup2_stdout(&nothing);
    }
}

/// Both streams without the standard library's buffers, which delay lines.
fn standard_streams() -> Result<(File, File), Failure> {
    let failed = |error: io::Error| Failure::new(format!("could not use the standard streams: {error}"));
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;

        let input = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
        // A larger pipe costs fewer switches between the two programs. If the input is not a pipe, the call fails
        // harmlessly.
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

/// How much is read at once, in bytes: small enough to stay in a core's cache until it is parsed.
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

/// Copies until the end of the input, and passes the copied bytes to `queue`. Calls `place`, the folder of the run,
/// once after the first bytes.
///
/// # Errors
/// The input could not be read, or the output could not be written.
pub fn copy(
    input: &mut impl Read,
    output: &mut impl Write,
    queue: &UpdateQueue,
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
        // Only now the printing program certainly runs.
        if let Some(place) = place.take() {
            queue.set_place(place());
        }
        queue.show(bytes);
    }
}
