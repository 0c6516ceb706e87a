//! A Codex file's own usage, told apart from history copied into it.
//!
//! Codex writes running totals of the whole thread, repeats them, restarts them, and copies them into forks and
//! sub-agents. The rules:
//!
//! - equal totals change nothing; a total that falls is a restart, and that event's own last usage is what it added;
//! - `token_usage_record` and `token_count` tell of the same response: what the one brought is taken off the other;
//! - in a file that may begin with copied history nothing counts until it is decided where its own part begins:
//!   at a turn whose id is younger than the session, at the line number that the first line names, where the rows
//!   stop being those of the parent's file, or of a sibling's.
//!
//! Read next: [`crate::core::file`], which owns one ledger per file.
//!
//! Longer than other files because each way of beginning with copied history is one more state of the same machine.

use jiff::Timestamp;

use super::uuid7_time;
use crate::core::source::ledger::Change;
use crate::core::source::{Count, CountInfo, Counters, Meta};
use crate::core::time::elapsed;
use crate::core::usage::{Tokens, Usage};

/// Copied lines carry the moment of the copy, one right after the other; a model needs longer than this to answer.
const COPY_PACE_MILLIS: u128 = 1000;

/// How many response ids are remembered: repeats of a line follow it closely.
const REMEMBERED_RESPONSES: usize = 32;

/// The token figures of one file.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    origin: Origin,
    /// Whether the next own row is the first after history that is not own, so that only its last usage counts.
    after_history: bool,
    /// The thread's counters as last written.
    counters: Option<Counters>,
    /// Usage that records have brought and counters have not yet confirmed.
    recorded: Tokens,
    responses: Vec<String>,
    usage: Usage,
    /// Of the total, what the thread had used before this file.
    before: Tokens,
    turn: Turn,
    total_hidden: bool,
    begun_at: Option<Timestamp>,
    own_from_ordinal: Option<u64>,
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
struct Turn {
    id: Option<String>,
    used: Tokens,
    /// Whether the turn was followed from its beginning.
    whole: bool,
}

/// Where the file stands between copied and own history.
#[derive(Debug, Clone, Default)]
enum Origin {
    /// What comes is the session's own.
    #[default]
    Own,
    /// What comes is copied, until the session's own part is marked.
    Copied,
    /// Nothing has decided yet; what came is held back.
    Undecided { held: Vec<Entry>, rows: usize, foreign_meta: bool },
    /// All rows so far are those of another file, up to this place in it.
    Following { rows: Vec<Row>, at: usize },
}

#[derive(Debug, Clone)]
enum Entry {
    Turn(Option<String>),
    Count { at: Timestamp, count: Box<Count> },
}

/// The token figures of one usage line, exactly as written: enough to recognise a copied line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// `last_token_usage`: input, cached, cache write, output, reasoning, total.
    pub last: [u64; 6],
    /// `total_token_usage`, likewise.
    pub total: [u64; 6],
}

impl Ledger {
    /// A file that is read from its first byte.
    pub fn new(meta: &Meta) -> Self {
        let may_hold_copies = meta.forked_from.is_some() || meta.subagent;
        let mut ledger = Self {
            begun_at: meta.file_begun_at.or(meta.started_at),
            own_from_ordinal: meta.own_from_ordinal,
            turn: Turn { whole: true, ..Turn::default() },
            ..Self::default()
        };
        if may_hold_copies {
            ledger.after_history = true;
            if meta.own_from_ordinal.is_some() {
                // However little of the file is there yet, what comes first is copied.
                ledger.origin = Origin::Copied;
            } else if !meta.history_elsewhere {
                ledger.origin = Origin::Undecided { held: Vec::new(), rows: 0, foreign_meta: false };
            }
        }
        ledger
    }

    /// The figures as they stand.
    pub fn usage(&self) -> Usage {
        let mut usage = self.usage;
        if self.total_hidden {
            usage.session_total_tokens = None;
        }
        usage
    }

    /// Of the total, what the thread had used before this file.
    pub fn before(&self) -> Tokens {
        self.before
    }

    /// What happened since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Another session's first line inside this file: its history was copied.
    pub fn foreign_meta(&mut self) {
        match &mut self.origin {
            Origin::Undecided { foreign_meta, .. } => *foreign_meta = true,
            Origin::Own if self.counters.is_none() && self.turn.id.is_none() => {
                self.after_history = true;
                self.origin = Origin::Undecided { held: Vec::new(), rows: 0, foreign_meta: true };
            }
            _ => {}
        }
    }

    /// The number of the line at hand.
    pub fn ordinal(&mut self, ordinal: u64) {
        if self.own_from_ordinal.is_some_and(|own| ordinal >= own) {
            self.own_part_begins();
        }
    }

    /// A turn begins, by the file's own record or by the user's prompt.
    pub fn turn_started(&mut self, id: Option<&str>) {
        if !matches!(self.origin, Origin::Own)
            && let (Some(turn_at), Some(session_at)) = (id.and_then(uuid7_time), self.begun_at)
        {
            if turn_at >= session_at {
                self.own_part_begins();
            } else {
                self.settle_history();
                self.origin = Origin::Copied;
            }
        }
        let id = id.map(str::to_owned);
        match &mut self.origin {
            Origin::Undecided { held, .. } => held.push(Entry::Turn(id)),
            _ => self.begin_turn(id),
        }
    }

