//! The frequent lines that have to be parsed, in the types that Codex gives them: several times as fast as a tree of
//! values, and the difference between counting at the speed of reading and not.
//!
//! What does not fit is no error: `None` leaves the line to the general reader. What fits means the same there.

use serde::Deserialize;

use super::head::Head;
use super::value::Text;
use super::{call, limits};
use crate::core::source::{Count, CountInfo, Counters, Fact};

/// The fact of a line.
pub(super) fn fact(head: &Head<'_>) -> Option<Fact> {
    // Behind the payload comes the line's own brace; what has more behind it does not fit.
    let payload = head.payload.trim_ascii_end().strip_suffix(b"}")?;
    match (head.kind, head.payload_kind) {
        // Most keys and least text: what is known to be text is not checked again field by field.
        ("event_msg", Some("token_count")) => {
            serde_json::from_str(std::str::from_utf8(payload).ok()?).ok().map(TokenCount::fact)
        }
        ("response_item", Some("function_call")) => read(payload).map(FunctionCall::fact),
        ("response_item", Some("custom_tool_call")) => read(payload).map(CustomCall::fact),
        ("event_msg", Some("task_started" | "turn_started")) => read(payload).map(TurnStarted::fact),
        ("turn_context", _) => read(payload).map(TurnContext::fact),
        _ => None,
    }
}

fn read<'a, P: Deserialize<'a>>(payload: &'a [u8]) -> Option<P> {
    serde_json::from_slice(payload).ok()
}

fn kept(text: Option<Text<'_>>) -> Option<String> {
    text.map(|Text(text)| text.into_owned()).filter(|text| !text.is_empty())
}

fn shown<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(|Text(text)| &**text).filter(|text| !text.is_empty())
}

#[derive(Deserialize)]
struct TokenCount<'a> {
    info: Option<Info>,
    #[serde(borrow)]
    rate_limits: Option<limits::Usual<'a>>,
}

#[derive(Deserialize)]
struct Info {
    total_token_usage: Option<Usage>,
    last_token_usage: Option<Usage>,
    model_context_window: Option<u64>,
}

#[derive(Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    cached_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    reasoning_output_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl TokenCount<'_> {
    fn fact(self) -> Fact {
        let info = self.info.and_then(|info| {
            Some(CountInfo {
                total: info.total_token_usage.and_then(Usage::counters)?,
                last: info.last_token_usage.and_then(Usage::counters),
                window: info.model_context_window,
            })
        });
        let limits = self.rate_limits.map(limits::Usual::fact);
        Fact::Count(Box::new(Count { info, limits }))
    }
}

impl Usage {
    fn counters(self) -> Option<Counters> {
        let known = self.input_tokens.or(self.output_tokens).or(self.total_tokens).is_some();
        known.then(|| Counters {
            input: self.input_tokens.unwrap_or(0),
            cached_input: self.cached_input_tokens.unwrap_or(0),
            cache_write: self.cache_write_input_tokens.unwrap_or(0),
            output: self.output_tokens.unwrap_or(0),
            reasoning: self.reasoning_output_tokens.unwrap_or(0),
            total: self.total_tokens.unwrap_or(0),
        })
    }
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
}

impl FunctionCall<'_> {
    fn fact(self) -> Fact {
        let name = shown(self.name.as_ref()).unwrap_or_default();
        let arguments = shown(self.arguments.as_ref()).unwrap_or_default();
        let doing = call::function(shown(self.namespace.as_ref()), name, arguments);
        Fact::CallStarted { call: kept(self.call_id).or_else(|| kept(self.id)), doing }
    }
}

#[derive(Deserialize)]
struct CustomCall<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
}

impl CustomCall<'_> {
    fn fact(self) -> Fact {
        let name = shown(self.name.as_ref()).unwrap_or_default();
        let doing = call::custom(name, shown(self.input.as_ref()).unwrap_or_default());
        Fact::CallStarted { call: kept(self.call_id).or_else(|| kept(self.id)), doing }
    }
}

#[derive(Deserialize)]
struct TurnStarted<'a> {
    #[serde(borrow)]
    turn_id: Option<Text<'a>>,
    started_at: Option<u64>,
    model_context_window: Option<u64>,
}

impl TurnStarted<'_> {
    fn fact(self) -> Fact {
        Fact::TurnStarted {
            turn: kept(self.turn_id),
            started_at: self.started_at,
            window: self.model_context_window,
        }
    }
}

#[derive(Deserialize)]
struct TurnContext<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    effort: Option<Text<'a>>,
    #[serde(borrow)]
    cwd: Option<Text<'a>>,
}

impl TurnContext<'_> {
    fn fact(self) -> Fact {
        Fact::Context { model: kept(self.model), effort: kept(self.effort), cwd: kept(self.cwd) }
    }
}
