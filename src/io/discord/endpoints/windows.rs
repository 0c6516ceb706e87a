//! Discord's named pipes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{EndpointDirs, FoundClient, INDEXES, Identity, PREFIX, client_name};
use crate::core::publish::Endpoint;
use crate::core::settings::Clients;

const PIPES: &str = r"\\.\pipe\";

/// The existing clients. The pipes are listed, not opened: each opening would take an instance from Discord.
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

/// Whether there is a pipe at `path`; all pipes have the same identity.
pub fn identity(path: &Path) -> Option<Identity> {
    let name = path.file_name()?;
    let there = fs::read_dir(PIPES).ok()?.flatten().any(|entry| entry.file_name() == name);
    there.then(Identity::default)
}

/// None: Windows reports no changes of pipes.
pub fn watch_dirs(_places: &EndpointDirs, _clients: &Clients) -> Vec<PathBuf> {
    Vec::new()
}

/// None: pipes are not in folders.
pub fn roots(_places: &EndpointDirs, _clients: &Clients) -> Vec<PathBuf> {
    Vec::new()
}

/// None: all pipes are checked anyway.
pub fn unwatched(_places: &EndpointDirs, _clients: &Clients, _watched: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    Vec::new()
}

/// None: there are no unwatched paths.
pub fn present(_paths: &[PathBuf], _places: &EndpointDirs) -> Vec<Identity> {
    Vec::new()
}

/// None: the user of a pipe is checked when it is opened.
pub fn foreign(_places: &EndpointDirs, _clients: &Clients) -> Vec<String> {
    Vec::new()
}
