//! One live file: read once from its start, then only the appended bytes.
//!
//! Handles one file and its parsed session, no folders and no events. A file is read in one of three ways: whole; for
//! very large files first the ends and then, in slices, everything ([`Count`]); and on from the last position.
//! Read next: `rest`, a file that has not grown for long; `reader`, which decides when to read.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::file_path::FilePath;
use super::open::{Chunks, Opened, Stamp};
use super::{Ends, Home, Sizes};
use crate::core::file::{Decided, SessionFile};
use crate::core::fingerprint;
use crate::io::database::cursor::Cursors;

/// How many bytes before the offset are stored, to notice a file that was rewritten in place.
const ANCHOR: usize = 64;

/// A followed file.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) home: Arc<Home>,
    pub(super) path: FilePath,
    pub(super) stamp: Stamp,
    pub(super) position: Position,
    /// The offset at the last update.
    followed: u64,
    /// The parsed session; `None` while the file is at rest.
    pub(super) fold: Option<Box<SessionFile>>,
    /// The count of the whole file in progress, while `fold` has only the file's ends.
    pub(super) count: Option<Box<Count>>,
    /// Monotonic time of the last growth.
    pub(super) grown_at: Duration,
    /// Monotonic time of the last poll.
    pub(super) polled_at: Duration,
    /// The number of known files when this one's relatives were last searched.
    pub(super) lineage_asked: Option<u32>,
    /// Whether other files of the same conversation are followed.
    pub(super) shared: bool,
    /// The facts beyond its bytes when it was put at rest.
    pub(super) decided: Decided,
    /// The progress of the database rows that add to it.
    pub(super) cursors: Option<Box<Cursors>>,
}

/// The read position of a file.
#[derive(Debug, Default)]
pub(super) struct Position {
    pub(super) offset: u64,
    anchor: Anchor,
}

/// The last bytes before the offset.
#[derive(Debug)]
pub(super) enum Anchor {
    /// The bytes.
    Bytes(Vec<u8>),
    /// Their number and their hash.
    Sealed(usize, u64),
}

/// A second reading of a large file, from its first byte.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) fold: SessionFile,
    pub(super) offset: u64,
}

/// The result of checking a file again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    Unchanged,
    Grown,
    /// It is another file, or this one was shortened or rewritten: read it from its start.
    StartOver,
}

/// The result of a first reading.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) fold: SessionFile,
    pub(super) position: Position,
    /// Whether every byte was read.
    pub(super) whole: bool,
}

impl Default for Anchor {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Position {
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        let Anchor::Bytes(anchor) = &mut self.anchor else { return };
        let kept = bytes.get(bytes.len().saturating_sub(ANCHOR)..).unwrap_or_default();
        let surplus = (anchor.len() + kept.len()).saturating_sub(ANCHOR);
        anchor.drain(..surplus);
        anchor.extend_from_slice(kept);
    }

    /// Whether the position is at the end of a line.
    pub(super) fn is_at_line_end(&self) -> bool {
        matches!(&self.anchor, Anchor::Bytes(bytes) if bytes.last().is_none_or(|byte| *byte == b'\n'))
    }

    /// Replaces the bytes by their hash; the position does not move any more.
    pub(super) fn seal(&mut self) {
        if let Anchor::Bytes(bytes) = &self.anchor {
            self.anchor = Anchor::Sealed(bytes.len(), fingerprint::short(bytes));
        }
    }

    /// Whether the last bytes before the position are unchanged.
    pub(super) fn holds(&self, opened: &mut Opened) -> io::Result<bool> {
        if opened.stamp.len < self.offset {
            return Ok(false);
        }
        let length = match &self.anchor {
            Anchor::Bytes(bytes) => bytes.len(),
            Anchor::Sealed(length, _) => *length,
        };
        let mut there = Vec::with_capacity(length);
        let length = length as u64;
        opened.file.go_to(self.offset.saturating_sub(length))?;
        (&mut opened.file).take(length).read_to_end(&mut there)?;
        Ok(match &self.anchor {
            Anchor::Bytes(bytes) => there == *bytes,
            Anchor::Sealed(_, sealed) => fingerprint::short(&there) == *sealed,
        })
    }
}

