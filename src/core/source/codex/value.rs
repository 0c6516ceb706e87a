//! Codex's own counters.

use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

use crate::source::Counters;

pub(super) use crate::source::value::{field, number, parse_time, text, timestamp};

/// A text that is borrowed if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// `TokenUsage`; `None` for an object without any known field.
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
