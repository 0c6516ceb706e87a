//! One conversation of an agent, as its file tells it.
//!
//! A [`Session`] is plain data: what is known, with the times at which it was learnt. What it amounts to *now* (what
//! the agent is doing, whether it is still at work) is asked with the time as an argument.
//! Read next: [`crate::core::roster`], which chooses among sessions.

mod context;
mod far;
mod folders;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::activity::Activity;
use crate::core::register::{Registration, Status};
use crate::core::roster::Helped;
use crate::core::source::Agent;
use crate::core::source::{Call, Doing, Surface};
use crate::core::time::later;
use crate::core::usage::{Tokens, Usage};

pub use context::Context;
pub use far::Far;

/// How long a tool may run without a line before it is taken for dead. Builds and tests are silent.
pub const CALL_SILENCE: Duration = Duration::from_secs(30 * 60);

/// How long a turn may be silent without an open call. While a model streams, nothing is written.
pub const TURN_SILENCE: Duration = Duration::from_secs(10 * 60);

/// Where the end of a turn is not recorded (Codex before 0.100), how long after the agent's last words it is over.
pub const REPLY_QUIET: Duration = Duration::from_secs(30);

/// How long something that is recorded only when it is done is still shown.
pub const JUST_DONE: Duration = Duration::from_secs(5);

/// What a register says of a turn's end is this much later at most.
const REGISTER_LAG: Duration = Duration::from_secs(5);

/// A gap after which the card's timer starts anew.
pub const TIMER_GAP: Duration = Duration::from_secs(6 * 3600);

/// One conversation of an agent, identified by the agent's own id. What many have in common is shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Whose.
    pub agent: Agent,
    /// The agent's own id.
    pub id: String,
    /// The home folder it was found in, as configured.
    pub home: Arc<str>,
    /// How the user reaches it.
    pub surface: Surface,
    /// Whether it may be on a card: not a sub-agent, review or memory run.
    pub visible: bool,
    /// The session that started this one.
    pub parent: Option<Arc<str>>,
    /// The session whose history it began with.
    pub forked_from: Option<Arc<str>>,
    /// The session that its process began with, where that was another one.
    pub process: Option<Arc<str>>,
    /// The working folder. Only its last name is ever shown; privacy rules match the whole.
    pub cwd: Option<Arc<str>>,
    /// The other folders that it worked in, for the privacy rules.
    pub been: Vec<Arc<str>>,
    /// Whether it may have worked in folders that are not among those.
    pub lost: bool,
    /// The git branch.
    pub branch: Option<Arc<str>>,
    /// The model that works in it.
    pub model: Arc<Model>,
    /// When this file of the session was begun, where its copies say the same.
    pub file_begun_at: Option<Timestamp>,
    /// Of the total, what the session had used before this file, as its counters tell.
    pub before: Option<Box<Tokens>>,
    /// When the session began.
    pub started_at: Option<Timestamp>,
    /// From when the card's timer counts: the start, or the first event after a long gap.
    pub timer_from: Option<Timestamp>,
    /// The newest line's own time.
    pub last_event_at: Option<Timestamp>,
    /// The newest line's time that changed the tokens.
    pub last_token_event_at: Option<Timestamp>,
    /// The turn at hand, by the agent's own id.
    pub turn: Option<Box<str>>,
    /// The token figures.
    pub usage: Usage,
    /// Whether the total is provisional because the file has not been read whole yet.
    pub counting: bool,
    /// Whether more was used than the agent's version writes down.
    pub lower_bound: bool,
    /// Whether there are figures and they are as found, with no event since. The engine knows that, no file does.
    pub restored: bool,
    /// How full the context window is.
    pub context: Option<Context>,
    /// Tokens in it, where only its size is not known from the file.
    pub context_used: Option<u64>,
    /// What the agent is doing.
    pub work: Work,
    /// Whether nothing more will come: the stream that told of it has ended.
    pub over: bool,
    /// What its sub-agents are doing. Not in its own file: [`crate::core::roster`] tells.
    pub helped: Option<Box<Helped>>,
    /// What the agent's register of running processes says of it. Not in its file: [`crate::core::register`] tells.
    pub registration: Option<Box<Registration>>,
    /// Where its files are not on this machine.
    pub far: Option<Box<Far>>,
}

/// A model and how it is asked, in the agent's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Model {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// The reasoning effort.
    pub effort: Option<Arc<str>>,
    /// The service tier, where one was chosen.
    pub service_tier: Option<Arc<str>>,
}

