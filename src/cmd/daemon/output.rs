//! The running daemon's output for people: log lines, and cards on standard output.
//!
//! A line that cannot be written is dropped. Read next: [`crate::cmd::show`], for the form.

use std::io::Write;

use super::{Daemon, Sink};
use crate::cmd::show;
use crate::core::publish::{LinkState, LinkStatus, Notice};
use crate::core::report::{CardReport, Event, EventKind};
use crate::core::time::Now;
use crate::io::printed::TerminalWriter;

impl Daemon<'_> {
    /// Logs or prints one event.
    pub(super) fn log_event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Usage(usage) if self.options.usage_lines => {
                if let Some(line) = show::usage_text(usage) {
                    let session = show::short_id(&usage.session);
                    tracing::info!(agent = usage.agent.word(), session, restored = usage.restored, "{line}");
                }
            }
            EventKind::Session { ended: true, session } if self.options.usage_lines => {
                let line = show::ended_text(session);
                tracing::info!(agent = session.agent.word(), session = show::short_id(&session.id), "{line}");
            }
            EventKind::Activity { session, agent, activity, .. } => {
                tracing::debug!(
                    agent = agent.word(),
                    session = show::short_id(session),
                    "{}",
                    activity.word()
                );
            }
            EventKind::Card { .. } if self.options.print_cards => {
                if let Some(text) = show::event(event, self.host.engine().zone()) {
                    self.print(&text);
                }
            }
            _ => {}
        }
    }

    /// Prints the current card on a terminal while no Discord is connected.
    pub(super) fn print_waiting_card(&mut self, now: Now) {
        if !self.options.print_cards || self.options.sink != Sink::Discord {
            return;
        }
        let is_on_its_way =
            |link: &LinkStatus| matches!(link.state, LinkState::Connected | LinkState::Connecting);
        if self.host.engine().links(now).iter().any(is_on_its_way) {
            self.waiting_card = None;
            return;
        }
        let card = self.host.engine().card().cloned();
        if self.waiting_card.is_none() {
            tracing::info!("waiting for Discord; until then cards are only printed here");
        }
        if self.waiting_card.replace(card.clone()).unwrap_or_default() != card {
            let card = card.as_deref().map(CardReport::from);
            let event = Event { at: now.wall, kind: EventKind::Card { card } };
            if let Some(text) = show::event(&event, self.host.engine().zone()) {
                self.print(&text);
            }
        }
    }

    /// With `--dry-run` a failure to print ends the daemon; otherwise no more cards are printed.
    fn print(&mut self, text: &str) {
        let mut out = TerminalWriter::new(std::io::stdout().lock());
        self.printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if self.printed.is_err() {
            self.options.print_cards = false;
            self.ending |= self.options.sink == Sink::Terminal;
        }
    }
}

/// Logs a change of a link.
pub(super) fn log(notice: &Notice) {
    let hint = notice.hint();
    match notice {
        Notice::Rejected { .. } | Notice::Refused { .. } => tracing::warn!(hint, "{notice}"),
        _ => tracing::info!("{notice}"),
    }
}
