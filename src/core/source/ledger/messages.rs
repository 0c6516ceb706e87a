//! The usage of a file whose agent records it by message. Each message counts once, even if it is written repeatedly.
//!
//! A message of the model is written as several lines, each with its usage so far. Lines of one message may be apart,
//! may be repeated, and are copied into forks, resumed sessions and side questions. The rules:
//!
//! - the best line of a message counts, whole: a line of the conversation itself before a helper's, then the greatest
//!   output, then the most tokens, then the later one; if a message is rewritten in place, the last line;
//! - lines with one id belong to several responses if a gateway gives every response the same id;
//!   [`Response::is`](crate::source::Response::is) distinguishes them;
//! - a message that another file had first is not counted here; these messages are asked for once, when the first
//!   usage has been read, and nothing counts before the answer;
//! - lines that state they were copied, and whose original is missing, count as history.
//!
//! Each message takes 88 bytes while the file is followed, so that a repeated line counts nothing at any time.

mod spent;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Change, Decided, Ledger, UsageRow};
use crate::activity::Activity;
use crate::session::UsageEvent;
use crate::source::{Fact, Message, Response};
use crate::usage::{Tokens, Usage};
use spent::Spent;

/// A message's id and a mark of one of its responses.
pub type Mark = (u128, u64);

/// One message of a file, as far as needed to recognise its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The id of the message.
    pub message: u128,
    /// The response with that id.
    pub response: Response,
    /// The time of a line of it.
    pub at: Timestamp,
    /// Its tokens by that line.
    pub tokens: Tokens,
    /// Whether it used more than that.
    pub at_least: bool,
}

impl Row {
    /// The marks that a copy of the line has, too.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + use<> {
        let message = self.message;
        self.response.marks().map(move |mark| (message, mark))
    }
}

/// The token figures of one file.
#[derive(Debug, Default)]
pub struct Messages {
    /// Entries held back until it is known which belong to another file.
    held: Vec<Entry>,
    /// The marks of messages that belong to another file, in order; `None` while they are not known.
    inherited: Option<Vec<Mark>>,
    /// The marks among them that were found.
    met: Vec<Mark>,
    /// Whether more may belong to another file by now; this is asked at the next unknown message.
    asks_again: bool,
    /// Whether another file of the session may get the same lines, so that each new message has to be asked for.
    shared: bool,
    /// Whether copied messages, or messages that count elsewhere, came since the session's last account.
    copied: bool,
    /// The tokens that no line contains.
    spent: Option<Box<Spent>>,
    messages: BTreeMap<u128, BestLine>,
    /// The newest response of an id that several responses have.
    newest: BTreeMap<u128, u128>,
    usage: Usage,
    turn: Turn,
    /// Whether bytes were left out, so that the total is not known.
    total_hidden: bool,
    /// The number of messages that are known to have used more than is recorded.
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

/// The best line of a message.
#[derive(Debug, Clone, Copy)]
struct BestLine {
    response: Response,
    tokens: Tokens,
    main: bool,
    at_least: bool,
    /// Whether another response has the same message id, and is stored after this one.
    further: bool,
    /// The turn in which the message was first found.
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

impl BestLine {
    /// The later line wins a tie.
    fn yields_to(&self, message: &Message) -> bool {
        let rank = |main: bool, tokens: &Tokens| (main, tokens.output, tokens.all());
        message.replaces || rank(message.main, &message.tokens) >= rank(self.main, &self.tokens)
    }
}

impl Ledger for Messages {
    fn fact(&mut self, at: Timestamp, _ordinal: Option<u64>, fact: &mut Fact) {
        match fact {
            Fact::TurnStarted { turn, .. } => self.turn_started(turn.as_deref()),
            Fact::Message(message) => self.message(at, message),
            Fact::Spent(spent) => self.spent(at, *spent),
            Fact::CallStarted { doing, .. } if doing.activity == Activity::Delegating => self.delegated(),
            _ => {}
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            session_total_tokens: self.usage.session_total_tokens.filter(|_| !self.total_hidden),
            ..self.usage
        }
    }

