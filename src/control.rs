//! The control channel: how other processes of the same user talk to the running daemon.
//!
//! One line of JSON each way, `protocol` and `version` first:
//!
//! ```text
//! > {"protocol":1,"version":"0.1.0","verb":"pause","until":"2026-11-20T12:00:00Z"}
//! < {"protocol":1,"version":"0.1.0","ok":true}
//! < {"protocol":1,"version":"0.1.0","ok":false,"error":{"code":"unknown_verb","message":"…"}}
//! ```
//!
//! Fields are added, never renamed; unknown ones are ignored. Two verbs keep their form for every `protocol`, so that
//! any version can take over from any other, or end it:
//!
//! - `stop`, without further fields: `ok`, then the card is cleared and the daemon ends.
//! - `handover`, with `newcomer` (a [`LockRecord`]) and `replace`: `ok` and `handover`, or an error. The newcomer then
//!   sends one line with the verb `take` over the same connection; only then the holder ends and releases the lock. If
//!   the newcomer dies before that, nothing changes.
//!
//! `subscribe` is answered like any verb; then each event follows on a line of its own, as `event`: first the restored
//! usage of every live session, then every new event. `stream` and `seq` are the position of a reader of that line. A
//! reader that connects again, also to a daemon that took over, sends them as `after`; it then gets exactly the events
//! that it missed, and nothing restored, as long as they are stored.
//! Read next: [`transport`], the only file that knows sockets and pipes; [`server`]; [`client`].

pub mod client;
mod handover;
pub mod log;
pub mod server;
pub mod subscription;
pub mod tap;
pub mod transport;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::event_log::Position;
use crate::core::report::{Event, StatusReport};
use crate::core::takeover::{LockRecord, Refusal};

pub use handover::Handover;

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The longest request, in bytes; real ones are far shorter.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// A request to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The client's [`PROTOCOL`].
    pub protocol: u32,
    /// The client's program version.
    pub version: String,
    /// The request itself.
    #[serde(flatten)]
    pub verb: Verb,
}

/// A request's verb with its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub enum Verb {
    /// The status report.
    Status,
    /// Every event from now on.
    Subscribe {
        /// The client's last position; absent if it connects for the first time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Position>,
        /// Whether the client is another machine, which gets everything about the sessions of this one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        far: bool,
    },
    /// Hand over to the client.
    Handover {
        /// The client's process.
        newcomer: Box<LockRecord>,
        /// Whether it takes over from a newer version as well.
        #[serde(default)]
        replace: bool,
    },
    /// The second line of a handover: the newcomer has received it.
    Take,
    /// Clear the card and end.
    Stop,
    /// Clear the card and show none.
    Pause {
        /// Until when; absent: until `resume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Show cards again.
    Resume,
    /// Receive the usage of an agent's output; see [`tap`].
    Tap,
    /// A verb of another version.
    #[serde(other)]
    Unknown,
}

impl Request {
    /// A request of this program version.
    pub fn new(verb: Verb) -> Self {
        Self { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned(), verb }
    }

    /// Parses one line.
    ///
    /// # Errors
    /// The error to answer.
    pub fn parse(line: &[u8]) -> Result<Self, ErrorReport> {
        /// The fields of every request of every version.
        #[derive(Deserialize)]
        struct Head {
            protocol: u32,
            verb: String,
        }

        let malformed = |error: serde_json::Error| {
            ErrorReport::new(ErrorCode::Malformed, format!("could not read the request: {error}"))
        };
        let head: Head = serde_json::from_slice(line).map_err(malformed)?;
        if head.protocol != PROTOCOL && !matches!(head.verb.as_str(), "handover" | "take" | "stop") {
            let message = format!("unknown protocol {}; this version has {PROTOCOL}", head.protocol);
            return Err(ErrorReport::new(ErrorCode::UnknownProtocol, message));
        }
        let request: Self = serde_json::from_slice(line).map_err(malformed)?;
        match request.verb {
            Verb::Unknown => Err(ErrorReport::new(ErrorCode::UnknownVerb, "unknown verb")),
            _ => Ok(request),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// The daemon's [`PROTOCOL`].
    pub protocol: u32,
    /// The daemon's program version.
    pub version: String,
    /// Whether the request is done, or will be.
    pub ok: bool,
    /// The error, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// For `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<StatusReport>>,
    /// For `handover`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Box<Handover>>,
    /// For `pause`: until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
    /// For `subscribe`: the position where the events begin, if no restored ones come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// For `subscribe`: the event stream of the positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

impl Reply {
    /// A reply without an error.
    pub fn done() -> Self {
        Self {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ok: true,
            error: None,
            status: None,
            handover: None,
            paused_until: None,
            position: None,
            stream: None,
        }
    }

    /// A reply with an error.
    pub fn failed(error: ErrorReport) -> Self {
        Self { ok: false, error: Some(error), ..Self::done() }
    }
}

/// An error of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl ErrorReport {
    /// An error with a sentence for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The error for a refused handover.
    pub fn of(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::StartedLater => (ErrorCode::StartedLater, "this instance started later"),
            Refusal::NewerVersion => (ErrorCode::NewerVersion, "this instance is of a newer version"),
            Refusal::Busy => (ErrorCode::Busy, "this instance is ending or handing over already"),
            Refusal::Other => (ErrorCode::Other, "this instance does not hand over"),
        };
        Self::new(code, message)
    }
}

/// The kind of an error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The line is not a request.
    Malformed,
    /// The line is longer than [`LONGEST_REQUEST`].
    TooLong,
    /// The verb is unknown.
    UnknownVerb,
    /// The protocol is unknown.
    UnknownProtocol,
    /// The daemon is ending or handing over, or has too many clients.
    Busy,
    /// The daemon started later than the one that wants to take over.
    StartedLater,
    /// The daemon is of a newer version than the one that wants to take over.
    NewerVersion,
    /// A kind that this version does not know.
    #[serde(other)]
    Other,
}

