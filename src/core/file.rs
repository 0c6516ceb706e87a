//! One session file: takes bytes, gives the session and its events.
//!
//! It folds the file's facts. Any split of the same bytes gives the same result, and reading a file whole, following
//! it or restoring it gives the same figures. It does not depend on the source of the bytes.
//! Read next: `fold` and `about` for the effect of lines; [`crate::source`] for the facts;
//! [`crate::session`] for the result.

mod about;
mod fold;
mod rows;
mod stream;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::limits::Snapshot;
use crate::lines::{Line, LineBuffer};
use crate::session::{Session, UsageEvent};
use crate::source::database::Row;
use crate::source::{Agent, Fact, Parsed, Parser};
use crate::time::later;
use fold::Fold;

pub use crate::source::ledger::{Decided, UsageRow};
pub use crate::source::relatives::{Head, LineageRequest};
pub use rows::RowReader;
pub use stream::Stream;

/// A file whose newest line was older than this at the start of its reading is complete, not being created.
const AT_REST: Duration = Duration::from_secs(60);

/// Follows one session file.
#[derive(Debug)]
pub struct SessionFile {
    lines: LineBuffer,
    parser: Box<dyn Parser>,
    fold: Fold,
}

/// What a file brought since the last call.
#[derive(Debug, Clone, PartialEq)]
pub struct FileUpdate {
    /// The present session.
    pub session: Session,
    /// Usage events in order, without those of earlier updates.
    pub usage: Vec<UsageEvent>,
    /// The newest limits of each family in this file's own events.
    pub limits: Vec<Snapshot>,
    /// Lines that could not be used, since the file was opened.
    pub skipped: Skipped,
    /// Whether the file was read from its start for this.
    pub first: bool,
}

/// Lines that could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// Lines that are not the agent's JSON.
    pub unreadable_lines: u64,
    /// Lines too long to be read whole.
    pub oversized_lines: u64,
    /// Lines of an unknown kind.
    pub unknown_types: u64,
}

impl SessionFile {
    /// A file about to be read from its first byte. Usage lines with times before `live_since` are restored figures,
    /// not events, if they exist when the file is first read to its end.
    pub fn new(agent: Agent, home: Arc<str>, live_since: Timestamp) -> Self {
        let parser = (agent.spec().parser)();
        Self { lines: LineBuffer::default(), parser, fold: Fold::new(agent, home, live_since) }
    }

    /// Sets the path of the file, which may contain the session. Call it before the first byte.
    pub fn locate(&mut self, path: &Path) {
        self.parser.located(path);
    }

