//! The words between the publisher and the links' shell: what a link is to do, and what happened on it.
//!
//! Every [`LinkCommand::Connect`] ends in exactly one [`LinkEvent::Unreachable`] or [`LinkEvent::Lost`], also
//! after a [`LinkCommand::Disconnect`]: that is how the publisher knows that the endpoint is free again.
//! Read next: [`super::Publisher`].

use std::sync::Arc;

use crate::core::card::Card;

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

/// What goes over a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<C = Card> {
    /// The whole card.
    Card(Arc<C>),
    /// Name, details, state and timer alone: what is left to try after Discord refused the whole card.
    Reduced(Arc<C>),
    /// No card.
    Clear,
}

/// What a link is to do. The links' shell obeys in order; it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCommand<C = Card> {
    /// Open a connection and shake hands.
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// As whom.
        application_id: String,
    },
    /// Send one SET_ACTIVITY.
    Send {
        /// Where.
        endpoint: Endpoint,
        /// Comes back with the answer.
        nonce: u64,
        /// What.
        payload: Payload<C>,
    },
    /// Close the connection, politely where that costs nothing.
    Disconnect {
        /// Where.
        endpoint: Endpoint,
    },
}

/// What happened on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The connection was refused: no process listens there. Costs Discord nothing.
    Unreachable {
        /// The system's words.
        reason: String,
    },
    /// Another process listens there than at the last connection: a client that was started again counts anew. Comes
    /// before [`LinkEvent::Opened`], or without a connection.
    Restarted,
    /// The handshake went out; from here the connection counts against Discord's two a minute.
    Opened,
    /// Discord is ready for cards.
    Ready {
        /// The client's name for people.
        client: String,
        /// Whether this is an arRPC bridge (Vesktop, Legcord), which forgets cards when its page reloads.
        bridge: bool,
    },
    /// Discord took the payload with this nonce.
    Acked {
        /// As sent.
        nonce: u64,
    },
    /// Discord answered the payload with an error; the connection stays open.
    Refused {
        /// As sent.
        nonce: u64,
        /// Discord's error code.
        code: i64,
        /// Discord's own words.
        message: String,
    },
    /// The connection is gone.
    Lost(Loss),
}

/// Why a connection is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// Discord closed it and said why.
    Closed {
        /// Discord's close code; see [`super::codes`].
        code: i64,
        /// Discord's own words.
        message: String,
    },
    /// The other end went away.
    Eof,
    /// A deadline passed; the word says which.
    Timeout(&'static str),
    /// Anything else: an I/O error, a frame that is none.
    Broken(String),
}
