//! The usage rows of a whole file: what makes a copied line known in another file.

use crate::core::lines::LineBuffer;
use crate::core::source::{claude, codex};

/// One usage line, as far as it is needed to recognise a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageRow {
    /// Its counters.
    Codex(codex::counters::Row),
    /// Its message.
    Claude(claude::Row),
}

impl UsageRow {
    /// The row of a Codex file.
    pub fn codex(&self) -> Option<codex::counters::Row> {
        match self {
            Self::Codex(row) => Some(*row),
            Self::Claude(_) => None,
        }
    }

    /// The row of a Claude Code file.
    pub fn claude(&self) -> Option<claude::Row> {
        match self {
            Self::Claude(row) => Some(*row),
            Self::Codex(_) => None,
        }
    }
}

/// Reads the usage rows of a whole file, of whichever agent, for `lineage_wanted`.
#[derive(Debug, Default)]
pub struct RowReader {
    lines: LineBuffer,
    rows: Vec<UsageRow>,
}

impl RowReader {
    /// Takes the next bytes of the file, split anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let rows = &mut self.rows;
        self.lines.push(bytes, |line| {
            let codex = || codex::usage_row(line).map(UsageRow::Codex);
            rows.extend(codex().or_else(|| claude::usage_row(line).map(UsageRow::Claude)));
        });
    }

    /// The rows, in the file's order.
    pub fn finish(self) -> Vec<UsageRow> {
        self.rows
    }
}
