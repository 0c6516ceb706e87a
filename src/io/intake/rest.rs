//! A file at rest: only its path and position are stored, and it is read again when it grows.
//!
//! Most files never grow again. A few files keep their parsed content in memory. If there are more, those that have not
//! grown for a while keep only the facts that their own lines do not have.
//! Read next: `tail`, a file with its content in memory.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;

use super::open::{Chunks, Opened};
use super::reader::Reader;
use super::tail::{Position, Tail, located};
use crate::core::file::SessionFile;
use crate::core::source_event::FileId;

/// So few files stay in memory.
const FEW: usize = 64;

/// Larger files are not read twice, in bytes.
const MOST: u64 = 4 * 1024 * 1024;

impl Reader<'_> {
    /// Puts a file at rest, unless there are few.
    pub(super) fn rest(&mut self, id: FileId) {
        if self.files.len() > FEW
            && let Some(tail) = self.files.get_mut(id)
        {
            tail.rest();
        }
    }

    /// Puts the files at rest that have not grown since the last rescan.
    pub(super) fn rest_silent(&mut self) {
        let (mono, silence) = (self.now().mono, self.config.pace.rescan);
        let is_silent = |tail: &Tail| mono.saturating_sub(tail.grown_at) >= silence;
        for id in self.files.ids(|tail| tail.fold.is_some() && is_silent(tail)) {
            self.rest(id);
        }
    }
}

impl Tail {
    /// Drops the content. A file that would give other figures when it is read again, or whose last line is incomplete,
    /// keeps it.
    fn rest(&mut self) {
        // Database rows that add to a file would have to be read again too.
        let has_rows = self.home.agent.spec().layout.databases.is_some();
        let may_rest = !self.shared && !has_rows && self.count.is_none() && self.position.offset <= MOST;
        if may_rest
            && self.position.is_at_line_end()
            && let Some(decided) = self.fold.as_ref().and_then(|fold| fold.decided())
        {
            (self.fold, self.decided) = (None, decided);
            self.position.seal();
        }
    }

    /// Reads the file again up to its position; false if it has become shorter. All of it was sent before.
    pub(super) fn wake(&mut self, opened: &mut Opened, chunks: &mut Chunks) -> io::Result<bool> {
        if self.fold.is_some() {
            return Ok(true);
        }
        let fold = SessionFile::new(self.home.agent, Arc::clone(&self.home.label), Timestamp::MAX);
        let (mut fold, mut position) = (located(fold, &self.path.whole()), Position::default());
        chunks.stream(&mut opened.file, 0, self.position.offset, |bytes| {
            fold.push(bytes);
            position.pass(bytes);
        })?;
        if position.offset < self.position.offset {
            return Ok(false);
        }
        fold.decide_again(&self.decided);
        (self.fold, self.position, self.lineage_asked) = (Some(Box::new(fold)), position, None);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::file::{RowReader, UsageRow};
    use crate::core::source::Agent;
    use crate::io::intake::inbox::Inbox;
    use crate::io::intake::tail::Followed;
    use crate::io::intake::{Home, Sizes};

    #[test]
    fn a_transcript_at_rest_continues_with_the_same_figures() {
        let message = |id: &str, output: u64| {
            format!(
                r#"{{"sessionId":"s","type":"assistant","uuid":"{id}","timestamp":"2026-11-01T10:00:00Z","message":{{"id":"{id}","model":"claude-opus-5","content":[],"usage":{{"input_tokens":0,"output_tokens":{output}}}}}}}"#
            ) + "\n"
        };
        let other_has = |text: &str| {
            let mut reader = RowReader::new(Agent::CLAUDE);
            reader.push(text.as_bytes());
            vec![reader.finish()]
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        let (copied, own) = (message("a", 100), message("b", 20));
        std::fs::write(&path, [copied.as_str(), &own].concat()).unwrap();
        let home =
            Arc::new(Home { agent: Agent::CLAUDE, path: folder.path().to_owned(), label: "home".into() });
        let (sizes, mut chunks) = (Sizes::default(), Chunks::new(4096, Arc::new(Inbox::default())));
        let mut opened = Opened::open(&path).unwrap();
        let mut tail = Tail::read(&home, &path, &mut opened, Timestamp::MAX, &sizes, &mut chunks).unwrap();
        let usage = |tail: &mut Tail, others: &[Vec<UsageRow>]| {
            let fold = tail.fold.as_mut().unwrap();
            fold.caught_up();
            assert!(fold.lineage_wanted().is_some());
            fold.set_lineage(others);
            let update = fold.take_update().unwrap();
            let added =
                update.usage.iter().map(|event| event.added.map(|added| added.all())).collect::<Vec<_>>();
            (update.session.usage.session_total_tokens.unwrap().all(), added)
        };
        assert_eq!(usage(&mut tail, &other_has(&copied)), (20, vec![None]));

        // By now other files have its counted messages, and the next ones.
        let (now_copied, last) = (message("c", 3_000), message("d", 4));
        let others = other_has(&[own.as_str(), &now_copied].concat());
        for (more, usage_of_it) in [
            (&now_copied, (20, vec![])),
            (&last, (24, vec![Some(4)])),
            (&message("e", 1), (25, vec![Some(1)])),
        ] {
            tail.rest();
            assert!(tail.fold.is_none(), "it rests");
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            std::io::Write::write_all(&mut file, more.as_bytes()).unwrap();
            let mut opened = Opened::open(&path).unwrap();
            assert_eq!(tail.follow(&mut opened, &mut chunks).unwrap(), Followed::Grown);
            assert_eq!(usage(&mut tail, &others), usage_of_it);
        }
    }
}
