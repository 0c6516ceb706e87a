//! Lenient reading of foreign JSON: a field of another type than expected is a field that is not there.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::core::source::Counters;

/// A field that is there and not null.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|value| !value.is_null())
}

/// A field that is a non-empty string.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    field(value, name)?.as_str().filter(|text| !text.is_empty())
}

/// A count, also one written as a float; negative ones are 0.
pub(super) fn number(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let float = value.as_f64().filter(|float| float.is_finite())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what is wanted"
    )]
    Some(float.max(0.0).round() as u64)
}

/// RFC 3339, or epoch seconds or milliseconds as other tools write them.
pub(super) fn timestamp(value: &Value) -> Option<Timestamp> {
    if let Some(text) = value.as_str() {
        return parse_time(text);
    }
    let float = value.as_f64().filter(|float| float.is_finite())?;
    let seconds = if float.abs() >= 1e11 { float / 1000.0 } else { float };
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates and the range is checked next")]
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

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

    #[test]
    fn numbers_may_be_floats_and_negative() {
        assert_eq!(number(&serde_json::json!(12.0)), Some(12));
        assert_eq!(number(&serde_json::json!(-3)), Some(0));
        assert_eq!(number(&serde_json::json!("3")), None);
        assert_eq!(
            timestamp(&serde_json::json!(1_787_205_653)),
            timestamp(&serde_json::json!(1_787_205_653_000_i64))
        );
    }
}
