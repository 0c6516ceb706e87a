//! The session of one file, and how each fact changes it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::activity::Activity;
use crate::limits::{Snapshot, main_family};
use crate::session::{Context, Session, TIMER_GAP, Work};
use crate::source::ledger::Ledger;
use crate::source::{Agent, CountInfo, Counters, Fact, LimitsFact, Meta};
use crate::time::{elapsed, later};

/// No more calls are open at once; a file with more has lost their ends.
const OPEN_CALLS: usize = 32;

/// How long a reached limit lasts if no window shows its end.
const LIMIT_REACHED_FOR: std::time::Duration = std::time::Duration::from_secs(5 * 3600);

/// The session of a file whose first line is known.
#[derive(Debug)]
pub(super) struct About {
    pub(super) meta: Meta,
    pub(super) session: Session,
    pub(super) ledger: Box<dyn Ledger>,
    /// Whether the file records the start and end of turns; otherwise prompts replace them.
    turns_recorded: bool,
    /// Whether the line before the current one was read, so that a gap between their times is real.
    gap_known: bool,
    window: Option<u64>,
    calls: Calls,
}

/// The calls of the current response: its count is written after them, even if they take long.
#[derive(Debug, Default)]
struct Calls {
    /// The time of the first of them, which is soon after the response began.
    began_at: Option<Timestamp>,
    /// Whether one of them has ended, so that the next call belongs to another response.
    answered: bool,
}

impl Calls {
    fn see(&mut self, at: Timestamp, fact: &Fact, turns_recorded: bool) {
        match fact {
            Fact::CallStarted { .. } if self.answered || self.began_at.is_none() => {
                *self = Self { began_at: Some(at), answered: false };
            }
            Fact::CallEnded { .. } => self.answered = true,
            Fact::TurnStarted { .. } => *self = Self::default(),
            Fact::Prompt if !turns_recorded => *self = Self::default(),
            _ => {}
        }
    }
}

impl About {
    pub(super) fn new(agent: Agent, home: &Arc<str>, meta: Meta) -> Self {
        let session = Session {
            surface: meta.surface,
            visible: meta.visible && !meta.subagent,
            parent: meta.parent.as_deref().map(Arc::from),
            forked_from: meta.forked_from.as_deref().map(Arc::from),
            cwd: meta.cwd.as_deref().map(Arc::from),
            branch: meta.branch.as_deref().map(Arc::from),
            file_begun_at: meta.file_begun_at,
            started_at: meta.started_at,
            timer_from: meta.started_at,
            last_event_at: meta.started_at,
            ..Session::new(agent, meta.id.clone(), Arc::clone(home))
        };
        Self {
            ledger: (agent.spec().ledger)(&meta),
            meta,
            session,
            turns_recorded: false,
            gap_known: true,
            window: None,
            calls: Calls::default(),
        }
    }

    /// A later first line: written again at a resume, or copied from another session.
    fn meta_again(&mut self, meta: Box<Meta>) {
        if let Some(folder) = &meta.cwd {
            self.session.was_in(folder);
        }
        if meta.id != self.meta.id {
            // Old forks name their parent nowhere else.
            let origin = self.meta.forked_from.get_or_insert_with(|| meta.id.clone());
            self.session.forked_from.get_or_insert_with(|| origin.as_str().into());
            self.ledger.fact(Timestamp::UNIX_EPOCH, None, &mut Fact::Meta(meta));
        }
    }

    /// Bytes are left out from here on.
    pub(super) fn jump(&mut self) {
        self.ledger.jump();
        self.session.counting = true;
        self.session.has_unlisted_folders = true;
        self.gap_known = false;
    }

    pub(super) fn alive(&mut self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        let last = self.session.last_event_at;
        if self.gap_known && last.is_some_and(|last| elapsed(last, at) > TIMER_GAP) {
            self.session.timer_from = Some(at);
        }
        self.gap_known = true;
        self.session.timer_from = self.session.timer_from.or(Some(at));
        self.session.last_event_at = last.max(Some(at));
    }

