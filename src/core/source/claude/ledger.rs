//! A Claude Code file's own usage: one figure per message, whatever is written how often.
//!
//! A message of the model is written as several lines, each with the usage so far; lines of one message may stand apart,
//! may be repeated, and are copied into forks, resumed sessions and side questions. The rules:
//!
//! - of the lines of one message the best speaks for it, whole: of the conversation itself before a helper's, then the
//!   greatest output, then the most tokens, then the later one;
//! - lines with one id are of several responses where a gateway gives every response the same id; how they are told
//!   apart is [`Response::is`](crate::core::source::Response::is);
//! - what another file is the first to have is not counted here; which messages those are is asked once, when the first
//!   usage has been read, and nothing counts before the answer;
//! - where lines say that they were copied and nobody has the original, they count, but as history.
//!
//! Kept per message are 88 bytes, for as long as the file is followed: that is what makes a repeated line worth nothing
//! whenever it comes.
//!
//! Longer than other files because each way in which a line is written again is tested beside the rule that it tests.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::spent::Spent;
use super::{Mark, Row};
use crate::core::source::ledger::Change;
use crate::core::source::{Message, Response};
use crate::core::usage::{Tokens, Usage};

/// The token figures of one file.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What is held back until it is known what belongs to another file.
    held: Vec<Entry>,
    /// What is marked so belongs to another file, in order; `None` before that is known.
    inherited: Option<Vec<Mark>>,
    /// Whether another file of the session may get the same lines, so that each new message has to be asked for.
    shared: bool,
    /// Whether messages that count elsewhere, or were copied, were among the lines since the session's last account.
    copied: bool,
    /// What was spent beyond what lines tell.
    spent: Option<Box<Spent>>,
    messages: BTreeMap<u128, Best>,
    /// The newest response with an id that several have.
    newest: BTreeMap<u128, u128>,
    usage: Usage,
    turn: Turn,
    /// Whether bytes were left out, so that the total is not known.
    total_hidden: bool,
    /// How many messages are known to have used more than is written.
    at_least: usize,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Entry {
    Turn(Option<String>),
    Message(Timestamp, Message),
    Spent(Timestamp, Tokens),
    Delegated,
}

