//! What the fake keeps of everything that reached it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// Everything that has reached the fake, in order. Times count from any origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Every frame received.
    pub(crate) frames: Vec<Received>,
    /// Every connection that was accepted.
    pub(crate) connections: Vec<Connection>,
    /// Every activity that was accepted; `None` is a clear.
    pub(crate) activities: Vec<Option<Value>>,
    /// What each open connection shows.
    pub(crate) presences: BTreeMap<usize, Value>,
    /// When what is shown changed visibly.
    pub(crate) changes: Vec<Duration>,
}

/// One frame received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// When it was complete.
    pub(crate) at: Duration,
    /// On which connection, an index into [`Seen::connections`].
    pub(crate) connection: usize,
    /// Its opcode.
    pub(crate) opcode: u32,
    /// Its body; a string where it is not JSON.
    pub(crate) body: Value,
    /// Whether it came before READY and was dropped.
    pub(crate) dropped: bool,
}

/// One connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// When it was accepted.
    pub(crate) opened: Duration,
    /// When the handshake came: from here it counts against the two a minute.
    pub(crate) shook_hands: Option<Duration>,
    /// As whom.
    pub(crate) client_id: Option<String>,
    /// When READY was sent.
    pub(crate) ready: Option<Duration>,
    /// When it ended, and why.
    pub(crate) ended: Option<(Duration, String)>,
}

impl Seen {
    /// What is shown to friends: that of the newest connection that shows anything.
    pub(crate) fn presence(&self) -> Option<&Value> {
        self.presences.values().next_back()
    }

    /// The payloads of all SET_ACTIVITY commands, accepted or not; `Null` is a clear.
    pub(crate) fn payloads(&self) -> Vec<&Value> {
        let commands = self.frames.iter().filter(|frame| frame.body["cmd"] == "SET_ACTIVITY");
        commands.map(|frame| &frame.body["args"]["activity"]).collect()
    }
}

/// The most of `times` in any stretch of `window`.
pub(super) fn most_within(window: Duration, mut times: Vec<Duration>) -> usize {
    times.sort();
    let counts = times
        .iter()
        .enumerate()
        .map(|(first, start)| times[first..].iter().take_while(|time| **time < *start + window).count());
    counts.max().unwrap_or(0)
}
