//! The deadlines of a link: every wait in this folder ends.

use std::time::Duration;

/// The deadlines of one link. [`Deadlines::DISCORD`] is what the daemon uses; tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For connecting, with its second try.
    pub connect: Duration,
    /// Between a refused connection and the one further try.
    pub second_try: Duration,
    /// From the handshake to READY.
    pub ready: Duration,
    /// From a payload to its answer.
    pub reply: Duration,
    /// For the system to accept one frame.
    pub write: Duration,
    /// For the close frame of a link that is being closed.
    pub farewell: Duration,
}

impl Deadlines {
    /// The deadlines for Discord's behaviour.
    pub const DISCORD: Self = Self {
        // A local socket answers in microseconds; only a system under heavy load needs more.
        connect: Duration::from_secs(2),
        // A socket file appears with `bind`, before `listen`: a watch may report it too early.
        second_try: Duration::from_millis(50),
        // Discord holds back READY for up to 60 s when a client id has used up its two connections a minute.
        // Giving up earlier would only spend the next one.
        ready: Duration::from_secs(65),
        // Discord answers after it has looked up the images over the network.
        reply: Duration::from_secs(10),
        // The socket's buffer holds a hundred frames, so a write that waits means a peer that has stopped reading.
        write: Duration::from_secs(5),
        // Discord also notices the closed socket, so this wait is too short to be felt.
        farewell: Duration::from_millis(200),
    };
}
