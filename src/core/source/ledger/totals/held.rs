//! The position of a file between copied and own history, and the entries held back until that is decided.

use jiff::Timestamp;

use super::copied::{Originals, Row, row};
use crate::source::{Count, CountInfo};

/// The position of a file between copied and own history.
#[derive(Debug, Clone, Default)]
pub(super) enum Origin {
    /// Lines are the session's own.
    #[default]
    Own,
    /// Lines are copied, until the mark of the session's own part. `held` is own if that mark is wrong.
    Copied { held: Vec<Entry> },
    /// Not decided yet; entries are held back.
    Undecided { held: Vec<Entry>, rows: usize, foreign_meta: bool },
    /// All rows so far belong to other files.
    Following(Originals),
}

#[derive(Debug, Clone)]
pub(super) enum Entry {
    Turn(Option<String>),
    Count { at: Timestamp, count: Box<Count> },
}

impl Entry {
    pub(super) fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Count { at, .. } => Some(*at),
            Self::Turn(_) => None,
        }
    }

    pub(super) fn row(&self) -> Option<Row> {
        match self {
            Self::Count { count, .. } => count.info.as_ref().map(row),
            Self::Turn(_) => None,
        }
    }
}

pub(super) fn info_of(row: &Row) -> CountInfo {
    CountInfo { total: row.total, last: Some(row.last), window: None }
}

impl Origin {
    pub(super) fn undecided(foreign_meta: bool) -> Self {
        Self::Undecided { held: Vec::new(), rows: 0, foreign_meta }
    }
}
