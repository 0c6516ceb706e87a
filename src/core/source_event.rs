//! The events from the intake to the engine: one closed set, each of them small.
//!
//! The bytes of session files stay with the reader; events contain folded data.
//! Read next: [`crate::file`], which makes the updates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::file::FileUpdate;
use crate::limits::Snapshot;
use crate::register::Register;

/// One followed session file, as long as it is followed. Kept over renames; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u64);

impl FileId {
    /// Stream ids start here; no file has a number as high.
    const STREAMS: u64 = 1 << 63;
    /// Remote ids start here within the streams; no stream of this machine has a number as high.
    const REMOTES: u64 = 1 << 62;

    /// The id with this number.
    pub fn new(number: u64) -> Self {
        Self(number & !Self::STREAMS)
    }

    /// The id of a stream: what an agent prints instead of writing it to a file.
    pub fn stream(number: u64) -> Self {
        Self(number & !Self::REMOTES | Self::STREAMS)
    }

    /// The id of a session that a remote reports.
    pub fn remote(number: u64) -> Self {
        Self(number | Self::STREAMS | Self::REMOTES)
    }

    /// Whether this is a stream.
    pub fn is_stream(self) -> bool {
        self.0 & Self::STREAMS != 0
    }
}

/// The file system's identity of a file, independent of its path: the same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileIdentity(pub u64, pub u64);

/// How far a file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadTo {
    /// The file.
    pub file: FileIdentity,
    /// All bytes before this offset are in the update, and none after it.
    pub offset: u64,
}

/// An event about session files or the things beside them.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceEvent {
    /// A file was read or has grown.
    Updated {
        /// The file.
        file: FileId,
        /// The new state of the file; replaces the earlier one.
        update: Box<FileUpdate>,
        /// How far the file has been read, once it was read completely up to there.
        read: Option<ReadTo>,
    },
    /// A file was deleted, or was silent for so long that it is no longer followed.
    Gone {
        /// The file.
        file: FileId,
    },
    /// Limits from outside the followed files: from a file that is too old, or from a terminal.
    Limits(Box<Snapshot>),
    /// The size of a session's context window, which is not in its file.
    Window {
        /// The agent's own id of the session.
        session: String,
        /// The size in tokens.
        tokens: u64,
    },
    /// The agent's own register of running processes has changed.
    Register {
        /// The agent's home folder, as configured.
        home: Arc<str>,
        /// Its present content; `None` if it no longer exists.
        register: Option<Register>,
    },
    /// All existing files have been announced, though very large files may still be counting. Comes once after the
    /// start, and again after a change of homes.
    CaughtUp,
    /// A problem that the user may have to fix, or the end of one.
    Problem {
        /// The kind of problem; the same key at its end.
        key: &'static str,
        /// The agent's home folder, as configured.
        home: Arc<str>,
        /// The problem, with a hint if there is one; `None` once it is over.
        message: Option<String>,
    },
}

impl SourceEvent {
    /// Limits from outside the followed files.
    pub fn limits(word: Snapshot) -> Self {
        Self::Limits(Box::new(word))
    }
}
