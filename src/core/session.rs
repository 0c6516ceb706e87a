//! One conversation of an agent, as its files describe it.
//!
//! A [`Session`] is plain data: the facts, with the times at which they were observed. Questions about *now* (what
//! the agent is doing, whether it is still at work) have the time as an argument.
//! Read next: [`crate::roster`], which chooses among sessions.

mod context;
mod far;
mod folders;
mod new;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::activity::Activity;
use crate::register::{Registration, Status};
use crate::roster::HelperWork;
use crate::source::Agent;
use crate::source::{Call, Doing, Surface};
use crate::time::later;
use crate::usage::{Tokens, Usage};

pub use context::Context;
pub use far::Far;

/// How long a tool may run without a line before it counts as dead. Builds and tests write nothing for a while.
pub const CALL_SILENCE: Duration = Duration::from_secs(30 * 60);

/// How long a turn may be silent without an open call. While a model streams, nothing is written.
pub const TURN_SILENCE: Duration = Duration::from_secs(10 * 60);

/// If the end of a turn is not recorded (Codex before 0.100), how long after the agent's last text it is over.
pub const REPLY_QUIET: Duration = Duration::from_secs(30);

/// How long an action is still shown that is recorded only at its end.
pub const JUST_DONE: Duration = Duration::from_secs(5);

/// A register's message about a turn's end is at most this much later.
const REGISTER_LAG: Duration = Duration::from_secs(5);

/// After a gap of this length the card's timer starts again.
pub const TIMER_GAP: Duration = Duration::from_secs(6 * 3600);

/// One conversation of an agent, identified by the agent's own id. Values that many sessions have in common are
/// shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// The agent.
    pub agent: Agent,
    /// The agent's own id.
    pub id: String,
    /// The home folder it was found in, as configured.
    pub home: Arc<str>,
    /// How the user runs it.
    pub surface: Surface,
    /// Whether it may be on a card: not a sub-agent, review or memory run.
    pub visible: bool,
    /// The session that started this one.
    pub parent: Option<Arc<str>>,
    /// The session whose history is copied at its beginning.
    pub forked_from: Option<Arc<str>>,
    /// The session that its process began with, if that was another one.
    pub process: Option<Arc<str>>,
    /// The working folder. Only its last name is ever shown; privacy rules match the whole path.
    pub cwd: Option<Arc<str>>,
    /// Other folders that it worked in, for the privacy rules.
    pub other_folders: Vec<Arc<str>>,
    /// Whether it may have worked in further folders that are not listed.
    pub has_unlisted_folders: bool,
    /// The git branch.
    pub branch: Option<Arc<str>>,
    /// The model in use.
    pub model: Arc<Model>,
    /// When this file of the session was begun, if its copies give the same time.
    pub file_begun_at: Option<Timestamp>,
    /// The part of the total that the session had used before this file, by its counters.
    pub used_before: Option<Box<Tokens>>,
    /// When the session began.
    pub started_at: Option<Timestamp>,
    /// The start of the card's timer: the session's start, or the first event after a long gap.
    pub timer_from: Option<Timestamp>,
    /// The time of the newest line.
    pub last_event_at: Option<Timestamp>,
    /// The time of the newest line that changed the tokens.
    pub last_token_event_at: Option<Timestamp>,
    /// The current turn, by the agent's own id.
    pub turn: Option<Box<str>>,
    /// The token figures.
    pub usage: Usage,
    /// Whether the total is provisional because the file has not been read whole yet.
    pub counting: bool,
    /// Whether more was used than the agent's version records.
    pub lower_bound: bool,
    /// Whether its figures are as found at the start, without an event since. Set by the engine.
    pub restored: bool,
    /// How full the context window is.
    pub context: Option<Context>,
    /// Tokens in the context window, if its size is not in the file.
    pub context_used: Option<u64>,
    /// What the agent is doing.
    pub work: Work,
    /// Whether no more will come, because the session's stream has ended.
    pub has_ended: bool,
    /// The work of its sub-agents. Set by [`crate::roster`], because it is not in the session's own file.
    pub helpers: Option<Box<HelperWork>>,
    /// The session's entry in the agent's register of running processes. Set by [`crate::register`].
    pub registration: Option<Box<Registration>>,
    /// Its remote, if its files are on another machine.
    pub far: Option<Box<Far>>,
}

