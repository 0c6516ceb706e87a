//! The agents' home folders, and which of them are read by settings and environment.

use std::path::PathBuf;
use std::sync::Arc;

use crate::core::settings::Sources;
use crate::core::source::Agent;
use crate::paths::{Environment, claude_homes, codex_homes};
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
    let codex = if sources.codex { codex_homes(sources, environment) } else { Vec::new() };
    let claude = if sources.claude { claude_homes(sources, environment) } else { Vec::new() };
    let all = [(Agent::CODEX, codex), (Agent::CLAUDE, claude)];
    all.into_iter().flat_map(|(agent, paths)| homes(agent, paths)).collect()
}

/// One home per folder: `~/.config/claude` may be a link to `~/.claude`.
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
