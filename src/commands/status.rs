//! `status` and `preview`: what is shown now, without a word to Discord and without changing anything.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::clock;
use crate::config_file::ConfigFile;
use crate::control::Verb;
use crate::control::client::{self, Found};
use crate::core::config::Effective;
use crate::core::engine::{Engine, Input, Output};
use crate::core::publish::Publisher;
use crate::core::report::{DaemonReport, StatusReport};
use crate::error::{Exit, Failure};
use crate::homes::Home;
use crate::host::state;
use crate::instance::Record;
use crate::intake::{self, IntakeConfig};
use crate::paths::Environment;
use crate::real_path;
use crate::show;
use crate::statusline;

/// Where everything is that a report is made of.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    /// The settings file.
    pub config: &'a ConfigFile,
    /// What it says.
    pub effective: &'a Effective,
    /// The agents' homes.
    pub homes: Vec<Home>,
    /// The state folder, whether or not it exists.
    pub state: &'a Path,
    /// The process's environment.
    pub environment: &'a Environment,
    /// The user's time zone.
    pub zone: &'a TimeZone,
}

/// Prints the status report: the running daemon's, or what is in the files.
///
/// # Errors
/// The output could not be written, or the system refused something basic.
pub fn status(places: Places<'_>, json: bool, out: &mut dyn Write) -> Result<Exit, Failure> {
    let zone = places.zone;
    let report = asked(&places)?.unwrap_or_else(|daemon| from_files(places, daemon));
    super::written(if json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        out.write_all(show::status(&report, zone).as_bytes())
    })
}

/// Draws the card as friends will see it: the running daemon's, unless it was asked for with other settings than those
/// that are in force there.
///
/// # Errors
/// The output could not be written, or the system refused something basic.
pub fn preview(places: Places<'_>, out: &mut dyn Write) -> Result<Exit, Failure> {
    let seen_on_hover = !places.effective.settings.discord.large_image.is_empty();
    let path = Some(places.config.path.display().to_string());
    let report = match asked(&places)? {
        Ok(report) if report.config.path == path => report,
        Ok(report) => from_files(places, report.daemon),
        Err(daemon) => from_files(places, daemon),
    };
    super::written(out.write_all(show::preview(&report, seen_on_hover).as_bytes()))
}

/// The running daemon's report, or why there is none.
fn asked(places: &Places<'_>) -> Result<Result<StatusReport, DaemonReport>, Failure> {
    Ok(match client::ask_daemon(places.state, places.environment, &Verb::Status)? {
        Found::Reply(reply) => reply.status.map(|report| *report).ok_or_else(|| unresponsive(places.state)),
        Found::Unresponsive(_) => Err(unresponsive(places.state)),
        Found::Nobody => Err(DaemonReport::not_running()),
    })
}

/// Reads the session files once, by the same engine as the daemon.
pub(crate) fn from_files(places: Places<'_>, daemon: DaemonReport) -> StatusReport {
    let now = clock::now();
    let settings = places.effective.cautious();
    let publisher = Publisher::new(0, &settings);
    let mut engine = Engine::new(settings, places.zone.clone(), publisher);
    engine.handle(now, Input::Remembered(state::read_limits(places.state)));
    let cached = statusline::cached::places(&places.homes, places.environment);
    let cached = cached.iter().flat_map(|place| place.read(now));
    for event in statusline::read(places.state, &places.homes, now).into_iter().chain(cached) {
        engine.handle(now, Input::Source(event));
    }
    let (sender, events) = std::sync::mpsc::channel();
    let config = IntakeConfig::new(places.homes, Arc::new(clock::now));
    intake::read_once(config, move |event| match sender.send(event) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    });
    for event in events {
        engine.handle(now, Input::Source(event));
    }
    let paused_until = state::read_pause(places.state).filter(|until| *until > now.wall);
    if let Some(until) = paused_until {
        engine.handle(now, Input::Pause(until));
    }
    while let Some(output) = engine.poll_output(now) {
        if let Output::Locate(question) = output {
            engine.handle(now, Input::Located(real_path::locate(&question)));
        }
    }
    let daemon = DaemonReport { paused_until, ..daemon };
    // Where the file cannot be read, it is not known whether there is an application id in it.
    let in_force = (!places.effective.may_show_too_much()).then_some(&places.effective.settings);
    engine.status(now, daemon, places.config.report(places.effective, in_force))
}

/// A daemon that holds the lock and does not answer; the record says who it is.
fn unresponsive(state: &Path) -> DaemonReport {
    let record = Record::read(state);
    DaemonReport {
        state: "unresponsive".to_owned(),
        pid: record.as_ref().map(|record| record.pid),
        version: record.map(|record| record.version),
        ..DaemonReport::not_running()
    }
}
