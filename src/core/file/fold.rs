//! How lines change the state of a file, and the events they cause.

use std::sync::Arc;

use jiff::Timestamp;

use super::about::About;
use super::{FileUpdate, Skipped};
use crate::limits::{Snapshot, add_report};
use crate::lines::Line;
use crate::session::UsageEvent;
use crate::source::Agent;
use crate::source::ledger::Change;
use crate::source::{Call, Fact, Parsed, Parser, read_line};
use crate::usage::Usage;

/// The state that lines change.
#[derive(Debug)]
pub(super) struct Fold {
    agent: Agent,
    home: Arc<str>,
    pub(super) live_since: Timestamp,
    pub(super) caught_up: bool,
    pub(super) about: Option<About>,
    /// The folder of a session that names none, until there is a session.
    folder: Option<String>,
    pub(super) skipped: Skipped,
    pub(super) changed: bool,
    pub(super) news: bool,
    has_told: bool,
    pub(super) restored: Option<UsageEvent>,
    pub(super) events: Vec<UsageEvent>,
    pub(super) limits: Vec<Snapshot>,
    pub(super) since_jump: SinceJump,
}

impl Fold {
    pub(super) fn new(agent: Agent, home: Arc<str>, live_since: Timestamp) -> Self {
        Self {
            agent,
            home,
            live_since,
            caught_up: false,
            about: None,
            folder: None,
            skipped: Skipped::default(),
            changed: false,
            news: false,
            has_told: false,
            restored: None,
            events: Vec::new(),
            limits: Vec::new(),
            since_jump: SinceJump::default(),
        }
    }

    pub(super) fn line(&mut self, parser: &mut dyn Parser, line: Line<'_>) {
        if !matches!(line, Line::Whole(_)) {
            self.skipped.oversized_lines += 1;
        }
        read_line(self.agent, parser, line, |line, parsed| self.parsed(line, parsed));
    }

    pub(super) fn parsed(&mut self, line: Line<'_>, parsed: Parsed) {
        self.changed = true;
        match parsed {
            Parsed::Unreadable => {
                // A line that is too long to be read is already counted.
                self.skipped.unreadable_lines += u64::from(matches!(line, Line::Whole(_)));
            }
            Parsed::Line { at, ordinal, fact, unknown } => {
                self.skipped.unknown_types += u64::from(unknown);
                let mut alive = at;
                match fact {
                    Fact::Several(facts) => {
                        facts.into_iter().for_each(|fact| self.own_fact(at, ordinal, fact));
                    }
                    Fact::History(facts) => {
                        alive = None;
                        facts.into_iter().for_each(|fact| self.fact(at, ordinal, fact));
                    }
                    fact => self.own_fact(at, ordinal, fact),
                }
                if let Some(about) = &mut self.about {
                    about.alive(alive);
                }
                self.drain();
            }
        }
    }

    fn own_fact(&mut self, at: Option<Timestamp>, ordinal: Option<u64>, fact: Fact) {
        let limits = self.about.as_ref().and_then(|about| about.limits_beside(at, &fact));
        if let Some(report) = limits {
            add_report(&mut self.limits, report);
        }
        self.fact(at, ordinal, fact);
    }

    fn fact(&mut self, at: Option<Timestamp>, ordinal: Option<u64>, fact: Fact) {
        self.news |= !matches!(fact, Fact::Alive | Fact::ContinuedIn(_));
        match (&mut self.about, fact) {
            (slot @ None, Fact::Meta(mut meta)) => {
                meta.cwd = meta.cwd.or(self.folder.take());
                let about = slot.insert(About::new(self.agent, &self.home, *meta));
                about.session.has_unlisted_folders = self.since_jump.jumped;
            }
            // Without its first line the session of the rest is not known.
            (None, _) => {}
            (Some(about), fact) => {
                self.since_jump.see(&fact);
                about.fact(at, ordinal, fact);
            }
        }
    }

    pub(super) fn works_in(&mut self, folder: &str) {
        match &mut self.about {
            Some(about) if about.session.cwd.is_none() => {
                about.session.move_to(folder);
                self.changed = true;
            }
            Some(_) => {}
            None => self.folder = Some(folder.to_owned()),
        }
    }

    /// Turns the ledger's changes into events.
    pub(super) fn drain(&mut self) {
        let Some(about) = &mut self.about else { return };
        for change in about.ledger.take_changes() {
            match change {
                Change::Row(info) => about.row(&info),
                Change::Limits(at, limits) => {
                    let report = about.limits(at, limits);
                    if !report.windows.is_empty() {
                        add_report(&mut self.limits, report);
                    }
                }
                Change::Usage(event) => {
                    about.session.last_token_event_at = Some(event.at);
                    // After a new event all later ones are new, independent of their times, because the clock may
                    // have been set back.
                    if event.added.is_none() || event.at < self.live_since && self.events.is_empty() {
                        self.restored =
                            Some(UsageEvent { added: None, call: None, unlisted: false, ..event });
                        continue;
                    }
                    // If usage is not recorded per call, the session's model is the called one.
                    let model = || about.session.model.name.as_deref().map(str::to_owned);
                    let by_model = || Call { model: model(), finish_reason: None }.known();
                    let call = if event.unlisted { None } else { event.call.or_else(by_model) };
                    self.events.push(UsageEvent { call, ..event });
                }
            }
        }
    }

    /// The update since the last call; `None` if nothing is new, or while the session is not known.
    pub(super) fn take_update(&mut self) -> Option<FileUpdate> {
        let about = self.about.as_mut()?;
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        self.news = false;
        about.session.usage = about.ledger.usage();
        about.session.used_before =
            Some(about.ledger.before()).filter(|before| !before.is_zero()).map(Box::new);
        about.session.lower_bound = about.ledger.is_lower_bound();
        let mut usage = std::mem::take(&mut self.events);
        // Figures that were reported once may be unknown now.
        let is_known = about.session.usage != Usage::default();
        usage.splice(0..0, self.restored.take().filter(|_| is_known));
        Some(FileUpdate {
            session: about.session.clone(),
            usage,
            limits: std::mem::take(&mut self.limits),
            skipped: self.skipped,
            first: !std::mem::replace(&mut self.has_told, true),
        })
    }

    pub(super) fn jump(&mut self) {
        self.since_jump = SinceJump { jumped: true, ..SinceJump::default() };
        // If no file contains limits, reading further back for them has no use.
        self.since_jump.limits = !self.agent.spec().limits.in_files;
        self.changed = true;
        if let Some(about) = &mut self.about {
            about.jump();
        }
        self.drain();
    }
}

/// What was read since bytes were left out.
#[derive(Debug, Default)]
pub(super) struct SinceJump {
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
            Fact::Message(message) | Fact::Stored(message) => self.usage |= message.context.is_some(),
            Fact::Context { .. } => self.model = true,
            Fact::TurnStarted { .. } | Fact::Prompt => self.turn = true,
            _ => {}
        }
    }

    pub(super) fn suffices(&self) -> bool {
        !self.jumped || self.usage && self.limits && self.model && self.turn
    }
}
