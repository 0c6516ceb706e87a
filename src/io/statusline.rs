//! What Claude Code tells its statusline command, from the terminals to the daemon: one small file per session.
//!
//! Claude Code runs the command in every terminal and kills it when it has something newer to say. So a file is written
//! whole or not at all, no two terminals write the same one, and nobody waits for a lock. Each says what its terminal
//! heard last; what they say together is the business of [`crate::core::limits`].
//! Read next: [`settings`], the entry in Claude Code's settings; [`crate::host::statusline`], who listens.

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
use crate::io::folder::{Folder, Use};
use crate::io::homes::{self, Home};
use crate::io::paths::{Environment, StateDir};
use crate::io::real_path::real;

pub use crate::core::source::claude::statusline::Statusline;

/// Whose command it is: no other agent has one.
pub const AGENT: Agent = Agent::CLAUDE;

/// Its home folders.
pub fn homes(sources: &Sources, environment: &Environment) -> Vec<PathBuf> {
    homes::folders(AGENT, sources.of(AGENT), environment)
}

/// The folder in the state folder.
pub(crate) const FOLDER: &str = "statusline";

/// What stood in Claude Code's settings before, in the state folder.
const REPLACED: &str = "statusline.json";

/// No window is longer than a week, so older files say nothing.
const KEPT_FOR: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// Larger files are not ours.
const LARGEST: u64 = 64 * 1024;

/// What one terminal said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// When it said this first, where a family of limits does not say so itself.
    observed_at: Timestamp,
    session: String,
    /// Claude Code's home folder, as the terminal spelled it.
    home: Option<String>,
    limits: Vec<LimitsFact>,
    /// The size of the session's context window in tokens.
    #[serde(default)]
    context_window: Option<u64>,
}

/// The entries in Claude Code's settings that this program took the place of, by home folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    homes: BTreeMap<String, Option<String>>,
}

/// Where the files of the terminals are.
pub fn folder(state: &Path) -> PathBuf {
    state.join(FOLDER)
}

/// The home folder of the session that called: its transcript is in it.
pub fn home_of(line: &Statusline) -> Option<PathBuf> {
    let transcript = Path::new(line.transcript_path.as_deref()?);
    let projects = transcript.ancestors().find(|folder| folder.ends_with("projects"))?;
    projects.parent().map(Path::to_owned)
}

/// Keeps the limits and the context window of one call, if they are not what its terminal told before.
///
/// # Errors
/// Whatever the system says; what was kept before is then untouched.
pub fn keep(state: &StateDir, line: &Statusline) -> io::Result<()> {
    if line.limits.is_empty() && line.context_window.is_none() {
        return Ok(());
    }
    let name = format!("{}.json", line.session_id);
    let others = folder(state.path());
    let known = read_file(&others.join(&name));
    let mut kept = Kept {
        observed_at: line.captured_at,
        session: line.session_id.clone(),
        home: home_of(line).map(|home| home.to_string_lossy().into_owned()),
        limits: line.limits.clone(),
        context_window: line.context_window,
    };
    if known.as_ref().is_none_or(|known| known.limits.is_empty()) {
        kept.begin(&others);
    }
    if let Some(known) = &known {
        kept.follow(known);
    }
    if known.as_ref() == Some(&kept) {
        return Ok(());
    }
    let folder = make(state)?;
    if known.is_none() {
        prune(&folder, line.captured_at.into());
    }
    folder.put(&name, &serde_json::to_vec(&kept)?, true)
}

/// Makes the folder for its owner alone.
///
/// # Errors
/// Whatever the system says.
pub fn make(state: &StateDir) -> io::Result<Folder> {
    state.folder().subfolder(FOLDER)
}

/// Everything that terminals of `homes` have said and that may still be true, in the order of the sessions' ids.
pub fn read(state: &Path, homes: &[Home], now: Now) -> Vec<SourceEvent> {
    let homes = RealHomes::of(homes);
    let kept = paths(&folder(state)).into_iter().filter_map(|path| read_file(&path));
    kept.flat_map(|kept| kept.events(&homes, now)).collect()
}

/// What terminals have left in the folder, in the order of the sessions' ids.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort_unstable();
    paths
}

/// Whether two terminals say the same of every limit.
fn is_same(one: &[LimitsFact], other: &[LimitsFact]) -> bool {
    let windows = |limits: &LimitsFact| -> Vec<Window> {
        limits.windows.iter().map(|window| Window { learnt_at: None, ..window.clone() }).collect()
    };
    let of = |limits: &LimitsFact| (limits.family.clone(), windows(limits));
    one.iter().map(of).eq(other.iter().map(of))
}

