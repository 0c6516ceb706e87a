//! What a link reports to the user: its present state, and the changes that are worth one line in the log.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codes;
use super::wire::{Endpoint, Loss};
use crate::names::shortened;

/// One entry of `links` in `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The path of the socket or the name of the pipe.
    pub endpoint: String,
    /// The client's display name.
    pub client: String,
    /// Where the connection stands.
    pub state: LinkState,
    /// When Discord last confirmed a payload.
    pub last_ack_at: Option<Timestamp>,
    /// The last error, until it is known to be over.
    pub last_error: Option<String>,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Discord takes cards.
    Connected,
    /// A connection attempt is in progress.
    Connecting,
    /// Discord is slow to get ready, or the next attempt is scheduled.
    Waiting,
    /// Discord did not accept the application id.
    Rejected,
}

impl fmt::Display for LinkState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Rejected => "rejected",
        })
    }
}

/// A change that is worth one line in the log. Each is reported once, even if its cause repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Discord is ready for cards.
    Connected {
        /// The endpoint.
        endpoint: Endpoint,
        /// The client's display name.
        client: String,
    },
    /// No process listens there; the attempts continue.
    Unreachable {
        /// The endpoint.
        endpoint: Endpoint,
        /// The system's message.
        reason: String,
    },
    /// A connection was lost; it will be made again.
    Lost {
        /// The endpoint.
        endpoint: Endpoint,
        /// The reason, with Discord's own message if it sent one.
        reason: String,
    },
    /// Discord did not accept the application id.
    Rejected {
        /// The endpoint.
        endpoint: Endpoint,
        /// Discord's own message.
        message: String,
    },
    /// Discord refused a card; the earlier one is still shown.
    Refused {
        /// The endpoint.
        endpoint: Endpoint,
        /// Discord's error code.
        code: i64,
        /// Discord's own message.
        message: String,
    },
}

impl Notice {
    /// What the user can do, for a line that begins with `hint: `.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Rejected { .. } => Some(codes::REJECTED_HINT),
            Self::Refused { .. } => Some(codes::REFUSED_HINT),
            Self::Connected { .. } | Self::Unreachable { .. } | Self::Lost { .. } => None,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { endpoint, client } => write!(formatter, "connected to {client} at {endpoint}"),
            Self::Unreachable { endpoint, reason } => {
                write!(formatter, "could not connect to Discord at {endpoint}: {reason}")
            }
            Self::Lost { endpoint, reason } => {
                write!(formatter, "lost the connection to Discord at {endpoint}: {reason}")
            }
            Self::Rejected { endpoint, message } => {
                write!(formatter, "could not sign in to Discord at {endpoint}: {}", codes::rejected(message))
            }
            Self::Refused { endpoint, code, message } => {
                write!(
                    formatter,
                    "could not show the card in Discord at {endpoint}: {}",
                    codes::refused(*code, message)
                )
            }
        }
    }
}

/// A lost connection as a sentence.
pub(super) fn lost(loss: &Loss) -> String {
    match loss {
        Loss::Closed { code, message } => format!("Discord closed it ({code}: {})", one_line(message)),
        Loss::Eof => "Discord went away".to_owned(),
        Loss::Timeout(what) => format!("no answer in time ({what})"),
        Loss::Broken(what) => one_line(what),
    }
}

/// Text from the other end on one line: the owner of the socket chose it.
pub(super) fn one_line(words: &str) -> String {
    shortened(words, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_names_both_causes_and_what_to_do() {
        let notice = Notice::Rejected {
            endpoint: Endpoint("/run/user/1000/discord-ipc-0".to_owned()),
            message: one_line("Invalid\nClient ID"),
        };
        assert_eq!(
            notice.to_string(),
            "could not sign in to Discord at /run/user/1000/discord-ipc-0: the application id is wrong, \
             or Discord could not look it up (Invalid Client ID)"
        );
        assert!(notice.hint().unwrap().contains("discord.application_id"));
    }

    #[test]
    fn text_from_discord_is_cut() {
        assert_eq!(one_line(&"é\u{7}".repeat(1000)).chars().count(), 300);
    }
}
