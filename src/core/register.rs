//! What an agent's own register of running processes shows of its sessions: which are open, and which await the user.
//!
//! A register has two facts that a transcript lacks: that a permission is pending, and that a session was closed. A
//! home may have no register, which shows nothing. A session that is missing from a register is not closed for that
//! reason, because not every kind of session registers. It is closed if it was registered before, or if nothing is
//! registered any more. A later line of a session always shows that it is open. A process may switch to another
//! session; until that session begins, the earlier one is not closed. `intake` finds out which processes run; the
//! entries here are of running ones.
//! Read next: `switches`, for processes whose entry does not show the switch.

mod switches;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::switches::Switches;
use crate::session::Session;
use crate::time::{earlier, elapsed, later};

/// The last lines of a closed session may have times up to this long after its end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A server's message about a session may have a time this much before the line that it is about.
const SAME_TIME: Duration = Duration::from_secs(2);

/// Closed sessions are remembered as long as sessions are listed.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The content of one home's register, for processes that run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register {
    /// The sessions that are open, by the agent's own ids.
    pub open: BTreeMap<String, OpenSession>,
    /// Sessions whose process ended without removing its entry.
    pub left: BTreeSet<String>,
    /// Sessions of processes on another machine or in another namespace, of which it cannot be seen whether they run.
    pub unseen: BTreeSet<String>,
    /// Since when no session is open; `None` while one is or may be.
    pub empty_since: Option<Timestamp>,
}

/// One entry of a register: a process, which may have ended since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    /// The process id.
    pub pid: u32,
    /// When the process started, in the system's own format; `None` if the entry does not contain it.
    pub process_start: Option<String>,
    /// The machine and namespace of the process id, in the agent's own format; `None` if the entry does not contain
    /// it.
    pub pid_domain: Option<String>,
    /// The session that the process has open now, which may change.
    pub session: String,
    /// When the session began.
    pub started_at: Option<Timestamp>,
    /// What the session is doing; `None` in versions and kinds of session without a status, and for unknown words.
    pub status: Option<Status>,
    /// When the status was last written.
    pub updated_at: Option<Timestamp>,
}

/// The state of an open session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenSession {
    /// What it is doing; `None` if the agent's version has no status.
    pub status: Option<Status>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The process that has it open and may switch to another session; `None` for a server that has many sessions
    /// open. A process's status holds until the process changes it; a server's status is only as recent as its
    /// message.
    pub process: Option<u32>,
}

impl OpenSession {
    /// The state of a session whose newest line has the time `line`. A server's status is dropped if it is older.
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
    /// The agent awaits a permission, an answer or another decision of the user.
    Waiting,
}

/// The state of one session in the register of its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// A process has it open.
    Open(OpenSession),
    /// It was closed at this time.
    Closed(Timestamp),
}

/// The handover of one home's register to the next daemon: entries that are gone from the register are stored nowhere
/// else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterHandover {
    /// The home.
    pub home: Arc<str>,
    /// Sessions and the processes that have them open.
    pub open: BTreeMap<String, u32>,
    /// When other sessions were closed.
    pub closed: BTreeMap<String, Timestamp>,
}

/// The registers of all homes.
#[derive(Debug, Default)]
pub struct Registers {
    homes: BTreeMap<Arc<str>, HomeRegister>,
}

#[derive(Debug, Default)]
struct HomeRegister {
    register: Register,
    /// When sessions were closed that had been open.
    closed: BTreeMap<String, Timestamp>,
    /// Sessions whose process switched to another session that has no line yet.
    left_for: BTreeMap<String, Successor>,
    switches: Switches,
}

/// The session to which a process switched, and when.
#[derive(Debug)]
struct Successor {
    session: String,
    at: Timestamp,
}

