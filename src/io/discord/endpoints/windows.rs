//! Named pipes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{EndpointDirs, FoundClient, INDEXES, Identity, PREFIX, client_name};
use crate::core::publish::Endpoint;
use crate::core::settings::Clients;

const PIPES: &str = r"\\.\pipe\";

/// The clients that are there. The pipes are listed, not opened: each opening would take an instance from Discord.
pub fn scan(_places: &EndpointDirs) -> Vec<FoundClient> {
    let Ok(entries) = fs::read_dir(PIPES) else { return Vec::new() };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    INDEXES
        .map(|index| format!("{PREFIX}{index}"))
        .filter(|name| names.iter().any(|other| other.to_str() == Some(name)))
        .map(|name| {
            let endpoint = format!("{PIPES}{name}");
            let client = client_name(&endpoint);
            FoundClient { endpoint: Endpoint(endpoint), client, identity: Some(Identity::default()) }
        })
        .collect()
}

/// Whether there is a pipe at `path` now; one pipe is like another.
pub fn identity(path: &Path) -> Option<Identity> {
    let name = path.file_name()?;
    let there = fs::read_dir(PIPES).ok()?.flatten().any(|entry| entry.file_name() == name);
    there.then(Identity::default)
}

/// None: Windows tells nobody about pipes.
pub fn watch_dirs(_places: &EndpointDirs, _clients: &Clients) -> Vec<PathBuf> {
    Vec::new()
}

/// None: a pipe is in no folder.
pub fn roots(_places: &EndpointDirs, _clients: &Clients) -> Vec<PathBuf> {
    Vec::new()
}

/// None: all pipes are looked at anyway.
pub fn unwatched(_places: &EndpointDirs, _clients: &Clients, _watched: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    Vec::new()
}

/// None, as nothing is asked for.
pub fn present(_paths: &[PathBuf], _places: &EndpointDirs) -> Vec<Identity> {
    Vec::new()
}

/// None: whose a pipe is, is asked when it is opened.
pub fn foreign(_places: &EndpointDirs, _clients: &Clients) -> Vec<String> {
    Vec::new()
}
