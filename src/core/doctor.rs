//! `doctor`: judges what was found on this machine. One check per item, each with a fix.
//!
//! `src/cmd/doctor` collects the facts; every judgement is here. A failure keeps cards from being shown until the
//! user acts. A warning may do harm or goes away by itself. Texts contain paths, settings and Discord's messages,
//! never content of a session.
//!
//! Read next: [`reading`], what is needed to read sessions; [`remotes`], sessions of other machines; [`showing`],
//! what is needed to show cards; [`standing`], what is needed to keep running.

pub mod reading;
pub mod remotes;
pub mod showing;
pub mod standing;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Issue, Severity};
use crate::names::one_line;
use crate::publish::LinkStatus;
use crate::source::Agent;
use crate::time::ago;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Not as it should be, or not yet; cards can still be shown.
    Warning,
    /// The user has to fix it.
    Failure,
    /// Not checked, or not in use.
    Skipped,
}

impl Grade {
    /// The word for it, so that the colour adds no information.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// One check. A name occurs once for each item that it is about, e.g. each home folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The subject of the check.
    pub name: &'static str,
    /// Its result.
    pub state: Grade,
    /// The finding, in one line.
    pub message: String,
    /// The fix, in one line.
    pub hint: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: Grade, message: impl Into<String>) -> Self {
        Self { name, state, message: one_line(&message.into()).into_owned(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(one_line(&hint.into()).into_owned());
        self
    }
}

/// Everything that the checks need to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// This program's version.
    pub version: String,
    /// The settings file.
    pub config: Config,
    /// The application id in effect and its origin.
    pub application_id: Option<(String, String)>,
    /// The homes that are read.
    pub homes: Vec<HomeFacts>,
    /// The agents' own servers that the settings ask to listen to.
    pub live: Vec<LiveFacts>,
    /// The result of trying each remote.
    pub remotes: Vec<remotes::RemoteFacts>,
    /// The system's limits for watches and watchers, if it has such limits.
    pub watches: Option<WatchLimits>,
    /// The Discord clients that were found, or those that the settings name.
    pub clients: Vec<Client>,
    /// Whether the settings name the clients.
    pub clients_named: bool,
    /// Sockets of another user at places where a client of this user is looked for.
    pub foreign_sockets: Vec<String>,
    /// The daemon.
    pub daemon: DaemonState,
    /// The login entry.
    pub login: Login,
    /// A path of the login entry that other users may write to: the entry, the program, or a folder above either.
    pub exposed: Option<String>,
    /// The lock.
    pub lock: Lock,
    /// The record file beside the lock.
    pub record: RecordState,
    /// The state folder.
    pub state: StateFolder,
}

/// The settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its path, even if it does not exist.
    pub path: String,
    /// Whether it exists.
    pub exists: bool,
    /// Its issues, each also as a line with its position.
    pub issues: Vec<(Issue, String)>,
}

/// One agent's home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeFacts {
    /// The agent.
    pub agent: Agent,
    /// Its path.
    pub path: String,
    /// Its sessions.
    pub sessions: Sessions,
    /// Its databases.
    pub databases: Vec<DatabaseFacts>,
}

/// A database with sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Its file's name.
    pub name: String,
    /// The versions of the agent whose tables it has.
    pub versions: Vec<&'static str>,
    /// Why a part of it is not read.
    pub unread: Option<String>,
}

/// The server of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFacts {
    /// The agent.
    pub agent: Agent,
    /// Its socket.
    pub socket: String,
    /// The state of the server.
    pub found: LiveServer,
}

/// The state of an agent's own server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveServer {
    /// No server: nothing at that path, or no process that accepts connections.
    Absent,
    /// A server of this user.
    Listening,
    /// A server or file that is not used, and why.
    Unfit(String),
}

