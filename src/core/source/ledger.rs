//! The token figures of one session file.
//!
//! How an agent records usage decides which tokens a line adds and which were copied from another file: as running
//! totals of the whole thread, or message by message. Both give the same result: a [`Usage`], and the changes that
//! led to it.
//! Read next: [`totals`] and [`messages`] for the rules.

pub mod messages;
pub mod totals;

use std::fmt::Debug;

use jiff::Timestamp;

use super::{CountInfo, Fact, LimitsFact};
use crate::fingerprint;
use crate::session::UsageEvent;
use crate::usage::{Tokens, Usage};

/// A change that a line made.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The total has risen, or is now known. If `added` is `None`, the increase is history: it was copied, or existed
    /// before the start.
    Usage(UsageEvent),
    /// A usage line of the session itself was read, with or without a change.
    Row(CountInfo),
    /// Limits of the session itself.
    Limits(Timestamp, LimitsFact),
}

/// What a file counts because of other files, needed if its lines are read again.
#[derive(Debug, Default)]
pub struct Decided {
    /// The part of it that belongs to other files; `None` while they were not read.
    pub inherited: Option<Box<[messages::Mark]>>,
}

/// The token figures of one file, from its first byte on.
pub trait Ledger: Debug + Send {
    /// Takes the facts of a line, and its number. A [`Fact::Meta`] is another session's: its history was copied. The
    /// ledger may take values out of `fact`.
    fn fact(&mut self, at: Timestamp, ordinal: Option<u64>, fact: &mut Fact);

    /// The present figures.
    fn usage(&self) -> Usage;

    /// The part of the total that the session had used before this file.
    fn before(&self) -> Tokens {
        Tokens::ZERO
    }

    /// Whether more was used than is recorded.
    fn is_lower_bound(&self) -> bool {
        false
    }

    /// The changes since the last call.
    fn take_changes(&mut self) -> Vec<Change>;

    /// Bytes are left out from here on: neither the total nor the current turn is known.
    fn jump(&mut self);

    /// The file is at its end for now, and was not written to just before.
    fn rest(&mut self) {}

    /// Whether the rows of related files are needed to continue.
    fn wants_lineage(&self) -> bool;

    /// Gives the rows of files that may share copied history, file by file.
    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]);

    /// Whether the rows of sub-agents' files are needed: for all accounts `at_end`, else for those that lines follow.
    fn wants_helpers(&self, _at_end: bool) -> bool {
        false
    }

    /// Gives those rows, file by file.
    fn set_helpers(&mut self, _helpers: &[Vec<UsageRow>], _at_end: bool) {}

    /// The rows of everything that counts; `None` while that is not decided, or if counters identify the parts.
    fn counted(&self) -> Option<Vec<UsageRow>> {
        None
    }

    /// What was decided by other files, for another reading of the same lines; `None` if that is not all that counts.
    fn decided(&self) -> Option<Decided>;

    /// Restores those decisions after another reading of the same lines.
    fn decide_again(&mut self, _decided: &Decided) {}

    /// Another file of the session may get the same lines; the file that gets a line first counts it.
    fn share(&mut self) {}
}

/// One usage line, as far as needed to recognise its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageRow {
    /// Its running totals.
    Totals(totals::Row),
    /// Its message.
    Message(messages::Row),
    /// The line that ends a file, with the session that continues the conversation.
    ContinuedIn(u128),
}

impl UsageRow {
    /// The row of a line with this fact; `None` if the line has no usage.
    pub fn of(at: Option<Timestamp>, fact: &Fact) -> Option<Self> {
        match fact {
            Fact::Count(count) => count.info.as_ref().map(|info| Self::Totals(totals::row(info))),
            Fact::Message(message) => Some(Self::Message(messages::Row {
                message: message.id,
                response: message.response,
                at: at.unwrap_or(Timestamp::UNIX_EPOCH),
                tokens: message.tokens,
                at_least: message.at_least,
            })),
            Fact::ContinuedIn(session) => Some(Self::ContinuedIn(session_key(session))),
            _ => None,
        }
    }

    /// The running totals, if the row has them.
    pub fn totals(&self) -> Option<totals::Row> {
        if let Self::Totals(row) = self { Some(*row) } else { None }
    }

    /// The message, if the row has one.
    pub fn message(&self) -> Option<messages::Row> {
        if let Self::Message(row) = self { Some(*row) } else { None }
    }
}

/// A session's id in the form for comparisons.
pub fn session_key(id: &str) -> u128 {
    fingerprint::long(id.as_bytes())
}
