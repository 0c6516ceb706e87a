//! A file's own usage if its agent records running totals of the whole thread, separated from copied history.
//!
//! Totals are repeated, restarted, and copied into forks and sub-agents. The rules:
//!
//! - equal totals change nothing; a falling total is a restart, and that event added its own last usage;
//! - several processes may write into one file, each with its own totals (`writers`);
//! - a response may be in its own record and in the totals: it counts once (`pairs`);
//! - in a file that may begin with copied history, nothing counts until the beginning of its own part is decided: by
//!   the line number in the first line, a turn newer than the file, a record, or the end of the rows that are in the
//!   parent's files or a sibling's (`copied`);
//! - a file whose history is in another file may repeat the totals from which it continues.
//!
//! Read next: [`crate::file`], which owns one ledger per file.
//!
//! Longer than other files because each way of beginning with copied history is one more state of the same machine.

mod copied;
mod held;
mod pairs;
mod writers;

use std::time::Duration;

use jiff::Timestamp;

use super::{Change, Decided, Ledger, UsageRow};
use crate::session::UsageEvent;
use crate::source::{Count, CountInfo, Counters, Fact, LimitsFact, Meta, uuid7_time};
use crate::time::elapsed;
use crate::usage::{Tokens, Usage};
use copied::{Originals, copied_by_time};
use held::{Entry, Origin, info_of};
use pairs::Pairs;
use writers::Writers;

pub use copied::{Row, row};

/// History is copied within this time. Later lines are own.
const COPIED_WITHIN: Duration = Duration::from_secs(60);

/// The token figures of one file.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    origin: Origin,
    /// Whether the next own row is the first after copied history, so that only its last usage counts.
    after_history: bool,
    /// Whether the earlier totals may be repeated first, because the history is in another file.
    may_repeat: bool,
    writers: Writers,
    pairs: Pairs,
    usage: Usage,
    /// The part of the total that the thread had used before this file.
    before: Tokens,
    turn: Turn,
    total_hidden: bool,
    begun_at: Option<Timestamp>,
    own_from_ordinal: Option<u64>,
    /// The figures without lines that count as own only because the file rested before its first own line came.
    doubted: Option<Doubted>,
    /// Whether other files decided anything.
    by_others: bool,
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
struct Turn {
    id: Option<String>,
    used: Tokens,
    /// Whether the turn was followed from its beginning.
    whole: bool,
}

#[derive(Debug, Clone)]
struct Doubted {
    usage: Usage,
    before: Tokens,
    since: Timestamp,
}

impl Totals {
    /// A file that is read from its first byte.
    pub fn new(meta: &Meta) -> Self {
        let may_hold_copies = meta.forked_from.is_some() || meta.subagent;
        let mut ledger = Self {
            begun_at: meta.file_begun_at.or(meta.started_at),
            own_from_ordinal: meta.own_from_ordinal,
            may_repeat: meta.history_elsewhere,
            after_history: may_hold_copies,
            turn: Turn { whole: true, ..Turn::default() },
            ..Self::default()
        };
        if may_hold_copies && meta.own_from_ordinal.is_some() {
            // The first lines are copied, even if little of the file exists yet.
            ledger.origin = Origin::Copied { held: Vec::new() };
        } else if may_hold_copies || meta.history_elsewhere {
            ledger.origin = Origin::undecided(false);
        }
        ledger
    }
}

impl Ledger for Totals {
    fn fact(&mut self, at: Timestamp, ordinal: Option<u64>, fact: &mut Fact) {
        if let Some(ordinal) = ordinal {
            self.ordinal(ordinal);
        }
        match fact {
            Fact::Meta(_) => self.foreign_meta(),
            Fact::TurnStarted { turn, started_at, .. } => self.turn_started(turn.as_deref(), *started_at),
            Fact::Count(count) => {
                let count = Count { info: count.info, limits: count.limits.take() };
                self.count(at, count);
            }
            Fact::Response { response, usage, total, .. } => {
                self.response(at, response.as_deref(), *usage, *total);
            }
            _ => {}
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            session_total_tokens: self.usage.session_total_tokens.filter(|_| !self.total_hidden),
            ..self.usage
        }
    }

    fn before(&self) -> Tokens {
        self.before
    }

    fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Copied history can no longer be separated from own lines.
    fn jump(&mut self) {
        self.turn.whole = false;
        self.usage.last_turn_tokens = None;
        self.origin = Origin::Own;
        self.total_hidden |= self.after_history;
    }

    fn rest(&mut self) {
        let Some(since) = self.held_since() else { return };
        self.doubted = Some(Doubted { usage: self.usage, before: self.before, since });
        self.mark_is_wrong();
    }

    fn decided(&self) -> Option<Decided> {
        (!self.by_others && self.doubted.is_none()).then(Decided::default)
    }

    fn wants_lineage(&self) -> bool {
        matches!(self.origin, Origin::Undecided { rows, .. } if rows > 0)
    }

