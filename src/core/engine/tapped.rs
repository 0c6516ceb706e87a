//! Sessions known from their agent's printed output: counted once, even if they have a file, too.
//!
//! The file is always right. While it is followed, the stream is ignored. When it appears, it replaces the stream,
//! and only events that the stream has not reported are new.

use jiff::Timestamp;

use super::parts::Parts;
use super::{Engine, SessionEntry};
use crate::session::{Session, UsageEvent};
use crate::source::Agent;
use crate::source_event::FileId;
use crate::usage::Tokens;

/// How many ended streams are remembered: each may bring any number of sessions.
const REMEMBERED_STREAMS: usize = 100;

/// What a stream has reported of the session of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamReport {
    /// The stream's total, to be compared with the file's total.
    total: Tokens,
    /// Whether the two are comparable; if not, the stream's total counts from the file's total at its appearance.
    settled: bool,
    /// The time of the stream's last report: later lines were not reported by it. Its total may exceed the file's
    /// final total, because of helpers with their own files.
    until: Option<Timestamp>,
}

impl StreamReport {
    /// Keeps the new events of a file, and returns what has to be subtracted from later ones.
    pub(super) fn take_off(mut self, agent: Agent, usage: &mut Vec<UsageEvent>) -> Option<Self> {
        let mut over = false;
        usage.retain_mut(|event| {
            if over {
                return true;
            }
            let Some(total) = event.usage.session_total_tokens else { return true };
            let before = total.minus(&event.added.unwrap_or_default());
            if !self.settled {
                if agent.spec().stream.as_ref().is_some_and(|stream| stream.from_zero) {
                    self.total = self.total.plus(&before);
                }
                self.settled = true;
            }
            let Some(added) = event.added else { return false };
            if self.until.is_some_and(|until| event.at > until) {
                over = true;
                return true;
            }
            if total.all() <= self.total.all() {
                return false;
            }
            over = true;
            let rest = total.minus(&self.total);
            if rest.all() < added.all() {
                event.added = Some(rest);
                event.usage.session_delta_tokens = Some(rest);
            }
            true
        });
        (!over).then_some(self)
    }
}

impl Engine {
    /// Whether a file of this session is followed.
    pub(super) fn has_file(&self, session: &Session) -> bool {
        self.files.iter().any(|(file, known)| !file.is_stream() && is_same(&known.session, session))
    }

    /// What a stream has reported of the session of a new file. The stream is forgotten.
    pub(super) fn adopt(&mut self, file: FileId, session: &Session) -> Option<SessionEntry> {
        if file.is_stream() {
            return None;
        }
        let mut streams = self.files.range(FileId::stream(0)..);
        let (stream, _) = streams.find(|(_, known)| is_same(&known.session, session))?;
        let stream = *stream;
        let known = *self.files.remove(&stream)?;
        let total = known.session.usage.session_total_tokens;
        let until = known.session.last_event_at;
        // A remote reports the session's whole total.
        let settled = known.session.far.is_some();
        let streamed = total.map(|total| StreamReport { total, settled, until });
        Some(SessionEntry { reported: known.reported.give_way(streamed), parts: Parts::default(), ..known })
    }

    /// The stream has ended. Its session stays until it is too old, like any other.
    pub(super) fn stream_ended(&mut self, file: FileId) {
        if let Some(known) = self.files.get_mut(&file) {
            known.session.has_ended = true;
        }
        let mut over = self.files.range(FileId::stream(0)..).filter(|(_, known)| known.session.has_ended);
        let oldest = over.next().map(|(file, _)| *file);
        if let Some(oldest) = oldest.filter(|_| over.count() >= REMEMBERED_STREAMS) {
            self.files.remove(&oldest);
        }
    }
}

pub(super) fn is_same(one: &Session, other: &Session) -> bool {
    one.agent == other.agent && one.id == other.id
}
