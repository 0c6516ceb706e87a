//! What reads an agent's lines or documents, chosen once per session.
//!
//! Cannot fail, and keeps of what it has read only what later lines need.
//! Read next: an agent's parser; [`crate::core::file`], which folds what it tells.

use std::fmt::Debug;
use std::path::Path;

use jiff::Timestamp;

use super::Fact;
use crate::core::lines::Line;

/// Reads what one session has written, in order.
pub trait Parser: Debug + Send {
    /// The next line of a file that grows.
    fn line(&mut self, line: Line<'_>) -> Parsed;

    /// The next object of a line that is not one object.
    fn record(&mut self, object: &[u8]) -> Parsed {
        self.line(Line::Whole(object))
    }

    /// A document as it is now, with everything in it that was there before. `key` tells it from others of its session.
    fn document(&mut self, _key: &str, _bytes: &[u8], _tell: &mut dyn FnMut(Parsed)) {}

    /// Where the file lies, before its first byte: its name may say whose it is.
    fn located(&mut self, _path: &Path) {}

    /// Bytes are left out from here on.
    fn jump(&mut self) {}
}

/// What became of one line.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// A fact and the line's own time and number.
    Line {
        /// When it was written, UTC.
        at: Option<Timestamp>,
        /// Its number in the file, where lines are numbered.
        ordinal: Option<u64>,
        /// What it says.
        fact: Fact,
        /// Whether its kind is one that is not known here.
        unknown: bool,
    },
    /// Not the agent's JSON.
    Unreadable,
}
