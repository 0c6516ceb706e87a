//! One session file: bytes in, the session and its events out.
//!
//! The fold of a file's facts. Any split of the same bytes gives the same result, and reading a file whole, following
//! it or restoring it end at the same figures. Knows nothing of where the bytes come from.
//! Read next: [`crate::core::source`] for the facts, [`crate::core::session`] for what they are folded into.

use std::sync::Arc;

use jiff::Timestamp;

use crate::core::activity::{Activity, Agent};
use crate::core::limits::Snapshot;
use crate::core::lines::{Line, LineBuffer};
use crate::core::session::{Context, Session, TIMER_GAP, UsageEvent, Work};
use crate::core::source::codex::ledger::{Change, Ledger, numbers, tokens};
use crate::core::source::{self, Count, CountInfo, Fact, LimitsFact, Meta, Parsed, codex};
use crate::core::time::{elapsed, later};

/// More calls than this are not open at once; a file that says so has lost their ends.
const OPEN_CALLS: usize = 32;

/// For how long a reached limit is believed when no window says when it ends.
const LIMIT_REACHED_FOR: std::time::Duration = std::time::Duration::from_secs(5 * 3600);

/// Follows one session file.
#[derive(Debug)]
pub struct SessionFile {
    lines: LineBuffer,
    fold: Fold,
}

/// What a file brought since the last time it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct FileUpdate {
    /// The session as it stands now.
    pub session: Session,
    /// Usage events in order, none of them in an earlier update.
    pub usage: Vec<UsageEvent>,
    /// The newest limits of each family that this file's own events gave.
    pub limits: Vec<Snapshot>,
    /// Lines that could not be used, since the file was opened.
    pub skipped: Skipped,
}

/// Lines that could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Lines that are not the agent's JSON.
    pub unreadable_lines: u64,
    /// Lines too long to be read whole.
    pub oversized_lines: u64,
    /// Lines of a kind that is not known.
    pub unknown_types: u64,
}

/// Whose usage rows would tell which part of a forked file is copied history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageRequest {
    /// The thread id of the parent; its file's name contains it. Where that file is gone, other files with the same parent serve.
    pub parent: String,
}

/// The token figures of one usage line, exactly as written: enough to recognise a copied line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageRow {
    /// `last_token_usage`: input, cached, cache write, output, reasoning, total.
    pub last: [u64; 6],
    /// `total_token_usage`, likewise.
    pub total: [u64; 6],
}

impl SessionFile {
    /// A file about to be read from its first byte. Usage lines stamped before `live_since` are restored figures, not
    /// events.
    pub fn new(agent: Agent, home: Arc<str>, live_since: Timestamp) -> Self {
        Self { lines: LineBuffer::default(), fold: Fold::new(agent, home, live_since) }
    }

    /// Takes the next bytes of the file, split anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let fold = &mut self.fold;
        self.lines.push(bytes, |line| fold.line(line));
    }

    /// Tells that bytes are left out: what comes next begins somewhere inside a line. From here on the figures are
    /// provisional (`Session::counting`).
    pub fn jump(&mut self) {
        self.lines.jump();
        self.fold.jump();
    }

    /// After a jump: whether the bytes since then held the newest usage, limits, model and turn boundary, so that
    /// reading further back gains nothing.
    pub fn tail_suffices(&self) -> bool {
        self.fold.since_jump.suffices()
    }

    /// Tells that the end of the file has been reached for now.
    pub fn caught_up(&mut self) {}

    /// Whose rows are needed to tell inherited from own usage.
    pub fn lineage_wanted(&self) -> Option<LineageRequest> {
        let about = self.fold.about.as_ref()?;
        let parent = about.meta.forked_from.as_ref().or(about.meta.parent.as_ref());
        about.ledger.wants_lineage().then(|| LineageRequest { parent: parent.cloned().unwrap_or_default() })
    }

    /// Answers `lineage_wanted`: the rows of each file that may share copied history (the parent's, else siblings');
    /// empty when there is none.
    pub fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        if let Some(about) = &mut self.fold.about {
            about.ledger.set_lineage(candidates);
            self.fold.changed = true;
            self.fold.news = true;
            self.fold.drain();
        }
    }

    /// What is new since the last call; `None` when nothing is, or while nothing is known of the session yet.
    pub fn take_update(&mut self) -> Option<FileUpdate> {
        let fold = &mut self.fold;
        let about = fold.about.as_mut()?;
        if !std::mem::take(&mut fold.changed) {
            return None;
        }
        fold.news = false;
        about.session.usage = about.ledger.usage();
        let mut usage = std::mem::take(&mut fold.events);
        if let Some(restored) = fold.restored.take() {
            usage.insert(0, restored);
        }
        Some(FileUpdate {
            session: about.session.clone(),
            usage,
            limits: std::mem::take(&mut fold.limits),
            skipped: fold.skipped,
        })
    }

    /// Which parent the file names, once its first line has been read: `(own id, parent id)`.
    pub fn family(&self) -> Option<(&str, Option<&str>)> {
        let meta = &self.fold.about.as_ref()?.meta;
        Some((&meta.id, meta.forked_from.as_deref().or(meta.parent.as_deref())))
    }

    /// Whether anything but signs of life came since the last update, so that it is worth one.
    pub fn has_news(&self) -> bool {
        self.fold.news
    }

    /// The newest line's own time.
    pub fn last_event_at(&self) -> Option<Timestamp> {
        self.fold.about.as_ref()?.session.last_event_at
    }
}

