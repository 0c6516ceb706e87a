//! A session that several files tell: it goes on in another file, or one of its files was copied or moved.
//!
//! Each file is folded by itself. What they amount to together follows from what they tell now, so that neither the order
//! in which they are read nor their number changes it.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::file::Skipped;
use crate::core::session::{Session, TIMER_GAP, UsageEvent};
use crate::core::source_event::{FileId, ReadTo};
use crate::core::time::elapsed;
use crate::core::usage::Tokens;

/// The files of one session, in the order in which they were met.
#[derive(Debug)]
pub(super) enum Parts {
    /// As nearly every session has it.
    One(Part),
    /// None or several.
    Many(Vec<Part>),
}

impl Default for Parts {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// One file of a session.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: FileId,
    /// Lines that could not be used, if there were any.
    pub(super) skipped: Option<Box<Skipped>>,
    /// How far the file has been read.
    pub(super) read: Option<ReadTo>,
    /// What it tells; not kept of an only file, whose session is all there is.
    pub(super) told: Option<Box<Session>>,
    /// Whether it is followed no longer. What was used stays used.
    pub(super) is_gone: bool,
    /// Of its usage, the time of the newest that was told.
    pub(super) heard: Option<Timestamp>,
}

/// What one file adds to the total.
struct Share {
    begun_at: Option<Timestamp>,
    before: Tokens,
    total: Tokens,
}

impl Parts {
    /// Takes what a file tells now. `whole` is what they all told until now; returns what they tell with it.
    pub(super) fn put(&mut self, part: Part, told: Session, whole: &Session) -> Session {
        let file = part.file;
        if self.all().iter().all(|part| part.file == file) {
            *self = Self::One(part);
            return told;
        }
        if let Self::One(only) = self {
            only.told = Some(Box::new(whole.clone()));
        }
        let place = self.all().iter().position(|part| part.file == file);
        let part = Part { told: Some(Box::new(told)), ..part };
        match place.and_then(|place| self.all_mut().get_mut(place)) {
            Some(known) => *known = part,
            None => {
                let mut all = match std::mem::take(self) {
                    Self::One(only) => vec![only],
                    Self::Many(all) => all,
                };
                all.push(part);
                *self = Self::Many(all);
            }
        }
        self.joined().unwrap_or_else(|| whole.clone())
    }

    fn all(&self) -> &[Part] {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(all) => all,
        }
    }

    fn all_mut(&mut self) -> &mut [Part] {
        match self {
            Self::One(only) => std::slice::from_mut(only),
            Self::Many(all) => all,
        }
    }

    /// Follows a file no longer; whether another one of them is still followed.
    pub(super) fn lose(&mut self, file: FileId) -> bool {
        for part in self.all_mut().iter_mut().filter(|part| part.file == file) {
            part.is_gone = true;
        }
        self.all().iter().any(|part| !part.is_gone)
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, file: FileId) -> bool {
        self.all().iter().any(|part| part.file == file)
    }

    /// Up to when usage was told that a file may tell again: its own, or, of one that is new, that of those that have gone.
    pub(super) fn heard(&self, file: FileId) -> Option<Timestamp> {
        let own = self.all().iter().find(|part| part.file == file);
        own.map_or_else(|| self.newest_of(|part| part.is_gone), |part| part.heard)
    }

    /// The same of all of them.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest_of(|_| true)
    }

    fn newest_of(&self, wanted: impl Fn(&Part) -> bool) -> Option<Timestamp> {
        self.all().iter().filter(|part| wanted(part)).filter_map(|part| part.heard).max()
    }

    /// Whether there are several.
    pub(super) fn are_several(&self) -> bool {
        self.all().len() > 1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.all().iter()
    }

    /// Makes events of one file those of the session. What another file has told already is none.
    pub(super) fn tell(&self, file: FileId, usage: &mut Vec<UsageEvent>) {
        if !self.are_several() {
            return;
        }
        usage.retain_mut(|event| {
            let Some(total) = event.usage.session_total_tokens else { return true };
            let whole = self.total(Some((file, total)));
            if let (Some(added), Some(whole)) = (event.added, whole) {
                let before = self.total(Some((file, total.minus(&added)))).unwrap_or_default();
                let added = whole.minus(&before);
                if added.is_zero() {
                    return false;
                }
                event.added = Some(added);
                event.usage.session_delta_tokens = Some(added);
            }
            event.usage.session_total_tokens = whole;
            true
        });
    }

    /// What all of them tell: the one with the newest line speaks, and until it has figures those before it stay.
    pub(super) fn joined(&self) -> Option<Session> {
        let told = || self.all().iter().rev().filter_map(|part| Some((part.is_gone, part.told.as_deref()?)));
        let (_, newest) = told().max_by_key(|(is_gone, told)| (!is_gone, told.last_event_at))?;
        let mut session = newest.clone();
        let counted = told().filter(|(_, told)| told.usage.session_total_tokens.is_some());
        if let Some((_, figures)) = counted.max_by_key(|(_, told)| told.last_token_event_at) {
            session.usage = figures.usage;
            session.usage.session_total_tokens = self.total(None);
            session.last_token_event_at = figures.last_token_event_at;
            if session.context.is_none() && session.context_used.is_none() {
                (session.context, session.context_used) = (figures.context, figures.context_used);
            }
            if session.model.name.is_none() {
                session.model = Arc::clone(&figures.model);
            }
        }
        for (_, told) in told() {
            told.folders().for_each(|folder| session.was_in(folder));
            session.lost |= told.lost;
        }
        session.counting = told().any(|(_, told)| told.counting);
        session.lower_bound = told().any(|(_, told)| told.lower_bound);
        session.started_at = told().filter_map(|(_, told)| told.started_at).min();
        // The stretch of lines that the newest one ends, without a long gap, may begin in other files.
        let stretches = || told().filter_map(|(_, told)| Some((told.timer_from?, told.last_event_at?)));
        while let Some(from) = session.timer_from
            && let Some(earlier) = stretches()
                .filter(|(begin, end)| *begin < from && elapsed(*end, from) <= TIMER_GAP)
                .map(|(begin, _)| begin)
                .min()
        {
            session.timer_from = Some(earlier);
        }
        Some(session)
    }

    /// The session's total; `instead`: if one file's total were this.
    fn total(&self, instead: Option<(FileId, Tokens)>) -> Option<Tokens> {
        let shares = self.all().iter().filter_map(|part| {
            let told = part.told.as_deref()?;
            let instead = instead.filter(|(file, _)| *file == part.file).map(|(_, total)| total);
            let total = instead.or(told.usage.session_total_tokens)?;
            Some(Share {
                begun_at: told.file_begun_at,
                before: told.before.as_deref().copied().unwrap_or_default(),
                total,
            })
        });
        let mut shares: Vec<Share> = shares.collect();
        // Of copies of one file, the fullest.
        shares.sort_by_key(|share| (share.begun_at, Reverse(share.total.all())));
        shares.dedup_by(|copy, share| share.begun_at.is_some() && copy.begun_at == share.begun_at);
        shares
            .into_iter()
            .map(|share| (share.before, share.total))
            .reduce(|(_, sum), (before, total)| {
                // What came before a file is in those before it, unless they are not there.
                let sum = sum.plus(&before.minus(&sum));
                (Tokens::ZERO, sum.plus(&total.minus(&before)))
            })
            .map(|(_, sum)| sum)
    }
}
