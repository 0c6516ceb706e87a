//! `config path | show | check | init`: the settings file for people and scripts.
//!
//! Only `init` writes, and only where there is no file.

use std::fs;
use std::io::{ErrorKind, Write};

use crate::cmd::cli::Config;
use crate::core::config::{self, ConfigContext, Effective, Issue, Severity};
use crate::error::{Exit, Failure};
use crate::io::config_file::{Chosen, ConfigFile};
use crate::io::paths::spare_others;

/// Runs one of the commands on `file`. Data goes to `out`, remarks to `err`.
///
/// # Errors
/// The file or the output could not be written, or `--config` names no file.
pub fn run(
    command: &Config,
    file: &ConfigFile,
    context: &ConfigContext,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    match command {
        Config::Path => super::written(writeln!(out, "{}", file.path.display())),
        Config::Show => {
            let effective = read(file, context)?;
            report(&effective, file, err);
            super::written(out.write_all(effective.shown().as_bytes()))
        }
        Config::Check => check(file, context, out, err),
        Config::Init => init(file, out),
    }
}

/// Prints what is wrong; exit code 1 if anything is.
///
/// # Errors
/// The output could not be written, or `--config` names no file.
pub fn check(
    file: &ConfigFile,
    context: &ConfigContext,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let effective = read(file, context)?;
    if !effective.issues.is_empty() {
        report(&effective, file, err);
        return Ok(Exit::Failed);
    }
    let path = file.path.display();
    let line = match file.path.exists() {
        true => format!("{path}: no problems"),
        false => format!("{path}: no such file, the defaults are used"),
    };
    let written = super::written(writeln!(out, "{line}"));
    if let Some(missing) = config::missing_application_id(&effective.settings) {
        super::note(err, issue_line(&missing, "note", file));
    }
    written
}

/// Writes a file with every setting as a comment, and prints where.
///
/// # Errors
/// There is a file already, or it could not be written.
pub fn init(file: &ConfigFile, out: &mut dyn Write) -> Result<Exit, Failure> {
    spare_others("", &file.path)?;
    let path = file.path.display();
    if let Some(folder) = file.path.parent() {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("could not create {}: {error}", folder.display())))?;
    }
    let failure = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(format!("could not write {path}: there is a file already"))
            .hint("see what is in effect with `agent-presence config show`"),
        _ => Failure::new(format!("could not write {path}: {error}")),
    };
    let mut created =
        fs::OpenOptions::new().write(true).create_new(true).open(&file.path).map_err(failure)?;
    if let Err(error) = created.write_all(config::commented().as_bytes()) {
        // A partly written file would block the next try.
        let _ = fs::remove_file(&file.path);
        return Err(failure(error));
    }
    super::written(writeln!(out, "{path}"))
}

fn read(file: &ConfigFile, context: &ConfigContext) -> Result<Effective, Failure> {
    if file.chosen == Chosen::Named && !file.path.exists() {
        let path = file.path.display();
        return Err(Failure::new(format!("could not read {path}: there is no such file"))
            .hint(format!("write one with `agent-presence config init --config {path}`")));
    }
    Ok(file.read(context))
}

/// Prints each issue of the file to `err`, with its hint on the line below.
pub fn report(effective: &Effective, file: &ConfigFile, err: &mut dyn Write) {
    let mut text = String::new();
    for issue in &effective.issues {
        let severity = match issue.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        text.push_str(&issue_line(issue, severity, file));
    }
    super::note(err, text);
}

fn issue_line(issue: &Issue, severity: &str, file: &ConfigFile) -> String {
    format!("{severity}: {}\n", file.describe(issue))
}