/// Everything that lines change.
#[derive(Debug)]
struct Fold {
    agent: Agent,
    home: Arc<str>,
    live_since: Timestamp,
    about: Option<About>,
    skipped: Skipped,
    changed: bool,
    news: bool,
    restored: Option<UsageEvent>,
    events: Vec<UsageEvent>,
    limits: Vec<Snapshot>,
    since_jump: SinceJump,
}

impl Fold {
    fn new(agent: Agent, home: Arc<str>, live_since: Timestamp) -> Self {
        Self {
            agent,
            home,
            live_since,
            about: None,
            skipped: Skipped::default(),
            changed: false,
            news: false,
            restored: None,
            events: Vec::new(),
            limits: Vec::new(),
            since_jump: SinceJump::default(),
        }
    }

    fn line(&mut self, line: Line<'_>) {
        if matches!(line, Line::Oversized(_)) {
            self.skipped.oversized_lines += 1;
        }
        let parsed = match self.agent {
            Agent::Codex => codex::parse(line),
            Agent::Claude => return,
        };
        self.changed = true;
        match parsed {
            Parsed::Unreadable => {
                // What is too long to be read is already counted as that.
                self.skipped.unreadable_lines += u64::from(matches!(line, Line::Whole(_)));
            }
            Parsed::Line { at, ordinal, fact, unknown } => {
                self.skipped.unknown_types += u64::from(unknown);
                self.fact(at, ordinal, fact);
            }
        }
    }

    fn fact(&mut self, at: Option<Timestamp>, ordinal: Option<u64>, fact: Fact) {
        self.news |= fact != Fact::Alive;
        match (&mut self.about, fact) {
            (Some(about), Fact::Meta(meta)) => about.meta_again(&meta),
            (slot @ None, Fact::Meta(meta)) => *slot = Some(About::new(self.agent, &self.home, *meta)),
            // Without its first line nobody knows whose the rest is.
            (None, _) => return,
            (Some(about), fact) => {
                self.since_jump.see(&fact);
                about.fact(at, ordinal, fact);
            }
        }
        if let Some(about) = &mut self.about {
            about.alive(at);
        }
        self.drain();
    }

    /// Turns what the ledger found into events.
    fn drain(&mut self) {
        let Some(about) = &mut self.about else { return };
        for change in about.ledger.take_changes() {
            match change {
                Change::Row(info) => about.row(&info),
                Change::Limits(at, limits) => {
                    let snapshot = about.limits(at, limits);
                    let known = self.limits.iter().position(|known| known.family == snapshot.family);
                    let is_newer = known
                        .and_then(|at| self.limits.get(at))
                        .is_none_or(|known| known.observed_at <= snapshot.observed_at);
                    if is_newer && !snapshot.windows.is_empty() {
                        known.map(|at| self.limits.remove(at));
                        self.limits.push(snapshot);
                    }
                }
                Change::Usage { at, turn, added, usage } => {
                    about.session.last_token_event_at = Some(at);
                    if at < self.live_since {
                        self.restored = Some(UsageEvent { at, turn, usage, added: None });
                    } else {
                        about.session.restored = false;
                        self.events.push(UsageEvent { at, turn, usage, added: Some(added) });
                    }
                }
            }
        }
    }

