//! `doctor`: prints what is wrong and how to fix it.
//!
//! Read next: `gather`, which collects the facts; [`crate::core::doctor`], which judges them.

mod gather;
mod remotes;

use std::io::Write;

use serde::Serialize;

use crate::core::doctor::{Check, checks, is_healthy};
use crate::error::{Exit, Failure};
use crate::host::Places;

/// The JSON object of `doctor --json`.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    version: &'static str,
    ok: bool,
    checks: &'a [Check],
}

/// Prints every check; exit code 1 if anything has to be fixed.
///
/// # Errors
/// The output could not be written, or the system refused something basic.
pub fn run(places: &Places, json: bool, out: &mut dyn Write) -> Result<Exit, Failure> {
    let checks = run_checks(places)?;
    let ok = is_healthy(&checks);
    super::written(if json {
        let report = Report { schema: 1, version: env!("CARGO_PKG_VERSION"), ok, checks: &checks };
        serde_json::to_writer_pretty(&mut *out, &report).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        out.write_all(text(&checks).as_bytes())
    })?;
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

/// Collects the facts and judges them.
///
/// # Errors
/// The system refused something basic.
pub(super) fn run_checks(places: &Places) -> Result<Vec<Check>, Failure> {
    Ok(checks(&gather::gather(places)?))
}

/// One line for each check, its hint below it.
fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for Check { name, state, message, hint } in checks {
        text.push_str(&format!("{:<8} {name}: {message}\n", state.word()));
        text.extend(hint.iter().map(|hint| format!("         hint: {hint}\n")));
    }
    text
}