/// The line that speaks for a message.
#[derive(Debug, Clone, Copy)]
struct Best {
    response: Response,
    tokens: Tokens,
    main: bool,
    at_least: bool,
    /// Whether there is another response with its message's id, under which that one is kept.
    further: bool,
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
        if self.inherited.is_none() || !self.held.is_empty() {
            self.held.push(Entry::Turn(id));
        } else {
            self.begin_turn(id);
        }
    }

    /// A line of a message, with its usage so far.
    pub fn message(&mut self, at: Timestamp, message: &Message) {
        if self.inherited.is_none() || self.shared {
            self.held.push(Entry::Message(at, message.clone()));
        } else {
            self.own(at, message, message.copied);
        }
    }

    /// What the whole session has spent so far by Claude Code's own account.
    pub fn spent(&mut self, at: Timestamp, spent: Tokens) {
        if self.inherited.is_none() || !self.held.is_empty() {
            self.held.push(Entry::Spent(at, spent));
        } else {
            self.account(at, spent);
        }
    }

    /// A helper is called.
    pub fn delegated(&mut self) {
        if self.inherited.is_none() || !self.held.is_empty() {
            self.held.push(Entry::Delegated);
        } else {
            self.spent.get_or_insert_default().called();
        }
    }

    /// Whether the rows of helpers are needed, for all accounts `at_end`, else for those that something follows.
    pub fn wants_helpers(&self, at_end: bool) -> bool {
        self.spent.as_ref().is_some_and(|spent| spent.wants_helpers(at_end))
    }

    /// The rows of the helpers' files.
    pub fn set_helpers(&mut self, mut helpers: Vec<Vec<Row>>, at_end: bool) {
        let own: BTreeSet<Mark> = self.rows().flat_map(|row| row.marks()).collect();
        for rows in &mut helpers {
            rows.retain(|row| !row.marks().any(|mark| own.contains(&mark)));
        }
        let risen = self.spent.as_mut().map(|spent| spent.set_helpers(&helpers, at_end)).unwrap_or_default();
        for (at, added) in risen {
            let total = self.usage.session_total_tokens.unwrap_or_default().plus(&added);
            self.usage.session_total_tokens = Some(total);
            self.usage.session_delta_tokens = Some(added);
            self.changes.push(Change::Unlisted { at, added, usage: self.usage() });
        }
    }

    fn account(&mut self, at: Timestamp, spent: Tokens) {
        let copied = std::mem::take(&mut self.copied);
        // Of two files of a session the copy has the original's accounts too.
        if self.total_hidden || copied && self.shared {
            return;
        }
        let account = self.spent.get_or_insert_default();
        let own = self.usage.session_total_tokens.unwrap_or_default().minus(&account.unlisted());
        account.told(at, spent, own, copied);
    }

    /// Another file of the session may get the same lines: whichever gets one first counts it.
    pub fn share(&mut self) {
        self.shared = true;
    }

    /// Every message that counts; `None` while that is not decided.
    pub fn counted(&self) -> Option<impl Iterator<Item = Row>> {
        self.inherited.as_ref()?;
        Some(self.rows())
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.messages.iter().map(|(place, best)| {
            let Best { response, tokens, at_least, .. } = *best;
            let message = if best.further { place ^ further(&response) } else { *place };
            Row { message, response, at: Timestamp::UNIX_EPOCH, tokens, at_least }
        })
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
        self.held.iter().any(|entry| matches!(entry, Entry::Message(..)))
    }

    /// These messages belong to another file: the original's, of which this one is a copy.
    pub fn set_lineage(&mut self, marks: impl Iterator<Item = Mark>) {
        if self.inherited.is_some() && !self.wants_lineage() {
            return;
        }
        let is_first = self.inherited.is_none();
        let inherited = self.inherited.get_or_insert_default();
        inherited.extend(marks);
        inherited.sort_unstable();
        inherited.dedup();
        let orphaned = is_first && inherited.is_empty();
        let held = std::mem::take(&mut self.held);
        // Of a copy without its original everything that is there at first is history.
        let is_copied = |entry: &Entry| matches!(entry, Entry::Message(_, message) if message.copied);
        let history = orphaned && held.iter().any(is_copied);
        for entry in held {
            match entry {
                Entry::Turn(id) => self.begin_turn(id),
                Entry::Message(at, message) => self.own(at, &message, history || message.copied),
                Entry::Spent(at, spent) => self.account(at, spent),
                Entry::Delegated => self.spent.get_or_insert_default().called(),
            }
        }
    }

    fn begin_turn(&mut self, id: Option<String>) {
        self.turn = Turn { number: self.turn.number.wrapping_add(1), id, ..Turn::default() };
        self.usage.last_turn_tokens = self.usage.session_total_tokens.map(|_| Tokens::ZERO);
    }

    /// Under which id the response is kept that a line is of: the first one under the message's own.
    fn place(&self, message: &Message) -> u128 {
        let id = message.id;
        if !self.messages.contains_key(&id) {
            return id;
        }
        let is_of = |place: &u128| {
            let known = self.messages.get(place);
            // A helper's copy of a message has a request of its own.
            known.is_some_and(|best| best.main != message.main || best.response.is(&message.response))
        };
        let newest = self.newest.get(&id).copied().unwrap_or(id);
        [newest, id].into_iter().find(is_of).unwrap_or(id ^ further(&message.response))
    }

    fn own(&mut self, at: Timestamp, message: &Message, history: bool) {
        let place = self.place(message);
        let known = self.messages.get(&place).copied();
        let inherited = self.inherited.as_deref().unwrap_or_default();
        let Message { id, response, tokens, main, at_least, .. } = *message;
        let row = Row { message: id, response, at, tokens, at_least };
        let is_inherited = known.is_none() && row.marks().any(|mark| inherited.binary_search(&mark).is_ok());
        self.copied |= is_inherited || history;
        if let Some(spent) = &mut self.spent {
            spent.goes_on(at);
        }
        if is_inherited {
            return;
        }
        if known.is_some_and(|known| !known.yields_to(message)) {
            return;
        }
        let (before, turn) = known.map_or((Tokens::ZERO, self.turn.number), |best| (best.tokens, best.turn));
        if known.is_none() && place != id {
            self.newest.insert(id, place);
        }
        let further = place != id;
        self.messages.insert(place, Best { response, tokens, main, at_least, further, turn });
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

/// What a message's id is changed by for a further response with it. Done again, it is the id.
fn further(response: &Response) -> u128 {
    response.marks().next().map_or(0, |mark| u128::from(mark) << 64)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn message(id: u128, input: u64, output: u64) -> Message {
        let tokens = Tokens { input, output, ..Tokens::ZERO };
        Message {
            id,
            response: Response { input, ..Response::default() },
            tokens,
            main: true,
            copied: false,
            at_least: false,
            context: None,
            window: None,
            call: None,
        }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.set_lineage(std::iter::empty());
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
        let mut ledger = ledger();
        for output in [1, 1, 187, 187, 5] {
            ledger.message(NOW, &message(1, 3, output));
        }
        assert_eq!(triplet(&ledger), [Some(186), Some(190), Some(190)]);
        assert_eq!(ledger.take_changes().len(), 2);
    }

    #[test]
    fn a_later_line_takes_the_whole_usage_of_an_earlier_one() {
        let mut ledger = ledger();
        ledger.message(NOW, &message(1, 100, 1));
        ledger.message(NOW, &message(1, 40, 10));
        assert_eq!(triplet(&ledger), [Some(9), Some(50), Some(50)]);
    }

    fn of(response: Response, output: u64) -> Message {
        Message { response, ..message(1, response.input, output) }
    }

    #[test]
    fn responses_with_one_id_are_told_apart_by_their_requests() {
        let of = |request: u64, step, output| {
            of(Response { request: NonZeroU64::new(request), input: 10, step }, output)
        };
        let mut ledger = ledger();
        for (request, step, output) in [(7, 1, 1), (7, 1, 20), (8, 1, 5), (8, 2, 30), (9, 2, 40), (7, 3, 20)]
        {
            ledger.message(NOW, &of(request, step, output));
        }
        assert_eq!(ledger.usage().session_total_tokens.map(|total| total.blended()), Some(30 + 40 + 50));
    }

    #[test]
    fn responses_with_one_id_and_no_request_are_told_apart_by_their_input_after_another_step() {
        let of = |input, step, output| of(Response { request: None, input, step }, output);
        let mut ledger = ledger();
        let lines = [(10, 1, 1), (10, 1, 20), (10, 2, 20), (30, 3, 2), (30, 3, 4), (50, 4, 5)];
        for steps in [0, 5] {
            for (input, step, output) in lines {
                ledger.message(NOW, &of(input, step + steps, output));
            }
            // Lines that are written again are known by their input.
            let total = ledger.usage().session_total_tokens.map(|total| total.blended());
            assert_eq!(total, Some(30 + 34 + 55));
        }
        ledger.message(NOW, &of(51, 9, 6));
        let total = ledger.usage().session_total_tokens.map(|total| total.blended());
        assert_eq!(total, Some(30 + 34 + 57), "without another step it is the same response");
    }

    #[test]
    fn of_responses_with_one_id_only_those_are_inherited_that_the_other_file_has() {
        let mut ledger = Ledger::default();
        for (request, input) in [(7, 10), (8, 20), (9, 30)] {
            let response = Response { request: NonZeroU64::new(request), input, step: 0 };
            ledger.message(NOW, &of(response, 1));
        }
        ledger.set_lineage([(1, 7), (1, 20)].into_iter());
        assert_eq!(ledger.usage().session_total_tokens.map(|total| total.blended()), Some(31));
    }

    #[test]
    fn a_helpers_copy_never_speaks_for_the_conversation() {
        for order in [[true, false], [false, true]] {
            let mut ledger = ledger();
            for main in order {
                let output = if main { 10 } else { 500 };
                ledger.message(NOW, &Message { main, ..message(1, 1, output) });
            }
            assert_eq!(ledger.usage().session_total_tokens.map(|tokens| tokens.output), Some(10));
        }
    }

    #[test]
    fn a_message_belongs_to_the_turn_in_which_it_was_first_seen() {
        let mut ledger = ledger();
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
        ledger.set_lineage([(1, 10)].into_iter());
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
        let mut ledger = ledger();
        ledger.message(NOW, &Message { at_least: true, ..message(1, 10, 5) });
        assert!(ledger.is_lower_bound());
        ledger.message(NOW, &message(1, 10, 50));
        assert!(!ledger.is_lower_bound());
    }
}
