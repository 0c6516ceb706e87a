//! Collects events for the loop, so that it wakes up once for all events of one round.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::inbox::Inbox;
use crate::core::file::{FileUpdate, SessionFile};
use crate::core::fingerprint;
use crate::core::source_event::{FileIdentity, ReadTo, SourceEvent};

/// The update of a session without a file of its own. Its total stands for the read position.
pub(super) fn updated(
    fold: &mut SessionFile,
    home: &str,
    session: &str,
) -> Option<(Box<FileUpdate>, Option<ReadTo>)> {
    fold.caught_up();
    if fold.lineage_wanted().is_some() {
        fold.set_lineage(&[]);
    }
    let update = fold.take_update()?;
    let file = FileIdentity(fingerprint::short(home.as_bytes()), fingerprint::short(session.as_bytes()));
    let total = update.session.usage.session_total_tokens.unwrap_or_default();
    Some((Box::new(update), Some(ReadTo { file, offset: total.all() })))
}

/// The most events that are collected.
const MOST_WAITING: usize = 64;

pub(super) type Sink<'a> = Box<dyn FnMut(SourceEvent) -> ControlFlow<()> + Send + 'a>;

pub(super) struct Outbox<'a> {
    sink: Sink<'a>,
    waiting: Vec<SourceEvent>,
    inbox: Arc<Inbox>,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(sink: Sink<'a>, inbox: Arc<Inbox>) -> Self {
        Self { sink, waiting: Vec::new(), inbox }
    }

    pub(super) fn send(&mut self, events: impl IntoIterator<Item = SourceEvent>) -> ControlFlow<()> {
        self.waiting.extend(events);
        if self.waiting.len() < MOST_WAITING { ControlFlow::Continue(()) } else { self.deliver() }
    }

    pub(super) fn deliver(&mut self) -> ControlFlow<()> {
        if !self.waiting.is_empty() {
            // The thread now waits for the loop, not for a disk.
            self.inbox.stall.rest();
        }
        for event in self.waiting.drain(..) {
            if self.inbox.stopping() {
                return ControlFlow::Break(());
            }
            (self.sink)(event)?;
        }
        ControlFlow::Continue(())
    }
}
