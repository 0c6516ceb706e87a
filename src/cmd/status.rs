//! `status` and `preview`: print what is shown now, without a connection to Discord and without changing anything.

use std::io::Write;
use std::path::Path;

use crate::cmd::show;
use crate::control::Verb;
use crate::control::client::{self, Contact};
use crate::core::report::{DaemonReport, StatusReport};
use crate::error::{Exit, Failure};
use crate::host::Places;
use crate::io::instance;

/// Prints the status report of the running daemon; without one, that of the session files.
///
/// # Errors
/// The output could not be written, or the system refused something basic.
pub fn status(places: &Places, json: bool, out: &mut dyn Write) -> Result<Exit, Failure> {
    let report = ask_daemon(places)?.unwrap_or_else(|daemon| places.status(daemon));
    super::written(if json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        out.write_all(show::status(&report, &places.zone).as_bytes())
    })
}

/// Prints the card as friends will see it: the running daemon's, or, if this command has another settings file, the one
/// of these settings.
///
/// # Errors
/// The output could not be written, or the system refused something basic.
pub fn preview(places: &Places, out: &mut dyn Write) -> Result<Exit, Failure> {
    let seen_on_hover = places.effective.settings.large_image().is_some();
    let path = Some(places.config.path.display().to_string());
    let report = match ask_daemon(places)? {
        Ok(report) if report.config.path == path => report,
        Ok(report) => places.status(report.daemon),
        Err(daemon) => places.status(daemon),
    };
    super::written(out.write_all(show::preview(&report, seen_on_hover).as_bytes()))
}

/// The running daemon's report; without one, the daemon's state.
pub(super) fn ask_daemon(places: &Places) -> Result<Result<StatusReport, DaemonReport>, Failure> {
    Ok(match client::ask_daemon(&places.state, &places.environment, &Verb::Status)? {
        Contact::Reply(reply) => {
            reply.status.map(|report| *report).ok_or_else(|| unresponsive(&places.state))
        }
        Contact::Unresponsive(_) => Err(unresponsive(&places.state)),
        Contact::NotRunning => Err(DaemonReport::not_running()),
    })
}

/// The state of a daemon that holds the lock and does not answer, with the process id of its record.
fn unresponsive(state: &Path) -> DaemonReport {
    let record = instance::read_record(state);
    DaemonReport {
        state: "unresponsive".to_owned(),
        pid: record.as_ref().map(|record| record.pid),
        version: record.map(|record| record.version),
        ..DaemonReport::not_running()
    }
}
