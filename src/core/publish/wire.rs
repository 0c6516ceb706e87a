//! The messages between the publisher and the links' shell: commands to a link and events from it.
//!
//! Every [`LinkCommand::Connect`] ends in exactly one [`LinkEvent::Unreachable`] or [`LinkEvent::Lost`], also after a
//! [`LinkCommand::Disconnect`]. After it the endpoint is free again.
//! Read next: [`super::Publisher`].

use std::sync::Arc;

use crate::card::Card;

/// One running Discord client: the path of its socket or the name of its pipe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(pub String);

impl Endpoint {
    /// Standard output, for a dry run.
    pub fn terminal() -> Self {
        Self("terminal".to_owned())
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The content of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<C = Card> {
    /// The whole card.
    Card(Arc<C>),
    /// Name, details, state and timer only: the fallback after Discord refused the whole card.
    Reduced(Arc<C>),
    /// No card.
    Clear,
}

/// A command to a link. The links' shell obeys in order and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCommand<C = Card> {
    /// Open a connection and shake hands.
    Connect {
        /// The endpoint.
        endpoint: Endpoint,
        /// The application to connect as.
        application_id: String,
    },
    /// Send one SET_ACTIVITY.
    Send {
        /// The endpoint.
        endpoint: Endpoint,
        /// Returned with the answer.
        nonce: u64,
        /// The content.
        payload: Payload<C>,
    },
    /// Close the connection, with a goodbye if that takes no time.
    Disconnect {
        /// The endpoint.
        endpoint: Endpoint,
    },
}

/// An event on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The connection was refused: no process listens there. It does not count against Discord's limit.
    Unreachable {
        /// The system's message.
        reason: String,
    },
    /// Another process listens there than at the last connection: a restarted client counts anew. Comes before
    /// [`LinkEvent::Opened`], or without a connection.
    Restarted,
    /// The handshake was sent; from here the connection counts against Discord's two a minute.
    Opened,
    /// Discord is ready for cards.
    Ready {
        /// The client's display name.
        client: String,
        /// Whether this is an arRPC bridge (Vesktop, Legcord), which forgets cards when its page reloads.
        bridge: bool,
    },
    /// Discord accepted the payload with this nonce.
    Acked {
        /// The nonce of the command.
        nonce: u64,
    },
    /// Discord answered the payload with an error; the connection stays open.
    Refused {
        /// The nonce of the command.
        nonce: u64,
        /// Discord's error code.
        code: i64,
        /// Discord's own message.
        message: String,
    },
    /// The connection is gone.
    Lost(Loss),
}

/// Why a connection was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// Discord closed it with a code.
    Closed {
        /// Discord's close code; see [`super::codes`].
        code: i64,
        /// Discord's own message.
        message: String,
    },
    /// The other end closed the connection.
    Eof,
    /// A deadline passed; the text names it.
    Timeout(&'static str),
    /// Any other cause: an I/O error or an invalid frame.
    Broken(String),
}