    pub(super) fn fact(&mut self, at: Option<Timestamp>, ordinal: Option<u64>, mut fact: Fact) {
        // A line without its own time happened after the one before it.
        let when = at.or(self.session.last_event_at).unwrap_or(Timestamp::UNIX_EPOCH);
        self.calls.see(when, &fact, self.turns_recorded);
        match &mut fact {
            Fact::Meta(_) => {}
            Fact::Response { thread: Some(thread), .. } if *thread != self.meta.id => {
                self.ledger.fact(when, ordinal, &mut Fact::Alive);
            }
            fact => {
                // A count without usage belongs to no response, and is written when its limits are observed.
                if let Fact::Count(count) = fact
                    && count.info.is_some()
                {
                    let began_at = std::mem::take(&mut self.calls).began_at;
                    count.limits.iter_mut().for_each(|limits| limits.learnt_at = began_at);
                }
                self.ledger.fact(when, ordinal, fact);
            }
        }
        let work = &mut self.session.work;
        match fact {
            Fact::Meta(meta) => self.meta_again(meta),
            Fact::Forked { from, only_named } => {
                if self.meta.forked_from.is_none() {
                    self.session.forked_from = Some(from.as_str().into());
                    (self.meta.forked_from, self.meta.only_named) = (Some(from), only_named);
                }
            }
            Fact::Begun(at) => {
                self.session.started_at.get_or_insert(at);
            }
            // The contents of a line are split before; the ledger takes the rest.
            Fact::Several(_)
            | Fact::History(_)
            | Fact::Limits(_)
            | Fact::Count(_)
            | Fact::Response { .. }
            | Fact::Spent(_)
            | Fact::Run
            | Fact::Untold(_)
            | Fact::ContinuedIn(_)
            | Fact::Alive => {}
            Fact::Context { model, effort, cwd } => {
                let known = Arc::make_mut(&mut self.session.model);
                known.name = model.map(Arc::from).or(known.name.take());
                known.effort = effort.map(Arc::from);
                if let Some(folder) = cwd {
                    self.session.move_to(&folder);
                }
            }
            Fact::Tier(tier) => {
                Arc::make_mut(&mut self.session.model).service_tier = tier.map(Arc::from);
            }
            Fact::TurnStarted { turn, window, .. } => {
                self.turns_recorded = true;
                self.window = window.or(self.window);
                self.session.turn = turn.map(String::into_boxed_str);
                *work = Work { turn_open: true, limited_until: work.limited_until.take(), ..Work::default() };
            }
            // A message queued into a running turn does not restart it; an open call shows that a turn is running.
            Fact::Prompt => {
                if !self.turns_recorded && work.calls.is_empty() {
                    let mut begins = Fact::TurnStarted { turn: None, started_at: None, window: None };
                    self.ledger.fact(when, None, &mut begins);
                    *work =
                        Work { turn_open: true, limited_until: work.limited_until.take(), ..Work::default() };
                }
            }
            Fact::Reply => work.may_be_over = !self.turns_recorded,
            Fact::TurnEnded => {
                let ended_at = Some(when).filter(|_| work.turn_open).or(work.ended_at);
                *work = Work { ended_at, limited_until: work.limited_until.take(), ..Work::default() };
            }
            Fact::Process(began_with) => self.session.process = began_with.map(Arc::from),
            Fact::HelpersPending => work.helpers_pending = true,
            Fact::UserAwaited(awaited) => work.user_awaited = awaited,
            Fact::UserCommand(runs) => work.user_command = runs,
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
                work.just_done = Some(Box::new((when, doing)));
            }
            Fact::Place { cwd, branch } => {
                if let Some(folder) = cwd {
                    self.session.move_to(&folder);
                }
                self.session.branch = branch.map(Arc::from);
            }
            // A message's input fills the context, even if its usage counts in another file.
            Fact::Message(message) | Fact::Stored(message) => {
                if let Some(used) = message.context {
                    self.window = message.window;
                    self.session.context_used = Some(used);
                    self.session.context =
                        self.window.map(|window| Context::new(self.session.agent, used, window));
                }
            }
            Fact::Working => {
                work.turn_open = true;
                work.may_be_over = false;
                work.limited_until = None;
            }
            Fact::MaybeEnded => work.may_be_over = true,
            Fact::LimitReached { until, .. } => {
                work.limited_until = Some(Box::new(until.unwrap_or_else(|| later(when, LIMIT_REACHED_FOR))));
            }
            Fact::Compacted(used) => {
                self.session.context_used = used;
                self.session.context = used
                    .zip(self.window)
                    .map(|(used, window)| Context::new(self.session.agent, used, window));
            }
        }
    }

    /// A usage line of the session itself shows how full the context is, even if it changes no total.
    pub(super) fn row(&mut self, info: &CountInfo) {
        self.window = info.window.or(self.window);
        let Some(window) = self.window.filter(|window| *window > 0) else { return };
        let last = info.last.unwrap_or_default();
        let overflow = info.total.total == window && info.total.tokens().is_zero();
        let used = if overflow { window } else { last.total };
        if used > 0 || info.total == Counters::default() {
            self.session.context = Some(Context::new(self.session.agent, used, window));
        }
    }

    pub(super) fn limits(&mut self, at: Timestamp, limits: LimitsFact) -> Snapshot {
        let main = limits.family == main_family(self.session.agent);
        if main {
            let exhausted = limits.windows.iter().filter(|window| window.used_percent >= 100.0);
            let ends = exhausted.filter_map(|window| window.resets_at).max();
            self.session.work.limited_until =
                limits.reached.then(|| Box::new(ends.unwrap_or_else(|| later(at, LIMIT_REACHED_FOR))));
        }
        self.limits_report(at, limits)
    }

    fn limits_report(&self, at: Timestamp, limits: LimitsFact) -> Snapshot {
        let session = &self.session;
        limits.report(session.agent, &session.home, at, Some(session.id.clone()))
    }

    /// The limits in a fact of the session itself that has no counters.
    pub(super) fn limits_beside(&self, at: Option<Timestamp>, fact: &Fact) -> Option<Snapshot> {
        let at = at.or(self.session.last_event_at).unwrap_or(Timestamp::UNIX_EPOCH);
        let refusal = |limits| Snapshot { refusal: true, ..self.limits_report(at, limits) };
        match fact {
            Fact::Limits(limits) => Some(self.limits_report(at, (**limits).clone())),
            Fact::LimitReached { limits, .. } => limits.as_deref().cloned().map(refusal),
            // The model answers: the account's limit is over, even before its end time.
            Fact::Working if self.session.work.limited_until.is_some() => {
                let family = main_family(self.session.agent).to_owned();
                Some(refusal(LimitsFact { family, ..LimitsFact::default() }))
            }
            _ => None,
        }
    }
}

/// A finished edit is too short to be seen, so it is shown for a moment longer.
fn end_call(work: &mut Work, call: Option<&str>, at: Timestamp) {
    let place = work
        .calls
        .iter()
        .position(|(open, _)| open.as_deref() == call)
        .or_else(|| work.calls.iter().position(|(open, _)| open.is_none()));
    if let Some(place) = place {
        let (_, doing) = work.calls.remove(place);
        if doing.activity == Activity::Editing {
            work.just_done = Some(Box::new((at, doing)));
        }
    }
    work.may_be_over = false;
}
