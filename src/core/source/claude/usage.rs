//! The usage on a line of a message.

use std::num::NonZeroU64;

use serde::de::SeqAccess;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::entry::{Body, Entry};
use crate::fingerprint;
use crate::source::Response;
use crate::source::lenient::{Lenient, Object, Scalar, each_object, lenient};
use crate::source::value::{field, number};
use crate::usage::Tokens;

/// The model name on lines that Claude Code writes itself.
pub(super) const SYNTHETIC: &str = "<synthetic>";

/// The message of an assistant's line: its own id, else its request's, else the line's. A side question repeats
/// messages under its own requests, so the message's id comes first.
pub(super) fn message_id(entry: &Entry<'_>, body: &Body<'_>) -> Option<u128> {
    let id = body.id.text().or_else(|| entry.request_id.text()).or_else(|| entry.uuid.text())?;
    Some(fingerprint::long(id.as_bytes()))
}

/// What a line shows of its response.
pub(super) fn response(entry: &Entry<'_>, usage: &Usage<'_>, step: u32) -> Response {
    let Tokens { input, cached_input, cache_write, .. } = counts(usage);
    let request = entry.request_id.text().and_then(|request| NonZeroU64::new(short(request.as_bytes())));
    let sizes = [input, cached_input, cache_write].map(u64::to_le_bytes).concat();
    Response { request, input: short(&sizes), step }
}

/// The lower half of a fingerprint.
fn short(bytes: &[u8]) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "half of it is enough within one message id")]
    let half = fingerprint::long(bytes) as u64;
    half
}

/// The `usage` of a message, and of each of its iterations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage<'a> {
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) input_tokens: Scalar<'a>,
    #[serde(borrow)]
    pub(super) cache_read_input_tokens: Scalar<'a>,
    #[serde(borrow)]
    pub(super) cache_creation_input_tokens: Scalar<'a>,
    #[serde(borrow)]
    pub(super) output_tokens: Scalar<'a>,
    #[serde(borrow)]
    cache_creation: Object<CacheCreation<'a>>,
    #[serde(borrow)]
    server_tool_use: Object<ServerTools<'a>>,
    iterations: Iterations,
}

/// The samplings of one response. Those of type `message` add up to the response's own counts. An advisor's are of
/// another model and are not in these counts. Other types were not billed or are counted already.
#[derive(Debug, Default)]
struct Iterations {
    advised: Tokens,
    last: Option<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools<'a> {
    #[serde(borrow)]
    web_search_requests: Scalar<'a>,
    #[serde(borrow)]
    web_fetch_requests: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation<'a> {
    #[serde(borrow)]
    ephemeral_5m_input_tokens: Scalar<'a>,
    #[serde(borrow)]
    ephemeral_1h_input_tokens: Scalar<'a>,
}

impl<'de> Lenient<'de> for Iterations {
    fn list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let mut iterations = Self::default();
        each_object(list, |usage: Usage<'de>| match usage.kind.text() {
            Some("message") => {
                iterations.last = Some(counts(&usage)).filter(|last| !last.is_zero()).or(iterations.last);
            }
            Some("advisor_message") => iterations.advised = iterations.advised.plus(&counts(&usage)),
            _ => {}
        })?;
        Ok(iterations)
    }
}

impl<'de> Deserialize<'de> for Iterations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer)
    }
}

/// The usage on a line, an advisor's included; `None` if it is all zeros.
pub(super) fn tokens(usage: &Usage<'_>) -> Option<Tokens> {
    let tokens = counts(usage).plus(&usage.iterations.advised);
    (!tokens.is_zero()).then_some(tokens)
}

/// The input of the model's last sampling; `None` if a response may have had several and only their sum is recorded.
pub(super) fn context(usage: &Usage<'_>) -> Option<u64> {
    let called = |tools: &ServerTools<'_>| {
        [&tools.web_search_requests, &tools.web_fetch_requests]
            .into_iter()
            .any(|requests| requests.number().is_some_and(|requests| requests > 0))
    };
    let sampled = match usage.iterations.last {
        Some(last) => last,
        None if usage.server_tool_use.0.as_ref().is_some_and(called) => return None,
        None => counts(usage),
    };
    Some(sampled.all().saturating_sub(sampled.output))
}

/// The counts of the usage object itself.
pub(super) fn counts(usage: &Usage<'_>) -> Tokens {
    // Until 2.1.152 the sum could be missing although its parts were present.
    let parts = usage.cache_creation.0.as_ref().map_or(0, |parts| {
        parts.ephemeral_5m_input_tokens.count().saturating_add(parts.ephemeral_1h_input_tokens.count())
    });
    Tokens {
        input: usage.input_tokens.count(),
        cached_input: usage.cache_read_input_tokens.count(),
        cache_write: usage.cache_creation_input_tokens.count().max(parts),
        output: usage.output_tokens.count(),
        reasoning: 0,
    }
}

/// The sum of a run's usage by model.
pub(super) fn of_models(models: &Value) -> Option<Tokens> {
    let models = models.as_object()?;
    let sum = models.values().fold(Tokens::ZERO, |sum, usage| {
        let get = |name: &str| field(usage, name).and_then(number).unwrap_or(0);
        sum.plus(&Tokens {
            input: get("inputTokens"),
            cached_input: get("cacheReadInputTokens"),
            cache_write: get("cacheCreationInputTokens"),
            output: get("outputTokens"),
            reasoning: 0,
        })
    });
    (!sum.is_zero()).then_some(sum)
}

/// Whether lines of this version are known to have less output than was used. From 2.1.12 the value at the start of
/// the stream was never corrected, until 2.1.42 not always. Helpers' lines still have it unless their message is
/// marked as finished.
pub(super) fn at_least(entry: &Entry<'_>, body: &Body<'_>) -> bool {
    let Some(version) = entry.version.text().and_then(numbers) else { return false };
    let helper = entry.is_sidechain.flag() && entry.agent_id.is_there();
    if version < [2, 1, 12] {
        return false;
    }
    version <= [2, 1, 42] || helper && !body.stop_reason.is_there()
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse::<u32>());
    Some([parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_record_too_little_output_are_known() {
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
            let word = |word: &'static str| Scalar::Text(word.into());
            let mut entry = Entry { version: word(version), ..Entry::default() };
            assert_eq!(at_least(&entry, &Body::default()), main, "{version}");
            (entry.is_sidechain, entry.agent_id) = (Scalar::Flag(true), word("a1"));
            assert_eq!(at_least(&entry, &Body::default()), helper, "{version}");
            let body = Body { stop_reason: word("end_turn"), ..Body::default() };
            assert_eq!(at_least(&entry, &body), finished_helper, "{version}");
        }
    }
}
