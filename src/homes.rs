//! The agents' home folders, and which of them are read by settings and environment.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::core::settings::{Source, Sources};
use crate::core::source::Agent;
use crate::core::source::layout::Homes;
use crate::paths::Environment;
use crate::real_path::real;

/// One agent's home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Whose files are in it.
    pub agent: Agent,
    /// Where it is. It need not exist yet.
    pub path: PathBuf,
    /// What sessions and limits call it.
    pub label: Arc<str>,
}

/// Every home of every agent that is switched on.
pub fn of(sources: &Sources, environment: &Environment) -> Vec<Home> {
    let read = sources.iter().filter(|(_, source)| source.is_read);
    read.flat_map(|(agent, source)| homes(agent, folders(agent, source, environment))).collect()
}

/// An agent's home folders: the settings, else its variables, else the usual ones. They need not exist.
///
/// A variable that may name several is taken whole if there is such a folder, and in parts otherwise.
pub fn folders(agent: Agent, source: &Source, environment: &Environment) -> Vec<PathBuf> {
    let Homes { variables, below, has_commas, usual, .. } = &agent.spec().homes;
    let named = || {
        let (name, whole) = variables.iter().find_map(|name| Some((name, environment.path(name)?)))?;
        let whole = below.map_or_else(|| whole.clone(), |below| whole.join(below));
        let parts = environment.text(name).filter(|_| *has_commas).unwrap_or_default().split(',');
        let parts = parts.map(|part| PathBuf::from(part.trim())).filter(|part| part.is_absolute());
        let parts: Vec<PathBuf> = parts.collect();
        Some(if parts.len() < 2 || whole.is_dir() { vec![whole] } else { parts })
    };
    let usual = || environment.home().map(|home| usual.iter().map(|folder| home.join(folder)).collect());
    let chosen = Some(source.homes.clone()).filter(|homes| !homes.is_empty());
    let mut all: Vec<PathBuf> = chosen.or_else(named).or_else(usual).unwrap_or_default();
    let mut known = BTreeSet::new();
    all.retain(|folder| known.insert(folder.clone()));
    all
}

/// One home per folder: a usual one may be a link to another.
fn homes(agent: Agent, paths: Vec<PathBuf>) -> Vec<Home> {
    let mut homes: Vec<Home> = Vec::new();
    for path in paths {
        if !homes.iter().any(|home| real(&home.path) == real(&path)) {
            let label = path.to_string_lossy().into();
            homes.push(Home { agent, path, label });
        }
    }
    homes
}