/// A model and its settings, in the agent's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Model {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// The reasoning effort.
    pub effort: Option<Arc<str>>,
    /// The service tier, where one was chosen.
    pub service_tier: Option<Arc<str>>,
}

/// The current work, as the session's lines describe it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Whether a turn has begun and not ended.
    pub turn_open: bool,
    /// When the newest turn ended; `None` while one is open.
    pub ended_at: Option<Timestamp>,
    /// Whether helpers go on, by the line that ended the turn.
    pub helpers_pending: bool,
    /// Whether a command of the user runs outside of any turn.
    pub user_command: bool,
    /// Whether the agent awaits a decision of the user, by its lines.
    pub user_awaited: bool,
    /// Whether the agent has written text since the turn began, if the ends of turns are not recorded.
    pub may_be_over: bool,
    /// The running tools, oldest first, with the agent's ids.
    pub calls: Vec<(Option<String>, Doing)>,
    /// The last action, if only its end is recorded.
    pub just_done: Option<Box<(Timestamp, Doing)>>,
    /// When the account's limit ends, as far as known.
    pub limited_until: Option<Box<Timestamp>>,
}

impl Session {
    /// The key of this session among those of all agents.
    pub fn key(&self) -> (Agent, &str) {
        (self.agent, &self.id)
    }

    /// Moves times after `wall` to `wall`. Such times are from before the clock was set back, and would keep the
    /// session alive until the clock reaches them again.
    pub fn not_after(&mut self, wall: Timestamp) {
        self.last_event_at = self.last_event_at.map(|at| at.min(wall));
        if let Some(done) = &mut self.work.just_done {
            done.0 = wall.min(done.0);
        }
        self.work.ended_at = self.work.ended_at.map(|at| at.min(wall));
        if let Some(far) = self.far.as_deref_mut() {
            far.vouched_at = far.vouched_at.map(|at| at.min(wall));
        }
    }

    /// Until when the session counts as at work if no more lines come; `None` if its turn is over and no sub-agent
    /// works.
    ///
    /// The work of its sub-agents counts as its own, also after the turn that started them.
    pub fn at_work_until(&self) -> Option<Timestamp> {
        self.own_work_until().max(self.helped_until()).max(self.busy_until())
    }

    /// Until when it is at work itself.
    pub(crate) fn own_work_until(&self) -> Option<Timestamp> {
        self.turn_until().filter(|_| self.is_turn_open())
    }

    /// The same, by its lines alone.
    fn turn_until(&self) -> Option<Timestamp> {
        let patience = if self.work.user_command || !self.work.calls.is_empty() {
            CALL_SILENCE
        } else if !self.work.turn_open {
            return None;
        } else if self.work.may_be_over {
            REPLY_QUIET
        } else {
            TURN_SILENCE
        };
        Some(later(self.alive_at()?, patience))
    }

    /// Until when it counts as at work by its register, if no line has shown work yet.
    fn busy_until(&self) -> Option<Timestamp> {
        let busy_since = self.in_status_since(Status::Busy)?;
        let is_news = self.last_event_at.is_none_or(|last| busy_since > last) && !self.has_ended;
        (is_news && self.awaits_user_since().is_none()).then(|| later(busy_since, TURN_SILENCE))
    }

    /// Until when its sub-agents work for it.
    fn helped_until(&self) -> Option<Timestamp> {
        let until = self.helpers_until().filter(|_| !self.work.user_awaited)?;
        let goes_on = self.is_turn_open()
            || self.turn_until().is_none() && !self.is_closed() && !self.helpers_are_over();
        goes_on.then_some(until)
    }

