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

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// Discord knows it.
    Accepted {
        /// The client's name.
        client: String,
    },
    /// Discord does not know it, or could not look it up.
    Refused {
        /// Discord's text.
        message: String,
    },
    /// A process listens, and gave no answer to the handshake.
    NoAnswer,
    /// No process listens.
    NotRunning,
}

/// Tries `application_id` with the first of `clients` that listens.
pub async fn try_application_id(clients: Vec<FoundClient>, application_id: &str) -> ProbeResult {
    let mut links = Links::default();
    let mut result = ProbeResult::NotRunning;
    for FoundClient { endpoint, .. } in clients {
        links.carry_out(LinkCommand::Connect { endpoint, application_id: application_id.to_owned() });
        result = timeout(ANSWER, answer(&mut links)).await.unwrap_or(ProbeResult::NoAnswer);
        if result != ProbeResult::NotRunning {
            break;
        }
    }
    links.close_all(FAREWELL).await;
    result
}

async fn answer(links: &mut Links) -> ProbeResult {
    loop {
        return match links.next().await.1 {
            LinkEvent::Ready { client, .. } => ProbeResult::Accepted { client },
            LinkEvent::Lost(Loss::Closed { code: INVALID_CLIENT_ID, message }) => {
                ProbeResult::Refused { message }
            }
            LinkEvent::Lost(_) => ProbeResult::NoAnswer,
            LinkEvent::Unreachable { .. } => ProbeResult::NotRunning,
            LinkEvent::Restarted
            | LinkEvent::Opened
            | LinkEvent::Acked { .. }
            | LinkEvent::Refused { .. } => continue,
        };
    }
}
