//! What an agent's own register of running processes says of its sessions: which are open, which await the user.
//!
//! A register tells what a transcript cannot: that a permission is awaited, and that a session was closed. Absence of a
//! register is normal and says nothing; so does a session's absence from one, because not every kind of session
//! registers, until nothing at all is registered or the session was. A later line of a session always speaks for it.
//! A process may go over to another session; until that has begun, the one it left is not closed.
//! Which processes run is looked up by `intake`; here it is known already.
//! Read next: `held`, for processes that do not say that they have gone over.

mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::held::Held;
use crate::core::session::Session;
use crate::core::time::{earlier, elapsed, later};

/// For so long after a session was closed its last lines may still be stamped.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a server says of a session may be stamped so much earlier than the line that it is about.
const SAME_TIME: Duration = Duration::from_secs(2);

/// Closed sessions are remembered as long as sessions are listed.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// What the register of one home says, of processes that are known to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register {
    /// The sessions that are open, by the agent's own ids.
    pub open: BTreeMap<String, Open>,
    /// Sessions whose process ended without a word.
    pub left: BTreeSet<String>,
    /// Sessions of processes on another machine or in another namespace: whether those run cannot be seen.
    pub unseen: BTreeSet<String>,
    /// Since when nothing has been open; `None` while something is or may be.
    pub empty_since: Option<Timestamp>,
}

/// One entry of a register: what its file says of a process, which may have ended since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    /// The process.
    pub pid: u32,
    /// When the process started, in the system's own form; `None` where it does not say.
    pub process_start: Option<String>,
    /// The machine and namespace whose processes the id counts, in the agent's own form; `None` where it does not say.
    pub pid_domain: Option<String>,
    /// The session that the process has open now. It may change.
    pub session: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// What it is doing; `None` in versions and kinds of session that do not say, and for words that are not known here.
    pub status: Option<Status>,
    /// When the status was last written.
    pub updated_at: Option<Timestamp>,
}

/// What is said of an open session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// What it is doing; `None` where the agent's version does not say.
    pub status: Option<Status>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The process that has it open and may go over to another session; `None` where a server has many open at once. What a
    /// process says holds until it says otherwise; a server's word is as old as it was said.
    pub process: Option<u32>,
}

impl Open {
    /// The same of a session with a line of then: it is news where a server spoke before that.
    fn before(self, line: Option<Timestamp>) -> Self {
        let is_outdated =
            self.process.is_none() && self.since.is_none_or(|since| Some(later(since, SAME_TIME)) < line);
        if is_outdated { Self { status: None, ..self } } else { self }
    }
}

/// What a registered session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The agent is at work.
    Busy,
    /// The turn is over. A command may go on in the background.
    Idle,
    /// A permission, an answer or another decision of the user's is awaited.
    Waiting,
}

/// What is known of one session by the register of its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// A process has it open.
    Open(Open),
    /// It was closed then.
    Closed(Timestamp),
}

/// What one daemon leaves to the next of the register of one home: entries that have gone since are nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The home.
    pub home: Arc<str>,
    /// Sessions and the processes that have them open.
    pub open: BTreeMap<String, u32>,
    /// When others were closed.
    pub closed: BTreeMap<String, Timestamp>,
}

/// The registers of all homes.
#[derive(Debug, Default)]
pub struct Registers {
    homes: BTreeMap<Arc<str>, Known>,
}

#[derive(Debug, Default)]
struct Known {
    register: Register,
    /// When sessions that were open were closed.
    closed: BTreeMap<String, Timestamp>,
    /// Sessions that their process has left for another one, which is not known to have begun.
    left_for: BTreeMap<String, Next>,
    held: Held,
}

/// The session that a process went over to, and when.
#[derive(Debug)]
struct Next {
    session: String,
    at: Timestamp,
}

impl Registers {
    /// Takes what the register of `home` says at `wall`; `None` when there is no register any more. Every session of the
    /// home is to be [heard](Self::heard) after that.
    pub fn learn(&mut self, wall: Timestamp, home: Arc<str>, register: Option<Register>) {
        let Some(register) = register else {
            self.homes.remove(&home);
            return;
        };
        let known = self.homes.entry(home).or_default();
        let before = std::mem::replace(&mut known.register, register);
        for (session, was) in before.open {
            known.ceased(wall, session, was.process);
        }
        let Known { register: Register { open, left, .. }, closed, left_for, held } = known;
        for session in left.iter() {
            closed.entry(session.clone()).or_insert(wall);
        }
        left_for.retain(|session, _| !open.contains_key(session));
        closed.retain(|session, at| {
            !open.contains_key(session) && (left.contains(session) || elapsed(*at, wall) < REMEMBERED)
        });
        held.forget(wall);
    }

