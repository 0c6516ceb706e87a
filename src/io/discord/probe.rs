//! Tries an application id: one handshake with a running Discord, no card.
//!
//! For `setup`, and only while no daemon runs: each handshake counts against the two a minute that Discord allows.

use std::time::Duration;

use tokio::time::timeout;

use super::Links;
use super::endpoints::FoundClient;
use crate::core::publish::codes::INVALID_CLIENT_ID;
use crate::core::publish::{LinkCommand, LinkEvent, Loss};

/// How long Discord may take; it looks the id up over the network.
const ANSWER: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// Discord knows it.
    Accepted {
        /// Which Discord.
        client: String,
    },
    /// Discord does not, or could not look it up.
    Refused {
        /// Discord's own words.
        message: String,
    },
    /// Somebody listens, and gave no answer that says anything.
    NoAnswer,
    /// Nobody listens.
    Nobody,
}

/// Tries `application_id` with the first of `clients` that listens.
pub async fn try_application_id(clients: Vec<FoundClient>, application_id: &str) -> Tried {
    let mut links = Links::default();
    let mut tried = Tried::Nobody;
    for FoundClient { endpoint, .. } in clients {
        links.obey(LinkCommand::Connect { endpoint, application_id: application_id.to_owned() });
        tried = timeout(ANSWER, answer(&mut links)).await.unwrap_or(Tried::NoAnswer);
        if tried != Tried::Nobody {
            break;
        }
    }
    links.close_all(FAREWELL).await;
    tried
}

async fn answer(links: &mut Links) -> Tried {
    loop {
        return match links.next().await.1 {
            LinkEvent::Ready { client, .. } => Tried::Accepted { client },
            LinkEvent::Lost(Loss::Closed { code: INVALID_CLIENT_ID, message }) => Tried::Refused { message },
            LinkEvent::Lost(_) => Tried::NoAnswer,
            LinkEvent::Unreachable { .. } => Tried::Nobody,
            LinkEvent::Restarted
            | LinkEvent::Opened
            | LinkEvent::Acked { .. }
            | LinkEvent::Refused { .. } => continue,
        };
    }
}
