//! The agents' homes that are read, by settings and environment.

use std::path::PathBuf;

use crate::core::activity::Agent;
use crate::core::settings::Sources;
use crate::daemon::intake::Home;
use crate::paths::{Environment, claude_homes, codex_homes};
use crate::real_path::real;

/// Every home of every agent that is switched on.
pub fn of(sources: &Sources, environment: &Environment) -> Vec<Home> {
    let codex = if sources.codex { codex_homes(sources, environment) } else { Vec::new() };
    let claude = if sources.claude { claude_homes(sources, environment) } else { Vec::new() };
    let all = [(Agent::Codex, codex), (Agent::Claude, claude)];
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
