//! One line of an agent's session file → facts. Foreign JSON ends here.
//!
//! What there is to know of an agent is its row, [`Spec`]: a new agent is one folder here, its place in [`Agent::ALL`], and
//! one folder of fixtures.

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
pub use spec::{Agent, Cached, Learnt, Limits, Spec, Stream};
pub use times::{first_time, line_time, uuid7_time};

use std::num::NonZeroU64;
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::activity::Activity;
use crate::core::limits::{Snapshot, Window};
use crate::core::usage::Tokens;

/// What one line says, in our words. Nothing of a conversation's content is in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Who the file belongs to, or whose history was copied into it.
    Meta(Box<Meta>),
    /// What the coming model requests are made with.
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
        /// When it began, in seconds, where that is told beside the line's own time.
        started_at: Option<u64>,
        /// The model's context window in tokens.
        window: Option<u64>,
    },
    /// A turn is over, however it ended.
    TurnEnded,
    /// The user's prompt: where turns are not recorded, one begins here.
    Prompt,
    /// The agent's own words to the user: where turns are not recorded, one may have ended here.
    Reply,
    /// The agent's running counters and limits.
    Count(Box<Count>),
    /// Limits that are told beside counters.
    Limits(Box<LimitsFact>),
    /// One model response's own usage.
    Response {
        /// The session it belongs to.
        thread: Option<String>,
        /// Identifies the response.
        response: Option<String>,
        /// What it used.
        usage: Counters,
        /// The whole thread's usage with it.
        total: Option<Counters>,
    },
    /// A tool is running from here on.
    CallStarted {
        /// Pairs it with its end.
        call: Option<String>,
        /// What it does.
        doing: Doing,
    },
    /// A tool is done.
    CallEnded {
        /// Pairs it with its start.
        call: Option<String>,
    },
    /// Something was done that is recorded only afterwards.
    Done(Doing),
    /// Where the agent works now.
    Place {
        /// The working folder.
        cwd: Option<String>,
        /// The git branch.
        branch: Option<String>,
    },
    /// What one message of the model has used so far.
    Message(Box<Message>),
    /// What the whole session has spent so far by the agent's own account, sub-agents included.
    Spent(Tokens),
    /// A process begins to write: the agent's accounts of it are of its own.
    Run,
    /// What one call used, by the agent's database. Lines may tell of the same call.
    Stored(Box<Message>),
    /// A call of the model of which nothing is told but, at best, its output.
    Untold(u64),
    /// The model answers: its turn is open, and whatever limit was reached is over.
    Working,
    /// The turn may be over here; nothing says so.
    MaybeEnded,
    /// Where the history was copied from, as a later line than the first one shows.
    Forked {
        /// The session.
        from: String,
        /// As in [`Meta`].
        only_named: bool,
    },
    /// What was copied ends here: the session began now.
    Begun(Timestamp),
    /// The session in which the conversation goes on.
    ContinuedIn(String),
    /// The session that the process which writes began with, `None` for this one.
    Process(Option<String>),
    /// Helpers go on after the end of the turn that started them.
    HelpersPending,
    /// A permission, an answer or another decision of the user's is awaited (true), or none is any more.
    UserAwaited(bool),
    /// A command that the user runs, and not the agent, begins (true) or is done.
    UserCommand(bool),
    /// A request was refused because a limit of the account was reached.
    LimitReached {
        /// Until when, where that is told.
        until: Option<Timestamp>,
        /// The window that has nothing left, where that is told.
        limits: Option<Box<LimitsFact>>,
    },
    /// The context was replaced by a summary of it, of so many tokens.
    Compacted(Option<u64>),
    /// One line says several things, in this order.
    Several(Vec<Fact>),
    /// The same of a line that was copied from another session. It happened there: it is no sign of life here.
    History(Vec<Fact>),
    /// A sign of life that says nothing else.
    Alive,
}

/// The call of a model that used tokens, as far as the source tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Call {
    /// The model, as the agent names it.
    pub model: Option<String>,
    /// Why the model stopped, in the provider's own word.
    pub finish_reason: Option<String>,
}

impl Call {
    /// A call of which something is known.
    pub fn known(self) -> Option<Self> {
        (self.model.is_some() || self.finish_reason.is_some()).then_some(self)
    }
}

