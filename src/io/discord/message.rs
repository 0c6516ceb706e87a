//! Discord's messages: the content of its frames.
//!
//! Foreign JSON is parsed here. Of READY only the client's name is read; the user in it is not stored.

use serde_json::Value;
use thiserror::Error;

use super::frame::{Frame, Opcode};
use crate::core::names::shortened;

/// The user id in every arRPC's READY.
const ARRPC_USER: &str = "1045800378228281345";

/// The longest text of Discord that is stored, in characters.
const MAX_TEXT: usize = 300;

/// One message from Discord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The handshake is done.
    Ready(ReadyClient),
    /// A command was carried out.
    Done {
        /// The command's nonce.
        nonce: u64,
    },
    /// A command was refused; the connection stays open.
    Refused {
        /// The command's nonce.
        nonce: u64,
        /// Discord's error code.
        code: i64,
        /// Discord's text.
        message: String,
    },
    /// The connection is about to close.
    Close {
        /// Discord's close code.
        code: i64,
        /// Discord's text.
        message: String,
    },
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// Any other message: an event, or an answer without a command.
    Other,
}

/// The client that answered the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyClient {
    /// Whether it is an arRPC bridge, as in Vesktop and Legcord.
    pub bridge: bool,
    /// The client's name by its release channel; `None` for the usual one.
    pub channel: Option<&'static str>,
}

/// A frame that Discord does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnexpectedFrame {
    /// The body is not JSON.
    #[error("a frame that is not JSON")]
    NotJson,
    /// A client's frame.
    #[error("a handshake from the server")]
    Handshake,
}

impl Message {
    /// Reads one frame.
    ///
    /// # Errors
    ///
    /// Discord sends no frame of this kind: the peer is another program.
    pub fn read(frame: Frame) -> Result<Self, UnexpectedFrame> {
        match frame.opcode {
            Opcode::Handshake => Err(UnexpectedFrame::Handshake),
            Opcode::Ping => Ok(Self::Ping(frame.body)),
            Opcode::Pong => Ok(Self::Other),
            Opcode::Close => {
                // The connection closes even if the reason cannot be read.
                let body = serde_json::from_slice(&frame.body).unwrap_or(Value::Null);
                Ok(Self::Close { code: number(&body, "code"), message: shown_text(&body, "message") })
            }
            Opcode::Frame => {
                let body: Value =
                    serde_json::from_slice(&frame.body).map_err(|_| UnexpectedFrame::NotJson)?;
                Ok(Self::of_command(&body))
            }
        }
    }

    fn of_command(body: &Value) -> Self {
        let data = body.get("data").unwrap_or(&Value::Null);
        let nonce = text(body, "nonce").and_then(|nonce| nonce.parse().ok());
        match (text(body, "cmd"), text(body, "evt"), nonce) {
            (Some("DISPATCH"), Some("READY"), _) => Self::Ready(ReadyClient::read(data)),
            (_, Some("ERROR"), Some(nonce)) => {
                Self::Refused { nonce, code: number(data, "code"), message: shown_text(data, "message") }
            }
            (_, None, Some(nonce)) => Self::Done { nonce },
            _ => Self::Other,
        }
    }
}