    /// A line with counters or limits.
    pub fn count(&mut self, at: Timestamp, count: Box<Count>) {
        match &mut self.origin {
            Origin::Own => self.own_count(at, count),
            Origin::Copied => self.copied_row(count.info),
            Origin::Undecided { held, rows, .. } => {
                if count.limits.is_some() {
                    // Only the newest can matter, and it stands after every older one.
                    for entry in held.iter_mut() {
                        if let Entry::Count { count, .. } = entry {
                            count.limits = None;
                        }
                    }
                }
                *rows += usize::from(count.info.is_some());
                held.push(Entry::Count { at, count });
            }
            Origin::Following { rows, at: place } => match count.info {
                Some(info) if rows.get(*place) == Some(&row(&info)) => {
                    *place += 1;
                    self.copied_row(count.info);
                }
                Some(_) => {
                    self.own_part_begins();
                    self.own_count(at, count);
                }
                None => {}
            },
        }
    }

    /// One response's own usage, and the thread's with it. Records are never copied, so they count whatever else is
    /// undecided.
    pub fn response(
        &mut self,
        at: Timestamp,
        response: Option<&str>,
        usage: Counters,
        thread: Option<Counters>,
    ) {
        if let Some(id) = response {
            if self.responses.iter().any(|known| known == id) {
                return;
            }
            if self.responses.len() >= REMEMBERED_RESPONSES {
                self.responses.remove(0);
            }
            self.responses.push(id.to_owned());
        }
        if let Some(thread) = thread.filter(|thread| !thread.is_below(&usage)) {
            self.begin_at(&thread.minus(&usage));
        }
        let added = tokens(&usage);
        self.recorded = self.recorded.plus(&added);
        self.add(at, added);
    }

    /// Bytes are left out from here on: the turn at hand is not whole, and copied history cannot be told from own.
    pub fn jump(&mut self) {
        self.turn.whole = false;
        self.usage.last_turn_tokens = None;
        if !matches!(self.origin, Origin::Own) {
            self.origin = Origin::Own;
        }
        self.total_hidden |= self.after_history;
    }

    /// Whether the rows of a related file are needed to go on.
    pub fn wants_lineage(&self) -> bool {
        matches!(self.origin, Origin::Undecided { rows, .. } if rows > 0)
    }

    /// The rows of files that may share the copied history: the parent's, else siblings'.
    pub fn set_lineage(&mut self, candidates: &[Vec<Row>]) {
        if !self.wants_lineage() {
            return;
        }
        let Origin::Undecided { held, foreign_meta, .. } = std::mem::take(&mut self.origin) else { return };
        let rows: Vec<Row> = held.iter().filter_map(Entry::row).collect();
        let best = candidates
            .iter()
            .map(|candidate| common_run(&rows, candidate))
            .zip(candidates)
            .max_by_key(|((copied, _), _)| *copied);
        let (copied, end, candidate) = match best {
            Some(((copied, end), candidate)) if copied > 0 => (copied, end, Some(candidate)),
            _ if foreign_meta => (copied_by_time(&held, self.begun_at), 0, None),
            _ => (0, 0, None),
        };
        if let Some(candidate) = candidate
            && copied == rows.len()
            && end < candidate.len()
        {
            self.counters = rows.last().map(|row| counters_of(row.total));
            self.origin = Origin::Following { rows: candidate.clone(), at: end };
            self.replay_turns(held);
            return;
        }
        self.counters = copied.checked_sub(1).and_then(|i| rows.get(i)).map(|row| counters_of(row.total));
        let mut passed = 0;
        for entry in held {
            let is_row = entry.row().is_some();
            if passed >= copied {
                match entry {
                    Entry::Turn(id) => self.begin_turn(id),
                    Entry::Count { at, count } => self.own_count(at, count),
                }
            } else if let Entry::Turn(id) = entry {
                // The turn that is open when the own part begins is named before it.
                self.begin_turn(id);
            }
            passed += usize::from(is_row);
        }
    }

    fn replay_turns(&mut self, held: Vec<Entry>) {
        for entry in held {
            if let Entry::Turn(id) = entry {
                self.begin_turn(id);
            }
        }
    }

    fn own_part_begins(&mut self) {
        if matches!(self.origin, Origin::Own) {
            return;
        }
        self.settle_history();
        self.origin = Origin::Own;
    }

    /// Everything that is held back turns out to be copied.
    fn settle_history(&mut self) {
        if let Origin::Undecided { held, .. } = &self.origin
            && let Some(row) = held.iter().rev().find_map(Entry::row)
        {
            self.counters = Some(counters_of(row.total));
        }
    }

    fn copied_row(&mut self, info: Option<CountInfo>) {
        if let Some(info) = info {
            self.counters = Some(info.total);
        }
    }

    fn begin_turn(&mut self, id: Option<String>) {
        self.turn = Turn { id, used: Tokens::ZERO, whole: true };
        self.usage.last_turn_tokens = self.usage.session_total_tokens.map(|_| Tokens::ZERO);
    }

