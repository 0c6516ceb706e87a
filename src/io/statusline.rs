//! The figures that Claude Code passes to its statusline command, on their way from the terminals to the daemon: one
//! small file per session.
//!
//! Claude Code runs the command in every terminal and kills it when it has newer figures. So a file is written
//! completely or not at all, no two terminals write the same one, and there is no lock to wait for. Each file has its
//! terminal's last figures; [`crate::core::limits`] combines them.
//! Read next: [`settings`], the entry in Claude Code's settings; [`crate::host::statusline`], the reader.

pub mod cached;
pub mod settings;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::limits::{Snapshot, Window};
use crate::core::settings::Sources;
use crate::core::source::Agent;
use crate::core::source::LimitsFact;
use crate::core::source_event::SourceEvent;
use crate::core::time::Now;
use crate::io::files;
use crate::io::folder::{Folder, OpenMode};
use crate::io::homes::{self, Home};
use crate::io::paths::{Environment, StateDir};
use crate::io::real_path::real;

pub use crate::core::source::claude::statusline::Statusline;

/// The agent of the command: no other one has it.
pub const AGENT: Agent = Agent::CLAUDE;

/// Its home folders.
pub fn homes(sources: &Sources, environment: &Environment) -> Vec<PathBuf> {
    homes::folders(AGENT, sources.of(AGENT), environment)
}

/// The folder in the state folder.
pub(crate) const FOLDER: &str = "statusline";

/// The file in the state folder with the replaced entries of Claude Code's settings.
const REPLACED: &str = "statusline.json";

/// How long files are kept: no window is longer than a week.
const MOST_AGE: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// Larger files are not this program's, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The last figures of one terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TerminalFigures {
    /// When they were first seen, for families of limits without a time of their own.
    observed_at: Timestamp,
    session: String,
    /// Claude Code's home folder, as the terminal spelled it.
    home: Option<String>,
    limits: Vec<LimitsFact>,
    /// The size of the session's context window in tokens.
    #[serde(default)]
    context_window: Option<u64>,
}

/// The entries in Claude Code's settings that this program replaced, by home folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedEntries {
    homes: BTreeMap<String, Option<String>>,
}

/// The folder of the terminals' files.
pub fn folder(state: &Path) -> PathBuf {
    state.join(FOLDER)
}

/// The home folder of the calling session: its transcript is in it.
pub fn home_of(line: &Statusline) -> Option<PathBuf> {
    let transcript = Path::new(line.transcript_path.as_deref()?);
    let projects = transcript.ancestors().find(|folder| folder.ends_with("projects"))?;
    projects.parent().map(Path::to_owned)
}

/// Stores the limits and the context window of one call, if they differ from its terminal's last ones.
///
/// # Errors
/// The system's error; the stored file is then unchanged.
pub fn store(state: &StateDir, line: &Statusline) -> io::Result<()> {
    if line.limits.is_empty() && line.context_window.is_none() {
        return Ok(());
    }
    let name = format!("{}.json", line.session_id);
    let others = folder(state.path());
    let known = read_file(&others.join(&name));
    let mut figures = TerminalFigures {
        observed_at: line.captured_at,
        session: line.session_id.clone(),
        home: home_of(line).map(|home| home.to_string_lossy().into_owned()),
        limits: line.limits.clone(),
        context_window: line.context_window,
    };
    if known.as_ref().is_none_or(|known| known.limits.is_empty()) {
        figures.start_from_other(&others);
    }
    if let Some(known) = &known {
        figures.merge(known);
    }
    if known.as_ref() == Some(&figures) {
        return Ok(());
    }
    let folder = make(state)?;
    if known.is_none() {
        prune(&folder, line.captured_at.into());
    }
    folder.put(&name, &serde_json::to_vec(&figures)?, true)
}

/// Creates the folder for its owner alone.
///
/// # Errors
/// The system's error.
pub fn make(state: &StateDir) -> io::Result<Folder> {
    state.folder().subfolder(FOLDER)
}

/// The stored figures of terminals of `homes` that may still be true, in the order of the sessions' ids.
pub fn read(state: &Path, homes: &[Home], now: Now) -> Vec<SourceEvent> {
    let homes: Vec<&Home> = homes.iter().filter(|home| home.agent == AGENT).collect();
    let figures = paths(&folder(state)).into_iter().filter_map(|path| read_file(&path));
    figures.flat_map(|figures| figures.events(&homes, now)).collect()
}

/// The terminals' files in the folder, in the order of the sessions' ids.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort_unstable();
    paths
}

/// Whether two terminals have the same limits.
fn is_same(one: &[LimitsFact], other: &[LimitsFact]) -> bool {
    let windows = |limits: &LimitsFact| -> Vec<Window> {
        limits.windows.iter().map(|window| Window { learnt_at: None, ..window.clone() }).collect()
    };
    let of = |limits: &LimitsFact| (limits.family.clone(), windows(limits));
    one.iter().map(of).eq(other.iter().map(of))
}

