//! A Claude Code file's own usage: one figure per message, whatever is written how often.
//!
//! A message of the model is written as several lines, each with the usage so far; lines of one message may stand apart,
//! may be repeated, and are copied into forks, resumed sessions and side questions. The rules:
//!
//! - of the lines of one message the best speaks for it, whole: of the conversation itself before a helper's, then the
//!   greatest output, then the most tokens, then the later one;
//! - what another file is the first to have is not counted here; which messages those are is asked once, when the first
//!   usage has been read, and nothing counts before the answer;
//! - where lines say that they were copied and nobody has the original, they count, but as history.
//!
//! Kept per message are 64 bytes, for as long as the file is followed: that is what makes a repeated line worth nothing
//! whenever it comes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::core::source::Message;
use crate::core::source::ledger::Change;
use crate::core::usage::{Tokens, Usage};

/// The token figures of one file.
#[derive(Debug, Default)]
pub struct Ledger {
    origin: Origin,
    messages: BTreeMap<u128, Best>,
    usage: Usage,
    turn: Turn,
    /// Whether bytes were left out, so that the total is not known.
    total_hidden: bool,
    /// How many messages are known to have used more than is written.
    at_least: usize,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Origin {
    /// Nobody has said yet what belongs to another file; what came is held back.
    Undecided(Vec<Entry>),
    /// These messages belong to another file, in order.
    Decided(Vec<u128>),
}

#[derive(Debug)]
enum Entry {
    Turn(Option<String>),
    Message(Timestamp, Message),
}

/// The line that speaks for a message.
#[derive(Debug, Clone, Copy)]
struct Best {
    tokens: Tokens,
    main: bool,
    at_least: bool,
    /// The turn in which the message was first seen.
    turn: u32,
}

#[derive(Debug, Default)]
struct Turn {
    number: u32,
    id: Option<String>,
    used: Tokens,
    /// Whether bytes were left out since it began.
    torn: bool,
}

impl Default for Origin {
    fn default() -> Self {
        Self::Undecided(Vec::new())
    }
}

impl Best {
    /// Ties go to the later line.
    fn yields_to(&self, message: &Message) -> bool {
        let rank = |main: bool, tokens: &Tokens| (main, tokens.output, tokens.all());
        rank(message.main, &message.tokens) >= rank(self.main, &self.tokens)
    }
}

impl Ledger {
    /// The figures as they stand.
    pub fn usage(&self) -> Usage {
        let mut usage = self.usage;
        if self.total_hidden {
            usage.session_total_tokens = None;
        }
        usage
    }

    /// Whether more was used than is written.
    pub fn is_lower_bound(&self) -> bool {
        self.at_least > 0
    }

    /// What happened since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The user's prompt begins a turn.
    pub fn turn_started(&mut self, id: Option<&str>) {
        let id = id.map(str::to_owned);
        match &mut self.origin {
            Origin::Undecided(held) => held.push(Entry::Turn(id)),
            Origin::Decided(_) => self.begin_turn(id),
        }
    }

    /// A line of a message, with its usage so far.
    pub fn message(&mut self, at: Timestamp, message: &Message) {
        match &mut self.origin {
            Origin::Undecided(held) => held.push(Entry::Message(at, message.clone())),
            Origin::Decided(_) => self.own(at, message, message.copied),
        }
    }

    /// Bytes are left out from here on: the total is not known, and neither is the turn at hand.
    pub fn jump(&mut self) {
        self.set_lineage(std::iter::empty());
        self.total_hidden = true;
        self.turn.torn = true;
        self.usage.last_turn_tokens = None;
    }

    /// Whether it must be known which messages belong to another file.
    pub fn wants_lineage(&self) -> bool {
        let Origin::Undecided(held) = &self.origin else { return false };
        held.iter().any(|entry| matches!(entry, Entry::Message(..)))
    }

    /// These messages belong to another file: the original's, of which this one is a copy.
    pub fn set_lineage(&mut self, messages: impl Iterator<Item = u128>) {
        if !matches!(self.origin, Origin::Undecided(_)) {
            return;
        }
        let mut inherited: Vec<u128> = messages.collect();
        inherited.sort_unstable();
        inherited.dedup();
        let orphaned = inherited.is_empty();
        let Origin::Undecided(held) = std::mem::replace(&mut self.origin, Origin::Decided(inherited)) else {
            return;
        };
        // Of a copy without its original everything that is there at first is history.
        let is_copied = |entry: &Entry| matches!(entry, Entry::Message(_, message) if message.copied);
        let history = orphaned && held.iter().any(is_copied);
        for entry in held {
            match entry {
                Entry::Turn(id) => self.begin_turn(id),
                Entry::Message(at, message) => self.own(at, &message, history || message.copied),
            }
        }
    }

    fn begin_turn(&mut self, id: Option<String>) {
        self.turn = Turn { number: self.turn.number.wrapping_add(1), id, ..Turn::default() };
        self.usage.last_turn_tokens = self.usage.session_total_tokens.map(|_| Tokens::ZERO);
    }