impl ReadyClient {
    fn read(data: &Value) -> Self {
        let user = data.get("user").unwrap_or(&Value::Null);
        let api = data.get("config").and_then(|config| text(config, "api_endpoint")).unwrap_or_default();
        Self {
            bridge: text(user, "id") == Some(ARRPC_USER) || text(user, "username") == Some("arrpc"),
            channel: match api {
                api if api.contains("canary.") => Some("Discord Canary"),
                api if api.contains("ptb.") => Some("Discord PTB"),
                _ => None,
            },
        }
    }
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

fn number(object: &Value, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or_default()
}

/// A text for people: on one line and of limited length.
fn shown_text(object: &Value, key: &str) -> String {
    shortened(text(object, key).unwrap_or_default(), MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(opcode: Opcode, body: &str, expected: Result<Message, UnexpectedFrame>) {
        assert_eq!(Message::read(Frame { opcode, body: body.as_bytes().to_vec() }), expected, "{body}");
    }

    #[test]
    fn ready_names_the_client() {
        let plain = ReadyClient { bridge: false, channel: None };
        let user = r#"{"id":"53908232506183680","username":"someone"}"#;
        for (config, channel) in [
            (r#"{"api_endpoint":"//discord.com/api","environment":"production"}"#, None),
            (r#"{"api_endpoint":"//canary.discord.com/api"}"#, Some("Discord Canary")),
            (r#"{"api_endpoint":"//ptb.discord.com/api"}"#, Some("Discord PTB")),
            ("null", None),
        ] {
            let ready = format!(
                r#"{{"cmd":"DISPATCH","evt":"READY","data":{{"v":1,"config":{config},"user":{user}}},"nonce":null}}"#
            );
            check(Opcode::Frame, &ready, Ok(Message::Ready(ReadyClient { channel, ..plain })));
        }
        check(Opcode::Frame, r#"{"cmd":"DISPATCH","evt":"READY"}"#, Ok(Message::Ready(plain)));
        check(
            Opcode::Frame,
            r#"{"cmd":"DISPATCH","evt":"READY","data":{"user":{"id":"1045800378228281345","username":"arrpc"}}}"#,
            Ok(Message::Ready(ReadyClient { bridge: true, channel: None })),
        );
    }

    #[test]
    fn answers_are_matched_by_our_nonces_alone() {
        let done = Ok(Message::Done { nonce: 7 });
        check(Opcode::Frame, r#"{"cmd":"SET_ACTIVITY","data":null,"evt":null,"nonce":"7"}"#, done);
        for foreign in [
            r#"{"cmd":"SET_ACTIVITY","data":null,"evt":null,"nonce":null}"#,
            r#"{"cmd":"SET_ACTIVITY","data":null,"evt":null,"nonce":"b2d5"}"#,
            r#"{"cmd":"DISPATCH","data":{},"evt":"CURRENT_USER_UPDATE","nonce":"7"}"#,
            r#"{"evt":"ERROR","data":{"code":4000}}"#,
            "[]",
            "3",
        ] {
            check(Opcode::Frame, foreign, Ok(Message::Other));
        }
    }

    #[test]
    fn errors_and_closes_differ() {
        check(
            Opcode::Frame,
            r#"{"cmd":"SET_ACTIVITY","evt":"ERROR","data":{"code":4000,"message":"child \"activity\" fails"},"nonce":"7"}"#,
            Ok(Message::Refused { nonce: 7, code: 4000, message: "child \"activity\" fails".to_owned() }),
        );
        check(
            Opcode::Close,
            r#"{"code":4000,"message":"Invalid\nClient ID"}"#,
            Ok(Message::Close { code: 4000, message: "Invalid Client ID".to_owned() }),
        );
        check(Opcode::Close, "", Ok(Message::Close { code: 0, message: String::new() }));
    }

    #[test]
    fn frames_that_discord_does_not_send_are_errors() {
        check(Opcode::Frame, "hello", Err(UnexpectedFrame::NotJson));
        check(Opcode::Handshake, "{}", Err(UnexpectedFrame::Handshake));
        check(Opcode::Ping, "hello", Ok(Message::Ping(b"hello".to_vec())));
        check(Opcode::Pong, "hello", Ok(Message::Other));
    }

    proptest! {
        #[test]
        fn texts_are_one_line_of_limited_length(words in "(\\PC|\\p{C}){0,400}") {
            let body = serde_json::json!({ "code": 1, "message": words }).to_string().into_bytes();
            let read = Message::read(Frame { opcode: Opcode::Close, body });
            let Ok(Message::Close { code: 1, message }) = read else { return Err(TestCaseError::fail("")) };
            prop_assert!(!message.contains(char::is_control) && message.chars().count() <= MAX_TEXT);
            prop_assert!(message.is_empty() == words.is_empty());
        }
    }
}