/// What was replaced in Claude Code's settings; nothing where the file is missing or garbled.
pub fn read_replaced(state: &Path) -> Replaced {
    let bytes = files::read(&state.join(REPLACED), LARGEST).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Keeps what was replaced.
///
/// # Errors
/// Whatever the system says.
pub fn write_replaced(state: &StateDir, replaced: &Replaced) -> io::Result<()> {
    state.folder().put(REPLACED, &serde_json::to_vec_pretty(replaced)?, true)
}

impl Replaced {
    /// What stood in the settings of `home`: `None` when nothing is known of it, `Some(None)` when nothing stood there.
    pub fn of(&self, home: &Path) -> Option<Option<&str>> {
        let real = real(home);
        let known = self.homes.iter().find(|(known, _)| self::real(Path::new(known)) == real);
        known.map(|(_, entry)| entry.as_deref())
    }

    /// Notes what stood in the settings of `home`, as JSON.
    pub fn note(&mut self, home: &Path, entry: Option<String>) {
        self.forget(home);
        self.homes.insert(home.to_string_lossy().into_owned(), entry);
    }

    /// Drops what is known of `home`, and says whether that was anything.
    pub fn forget(&mut self, home: &Path) -> bool {
        let (before, real) = (self.homes.len(), real(home));
        self.homes.retain(|known, _| self::real(Path::new(known)) != real);
        self.homes.len() < before
    }

    /// The command that ran before ours in `home`; where the home is not known, that of the only one.
    pub fn command(&self, home: Option<&Path>) -> Option<String> {
        let entry = match home.and_then(|home| self.of(home)) {
            Some(entry) => entry,
            None if self.homes.len() == 1 => self.homes.values().next().and_then(Option::as_deref),
            None => None,
        };
        settings::command_of(entry?)
    }
}

impl Kept {
    /// What is absent takes nothing away. Saying the same again is no news: the first time is when it was observed.
    fn follow(&mut self, known: &Self) {
        self.context_window = self.context_window.or(known.context_window);
        let of =
            |kept: &Self, limits: &LimitsFact| limits.clone().word(AGENT, &"".into(), kept.observed_at, None);
        let mut limits = known.limits.clone();
        for said in &self.limits {
            let Some(before) = limits.iter_mut().find(|known| known.family == said.family) else {
                limits.push(said.clone());
                continue;
            };
            let word = of(known, before).followed_by(&of(self, said));
            let Snapshot { family, name, plan, windows, observed_at, fell_at, .. } = word;
            let learnt_at = Some(observed_at);
            *before = LimitsFact { family, name, plan, windows, learnt_at, fell_at, ..LimitsFact::default() };
        }
        let learnt = limits.iter().filter_map(|limits| limits.learnt_at);
        self.observed_at = learnt.max().unwrap_or(known.observed_at);
        self.limits = limits;
    }

    /// A terminal that goes on with another session, as after `/clear`, tells at first what it heard in the one before.
    fn begin(&mut self, folder: &Path) {
        let says_the_same = |known: &Self| known.home == self.home && is_same(&known.limits, &self.limits);
        let others = paths(folder).into_iter().filter_map(|path| read_file(&path));
        if !self.limits.is_empty()
            && let Some(first) = others.filter(says_the_same).map(|known| known.observed_at).min()
        {
            self.observed_at = self.observed_at.min(first);
        }
        for limits in &mut self.limits {
            limits.learnt_at = Some(self.observed_at);
        }
    }

    fn events(self, homes: &RealHomes, now: Now) -> Vec<SourceEvent> {
        let Self { observed_at, session, home, limits, context_window } = self;
        let Some(label) = homes.label(home.as_deref()) else { return Vec::new() };
        let current =
            |limits: LimitsFact| limits.word(AGENT, &label, observed_at, Some(session.clone())).current(now);
        let limits: Vec<_> = limits.into_iter().filter_map(current).map(SourceEvent::limits).collect();
        let window = context_window.map(|tokens| SourceEvent::Window { session, tokens });
        limits.into_iter().chain(window).collect()
    }
}

/// Claude Code's homes by where they really are.
struct RealHomes(Vec<(PathBuf, Arc<str>)>);

impl RealHomes {
    fn of(homes: &[Home]) -> Self {
        let own = homes.iter().filter(|home| home.agent == AGENT);
        Self(own.map(|home| (real(&home.path), Arc::clone(&home.label))).collect())
    }

    /// What sessions call a home. A terminal that did not say whose it is belongs to the first one.
    fn label(&self, home: Option<&str>) -> Option<Arc<str>> {
        let wanted = home.map(|home| real(Path::new(home)));
        let is_it = |(path, _): &&(PathBuf, Arc<str>)| wanted.as_ref().is_none_or(|wanted| wanted == path);
        self.0.iter().find(is_it).map(|(_, label)| Arc::clone(label))
    }
}

fn read_file(path: &Path) -> Option<Kept> {
    serde_json::from_slice(&files::read(path, LARGEST).ok()?).ok()
}

/// Removes what sessions of long ago left behind.
fn prune(folder: &Folder, now: SystemTime) {
    let names = folder.names().into_iter();
    for name in names {
        let metadata = folder.file(&name, Use::Read).and_then(|file| file.metadata()).ok();
        let modified = metadata.and_then(|metadata| metadata.modified().ok());
        let age = modified.and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > KEPT_FOR) {
            // Another terminal may have been faster.
            let _ = folder.remove_file(&name);
        }
    }
}