    /// Takes the next bytes of the file, split anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { lines, parser, fold } = self;
        lines.push(bytes, |line| fold.line(parser.as_mut(), line));
    }

    /// Takes a document in its present form, which replaces the earlier one. `key` identifies it within the session.
    pub fn replace(&mut self, key: &str, bytes: &[u8]) {
        let Self { parser, fold, .. } = self;
        parser.document(key, bytes, &mut |parsed| fold.parsed(Line::Whole(bytes), parsed));
    }

    /// Takes the next bytes of one of its session's files, whose lines are cut there.
    pub fn grow(&mut self, lines: &mut LineBuffer, bytes: &[u8]) {
        let Self { parser, fold, .. } = self;
        lines.push(bytes, |line| fold.line(parser.as_mut(), line));
        // A complete object cannot continue.
        lines.end(|line| fold.line(parser.as_mut(), line));
    }

    /// Sets the session's folder, unless its lines name one.
    pub fn works_in(&mut self, folder: &str) {
        self.fold.works_in(folder);
    }

    /// Sets whether the session has ended, because everything it was written into is gone.
    pub fn set_over(&mut self, over: bool) {
        if let Some(about) = &mut self.fold.about
            && about.session.has_ended != over
        {
            about.session.has_ended = over;
            self.fold.changed = true;
        }
    }

    /// Takes a row of a database in its present form.
    pub fn row(&mut self, row: &Row<'_>) {
        let Self { parser, fold, .. } = self;
        parser.row(row, &mut |parsed| fold.parsed(Line::Whole(b""), parsed));
    }

    /// The ids whose rows are to be read.
    pub fn asks(&mut self) -> Vec<String> {
        self.parser.asks()
    }

    /// No row comes for now.
    pub fn settle(&mut self) {
        let held = self.parser.settle();
        if !matches!(held, Parsed::Line { fact: Fact::Alive, .. }) {
            self.take(held);
        }
    }

    /// Takes a result that a parser of its agent gave elsewhere.
    pub fn take(&mut self, parsed: Parsed) {
        self.fold.parsed(Line::Whole(b""), parsed);
    }

    /// No more comes for now: a last line without a newline counts if it is complete, and later bytes do not belong
    /// to it. True if this brought anything.
    pub fn end_line(&mut self) -> bool {
        let Self { lines, parser, fold } = self;
        let mut any = false;
        lines.end(|line| {
            any = true;
            fold.line(parser.as_mut(), line);
        });
        if self.last_event_at().is_some_and(|at| later(at, AT_REST) <= self.fold.live_since) {
            self.rest();
        }
        any
    }

    /// The number of bytes at the end that belong to a line that does not count yet.
    pub fn unfinished(&self) -> u64 {
        self.lines.unfinished()
    }

    /// Bytes are left out: the next ones begin somewhere inside a line. From here on the figures are provisional
    /// (`Session::counting`).
    pub fn jump(&mut self) {
        self.lines.jump();
        self.parser.jump();
        self.fold.jump();
    }

    /// After a jump: whether the bytes since then contained the newest usage, limits, model and turn boundary, so
    /// that reading further back has no use.
    pub fn tail_suffices(&self) -> bool {
        self.fold.since_jump.suffices()
    }

    /// The end of the file has been reached for now. Bytes appended after the next update are new, independent of
    /// their times, because the clock may have been set back.
    pub fn caught_up(&mut self) {
        self.fold.caught_up = true;
    }

    /// The file rests: it was not written to just before, so it is not being created.
    pub fn rest(&mut self) {
        if let Some(about) = &mut self.fold.about {
            about.ledger.rest();
            self.fold.changed = true;
            self.fold.drain();
        }
    }

    /// The request for the rows that separate inherited usage from own usage.
    pub fn lineage_wanted(&self) -> Option<LineageRequest> {
        let about = self.fold.about.as_ref()?;
        let meta = &about.meta;
        let parent = meta.forked_from.as_ref().or(meta.parent.as_ref());
        // The history of a file that continues its own thread is in that thread's other files.
        let parent = parent.or(meta.history_elsewhere.then_some(&meta.id));
        about.ledger.wants_lineage().then(|| LineageRequest {
            parent: parent.cloned().unwrap_or_default(),
            only_named: meta.only_named && meta.forked_from.is_some(),
            first_line: meta.first_line.clone(),
            midway: meta.midway && !meta.subagent,
            whole: meta.history_elsewhere,
        })
    }

    /// Whether the rows of the sub-agents' files are needed to compute what no line contains. `at_end`: nothing
    /// follows the bytes read.
    pub fn helpers_wanted(&self, at_end: bool) -> bool {
        self.fold.about.as_ref().is_some_and(|about| about.ledger.wants_helpers(at_end))
    }

    /// Answers `helpers_wanted`: the rows of each of those files.
    pub fn set_helpers(&mut self, helpers: &[Vec<UsageRow>], at_end: bool) {
        if let Some(about) = &mut self.fold.about {
            about.ledger.set_helpers(helpers, at_end);
            self.fold.changed = true;
            self.fold.news = true;
            self.fold.drain();
        }
    }

    /// The rows of everything that counts for this file; `None` while that is not decided.
    pub fn counted(&self) -> Option<Vec<UsageRow>> {
        self.fold.about.as_ref()?.ledger.counted()
    }

    /// Another file of the same session may get the same lines, so new ones have to be asked for.
    pub fn share(&mut self) {
        if let Some(about) = &mut self.fold.about {
            about.ledger.share();
        }
    }

    /// Answers `lineage_wanted`: the rows of each file that may share copied history (the parent's, else siblings');
    /// empty if there is none.
    pub fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        if let Some(about) = &mut self.fold.about {
            about.ledger.set_lineage(candidates);
            self.fold.changed = true;
            self.fold.news = true;
            self.fold.drain();
        }
    }

    /// What has to be stored about a file that has reported everything, so that it can be read again later; `None` if
    /// that would not give the same figures.
    pub fn decided(&self) -> Option<Decided> {
        self.fold.about.as_ref().map_or_else(|| Some(Decided::default()), |about| about.ledger.decided())
    }

    /// Everything was read again up to the earlier position, and has been reported before.
    pub fn decide_again(&mut self, decided: &Decided) {
        if let Some(about) = &mut self.fold.about {
            about.ledger.decide_again(decided);
            self.fold.drain();
        }
        self.caught_up();
        let _told = self.take_update();
    }

    /// The update since the last call; `None` if nothing is new, or while the session is not known.
    pub fn take_update(&mut self) -> Option<FileUpdate> {
        let fold = &mut self.fold;
        if fold.caught_up {
            fold.live_since = Timestamp::MIN;
        }
        fold.take_update()
    }

    /// The relations in its beginning, once its first line has been read.
    pub fn head(&self) -> Option<Head> {
        let meta = &self.fold.about.as_ref()?.meta;
        let parent = meta.forked_from.as_ref().or(meta.parent.as_ref());
        Some(Head {
            id: meta.id.clone(),
            parent: parent.cloned(),
            copy: meta.late || parent.is_some(),
            first_line: meta.first_line.clone(),
            subagent: meta.subagent,
        })
    }

    /// Whether anything but signs of life came since the last update, so that an update is worthwhile.
    pub fn has_news(&self) -> bool {
        self.fold.news
    }

    /// Whether a turn is open.
    pub fn is_at_work(&self) -> bool {
        self.fold.about.as_ref().is_some_and(|about| about.session.work.turn_open)
    }

    /// The time of the newest line.
    pub fn last_event_at(&self) -> Option<Timestamp> {
        self.fold.about.as_ref()?.session.last_event_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::LINE_LIMIT;

    #[test]
    fn usage_counts_beside_a_text_of_any_length() {
        let text = "x".repeat(LINE_LIMIT);
        let line = format!(
            r#"{{"sessionId":"s","type":"assistant","uuid":"u","timestamp":"2026-09-01T10:00:00Z","message":{{"id":"m","model":"claude-opus-5","content":[{{"type":"text","text":"{text}"}}],"usage":{{"input_tokens":3,"output_tokens":40}}}}}}"#
        );
        let mut file = SessionFile::new(Agent::CLAUDE, "home".into(), Timestamp::MIN);
        file.push(line.as_bytes());
        file.push(b"\n");
        file.set_lineage(&[]);
        let total = file.take_update().and_then(|update| update.session.usage.session_total_tokens);
        assert_eq!(total.map(|total| total.all()), Some(43));
    }
}
