//! Finds the session that a registered process has open if its entry still names an earlier one.
//!
//! After `/clear`, many versions keep the entry of the session that the process began with. In newer versions the
//! lines name that session. Otherwise the process is the one whose own session has become silent in the same folder
//! while its status changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{LAST_WORDS, REMEMBERED, Register};
use crate::session::Session;
use crate::source::Surface;
use crate::time::{earlier, elapsed, later};

/// Sessions by the process that has or had them open.
#[derive(Debug, Default)]
pub(super) struct Switches {
    sessions: BTreeMap<String, OpenedSession>,
}

#[derive(Debug)]
struct OpenedSession {
    /// The session in the process's entry.
    registered: String,
    /// The time of its newest line.
    last: Timestamp,
    cwd: Option<Arc<str>>,
}

impl Switches {
    /// A session has a new line.
    pub(super) fn hear(&mut self, session: &Session, last: Timestamp, register: &Register) {
        let named = || session.process.as_deref().map(str::to_owned);
        let own = || register.open.contains_key(&session.id).then(|| session.id.clone());
        let known = || self.registered_as(&session.id).cloned();
        let guessed = || self.guess(session, register).cloned();
        if let Some(registered) = named().or_else(own).or_else(known).or_else(guessed) {
            let heard = OpenedSession { registered, last, cwd: session.cwd.clone() };
            self.sessions.insert(session.id.clone(), heard);
        }
    }

    /// The session in the entry of the process that has this session open.
    pub(super) fn registered_as(&self, session: &str) -> Option<&String> {
        self.sessions.get(session).map(|heard| &heard.registered)
    }

    /// The session with the newest line among those that the process registered with `registered` may have open, and
    /// that line's time.
    pub(super) fn newest(
        &self,
        registered: &str,
        register: &Register,
        is_closed: impl Fn(&str, Timestamp) -> bool,
    ) -> Option<(&str, Timestamp)> {
        let of_process = self.sessions.iter().filter(|(id, heard)| {
            heard.registered == registered
                && (*id == registered || !register.open.contains_key(*id))
                && !register.unseen.contains(*id)
                && !is_closed(id, heard.last)
        });
        of_process.map(|(id, heard)| (id.as_str(), heard.last)).max_by_key(|(id, last)| (*last, *id))
    }

    /// The process registered with `registered` has ended: the other sessions that it had open.
    pub(super) fn take(&mut self, registered: &str) -> Vec<String> {
        let ended = self.sessions.extract_if(.., |_, heard| heard.registered == registered);
        ended.map(|(id, _)| id).filter(|id| id != registered).collect()
    }

    /// Removes sessions that were silent for long: no process has them open.
    pub(super) fn forget(&mut self, wall: Timestamp) {
        self.sessions.retain(|_, heard| elapsed(heard.last, wall) < REMEMBERED);
    }

    /// Moves times after `wall` to `wall`.
    pub(super) fn not_after(&mut self, wall: Timestamp) {
        for heard in self.sessions.values_mut() {
            heard.last = heard.last.min(wall);
        }
    }

    /// The only process that can have switched to `session`. Every session that a terminal begins is registered
    /// before its first line.
    fn guess<'a>(&self, session: &Session, register: &'a Register) -> Option<&'a String> {
        let begun = session.started_at.filter(|_| session.visible && session.surface == Surface::Cli)?;
        if register.unseen.contains(&session.id) {
            return None;
        }
        let mut candidates = register.open.iter().filter(|(id, open)| {
            let is_silent =
                |own: &OpenedSession| own.cwd == session.cwd && own.last <= later(begun, LAST_WORDS);
            let goes_on = open.since.is_some_and(|since| since >= earlier(begun, LAST_WORDS));
            open.process.is_some() && goes_on && self.sessions.get(*id).is_some_and(is_silent)
        });
        let (registered, _) = candidates.next()?;
        candidates.next().is_none().then_some(registered)
    }
}
