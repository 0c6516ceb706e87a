//! What a link tells the user: its state now, and the changes of state that deserve one line in the log.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codes;
use super::wire::{Endpoint, Loss};
use crate::core::names::shortened;

/// One entry of `links` in `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The path of the socket or the name of the pipe.
    pub endpoint: String,
    /// The client's name for people.
    pub client: String,
    /// Where the connection stands.
    pub state: LinkState,
    /// When Discord last confirmed a payload.
    pub last_ack_at: Option<Timestamp>,
    /// What went wrong last, until it is known to be over.
    pub last_error: Option<String>,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Discord takes cards.
    Connected,
    /// A connection is being made.
    Connecting,
    /// Discord is slow to get ready, or the next attempt is still to come.
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

/// A change worth one line in the log; each is given once, however often its cause repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Discord is ready for cards.
    Connected {
        /// Where.
        endpoint: Endpoint,
        /// The client's name for people.
        client: String,
    },
    /// Nobody listens there; it is tried again and again.
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// The system's words.
        reason: String,
    },
    /// A connection is gone; another is made in time.
    Lost {
        /// Where.
        endpoint: Endpoint,
        /// What happened, with Discord's own words where it gave any.
        reason: String,
    },
    /// Discord did not accept the application id.
    Rejected {
        /// Where.
        endpoint: Endpoint,
        /// Discord's own words.
        message: String,
    },
    /// Discord refused a card; the one before it is still shown.
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// Discord's error code.
        code: i64,
        /// Discord's own words.
        message: String,
    },
}

impl Notice {
    /// What the user can do about it, for a line that begins with `hint: `.
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

/// A loss in a sentence.
pub(super) fn lost(loss: &Loss) -> String {
    match loss {
        Loss::Closed { code, message } => format!("Discord closed it ({code}: {})", one_line(message)),
        Loss::Eof => "Discord went away".to_owned(),
        Loss::Timeout(what) => format!("no answer in time ({what})"),
        Loss::Broken(what) => one_line(what),
    }
}

/// Text from the other end, made safe for one log line: the owner of the socket chose it.
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
    fn foreign_words_are_cut() {
        assert_eq!(one_line(&"é\u{7}".repeat(1000)).chars().count(), 300);
    }
}