impl ErrorCode {
    /// The refusal of a handover with this error.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::StartedLater => Refusal::StartedLater,
            Self::NewerVersion => Refusal::NewerVersion,
            Self::Busy => Refusal::Busy,
            _ => Refusal::Other,
        }
    }
}

/// One event for a subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventMessage<E = Event> {
    /// The daemon's [`PROTOCOL`].
    pub protocol: u32,
    /// The daemon's program version.
    pub version: String,
    /// The position after this event; absent for restored figures except the last one.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The event.
    pub event: E,
}

impl<E> EventMessage<E> {
    /// An event of this program version.
    pub fn new(event: E, position: Option<Position>) -> Self {
        Self { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned(), position, event }
    }
}

/// A message as one line of JSON, with its line break.
pub(crate) fn line<T: Serialize>(message: &T) -> Vec<u8> {
    // All keys are strings and all numbers are finite, so this cannot fail.
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::publish::Budget;

    fn code(line: &str) -> ErrorCode {
        Request::parse(line.as_bytes()).unwrap_err().code
    }

    #[test]
    fn protocol_and_version_come_first() {
        let start = format!("{{\"protocol\":1,\"version\":\"{}\",", env!("CARGO_PKG_VERSION"));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(line(&Request::new(Verb::Stop))), format!("{start}\"verb\":\"stop\"}}\n"));
        assert_eq!(text(line(&Reply::done())), format!("{start}\"ok\":true}}\n"));
        let refused = Reply::failed(ErrorReport::of(Refusal::StartedLater));
        let rest = "\"ok\":false,\"error\":{\"code\":\"started_later\",\"message\":\"this instance started later\"}}\n";
        assert_eq!(text(line(&refused)), format!("{start}{rest}"));
        assert!(text(line(&EventMessage::new(1, None))).starts_with(&start));
    }

    #[test]
    fn every_verb_is_parsed_as_it_is_written() {
        let until = "2026-11-20T12:00:00Z".parse().unwrap();
        for verb in [
            Verb::Status,
            Verb::Subscribe { after: None, far: false },
            Verb::Subscribe { after: None, far: true },
            Verb::Subscribe { after: Some(Position { stream: "s".to_owned(), seq: 7 }), far: false },
            Verb::Handover { newcomer: Box::new(crate::io::instance::own_record()), replace: true },
            Verb::Take,
            Verb::Stop,
            Verb::Pause { until: None },
            Verb::Pause { until: Some(until) },
            Verb::Resume,
            Verb::Tap,
        ] {
            let request = Request::new(verb);
            assert_eq!(Request::parse(&line(&request)), Ok(request));
        }
    }

    #[test]
    fn a_line_that_is_not_a_request_gets_an_error_code() {
        assert_eq!(code(""), ErrorCode::Malformed);
        assert_eq!(code("[]"), ErrorCode::Malformed);
        assert_eq!(code("{\"verb\":\"status\"}"), ErrorCode::Malformed);
        assert_eq!(code(r#"{"protocol":1,"version":"9","verb":"dance"}"#), ErrorCode::UnknownVerb);
        assert_eq!(code(r#"{"protocol":1,"version":"9","verb":"handover"}"#), ErrorCode::Malformed);
        assert_eq!(code(r#"{"protocol":2,"version":"9","verb":"status"}"#), ErrorCode::UnknownProtocol);
        assert_eq!(
            code(r#"{"protocol":1,"version":"9","verb":"pause","until":"soon"}"#),
            ErrorCode::Malformed
        );
    }

    /// Other versions send these exact bytes, so they stay readable.
    #[test]
    fn handover_and_stop_keep_their_form() {
        let stop = Request::parse(br#"{"protocol":7,"version":"9.0.0","verb":"stop","new":[1]}"#).unwrap();
        assert_eq!(stop.verb, Verb::Stop);
        let handover =
            br#"{"protocol":7,"version":"9.0.0","verb":"handover","newcomer":{"pid":1,"start_time":2,
            "exe":"/x","uid":3,"boot_id":"b","version":"9.0.0","token":"t","new":null}}"#;
        let Verb::Handover { newcomer, replace: false } = Request::parse(handover).unwrap().verb else {
            panic!("not understood")
        };
        assert_eq!((newcomer.pid, newcomer.start_time), (1, Some(2)));

        let reply = br#"{"protocol":7,"version":"9.0.0","ok":true,"handover":{"pid":1,"token":"t"}}"#;
        let reply: Reply = serde_json::from_slice(reply).unwrap();
        assert_eq!(reply.handover.unwrap().budget, Budget::default());
        let reply = br#"{"protocol":7,"version":"9","ok":false,"error":{"code":"of_tomorrow","message":""}}"#;
        let reply: Reply = serde_json::from_slice(reply).unwrap();
        assert_eq!(reply.error.unwrap().code, ErrorCode::Other);
    }
}
