//! Discord's codes: what each says in a sentence, and what the user can do about it.

/// Discord closes with it for an application id that it does not know or could not look up, so it does not prove that the
/// id is wrong.
pub const INVALID_CLIENT_ID: i64 = 4000;

/// Discord answers with it to a payload that breaks one of its rules; trying the same again is of no use.
pub(super) const INVALID_PAYLOAD: i64 = 4000;

/// What to do about [`INVALID_CLIENT_ID`].
pub const REJECTED_HINT: &str = "compare discord.application_id with the one in Discord's developer portal; if they are \
                                 equal, Discord could not look it up (it needs the network), and waiting is enough";

/// What to do about a card that was refused.
pub const REFUSED_HINT: &str =
    "look at what Discord names in [card] and discord.large_image; see `agent-presence preview`";

/// [`INVALID_CLIENT_ID`] in a sentence.
pub(super) fn rejected(message: &str) -> String {
    format!("the application id is wrong, or Discord could not look it up ({message})")
}

/// An error answer in a sentence.
pub(super) fn refused(code: i64, message: &str) -> String {
    format!("Discord refused it ({code}: {message})")
}