    /// What the next daemon needs to know.
    pub fn leave(&self) -> Vec<Left> {
        let left = |(home, known): (&Arc<str>, &Known)| Left {
            home: Arc::clone(home),
            open: processes(&known.register).map(|(session, process)| (session.clone(), process)).collect(),
            closed: known.closed.clone(),
        };
        self.homes.iter().map(left).collect()
    }

    /// Goes on where the registers of another daemon left off. Which processes run is looked up anew.
    pub fn inherit(&mut self, left: &[Left]) {
        for Left { home, closed, .. } in left {
            self.homes.entry(Arc::clone(home)).or_default().closed.extend(closed.clone());
        }
    }

    /// A session has a new line, or the register of its home a new word.
    pub fn heard(&mut self, wall: Timestamp, session: &Session) {
        let Some(known) = self.homes.get_mut(&session.home) else { return };
        let Some(last) = session.last_event_at.filter(|_| session.parent.is_none()) else { return };
        let begun = known
            .left_for
            .extract_if(.., |_, next| next.session == session.id && last >= earlier(next.at, LAST_WORDS));
        known.closed.extend(begun.map(|(left, _)| (left, wall)));
        known.held.hear(session, last, &known.register);
    }

    /// Nothing was closed later than now: such a stamp is from before the clock was set back.
    pub fn not_after(&mut self, wall: Timestamp) {
        for known in self.homes.values_mut() {
            known.register.empty_since = known.register.empty_since.map(|at| at.min(wall));
            known.held.not_after(wall);
            for next in known.left_for.values_mut() {
                next.at = wall.min(next.at);
            }
            for at in known.closed.values_mut() {
                *at = wall.min(*at);
            }
        }
    }

    /// What is known of `session`; `None` when its home has no register, or one that says nothing of it.
    pub fn registration(&self, session: &Session) -> Option<Registration> {
        let known = self.homes.get(&session.home)?;
        let Known { register, closed, .. } = known;
        // A sub-agent that is in no register ends with the session it works for.
        let registered = session.parent.as_deref().unwrap_or(&session.id);
        if registered == session.id || register.open.contains_key(&session.id) {
            match known.open(session) {
                Some(Ok(open)) => return Some(Registration::Open(open.before(session.last_event_at))),
                Some(Err(left_at)) => return Some(Registration::Closed(left_at)),
                None => {}
            }
        }
        let closed_at = closed.get(registered).copied().max(register.empty_since)?;
        let is_over = session.last_event_at.is_none_or(|last| last <= later(closed_at, LAST_WORDS));
        is_over.then_some(Registration::Closed(closed_at))
    }
}

/// The open sessions of a register that are a process's own.
fn processes(register: &Register) -> impl Iterator<Item = (&String, u32)> {
    register.open.iter().filter_map(|(session, open)| Some((session, open.process?)))
}

impl Known {
    /// A session that was open with `process` is it no more, unless the register says so.
    fn ceased(&mut self, wall: Timestamp, session: String, process: Option<u32>) {
        let open = &self.register.open;
        if open.contains_key(&session) {
            return;
        }
        let same = |open: &Open| process.is_some() && open.process == process;
        if let Some((next, said)) = open.iter().find(|(_, open)| same(open)) {
            let at = said.since.map_or(wall, |since| since.min(wall));
            for before in self.left_for.values_mut().filter(|before| before.session == session) {
                before.session.clone_from(next);
            }
            self.left_for.insert(session, Next { session: next.clone(), at });
            return;
        }
        // What it left before goes with it, and what it held without saying so.
        let mut ended = self.held.take(&session);
        let with_it = self.left_for.extract_if(.., |_, next| next.session == session);
        ended.extend(with_it.map(|(left, _)| left));
        ended.push(session);
        for session in ended {
            self.closed.entry(session).or_insert(wall);
        }
    }

    /// What is said of the process that has `session` open, or when that one left it without a word.
    fn open(&self, session: &Session) -> Option<Result<Open, Timestamp>> {
        let said = self.register.open.get(&session.id);
        let registered = said.map_or_else(|| self.held.registered_as(&session.id), |_| Some(&session.id))?;
        let open = self.register.open.get(registered)?;
        let is_closed =
            |id: &str, last: Timestamp| self.closed.get(id).is_some_and(|at| last <= later(*at, LAST_WORDS));
        let own = session.last_event_at.unwrap_or(Timestamp::MIN);
        if said.is_none() && is_closed(&session.id, own) {
            return None;
        }
        match self.held.newest(registered, &self.register, is_closed) {
            Some((holder, last)) if holder != session.id => {
                let left = said.is_none() || own < last;
                if left { Some(Err(last)) } else { Some(Ok(*open)) }
            }
            _ => Some(Ok(*open)),
        }
    }
}

#[cfg(test)]
mod tests;
