//! The interface of a reader of an agent's lines or documents, one for each session.
//!
//! It cannot fail, and keeps only what later lines need.
//! Read next: an agent's parser; [`crate::file`], which folds the facts.

use std::fmt::Debug;
use std::path::Path;

use jiff::Timestamp;

use super::database::Row;
use super::{Agent, Fact};
use crate::lines::{Line, Records, records};

/// Reads the lines, documents or rows of one session, in order.
pub trait Parser: Debug + Send {
    /// The next line of a growing file.
    fn line(&mut self, _line: Line<'_>) -> Parsed {
        Parsed::Unreadable
    }

    /// The next object of a line that is not one object.
    fn record(&mut self, object: &[u8]) -> Parsed {
        self.line(Line::Whole(object))
    }

    /// A document in its present form, earlier content included. `key` identifies it within its session.
    fn document(&mut self, _key: &str, _bytes: &[u8], _tell: &mut dyn FnMut(Parsed)) {}

    /// A row of a database in its present form, which may have been passed before.
    fn row(&mut self, _row: &Row<'_>, _tell: &mut dyn FnMut(Parsed)) {}

    /// The ids whose rows are to be read, asked after each pass over the session's own rows.
    fn asks(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// The path of the file, before its first byte: its name may contain the session.
    fn located(&mut self, _path: &Path) {}

    /// Bytes are left out from here on.
    fn jump(&mut self) {}

    /// No more comes for now: returns the facts that were held back.
    fn settle(&mut self) -> Parsed {
        Parsed::of(None, Vec::new())
    }
}

/// The result of one line.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// A fact, with the line's own time and number.
    Line {
        /// When it was written, UTC.
        at: Option<Timestamp>,
        /// Its number in the file, if lines are numbered.
        ordinal: Option<u64>,
        /// Its meaning.
        fact: Fact,
        /// Whether its kind is unknown.
        unknown: bool,
    },
    /// Not the agent's JSON.
    Unreadable,
}

impl Parsed {
    /// When the line was written.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Line { at, .. } => *at,
            Self::Unreadable => None,
        }
    }

    /// A line with all of these facts, in this order.
    pub fn of(at: Option<Timestamp>, mut facts: Vec<Fact>) -> Self {
        let fact = match facts.len() {
            0 => Fact::Alive,
            1 => facts.remove(0),
            _ => Fact::Several(facts),
        };
        Self::Line { at, ordinal: None, fact, unknown: false }
    }
}

/// Passes on the result of a line. If it is not one object, passes on each whole record in it.
pub fn read_line(
    agent: Agent,
    parser: &mut dyn Parser,
    line: Line<'_>,
    mut tell: impl FnMut(Line<'_>, Parsed),
) {
    let bytes = match (parser.line(line), line) {
        (Parsed::Unreadable, Line::Whole(bytes) | Line::Cut(bytes)) => bytes,
        (parsed, _) => return tell(line, parsed),
    };
    let Records { objects, torn, .. } = records(bytes);
    let mut lost = torn || objects.is_empty();
    for object in objects.into_iter().filter(|object| (agent.spec().is_line)(object)) {
        match parser.record(object) {
            Parsed::Unreadable => lost = true,
            parsed @ Parsed::Line { .. } => tell(Line::Whole(object), parsed),
        }
    }
    if lost {
        tell(line, Parsed::Unreadable);
    }
}

/// The agent whose session file begins with these bytes; `None` if no agent is recognised.
pub fn recognise(head: &[u8]) -> Option<Agent> {
    recognise_of(&Agent::ALL, head)
}

/// The same among these agents.
pub fn recognise_of(agents: &[Agent], head: &[u8]) -> Option<Agent> {
    // A line or two may be torn or foreign; a file is not recognised if none of its first lines is.
    const LINES: usize = 20;
    let lines = head.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    let whose = |line: &[u8]| agents.iter().copied().find(|agent| (agent.spec().is_line)(line));
    lines
        .take(LINES)
        .find_map(|line| whose(line).or_else(|| records(line).objects.into_iter().find_map(whose)))
}
