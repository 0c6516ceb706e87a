//! Every length of time and every count that publishing depends on, in one place, each with its reason.
//!
//! The deadlines of single frames (connect, READY, reply) belong to the links' shell; what it reports when one
//! passes is a loss like any other. Read next: [`super::Publisher`].

use std::time::Duration;

/// Discord lets a user change what they do five times in 20 s, over all their programs. One is left to the
/// others, and a second to the time a frame takes.
pub(super) const CHANGES: usize = 4;
/// See [`CHANGES`].
pub(super) const CHANGES_SPAN: Duration = Duration::from_secs(21);

/// Discord answers two handshakes a minute for one application and lets the third wait for as long as the minute lasts.
pub(super) const CONNECTIONS: usize = 2;
/// See [`CONNECTIONS`].
pub(super) const CONNECTIONS_SPAN: Duration = Duration::from_secs(61);

/// An equal card is free for Discord, and it heals a card that Discord lost without saying so.
pub(super) const REASSERT: Duration = Duration::from_secs(300);
/// A bridge loses the card whenever its page reloads, which people do more often than they log in anew.
pub(super) const REASSERT_BRIDGE: Duration = Duration::from_secs(60);

/// The first wait after a connection failed or was lost.
pub(super) const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a connection failed or was lost.
pub(super) const RETRY_LAST: Duration = Duration::from_secs(60);
/// A link that lived this long was a good one: its loss starts the waits over.
pub(super) const PROVEN_AFTER: Duration = Duration::from_secs(30);

/// The first wait after Discord rejected the application id. It also does that while it has no network.
pub(super) const REJECTED_FIRST: Duration = Duration::from_secs(60);
/// The longest wait after Discord rejected the application id.
pub(super) const REJECTED_LAST: Duration = Duration::from_secs(600);

/// The first wait after Discord refused a payload for a reason of its own.
pub(super) const REFUSED_FIRST: Duration = Duration::from_secs(5);
/// The longest wait after Discord refused a payload for a reason of its own.
pub(super) const REFUSED_LAST: Duration = Duration::from_secs(60);

/// Discord may take a minute to get ready; from here on the user is told that it is being waited for.
pub(super) const SLOW_READY: Duration = Duration::from_secs(5);

/// How long a link that was told to disconnect may take to say that it did.
pub(super) const CLOSING: Duration = Duration::from_secs(5);
/// How long the end of the program waits for Discord to confirm that the card is gone.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
