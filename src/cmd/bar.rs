//! `bar`: one line for a status bar, once or whenever it changes.

use std::io::Write;

use jiff::tz::TimeZone;

use super::status::ask_daemon;
use crate::cmd::cli::{Bar, BarFormat};
use crate::cmd::show::{self, BarForm, BarLook};
use crate::cmd::watch::reader;
use crate::cmd::watch::reports::{News, Reports};
use crate::control::client::block_on;
use crate::error::{Exit, Failure};
use crate::host::Places;

/// Prints the line; with `--follow` again whenever it changes, until its reader has gone.
///
/// # Errors
/// The output could not be written, or the system refused something basic.
pub fn run(command: &Bar, places: Places, colour: bool, out: &mut dyn Write) -> Result<Exit, Failure> {
    let form = match command.format {
        BarFormat::Plain => BarForm::Plain,
        BarFormat::Waybar => BarForm::Waybar,
        BarFormat::I3blocks => BarForm::I3blocks,
        BarFormat::Tmux => BarForm::Tmux,
        BarFormat::Json => BarForm::Json,
    };
    let look = BarLook { form, template: command.template.clone(), agent: command.agent, colour };
    if !command.follow {
        let report = ask_daemon(&places)?.unwrap_or_else(|daemon| places.status(daemon));
        return super::written(out.write_all(show::bar(&report, &look, &places.zone).as_bytes()));
    }
    block_on(async {
        let zone = places.zone.clone();
        tokio::select! {
            biased;
            () = reader::gone() => Ok(Exit::Done),
            result = follow(Reports::start(places), &look, &zone, out) => super::written(result),
        }
    })?
}

async fn follow(
    mut reports: Reports,
    look: &BarLook,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut printed = String::new();
    loop {
        let News::Report(Some(report)) = reports.next().await else { continue };
        // Before all files are read, a session would seem to be gone.
        if report.reading {
            continue;
        }
        let line = show::bar(&report, look, zone);
        if line != printed {
            out.write_all(line.as_bytes())?;
            out.flush()?;
            printed = line;
        }
    }
}
