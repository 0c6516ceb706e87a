//! A connection over which the daemon sends its events.
//!
//! Read next: [`crate::cmd::watch`], which connects again when it breaks.

use super::client::{AskError, Connection};
use super::transport::Address;
use super::{EventMessage, Reply, Verb};
use crate::core::event_log::Position;
use crate::core::report::Event;

/// A connection to a daemon that sends its events.
#[derive(Debug)]
pub struct Subscription {
    connection: Connection,
    position: Option<Position>,
    /// The event stream of the positions, if the daemon names it.
    pub stream: Option<String>,
}

/// An event of a subscription.
#[derive(Debug)]
pub struct Received {
    /// The event.
    pub event: Event,
    /// The position after the event; `None` for restored figures except the last one.
    pub position: Option<Position>,
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// There was no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The daemon refused.
    #[error("{}", .0.error.as_ref().map_or("the daemon refused", |error| &error.message))]
    Refused(Box<Reply>),
    /// The daemon does not know `far`.
    #[error("it is of an older version")]
    Older,
}

impl Subscription {
    /// Connects and subscribes to every event after that one; restored figures come first if the events are no longer
    /// stored. `far`: for another machine.
    ///
    /// # Errors
    /// There is no daemon, or it refuses.
    pub async fn open(place: &Address, after: Option<Position>, far: bool) -> Result<Self, SubscribeError> {
        let mut connection = Connection::open(place).await?;
        let reply = connection.ask(Verb::Subscribe { after, far }).await?;
        if !reply.ok {
            return Err(SubscribeError::Refused(Box::new(reply)));
        }
        Ok(Self { connection, position: reply.position, stream: reply.stream })
    }

    /// The next event; `None` when the daemon has ended or the connection broke. Events that this version does not know
    /// are left out. Cancel safe.
    pub async fn next(&mut self) -> Option<Received> {
        /// A line with an event of a later version.
        #[derive(serde::Deserialize)]
        struct Reached {
            #[serde(flatten)]
            position: Option<Position>,
        }

        loop {
            let line = self.connection.next_line().await.ok()??;
            match serde_json::from_slice::<EventMessage>(&line) {
                Ok(message) => {
                    let EventMessage { event, position, .. } = message;
                    self.position = position.clone().or(self.position.take());
                    return Some(Received { event, position });
                }
                Err(_) => {
                    let reached: Option<Reached> = serde_json::from_slice(&line).ok();
                    self.position = reached.and_then(|reached| reached.position).or(self.position.take());
                }
            }
        }
    }

    /// The position after the last event; `None` before all restored figures have come.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }
}