    fn is_lower_bound(&self) -> bool {
        self.at_least > 0
    }

    fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn jump(&mut self) {
        self.inherit(std::iter::empty());
        self.total_hidden = true;
        self.turn.torn = true;
        self.usage.last_turn_tokens = None;
    }

    fn wants_lineage(&self) -> bool {
        self.held.iter().any(|entry| matches!(entry, Entry::Message(..)))
    }

    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        self.inherit(candidates.iter().flatten().filter_map(UsageRow::message).flat_map(|row| row.marks()));
    }

    fn wants_helpers(&self, at_end: bool) -> bool {
        self.spent.as_ref().is_some_and(|spent| spent.wants_helpers(at_end))
    }

    fn set_helpers(&mut self, helpers: &[Vec<UsageRow>], at_end: bool) {
        let own: BTreeSet<Mark> = self.rows().flat_map(|row| row.marks()).collect();
        let is_own = |row: &Row| row.marks().any(|mark| own.contains(&mark));
        let others = |rows: &Vec<UsageRow>| {
            rows.iter().filter_map(UsageRow::message).filter(|row| !is_own(row)).collect::<Vec<_>>()
        };
        let helpers: Vec<_> = helpers.iter().map(others).collect();
        let risen = self.spent.as_mut().map(|spent| spent.set_helpers(&helpers, at_end)).unwrap_or_default();
        for (at, added) in risen {
            let total = self.usage.session_total_tokens.unwrap_or_default().plus(&added);
            self.usage.session_total_tokens = Some(total);
            self.usage.session_delta_tokens = Some(added);
            let usage = self.usage();
            let added = Some(added);
            self.changes.push(Change::Usage(UsageEvent {
                at,
                turn: None,
                usage,
                added,
                call: None,
                unlisted: true,
            }));
        }
    }

    fn counted(&self) -> Option<Vec<UsageRow>> {
        self.inherited.as_ref()?;
        Some(self.rows().map(UsageRow::Message).collect())
    }

    fn decided(&self) -> Option<Decided> {
        let Some(inherited) = &self.inherited else { return Some(Decided::default()) };
        let has_accounts = self.spent.as_ref().is_some_and(|spent| spent.has_accounts());
        if self.shared || has_accounts || !self.held.is_empty() {
            return None;
        }
        // Whether there is an original matters for copied lines, even if none of its messages was found.
        let any = inherited.first().filter(|_| self.met.is_empty() && self.copied);
        let inherited = self.met.iter().chain(any).copied().collect();
        Some(Decided { inherited: Some(inherited) })
    }

    fn decide_again(&mut self, decided: &Decided) {
        if let Some(inherited) = &decided.inherited {
            self.inherit(inherited.iter().copied());
            self.asks_again = true;
        }
    }

    fn share(&mut self) {
        self.shared = true;
    }
}

impl Messages {
    /// The user's prompt begins a turn.
    fn turn_started(&mut self, id: Option<&str>) {
        let id = id.map(str::to_owned);
        if self.inherited.is_none() || !self.held.is_empty() {
            self.held.push(Entry::Turn(id));
        } else {
            self.begin_turn(id);
        }
    }

    /// A line of a message, with its usage so far.
    fn message(&mut self, at: Timestamp, message: &Message) {
        if self.inherited.is_none() || self.shared || self.asks_again {
            self.held.push(Entry::Message(at, message.clone()));
        } else {
            self.own(at, message, message.copied);
        }
    }

    /// The tokens of the whole session so far, by the agent's own account.
    fn spent(&mut self, at: Timestamp, spent: Tokens) {
        if self.inherited.is_none() || !self.held.is_empty() {
            self.held.push(Entry::Spent(at, spent));
        } else {
            self.account(at, spent);
        }
    }

