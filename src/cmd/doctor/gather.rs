//! Collects the facts that `doctor` judges. Changes nothing, and always ends: each wait on the file system or the
//! daemon has a limit.
//!
//! While a daemon holds the lock, no Discord client is connected to, because that could cost the daemon its own
//! connection. Without a daemon a socket is connected to and closed before the first byte.
//! Read next: [`crate::core::doctor`], which judges.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

#[cfg(unix)]
use tokio::net::UnixStream;
#[cfg(unix)]
use tokio::time::timeout;

use crate::control::Verb;
use crate::control::client::{self, Contact};
use crate::core::config::Issue;
use crate::core::doctor::{
    Client, Config, DaemonState, Facts, HomeFacts, LiveFacts, LiveServer, Lock, Login, RecordState, Running,
    Sessions, StateFolder, StateFolderKind, WatchLimits,
};
use crate::core::report::StatusReport;
use crate::core::settings::Clients;
use crate::core::takeover::LockRecord;
use crate::error::Failure;
use crate::host::Places;
use crate::io::autostart::machine::ThisMachine;
use crate::io::autostart::{self, Login as Entry, Registration};
use crate::io::clock;
use crate::io::config_file::Chosen;
use crate::io::discord::endpoints;
use crate::io::files;
use crate::io::homes::Home;
use crate::io::instance::{self, LockState};
use crate::io::intake;
use crate::io::paths::Environment;
use crate::io::state;

/// How long a file system or a service manager may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Larger files are not lock records, in bytes.
const LARGEST_RECORD: u64 = 64 * 1024;

/// All facts.
///
/// # Errors
/// The system refused something basic.
pub(super) fn gather(places: &Places) -> Result<Facts, Failure> {
    let now = clock::now().wall;
    let settings = &places.effective.settings;
    let daemon = match client::ask_daemon(&places.state, &places.environment, &Verb::Status)? {
        Contact::Reply(reply) => match reply.status {
            Some(status) => running(*status),
            None => unresponsive(&places.state, "its answer has no status".to_owned()),
        },
        Contact::Unresponsive(error) => unresponsive(&places.state, error.to_string()),
        Contact::NotRunning => {
            let paused_until = state::read_pause(&places.state).filter(|until| *until > now);
            DaemonState::NotRunning { paused_until }
        }
    };
    let lock = match instance::held_by_another(&places.state) {
        LockState::Held => Lock::Held,
        LockState::Free => Lock::Free,
        LockState::Unknown => Lock::Unknown,
    };
    let may_try = matches!(daemon, DaemonState::NotRunning { .. }) && lock != Lock::Held;
    let (login, exposed) = login(places);
    let id = &settings.discord.application_id;
    let origin = places.effective.values.iter().find(|value| value.key.path() == "discord.application_id");
    Ok(Facts {
        now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: Config {
            path: places.config.path.display().to_string(),
            exists: places.config.path.exists(),
            issues: places
                .effective
                .issues
                .iter()
                .map(|issue| (issue.clone(), line(places, issue)))
                .collect(),
        },
        application_id: (!id.is_empty())
            .then(|| (id.clone(), origin.map(|value| value.origin.to_string()).unwrap_or_default())),
        homes: places.homes.iter().map(home).collect(),
        live: live(places, &daemon)?,
        remotes: super::remotes::tried(&settings.remotes)?,
        watches: watch_limits(),
        clients: clients(&places.environment, &settings.discord.clients, may_try)?,
        clients_named: settings.discord.clients != Clients::All,
        foreign_sockets: foreign_sockets(&places.environment, &settings.discord.clients),
        daemon,
        login,
        exposed,
        lock,
        record: record(&places.state),
        state: StateFolder { path: places.state.display().to_string(), found: state_folder(&places.state) },
    })
}

/// An issue with its file and line; its hint is printed apart.
fn line(places: &Places, issue: &Issue) -> String {
    places.config.describe(&Issue { hint: None, ..issue.clone() })
}

fn running(status: StatusReport) -> DaemonState {
    let StatusReport { daemon, links, config, .. } = status;
    DaemonState::Running(Running {
        pid: daemon.pid,
        version: daemon.version,
        started_at: daemon.started_at,
        is_replaced: daemon.pid.is_some_and(is_replaced),
        paused_until: daemon.paused_until,
        to_discord: daemon.sink.as_deref() == Some("discord"),
        links,
        problems: config.issues,
    })
}