    /// The same, by its lines and theirs. A sub-agent's line also shows that the turn waiting for it is alive.
    fn helpers_until(&self) -> Option<Timestamp> {
        let helped = self.helpers.as_deref().copied().unwrap_or_default();
        let silent = |since: Option<Timestamp>| since.map(|at| later(at, TURN_SILENCE));
        let Some(ended_at) = self.work.ended_at.filter(|_| !self.work.turn_open) else {
            return helped.at_work_until.max(silent(helped.last_event_at));
        };
        if self.work.helpers_pending {
            // They are done when the agent writes so, which is a moment after the last one ends.
            let since = helped.last_event_at.filter(|at| *at > ended_at);
            return helped.at_work_until.max(silent(since).or(Some(later(ended_at, CALL_SILENCE))));
        }
        // Sub-agents that end with a turn write no last line.
        if self.in_status_since(Status::Busy).is_some() { helped.at_work_until } else { helped.outlive_until }
    }

    /// The work of its sub-agents, while it counts as the session's own.
    fn help(&self) -> Option<HelperWork> {
        self.helpers.as_deref().copied().filter(|_| self.helped_until().is_some())
    }

    /// Whether the register has reported since their last line that no sub-agent is at work.
    fn helpers_are_over(&self) -> bool {
        let helped_at = self.helpers.as_ref().and_then(|helped| helped.last_event_at);
        let pending_at = self.work.ended_at.filter(|_| self.work.helpers_pending);
        let newest = helped_at.max(pending_at.map(|at| later(at, REGISTER_LAG))).max(self.last_event_at);
        self.awaits_user_since().is_some()
            || self.in_status_since(Status::Idle).is_some_and(|at| Some(at) >= newest)
    }

    /// Since when its register has this status; `None` if it has another one, or none.
    fn in_status_since(&self, wanted: Status) -> Option<Timestamp> {
        let Registration::Open(open) = self.registration.as_deref()? else { return None };
        open.since.filter(|_| open.status == Some(wanted))
    }

    /// Since when the session or one of its sub-agents awaits the user, by its lines or a register.
    pub(crate) fn awaits_user_since(&self) -> Option<Timestamp> {
        let by_lines = self.last_event_at.filter(|_| self.work.user_awaited);
        let by_helpers = self.helpers.as_ref().and_then(|helped| helped.awaits_user_since);
        self.in_status_since(Status::Waiting).max(by_lines).max(by_helpers)
    }

    /// Whether the session has ended.
    fn is_closed(&self) -> bool {
        self.has_ended || matches!(self.registration.as_deref(), Some(Registration::Closed(_)))
    }

    /// Whether a turn is open, or a command of the user runs: by its lines, unless its register has newer
    /// information.
    fn is_turn_open(&self) -> bool {
        let says_otherwise = match self.registration.as_deref() {
            Some(Registration::Open(open)) => match open.status {
                // A line newer than the status belongs to the next turn.
                Some(Status::Idle) => open.since.is_some() && open.since >= self.last_event_at,
                Some(Status::Waiting) => true,
                Some(Status::Busy) | None => false,
            },
            Some(Registration::Closed(_)) | None => false,
        };
        let is_at_work = self.work.turn_open || self.work.user_command;
        is_at_work && !self.is_closed() && !says_otherwise && self.awaits_user_since().is_none()
    }

    /// The time of its newest line or sign of life.
    pub fn freshness(&self) -> Option<Timestamp> {
        self.last_event_at.max(self.help().and_then(|helped| helped.last_event_at))
    }

    /// Whether the agent is at work at `wall`.
    pub fn is_at_work(&self, wall: Timestamp) -> bool {
        self.at_work_until().is_some_and(|until| wall < until)
    }

