//! The sessions, and how updates of their files, other sessions and time change them.
//!
//! A session is stored under its first file. `parts` combines several files, `tapped` lets a file replace a stream,
//! and `report_state` decides what is new for listeners.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::awake::{REMEMBERED, by_key};
use super::parts::{Part, Parts};
use super::report_state::{self, Announcement, ReportState};
use super::tapped;
use super::{Engine, EventKind};
use crate::activity::Activity;
use crate::file::{FileUpdate, Skipped};
use crate::register::Registers;
use crate::report::UsageReport;
use crate::session::{Context, Session};
use crate::source::Agent;
use crate::source_event::{FileId, ReadTo};
use crate::time::Now;

/// One session with its files.
#[derive(Debug)]
pub(super) struct SessionEntry {
    pub(super) session: Session,
    pub(super) parts: Parts,
    pub(super) reported: ReportState,
    /// A start of the timer that was in the future, because the clock was set back, and its replacement.
    pub(super) late_start: Option<Box<(Timestamp, Timestamp)>>,
}

impl SessionEntry {
    /// A session of which nothing was reported yet.
    fn unheard(session: Session) -> Self {
        Self { session, parts: Parts::default(), reported: ReportState::default(), late_start: None }
    }

    /// Moves times after `wall` to `wall`. A timer that would start in the future starts at the time at which this
    /// was noticed, and keeps that start.
    pub(super) fn not_after(&mut self, wall: Timestamp) {
        self.session.not_after(wall);
        let Some(from) = self.session.timer_from else { return };
        let (start, shown) = match self.late_start.as_deref() {
            Some((start, shown)) if from == *start || from == *shown => (*start, *shown),
            _ => (from, from),
        };
        let shown = shown.min(wall);
        self.session.timer_from = Some(shown);
        self.late_start = (shown != start).then(|| Box::new((start, shown)));
    }
}

impl Engine {
    /// A file, or a stream, has a new state of its session.
    pub(super) fn updated(&mut self, now: Now, file: FileId, update: FileUpdate, read: Option<ReadTo>) {
        let FileUpdate { session: mut of_file, mut usage, limits, skipped, first } = update;
        if file.is_stream() && self.has_file(&of_file) {
            self.files.remove(&file);
            self.awake.all();
            // The file need not contain them.
            self.learn(now, limits);
            return;
        }
        let earlier = self.inherited.take(read);
        let place = self.place_of(now, file, &of_file);
        let is_listed = self.files.contains_key(&place);
        let (known, adopted) = self.take_known(place, file, &of_file);
        let anew = first && !adopted && known.as_ref().is_none_or(|known| known.parts.has(file));
        let known = known.unwrap_or_else(|| SessionEntry::unheard(of_file.clone()));
        let SessionEntry { session: mut before, mut parts, mut reported, late_start } = known;
        let mut heard = parts.heard(file);
        if first {
            heard = heard.or_else(|| self.past.remove(&hash(of_file.key())));
            report_state::find(&mut usage, heard);
        }
        heard = heard.max(usage.iter().map(|event| event.at).max());
        let found = usage.last().map(|last| earlier.is_some() || last.added.is_none());
        reported.take_off(of_file.agent, &mut usage);
        of_file.not_after(now.wall);
        let used_at = of_file.last_token_event_at;
        let skipped = Some(skipped).filter(|skipped| *skipped != Skipped::default()).map(Box::new);
        let part = Part { file, skipped, read, reported: None, is_gone: false, heard };
        let mut session = parts.put(part, of_file, &before);
        parts.tell(file, &mut usage);
        if parts.are_several() && session.usage == before.usage {
            // A file that changes nothing is not new.
            usage.clear();
        }
        session.restored =
            found.filter(|_| session.last_token_event_at == used_at).unwrap_or(before.restored);
        session.helpers = before.helpers.take();
        if session.id == before.id {
            // A file that was cut does not undo where its session was.
            before.folders().for_each(|folder| session.was_in(folder));
        }
        if let Some(folder) = session.cwd.as_deref().filter(|folder| before.cwd.as_deref() != Some(*folder)) {
            self.folders.doubt(folder);
        }
        if self.registers.heard(now.wall, &session) {
            self.awake.all();
        }
        beside(&mut session, &self.registers, &self.windows);
        let activity = session.activity(now.wall, self.settings.card.idle_after);
        let announcements = match earlier {
            Some(earlier) => reported.inherit(earlier, !usage.is_empty()),
            None => reported.update((&before, &session), activity, anew, usage),
        };
        // Of an idle session, this may be the only report.
        self.unreported_status |= earlier.is_none() && activity == Activity::Idle;
        self.awake.heard(place, is_listed.then_some(&before), &session);
        self.shared.share(&mut session);
        self.files.insert(place, Box::new(SessionEntry { session, parts, reported, late_start }));
        self.describe(now, place);
        self.announce(now, place, announcements);
        self.learn(now, limits);
    }

    /// Reports the lasting facts of the session at `place`, if they are new and the session is known to listeners.
    pub(super) fn describe(&mut self, now: Now, place: FileId) {
        if !self.is_far_heard {
            return;
        }
        let Some(known) = self.files.get(&place) else { return };
        if known.reported.has_ended() || known.session.far.is_some() {
            return;
        }
        let report = self.about(&known.session, now);
        let mut hasher = DefaultHasher::new();
        serde_json::to_vec(&report.lasting()).unwrap_or_default().hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one")]
        let about = hasher.finish() as u32;
        if self.files.get_mut(&place).is_some_and(|known| known.reported.describe(about)) {
            self.tell(now.wall, EventKind::About { session: Box::new(report) });
        }
    }

