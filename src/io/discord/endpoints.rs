//! Finds the places where Discord clients listen, and their names.
//!
//! Reads only: never connects, never removes a dead socket. A client is identified by its socket alone, so there is no
//! list of applications to maintain. Whether a socket is alive is known after a try to connect.
//! Read next: [`super::watcher`], which notices changes.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::core::names::capitalised;
use crate::core::publish::Endpoint;
use crate::core::settings::Clients;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use self::unix::{foreign, identity, present, roots, scan, unwatched, watch_dirs};
#[cfg(windows)]
pub use self::windows::{foreign, identity, present, roots, scan, unwatched, watch_dirs};

/// The numbers of clients of one kind: `discord-ipc-0` to `discord-ipc-9`.
pub const INDEXES: std::ops::RangeInclusive<u8> = 0..=9;

/// The beginning of every socket's and pipe's name.
pub const PREFIX: &str = "discord-ipc-";

/// Where to look for clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointDirs {
    /// The folders of sockets, best first. Empty on Windows, where all pipes are in one place.
    pub bases: Vec<PathBuf>,
    /// The user whose sockets count in folders that every user can write to.
    pub user: u32,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClient {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its name.
    pub client: String,
    /// Its socket's identity; `None` if there is nothing at a place that the user named.
    pub identity: Option<Identity>,
}

/// The identity of a socket, which differs from that of its successor at the same path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    /// The time of the last change, because inode numbers are soon reused.
    changed: (i64, i64),
}

impl EndpointDirs {
    /// The places for this user; `variable` reads the environment.
    ///
    /// Discord uses the first of the variables that is set. The daemon's environment may differ from Discord's, so all
    /// of them are used, and their usual values if they are not set.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let from = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        platform_places(from)
    }
}

/// The clients to use, best first; each once, even if several paths lead to it.
///
/// If the user lists clients, it is those, whether or not they exist.
pub fn discover(places: &EndpointDirs, clients: &Clients) -> Vec<FoundClient> {
    match clients {
        Clients::All => scan(places),
        Clients::Only(endpoints) => {
            let mut found: Vec<FoundClient> = Vec::new();
            for endpoint in endpoints {
                if found.iter().all(|other| other.endpoint.0 != *endpoint) {
                    found.push(FoundClient {
                        endpoint: Endpoint(endpoint.clone()),
                        client: client_name(endpoint),
                        identity: identity(endpoint.as_ref()),
                    });
                }
            }
            found
        }
    }
}

/// The name of the client that listens at `endpoint`, as far as the path shows it: sandboxed applications have folders
/// of their own.
pub fn client_name(endpoint: &str) -> String {
    let mut folders = endpoint.split(['/', '\\']).rev().skip(1);
    let application = match (folders.next(), folders.next(), folders.next()) {
        (Some("xdg-run"), Some(id), Some(".flatpak")) | (Some(id), Some("app"), _) => id,
        (Some(folder), _, _) => match folder.strip_prefix("snap.") {
            Some(name) => name,
            None => return "Discord".to_owned(),
        },
        _ => return "Discord".to_owned(),
    };
    // com.discordapp.DiscordCanary, discord-canary
    let name = application.rsplit('.').next().unwrap_or(application);
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "discord" => "Discord".to_owned(),
        "discordcanary" => "Discord Canary".to_owned(),
        "discordptb" => "Discord PTB".to_owned(),
        "" => application.to_owned(),
        _ => capitalised(&name.replace(['-', '_'], " ")),
    }
}

#[cfg(unix)]
fn platform_places(from: impl Fn(&str) -> Option<PathBuf>) -> EndpointDirs {
    let user = rustix::process::getuid().as_raw();
    // Login sessions without the variable (cron, plain ssh) may still have the folder.
    let run = PathBuf::from("/run/user");
    let of_login = run.is_dir().then(|| run.join(user.to_string()));
    let candidates =
        [from("XDG_RUNTIME_DIR"), of_login, from("TMPDIR"), unix::darwin_temp(), from("TMP"), from("TEMP")];
    let mut bases: Vec<PathBuf> = Vec::new();
    for base in candidates.into_iter().flatten().chain([PathBuf::from("/tmp")]) {
        if !bases.contains(&base) {
            bases.push(base);
        }
    }
    EndpointDirs { bases, user }
}

#[cfg(windows)]
fn platform_places(_from: impl Fn(&str) -> Option<PathBuf>) -> EndpointDirs {
    EndpointDirs::default()
}
