//! What the loop is going to be told: it wakes up once for all that came of the news at hand.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::inbox::Inbox;
use crate::core::source_event::SourceEvent;

/// So many events wait to be told together.
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
        for event in self.waiting.drain(..) {
            if self.inbox.stopping() {
                return ControlFlow::Break(());
            }
            (self.sink)(event)?;
        }
        ControlFlow::Continue(())
    }
}