    fn own(&mut self, at: Timestamp, message: &Message, history: bool) {
        if let Origin::Decided(inherited) = &self.origin
            && inherited.binary_search(&message.id).is_ok()
        {
            return;
        }
        let known = self.messages.get(&message.id).copied();
        if known.is_some_and(|known| !known.yields_to(message)) {
            return;
        }
        let (before, turn) = known.map_or((Tokens::ZERO, self.turn.number), |best| (best.tokens, best.turn));
        let Message { id, tokens, main, at_least, .. } = *message;
        self.messages.insert(id, Best { tokens, main, at_least, turn });
        self.at_least += usize::from(at_least);
        self.at_least = self.at_least.saturating_sub(usize::from(known.is_some_and(|best| best.at_least)));
        let replace = |sum: Tokens| sum.minus(&before).plus(&tokens);
        self.usage.session_total_tokens = Some(replace(self.usage.session_total_tokens.unwrap_or_default()));
        if turn == self.turn.number {
            self.turn.used = replace(self.turn.used);
        }
        self.usage.last_turn_tokens = (!self.turn.torn).then_some(self.turn.used);
        let added = tokens.minus(&before);
        if added.is_zero() {
            return;
        }
        self.usage.session_delta_tokens = Some(added);
        let (turn, usage) = (self.turn.id.clone(), self.usage());
        self.changes.push(if history {
            Change::History { at, turn, usage }
        } else {
            Change::Usage { at, turn, added, usage, call: message.call.clone() }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u128, input: u64, output: u64) -> Message {
        let tokens = Tokens { input, output, ..Tokens::ZERO };
        Message {
            id,
            tokens,
            main: true,
            copied: false,
            at_least: false,
            context: None,
            window: None,
            call: None,
        }
    }

    fn ledger(inherited: &[u128]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.set_lineage(inherited.iter().copied());
        ledger
    }

    fn triplet(ledger: &Ledger) -> [Option<u64>; 3] {
        let usage = ledger.usage();
        let parts = [usage.session_delta_tokens, usage.last_turn_tokens, usage.session_total_tokens];
        parts.map(|tokens| tokens.map(|tokens| tokens.blended()))
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn the_line_with_the_greatest_output_speaks_for_its_message() {
        let mut ledger = ledger(&[]);
        for output in [1, 1, 187, 187, 5] {
            ledger.message(NOW, &message(1, 3, output));
        }
        assert_eq!(triplet(&ledger), [Some(186), Some(190), Some(190)]);
        assert_eq!(ledger.take_changes().len(), 2);
    }

    #[test]
    fn a_later_line_takes_the_whole_usage_of_an_earlier_one() {
        let mut ledger = ledger(&[]);
        ledger.message(NOW, &message(1, 100, 1));
        ledger.message(NOW, &message(1, 40, 10));
        assert_eq!(triplet(&ledger), [Some(9), Some(50), Some(50)]);
    }

    #[test]
    fn a_helpers_copy_never_speaks_for_the_conversation() {
        for order in [[true, false], [false, true]] {
            let mut ledger = ledger(&[]);
            for main in order {
                let output = if main { 10 } else { 500 };
                ledger.message(NOW, &Message { main, ..message(1, 1, output) });
            }
            assert_eq!(ledger.usage().session_total_tokens.map(|tokens| tokens.output), Some(10));
        }
    }

    #[test]
    fn a_message_belongs_to_the_turn_in_which_it_was_first_seen() {
        let mut ledger = ledger(&[]);
        ledger.turn_started(Some("a"));
        ledger.message(NOW, &message(1, 10, 1));
        ledger.turn_started(Some("b"));
        ledger.message(NOW, &message(1, 10, 5));
        assert_eq!(triplet(&ledger), [Some(4), Some(0), Some(15)]);
        ledger.message(NOW, &message(2, 10, 5));
        assert_eq!(triplet(&ledger), [Some(15), Some(15), Some(30)]);
    }

    #[test]
    fn nothing_counts_before_it_is_known_what_is_inherited() {
        let mut ledger = Ledger::default();
        assert!(!ledger.wants_lineage());
        ledger.message(NOW, &message(1, 10, 5));
        ledger.message(NOW, &message(2, 20, 5));
        assert!(ledger.wants_lineage());
        assert_eq!(triplet(&ledger), [None; 3]);
        ledger.set_lineage([1].into_iter());
        ledger.message(NOW, &message(1, 10, 50));
        assert_eq!(triplet(&ledger), [Some(25), Some(25), Some(25)]);
    }

    #[test]
    fn a_copy_without_its_original_begins_with_history() {
        let mut ledger = Ledger::default();
        ledger.message(NOW, &Message { copied: true, ..message(1, 10, 5) });
        ledger.message(NOW, &message(2, 20, 5));
        ledger.set_lineage(std::iter::empty());
        ledger.message(NOW, &Message { copied: true, ..message(3, 1, 1) });
        ledger.message(NOW, &message(4, 30, 5));
        assert_eq!(triplet(&ledger), [Some(35), Some(77), Some(77)]);
        let events = ledger.take_changes();
        let live = events.iter().filter(|change| matches!(change, Change::Usage { .. })).count();
        assert_eq!((events.len(), live), (4, 1));
    }

    #[test]
    fn what_was_left_out_makes_the_total_unknown() {
        let mut ledger = Ledger::default();
        ledger.message(NOW, &message(1, 10, 5));
        ledger.jump();
        ledger.message(NOW, &message(2, 10, 5));
        assert_eq!(triplet(&ledger), [Some(15), None, None]);
        ledger.turn_started(None);
        ledger.message(NOW, &message(3, 10, 5));
        assert_eq!(triplet(&ledger), [Some(15), Some(15), None]);
    }

    #[test]
    fn a_figure_that_grows_in_time_is_a_lower_bound_until_it_has() {
        let mut ledger = ledger(&[]);
        ledger.message(NOW, &Message { at_least: true, ..message(1, 10, 5) });
        assert!(ledger.is_lower_bound());
        ledger.message(NOW, &message(1, 10, 50));
        assert!(!ledger.is_lower_bound());
    }
}
