//! The tokens of a session whose calls are recorded in several places: lines, rows of a database, and the ends of
//! processes.
//!
//! All of these describe the same calls, each as far as it goes. So they are never added to each other. A process
//! used the tokens of its lines or of its rows, whichever is more. All processes up to an end used their sum or the
//! end's figure, whichever is more. So the order of arrival does not matter. If lines contain every call, an end adds
//! nothing: it may be that of another process that had the session open, too.
//!
//! If calls are known that no source has figures for, there is no total until an end has it, because a wrong total is
//! worse than none.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::session::UsageEvent;
use crate::source::ledger::{Change, Decided, Ledger, UsageRow};
use crate::source::{Call, Fact, Message};
use crate::usage::{Tokens, Usage};

/// The tokens of one session.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Its processes, in order.
    runs: Vec<Run>,
    /// The sum of the ends of processes.
    ends: Tokens,
    turn: Turn,
    /// The ids of counted lines and rows, which may come again.
    seen: BTreeSet<u128>,
    /// The last reported total, and its last increase.
    reported: Tokens,
    delta: Option<Tokens>,
    /// Whether bytes were left out, so that the total is not known.
    is_torn: bool,
    has_rows: bool,
    changes: Vec<Change>,
}

/// The tokens of one process.
#[derive(Debug)]
struct Run {
    began_at: Timestamp,
    lines: Tokens,
    /// The same by rows; `None` without rows.
    rows: Option<Tokens>,
    /// The output of calls of which no line has more; `None` without such calls.
    untold: Option<u64>,
    turns: u32,
    /// The tokens in its end, which covers it and the processes before it up to another end.
    end: Option<Tokens>,
}

/// The newest turn.
#[derive(Debug, Default)]
struct Turn {
    id: Option<String>,
    began_at: Option<Timestamp>,
    /// The process in which it began.
    run: usize,
    lines: Tokens,
    /// Its rows, and rows that may belong to a later turn or process.
    rows: Vec<(Timestamp, Tokens)>,
    is_torn: bool,
}

/// All processes up to an end, or after the last one.
#[derive(Debug, Default)]
struct ProcessGroup {
    used: Tokens,
    /// The part of these tokens that lines and rows contain.
    known: Tokens,
    /// The output of messages of calls without other figures.
    untold: Option<u64>,
    turns: u32,
    is_ended: bool,
}

impl Run {
    fn new(began_at: Timestamp) -> Self {
        Self { began_at, lines: Tokens::ZERO, rows: None, untold: None, turns: 0, end: None }
    }

    fn used(&self) -> Tokens {
        most(&self.lines, &self.rows.unwrap_or_default())
    }
}

impl ProcessGroup {
    /// Whether it is known how much was used.
    fn is_known(&self) -> bool {
        self.untold.is_none() || self.is_ended
    }

    fn of(runs: &[Run]) -> Self {
        let mut stretch = Self::default();
        // Rows are left out, so that their time of arrival does not matter.
        let tells_all =
            runs.iter().all(|run| run.untold.is_none()) && runs.iter().any(|run| !run.lines.is_zero());
        for run in runs {
            stretch.known = stretch.known.plus(&run.used());
            stretch.turns = stretch.turns.saturating_add(run.turns);
            if let Some(output) = run.untold.filter(|_| run.rows.is_none()) {
                stretch.untold = Some(stretch.untold.unwrap_or_default().saturating_add(output));
            }
        }
        let end = runs.last().and_then(|run| run.end);
        stretch.is_ended = end.is_some();
        stretch.used = most(&stretch.known, &end.filter(|_| !tells_all).unwrap_or_default());
        stretch
    }

    /// Whether the end has less than the messages before it.
    fn lacks(&self) -> bool {
        let known = self.known.output.saturating_add(self.untold.unwrap_or_default());
        self.untold.is_some() && self.is_ended && self.used.output < known
    }
}

impl Ledger for Accounts {
    fn fact(&mut self, at: Timestamp, _ordinal: Option<u64>, fact: &mut Fact) {
        match fact {
            Fact::Run => self.begin_run(at),
            Fact::TurnStarted { turn, .. } => self.begin_turn(at, turn.clone()),
            Fact::Message(message) if self.is_new(message.id) => self.line(at, message),
            Fact::Stored(row) if self.is_new(row.id) => self.row(at, row),
            Fact::Untold(output) => self.untold(at, *output),
            Fact::Spent(spent) => self.end(at, *spent),
            _ => {}
        }
    }

    fn usage(&self) -> Usage {
        let total = self.total();
        if total.is_none() && !self.is_torn {
            return Usage::default();
        }
        Usage {
            session_delta_tokens: self.delta,
            last_turn_tokens: self.last(),
            session_total_tokens: total.filter(|_| !self.is_torn),
        }
    }

    fn is_lower_bound(&self) -> bool {
        self.stretches().any(|stretch| stretch.lacks())
    }

    fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn jump(&mut self) {
        (self.is_torn, self.turn.is_torn) = (true, true);
    }

    fn wants_lineage(&self) -> bool {
        false
    }

    fn set_lineage(&mut self, _candidates: &[Vec<UsageRow>]) {}

    /// Rows are not read again with the lines.
    fn decided(&self) -> Option<Decided> {
        (!self.has_rows).then(Decided::default)
    }
}