impl Reading {
    /// Reads every byte.
    pub(super) fn whole(mut fold: SessionFile, opened: &mut Opened, chunks: &mut Chunks) -> io::Result<Self> {
        let mut position = Position::default();
        chunks.stream(&mut opened.file, 0, u64::MAX, |bytes| {
            fold.push(bytes);
            position.pass(bytes);
        })?;
        fold.end_line();
        Ok(Self { fold, position, whole: true })
    }

    /// Reads the first line and as much of the end as is needed. A short file is read whole.
    pub(super) fn ends(
        new: impl Fn() -> SessionFile,
        opened: &mut Opened,
        ends: &Ends,
        chunks: &mut Chunks,
    ) -> io::Result<Self> {
        let head = first_line(opened, ends.head, chunks)?;
        let mut window = ends.tail;
        loop {
            let (mut fold, mut position) = (new(), Position::default());
            fold.push(&head);
            position.pass(&head);
            let from = opened.stamp.len.saturating_sub(window).max(position.offset);
            let whole = from == position.offset;
            if !whole {
                fold.jump();
                position = Position { offset: from, ..Position::default() };
            }
            chunks.stream(&mut opened.file, from, u64::MAX, |bytes| {
                fold.push(bytes);
                position.pass(bytes);
            })?;
            fold.end_line();
            if whole || fold.tail_suffices() || window >= ends.most {
                return Ok(Self { fold, position, whole });
            }
            window = window.saturating_mul(4).min(ends.most);
        }
    }
}

/// The file's beginning up to its first newline, and at most `most` bytes (to the next chunk).
pub(super) fn first_line(opened: &mut Opened, most: u64, chunks: &mut Chunks) -> io::Result<Vec<u8>> {
    const STEP: u64 = 64 * 1024;
    let mut head = Vec::new();
    loop {
        let from = head.len() as u64;
        let count = chunks.stream(&mut opened.file, from, STEP.min(most.saturating_sub(from)), |bytes| {
            head.extend_from_slice(bytes);
        })?;
        if let Some(newline) = memchr::memchr(b'\n', &head) {
            head.truncate(newline + 1);
            return Ok(head);
        }
        if count == 0 {
            return Ok(head);
        }
    }
}

/// A session with the path of its file.
pub(super) fn located(mut fold: SessionFile, path: &Path) -> SessionFile {
    fold.locate(path);
    fold
}

impl Tail {
    /// Reads a file for the first time. Of a large one only the ends are read now; [`Tail::count`] reads it whole.
    pub(super) fn read(
        home: &Arc<Home>,
        path: &Path,
        opened: &mut Opened,
        live_since: Timestamp,
        sizes: &Sizes,
        chunks: &mut Chunks,
    ) -> io::Result<Self> {
        let new = || located(SessionFile::new(home.agent, Arc::clone(&home.label), live_since), path);
        let reading = if opened.stamp.len <= sizes.whole || opened.file.is_packed() {
            Reading::whole(new(), opened, chunks)?
        } else {
            Reading::ends(new, opened, &sizes.ends, chunks)?
        };
        let count = (!reading.whole).then(|| Count { fold: new(), offset: 0 });
        Ok(Self {
            home: Arc::clone(home),
            path: FilePath::new(path),
            stamp: opened.stamp,
            followed: reading.position.offset,
            position: reading.position,
            fold: Some(Box::new(reading.fold)),
            count: count.map(Box::new),
            grown_at: Duration::ZERO,
            polled_at: Duration::ZERO,
            lineage_asked: None,
            shared: false,
            decided: Decided::default(),
            cursors: None,
        })
    }