/// What a session's lines say of the work at hand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Whether a turn has begun and not ended.
    pub turn_open: bool,
    /// When the newest turn ended; `None` while one is open.
    pub ended_at: Option<Timestamp>,
    /// Whether the end of that turn said that helpers go on.
    pub helpers_pending: bool,
    /// Whether a command of the user's own runs, in no turn.
    pub user_command: bool,
    /// Whether a decision of the user's is awaited, as its lines tell.
    pub user_awaited: bool,
    /// Whether the agent has said something since, where the end of turns is not recorded.
    pub may_be_over: bool,
    /// The tools at work, oldest first, with the agent's ids.
    pub calls: Vec<(Option<String>, Doing)>,
    /// What was done last, where only its end is recorded.
    pub just_done: Option<Box<(Timestamp, Doing)>>,
    /// Until when the account is known to be out of its limit.
    pub limited_until: Option<Box<Timestamp>>,
}

impl Session {
    /// Which of all agents' sessions it is.
    pub fn key(&self) -> (Agent, &str) {
        (self.agent, &self.id)
    }

    /// Nothing was written later than now. Stamps that say so are from before the clock was set back, and would keep
    /// the session alive until it is as late again.
    pub fn not_after(&mut self, wall: Timestamp) {
        self.last_event_at = self.last_event_at.map(|at| at.min(wall));
        if let Some(done) = &mut self.work.just_done {
            done.0 = wall.min(done.0);
        }
        self.work.ended_at = self.work.ended_at.map(|at| at.min(wall));
        if let Some(far) = self.far.as_deref_mut() {
            far.vouched_at = far.vouched_at.map(|at| at.min(wall));
        }
        if let Some(Registration::Open(open)) = self.registration.as_deref_mut() {
            open.since = open.since.map(|at| at.min(wall));
        }
    }

    /// Until when the session counts as at work if nothing more is heard of it; `None` when its turn is over and nobody
    /// works for it.
    ///
    /// The work of its sub-agents is its work, also when they outlive the turn that started them.
    pub fn at_work_until(&self) -> Option<Timestamp> {
        self.own_work_until().max(self.helped_until()).max(self.busy_until())
    }

    /// Until when it is at work itself.
    pub(crate) fn own_work_until(&self) -> Option<Timestamp> {
        self.turn_until().filter(|_| self.is_turn_open())
    }

    /// The same as its lines tell.
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

    /// Until when its register's word is believed that it is at work, where no line has said so yet.
    fn busy_until(&self) -> Option<Timestamp> {
        let busy_since = self.says(Status::Busy)?;
        let is_news = self.last_event_at.is_none_or(|last| busy_since > last) && !self.over;
        (is_news && self.awaits_user_since().is_none()).then(|| later(busy_since, TURN_SILENCE))
    }

    /// Until when its sub-agents are at work for it.
    fn helped_until(&self) -> Option<Timestamp> {
        let until = self.helpers_until().filter(|_| !self.work.user_awaited)?;
        let goes_on = self.is_turn_open()
            || self.turn_until().is_none() && !self.is_closed() && !self.helpers_are_over();
        goes_on.then_some(until)
    }

    /// The same as its lines and theirs tell. A sub-agent's line is also a sign of life of the turn that waits for it.
    fn helpers_until(&self) -> Option<Timestamp> {
        let helped = self.helped.as_deref().copied().unwrap_or_default();
        let silent = |since: Option<Timestamp>| since.map(|at| later(at, TURN_SILENCE));
        let Some(ended_at) = self.work.ended_at.filter(|_| !self.work.turn_open) else {
            return helped.at_work_until.max(silent(helped.last_event_at));
        };
        if self.work.helpers_pending {
            // They are done when the agent says so, which it does a moment after the last one is.
            let since = helped.last_event_at.filter(|at| *at > ended_at);
            return helped.at_work_until.max(silent(since).or(Some(later(ended_at, CALL_SILENCE))));
        }
        // Those that a turn takes with it leave their files as they are.
        if self.says(Status::Busy).is_some() { helped.at_work_until } else { helped.outlive_until }
    }

    /// What its sub-agents are doing, while that is its own work.
    fn help(&self) -> Option<Helped> {
        self.helped.as_deref().copied().filter(|_| self.helped_until().is_some())
    }