/// Whether the program's file was replaced while the process runs. Only Linux reports that.
fn is_replaced(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|program| program.to_string_lossy().ends_with(" (deleted)"))
}

fn unresponsive(state: &Path, cause: String) -> DaemonState {
    DaemonState::Unresponsive { pid: instance::read_record(state).map(|record| record.pid), cause }
}

fn home(home: &Home) -> HomeFacts {
    let owned = home.clone();
    let surveyed = within(TIMEOUT, move || intake::survey(&owned));
    let (sessions, databases) = surveyed.unwrap_or((Sessions::Silent, Vec::new()));
    HomeFacts { agent: home.agent, path: home.path.display().to_string(), sessions, databases }
}

/// The agents' own servers, if they are to be listened to. Nothing is sent to them; if a daemon runs, its report
/// counts.
fn live(places: &Places, daemon: &DaemonState) -> Result<Vec<LiveFacts>, Failure> {
    let mut found = Vec::new();
    for home in &places.homes {
        let agent = home.agent;
        let is_wanted = places.effective.settings.sources.of(agent).is_live;
        let Some(live) = agent.spec().live.as_ref().filter(|_| is_wanted) else { continue };
        let socket = home.path.join(live.socket);
        let reported = match daemon {
            DaemonState::Running(running) => running.problems.iter().find(|text| text.contains(live.key)),
            _ => None,
        };
        let state = match reported {
            Some(problem) => LiveServer::Unfit(problem.clone()),
            None => look(&socket)?,
        };
        found.push(LiveFacts { agent, socket: socket.display().to_string(), found: state });
    }
    Ok(found)
}

#[cfg(unix)]
fn look(socket: &Path) -> Result<LiveServer, Failure> {
    Ok(match reach(socket, TIMEOUT)? {
        Some(Ok(stream)) => match crate::io::user::check_peer(&stream) {
            Ok(()) => LiveServer::Listening,
            Err(error) => LiveServer::Unfit(error.to_string()),
        },
        Some(Err(_)) => LiveServer::Absent,
        None => LiveServer::Unfit("it does not answer".to_owned()),
    })
}

#[cfg(not(unix))]
fn look(_: &Path) -> Result<LiveServer, Failure> {
    Ok(LiveServer::Unfit("not on this system".to_owned()))
}

fn watch_limits() -> Option<WatchLimits> {
    let limit = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let (watches, instances) = (limit("max_user_watches")?, limit("max_user_instances")?);
    Some(WatchLimits { watches, instances, is_one_free: is_watcher_free() })
}

/// Creates one watcher and closes it.
#[cfg(target_os = "linux")]
fn is_watcher_free() -> bool {
    use rustix::fs::inotify;
    !matches!(inotify::init(inotify::CreateFlags::CLOEXEC), Err(rustix::io::Errno::MFILE))
}

#[cfg(not(target_os = "linux"))]
fn is_watcher_free() -> bool {
    true
}

fn foreign_sockets(environment: &Environment, wanted: &Clients) -> Vec<String> {
    let places = endpoints::EndpointDirs::new(|name| environment.path(name).map(Into::into));
    endpoints::foreign(&places, wanted)
}

fn clients(environment: &Environment, wanted: &Clients, may_try: bool) -> Result<Vec<Client>, Failure> {
    let places = endpoints::EndpointDirs::new(|name| environment.path(name).map(Into::into));
    let mut clients = Vec::new();
    for found in endpoints::discover(&places, wanted) {
        let is_there = found.identity.is_some();
        let listens = if may_try && is_there { listens(&found.endpoint.0)? } else { None };
        clients.push(Client { name: found.client, endpoint: found.endpoint.0, is_there, listens });
    }
    Ok(clients)
}

/// Whether a process accepts connections at the socket; `None` if it does not answer in time.
#[cfg(unix)]
fn listens(endpoint: &str) -> Result<Option<bool>, Failure> {
    /// A socket with a listener connects at once.
    const CONNECT: Duration = Duration::from_secs(2);
    Ok(match reach(Path::new(endpoint), CONNECT)? {
        Some(Ok(_)) => Some(true),
        // Its queue is full: a slow process listens.
        Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Some(true),
        Some(Err(_)) => Some(false),
        None => None,
    })
}

