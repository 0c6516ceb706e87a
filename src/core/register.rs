//! What an agent's own register of running processes says of its sessions: which are open, which await the user.
//!
//! A register tells what a transcript cannot: that a permission is awaited, and that a session was closed. Absence of a
//! register is normal and says nothing; so does a session's absence from one, because not every kind of session
//! registers, until nothing at all is registered or the session was. A later line of a session always speaks for it.
//! Which processes run is looked up by `daemon::intake`; here it is known already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::core::session::Session;
use crate::core::time::{elapsed, later};

/// For so long after a session was closed its last lines may still be stamped.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Closed sessions are remembered as long as sessions are listed.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// What the register of one home says, of processes that are known to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register {
    /// The sessions that are open, by the agent's own ids.
    pub open: BTreeMap<String, Open>,
    /// Sessions whose process ended without a word.
    pub left: BTreeSet<String>,
    /// Since when nothing has been open; `None` while something is.
    pub empty_since: Option<Timestamp>,
}

/// What is said of an open session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// What it is doing; `None` where the agent's version does not say.
    pub status: Option<Status>,
    /// Since when.
    pub since: Option<Timestamp>,
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
}

impl Registers {
    /// Takes what the register of `home` says at `wall`; `None` when there is no register any more.
    pub fn learn(&mut self, wall: Timestamp, home: Arc<str>, register: Option<Register>) {
        let Some(register) = register else {
            self.homes.remove(&home);
            return;
        };
        let known = self.homes.entry(home).or_default();
        let before = std::mem::replace(&mut known.register, register);
        for session in before.open.into_keys().chain(known.register.left.iter().cloned()) {
            known.closed.entry(session).or_insert(wall);
        }
        let Register { open, left, .. } = &known.register;
        known.closed.retain(|session, at| {
            !open.contains_key(session) && (left.contains(session) || elapsed(*at, wall) < REMEMBERED)
        });
    }

    /// Nothing was closed later than now: such a stamp is from before the clock was set back.
    pub fn not_after(&mut self, wall: Timestamp) {
        for known in self.homes.values_mut() {
            known.register.empty_since = known.register.empty_since.map(|at| at.min(wall));
            for at in known.closed.values_mut() {
                *at = wall.min(*at);
            }
        }
    }

    /// What is known of `session`; `None` when its home has no register, or one that says nothing of it.
    pub fn registration(&self, session: &Session) -> Option<Registration> {
        let Known { register, closed } = self.homes.get(&session.home)?;
        if let Some(open) = register.open.get(&session.id) {
            return Some(Registration::Open(*open));
        }
        // A sub-agent is in no register and ends with the session it works for.
        let registered = session.parent.as_ref().unwrap_or(&session.id);
        let closed_at = closed.get(registered).copied().max(register.empty_since)?;
        let is_over = session.last_event_at.is_none_or(|last| last <= later(closed_at, LAST_WORDS));
        is_over.then_some(Registration::Closed(closed_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::activity::Agent;
    use crate::core::file::SessionFile;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    /// A session of `home` whose last line is stamped so.
    fn session(id: &str, home: &str, last: i64) -> Session {
        let mut file = SessionFile::new(Agent::Claude, home.into(), Timestamp::MIN);
        let line = format!(
            r#"{{"type":"user","uuid":"u","sessionId":"{id}","timestamp":"{}","message":{{"role":"user","content":"x"}}}}"#,
            at(last)
        );
        file.push(format!("{line}\n").as_bytes());
        file.take_update().unwrap().session
    }

    fn register(open: &[&str], left: &[&str], empty_since: Option<i64>) -> Option<Register> {
        Some(Register {
            open: open.iter().map(|id| ((*id).to_owned(), Open::default())).collect(),
            left: left.iter().map(|id| (*id).to_owned()).collect(),
            empty_since: empty_since.map(at),
        })
    }

    const OPEN: Option<Registration> = Some(Registration::Open(Open { status: None, since: None }));

    fn closed(seconds: i64) -> Option<Registration> {
        Some(Registration::Closed(at(seconds)))
    }

    #[test]
    fn without_a_register_nothing_is_known() {
        let mut registers = Registers::default();
        assert_eq!(registers.registration(&session("a", "home", 0)), None);
        registers.learn(at(10), "home".into(), register(&[], &[], Some(10)));
        assert_eq!(registers.registration(&session("a", "other home", 0)), None);
        registers.learn(at(20), "home".into(), None);
        assert_eq!(registers.registration(&session("a", "home", 0)), None);
    }

    #[test]
    fn a_session_that_was_open_is_closed_when_it_is_not_any_more() {
        let mut registers = Registers::default();
        registers.learn(at(10), "home".into(), register(&["a", "b"], &[], None));
        assert_eq!(registers.registration(&session("a", "home", 0)), OPEN);
        assert_eq!(registers.registration(&session("never registered", "home", 0)), None);
        registers.learn(at(20), "home".into(), register(&["b"], &[], None));
        assert_eq!(registers.registration(&session("a", "home", 19)), closed(20));
        assert_eq!(registers.registration(&session("b", "home", 19)), OPEN);
        assert_eq!(registers.registration(&session("never registered", "home", 0)), None);
        // Opened again, and closed again.
        registers.learn(at(30), "home".into(), register(&["a", "b"], &[], None));
        assert_eq!(registers.registration(&session("a", "home", 19)), OPEN);
        registers.learn(at(40), "home".into(), register(&["b"], &[], None));
        assert_eq!(registers.registration(&session("a", "home", 19)), closed(40));
    }

    #[test]
    fn where_nothing_is_open_every_session_is_closed() {
        let mut registers = Registers::default();
        registers.learn(at(100), "home".into(), register(&[], &[], Some(50)));
        assert_eq!(registers.registration(&session("a", "home", 49)), closed(50));
        assert_eq!(registers.registration(&session("a", "home", 55)), closed(50), "its last words");
        assert_eq!(registers.registration(&session("a", "home", 56)), None, "it goes on without a register");
    }

    #[test]
    fn a_process_that_ended_without_a_word_closes_its_session_alone() {
        let mut registers = Registers::default();
        registers.learn(at(100), "home".into(), register(&["b"], &["a"], None));
        registers.learn(at(200), "home".into(), register(&["b"], &["a"], None));
        assert_eq!(registers.registration(&session("a", "home", 90)), closed(100));
        assert_eq!(
            registers.registration(&session("a", "home", 190)),
            None,
            "resumed by a kind that does not register"
        );
        assert_eq!(registers.registration(&session("b", "home", 90)), OPEN);
    }

    #[test]
    fn a_clock_that_is_set_back_closes_nothing_for_ever() {
        let mut registers = Registers::default();
        registers.learn(at(1_000), "home".into(), register(&["a"], &[], None));
        registers.learn(at(1_001), "home".into(), register(&[], &[], Some(1_001)));
        registers.not_after(at(100));
        assert_eq!(registers.registration(&session("a", "home", 100)), closed(100));
        assert_eq!(registers.registration(&session("a", "home", 110)), None);
    }
}