    /// The rows of the parent's files, else siblings'.
    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        if !self.wants_lineage() {
            return;
        }
        let Origin::Undecided { held, foreign_meta, .. } = std::mem::take(&mut self.origin) else { return };
        self.by_others = true;
        let rows: Vec<Row> = held.iter().filter_map(Entry::row).collect();
        let mut originals = Originals::new(candidates);
        let copied = if self.may_repeat { originals.repeated(&rows) } else { originals.meet(&rows) };
        let copied = if copied == 0 && foreign_meta { copied_by_time(&held, self.begun_at) } else { copied };
        if let Some(row) = copied.checked_sub(1).and_then(|last| rows.get(last)) {
            self.copied_row(Some(info_of(row)));
        }
        if copied == rows.len() && originals.may_go_on() {
            self.origin = Origin::Following(originals);
        }
        let mut passed = 0;
        for entry in held {
            let is_row = entry.row().is_some();
            match entry {
                // The turn that is open when the own part begins is named before it.
                Entry::Turn(id) => self.begin_turn(id),
                Entry::Count { at, count } if passed >= copied => self.own_count(at, *count),
                Entry::Count { .. } => {}
            }
            passed += usize::from(is_row);
        }
    }
}

impl Totals {
    /// Another session's first line inside this file: its history was copied.
    fn foreign_meta(&mut self) {
        match &mut self.origin {
            Origin::Undecided { foreign_meta, .. } => {
                *foreign_meta = true;
                self.may_repeat = false;
            }
            Origin::Own if self.writers.latest().is_none() && self.turn.id.is_none() => {
                self.after_history = true;
                self.origin = Origin::undecided(true);
            }
            _ => {}
        }
    }

    /// The number of the current line.
    fn ordinal(&mut self, ordinal: u64) {
        if self.own_from_ordinal.is_none_or(|own| ordinal < own) {
            return;
        }
        if let Some(Doubted { usage, before, .. }) = self.doubted.take() {
            (self.usage, self.before, self.after_history) = (usage, before, true);
        }
        if matches!(self.origin, Origin::Copied { .. }) {
            self.own_part_begins();
        }
    }

    /// A turn begins, by the file's own record or by the user's prompt; with its time in seconds, if there is one.
    fn turn_started(&mut self, id: Option<&str>, started_at: Option<u64>) {
        let is_own = self.is_own_turn(id, started_at);
        let id = id.map(str::to_owned);
        match (&mut self.origin, is_own) {
            (Origin::Own, _) => {}
            (Origin::Undecided { held, rows, .. }, _) if self.may_repeat => {
                if *rows > 0 {
                    held.push(Entry::Turn(id));
                    return;
                }
            }
            (Origin::Copied { held }, Some(true)) if self.own_from_ordinal.is_some() => {
                held.push(Entry::Turn(id));
                return;
            }
            (_, Some(true)) => self.own_part_begins(),
            (_, Some(false)) => {
                self.settle_history();
                self.origin = Origin::Copied { held: Vec::new() };
            }
            (Origin::Undecided { held, .. }, None) => {
                held.push(Entry::Turn(id));
                return;
            }
            (Origin::Copied { held }, None) if !held.is_empty() => {
                held.push(Entry::Turn(id));
                return;
            }
            (_, None) => {}
        }
        self.begin_turn(id);
    }

    /// Whether a turn began in this file; `None` if that is not known. A copied turn keeps its id and time.
    fn is_own_turn(&self, id: Option<&str>, started_at: Option<u64>) -> Option<bool> {
        let begun_at = self.begun_at?;
        let by_id = id.and_then(uuid7_time).map(|at| at >= begun_at);
        let second = started_at.and_then(|second| i64::try_from(second).ok());
        // It is rounded down, so it may be less than a second before the file's beginning.
        let by_time = second.map(|at| at >= begun_at.as_second());
        [by_id, by_time].into_iter().flatten().reduce(|one, other| one && other)
    }

    /// A line with counters or limits.
    fn count(&mut self, at: Timestamp, count: Count) {
        if let Some(first) = self.held_since()
            && elapsed(first, at) > COPIED_WITHIN
        {
            self.mark_is_wrong();
        }
        self.doubted.take_if(|doubted| elapsed(doubted.since, at) > COPIED_WITHIN);
        match &mut self.origin {
            Origin::Own => self.own_count(at, count),
            Origin::Copied { held } if held.is_empty() => self.copied_row(count.info),
            Origin::Copied { held } => held.push(Entry::Count { at, count: Box::new(count) }),
            Origin::Undecided { held, rows, .. } => {
                let mut count = count;
                if self.may_repeat {
                    // Limits are new even if the totals are repeated.
                    self.changes.extend(count.limits.take().map(|limits| Change::Limits(at, limits)));
                }
                if count.limits.is_some() {
                    // Only the newest can matter, and it comes after every older one.
                    for entry in held.iter_mut() {
                        if let Entry::Count { count, .. } = entry {
                            count.limits = None;
                        }
                    }
                }
                *rows += usize::from(count.info.is_some());
                held.push(Entry::Count { at, count: Box::new(count) });
            }
            Origin::Following(originals) => match count.info {
                Some(info) if originals.is_next(&row(&info)) => self.copied_row(count.info),
                Some(_) => {
                    self.own_part_begins();
                    self.own_count(at, count);
                }
                None => {}
            },
        }
    }

