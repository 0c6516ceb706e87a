//! `replay`: what would have been shown for recorded session files.

use std::io::Write;

use jiff::tz::TimeZone;

use crate::cli::Replay;
use crate::core::report::Event;
use crate::core::settings::Settings;
use crate::error::{Exit, Failure};
use crate::{replay, show};

/// Replays the files and folders given; what could not be read goes to `err`, and the exit code tells of it.
///
/// # Errors
/// The output could not be written.
pub fn run(
    command: &Replay,
    settings: Settings,
    zone: &TimeZone,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut written = Ok(());
    let problems = replay::replay(&command.paths, settings, zone.clone(), &mut |event| {
        if written.is_ok() {
            written = print(&event, command.json, zone, out);
        }
    });
    for problem in &problems {
        let mut failure =
            Failure::new(format!("could not replay {}: {}", problem.path.display(), problem.reason));
        failure.hints.extend(problem.hint.clone());
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(err, "{failure}");
    }
    super::written(written.and_then(|()| out.flush()))?;
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn print(event: &Event, json: bool, zone: &TimeZone, out: &mut dyn Write) -> std::io::Result<()> {
    if json && !event.is_printed() {
        return Ok(());
    }
    if json {
        serde_json::to_writer(&mut *out, event)?;
        return out.write_all(b"\n");
    }
    show::event(event, zone).map_or(Ok(()), |text| out.write_all(text.as_bytes()))
}
