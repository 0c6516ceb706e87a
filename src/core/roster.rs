//! Chooses the session on the card: the freshest active one, without frequent changes.
//!
//! If the shown session ends its turn or goes idle, another one is shown at once. While it is at work, a fresher one
//! waits for [`PATIENCE`].

use std::time::Duration;

use jiff::Timestamp;

use crate::session::Session;
use crate::source::Agent;
use crate::time::{Now, later};

/// How long a fresher session waits while the shown one is at work.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The last lines of a sub-agent that ended with its turn may have a time this much after the turn's end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Chooses the session to show.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    shown: Option<Key>,
    /// Since when another session at work has been fresher at least once.
    challenged_since: Option<Duration>,
}

type Key = (Agent, String);

/// The work of a session's sub-agents, with theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HelperWork {
    /// Their newest line.
    pub last_event_at: Option<Timestamp>,
    /// Until when one of them counts as at work.
    pub at_work_until: Option<Timestamp>,
    /// The same, of those that have written since the session's newest turn ended.
    pub outlive_until: Option<Timestamp>,
    /// Since when one of them awaits the user, by a register.
    pub awaits_user_since: Option<Timestamp>,
}

impl HelperWork {
    /// Adds the work of `helper` for `session`.
    pub(crate) fn add(&mut self, helper: &Session, session: &Session) {
        let until = helper.own_work_until();
        self.last_event_at = self.last_event_at.max(helper.last_event_at);
        self.at_work_until = self.at_work_until.max(until);
        self.awaits_user_since = self.awaits_user_since.max(helper.awaits_user_since());
        let ended_at = session.work.ended_at.map(|at| later(at, LAST_LINES));
        if ended_at.is_some() && helper.last_event_at > ended_at {
            self.outlive_until = self.outlive_until.max(until);
        }
    }
}

/// One session, with what decides about it.
struct Candidate<'a> {
    session: &'a Session,
    freshness: Option<Timestamp>,
    at_work: bool,
}

impl Roster {
    /// The session to show among `sessions`.
    pub fn choose<'a>(
        &mut self,
        now: Now,
        sessions: &[&'a Session],
        may_show: impl Fn(&Session) -> bool,
        idle_after: Duration,
    ) -> Option<&'a Session> {
        let candidates: Vec<Candidate<'a>> = sessions
            .iter()
            .filter(|session| session.visible && may_show(session))
            .filter_map(|session| weigh(session, now, idle_after))
            .collect();
        let best_of = |at_work_only: bool| {
            let wanted = candidates.iter().filter(|candidate| candidate.at_work || !at_work_only);
            wanted.max_by_key(|candidate| (candidate.freshness, candidate.key()))
        };
        let best = best_of(true).or_else(|| best_of(false));
        let shown = self.shown.as_ref().map(|(agent, id)| (*agent, id.as_str()));
        let is_shown = |candidate: &Candidate<'_>| Some(candidate.key()) == shown;
        let showing = candidates.iter().find(|candidate| is_shown(candidate));
        let others_at_work = candidates.iter().any(|candidate| candidate.at_work && !is_shown(candidate));
        let chosen = match (showing, best) {
            (Some(shown), Some(best)) if shown.key() != best.key() => {
                let since = *self.challenged_since.get_or_insert(now.mono);
                let waited = now.mono.saturating_sub(since) >= PATIENCE;
                if waited || best.at_work && !shown.at_work { Some(best) } else { Some(shown) }
            }
            (Some(shown), _) => Some(shown),
            (None, best) => best,
        };
        let stays = chosen.map(Candidate::key) == shown;
        if !stays || !others_at_work && best.map(Candidate::key) == shown {
            self.challenged_since = None;
        }
        if !stays {
            self.shown = chosen.map(|candidate| (candidate.session.agent, candidate.session.id.clone()));
        }
        chosen.map(|candidate| candidate.session)
    }

    /// When the choice changes without a new event, because a fresher session has waited long enough.
    pub fn deadline(&self) -> Option<Duration> {
        self.challenged_since.map(|since| since.saturating_add(PATIENCE))
    }
}

impl<'a> Candidate<'a> {
    fn key(&self) -> (Agent, &'a str) {
        self.session.key()
    }
}

fn weigh(session: &Session, now: Now, idle_after: Duration) -> Option<Candidate<'_>> {
    let idle_from = session.idle_from(idle_after)?;
    (now.wall < idle_from).then(|| Candidate {
        session,
        freshness: session.freshness(),
        at_work: session.is_at_work(now.wall),
    })
}
