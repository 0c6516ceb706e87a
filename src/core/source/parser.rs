//! What reads an agent's lines or documents, chosen once per session.
//!
//! Cannot fail, and keeps of what it has read only what later lines need.
//! Read next: an agent's parser; [`crate::core::file`], which folds what it tells.

use std::fmt::Debug;
use std::path::Path;

use jiff::Timestamp;

use super::database::Row;
use super::{Agent, Fact};
use crate::core::lines::{Line, Records, records};

/// Reads what one session has written, in order.
pub trait Parser: Debug + Send {
    /// The next line of a file that grows.
    fn line(&mut self, _line: Line<'_>) -> Parsed {
        Parsed::Unreadable
    }

    /// The next object of a line that is not one object.
    fn record(&mut self, object: &[u8]) -> Parsed {
        self.line(Line::Whole(object))
    }

    /// A document as it is now, with everything in it that was there before. `key` tells it from others of its session.
    fn document(&mut self, _key: &str, _bytes: &[u8], _tell: &mut dyn FnMut(Parsed)) {}

    /// A row of a database as it is now, whatever was told of it before.
    fn row(&mut self, _row: &Row<'_>, _tell: &mut dyn FnMut(Parsed)) {}

    /// Of which rows others are to be read, asked at each look when the session's own rows were told.
    fn asks(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Where the file lies, before its first byte: its name may say whose it is.
    fn located(&mut self, _path: &Path) {}

    /// Bytes are left out from here on.
    fn jump(&mut self) {}

    /// Nothing comes for now: what is held back is told.
    fn settle(&mut self) -> Parsed {
        Parsed::of(None, Vec::new())
    }
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

impl Parsed {
    /// When it was written.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Line { at, .. } => *at,
            Self::Unreadable => None,
        }
    }

    /// A line that says all of these, in this order.
    pub fn of(at: Option<Timestamp>, mut facts: Vec<Fact>) -> Self {
        let fact = match facts.len() {
            0 => Fact::Alive,
            1 => facts.remove(0),
            _ => Fact::Several(facts),
        };
        Self::Line { at, ordinal: None, fact, unknown: false }
    }
}

/// Tells what a line says; of one that is not one object, what each whole record in it says.
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

/// Whose session file begins with these bytes; `None` when no agent is recognised.
pub fn recognise(head: &[u8]) -> Option<Agent> {
    recognise_of(&Agent::ALL, head)
}

/// The same among these.
pub fn recognise_of(agents: &[Agent], head: &[u8]) -> Option<Agent> {
    // A line or two may be torn or foreign; a file of which the first ones say nothing is none.
    const LINES: usize = 20;
    let lines = head.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    let whose = |line: &[u8]| agents.iter().copied().find(|agent| (agent.spec().is_line)(line));
    lines
        .take(LINES)
        .find_map(|line| whose(line).or_else(|| records(line).objects.into_iter().find_map(whose)))
}