    /// Sends listeners these events of the session at `place`.
    pub(super) fn announce(
        &mut self,
        now: Now,
        place: FileId,
        announcements: impl IntoIterator<Item = Announcement>,
    ) {
        let Some(known) = self.files.get(&place) else { return };
        let session = &known.session;
        let event = |announcement| match announcement {
            Announcement::Begins | Announcement::Ends => {
                let ended = announcement == Announcement::Ends;
                EventKind::Session { ended, session: Box::new(self.report(session, now)) }
            }
            Announcement::Activity(activity) => {
                let (id, agent, host) = (session.id.clone(), session.agent, session.host().cloned());
                EventKind::Activity { session: id, agent, host, activity }
            }
            Announcement::Usage(event) => {
                EventKind::Usage(UsageReport::new(session, &event, self.settings.tokens.count))
            }
        };
        let events: Vec<_> = announcements.into_iter().map(event).collect();
        events.into_iter().for_each(|kind| self.tell(now.wall, kind));
    }

    /// The file under which the session of `file` is stored. An unknown file may be another one of a known session.
    pub(super) fn place_of(&mut self, now: Now, file: FileId, session: &Session) -> FileId {
        if file.is_stream() {
            return file;
        }
        if let Some(first) = self.first_of(file) {
            let known = self.files.get(&first).or_else(|| self.dormant.get(&first));
            if known.is_some_and(|known| tapped::is_same(&known.session, session)) {
                return first;
            }
            // Another session's file was put in its place.
            self.gone(now, file);
        }
        let first = *self.by_session.entry(hash(session.key())).or_insert(file);
        let known = self.files.get(&first).or_else(|| self.dormant.get(&first));
        match known {
            Some(known) if first != file && tapped::is_same(&known.session, session) => {
                self.firsts.insert(file, first);
                first
            }
            _ => file,
        }
    }

    fn first_of(&self, file: FileId) -> Option<FileId> {
        let first = self.firsts.get(&file).copied();
        let is_first = || self.files.contains_key(&file) || self.dormant.contains_key(&file);
        first.or_else(|| is_first().then_some(file))
    }

    /// Takes out the session stored at `place`, and returns whether a stream has reported it.
    pub(super) fn take_known(
        &mut self,
        place: FileId,
        file: FileId,
        session: &Session,
    ) -> (Option<SessionEntry>, bool) {
        if let Some(known) = self.files.remove(&place) {
            return (Some(*known), false);
        }
        let dormant = self.dormant.remove(&place).map(|known| *known);
        match (dormant, self.adopt(file, session)) {
            (dormant, None) => (dormant, false),
            (None, adopted) => (adopted, true),
            (Some(mut dormant), Some(adopted)) => {
                // The files' own facts stay; the stream has reported how the session continued.
                adopted.session.folders().for_each(|folder| dormant.session.was_in(folder));
                (Some(SessionEntry { reported: adopted.reported, ..dormant }), true)
            }
        }
    }

    /// A file is no longer followed. Its session continues while another file of it exists.
    pub(super) fn gone(&mut self, now: Now, file: FileId) {
        let Some(first) = self.first_of(file) else { return };
        self.awake.all();
        let known = self.files.get_mut(&first).or_else(|| self.dormant.get_mut(&first));
        let Some(known) = known else { return };
        if known.parts.lose(file) {
            if let Some(session) = known.parts.joined() {
                let before = std::mem::replace(&mut known.session, session);
                before.folders().for_each(|folder| known.session.was_in(folder));
                (known.session.helpers, known.session.registration) = (before.helpers, before.registration);
            }
            return;
        }
        let key = hash(known.session.key());
        self.end(now, first);
        if let Some(known) = self.files.remove(&first).or(self.dormant.remove(&first)) {
            self.folders.file_gone(&known.session);
            self.past.retain(|_, heard| now.since(*heard) < REMEMBERED);
            self.past.extend(known.parts.newest().map(|heard| (key, heard)));
        }
        self.firsts.retain(|_, of| *of != first);
        if self.by_session.get(&key) == Some(&first) {
            self.by_session.remove(&key);
        }
    }

    /// Ends every session, for a driver whose files have ended.
    pub fn end_sessions(&mut self, now: Now) {
        let files: Vec<FileId> = self.files.keys().copied().collect();
        for file in files {
            self.end(now, file);
        }
    }

    fn end(&mut self, now: Now, place: FileId) {
        let announcement = self.files.get_mut(&place).and_then(|known| known.reported.end());
        self.announce(now, place, announcement);
    }

    /// Every listed session.
    pub(super) fn sessions(&self) -> Vec<&Session> {
        by_key(self.files.values().map(|known| &known.session))
    }
}

/// A hash of a session's key.
pub(super) fn hash((agent, id): (Agent, &str)) -> u64 {
    let mut hasher = DefaultHasher::new();
    (agent.word(), id).hash(&mut hasher);
    hasher.finish()
}

/// Adds the facts of a session that are not in its file.
pub(super) fn beside(session: &mut Session, registers: &Registers, windows: &BTreeMap<String, u64>) {
    session.registration = registers.registration(session).map(Box::new);
    if session.context.is_none() {
        let window = windows.get(&session.id).copied();
        let known = session.context_used.zip(window);
        session.context = known.map(|(used, window)| Context::new(session.agent, used, window));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There may be many thousands, nearly all of them idle.
    #[test]
    fn a_session_takes_little_memory() {
        assert!(size_of::<SessionEntry>() <= 712, "{}", size_of::<SessionEntry>());
    }
}