/// The state of a home's session folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// No session folder.
    Missing,
    /// A folder that cannot be listed.
    Unreadable {
        /// Its path.
        path: String,
        /// The system's message.
        cause: String,
    },
    /// The file system did not answer in time.
    Silent,
    /// It was listed.
    Read {
        /// How many folders would be watched.
        folders: usize,
        /// How many session files there are.
        sessions: usize,
        /// When the newest session file was last written to.
        newest: Option<Timestamp>,
        /// Whether the file system reports no changes that other machines make.
        polled: bool,
    },
}

/// The system's limits, shared by all programs of this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// The number of folders that can be watched.
    pub watches: u64,
    /// The number of watchers.
    pub instances: u64,
    /// Whether one more watcher is available now.
    pub is_one_free: bool,
}

/// A Discord client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name for people.
    pub name: String,
    /// The path of its socket or pipe.
    pub endpoint: String,
    /// Whether that path exists.
    pub is_there: bool,
    /// Whether a process accepts connections; `None` if it was not tried.
    pub listens: Option<bool>,
}

/// The state of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonState {
    /// No daemon runs.
    NotRunning {
        /// The end of the pause that it would keep.
        paused_until: Option<Timestamp>,
    },
    /// A daemon holds the lock and does not answer.
    Unresponsive {
        /// Its process, if the record names it.
        pid: Option<u32>,
        /// Why there is no answer.
        cause: String,
    },
    /// A daemon answers.
    Running(Running),
}

/// The answer of a running daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    /// Its process id.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Whether its program file was replaced since it started.
    pub is_replaced: bool,
    /// The end of the pause; far in the future if only `resume` ends it.
    pub paused_until: Option<Timestamp>,
    /// Whether it shows cards in Discord, not in a terminal.
    pub to_discord: bool,
    /// Its connections to Discord.
    pub links: Vec<LinkStatus>,
    /// The problems that it reports.
    pub problems: Vec<String>,
}

/// What starts at login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// This program.
    Enabled {
        /// The login entry.
        place: String,
    },
    /// Nothing.
    Disabled,
    /// Nothing, because the user disabled the entry with the system's own means.
    SwitchedOff {
        /// Where to enable it.
        hint: Option<String>,
    },
    /// Another program.
    Differs {
        /// The login entry.
        place: String,
        /// The difference, and the fix.
        hint: Option<String>,
        /// Whether the program that it starts is missing.
        is_gone: bool,
    },
    /// The login entry could not be read.
    Unknown {
        /// Why.
        cause: String,
    },
}

/// The single-instance lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// A process holds it.
    Held,
    /// No process holds it.
    Free,
    /// It could not be found out.
    Unknown,
}

/// The file that names the holder of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// There is none.
    Absent,
    /// It cannot be parsed.
    Garbled,
    /// It is valid.
    Of {
        /// The process that wrote it.
        pid: u32,
        /// Whether this user wrote it.
        is_ours: bool,
    },
}

/// The state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    /// Its path, even if it does not exist.
    pub path: String,
    /// The state of that path.
    pub found: StateFolderKind,
}

/// What is at the path of the state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFolderKind {
    /// Nothing.
    Missing {
        /// Whether the first run can create it.
        can_be_made: bool,
    },
    /// Something that is not a folder.
    NotAFolder,
    /// It could not be read.
    Unreadable {
        /// The system's message.
        cause: String,
    },
    /// A folder.
    Folder {
        /// The permission bits, on systems that have them.
        mode: Option<u32>,
        /// Whether it belongs to this user.
        is_ours: bool,
        /// Whether this user may write to it.
        is_writable: bool,
        /// The number of free bytes, if the system tells it.
        free: Option<u64>,
    },
}

/// All checks, in the order in which to fix them.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = reading::checks(facts);
    checks.extend(showing::checks(facts));
    checks.extend(standing::checks(facts));
    checks
}

/// Whether no check failed.
pub fn is_healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != Grade::Failure)
}

fn state_of(severity: Severity) -> Grade {
    match severity {
        Severity::Error => Grade::Failure,
        Severity::Warning => Grade::Warning,
    }
}
