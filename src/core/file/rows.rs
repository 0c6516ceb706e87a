//! The usage rows of a whole file: what makes a copied line known in another file.

use memchr::memmem;

use crate::core::lines::{Line, LineBuffer, records};
use crate::core::source::{claude, codex};

/// One usage line, as far as it is needed to recognise a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageRow {
    /// Its counters.
    Codex(codex::counters::Row),
    /// Its message.
    Claude(claude::Row),
    /// The line that ends a Claude Code file: in which session its conversation goes on.
    ContinuedIn(u128),
}

impl UsageRow {
    /// The row of a Codex file.
    pub fn codex(&self) -> Option<codex::counters::Row> {
        match self {
            Self::Codex(row) => Some(*row),
            Self::Claude(_) | Self::ContinuedIn(_) => None,
        }
    }

    /// The row of a Claude Code file.
    pub fn claude(&self) -> Option<claude::Row> {
        match self {
            Self::Claude(row) => Some(*row),
            Self::Codex(_) | Self::ContinuedIn(_) => None,
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
        self.lines.push(bytes, |line| line_rows(line, rows));
    }

    /// The rows, in the file's order.
    pub fn finish(mut self) -> Vec<UsageRow> {
        let rows = &mut self.rows;
        self.lines.end(|line| line_rows(line, rows));
        self.rows
    }
}

fn line_rows(line: Line<'_>, rows: &mut Vec<UsageRow>) {
    let row = |line| {
        let codex = || codex::usage_row(line).map(UsageRow::Codex);
        let claude = || claude::usage_row(line).map(UsageRow::Claude);
        codex().or_else(claude).or_else(|| claude::continued_in(line).map(UsageRow::ContinuedIn))
    };
    if let Some(row) = row(line) {
        rows.push(row);
    } else if let Line::Whole(bytes) = line
        && [&b"\"token_count\""[..], b"\"assistant\""].iter().any(|word| memmem::find(bytes, word).is_some())
    {
        // A line that is not one object.
        rows.extend(records(bytes).objects.into_iter().filter_map(|object| row(Line::Whole(object))));
    }
}
