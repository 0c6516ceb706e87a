//! Which session is on the card: the freshest active one, without flapping.
//!
//! Another session takes the card at once when the shown one ends its turn or goes idle; while the shown one is still
//! at work, a fresher one waits for [`PATIENCE`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::core::activity::Agent;
use crate::core::session::Session;
use crate::core::time::{Now, later};

/// How long a fresher session waits while the shown one is still at work.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Sub-agents of sub-agents are followed up this far.
const GENERATIONS: usize = 8;

/// Chooses the session to show.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    shown: Option<Key>,
    /// Since when another session at work has been fresher at least once.
    challenged_since: Option<Duration>,
}

type Key = (Agent, String);

/// What is weighed of one session.
struct Candidate<'a> {
    session: &'a Session,
    freshness: Option<Timestamp>,
    at_work: bool,
}

impl Roster {
    /// The session to show among `sessions`, which are those that may be shown at all and the sub-agents of them.
    pub fn choose<'a>(
        &mut self,
        now: Now,
        sessions: &[&'a Session],
        may_show: impl Fn(&Session) -> bool,
        idle_after: Duration,
    ) -> Option<&'a Session> {
        let helpers = helpers(sessions);
        let candidates: Vec<Candidate<'a>> = sessions
            .iter()
            .filter(|session| session.visible && may_show(session))
            .filter_map(|session| weigh(session, &helpers, now, idle_after))
            .collect();
        let best_of = |at_work_only: bool| {
            let wanted = candidates.iter().filter(|candidate| candidate.at_work || !at_work_only);
            wanted.max_by_key(|candidate| (candidate.freshness, key(candidate.session)))
        };
        let best = best_of(true).or_else(|| best_of(false));
        let shown = candidates.iter().find(|candidate| self.shown.as_ref() == Some(&key(candidate.session)));
        let others_at_work = candidates
            .iter()
            .any(|candidate| candidate.at_work && self.shown.as_ref() != Some(&key(candidate.session)));
        let chosen = match (shown, best) {
            (Some(shown), Some(best)) if key(shown.session) != key(best.session) => {
                let since = *self.challenged_since.get_or_insert(now.mono);
                let waited = now.mono.saturating_sub(since) >= PATIENCE;
                if waited || best.at_work && !shown.at_work { Some(best) } else { Some(shown) }
            }
            (Some(shown), _) => Some(shown),
            (None, best) => best,
        };
        let chosen_key = chosen.map(|candidate| key(candidate.session));
        if chosen_key != self.shown || !others_at_work && best.map(|best| key(best.session)) == self.shown {
            self.challenged_since = None;
        }
        self.shown = chosen_key;
        chosen.map(|candidate| candidate.session)
    }

    /// When the choice changes by itself because a fresher session has waited long enough.
    pub fn deadline(&self) -> Option<Duration> {
        self.challenged_since.map(|since| since.saturating_add(PATIENCE))
    }
}

fn key(session: &Session) -> Key {
    (session.agent, session.id.clone())
}

fn weigh<'a>(
    session: &'a Session,
    helpers: &BTreeMap<&str, (Option<Timestamp>, Option<Timestamp>)>,
    now: Now,
    idle_after: Duration,
) -> Option<Candidate<'a>> {
    let mut freshness = session.last_event_at;
    let mut at_work_until = session.at_work_until();
    // While its own turn is open, the work of its sub-agents is its work.
    if session.work.turn_open
        && let Some((last, until)) = helpers.get(session.id.as_str())
    {
        freshness = freshness.max(*last);
        at_work_until = at_work_until.max(*until);
    }
    let idle_from = later(at_work_until.or(freshness)?, idle_after);
    (now.wall < idle_from).then(|| Candidate {
        session,
        freshness,
        at_work: at_work_until.is_some_and(|until| now.wall < until),
    })
}

/// For every session that has sub-agents: their newest line, and until when they are at work.
fn helpers<'a>(sessions: &[&'a Session]) -> BTreeMap<&'a str, (Option<Timestamp>, Option<Timestamp>)> {
    let parents: BTreeMap<&str, &str> = sessions
        .iter()
        .filter_map(|session| Some((session.id.as_str(), session.parent.as_deref()?)))
        .collect();
    let mut helpers = BTreeMap::new();
    for session in sessions {
        let mut id = session.id.as_str();
        for _ in 0..GENERATIONS {
            let Some(parent) = parents.get(id) else { break };
            let entry: &mut (Option<Timestamp>, Option<Timestamp>) = helpers.entry(*parent).or_default();
            entry.0 = entry.0.max(session.last_event_at);
            entry.1 = entry.1.max(session.at_work_until());
            id = parent;
        }
    }
    helpers
}
