//! A session in several files: it continues in another file, or one of its files was copied or moved.
//!
//! Each file is folded on its own. Their combination follows from their present state, so that neither the order of
//! reading nor the number of files changes it.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use crate::file::Skipped;
use crate::session::{Session, TIMER_GAP, UsageEvent};
use crate::source_event::{FileId, ReadTo};
use crate::time::elapsed;
use crate::usage::Tokens;

/// The files of one session, in the order in which they were found.
#[derive(Debug)]
pub(super) enum Parts {
    /// The usual case.
    One(Part),
    /// No file, or several.
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
    /// The position up to which the file was read.
    pub(super) read: Option<ReadTo>,
    /// The file's session. Not stored for a single file, because it equals the whole session.
    pub(super) reported: Option<Box<Session>>,
    /// Whether it is no longer followed. Its usage still counts.
    pub(super) is_gone: bool,
    /// The time of its newest reported usage.
    pub(super) heard: Option<Timestamp>,
}

/// One file's part of the total.
struct Share {
    begun_at: Option<Timestamp>,
    before: Tokens,
    total: Tokens,
}

impl Parts {
    /// Takes the present state of a file. `whole` is the session of all files before; returns the session with it.
    pub(super) fn put(&mut self, part: Part, reported: Session, whole: &Session) -> Session {
        let file = part.file;
        if self.all().iter().all(|part| part.file == file) {
            *self = Self::One(part);
            return reported;
        }
        if let Self::One(only) = self {
            only.reported = Some(Box::new(whole.clone()));
        }
        let place = self.all().iter().position(|part| part.file == file);
        let part = Part { reported: Some(Box::new(reported)), ..part };
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

    /// Removes a file from those followed. True if another file of the session is still followed.
    pub(super) fn lose(&mut self, file: FileId) -> bool {
        for part in self.all_mut().iter_mut().filter(|part| part.file == file) {
            part.is_gone = true;
        }
        self.all().iter().any(|part| !part.is_gone)
    }

    /// Whether this is one of the files.
    pub(super) fn has(&self, file: FileId) -> bool {
        self.all().iter().any(|part| part.file == file)
    }

    /// Up to which time a file's usage was reported: its own, or for a new file, that of the files that are gone.
    pub(super) fn heard(&self, file: FileId) -> Option<Timestamp> {
        let own = self.all().iter().find(|part| part.file == file);
        own.map_or_else(|| self.newest_of(|part| part.is_gone), |part| part.heard)
    }

    /// The same for all files.
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

    /// Turns events of one file into events of the session, without those that another file has reported.
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

    /// The session of all files: that of the file with the newest line, with earlier figures until it has its own.
    pub(super) fn joined(&self) -> Option<Session> {
        let reported =
            || self.all().iter().rev().filter_map(|part| Some((part.is_gone, part.reported.as_deref()?)));
        let (_, newest) = reported().max_by_key(|(is_gone, reported)| (!is_gone, reported.last_event_at))?;
        let mut session = newest.clone();
        let counted = reported().filter(|(_, reported)| reported.usage.session_total_tokens.is_some());
        if let Some((_, figures)) = counted.max_by_key(|(_, reported)| reported.last_token_event_at) {
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
        for (_, reported) in reported() {
            reported.folders().for_each(|folder| session.was_in(folder));
            session.has_unlisted_folders |= reported.has_unlisted_folders;
        }
        session.counting = reported().any(|(_, reported)| reported.counting);
        session.lower_bound = reported().any(|(_, reported)| reported.lower_bound);
        session.started_at = reported().filter_map(|(_, reported)| reported.started_at).min();
        // The series of lines that ends with the newest one, without a long gap, may begin in other files.
        let stretches =
            || reported().filter_map(|(_, reported)| Some((reported.timer_from?, reported.last_event_at?)));
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

    /// The session's total; `instead` replaces one file's total.
    fn total(&self, instead: Option<(FileId, Tokens)>) -> Option<Tokens> {
        let shares = self.all().iter().filter_map(|part| {
            let reported = part.reported.as_deref()?;
            let instead = instead.filter(|(file, _)| *file == part.file).map(|(_, total)| total);
            let total = instead.or(reported.usage.session_total_tokens)?;
            Some(Share {
                begun_at: reported.file_begun_at,
                before: reported.used_before.as_deref().copied().unwrap_or_default(),
                total,
            })
        });
        let mut shares: Vec<Share> = shares.collect();
        // Of several copies of one file, the one with the largest total.
        shares.sort_by_key(|share| (share.begun_at, Reverse(share.total.all())));
        shares.dedup_by(|copy, share| share.begun_at.is_some() && copy.begun_at == share.begun_at);
        shares
            .into_iter()
            .map(|share| (share.before, share.total))
            .reduce(|(_, sum), (before, total)| {
                // Tokens from before a file are in the earlier files, unless those are missing.
                let sum = sum.plus(&before.minus(&sum));
                (Tokens::ZERO, sum.plus(&total.minus(&before)))
            })
            .map(|(_, sum)| sum)
    }
}
