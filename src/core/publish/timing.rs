//! Every duration and count of publishing, in one place, each with its reason.
//!
//! The deadlines of single frames (connect, READY, reply) are in the links' shell, which reports a passed one as a
//! loss. Read next: [`super::Publisher`].

use std::time::Duration;

/// Discord lets a user change the activity five times in 20 s, over all programs. One change is left to other
/// programs, and a second to the time that a frame takes.
pub(super) const CHANGES: usize = 4;
/// See [`CHANGES`].
pub(super) const CHANGES_SPAN: Duration = Duration::from_secs(21);

/// Discord answers two handshakes a minute for one application; the third waits until the minute ends.
pub(super) const CONNECTIONS: usize = 2;
/// See [`CONNECTIONS`].
pub(super) const CONNECTIONS_SPAN: Duration = Duration::from_secs(61);

/// An equal card costs nothing at Discord, and restores a card that Discord lost without a report.
pub(super) const REASSERT: Duration = Duration::from_secs(300);
/// A bridge loses the card when its page reloads, which happens more often than a new login.
pub(super) const REASSERT_BRIDGE: Duration = Duration::from_secs(60);

/// The first wait after a connection failed or was lost.
pub(super) const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a connection failed or was lost.
pub(super) const RETRY_LAST: Duration = Duration::from_secs(60);
/// A link that was ready this long worked: after its loss the waits start from the first again.
pub(super) const PROVEN_AFTER: Duration = Duration::from_secs(30);

/// The first wait after Discord rejected the application id, which it also does without a network.
pub(super) const REJECTED_FIRST: Duration = Duration::from_secs(60);
/// The longest wait after Discord rejected the application id.
pub(super) const REJECTED_LAST: Duration = Duration::from_secs(600);

/// The first wait after Discord refused a payload for a reason other than its content.
pub(super) const REFUSED_FIRST: Duration = Duration::from_secs(5);
/// The longest wait after Discord refused a payload for a reason other than its content.
pub(super) const REFUSED_LAST: Duration = Duration::from_secs(60);

/// Discord may take a minute to get ready; after this time the user is told about the wait.
pub(super) const SLOW_READY: Duration = Duration::from_secs(5);

/// How long a link may take to confirm its disconnect.
pub(super) const CLOSING: Duration = Duration::from_secs(5);
/// How long the end of the program waits for Discord to confirm the clear.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