/// Connects to a socket; `None` if that takes longer than `timeout_after`. Nothing is sent, so Discord does not count
/// it as a connection.
#[cfg(unix)]
fn reach(socket: &Path, timeout_after: Duration) -> Result<Option<io::Result<UnixStream>>, Failure> {
    client::block_on(async { timeout(timeout_after, UnixStream::connect(socket)).await.ok() })
}

/// A pipe exists only while a process listens at it.
#[cfg(not(unix))]
fn listens(_: &str) -> Result<Option<bool>, Failure> {
    Ok(None)
}

/// The login entry, and the first file or folder of it that other users may write to.
fn login(places: &Places) -> (Login, Option<String>) {
    let is_chosen = places.config.chosen == Chosen::Named;
    let entry =
        match Entry::of_process(is_chosen.then_some(places.config.path.as_path()), &places.environment) {
            Ok(entry) => entry,
            Err(failure) => return (Login::Unknown { cause: failure.message }, None),
        };
    let machine = ThisMachine { home: entry.folders.home.clone(), state: places.state.to_owned() };
    let Some(registration) = within(TIMEOUT, move || autostart::registered(&entry, &machine)) else {
        let cause = "the system does not report what login starts".to_owned();
        return (Login::Unknown { cause }, None);
    };
    let Registration { kind, place, command, state, hint } = registration;
    let program = command.as_ref().map(|command| Path::new(&command.program));
    let exposed = program.and_then(|program| exposed(Path::new(&place)).or_else(|| exposed(program)));
    let place = format!("{kind} {place}");
    let login = match state {
        autostart::LoginState::Enabled => Login::Enabled { place },
        autostart::LoginState::Disabled => Login::Disabled,
        autostart::LoginState::SwitchedOffByUser => Login::SwitchedOff { hint },
        autostart::LoginState::Differs => {
            let is_gone = command.is_some_and(|command| !Path::new(&command.program).exists());
            Login::Differs { place, hint, is_gone }
        }
    };
    (login, exposed.map(|path| path.display().to_string()))
}

#[cfg(unix)]
fn exposed(path: &Path) -> Option<std::path::PathBuf> {
    crate::io::user::exposed(path)
}

/// On this system a user's folders are closed to others.
#[cfg(not(unix))]
fn exposed(_: &Path) -> Option<std::path::PathBuf> {
    None
}

fn record(state: &Path) -> RecordState {
    match files::read(&state.join("instance.json"), LARGEST_RECORD) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            RecordState::Absent
        }
        Err(_) => RecordState::Garbled,
        Ok(bytes) => serde_json::from_slice(&bytes).map_or(RecordState::Garbled, |record: LockRecord| {
            RecordState::Of { pid: record.pid, is_ours: record.uid.is_none_or(is_this_user) }
        }),
    }
}

#[cfg(unix)]
fn is_this_user(user: u32) -> bool {
    rustix::process::geteuid().as_raw() == user
}

#[cfg(not(unix))]
fn is_this_user(_: u32) -> bool {
    true
}

fn state_folder(path: &Path) -> StateFolderKind {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            let above = path.ancestors().skip(1).find(|folder| folder.exists());
            return StateFolderKind::Missing {
                can_be_made: above.is_some_and(|folder| folder.is_dir() && is_writable(folder)),
            };
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return StateFolderKind::Missing { can_be_made: false };
        }
        Err(error) => return StateFolderKind::Unreadable { cause: error.to_string() },
    };
    if !metadata.is_dir() {
        return StateFolderKind::NotAFolder;
    }
    StateFolderKind::Folder {
        mode: mode(&metadata),
        is_ours: is_ours(&metadata),
        is_writable: is_writable(path),
        free: fs2::available_space(path).ok(),
    }
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::mode(metadata))
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn is_ours(metadata: &fs::Metadata) -> bool {
    is_this_user(std::os::unix::fs::MetadataExt::uid(metadata))
}

#[cfg(not(unix))]
fn is_ours(_: &fs::Metadata) -> bool {
    true
}

/// Checks the access bits; nothing is written.
#[cfg(unix)]
fn is_writable(folder: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_writable(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| !metadata.permissions().readonly())
}

/// The result of `work`; `None` if it takes longer than `deadline`. Its thread then ends with the process.
fn within<T: Send + 'static>(deadline: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, result) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    result.recv_timeout(deadline).ok()
}
