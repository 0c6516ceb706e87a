//! The messages of `tap` to the daemon: one line per update, over a connection that stays open.
//!
//! ```text
//! > {"protocol":1,"version":"0.1.0","verb":"tap"}
//! < {"protocol":1,"version":"0.1.0","ok":true}
//! > {"agent":"codex","session":"…","turn_open":true,"usage":{…},"events":[…]}
//! ```
//!
//! A line has the whole state of a session, and the usage events that no earlier line had. The session ends with the
//! connection, or with a line of another session. Every value is checked here: names and numbers are bounded, and no
//! time is later than now. How names look on a card is decided there, as with files.
//! Read next: `src/host/taps.rs`, which makes updates of them; [`crate::cmd::tap`], which sends them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::LONGEST_REQUEST;
use crate::core::activity::Activity;
use crate::core::file::{FileUpdate, Skipped};
use crate::core::limits::Snapshot;
use crate::core::session::{Context, Model, Session, UsageEvent, Work};
use crate::core::source::Agent;
use crate::core::source::{Doing, Surface};
use crate::core::usage::Usage;

/// The most usage events in one line.
pub const EVENTS: usize = 64;

/// The most families of limits in one line.
const FAMILIES: usize = 16;

/// The longest name, and the longest path of a folder, in bytes.
const LONGEST_NAME: usize = 256;
const LONGEST_PATH: usize = 4096;

/// The most folders in one line besides the working folder.
const FOLDERS: usize = 8;

/// The shortest time between two lines. A faster client waits.
const PACE: Duration = Duration::from_millis(5);

/// One session, as its agent prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tapped {
    /// The agent.
    pub agent: Agent,
    /// The agent's own id.
    pub session: String,
    /// The working folder, for the privacy rules; only its last name is ever shown.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The other folders that it worked in, or may work in.
    #[serde(default)]
    pub been: Vec<String>,
    /// Whether there may be others, which are not in the line.
    #[serde(default)]
    pub lost: bool,
    /// The model, as the agent names it.
    #[serde(default)]
    pub model: Option<String>,
    /// The reasoning effort, as the agent names it.
    #[serde(default)]
    pub effort: Option<String>,
    /// When the session began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// The time of the newest line.
    #[serde(default)]
    pub last_event_at: Option<Timestamp>,
    /// The time of the newest change of tokens.
    #[serde(default)]
    pub last_usage_at: Option<Timestamp>,
    /// The current turn, by the agent's own id.
    #[serde(default)]
    pub turn: Option<String>,
    /// Whether a turn has begun and not ended.
    #[serde(default)]
    pub turn_open: bool,
    /// The activity of the running tool.
    #[serde(default)]
    pub activity: Option<Activity>,
    /// The name of the tool's file.
    #[serde(default)]
    pub file: Option<String>,
    /// The token figures.
    #[serde(default)]
    pub usage: Usage,
    /// The use of the context window.
    #[serde(default)]
    pub context: Option<Context>,
    /// Usage events in order, which no earlier line had.
    #[serde(default)]
    pub events: Vec<UsageEvent>,
    /// The agent's home folder, which identifies the account.
    #[serde(default)]
    pub home: Option<String>,
    /// The newest limits of each family.
    #[serde(default)]
    pub limits: Vec<Snapshot>,
    /// Until when a limit of the account is reached.
    #[serde(default)]
    pub limited_until: Option<Timestamp>,
}

impl From<FileUpdate> for Tapped {
    fn from(update: FileUpdate) -> Self {
        let FileUpdate { mut session, usage: events, limits, .. } = update;
        // Folders beyond the bound are left out. Then every hiding rule may apply.
        session.has_unlisted_folders |= session.other_folders.len() > FOLDERS;
        session.other_folders.truncate(FOLDERS);
        let limited_until = session.work.limited_until.map(|until| *until);
        let doing = session.work.calls.last().map(|(_, doing)| doing.clone());
        let doing = doing.or_else(|| session.work.just_done.map(|done| done.1));
        let text = |text: Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            agent: session.agent,
            session: session.id,
            cwd: text(session.cwd),
            been: session.other_folders.iter().map(|folder| (**folder).to_owned()).collect(),
            lost: session.has_unlisted_folders,
            model: text(session.model.name.clone()),
            effort: text(session.model.effort.clone()),
            started_at: session.started_at,
            last_event_at: session.last_event_at,
            last_usage_at: session.last_token_event_at,
            turn: session.turn.map(String::from),
            turn_open: session.work.turn_open,
            activity: doing.as_ref().map(|doing| doing.activity),
            file: doing.and_then(|doing| doing.file),
            usage: session.usage,
            context: session.context,
            events,
            home: Some(session.home.as_ref().to_owned()).filter(|home| !home.is_empty()),
            limits,
            limited_until,
        }
    }
}

impl Tapped {
    /// Parses one line; `None` if it is not an update, or has values that no agent gives.
    pub fn parse(line: &[u8], now: Timestamp) -> Option<Self> {
        let mut tapped: Self = serde_json::from_slice(line).ok()?;
        tapped.is_plausible().then(|| {
            tapped.limit_times(now);
            tapped
        })
    }

