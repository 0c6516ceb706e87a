//! Turns one line of an agent's session file into facts. No later step depends on an agent's JSON.
//!
//! Everything specific to an agent is in its row, [`Spec`]. A new agent is one folder here, its place in
//! [`Agent::ALL`], and one folder of fixtures.

pub mod claude;
pub mod codex;
pub mod command;
pub mod copilot;
pub mod database;
pub mod gemini;
pub mod layout;
pub mod ledger;
pub mod listener;
pub mod opencode;
pub mod pi;
pub mod qwen;
pub mod relatives;

mod counters;
mod lenient;
mod parser;
mod parts;
mod spec;
mod times;
mod value;

pub use counters::Counters;
pub use parser::{Parsed, Parser, read_line, recognise, recognise_of};
pub use spec::{Agent, Cached, Limits, ObservedLimits, Spec, Stream};
pub use times::{first_time, line_time, uuid7_time};

use std::num::NonZeroU64;
use std::sync::Arc;

use jiff::Timestamp;

use crate::activity::Activity;
use crate::limits::{Snapshot, Window};
use crate::usage::Tokens;

/// The meaning of one line, independent of the agent. It contains nothing of a conversation's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The session of the file, or of the history that was copied into it.
    Meta(Box<Meta>),
    /// The settings of the next model requests.
    Context {
        /// The model, as the agent names it.
        model: Option<String>,
        /// The reasoning effort, as the agent names it.
        effort: Option<String>,
        /// The working folder.
        cwd: Option<String>,
    },
    /// The service tier was set, `None` for the default one.
    Tier(Option<String>),
    /// A turn begins.
    TurnStarted {
        /// The agent's own id of the turn.
        turn: Option<String>,
        /// When it began, in seconds, if the line has this time besides its own.
        started_at: Option<u64>,
        /// The model's context window in tokens.
        window: Option<u64>,
    },
    /// A turn is over, for any reason.
    TurnEnded,
    /// The user's prompt: if turns are not recorded, one begins here.
    Prompt,
    /// The agent's text for the user: if turns are not recorded, one may have ended here.
    Reply,
    /// The agent's running counters and limits.
    Count(Box<Count>),
    /// Limits without counters.
    Limits(Box<LimitsFact>),
    /// One model response's own usage.
    Response {
        /// The session it belongs to.
        thread: Option<String>,
        /// The id of the response.
        response: Option<String>,
        /// Its tokens.
        usage: Counters,
        /// The whole thread's tokens, with this response.
        total: Option<Counters>,
    },
    /// A tool starts.
    CallStarted {
        /// Matches the id of its end.
        call: Option<String>,
        /// The work of the tool.
        doing: Doing,
    },
    /// A tool is done.
    CallEnded {
        /// Matches the id of its start.
        call: Option<String>,
    },
    /// An action that is recorded only at its end.
    Done(Doing),
    /// The folder in which the agent works now.
    Place {
        /// The working folder.
        cwd: Option<String>,
        /// The git branch.
        branch: Option<String>,
    },
    /// The tokens of one message of the model so far.
    Message(Box<Message>),
    /// The tokens of the whole session so far, by the agent's own account, sub-agents included.
    Spent(Tokens),
    /// A process begins to write: the agent's accounts start again for it.
    Run,
    /// The tokens of one call, from the agent's database. Lines may contain the same call.
    Stored(Box<Message>),
    /// A call of the model of which at most the output is known.
    Untold(u64),
    /// The model answers: its turn is open, and an earlier limit is over.
    Working,
    /// The turn may be over here; no line records it.
    MaybeEnded,
    /// The session from which the history was copied, known from a later line than the first.
    Forked {
        /// The session.
        from: String,
        /// As in [`Meta`].
        only_named: bool,
    },
    /// The end of the copied history: the session began now.
    Begun(Timestamp),
    /// The session that continues the conversation.
    ContinuedIn(String),
    /// The session that the writing process began with; `None` if it is this one.
    Process(Option<String>),
    /// Helpers continue after the end of the turn that started them.
    HelpersPending,
    /// The agent awaits a permission, an answer or another decision of the user (true), or no longer does.
    UserAwaited(bool),
    /// A command of the user, not of the agent, starts (true) or ends.
    UserCommand(bool),
    /// A request was refused because a limit of the account was reached.
    LimitReached {
        /// The end of the limit, if the line has it.
        until: Option<Timestamp>,
        /// The window that is used up, if the line names it.
        limits: Option<Box<LimitsFact>>,
    },
    /// The context was replaced by a summary with this many tokens.
    Compacted(Option<u64>),
    /// Several facts of one line, in this order.
    Several(Vec<Fact>),
    /// The facts of a line that was copied from another session. They are no sign of life of this one.
    History(Vec<Fact>),
    /// A sign of life without further meaning.
    Alive,
}

/// The model call that used tokens, as far as the source describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Call {
    /// The model, as the agent names it.
    pub model: Option<String>,
    /// Why the model stopped, as the provider names it.
    pub finish_reason: Option<String>,
}

impl Call {
    /// The call, if something is known of it.
    pub fn known(self) -> Option<Self> {
        (self.model.is_some() || self.finish_reason.is_some()).then_some(self)
    }
}

