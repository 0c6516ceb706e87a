//! The token figures of one session file.
//!
//! What a line adds and what was copied from another file is ruled by how its agent writes usage: as running totals of the
//! whole thread, or message by message. What comes of either is the same: a [`Usage`], and the changes that led to it.
//! Read next: [`totals`] and [`messages`], for the rules.

pub mod messages;
pub mod totals;

use std::fmt::Debug;

use jiff::Timestamp;

use super::{CountInfo, Fact, LimitsFact};
use crate::core::fingerprint;
use crate::core::session::UsageEvent;
use crate::core::usage::{Tokens, Usage};

/// What a line changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The total rose, or is known by now. Where `added` is `None`, what it rose by is history: it was copied here, or was
    /// there before anybody looked.
    Usage(UsageEvent),
    /// A usage line of the session's own was read, whether or not it changed anything.
    Row(CountInfo),
    /// Limits of the session's own.
    Limits(Timestamp, LimitsFact),
}

/// What a file counts for other reasons than its own lines, so that these can be read again.
#[derive(Debug, Default)]
pub struct Decided {
    /// What of it belongs to other files; `None` while they were not asked.
    pub inherited: Option<Box<[messages::Mark]>>,
}

/// The figures of one file, from its first byte on.
pub trait Ledger: Debug + Send {
    /// What the line at hand says, and its number. A [`Fact::Meta`] is another session's: its history was copied. What is
    /// kept may be taken out.
    fn fact(&mut self, at: Timestamp, ordinal: Option<u64>, fact: &mut Fact);

    /// The figures as they stand.
    fn usage(&self) -> Usage;

    /// Of the total, what the session had used before this file.
    fn before(&self) -> Tokens {
        Tokens::ZERO
    }

    /// Whether more was used than is written.
    fn is_lower_bound(&self) -> bool {
        false
    }

    /// What happened since the last call.
    fn take_changes(&mut self) -> Vec<Change>;

    /// Bytes are left out from here on: the total is not known, and neither is the turn at hand.
    fn jump(&mut self);

    /// The file is at its end for now, and was not written just before.
    fn rest(&mut self) {}

    /// Whether the rows of related files are needed to go on.
    fn wants_lineage(&self) -> bool;

    /// The rows of files that may share copied history, file by file.
    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]);

    /// Whether the rows of sub-agents' files are needed, for all accounts `at_end`, else for those that something follows.
    fn wants_helpers(&self, _at_end: bool) -> bool {
        false
    }

    /// Those rows, file by file.
    fn set_helpers(&mut self, _helpers: &[Vec<UsageRow>], _at_end: bool) {}

    /// The rows of everything that counts; `None` while that is not decided, or where counters tell which parts are one.
    fn counted(&self) -> Option<Vec<UsageRow>> {
        None
    }

    /// What was learnt of other files, for when the same lines are read again; `None` where that is not all that counts.
    fn decided(&self) -> Option<Decided>;

    /// The same lines were read again.
    fn decide_again(&mut self, _decided: &Decided) {}

    /// Another file of the session may get the same lines: whichever gets one first counts it.
    fn share(&mut self) {}
}

/// One usage line, as far as it is needed to recognise a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageRow {
    /// Its running totals.
    Totals(totals::Row),
    /// Its message.
    Message(messages::Row),
    /// The line that ends a file: in which session its conversation goes on.
    ContinuedIn(u128),
}

impl UsageRow {
    /// The row of a line that says this.
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

    /// Where totals are written.
    pub fn totals(&self) -> Option<totals::Row> {
        if let Self::Totals(row) = self { Some(*row) } else { None }
    }

    /// Where messages are written.
    pub fn message(&self) -> Option<messages::Row> {
        if let Self::Message(row) = self { Some(*row) } else { None }
    }
}

/// What a session's id is compared by.
pub fn session_key(id: &str) -> u128 {
    fingerprint::long(id.as_bytes())
}
