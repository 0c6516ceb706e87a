//! `status` and `preview`: what is shown now, without a word to Discord and without changing anything.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::config_file::ConfigFile;
use crate::core::config::{Effective, missing_application_id};
use crate::core::engine::{Engine, Input};
use crate::core::file::SessionFile;
use crate::core::publish::Publisher;
use crate::core::report::{CardReport, ConfigReport, DaemonReport, StatusReport};
use crate::daemon::clock;
use crate::daemon::intake::{self, Home, IntakeConfig};
use crate::daemon::state::{self, DaemonState};
use crate::error::{Exit, Failure};
use crate::instance::{Holding, held_by_another};
use crate::show;

/// Where everything is that a report is made of.
#[derive(Debug)]
pub struct Places<'a> {
    /// The settings file.
    pub config: &'a ConfigFile,
    /// What it says.
    pub effective: &'a Effective,
    /// The agents' homes.
    pub homes: Vec<Home>,
    /// The state folder, whether or not it exists.
    pub state: &'a Path,
    /// The user's time zone.
    pub zone: &'a TimeZone,
}

/// Prints the status report.
///
/// # Errors
/// The output could not be written.
pub fn status(places: Places<'_>, json: bool, out: &mut dyn Write) -> Result<Exit, Failure> {
    let zone = places.zone;
    let report = report(places);
    super::written(if json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        out.write_all(show::status(&report, zone).as_bytes())
    })
}

/// Draws the card as friends will see it.
///
/// # Errors
/// The output could not be written.
pub fn preview(places: Places<'_>, out: &mut dyn Write) -> Result<Exit, Failure> {
    let report = report(places);
    super::written(match &report.card {
        Some(card) => out.write_all(show::preview(card, report.now).as_bytes()),
        None => {
            writeln!(out, "no card: no session is active\nhint: see one with `agent-presence run --demo`")
        }
    })
}

/// Reads the session files once, by the same engine as the daemon.
fn report(places: Places<'_>) -> StatusReport {
    let now = clock::now();
    let settings = places.effective.settings.clone();
    let publisher = Publisher::new(0, &settings);
    let mut engine = Engine::new(settings.clone(), places.zone.clone(), publisher);
    engine.handle(now, Input::Remembered(state::read_limits(places.state)));
    let (sender, events) = std::sync::mpsc::channel();
    let config = IntakeConfig::new(places.homes, Arc::new(clock::now));
    intake::read_once::<SessionFile>(config, move |event| match sender.send(event) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    });
    for event in events {
        engine.handle(now, Input::Source(event));
    }
    let DaemonState { daemon, links } = daemon(places.state);
    let mut issues: Vec<String> =
        places.effective.issues.iter().map(|issue| places.config.describe(issue)).collect();
    issues.extend(missing_application_id(&settings).map(|issue| places.config.describe(&issue)));
    issues.extend(engine.problems().map(str::to_owned));
    StatusReport {
        schema: 1,
        version: env!("CARGO_PKG_VERSION"),
        now: now.wall,
        daemon,
        card: engine.card().map(|card| CardReport::from(card.as_ref())),
        sessions: engine.sessions_report(now),
        limits: engine.limits_report(now),
        links,
        config: ConfigReport { path: Some(places.config.path.display().to_string()), issues },
        skipped: engine.skipped(),
    }
}

/// What the daemon last said of itself, if it is running.
fn daemon(state: &Path) -> DaemonState {
    let nobody = || DaemonState { daemon: DaemonReport::not_running(), links: Vec::new() };
    match held_by_another(state) {
        Holding::Held => state::read_daemon(state).unwrap_or_else(|| DaemonState {
            daemon: DaemonReport { state: "running".to_owned(), ..DaemonReport::not_running() },
            links: Vec::new(),
        }),
        Holding::Free | Holding::Unknown => nobody(),
    }
}