/// The replaced entries; none if the file is missing or damaged.
pub fn read_replaced(state: &Path) -> ReplacedEntries {
    let bytes = files::read(&state.join(REPLACED), LARGEST).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Stores the replaced entries.
///
/// # Errors
/// The system's error.
pub fn write_replaced(state: &StateDir, replaced: &ReplacedEntries) -> io::Result<()> {
    state.folder().put(REPLACED, &serde_json::to_vec_pretty(replaced)?, true)
}

impl ReplacedEntries {
    /// The replaced entry of `home`: `None` if the home is unknown, `Some(None)` if there was no entry.
    pub fn of(&self, home: &Path) -> Option<Option<&str>> {
        let real = real(home);
        let known = self.homes.iter().find(|(known, _)| self::real(Path::new(known)) == real);
        known.map(|(_, entry)| entry.as_deref())
    }

    /// Notes the replaced entry of `home`, as JSON.
    pub fn note(&mut self, home: &Path, entry: Option<String>) {
        self.forget(home);
        self.homes.insert(home.to_string_lossy().into_owned(), entry);
    }

    /// Removes the entry of `home`; returns whether there was one.
    pub fn forget(&mut self, home: &Path) -> bool {
        let (before, real) = (self.homes.len(), real(home));
        self.homes.retain(|known, _| self::real(Path::new(known)) != real);
        self.homes.len() < before
    }

    /// The replaced command of `home`; for an unknown home that of the only one.
    pub fn command(&self, home: Option<&Path>) -> Option<String> {
        let entry = match home.and_then(|home| self.of(home)) {
            Some(entry) => entry,
            None if self.homes.len() == 1 => self.homes.values().next().and_then(Option::as_deref),
            None => None,
        };
        settings::command_of(entry?)
    }
}

impl TerminalFigures {
    /// Merges with the last figures: a missing window does not clear a known one, and repeated figures keep the time at
    /// which they were first seen.
    fn merge(&mut self, known: &Self) {
        self.context_window = self.context_window.or(known.context_window);
        let of = |figures: &Self, limits: &LimitsFact| {
            limits.clone().report(AGENT, &"".into(), figures.observed_at, None)
        };
        let mut limits = known.limits.clone();
        for report in &self.limits {
            let Some(before) = limits.iter_mut().find(|known| known.family == report.family) else {
                limits.push(report.clone());
                continue;
            };
            let report = of(known, before).followed_by(&of(self, report));
            let Snapshot { family, name, plan, windows, observed_at, fell_at, .. } = report;
            let learnt_at = Some(observed_at);
            *before = LimitsFact { family, name, plan, windows, learnt_at, fell_at, ..LimitsFact::default() };
        }
        let learnt = limits.iter().filter_map(|limits| limits.learnt_at);
        self.observed_at = learnt.max().unwrap_or(known.observed_at);
        self.limits = limits;
    }

    /// A terminal that continues with another session, as after `/clear`, at first repeats the figures of the one
    /// before.
    fn start_from_other(&mut self, folder: &Path) {
        let is_same_terminal = |known: &Self| known.home == self.home && is_same(&known.limits, &self.limits);
        let others = paths(folder).into_iter().filter_map(|path| read_file(&path));
        if !self.limits.is_empty()
            && let Some(first) = others.filter(is_same_terminal).map(|known| known.observed_at).min()
        {
            self.observed_at = self.observed_at.min(first);
        }
        for limits in &mut self.limits {
            limits.learnt_at = Some(self.observed_at);
        }
    }

    fn events(self, homes: &[&Home], now: Now) -> Vec<SourceEvent> {
        let Self { observed_at, session, home, limits, context_window } = self;
        let Some(label) = label(homes, home.as_deref()) else { return Vec::new() };
        let current = |limits: LimitsFact| {
            limits.report(AGENT, &label, observed_at, Some(session.clone())).current(now)
        };
        let limits: Vec<_> = limits.into_iter().filter_map(current).map(SourceEvent::limits).collect();
        let window = context_window.map(|tokens| SourceEvent::Window { session, tokens });
        limits.into_iter().chain(window).collect()
    }
}

/// The label of a home. A terminal without a home belongs to the first one. The disk, which may be slow, is asked only
/// about a path that is no home's as it is written.
fn label(homes: &[&Home], named: Option<&str>) -> Option<Arc<str>> {
    let same = |named: &str| {
        let named = Path::new(named);
        let is_really = |home: &&&Home| real(&home.path) == real(named);
        homes.iter().find(|home| home.path == named).or_else(|| homes.iter().find(is_really))
    };
    named.map_or_else(|| homes.first(), same).map(|home| Arc::clone(&home.label))
}

fn read_file(path: &Path) -> Option<TerminalFigures> {
    serde_json::from_slice(&files::read(path, LARGEST).ok()?).ok()
}

/// Removes files of old sessions.
fn prune(folder: &Folder, now: SystemTime) {
    let names = folder.names().into_iter();
    for name in names {
        let metadata = folder.file(&name, OpenMode::Read).and_then(|file| file.metadata()).ok();
        let modified = metadata.and_then(|metadata| metadata.modified().ok());
        let age = modified.and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > MOST_AGE) {
            // Another terminal may have removed it.
            let _ = folder.remove_file(&name);
        }
    }
}