/// What one message of the model has used so far, where an agent writes usage by message and not in running totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Identifies the message in every file that has a copy of it.
    pub id: u128,
    /// What else the line says of the response that it is of.
    pub response: Response,
    /// What it used.
    pub tokens: Tokens,
    /// Whether it is of the conversation itself and not of a helper's that is written into the same file.
    pub main: bool,
    /// Whether it is beside the conversation: it adds to the total, and is no part of the turn.
    pub is_aside: bool,
    /// Whether the line says that it was copied from another file.
    pub copied: bool,
    /// Whether it is written again in place, so that what it says last counts.
    pub replaces: bool,
    /// Whether the agent's version is known to write less than was used.
    pub at_least: bool,
    /// How full the context was, where the message is of the session's own.
    pub context: Option<u64>,
    /// The model's context window in tokens.
    pub window: Option<u64>,
    /// The call that the message came from.
    pub call: Option<Call>,
}

impl Message {
    /// One of the conversation's own, of which nothing else is told.
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

/// What tells two responses apart that have one message id: some gateways give every response the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Response {
    /// Identifies its request, where the line names one.
    pub request: Option<NonZeroU64>,
    /// Identifies its input by size, fresh and cached.
    pub input: u64,
    /// How many prompts and results stand before it in its file.
    pub step: u32,
}

impl Response {
    /// What a copy of a line shares with it: its request, or its input's size.
    pub fn marks(&self) -> impl Iterator<Item = u64> + use<> {
        self.request.map(NonZeroU64::get).into_iter().chain([self.input])
    }

    /// Whether `other`, of the same id in the same file, is the same response. All lines of one have the same request
    /// and, as a rule, the same input.
    pub fn is(&self, other: &Self) -> bool {
        match (self.request, other.request) {
            (Some(one), Some(other)) => one == other,
            _ => self.input == other.input || self.step == other.step,
        }
    }
}

/// What a tool does, for the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doing {
    /// The kind of work.
    pub activity: Activity,
    /// The name of the file it is about, without its folder.
    pub file: Option<String>,
}

impl Doing {
    /// Work that is not about one file.
    pub fn plain(activity: Activity) -> Self {
        Self { activity, file: None }
    }
}

/// Who a session is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta {
    /// The agent's own id.
    pub id: String,
    /// When the session began.
    pub started_at: Option<Timestamp>,
    /// When the file was begun, where its copies say the same.
    pub file_begun_at: Option<Timestamp>,
    /// The working folder.
    pub cwd: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
    /// How the user reaches the agent.
    pub surface: Surface,
    /// Whether a person talks to this session directly.
    pub visible: bool,
    /// The session that this one was started by.
    pub parent: Option<String>,
    /// The session whose history this one begins with.
    pub forked_from: Option<String>,
    /// Whether this session was started by another one.
    pub subagent: bool,
    /// Whether the history is kept in another file, so that nothing is copied into this one.
    pub history_elsewhere: bool,
    /// The first line number that is this session's own.
    pub own_from_ordinal: Option<u64>,
    /// Whether nothing but the lines' own session says that it was copied from that one.
    pub only_named: bool,
    /// Identifies the first line, in every file that has a copy of it.
    pub first_line: Option<String>,
    /// Whether the file was begun after its first line was written, so that this was copied.
    pub late: bool,
    /// Whether the first line goes on from another one that is not here.
    pub midway: bool,
}

/// How the user reaches the agent.
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
    /// The file does not say.
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

/// One family of limits as an event gives it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LimitsFact {
    /// Limit id.
    pub family: String,
    /// The family's name for people.
    pub name: Option<String>,
    /// The account's plan.
    pub plan: Option<String>,
    /// Whether the event says that the limit was reached.
    pub reached: bool,
    /// The windows, shortest first. Empty when the account has none.
    pub windows: Vec<Window>,
    /// When it was learnt, where that is known better than by the event's own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt_at: Option<Timestamp>,
    /// Whether a response told it just then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// As in [`Snapshot`], where it is kept from one event to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fell_at: Option<Timestamp>,
}

impl LimitsFact {
    /// As a word of its session, learnt at `at` unless it says better.
    pub fn word(
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
