//! Discord's error codes: a sentence for each, and what the user can do about it.

/// Discord's close code for an application id that it does not know or could not look up. So it does not prove that
/// the id is wrong.
pub const INVALID_CLIENT_ID: i64 = 4000;

/// Discord's error code for a payload that breaks one of its rules; a retry of the same payload fails again.
pub(super) const INVALID_PAYLOAD: i64 = 4000;

/// The hint for [`INVALID_CLIENT_ID`].
pub const REJECTED_HINT: &str = "compare discord.application_id with the one in Discord's developer portal; if they are \
                                 equal, Discord could not look it up (it needs the network), and waiting is enough";

/// The hint for a refused card.
pub const REFUSED_HINT: &str =
    "look at what Discord names in [card] and discord.large_image; see `agent-presence preview`";

/// [`INVALID_CLIENT_ID`] as a sentence.
pub(super) fn rejected(message: &str) -> String {
    format!("the application id is wrong, or Discord could not look it up ({message})")
}

/// An error answer as a sentence.
pub(super) fn refused(code: i64, message: &str) -> String {
    format!("Discord refused it ({code}: {message})")
}
