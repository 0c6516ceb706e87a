//! What is heard from a server of the agent's own, where it has one: which sessions are open, and what they are doing.
//!
//! A listener speaks the server's protocol as far as hearing takes, and knows no connection. It asks for nothing that
//! changes anything there, and keeps nothing but ids and states.
//! Read next: [`crate::core::register`], which its words go into; the agent's own listener.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::core::register::Register;

/// Where an agent's server is found, and how it is spoken to.
#[derive(Debug)]
pub struct Live {
    /// The key in the settings that switches it on. It is off by default.
    pub key: &'static str,
    /// What the key does, as one sentence without its stop.
    pub doc: &'static str,
    /// What `setup` says before it asks, and asks.
    pub question: &'static str,
    /// What the agent calls the server.
    pub name: &'static str,
    /// Its socket, below a home folder.
    pub socket: &'static str,
    /// A listener to one connection.
    pub listener: fn() -> Box<dyn Listener>,
}

/// One connection's protocol.
pub trait Listener: Debug + Send {
    /// What is said first.
    fn greeting(&self) -> String;

    /// Takes one message that was received at `at`.
    fn hear(&mut self, at: Timestamp, message: &[u8]) -> Heard;

    /// What the server has said so far.
    fn register(&self) -> Register;
}

/// What a message leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// These are to be sent.
    Reply(Vec<String>),
    /// The register says something else.
    News,
    /// The server does not speak this protocol.
    Foreign,
}