    /// Whether its register has said since their last line that nobody is at work.
    fn helpers_are_over(&self) -> bool {
        let helped_at = self.helped.as_ref().and_then(|helped| helped.last_event_at);
        let pending_at = self.work.ended_at.filter(|_| self.work.helpers_pending);
        let newest = helped_at.max(pending_at.map(|at| later(at, REGISTER_LAG))).max(self.last_event_at);
        self.awaits_user_since().is_some() || self.says(Status::Idle).is_some_and(|at| Some(at) >= newest)
    }

    /// Since when its register says this; `None` when it says something else, or nothing.
    fn says(&self, wanted: Status) -> Option<Timestamp> {
        let Registration::Open(open) = self.registration.as_deref()? else { return None };
        open.since.filter(|_| open.status == Some(wanted))
    }

    /// Since when the user is awaited, by it or by one of its sub-agents, as its lines or a register say.
    pub(crate) fn awaits_user_since(&self) -> Option<Timestamp> {
        let by_lines = self.last_event_at.filter(|_| self.work.user_awaited);
        let by_helpers = self.helped.as_ref().and_then(|helped| helped.awaits_user_since);
        self.says(Status::Waiting).max(by_lines).max(by_helpers)
    }

    /// Whether nothing more will come of it.
    fn is_closed(&self) -> bool {
        self.over || matches!(self.registration.as_deref(), Some(Registration::Closed(_)))
    }

    /// Whether it is the agent's turn, or a command of the user's own runs: its lines say so, and its register does not
    /// know better.
    fn is_turn_open(&self) -> bool {
        let says_otherwise = match self.registration.as_deref() {
            Some(Registration::Open(open)) => match open.status {
                // A line that is newer than the word is of the next turn.
                Some(Status::Idle) => open.since.is_some() && open.since >= self.last_event_at,
                Some(Status::Waiting) => true,
                Some(Status::Busy) | None => false,
            },
            Some(Registration::Closed(_)) | None => false,
        };
        let is_at_work = self.work.turn_open || self.work.user_command;
        is_at_work && !self.is_closed() && !says_otherwise && self.awaits_user_since().is_none()
    }

    /// The newest line that tells of it.
    pub fn freshness(&self) -> Option<Timestamp> {
        self.last_event_at.max(self.help().and_then(|helped| helped.last_event_at))
    }

    /// Whether the agent is at work at `wall`.
    pub fn is_at_work(&self, wall: Timestamp) -> bool {
        self.at_work_until().is_some_and(|until| wall < until)
    }

    /// From when the session is idle: `idle_after` past its last work or line and those of its sub-agents, when it was closed, or at once when it is
    /// over.
    pub fn idle_from(&self, idle_after: Duration) -> Option<Timestamp> {
        if self.over {
            return self.last_event_at;
        }
        // Until its register said otherwise it was at work.
        let worked_until = self.turn_until().max(self.helpers_until());
        let stopped_at = self.says(Status::Idle).zip(worked_until).map(|(at, until)| at.min(until));
        let helped_at = self.helped.as_ref().and_then(|helped| helped.last_event_at);
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

    /// The kind of it, as far as JSON tells it.
    pub fn activity(&self, wall: Timestamp, idle_after: Duration) -> Activity {
        self.work_at(wall, idle_after).map_or_else(|activity| activity, |doing| doing.activity).listed()
    }

    /// The work that its lines name, else the kind of it that follows.
    fn work_at(&self, wall: Timestamp, idle_after: Duration) -> Result<&Doing, Activity> {
        if self.idle_from(idle_after).is_none_or(|from| wall >= from) {
            return Err(Activity::Idle);
        }
        if !self.is_at_work(wall) {
            let limited = self.work.limited_until.as_deref().is_some_and(|until| wall < *until);
            return Err(if limited { Activity::LimitReached } else { Activity::Waiting });
        }
        if self.own_work_until().is_none_or(|until| wall >= until) {
            // Itself it is silent; its sub-agents are at work, or were just now.
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

    /// The next moment after `wall` at which [`Self::doing`] changes by itself; `None` once it is idle.
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
    /// When.
    pub at: Timestamp,
    /// The turn, by the agent's own id.
    pub turn: Option<String>,
    /// The session's figures after the event.
    pub usage: Usage,
    /// What this event added; `None` when it announces restored figures.
    pub added: Option<Tokens>,
    /// The call of a model that it came from, where the source tells.
    pub call: Option<Call>,
    /// Whether no line of usage told it: it is what the agent's own account of the session has beyond them.
    #[serde(default)]
    pub unlisted: bool,
}
