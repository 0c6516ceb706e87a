//! What a line of a message says of its usage.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::entry::{Body, Entry, Raw, decode, flag, is, object, short, text};
use crate::core::source::value::{field, number};
use crate::core::usage::Tokens;

/// The model of lines that Claude Code writes itself.
pub(super) const SYNTHETIC: &str = "<synthetic>";

/// One message of a file: enough to know it again in a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Identifies the message.
    pub message: u128,
    /// When a line of it was written.
    pub at: Timestamp,
}

/// The message that an assistant's line belongs to: its own id, else its request's, else the line's. A side question
/// repeats messages under requests of its own, so the message's id goes first.
pub(super) fn message_id(entry: &Entry<'_>, body: &Body<'_>) -> Option<u128> {
    let id = text(body.id).or_else(|| text(entry.request_id)).or_else(|| text(entry.uuid))?;
    Some(fingerprint(id.as_bytes()))
}

/// The usage in the types that Claude Code gives it; anything else is read with more patience.
#[derive(Deserialize)]
struct Usual {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation: Option<UsualParts>,
}

#[derive(Deserialize)]
struct UsualParts {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

impl Usual {
    fn tokens(self) -> Tokens {
        let parts = self.cache_creation.map_or(0, |parts| {
            let (short, long) = (parts.ephemeral_5m_input_tokens, parts.ephemeral_1h_input_tokens);
            short.unwrap_or(0).saturating_add(long.unwrap_or(0))
        });
        Tokens {
            input: self.input_tokens.unwrap_or(0),
            cached_input: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: self.cache_creation_input_tokens.unwrap_or(0).max(parts),
            output: self.output_tokens.unwrap_or(0),
            reasoning: 0,
        }
    }
}

/// The usage on a line; `None` where there is none, or nothing but zeros.
pub(super) fn tokens(usage: Raw<'_>) -> Option<Tokens> {
    if let Some(usual) = object::<Usual>(usage) {
        let tokens = usual.tokens();
        return (!tokens.is_zero()).then_some(tokens);
    }
    let usage = decode(usage).filter(Value::is_object)?;
    let get = |value: &Value, name: &str| field(value, name).and_then(number).unwrap_or(0);
    // Until 2.1.152 the sum could be missing where its parts were there.
    let parts = field(&usage, "cache_creation").map_or(0, |parts| {
        get(parts, "ephemeral_5m_input_tokens").saturating_add(get(parts, "ephemeral_1h_input_tokens"))
    });
    let tokens = Tokens {
        input: get(&usage, "input_tokens"),
        cached_input: get(&usage, "cache_read_input_tokens"),
        cache_write: get(&usage, "cache_creation_input_tokens").max(parts),
        output: get(&usage, "output_tokens"),
        reasoning: 0,
    };
    (!tokens.is_zero()).then_some(tokens)
}

/// The row of an assistant's line that counts.
pub(super) fn row(line: &[u8]) -> Option<Row> {
    memchr::memmem::find(line, b"\"assistant\"")?;
    let mut room = Vec::new();
    let entry = Entry::read(short(line, &mut room))?;
    if !is(entry.kind, "assistant") {
        return None;
    }
    let body = entry.message?;
    if is(body.model, SYNTHETIC) {
        return None;
    }
    tokens(body.usage)?;
    Some(Row { message: message_id(&entry, &body)?, at: entry.at().unwrap_or(Timestamp::UNIX_EPOCH) })
}

/// Whether lines of this version are known to hold less output than was used. From 2.1.12 the value at the start of the
/// stream was never corrected, until 2.1.42 not always; helpers' lines have it still wherever their message is not marked
/// as finished.
pub(super) fn at_least(entry: &Entry<'_>, body: &Body<'_>) -> bool {
    let Some(version) = text(entry.version).and_then(|version| numbers(&version)) else { return false };
    let helper = flag(entry.is_sidechain) && entry.agent_id.is_some();
    if version < [2, 1, 12] {
        return false;
    }
    version <= [2, 1, 42] || helper && body.stop_reason.is_none()
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse::<u32>());
    Some([parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?])
}

/// FNV-1a: 16 bytes instead of 30 and of an allocation. Two of a million messages meet with a chance of 1 in 10^27.
pub(super) fn fingerprint(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_lose_output() {
        for (version, main, helper, finished_helper) in [
            ("1.0.17", false, false, false),
            ("2.0.76", false, false, false),
            ("2.1.7", false, false, false),
            ("2.1.12", true, true, true),
            ("2.1.42", true, true, true),
            ("2.1.98", false, true, false),
            ("2.1.286", false, true, false),
            ("3.0.0-beta.1", false, true, false),
            ("next", false, false, false),
        ] {
            let written = format!("\"{version}\"");
            let version = serde_json::value::RawValue::from_string(written).unwrap();
            let [yes, id, stop] = ["true", "\"a1\"", "\"end_turn\""]
                .map(|text| serde_json::value::RawValue::from_string(text.to_owned()).unwrap());
            let entry = Entry { version: Some(&version), ..Entry::default() };
            assert_eq!(at_least(&entry, &Body::default()), main, "{version}");
            let entry = Entry { is_sidechain: Some(&yes), agent_id: Some(&id), ..entry };
            assert_eq!(at_least(&entry, &Body::default()), helper, "{version}");
            let body = Body { stop_reason: Some(&stop), ..Body::default() };
            assert_eq!(at_least(&entry, &body), finished_helper, "{version}");
        }
    }
}