    fn own_count(&mut self, at: Timestamp, count: Box<Count>) {
        if let Some(limits) = count.limits {
            self.changes.push(Change::Limits(at, limits));
        }
        let Some(info) = count.info else { return };
        self.changes.push(Change::Row(info));
        let added = self.rise(&info);
        self.counters = Some(info.total);
        self.after_history = false;
        self.add(at, added);
    }

    /// What one row of the session's own adds to what is known already.
    fn rise(&mut self, info: &CountInfo) -> Tokens {
        let total = info.total;
        let raw = match (self.counters, info.last) {
            (Some(before), _) if before == total => Counters::default(),
            (Some(before), last) if total.is_below(&before) => last.unwrap_or(total),
            (_, Some(last)) if self.after_history && !total.is_below(&last) => last,
            (Some(before), _) => total.minus(&before),
            (None, last) => {
                if let Some(last) = last.filter(|last| !total.is_below(last)) {
                    self.begin_at(&total.minus(&last));
                }
                // Records may have told of some of it, or of all.
                self.recorded = Tokens::ZERO;
                return tokens(&total).minus(&self.total());
            }
        };
        let added = tokens(&raw);
        let unrecorded = added.minus(&self.recorded);
        self.recorded = self.recorded.minus(&added);
        unrecorded
    }

    /// What the thread had used before the first line that counts is its own, unless it began as somebody else's.
    fn begin_at(&mut self, before: &Counters) {
        if self.usage.session_total_tokens.is_none() && !self.after_history {
            self.before = tokens(before);
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
        self.changes.push(Change::Usage { at, turn: self.turn.id.clone(), added, usage, call: None });
    }

    /// The id of the turn at hand.
    pub fn turn(&self) -> Option<&str> {
        self.turn.id.as_deref()
    }
}

impl Entry {
    fn row(&self) -> Option<Row> {
        match self {
            Self::Count { count, .. } => count.info.as_ref().map(row),
            Self::Turn(_) => None,
        }
    }
}

/// The longest run of `rows`, from its beginning, that stands anywhere in `other`: its length and where it ends there.
/// A copy begins at the other's first row, or later where its head was trimmed.
fn common_run(rows: &[Row], other: &[Row]) -> (usize, usize) {
    (0..other.len())
        .filter(|start| other.get(*start) == rows.first())
        .map(|start| {
            let run =
                rows.iter().zip(other.iter().skip(start)).take_while(|(ours, theirs)| ours == theirs).count();
            (run, start + run)
        })
        .max_by_key(|(run, end)| (*run, std::cmp::Reverse(*end)))
        .unwrap_or_default()
}

/// Where nothing but another session's first line tells of a copy: rows older than the session, or written at the
/// pace of a copy.
fn copied_by_time(held: &[Entry], begun_at: Option<Timestamp>) -> usize {
    let mut before: Option<Timestamp> = None;
    let mut copied = 0;
    for entry in held {
        let Entry::Count { at, count } = entry else { continue };
        let older = begun_at.is_some_and(|begun_at| *at < begun_at);
        let reference = before.or(begun_at);
        let paced = reference.is_some_and(|reference| elapsed(reference, *at).as_millis() < COPY_PACE_MILLIS);
        if !older && !paced {
            break;
        }
        before = Some(*at);
        copied += usize::from(count.info.is_some());
    }
    copied
}

/// The comparable form of a usage line.
pub(super) fn row(info: &CountInfo) -> Row {
    Row { last: numbers(&info.last.unwrap_or_default()), total: numbers(&info.total) }
}

pub(crate) fn numbers(counters: &Counters) -> [u64; 6] {
    let Counters { input, cached_input, cache_write, output, reasoning, total } = *counters;
    [input, cached_input, cache_write, output, reasoning, total]
}

fn counters_of([input, cached_input, cache_write, output, reasoning, total]: [u64; 6]) -> Counters {
    Counters { input, cached_input, cache_write, output, reasoning, total }
}

/// In kinds that do not overlap. Codex's input includes what was read from and written to a cache.
pub(crate) fn tokens(counters: &Counters) -> Tokens {
    Tokens {
        input: counters.input.saturating_sub(counters.cached_input).saturating_sub(counters.cache_write),
        cached_input: counters.cached_input,
        cache_write: counters.cache_write,
        output: counters.output,
        reasoning: counters.reasoning,
    }
}

impl Counters {
    fn minus(&self, other: &Self) -> Self {
        let [a, b, c, d, e, f] = numbers(self);
        let [g, h, i, j, k, l] = numbers(other);
        counters_of([
            a.saturating_sub(g),
            b.saturating_sub(h),
            c.saturating_sub(i),
            d.saturating_sub(j),
            e.saturating_sub(k),
            f.saturating_sub(l),
        ])
    }

    /// Whether any counter is lower than in `before`. Counters of one thread only rise, so it was restarted then.
    fn is_below(&self, before: &Self) -> bool {
        numbers(self).iter().zip(numbers(before)).any(|(now, before)| *now < before)
    }
}
