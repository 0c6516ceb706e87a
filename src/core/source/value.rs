//! Lenient reading of foreign JSON: a field of another type than expected is a field that is not there.

use jiff::Timestamp;
use serde_json::Value;

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

#[cfg(test)]
mod tests {
    use super::*;

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
