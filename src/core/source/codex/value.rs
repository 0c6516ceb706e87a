//! Codex's own counters and ids.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::core::source::Counters;

pub(super) use crate::core::source::value::{field, number, parse_time, text, timestamp};

/// A text that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// `TokenUsage`; an object without any known field is none.
pub(super) fn counters(value: &Value) -> Option<Counters> {
    let object = value.as_object()?;
    let get = |name: &str| object.get(name).and_then(number);
    let known = ["input_tokens", "output_tokens", "total_tokens"];
    known.iter().any(|name| get(name).is_some()).then(|| Counters {
        input: get("input_tokens").unwrap_or(0),
        cached_input: get("cached_input_tokens").unwrap_or(0),
        cache_write: get("cache_write_input_tokens").unwrap_or(0),
        output: get("output_tokens").unwrap_or(0),
        reasoning: get("reasoning_output_tokens").unwrap_or(0),
        total: get("total_tokens").unwrap_or(0),
    })
}

/// The creation time inside a UUIDv7 (48-bit milliseconds); `None` for any other id.
pub fn uuid7_time(id: &str) -> Option<Timestamp> {
    let bytes = id.as_bytes();
    if bytes.len() != 36 || bytes.get(14) != Some(&b'7') {
        return None;
    }
    let hex: String = id.chars().take(13).filter(|c| *c != '-').collect();
    let millis = u64::from_str_radix(&hex, 16).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid7_tells_its_creation_time() {
        let at = uuid7_time("01a011e2-21e4-71f2-a354-0495db06869c").unwrap();
        assert_eq!(at.to_string(), "2026-08-17T22:40:27.62Z");
        assert_eq!(uuid7_time("1"), None);
        assert_eq!(uuid7_time("f81d4fae-7dec-41d0-a765-00a0c91e6bf6"), None);
    }
}