    /// One response's own usage, and the thread's with it. Records are never copied: a record of this thread is own,
    /// and so is everything after it.
    fn response(&mut self, at: Timestamp, response: Option<&str>, usage: Counters, thread: Option<Counters>) {
        if response.is_some_and(|id| self.pairs.is_repeated(id)) {
            return;
        }
        self.mark_is_wrong();
        self.doubted = None;
        self.own_part_begins();
        if let Some(before) = thread.and_then(|thread| thread.before(Some(&usage))) {
            self.begin_at(&before);
        }
        let added = self.pairs.record(usage.tokens());
        self.add(at, added);
    }

    fn own_part_begins(&mut self) {
        self.settle_history();
        self.origin = Origin::Own;
    }

    /// All held entries turn out to be copied.
    fn settle_history(&mut self) {
        let held = match &mut self.origin {
            Origin::Undecided { held, .. } | Origin::Copied { held } => std::mem::take(held),
            Origin::Own | Origin::Following(_) => return,
        };
        for entry in held {
            match entry {
                Entry::Turn(id) => self.begin_turn(id),
                Entry::Count { count, .. } => self.copied_row(count.info),
            }
        }
    }

    /// The first own line in the header does not come, as in migrated files: the held lines are own.
    fn mark_is_wrong(&mut self) {
        let Origin::Copied { held } = &mut self.origin else { return };
        let held = std::mem::take(held);
        if held.is_empty() {
            return;
        }
        self.origin = Origin::Own;
        for entry in held {
            match entry {
                Entry::Turn(id) => self.begin_turn(id),
                Entry::Count { at, count } => self.own_count(at, *count),
            }
        }
    }

    /// Since when counts have come that are own if the mark is wrong.
    fn held_since(&self) -> Option<Timestamp> {
        match &self.origin {
            Origin::Copied { held } => held.iter().find_map(Entry::at),
            _ => None,
        }
    }

    fn copied_row(&mut self, info: Option<CountInfo>) {
        let Some(info) = info else { return };
        self.writers.begin_at(info.total);
        // A repetition of the thread's own rows is recognised by this.
        self.begin_at(&info.total);
    }

    fn begin_turn(&mut self, id: Option<String>) {
        self.pairs.turn_started();
        self.turn = Turn { id, used: Tokens::ZERO, whole: true };
        self.usage.last_turn_tokens = self.usage.session_total_tokens.map(|_| Tokens::ZERO);
    }

    fn own_count(&mut self, at: Timestamp, count: Count) {
        if let Some(limits) = count.limits {
            // A repeated total belongs to no other response.
            let fresh = count.info.is_some_and(|info| self.writers.latest() != Some(&info.total));
            self.changes.push(Change::Limits(at, LimitsFact { fresh, ..limits }));
        }
        let Some(info) = count.info else { return };
        self.changes.push(Change::Row(info));
        let added = self.rise(&info);
        self.after_history = false;
        self.add(at, added);
    }

    /// What one row of the session itself adds.
    fn rise(&mut self, info: &CountInfo) -> Tokens {
        let before = info.total.before(info.last.as_ref());
        let is_repeated = self.writers.latest() == Some(&info.total);
        if let (Some(before), true, false) =
            (before, self.after_history || self.writers.latest().is_none(), is_repeated)
        {
            self.writers.begin_at(before);
            self.begin_at(&before);
        }
        if self.writers.latest().is_none() {
            self.writers.begin_at(Counters::default());
        }
        let rise = self.writers.rise(info).tokens();
        let last = info
            .last
            .as_ref()
            .map(Counters::tokens)
            .filter(|last| last.minus(&rise).is_zero())
            .unwrap_or(rise);
        self.pairs.count(last, rise.minus(&last))
    }

    /// Tokens used before the first counting line belong to the thread itself, unless it began as a copy.
    fn begin_at(&mut self, before: &Counters) {
        if self.usage.session_total_tokens.is_none() && !self.after_history {
            self.before = before.tokens();
            self.usage.session_total_tokens = Some(self.before);
        }
    }

    fn total(&self) -> Tokens {
        self.usage.session_total_tokens.unwrap_or_default()
    }

    fn add(&mut self, at: Timestamp, added: Tokens) {
        self.turn.used = self.turn.used.plus(&added);
        self.usage.session_total_tokens = Some(self.total().plus(&added));
        self.usage.last_turn_tokens = self.turn.whole.then_some(self.turn.used);
        if added.is_zero() {
            return;
        }
        self.usage.session_delta_tokens = Some(added);
        let usage = self.usage();
        let turn = self.turn.id.clone();
        self.changes.push(Change::Usage(UsageEvent {
            at,
            turn,
            usage,
            added: Some(added),
            call: None,
            unlisted: false,
        }));
    }
}