    fn jump(&mut self) {
        self.since_jump = SinceJump { jumped: true, ..SinceJump::default() };
        self.changed = true;
        if let Some(about) = &mut self.about {
            about.ledger.jump();
            about.session.counting = true;
            about.gap_known = false;
        }
    }
}

/// What has been seen since bytes were left out.
#[derive(Debug, Default)]
struct SinceJump {
    jumped: bool,
    usage: bool,
    limits: bool,
    model: bool,
    turn: bool,
}

impl SinceJump {
    fn see(&mut self, fact: &Fact) {
        match fact {
            Fact::Count(count) => {
                self.usage |= count.info.is_some();
                self.limits |= count.limits.as_ref().is_some_and(|limits| !limits.windows.is_empty());
            }
            Fact::Context { .. } => self.model = true,
            Fact::TurnStarted { .. } | Fact::Prompt => self.turn = true,
            _ => {}
        }
    }

    fn suffices(&self) -> bool {
        !self.jumped || self.usage && self.limits && self.model && self.turn
    }
}

/// The session of a file whose first line is known.
#[derive(Debug)]
struct About {
    meta: Meta,
    session: Session,
    ledger: Ledger,
    /// Whether the file records the start and end of turns; otherwise prompts stand for them.
    turns_recorded: bool,
    /// Whether the line before the one at hand has been read, so that a gap between them is one.
    gap_known: bool,
    window: Option<u64>,
}

impl About {
    fn new(agent: Agent, home: &Arc<str>, meta: Meta) -> Self {
        let session = Session {
            agent,
            id: meta.id.clone(),
            home: Arc::clone(home),
            surface: meta.surface,
            visible: meta.visible && !meta.subagent,
            parent: meta.parent.clone(),
            cwd: meta.cwd.clone(),
            branch: meta.branch.clone(),
            model: None,
            effort: None,
            service_tier: None,
            started_at: meta.started_at,
            timer_from: meta.started_at,
            last_event_at: meta.started_at,
            last_token_event_at: None,
            turn: None,
            usage: crate::core::usage::Usage::default(),
            counting: false,
            restored: true,
            context: None,
            work: Work::default(),
        };
        Self {
            ledger: Ledger::new(&meta),
            meta,
            session,
            turns_recorded: false,
            gap_known: true,
            window: None,
        }
    }

    /// A later first line: written again at a resume, or copied from another session.
    fn meta_again(&mut self, meta: &Meta) {
        if meta.id != self.meta.id {
            self.ledger.foreign_meta();
            // Old forks name their parent nowhere else.
            self.meta.forked_from.get_or_insert_with(|| meta.id.clone());
        }
    }

    fn alive(&mut self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        let last = self.session.last_event_at;
        if self.gap_known && last.is_some_and(|last| elapsed(last, at) > TIMER_GAP) {
            self.session.timer_from = Some(at);
        }
        self.gap_known = true;
        self.session.timer_from = self.session.timer_from.or(Some(at));
        self.session.last_event_at = last.max(Some(at));
    }

