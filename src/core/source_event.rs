//! What the intake tells the loop: one closed set of events, all of them small.
//!
//! The bytes of session files stay where they are read; what arrives here is already folded.
//! Read next: [`crate::core::file`], which makes the updates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::file::FileUpdate;
use crate::core::limits::Snapshot;
use crate::core::register::Register;

/// One followed session file, for as long as it is followed. Survives renames; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u64);

impl FileId {
    /// No file has a number as high as a stream's.
    const STREAMS: u64 = 1 << 63;
    /// And no stream of this machine one as high as a remote's.
    const REMOTES: u64 = 1 << 62;

    /// The id with this number.
    pub fn new(number: u64) -> Self {
        Self(number & !Self::STREAMS)
    }

    /// The id of what an agent prints instead of writing it into a file.
    pub fn stream(number: u64) -> Self {
        Self(number & !Self::REMOTES | Self::STREAMS)
    }

    /// The id of a session that a remote tells of.
    pub fn remote(number: u64) -> Self {
        Self(number | Self::STREAMS | Self::REMOTES)
    }

    /// Whether this is no file but a stream.
    pub fn is_stream(self) -> bool {
        self.0 & Self::STREAMS != 0
    }
}

/// What the file system calls a file, whatever its path: the same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileIdentity(pub u64, pub u64);

/// How far a file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadTo {
    /// Which.
    pub file: FileIdentity,
    /// Every byte before this one is in the update, and none after it.
    pub offset: u64,
}

/// Something that session files brought.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceEvent {
    /// A file was read or has grown.
    Updated {
        /// Which.
        file: FileId,
        /// What is new; replaces what was known of the file.
        update: Box<FileUpdate>,
        /// How far the file has been read, once all of it up to there was.
        read: Option<ReadTo>,
    },
    /// A file was deleted, or silent for so long that it is no longer followed.
    Gone {
        /// Which.
        file: FileId,
    },
    /// Limits found beside the files that are followed: in one that is too old, or said by a terminal.
    Limits(Box<Snapshot>),
    /// The size of a session's context window, which its file does not tell.
    Window {
        /// The agent's own id of the session.
        session: String,
        /// The size in tokens.
        tokens: u64,
    },
    /// The agent's own register of running processes says something else than before.
    Register {
        /// The agent's home folder, as configured.
        home: Arc<str>,
        /// What it says now; `None` when there is none any more.
        register: Option<Register>,
    },
    /// Everything that was there has been announced, though very large files may still be counting.
    /// Comes once after the start, and again after a change of homes.
    CaughtUp,
    /// Something that a user may want to mend, or has mended.
    Problem {
        /// Which kind of problem; the same word when it is over.
        key: &'static str,
        /// The agent's home folder, as configured.
        home: Arc<str>,
        /// What is wrong, with a hint where there is one; `None` once it is mended.
        message: Option<String>,
    },
}

impl SourceEvent {
    /// A word on limits.
    pub fn limits(word: Snapshot) -> Self {
        Self::Limits(Box::new(word))
    }
}