    /// From when the session is idle: `idle_after` past the last work or line of it and its sub-agents; when it was
    /// closed; or at once if its stream has ended.
    pub fn idle_from(&self, idle_after: Duration) -> Option<Timestamp> {
        if self.has_ended {
            return self.last_event_at;
        }
        // It was at work until its register reported otherwise.
        let worked_until = self.turn_until().max(self.helpers_until());
        let stopped_at =
            self.in_status_since(Status::Idle).zip(worked_until).map(|(at, until)| at.min(until));
        let helped_at = self.helpers.as_ref().and_then(|helped| helped.last_event_at);
        let heard = self.last_event_at.max(helped_at).max(self.awaits_user_since()).max(stopped_at);
        let last = self.at_work_until().max(heard)?;
        let idle_from = later(last, idle_after);
        match self.registration.as_deref() {
            Some(Registration::Closed(at)) => Some(idle_from.min(*at)),
            _ => Some(idle_from),
        }
    }

    /// What the agent is doing at `wall`.
    pub fn doing(&self, wall: Timestamp, idle_after: Duration) -> Doing {
        match self.work_at(wall, idle_after) {
            Ok(doing) => doing.clone(),
            Err(activity) => Doing::plain(activity),
        }
    }

    /// The activity at `wall`, as JSON shows it.
    pub fn activity(&self, wall: Timestamp, idle_after: Duration) -> Activity {
        self.work_at(wall, idle_after).map_or_else(|activity| activity, |doing| doing.activity).listed()
    }

    /// The work that its lines name, else the activity that follows from its state.
    fn work_at(&self, wall: Timestamp, idle_after: Duration) -> Result<&Doing, Activity> {
        if self.idle_from(idle_after).is_none_or(|from| wall >= from) {
            return Err(Activity::Idle);
        }
        if !self.is_at_work(wall) {
            let limited = self.work.limited_until.as_deref().is_some_and(|until| wall < *until);
            return Err(if limited { Activity::LimitReached } else { Activity::Waiting });
        }
        if self.own_work_until().is_none_or(|until| wall >= until) {
            // It is silent itself; its sub-agents are at work, or were just now.
            let helped =
                self.help().and_then(|helped| helped.at_work_until).is_some_and(|until| wall < until);
            let awaited = self.work.helpers_pending && self.helped_until().is_some_and(|until| wall < until);
            return Err(if helped || awaited { Activity::Delegating } else { Activity::Thinking });
        }
        if let Some((_, doing)) = self.work.calls.last() {
            return Ok(doing);
        }
        if self.work.user_command {
            return Err(Activity::Running);
        }
        match self.work.just_done.as_deref() {
            Some((at, doing)) if wall < later(*at, JUST_DONE) => Ok(doing),
            _ => Err(Activity::Thinking),
        }
    }

    /// The next time after `wall` at which [`Self::doing`] changes without an event; `None` once it is idle.
    pub fn next_change(&self, wall: Timestamp, idle_after: Duration) -> Option<Timestamp> {
        let idle_from = self.idle_from(idle_after).filter(|from| *from > wall)?;
        let just_done = self.work.just_done.as_ref().map(|done| later(done.0, JUST_DONE));
        let helped = self.help().and_then(|helped| helped.at_work_until);
        let limited = self.work.limited_until.as_deref().copied();
        let ends = [self.own_work_until(), helped, self.at_work_until(), limited];
        [just_done, Some(idle_from)].into_iter().chain(ends).flatten().filter(|at| *at > wall).min()
    }
}

/// One change of a session's token figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// The time of the change.
    pub at: Timestamp,
    /// The turn, by the agent's own id.
    pub turn: Option<String>,
    /// The session's figures after the event.
    pub usage: Usage,
    /// What this event added; `None` when it announces restored figures.
    pub added: Option<Tokens>,
    /// The model call that it came from, if the source names it.
    pub call: Option<Call>,
    /// Whether no usage line contained it: the agent's own account of the session has more than its lines.
    #[serde(default)]
    pub unlisted: bool,
}
