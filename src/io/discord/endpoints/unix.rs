//! Discord's sockets, and their folders.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{EndpointDirs, FoundClient, INDEXES, Identity, PREFIX, client_name};
use crate::core::publish::Endpoint;
use crate::core::settings::Clients;

/// The existing clients, best place first.
pub fn scan(places: &EndpointDirs) -> Vec<FoundClient> {
    let mut found: Vec<FoundClient> = Vec::new();
    for base in existing_bases(places) {
        let foreign_sockets_possible = is_open_to_all(&base);
        for folder in socket_folders(&base) {
            for index in INDEXES {
                let path = folder.join(format!("{PREFIX}{index}"));
                // Links are followed: a link to a sandboxed client's socket is common advice.
                let Ok(metadata) = fs::metadata(&path) else { continue };
                if !metadata.file_type().is_socket() {
                    continue;
                }
                if foreign_sockets_possible && metadata.uid() != places.user {
                    continue;
                }
                let identity = Some(Identity::of(&metadata));
                if found.iter().any(|other| other.identity == identity) {
                    continue;
                }
                let Some(endpoint) = path.to_str() else { continue };
                let real = fs::canonicalize(&path).ok();
                let client = client_name(real.as_deref().and_then(Path::to_str).unwrap_or(endpoint));
                found.push(FoundClient { endpoint: Endpoint(endpoint.to_owned()), client, identity });
            }
        }
    }
    found
}

/// The identity of the socket at `path`.
pub fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| Identity::of(&metadata))
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The existing folders in which a change may mean that a client started or ended; to be watched without their
/// subfolders. Folders that every user can write to are left out: a build in `/tmp` would wake the daemon thousands of
/// times.
pub fn watch_dirs(places: &EndpointDirs, clients: &Clients) -> Vec<PathBuf> {
    let mut folders: BTreeSet<PathBuf> = roots(places, clients).into_iter().collect();
    if *clients == Clients::All {
        for base in existing_bases(places).iter().filter(|base| !is_open_to_all(base)) {
            folders.extend(["app", ".flatpak"].map(|name| base.join(name)));
            folders.extend(listed(&base.join(".flatpak"), |_| true));
            folders.extend(socket_folders(base));
        }
    }
    folders.into_iter().filter(|folder| folder.is_dir() && !is_open_to_all(folder)).collect()
}

/// For each place of a possible client, the folder whose changes would show it. For a missing folder it is the nearest
/// existing parent.
pub fn roots(places: &EndpointDirs, clients: &Clients) -> Vec<PathBuf> {
    match clients {
        Clients::All => places.bases.iter().filter_map(|base| nearest_existing(base)).collect(),
        Clients::Only(endpoints) => {
            endpoints.iter().filter_map(|endpoint| nearest_existing(Path::new(endpoint).parent()?)).collect()
        }
    }
}

/// The paths of possible clients without a watch, because their folder is not among `watched`.
pub fn unwatched(places: &EndpointDirs, clients: &Clients, watched: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let is_unwatched =
        |folder: &Path| nearest_existing(folder).is_none_or(|nearest| !watched.contains(&nearest));
    match clients {
        Clients::All => {
            let bases = places.bases.iter().filter(|base| is_unwatched(base));
            bases.flat_map(|base| INDEXES.map(|index| base.join(format!("{PREFIX}{index}")))).collect()
        }
        Clients::Only(endpoints) => {
            let paths = endpoints.iter().map(PathBuf::from);
            paths.filter(|path| path.parent().is_none_or(is_unwatched)).collect()
        }
    }
}

/// The sockets of this user at these paths.
pub fn present(paths: &[PathBuf], places: &EndpointDirs) -> Vec<Identity> {
    let found = paths.iter().filter_map(|path| fs::metadata(path).ok());
    let ours = found.filter(|there| there.file_type().is_socket() && there.uid() == places.user);
    ours.map(|there| Identity::of(&there)).collect()
}

/// The sockets of other users at the places for this user's clients.
pub fn foreign(places: &EndpointDirs, clients: &Clients) -> Vec<String> {
    let paths: Vec<PathBuf> = match clients {
        Clients::All => existing_bases(places)
            .iter()
            .flat_map(|base| INDEXES.map(|index| base.join(format!("{PREFIX}{index}"))))
            .collect(),
        Clients::Only(endpoints) => endpoints.iter().map(PathBuf::from).collect(),
    };
    let is_foreign = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|there| there.file_type().is_socket() && there.uid() != places.user)
    };
    paths.into_iter().filter(is_foreign).map(|path| path.display().to_string()).collect()
}

/// Whether every user can create files in `folder`.
fn is_open_to_all(folder: &Path) -> bool {
    const WRITABLE_BY_OTHERS: u32 = 0o002;
    fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & WRITABLE_BY_OTHERS != 0)
}

/// The existing bases, each once and by its real path, because two variables may name the same folder.
fn existing_bases(places: &EndpointDirs) -> Vec<PathBuf> {
    let mut bases: Vec<PathBuf> = Vec::new();
    for base in places.bases.iter().filter_map(|base| fs::canonicalize(base).ok()) {
        if !bases.contains(&base) {
            bases.push(base);
        }
    }
    bases
}

/// The folders of sockets below `base`: `base` itself and those of sandboxed applications.
fn socket_folders(base: &Path) -> Vec<PathBuf> {
    let mut folders = vec![base.to_owned()];
    folders.extend(listed(&base.join("app"), |_| true));
    folders.extend(listed(base, |name| name.starts_with("snap.")));
    folders.extend(listed(&base.join(".flatpak"), |_| true).into_iter().map(|folder| folder.join("xdg-run")));
    folders
}

/// The subfolders of `folder` whose name is `wanted`, sorted.
fn listed(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    /// The most subfolders that are read: more than there are sandboxed applications. Limits the cost of a foreign
    /// folder of that name.
    const MOST: usize = 256;
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .take(MOST)
        .collect();
    folders.sort();
    folders
}

fn nearest_existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|folder| fs::canonicalize(folder).ok().filter(|folder| folder.is_dir()))
}

/// macOS's own temporary folder. The user may have changed `TMPDIR`, but Discord uses this one.
pub(super) fn darwin_temp() -> Option<PathBuf> {
    if !cfg!(target_os = "macos") {
        return None;
    }
    let output = std::process::Command::new("/usr/bin/getconf").arg("DARWIN_USER_TEMP_DIR").output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    path.is_absolute().then_some(path)
}
