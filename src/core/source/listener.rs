//! Reads from an agent's own server which sessions are open and what they are doing.
//!
//! A listener implements the receiving part of the server's protocol, without the connection. It sends no request
//! that changes anything on the server, and keeps only ids and states.
//! Read next: [`crate::register`], which uses the result; the agent's own listener.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::register::Register;

/// The address of an agent's server, and its protocol.
#[derive(Debug)]
pub struct Live {
    /// The key in the settings that enables it. It is off by default.
    pub key: &'static str,
    /// The effect of the key, as one sentence without a full stop.
    pub doc: &'static str,
    /// The question in `setup`, with its explanation.
    pub question: &'static str,
    /// The agent's name for the server.
    pub name: &'static str,
    /// The path of its socket, below a home folder.
    pub socket: &'static str,
    /// Makes a listener for one connection.
    pub listener: fn() -> Box<dyn Listener>,
}

/// The protocol of one connection.
pub trait Listener: Debug + Send {
    /// The first message to the server.
    fn greeting(&self) -> String;

    /// Takes one message that was received at `at`.
    fn hear(&mut self, at: Timestamp, message: &[u8]) -> Heard;

    /// The state that the server has reported so far.
    fn register(&self) -> Register;
}

/// What to do after a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Send these messages.
    Reply(Vec<String>),
    /// The register has changed.
    News,
    /// The server does not use this protocol.
    Foreign,
}
