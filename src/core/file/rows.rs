//! The usage rows of a whole file, by which a copied line is recognised in another file.

use jiff::Timestamp;
use memchr::memmem;

use crate::lines::{Line, LineBuffer};
use crate::source::ledger::UsageRow;
use crate::source::{Agent, Fact, Parsed, Parser, read_line};

/// Reads the usage rows of a whole file, for `lineage_wanted`.
#[derive(Debug)]
pub struct RowReader {
    agent: Agent,
    lines: LineBuffer,
    parser: Box<dyn Parser>,
    rows: Vec<UsageRow>,
}

impl RowReader {
    /// Reads a file from its first byte.
    pub fn new(agent: Agent) -> Self {
        Self { agent, lines: LineBuffer::default(), parser: (agent.spec().parser)(), rows: Vec::new() }
    }

    /// Takes the next bytes of the file, split anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { agent, lines, parser, rows } = self;
        lines.push(bytes, |line| line_rows(*agent, parser.as_mut(), line, rows));
    }

    /// The rows, in the file's order.
    pub fn finish(mut self) -> Vec<UsageRow> {
        let Self { agent, lines, parser, rows } = &mut self;
        lines.end(|line| line_rows(*agent, parser.as_mut(), line, rows));
        self.rows
    }
}

fn line_rows(agent: Agent, parser: &mut dyn Parser, line: Line<'_>, rows: &mut Vec<UsageRow>) {
    let (Line::Whole(bytes) | Line::Cut(bytes)) = line else { return };
    if agent.spec().usage_words.iter().any(|word| memmem::find(bytes, word.as_bytes()).is_some()) {
        read_line(agent, parser, line, |_, parsed| {
            if let Parsed::Line { at, fact, .. } = parsed {
                fact_rows(at, &fact, rows);
            }
        });
    }
}

fn fact_rows(at: Option<Timestamp>, fact: &Fact, rows: &mut Vec<UsageRow>) {
    match fact {
        Fact::Several(facts) | Fact::History(facts) => {
            facts.iter().for_each(|fact| fact_rows(at, fact, rows))
        }
        fact => rows.extend(UsageRow::of(at, fact)),
    }
}