    fn fact(&mut self, at: Option<Timestamp>, ordinal: Option<u64>, fact: Fact) {
        // A line without a time of its own happened after the one before it.
        let when = at.or(self.session.last_event_at).unwrap_or(Timestamp::UNIX_EPOCH);
        if let Some(ordinal) = ordinal {
            self.ledger.ordinal(ordinal);
        }
        let work = &mut self.session.work;
        match fact {
            Fact::Meta(_) | Fact::Alive => {}
            Fact::Context { model, effort, cwd } => {
                self.session.model = model.or(self.session.model.take());
                self.session.effort = effort;
                self.session.cwd = cwd.or(self.session.cwd.take());
            }
            Fact::Tier(tier) => self.session.service_tier = tier,
            Fact::TurnStarted { turn, window } => {
                self.turns_recorded = true;
                self.window = window.or(self.window);
                self.ledger.turn_started(turn.as_deref());
                self.session.turn = turn;
                *work = Work { turn_open: true, limited_until: work.limited_until, ..Work::default() };
            }
            // A message queued into a running turn does not restart it; an open call tells that one is running.
            Fact::Prompt => {
                if !self.turns_recorded && work.calls.is_empty() {
                    self.ledger.turn_started(None);
                    *work = Work { turn_open: true, limited_until: work.limited_until, ..Work::default() };
                }
            }
            Fact::Reply => work.may_be_over = !self.turns_recorded,
            Fact::TurnEnded => {
                *work = Work { limited_until: work.limited_until, ..Work::default() };
            }
            Fact::Count(count) => self.count(when, *count),
            Fact::Response { thread, response, usage } => {
                if thread.is_none_or(|thread| thread == self.meta.id) {
                    self.ledger.response(when, response.as_deref(), usage);
                }
            }
            Fact::CallStarted { call, doing } => {
                work.turn_open = true;
                work.may_be_over = false;
                work.just_done = None;
                work.calls.retain(|(open, _)| call.is_none() || *open != call);
                if work.calls.len() >= OPEN_CALLS {
                    work.calls.remove(0);
                }
                work.calls.push((call, doing));
            }
            Fact::CallEnded { call } => end_call(work, call.as_deref(), when),
            Fact::Done(doing) => {
                work.may_be_over = false;
                work.just_done = Some((when, doing));
            }
        }
    }

    fn count(&mut self, at: Timestamp, count: Count) {
        self.ledger.count(at, count);
    }

    /// A usage line of the session's own tells how full the context is, even where it changes no total.
    fn row(&mut self, info: &CountInfo) {
        self.window = info.window.or(self.window);
        let Some(window) = self.window.filter(|window| *window > 0) else { return };
        let last = info.last.unwrap_or_default();
        let overflow = info.total.total == window && tokens(&info.total).is_zero();
        let used = if overflow { window } else { last.total };
        if used > 0 || !numbers(&info.total).iter().any(|number| *number > 0) {
            self.session.context = Some(Context::new(used, window));
        }
    }

    fn limits(&mut self, at: Timestamp, limits: LimitsFact) -> Snapshot {
        let main = limits.family == crate::core::limits::MAIN_FAMILY;
        let LimitsFact { family, name, plan, reached, windows } = limits;
        if main {
            let exhausted = windows.iter().filter(|window| window.used_percent >= 100.0);
            let ends = exhausted.filter_map(|window| window.resets_at).max();
            self.session.work.limited_until =
                reached.then(|| ends.unwrap_or_else(|| later(at, LIMIT_REACHED_FOR)));
        }
        Snapshot {
            agent: self.session.agent,
            home: Arc::clone(&self.session.home),
            family,
            name,
            plan,
            observed_at: at,
            source_session: Some(self.session.id.clone()),
            windows,
        }
    }
}

/// A finished edit is so short that it would never be seen, so it is shown for a moment longer.
fn end_call(work: &mut Work, call: Option<&str>, at: Timestamp) {
    let place = work
        .calls
        .iter()
        .position(|(open, _)| open.as_deref() == call)
        .or_else(|| work.calls.iter().position(|(open, _)| open.is_none()));
    if let Some(place) = place {
        let (_, doing) = work.calls.remove(place);
        if doing.activity == Activity::Editing {
            work.just_done = Some((at, doing));
        }
    }
    work.may_be_over = false;
}

/// Reads the usage rows of a whole file, for `lineage_wanted`.
#[derive(Debug, Default)]
pub struct RowReader {
    lines: LineBuffer,
    rows: Vec<UsageRow>,
}

impl RowReader {
    /// Takes the next bytes of the file, split anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let rows = &mut self.rows;
        self.lines.push(bytes, |line| {
            if let Some((last, total)) = source::codex::usage_row(line) {
                rows.push(UsageRow { last: numbers(&last), total: numbers(&total) });
            }
        });
    }

    /// The rows, in the file's order.
    pub fn finish(self) -> Vec<UsageRow> {
        self.rows
    }
}
