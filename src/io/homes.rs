//! The agents' home folders, from settings, environment and defaults.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::core::settings::{Source, Sources};
use crate::core::source::Agent;
use crate::core::source::layout::{Elsewhere, Homes};
use crate::io::files;
use crate::io::paths::Environment;
use crate::io::real_path::real;

/// One agent's home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The agent.
    pub agent: Agent,
    /// Its path; it may not exist yet.
    pub path: PathBuf,
    /// Its name in sessions and limits.
    pub label: Arc<str>,
}

impl Home {
    /// The folder and the name of the database, if this home is a database and not a folder.
    pub fn database(&self) -> Option<(&Path, &str)> {
        let is_named_so = || self.path.extension().is_some_and(|ending| ending == "db");
        let is_one = self.agent.spec().layout.databases.is_some()
            && (self.path.is_file() || is_named_so() && !self.path.is_dir());
        let name = self.path.file_name().and_then(OsStr::to_str).filter(|_| is_one)?;
        Some((self.path.parent()?, name))
    }
}

/// How long a disk may take to answer which folders exist and which are the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// All homes of the agents that are switched on. A thread of its own asks the disks: if one does not answer in time, the
/// homes of that agent are taken as they are named.
pub fn of(sources: &Sources, environment: &Environment) -> Vec<Home> {
    let read = sources.iter().filter(|(_, source)| source.is_read);
    let mut read: VecDeque<_> = read.map(|(agent, source)| (agent, source.clone())).collect();
    let mut found = Vec::new();
    while !read.is_empty() {
        let (sender, answers) = mpsc::channel();
        let (asked, of) = (read.clone(), environment.clone());
        let ask = move || {
            let mut answers = asked.iter().map(|(agent, source)| homes(*agent, source, &of, Disk::IsAsked));
            answers.try_for_each(|answer| sender.send(answer))
        };
        // If the system starts no thread, there is no answer.
        let _ = thread::Builder::new().name("homes".to_owned()).spawn(ask);
        while let Ok(answer) = answers.recv_timeout(PATIENCE) {
            found.extend(answer);
            read.pop_front();
        }
        if let Some((agent, source)) = read.pop_front() {
            found.extend(homes(agent, &source, environment, Disk::IsLeftAlone));
        }
    }
    found
}

/// Whether a disk is asked what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    IsAsked,
    IsLeftAlone,
}

/// Larger files are not an agent's settings, in bytes.
const LARGEST_SETTINGS: u64 = 1 << 20;

/// An agent's home folders: those of the settings, else of its variables, else the usual ones, and the session folders
/// that the agent's own settings in them name. They may not exist.
///
/// A variable that may name several folders is one path if that folder exists, and a list otherwise.
pub fn folders(agent: Agent, source: &Source, environment: &Environment) -> Vec<PathBuf> {
    named(agent, source, environment, Disk::IsAsked)
}

fn named(agent: Agent, source: &Source, environment: &Environment, disk: Disk) -> Vec<PathBuf> {
    let Homes { variables, below, files, has_commas, usual, .. } = &agent.spec().homes;
    let named = || {
        let (name, whole) = variables.iter().find_map(|name| Some((name, environment.path(name)?)))?;
        if !below.is_empty() {
            return Some(below.iter().map(|below| whole.join(below)).collect());
        }
        let parts = environment.text(name).filter(|_| *has_commas).unwrap_or_default().split(',');
        let parts = parts.map(|part| PathBuf::from(part.trim())).filter(|part| part.is_absolute());
        let parts: Vec<PathBuf> = parts.collect();
        Some(if parts.len() < 2 || disk == Disk::IsAsked && whole.is_dir() { vec![whole] } else { parts })
    };
    let usual = || environment.home().map(|home| usual.iter().map(|folder| home.join(folder)).collect());
    let chosen = Some(source.homes.clone()).filter(|homes| !homes.is_empty());
    let is_chosen = chosen.is_some();
    let mut all: Vec<PathBuf> = chosen.or_else(named).or_else(usual).unwrap_or_default();
    // A relative file is below the first home; a database in memory has no file.
    let first = all.first().cloned();
    let file = |name: &&str| {
        let file = environment.text(name).filter(|file| !is_chosen && !file.starts_with(':'))?;
        first.as_ref().map(|first| first.join(file))
    };
    all.extend(files.iter().filter_map(file));
    let asked = all.iter().filter(|_| disk == Disk::IsAsked);
    let elsewhere: Vec<_> = asked.filter_map(|home| elsewhere(agent, home, environment)).collect();
    all.extend(elsewhere);
    let mut known = BTreeSet::new();
    all.retain(|folder| known.insert(folder.clone()));
    all
}

/// The session folder that the agent's own settings in `home` name. A relative one is unknown, because it depends on
/// where the agent was started.
fn elsewhere(agent: Agent, home: &Path, environment: &Environment) -> Option<PathBuf> {
    let Elsewhere { file, folder } = agent.spec().layout.elsewhere.as_ref()?;
    let folder = folder(&files::read(&home.join(file), LARGEST_SETTINGS).ok()?)?;
    let folder = match folder.strip_prefix("~/") {
        Some(below) => environment.home()?.join(below),
        None => PathBuf::from(folder),
    };
    folder.is_absolute().then_some(folder)
}

/// One home per folder: a usual one may be a link to another.
fn homes(agent: Agent, source: &Source, environment: &Environment, disk: Disk) -> Vec<Home> {
    let mut paths = named(agent, source, environment, disk);
    if disk == Disk::IsAsked && paths.len() > 1 {
        let mut known = BTreeSet::new();
        paths.retain(|path| known.insert(real(path)));
    }
    let home = |path: PathBuf| Home { agent, label: path.to_string_lossy().into(), path };
    paths.into_iter().map(home).collect()
}
