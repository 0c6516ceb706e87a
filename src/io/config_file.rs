//! The settings file on disk: which one it is, and reading it. Nothing here writes to it.
//!
//! A file that cannot be read is an issue like any other, so that `status` names it and the daemon continues.
//! Read next: [`crate::core::config`], the parser.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::config::{ConfigContext, Effective, Issue, Severity, missing_application_id};
use crate::core::names::one_line;
use crate::core::report::ConfigReport;
use crate::core::settings::Settings;
use crate::error::Failure;
use crate::io::files;
use crate::io::paths::{self, Environment};

/// Larger files are not settings, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// How long reading a pipe may take, if one was named instead of a file.
const PIPE_TIMEOUT: Duration = Duration::from_secs(1);

/// How the file was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// By the user, with `--config` or in the environment: it has to exist.
    Named,
    /// By the platform's default: it may be missing.
    Default,
}

/// The settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path; the file may not exist.
    pub path: PathBuf,
    /// How it was chosen.
    pub chosen: Chosen,
}

impl ConfigFile {
    /// The path of `flag` (from `--config`), else of the environment, else in the platform's folder.
    ///
    /// # Errors
    /// There is no home folder.
    pub fn locate(flag: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        match flag {
            Some(path) => {
                // An absolute path stays right for a daemon that reads it again later.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                Ok(Self { path, chosen: Chosen::Named })
            }
            None => {
                let is_named = paths::named_config(environment).is_some();
                let chosen = if is_named { Chosen::Named } else { Chosen::Default };
                Ok(Self { path: paths::config_file(environment)?, chosen })
            }
        }
    }

    /// Reads the file. A missing one gives the defaults; it is an issue if it was named or is behind a link.
    pub fn read(&self, context: &ConfigContext) -> Effective {
        let bytes = match self.bytes() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => match (self.chosen, self.broken_link()) {
                (_, Some(link)) => {
                    let link = link.display();
                    return unreadable(
                        None,
                        format!("could not read it: {link} is a link to nothing"),
                        context,
                    );
                }
                (Chosen::Named, None) => {
                    return unreadable(None, format!("could not read it: {error}"), context);
                }
                (Chosen::Default, None) => Vec::new(),
            },
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                return unreadable(None, error.to_string(), context);
            }
            Err(error) => return unreadable(None, format!("could not read it: {error}"), context),
        };
        if is_utf16(&bytes) {
            let mut effective = unreadable(None, "it is UTF-16, not UTF-8".to_owned(), context);
            let hint = "save it as UTF-8: \"Encoding\" in Notepad's \"Save as\", `Set-Content -Encoding utf8` in PowerShell";
            if let Some(issue) = effective.issues.first_mut() {
                issue.hint = Some(hint.to_owned());
            }
            return effective;
        }
        match str::from_utf8(&bytes) {
            Ok(text) => Effective::read(text, context),
            Err(error) => {
                let before = bytes.iter().take(error.valid_up_to());
                let line = before.filter(|byte| **byte == b'\n').count() + 1;
                unreadable(Some(line), "not valid UTF-8".to_owned(), context)
            }
        }
    }

    /// An issue with its place: `/path/config.toml:3:1: card.idle_after: expected …`, and its hint on a line of its
    /// own.
    pub fn describe(&self, issue: &Issue) -> String {
        let path = self.path.display().to_string();
        let path = one_line(&path);
        let place = match (issue.line, issue.column, &issue.key) {
            (Some(line), Some(column), _) => format!("{path}:{line}:{column}: "),
            (Some(line), None, _) => format!("{path}:{line}: "),
            // An issue outside the file has only its key.
            (None, _, Some(_)) => String::new(),
            (None, _, None) => format!("{path}: "),
        };
        let key = issue.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
        let hint = issue.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("{place}{key}{}{hint}", issue.message)
    }

    /// The file and its issues, for `status`. If the settings in force are given, a missing application id is an issue
    /// too.
    pub fn report(&self, effective: &Effective, in_force: Option<&Settings>) -> ConfigReport {
        let missing = in_force.and_then(missing_application_id);
        let issues = effective.issues.iter().chain(&missing).map(|issue| self.describe(issue));
        ConfigReport { path: Some(self.path.display().to_string()), issues: issues.collect() }
    }

    /// The link on the file's path that leads to nothing.
    fn broken_link(&self) -> Option<&Path> {
        let is_broken = |path: &&Path| path.is_symlink() && !path.exists();
        self.path.ancestors().find(is_broken)
    }

    fn bytes(&self) -> std::io::Result<Vec<u8>> {
        files::read_or_await(&self.path, LARGEST, PIPE_TIMEOUT)
    }
}

/// The inputs of reading other than the file, from the environment and the build.
///
/// `built_in_application_id` is the build's; blank means none.
pub fn context(environment: &Environment, built_in_application_id: Option<&str>) -> ConfigContext {
    ConfigContext {
        home: environment.home().map(Path::to_owned),
        variables: environment.texts(),
        environment_application_id: environment.text("AGENT_PRESENCE_APPLICATION_ID").map(str::to_owned),
        environment_log: environment.text("RUST_LOG").map(str::to_owned),
        built_in_application_id: built_in_application_id.map(str::to_owned),
    }
}

/// Whether the bytes are a text in UTF-16, as older Windows programs write it: with its mark, or with every other byte
/// zero, which UTF-8 never has.
fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [one, two, ..] => (*one == 0) != (*two == 0),
        _ => false,
    }
}

fn unreadable(line: Option<usize>, message: String, context: &ConfigContext) -> Effective {
    let mut effective = Effective::read("", context);
    let hint = "settings are a text file in UTF-8 of at most 1 MB".to_owned();
    let issue = Issue {
        line,
        column: None,
        key: None,
        severity: Severity::Error,
        message,
        hint: Some(hint),
        withholds: false,
    };
    effective.issues.insert(0, issue);
    effective
}