/// The tokens of one message of the model so far, for agents that record usage by message instead of running totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id of the message, equal in every file that has a copy of it.
    pub id: u128,
    /// What the line shows of its response.
    pub response: Response,
    /// The tokens it used.
    pub tokens: Tokens,
    /// Whether it belongs to the conversation itself, not to a helper in the same file.
    pub main: bool,
    /// Whether it is outside of the conversation: it adds to the total, but is not part of the turn.
    pub is_aside: bool,
    /// Whether the line states that it was copied from another file.
    pub copied: bool,
    /// Whether it is rewritten in place, so that its last form counts.
    pub replaces: bool,
    /// Whether the agent's version is known to record less than was used.
    pub at_least: bool,
    /// How full the context was, if the message belongs to the session itself.
    pub context: Option<u64>,
    /// The model's context window in tokens.
    pub window: Option<u64>,
    /// The call that the message came from.
    pub call: Option<Call>,
}

impl Message {
    /// A message of the conversation itself, with nothing else known.
    pub fn of(id: u128, tokens: Tokens) -> Self {
        Self {
            id,
            response: Response { input: tokens.fresh_input(), ..Response::default() },
            tokens,
            main: true,
            is_aside: false,
            copied: false,
            replaces: false,
            at_least: false,
            context: None,
            window: None,
            call: None,
        }
    }
}

/// Distinguishes responses with the same message id: some gateways give every response the same id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Response {
    /// The request, if the line names it.
    pub request: Option<NonZeroU64>,
    /// The size of its input, fresh and cached.
    pub input: u64,
    /// The number of prompts and results before it in its file.
    pub step: u32,
}

impl Response {
    /// The marks that a copy of a line shares with it: its request, or its input's size.
    pub fn marks(&self) -> impl Iterator<Item = u64> + use<> {
        self.request.map(NonZeroU64::get).into_iter().chain([self.input])
    }

    /// Whether `other`, with the same id in the same file, is the same response. All lines of one response have the
    /// same request and, as a rule, the same input.
    pub fn is(&self, other: &Self) -> bool {
        match (self.request, other.request) {
            (Some(one), Some(other)) => one == other,
            _ => self.input == other.input || self.step == other.step,
        }
    }
}

/// The work of a tool, for the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doing {
    /// The kind of work.
    pub activity: Activity,
    /// The name of its file, without the folder.
    pub file: Option<String>,
}

impl Doing {
    /// Work without a single file.
    pub fn plain(activity: Activity) -> Self {
        Self { activity, file: None }
    }
}

/// The description of a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta {
    /// The agent's own id.
    pub id: String,
    /// When the session began.
    pub started_at: Option<Timestamp>,
    /// When the file was begun, if its copies give the same time.
    pub file_begun_at: Option<Timestamp>,
    /// The working folder.
    pub cwd: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
    /// How the user runs the agent.
    pub surface: Surface,
    /// Whether a person talks to this session directly.
    pub visible: bool,
    /// The session that started this one.
    pub parent: Option<String>,
    /// The session whose history is copied at its beginning.
    pub forked_from: Option<String>,
    /// Whether this session was started by another one.
    pub subagent: bool,
    /// Whether its history is in another file, so that nothing is copied into this one.
    pub history_elsewhere: bool,
    /// The line number of the session's first own line.
    pub own_from_ordinal: Option<u64>,
    /// Whether only the lines' own session id shows that it was copied from that one.
    pub only_named: bool,
    /// The id of the first line, equal in every file that has a copy of it.
    pub first_line: Option<String>,
    /// Whether the file was begun after its first line was written, which shows that the line was copied.
    pub late: bool,
    /// Whether the first line continues another one that is not in the file.
    pub midway: bool,
}

/// How the user runs the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// In a terminal.
    Cli,
    /// In VS Code.
    Vscode,
    /// In the desktop app.
    Desktop,
    /// As a one-shot command.
    Exec,
    /// From a program.
    Sdk,
    /// Not in the file.
    #[default]
    Unknown,
}

/// One event with running counters and limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    /// The counters, where the event has them.
    pub info: Option<CountInfo>,
    /// The limits, where the event has them.
    pub limits: Option<LimitsFact>,
}

/// Running counters of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountInfo {
    /// The whole thread so far, history it was forked with included.
    pub total: Counters,
    /// The last response alone.
    pub last: Option<Counters>,
    /// The model's context window in tokens.
    pub window: Option<u64>,
}

/// One family of limits, as an event contains it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LimitsFact {
    /// Limit id.
    pub family: String,
    /// The family's display name.
    pub name: Option<String>,
    /// The account's plan.
    pub plan: Option<String>,
    /// Whether the event shows that the limit was reached.
    pub reached: bool,
    /// The windows, shortest first. Empty when the account has none.
    pub windows: Vec<Window>,
    /// When it was observed, if that is known more exactly than by the event's own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt_at: Option<Timestamp>,
    /// Whether a response brought it at that time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// As in [`Snapshot`], if it is kept from one event to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fell_at: Option<Timestamp>,
}

impl LimitsFact {
    /// As a report of its session, observed at `at` unless it has its own time.
    pub fn report(
        self,
        agent: Agent,
        home: &Arc<str>,
        at: Timestamp,
        source_session: Option<String>,
    ) -> Snapshot {
        let Self { family, name, plan, windows, learnt_at, fresh, fell_at, reached: _ } = self;
        Snapshot {
            agent,
            home: Arc::clone(home),
            family,
            name,
            plan,
            observed_at: learnt_at.unwrap_or(at),
            source_session,
            windows,
            since: None,
            fresh,
            fell_at,
            first: None,
            refusal: false,
        }
    }
}