impl Accounts {
    fn is_new(&mut self, id: u128) -> bool {
        self.seen.insert(id)
    }

    /// A process begins. Rows may have arrived before the line that records it.
    fn begin_run(&mut self, at: Timestamp) {
        let mut run = Run::new(at);
        if let Some(before) = self.runs.last_mut() {
            let early = self.turn.rows.iter().filter(|(row_at, _)| *row_at >= at);
            let (count, sum) =
                early.fold((0, Tokens::ZERO), |(count, sum), (_, row)| (count + 1, sum.plus(row)));
            if count > 0 {
                before.rows = before.rows.map(|rows| rows.minus(&sum)).filter(|rows| !rows.is_zero());
                run.rows = Some(sum);
            }
        }
        self.runs.push(run);
        self.note(at, None);
    }

    /// The current process. A process with an end is over, even if no line begins another one.
    fn run(&mut self, at: Timestamp) -> Option<&mut Run> {
        if self.runs.last().is_none_or(|run| run.end.is_some()) {
            self.begin_run(at);
        }
        self.runs.last_mut()
    }

    fn begin_turn(&mut self, at: Timestamp, id: Option<String>) {
        if let Some(run) = self.run(at) {
            run.turns = run.turns.saturating_add(1);
        }
        let mut rows = std::mem::take(&mut self.turn.rows);
        rows.retain(|(row_at, _)| *row_at >= at);
        let run = self.runs.len().saturating_sub(1);
        self.turn = Turn { id, began_at: Some(at), run, rows, ..Turn::default() };
    }

    fn untold(&mut self, at: Timestamp, output: u64) {
        if let Some(run) = self.run(at) {
            run.untold = Some(run.untold.unwrap_or_default().saturating_add(output));
        }
    }

    fn line(&mut self, at: Timestamp, message: &Message) {
        if let Some(run) = self.run(at) {
            run.lines = run.lines.plus(&message.tokens);
        }
        self.turn.lines = self.turn.lines.plus(&message.tokens);
        self.note(at, message.call.as_ref());
    }

    /// A row belongs to the process and the turn that had begun by its time.
    fn row(&mut self, at: Timestamp, row: &Message) {
        self.has_rows = true;
        let place = self.runs.partition_point(|run| run.began_at <= at).saturating_sub(1);
        let Some(run) = self.runs.get_mut(place) else { return };
        run.rows = Some(run.rows.unwrap_or_default().plus(&row.tokens));
        if self.turn.began_at.is_none_or(|began_at| at >= began_at) {
            self.turn.rows.push((at, row.tokens));
        }
        self.note(at, row.call.as_ref());
    }

    /// The end of a process. An end without figures for calls that were made is ignored.
    fn end(&mut self, at: Timestamp, spent: Tokens) {
        let added = spent.minus(&self.ends);
        self.ends = spent;
        if added.is_zero() && self.stretches().last().is_some_and(|stretch| !stretch.is_known()) {
            return;
        }
        if let Some(run) = self.runs.last_mut() {
            run.end = Some(run.end.unwrap_or_default().plus(&added));
        }
        self.note(at, None);
    }

    /// The processes between ends.
    fn stretches(&self) -> impl Iterator<Item = ProcessGroup> {
        self.runs.split_inclusive(|run| run.end.is_some()).map(ProcessGroup::of)
    }

    /// The tokens of all processes; `None` while they are not known.
    fn total(&self) -> Option<Tokens> {
        let all_known =
            |sum: Option<Tokens>, of: ProcessGroup| Some(sum?.plus(&of.used)).filter(|_| of.is_known());
        self.stretches().fold(Some(Tokens::ZERO), all_known).filter(|total| !total.is_zero())
    }

    /// The same for the newest turn.
    fn last(&self) -> Option<Tokens> {
        let rows = self.turn.rows.iter().fold(Tokens::ZERO, |sum, (_, row)| sum.plus(row));
        let reported = most(&self.turn.lines, &rows);
        let mut first = 0;
        for runs in self.runs.split_inclusive(|run| run.end.is_some()) {
            let stretch = ProcessGroup::of(runs);
            first += runs.len();
            if self.turn.run < first && stretch.untold.is_some() {
                // With several turns it is not known which one used how much.
                return Some(stretch.used).filter(|_| stretch.turns <= 1);
            }
            if self.turn.run < first {
                break;
            }
        }
        Some(reported).filter(|_| !self.turn.is_torn)
    }

    /// Notes by how much the total has risen.
    fn note(&mut self, at: Timestamp, call: Option<&Call>) {
        let Some(total) = self.total() else { return };
        let added = total.minus(&self.reported);
        if added.is_zero() {
            return;
        }
        self.reported = most(&self.reported, &total);
        self.delta = Some(added);
        let (turn, usage, unlisted) = (self.turn.id.clone(), self.usage(), call.is_none());
        let (added, call) = (Some(added), call.cloned());
        self.changes.push(Change::Usage(UsageEvent { at, turn, usage, added, call, unlisted }));
    }
}

/// The larger of two accounts of the same calls, kind by kind.
fn most(one: &Tokens, other: &Tokens) -> Tokens {
    one.plus(&other.minus(one))
}