impl Registers {
    /// Takes the content of `home`'s register at `wall`; `None` if there is no register any more. Every session of
    /// the home has to be passed to [`Self::heard`] after that.
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
        let HomeRegister { register: Register { open, left, .. }, closed, left_for, switches } = known;
        for session in left.iter() {
            closed.entry(session.clone()).or_insert(wall);
        }
        left_for.retain(|session, _| !open.contains_key(session));
        closed.retain(|session, at| {
            !open.contains_key(session) && (left.contains(session) || elapsed(*at, wall) < REMEMBERED)
        });
        switches.forget(wall);
    }

    /// The state for the next daemon.
    pub fn leave(&self) -> Vec<RegisterHandover> {
        let left = |(home, known): (&Arc<str>, &HomeRegister)| RegisterHandover {
            home: Arc::clone(home),
            open: processes(&known.register).map(|(session, process)| (session.clone(), process)).collect(),
            closed: known.closed.clone(),
        };
        self.homes.iter().map(left).collect()
    }

    /// Continues with the state of an earlier daemon. Which processes run is found out again.
    pub fn inherit(&mut self, left: &[RegisterHandover]) {
        for RegisterHandover { home, closed, .. } in left {
            self.homes.entry(Arc::clone(home)).or_default().closed.extend(closed.clone());
        }
    }

    /// A session has a new line, or the register of its home has changed. Returns whether this closes another session.
    pub fn heard(&mut self, wall: Timestamp, session: &Session) -> bool {
        let Some(known) = self.homes.get_mut(&session.home) else { return false };
        let Some(last) = session.last_event_at.filter(|_| session.parent.is_none()) else { return false };
        let begun = known
            .left_for
            .extract_if(.., |_, next| next.session == session.id && last >= earlier(next.at, LAST_WORDS));
        let begun: Vec<_> = begun.map(|(left, _)| (left, wall)).collect();
        let closes = !begun.is_empty();
        known.closed.extend(begun);
        known.switches.hear(session, last, &known.register);
        closes
    }

    /// Moves times after `wall` to `wall`: they are from before the clock was set back.
    pub fn not_after(&mut self, wall: Timestamp) {
        for known in self.homes.values_mut() {
            known.register.empty_since = known.register.empty_since.map(|at| at.min(wall));
            for open in known.register.open.values_mut() {
                open.since = open.since.map(|at| at.min(wall));
            }
            known.switches.not_after(wall);
            for next in known.left_for.values_mut() {
                next.at = wall.min(next.at);
            }
            for at in known.closed.values_mut() {
                *at = wall.min(*at);
            }
        }
    }

    /// The state of `session`; `None` if its home has no register, or one that shows nothing of it.
    pub fn registration(&self, session: &Session) -> Option<Registration> {
        let known = self.homes.get(&session.home)?;
        let HomeRegister { register, closed, .. } = known;
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

/// The open sessions of a register that belong to a process of their own.
fn processes(register: &Register) -> impl Iterator<Item = (&String, u32)> {
    register.open.iter().filter_map(|(session, open)| Some((session, open.process?)))
}

impl HomeRegister {
    /// Closes a session that was open with `process`, unless the register still has it.
    fn ceased(&mut self, wall: Timestamp, session: String, process: Option<u32>) {
        let open = &self.register.open;
        if open.contains_key(&session) {
            return;
        }
        let same = |open: &OpenSession| process.is_some() && open.process == process;
        if let Some((next, entry)) = open.iter().find(|(_, open)| same(open)) {
            let at = entry.since.map_or(wall, |since| since.min(wall));
            for before in self.left_for.values_mut().filter(|before| before.session == session) {
                before.session.clone_from(next);
            }
            self.left_for.insert(session, Successor { session: next.clone(), at });
            return;
        }
        // Sessions that its process had left before are closed with it, and those it had open without an entry.
        let mut ended = self.switches.take(&session);
        let with_it = self.left_for.extract_if(.., |_, next| next.session == session);
        ended.extend(with_it.map(|(left, _)| left));
        ended.push(session);
        for session in ended {
            self.closed.entry(session).or_insert(wall);
        }
    }

    /// The state of the process that has `session` open, or the time at which that process switched to another session
    /// without changing its entry.
    fn open(&self, session: &Session) -> Option<Result<OpenSession, Timestamp>> {
        let entry = self.register.open.get(&session.id);
        let registered =
            entry.map_or_else(|| self.switches.registered_as(&session.id), |_| Some(&session.id))?;
        let open = self.register.open.get(registered)?;
        let is_closed =
            |id: &str, last: Timestamp| self.closed.get(id).is_some_and(|at| last <= later(*at, LAST_WORDS));
        let own = session.last_event_at.unwrap_or(Timestamp::MIN);
        if entry.is_none() && is_closed(&session.id, own) {
            return None;
        }
        match self.switches.newest(registered, &self.register, is_closed) {
            Some((holder, last)) if holder != session.id => {
                let left = entry.is_none() || own < last;
                if left { Some(Err(last)) } else { Some(Ok(*open)) }
            }
            _ => Some(Ok(*open)),
        }
    }
}

#[cfg(test)]
mod tests;