    /// The state without its usage events.
    pub fn clone_without_events(&self) -> Self {
        Self { events: Vec::new(), ..self.clone() }
    }

    /// Whether both are of the same session.
    pub fn is_of(&self, other: &Self) -> bool {
        self.agent == other.agent && self.session == other.session
    }

    /// The update that a file with the same content would give.
    pub fn into_update(self, home: Arc<str>) -> FileUpdate {
        let doing = self.activity.map(|activity| (None, Doing { activity, file: self.file }));
        let work = Work {
            turn_open: self.turn_open,
            calls: Vec::from_iter(doing),
            limited_until: self.limited_until.map(Box::new),
            ..Work::default()
        };
        let own = |report| Snapshot {
            agent: self.agent,
            home: Arc::clone(&home),
            source_session: Some(self.session.clone()),
            ..report
        };
        let limits = self.limits.into_iter().map(|mut report| {
            report.first = report.first.map(|first| Box::new(own(*first)));
            own(report)
        });
        let limits = limits.collect();
        FileUpdate {
            session: Session {
                surface: Surface::Exec,
                cwd: self.cwd.map(Arc::from),
                other_folders: self.been.into_iter().map(Arc::from).collect(),
                has_unlisted_folders: self.lost,
                model: Arc::new(Model {
                    name: self.model.map(Arc::from),
                    effort: self.effort.map(Arc::from),
                    service_tier: None,
                }),
                started_at: self.started_at,
                timer_from: self.started_at,
                last_event_at: self.last_event_at,
                last_token_event_at: self.last_usage_at,
                turn: self.turn.map(String::into_boxed_str),
                usage: self.usage,
                context: self.context,
                work,
                ..Session::new(self.agent, self.session, home)
            },
            usage: self.events,
            limits,
            skipped: Skipped::default(),
            first: false,
        }
    }

    fn is_plausible(&self) -> bool {
        let is_id = |id: &str| {
            (1..=LONGEST_NAME).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let calls = self.events.iter().filter_map(|event| event.call.as_ref());
        let of_calls = calls.flat_map(|call| [&call.model, &call.finish_reason]);
        let turns = self.events.iter().map(|event| &event.turn);
        let of_limits = self.limits.iter().flat_map(|limits| [&limits.name, &limits.plan]);
        let mut names = [&self.model, &self.effort, &self.turn, &self.file]
            .into_iter()
            .chain(of_calls)
            .chain(turns)
            .chain(of_limits);
        let is_name = |name: &String| name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
        let is_path = |path: &String| path.len() <= LONGEST_PATH;
        is_id(&self.session)
            && self.events.len() <= EVENTS
            && self.cwd.iter().chain(&self.been).all(|folder| folder.len() <= LONGEST_PATH)
            && self.limits.len() <= FAMILIES
            && self.home.as_ref().is_none_or(|home| is_path(home) && !home.chars().any(char::is_control))
            && names.all(|name| name.as_ref().is_none_or(is_name))
    }

    fn limit_times(&mut self, now: Timestamp) {
        for at in [&mut self.started_at, &mut self.last_event_at, &mut self.last_usage_at] {
            *at = at.map(|at| at.min(now));
        }
        // The line itself came now.
        self.last_event_at = self.last_event_at.or(Some(now));
        for event in &mut self.events {
            event.at = event.at.min(now);
        }
        for limits in &mut self.limits {
            limits.not_after(now);
        }
    }
}

/// A message of a connection to the loop.
#[derive(Debug)]
pub struct TapReport {
    /// The connection's number.
    pub connection: u64,
    /// The update; `None` when the connection has ended.
    pub tapped: Option<Box<Tapped>>,
}

/// Reads a connection's lines and passes them to the loop.
#[derive(Debug)]
pub struct TapReceiver {
    connection: u64,
    sender: mpsc::Sender<TapReport>,
}

impl TapReceiver {
    /// A receiver for this connection.
    pub fn new(connection: u64, sender: mpsc::Sender<TapReport>) -> Self {
        Self { connection, sender }
    }

    /// Reads until the end of the connection, or until a line is not an update.
    pub(super) async fn run(self, mut stream: impl AsyncRead + Unpin, now: impl Fn() -> Timestamp) {
        let mut pending = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            while let Some(end) = memchr::memchr(b'\n', &pending) {
                let rest = pending.split_off(end + 1);
                let line = std::mem::replace(&mut pending, rest);
                let Some(tapped) = Tapped::parse(&line, now()) else {
                    tracing::info!("dropped a `tap` connection: invalid update");
                    return self.end().await;
                };
                if !self.send(Some(Box::new(tapped))).await {
                    return;
                }
                tokio::time::sleep(PACE).await;
            }
            let length = stream.read(&mut chunk).await.unwrap_or(0);
            pending.extend_from_slice(chunk.get(..length).unwrap_or_default());
            if length == 0 || pending.len() > LONGEST_REQUEST + chunk.len() {
                return self.end().await;
            }
        }
    }

    async fn end(self) {
        self.send(None).await;
    }

    async fn send(&self, tapped: Option<Box<Tapped>>) -> bool {
        self.sender.send(TapReport { connection: self.connection, tapped }).await.is_ok()
    }
}