    /// Reads a file for the first time, up to the end of an earlier reading; `None` if it is shorter.
    pub(super) fn resume(
        home: &Arc<Home>,
        path: &Path,
        opened: &mut Opened,
        offset: u64,
        chunks: &mut Chunks,
    ) -> io::Result<Option<Self>> {
        // No line in it is live, of any time.
        let mut fold = located(SessionFile::new(home.agent, Arc::clone(&home.label), Timestamp::MAX), path);
        let mut position = Position::default();
        let passed = chunks.stream(&mut opened.file, 0, offset, |bytes| {
            fold.push(bytes);
            position.pass(bytes);
        })?;
        // A last line without a line break was sent before and is not sent again.
        fold.end_line();
        Ok((passed == offset).then(|| Self {
            home: Arc::clone(home),
            path: FilePath::new(path),
            // With this stamp the next check finds the rest as new.
            stamp: Stamp { len: offset, modified: Timestamp::UNIX_EPOCH, ..opened.stamp },
            followed: offset,
            position,
            fold: Some(Box::new(fold)),
            count: None,
            grown_at: Duration::ZERO,
            polled_at: Duration::ZERO,
            lineage_asked: None,
            shared: false,
            decided: Decided::default(),
            cursors: None,
        }))
    }

    /// Reads on from the last position. The path may lead to another file by now.
    pub(super) fn follow(&mut self, opened: &mut Opened, chunks: &mut Chunks) -> io::Result<Followed> {
        let stamp = opened.stamp;
        if stamp == self.stamp {
            return Ok(Followed::Unchanged);
        }
        if stamp.identity != self.stamp.identity || !self.position.holds(opened)? {
            return Ok(Followed::StartOver);
        }
        if !self.wake(opened, chunks)? {
            return Ok(Followed::StartOver);
        }
        let (Some(fold), position) = (&mut self.fold, &mut self.position) else {
            return Ok(Followed::StartOver);
        };
        chunks.stream(&mut opened.file, position.offset, u64::MAX, |bytes| {
            fold.push(bytes);
            position.pass(bytes);
        })?;
        // The stamp is set last: after a reading that failed half-way, the file must count as changed, and the read
        // part must still be sent.
        self.stamp = stamp;
        let before = std::mem::replace(&mut self.followed, self.position.offset);
        Ok(if self.followed == before { Followed::Unchanged } else { Followed::Grown })
    }

    /// How many bytes at the end belong to an incomplete line.
    pub(super) fn unfinished(&self) -> u64 {
        self.fold.as_ref().map_or(0, |fold| fold.unfinished())
    }

    /// Counts one more slice; true when the count has reached the followed position and has replaced `fold`.
    pub(super) fn count(&mut self, opened: &mut Opened, slice: u64, chunks: &mut Chunks) -> io::Result<bool> {
        let Some(count) = &mut self.count else { return Ok(false) };
        let left = self.position.offset.saturating_sub(count.offset);
        let Count { fold, offset } = count.as_mut();
        let passed = chunks.stream(&mut opened.file, *offset, slice.min(left), |bytes| {
            fold.push(bytes);
            *offset += bytes.len() as u64;
        })?;
        if passed < left {
            return if passed == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(false) };
        }
        if let Some(mut count) = self.count.take() {
            count.fold.end_line();
            self.fold = Some(Box::new(count.fold));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::source::Agent;
    use crate::io::intake::inbox::Inbox;

    /// There may be many thousands of files, nearly all at rest.
    #[test]
    fn a_file_at_rest_needs_little_memory() {
        assert!(size_of::<Tail>() <= 208, "{}", size_of::<Tail>());
    }

    #[test]
    fn the_part_read_before_a_failure_is_sent_by_the_next_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.jsonl");
        std::fs::write(&path, "one\n").unwrap();
        let home =
            Arc::new(Home { agent: Agent::CODEX, path: folder.path().to_owned(), label: "home".into() });
        let (sizes, mut chunks) = (Sizes::default(), Chunks::new(64, Arc::new(Inbox::default())));
        let mut opened = Opened::open(&path).unwrap();
        let mut tail = Tail::read(&home, &path, &mut opened, Timestamp::MIN, &sizes, &mut chunks).unwrap();

        std::fs::write(&path, "one\ntwo\n").unwrap();
        // A reading that fails behind the last byte comes as far as this.
        tail.position.pass(b"two\n");
        let mut opened = Opened::open(&path).unwrap();
        assert_eq!(tail.follow(&mut opened, &mut chunks).unwrap(), Followed::Grown);
        assert_eq!(tail.follow(&mut opened, &mut chunks).unwrap(), Followed::Unchanged);
    }
}
