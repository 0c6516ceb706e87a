//! The agents' homes that are read, by settings and environment.

use std::sync::Arc;

use crate::core::activity::Agent;
use crate::core::settings::Sources;
use crate::daemon::intake::Home;
use crate::paths::{Environment, codex_homes};

/// Every home of every agent that is switched on.
pub fn of(sources: &Sources, environment: &Environment) -> Vec<Home> {
    let codex = if sources.codex { codex_homes(sources, environment) } else { Vec::new() };
    let home = |path: std::path::PathBuf| {
        let label: Arc<str> = path.to_string_lossy().into();
        Home { agent: Agent::Codex, path, label }
    };
    codex.into_iter().map(home).collect()
}
