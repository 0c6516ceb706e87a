//! One connection to the daemon over which it tells what happens.
//!
//! Read next: [`crate::cmd::watch`], which keeps one up.

use super::client::{AskError, Connection};
use super::transport::Address;
use super::{EventMessage, Reply, Verb};
use crate::core::event_log::Position;
use crate::core::report::Event;

/// A running daemon that tells its events.
#[derive(Debug)]
pub struct Subscription {
    connection: Connection,
    position: Option<Position>,
    /// What the positions are places in, if the daemon says so.
    pub stream: Option<String>,
}

/// What a subscription tells.
#[derive(Debug)]
pub struct Told {
    /// The event.
    pub event: Event,
    /// The position of a reader who has read it; none behind all but the last of several restored figures.
    pub position: Option<Position>,
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// Nobody answered.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It was refused.
    #[error("{}", .0.error.as_ref().map_or("it refused", |error| &error.message))]
    Refused(Box<Reply>),
    /// It does not know other machines.
    #[error("it is of an older version")]
    Older,
}

impl Subscription {
    /// Connects and asks for every event after that one; restored figures come first where that cannot be had. `far`: for
    /// another machine.
    ///
    /// # Errors
    /// There is no daemon, or it does not let everybody in.
    pub async fn open(place: &Address, after: Option<Position>, far: bool) -> Result<Self, SubscribeError> {
        let mut connection = Connection::open(place).await?;
        let reply = connection.ask(Verb::Subscribe { after, far }).await?;
        if !reply.ok {
            return Err(SubscribeError::Refused(Box::new(reply)));
        }
        Ok(Self { connection, position: reply.position, stream: reply.stream })
    }

    /// The next event; `None` when the daemon has ended or the connection broke. Nothing is lost when the wait is given
    /// up. What this version does not know is left out.
    pub async fn next(&mut self) -> Option<Told> {
        /// A line with an event that may be of a later version.
        #[derive(serde::Deserialize)]
        struct Reached {
            #[serde(flatten)]
            position: Option<Position>,
        }

        loop {
            let line = self.connection.next_line().await.ok()??;
            match serde_json::from_slice::<EventMessage>(&line) {
                Ok(told) => {
                    let EventMessage { event, position, .. } = told;
                    self.position = position.clone().or(self.position.take());
                    return Some(Told { event, position });
                }
                Err(_) => {
                    let reached: Option<Reached> = serde_json::from_slice(&line).ok();
                    self.position = reached.and_then(|reached| reached.position).or(self.position.take());
                }
            }
        }
    }

    /// How far the events have come; `None` before all restored figures are here.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }
}
