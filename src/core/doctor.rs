//! `doctor`: what was found on this machine in, one check a thing out, each with what mends it.
//!
//! The shell (`src/doctor.rs`) looks; every judgement is here. A failure is what keeps cards from being shown until
//! somebody does something; a warning may do harm, or goes away by itself. Texts name what is the user's own: paths,
//! settings and Discord's words, never content of a session.
//!
//! Read next: [`reading`], what is needed to see sessions; [`remotes`], those of other machines; [`showing`], what is needed to show them; [`standing`],
//! what is needed to keep running.

pub mod reading;
pub mod remotes;
pub mod showing;
pub mod standing;

use jiff::Timestamp;
use serde::Serialize;

use crate::core::config::{Issue, Severity};
use crate::core::names::one_line;
use crate::core::publish::LinkStatus;
use crate::core::source::Agent;
use crate::core::time::ago;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Not as it should be, or not yet; cards may be shown all the same.
    Warning,
    /// Has to be mended.
    Failure,
    /// Not looked at, or not in use.
    Skipped,
}

impl Grade {
    /// The word for it, which says everything that a colour would.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// One check. A name stands once for each thing that it is about, e.g. each home folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub state: Grade,
    /// What was found, in one line.
    pub message: String,
    /// What mends it, in one line.
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

/// Everything that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// This program's version.
    pub version: String,
    /// The settings file.
    pub config: Config,
    /// The application id in effect and who set it.
    pub application_id: Option<(String, String)>,
    /// The homes that are read.
    pub homes: Vec<HomeFacts>,
    /// The agents' own servers that the settings ask to listen to.
    pub live: Vec<LiveFacts>,
    /// What came of trying each remote.
    pub remotes: Vec<remotes::RemoteFacts>,
    /// How many watches and watchers the system allows, where it has such limits.
    pub watches: Option<WatchLimits>,
    /// The Discord clients found, or the ones that the settings name.
    pub clients: Vec<Client>,
    /// Whether the settings name the clients.
    pub clients_named: bool,
    /// Where a client of this user would be looked for, and another user's socket is.
    pub foreign_sockets: Vec<String>,
    /// The daemon.
    pub daemon: DaemonState,
    /// The login entry.
    pub login: Login,
    /// What others may write to of what login starts: the entry, the program, or a folder on the way to either.
    pub exposed: Option<String>,
    /// The lock.
    pub lock: Lock,
    /// What is beside it.
    pub record: RecordState,
    /// The state folder.
    pub state: StateFolder,
}

/// The settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it is, or would be.
    pub path: String,
    /// Whether there is one.
    pub exists: bool,
    /// What is wrong with it: each issue, and the same as a line with its place.
    pub issues: Vec<(Issue, String)>,
}

/// One agent's home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeFacts {
    /// Whose it is.
    pub agent: Agent,
    /// Where.
    pub path: String,
    /// What is in it.
    pub sessions: Sessions,
    /// The databases among that.
    pub databases: Vec<DatabaseFacts>,
}

/// A database with sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Its file's name.
    pub name: String,
    /// The versions of the agent whose tables are in it.
    pub versions: Vec<&'static str>,
    /// Why not all of it is read.
    pub unread: Option<String>,
}

/// One agent's own server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFacts {
    /// Whose it is.
    pub agent: Agent,
    /// Its socket.
    pub socket: String,
    /// What is there.
    pub found: LiveFound,
}

/// What is at the place of an agent's own server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveFound {
    /// Nothing, or nobody who takes connections.
    Nobody,
    /// A server of this user's.
    Listens,
    /// Something that is not listened to, and why.
    Unfit(String),
}

/// What is in a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// No session folder.
    Missing,
    /// A folder that cannot be listed.
    Unreadable {
        /// Which.
        path: String,
        /// The system's word.
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
        /// When the newest was written to.
        newest: Option<Timestamp>,
        /// Whether the file system tells nothing of changes made elsewhere.
        polled: bool,
    },
}

/// The system's limits, shared by all programs of this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// Folders that can be watched.
    pub watches: u64,
    /// Watchers.
    pub instances: u64,
    /// Whether one more watcher can be had now.
    pub is_one_free: bool,
}

/// A Discord client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name for people.
    pub name: String,
    /// Where it listens.
    pub endpoint: String,
    /// Whether anything is there.
    pub is_there: bool,
    /// Whether somebody takes connections; `None` when it was not tried.
    pub listens: Option<bool>,
}

/// The daemon, as it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonState {
    /// None is running.
    NotRunning {
        /// A pause that it would keep.
        paused_until: Option<Timestamp>,
    },
    /// One holds the lock and does not answer.
    Unresponsive {
        /// Its process, if the record says.
        pid: Option<u32>,
        /// What became of the question.
        cause: String,
    },
    /// One answers.
    Running(Running),
}

/// A daemon that answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// Since when.
    pub started_at: Option<Timestamp>,
    /// Whether another file is in the place of its program since it started.
    pub is_replaced: bool,
    /// Until when it shows nothing; far in the future where only `resume` ends it.
    pub paused_until: Option<Timestamp>,
    /// Whether it shows cards in Discord, not in a terminal.
    pub to_discord: bool,
    /// Its connections.
    pub links: Vec<LinkStatus>,
    /// What it says that there is to mend.
    pub problems: Vec<String>,
}

/// What login starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// This program.
    Enabled {
        /// By what.
        place: String,
    },
    /// Nothing.
    Disabled,
    /// Nothing, because the user said so outside of this program.
    SwitchedOff {
        /// Where to switch it on.
        hint: Option<String>,
    },
    /// Something else.
    Differs {
        /// By what.
        place: String,
        /// What differs, and what to do.
        hint: Option<String>,
        /// Whether what it starts is not there.
        is_gone: bool,
    },
    /// It could not be found out.
    Unknown {
        /// Why.
        cause: String,
    },
}

/// The single-instance lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Somebody has it.
    Held,
    /// Nobody has.
    Free,
    /// It cannot be told.
    Unknown,
}

/// The record of who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// There is none.
    Absent,
    /// It is not a record.
    Garbled,
    /// It is one.
    Of {
        /// The process that wrote it.
        pid: u32,
        /// Whether this user did.
        is_ours: bool,
    },
}

/// The state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    /// Where it is, or will be.
    pub path: String,
    /// What is there.
    pub found: StateFound,
}

/// What is at the state folder's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFound {
    /// Nothing.
    Missing {
        /// Whether the first run can make it.
        can_be_made: bool,
    },
    /// Something else.
    NotAFolder,
    /// It cannot be looked at.
    Unreadable {
        /// The system's word.
        cause: String,
    },
    /// A folder.
    Folder {
        /// The permission bits, where there are such.
        mode: Option<u32>,
        /// Whether it is this user's.
        is_ours: bool,
        /// Whether this user may write to it.
        is_writable: bool,
        /// How many bytes are free, if the system tells.
        free: Option<u64>,
    },
}

/// All checks, in the order in which to mend them.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = reading::checks(facts);
    checks.extend(showing::checks(facts));
    checks.extend(standing::checks(facts));
    checks
}

/// Whether nothing has to be mended.
pub fn is_healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != Grade::Failure)
}

fn state_of(severity: Severity) -> Grade {
    match severity {
        Severity::Error => Grade::Failure,
        Severity::Warning => Grade::Warning,
    }
}
