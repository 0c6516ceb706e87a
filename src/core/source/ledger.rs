//! The token figures of one file, whichever agent writes it.
//!
//! Each agent has its own rules for what a line adds and what was copied from another file; what comes of them is the
//! same: a [`Usage`], and the changes that led to it.
//! Read next: [`codex::ledger`] and [`claude::ledger`], for the rules.

use jiff::Timestamp;

use crate::core::file::UsageRow;
use crate::core::source::Agent;
use crate::core::source::{Call, Count, CountInfo, Counters, LimitsFact, Message, Meta, claude, codex};
use crate::core::usage::{Tokens, Usage};

/// What a line changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The total rose.
    Usage {
        /// The line's time.
        at: Timestamp,
        /// The turn's id.
        turn: Option<String>,
        /// By how much.
        added: Tokens,
        /// The figures after it.
        usage: Usage,
        /// The call, where usage is written per call.
        call: Option<Call>,
    },
    /// The total is known, but what it rose by is history: it was copied here, or was there before anybody looked.
    History {
        /// The line's time.
        at: Timestamp,
        /// The turn's id.
        turn: Option<String>,
        /// The figures after it.
        usage: Usage,
    },
    /// The total rose by what no line told; of which turn it is, is not known.
    Unlisted {
        /// The time of the line before.
        at: Timestamp,
        /// By how much.
        added: Tokens,
        /// The figures after it.
        usage: Usage,
    },
    /// A usage line of the session's own was read, whether or not it changed anything.
    Row(CountInfo),
    /// Limits of the session's own.
    Limits(Timestamp, LimitsFact),
}

/// The rules of one agent, at work on one file. What an agent does not write is never asked of its rules.
#[derive(Debug)]
pub enum Ledger {
    /// Running totals of the whole thread.
    Codex(Box<codex::ledger::Ledger>),
    /// Usage of single messages.
    Claude(Box<claude::ledger::Ledger>),
}

impl Ledger {
    /// A file that is read from its first byte.
    pub fn new(agent: Agent, meta: &Meta) -> Self {
        if agent == Agent::CODEX {
            Self::Codex(Box::new(codex::ledger::Ledger::new(meta)))
        } else {
            Self::Claude(Box::default())
        }
    }

    /// The figures as they stand.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Codex(ledger) => ledger.usage(),
            Self::Claude(ledger) => ledger.usage(),
        }
    }

    /// Of the total, what the session had used before this file.
    pub fn before(&self) -> Tokens {
        match self {
            Self::Codex(ledger) => ledger.before(),
            Self::Claude(_) => Tokens::ZERO,
        }
    }

    /// Whether the agent is known to have written less than was used.
    pub fn is_lower_bound(&self) -> bool {
        match self {
            Self::Codex(_) => false,
            Self::Claude(ledger) => ledger.is_lower_bound(),
        }
    }

    /// What happened since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        match self {
            Self::Codex(ledger) => ledger.take_changes(),
            Self::Claude(ledger) => ledger.take_changes(),
        }
    }

    /// Another session's first line inside this file: its history was copied.
    pub fn foreign_meta(&mut self) {
        if let Self::Codex(ledger) = self {
            ledger.foreign_meta();
        }
    }

    /// The number of the line at hand.
    pub fn ordinal(&mut self, ordinal: u64) {
        if let Self::Codex(ledger) = self {
            ledger.ordinal(ordinal);
        }
    }

    /// A turn begins, by the file's own record or by the user's prompt.
    pub fn turn_started(&mut self, id: Option<&str>, started_at: Option<u64>) {
        match self {
            Self::Codex(ledger) => ledger.turn_started(id, started_at),
            Self::Claude(ledger) => ledger.turn_started(id),
        }
    }

    /// A line with counters or limits.
    pub fn count(&mut self, at: Timestamp, count: Box<Count>) {
        if let Self::Codex(ledger) = self {
            ledger.count(at, count);
        }
    }

    /// One response's own usage.
    pub fn response(
        &mut self,
        at: Timestamp,
        response: Option<&str>,
        usage: Counters,
        thread: Option<Counters>,
    ) {
        if let Self::Codex(ledger) = self {
            ledger.response(at, response, usage, thread);
        }
    }

    /// What a message has used so far.
    pub fn message(&mut self, at: Timestamp, message: &Message) {
        if let Self::Claude(ledger) = self {
            ledger.message(at, message);
        }
    }

    /// What the whole session has spent so far by the agent's own account.
    pub fn spent(&mut self, at: Timestamp, spent: Tokens) {
        if let Self::Claude(ledger) = self {
            ledger.spent(at, spent);
        }
    }

    /// A sub-agent is called.
    pub fn delegated(&mut self) {
        if let Self::Claude(ledger) = self {
            ledger.delegated();
        }
    }

    /// Whether the rows of the sub-agents' files are needed, of all of them `at_end`.
    pub fn wants_helpers(&self, at_end: bool) -> bool {
        matches!(self, Self::Claude(ledger) if ledger.wants_helpers(at_end))
    }

    /// Those rows, file by file.
    pub fn set_helpers(&mut self, helpers: &[Vec<UsageRow>], at_end: bool) {
        if let Self::Claude(ledger) = self {
            let rows = |rows: &Vec<UsageRow>| rows.iter().filter_map(UsageRow::claude).collect();
            ledger.set_helpers(helpers.iter().map(rows).collect(), at_end);
        }
    }

    /// Bytes are left out from here on.
    pub fn jump(&mut self) {
        match self {
            Self::Codex(ledger) => ledger.jump(),
            Self::Claude(ledger) => ledger.jump(),
        }
    }

    /// The file is at its end for now, and was not written just before.
    pub fn rest(&mut self) {
        match self {
            Self::Codex(ledger) => ledger.rest(),
            Self::Claude(_) => {}
        }
    }

    /// Whether the rows of a related file are needed to go on.
    pub fn wants_lineage(&self) -> bool {
        match self {
            Self::Codex(ledger) => ledger.wants_lineage(),
            Self::Claude(ledger) => ledger.wants_lineage(),
        }
    }

    /// The rows of everything that counts; `None` while that is not decided. Codex's counters tell which parts are one.
    pub fn counted(&self) -> Option<Vec<UsageRow>> {
        match self {
            Self::Codex(_) => None,
            Self::Claude(ledger) => ledger.counted().map(|rows| rows.map(UsageRow::Claude).collect()),
        }
    }

    /// Another file of the same session may get the same lines.
    pub fn share(&mut self) {
        if let Self::Claude(ledger) = self {
            ledger.share();
        }
    }

    /// The rows of files that may share copied history.
    pub fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        match self {
            Self::Codex(ledger) => {
                let rows = |rows: &Vec<UsageRow>| rows.iter().filter_map(UsageRow::codex).collect();
                ledger.set_lineage(&candidates.iter().map(rows).collect::<Vec<_>>());
            }
            Self::Claude(ledger) => {
                let rows = candidates.iter().flatten().filter_map(UsageRow::claude);
                ledger.set_lineage(rows.flat_map(|row| row.marks()));
            }
        }
    }
}