    /// A helper is started.
    fn delegated(&mut self) {
        if self.inherited.is_none() || !self.held.is_empty() {
            self.held.push(Entry::Delegated);
        } else {
            self.spent.get_or_insert_default().called();
        }
    }

    fn account(&mut self, at: Timestamp, spent: Tokens) {
        let copied = std::mem::take(&mut self.copied);
        // If two files of a session are copies, the copy has the original's accounts, too.
        if self.total_hidden || copied && self.shared {
            return;
        }
        let account = self.spent.get_or_insert_default();
        let own = self.usage.session_total_tokens.unwrap_or_default().minus(&account.unlisted());
        account.report(at, spent, own, copied);
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.messages.iter().map(|(place, best)| {
            let BestLine { response, tokens, at_least, .. } = *best;
            let message = if best.further { place ^ further(&response) } else { *place };
            Row { message, response, at: Timestamp::UNIX_EPOCH, tokens, at_least }
        })
    }

    /// These messages belong to another file, the original of this one.
    fn inherit(&mut self, marks: impl Iterator<Item = Mark>) {
        if self.inherited.is_some() && !self.wants_lineage() {
            return;
        }
        let is_first = self.inherited.is_none();
        self.asks_again = false;
        let inherited = self.inherited.get_or_insert_default();
        inherited.extend(marks);
        inherited.sort_unstable();
        inherited.dedup();
        let orphaned = is_first && inherited.is_empty();
        let held = std::mem::take(&mut self.held);
        // In a copy without its original, everything at the beginning is history.
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

    /// The id under which the response of a line is stored: the first response under the message's own id.
    fn place(&self, message: &Message) -> u128 {
        let id = message.id;
        if !self.messages.contains_key(&id) {
            return id;
        }
        let is_of = |place: &u128| {
            let known = self.messages.get(place);
            // A helper's copy of a message has its own request.
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
        let is_there = |mark: &Mark| inherited.binary_search(mark).is_ok();
        let met = row.marks().find(is_there).filter(|_| known.is_none());
        let is_inherited = met.is_some();
        self.met.extend(met.filter(|met| self.met.last() != Some(met)));
        self.copied |= is_inherited || history;
        if let Some(spent) = &mut self.spent {
            spent.goes_on(at);
        }
        if is_inherited {
            return;
        }
        // A message that will be filled later has no figures yet.
        let is_empty = known.is_none() && message.replaces && tokens.is_zero();
        if is_empty || known.is_some_and(|known| !known.yields_to(message)) {
            return;
        }
        let (before, turn) = known.map_or((Tokens::ZERO, self.turn.number), |best| (best.tokens, best.turn));
        if known.is_none() && place != id {
            self.newest.insert(id, place);
        }
        let further = place != id;
        self.messages.insert(place, BestLine { response, tokens, main, at_least, further, turn });
        self.at_least += usize::from(at_least);
        self.at_least = self.at_least.saturating_sub(usize::from(known.is_some_and(|best| best.at_least)));
        let replace = |sum: Tokens| sum.minus(&before).plus(&tokens);
        self.usage.session_total_tokens = Some(replace(self.usage.session_total_tokens.unwrap_or_default()));
        if turn == self.turn.number && !message.is_aside {
            self.turn.used = replace(self.turn.used);
        }
        self.usage.last_turn_tokens = (!self.turn.torn).then_some(self.turn.used);
        let added = tokens.minus(&before);
        if added.is_zero() {
            return;
        }
        let usage = Usage { session_delta_tokens: Some(added), ..self.usage() };
        if !message.is_aside {
            self.usage.session_delta_tokens = Some(added);
        }
        let turn = self.turn.id.clone();
        let added = Some(added).filter(|_| !history);
        let call = message.call.clone();
        self.changes.push(Change::Usage(UsageEvent { at, turn, usage, added, call, unlisted: false }));
    }
}

/// The change to a message's id for a further response. Applied twice, it gives the id again.
fn further(response: &Response) -> u128 {
    response.marks().next().map_or(0, |mark| u128::from(mark) << 64)
}
