//! Reads the frequent lines that have to be parsed, in Codex's own types: several times as fast as a tree of values,
//! without which counting is slower than reading.
//!
//! `None` is not an error: it leaves the line to the general reader. A line that fits has the same meaning there.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::head::{Head, string};
use super::value::Text;
use super::{call, limits};
use crate::lines::{shorten, text_end};
use crate::source::command::{names_file, patch};
use crate::source::{Count, CountInfo, Counters, Fact};

/// The fact of a line.
pub(super) fn fact(head: &Head<'_>) -> Option<Fact> {
    // The line's own brace follows the payload; a line with more after it does not fit.
    let payload = head.payload.trim_ascii_end().strip_suffix(b"}")?;
    match (head.kind, head.payload_kind) {
        // Most keys and least text: known text is not checked again for each field.
        ("event_msg", Some("token_count")) => {
            serde_json::from_str(std::str::from_utf8(payload).ok()?).ok().map(TokenCount::fact)
        }
        ("response_item", Some("function_call")) => function_call(head.rest),
        ("response_item", Some("custom_tool_call")) => custom_call(head.rest),
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

fn function_call(rest: &[u8]) -> Option<Fact> {
    let texts = texts(rest, ["namespace", "name", "arguments", "call_id", "id"])?.map(decoded);
    let [space, name, arguments, call, id] = texts;
    let (space, name, arguments) = (space?, name?, arguments?);
    let doing = call::function(
        shown(space.as_ref()),
        shown(name.as_ref()).unwrap_or_default(),
        shown(arguments.as_ref()).unwrap_or_default(),
    );
    Some(Fact::CallStarted { call: kept(call?).or(kept(id?)), doing })
}

fn custom_call(rest: &[u8]) -> Option<Fact> {
    let [name, input, call, id] = texts(rest, ["name", "input", "call_id", "id"])?;
    let name = decoded(name)?;
    let name = shown(name.as_ref()).unwrap_or_default();
    // A patch names its file at its beginning.
    let mut room = Vec::new();
    let beginning = input.filter(|input| name == "apply_patch" && shorten(input, &mut room));
    let beginning = beginning.and_then(|_| decoded(Some(&room))?);
    let doing = match beginning.filter(|Text(text)| names_file(text)) {
        Some(Text(text)) => patch(&text),
        None => call::custom(name, shown(decoded(input)?.as_ref()).unwrap_or_default()),
    };
    Some(Fact::CallStarted { call: kept(decoded(call)?).or(kept(decoded(id)?)), doing })
}

/// The raw texts of these keys in a payload; `rest` follows its kind. A third of the lines are calls: with serde for
/// them, counting takes about 6 % longer.
fn texts<'a, const N: usize>(mut rest: &'a [u8], keys: [&str; N]) -> Option<[Option<&'a [u8]>; N]> {
    let mut texts = [None; N];
    while let Some(field) = rest.strip_prefix(b",") {
        let (key, value) = string(field)?;
        let value = value.strip_prefix(b":")?;
        let length = match value.strip_prefix(b"\"") {
            Some(text) => text_end(text)? + 2,
            None => {
                let mut values = serde_json::Deserializer::from_slice(value).into_iter::<IgnoredAny>();
                values.next()?.ok()?;
                values.byte_offset()
            }
        };
        let (value, after) = value.split_at_checked(length)?;
        rest = after;
        if let Some(place) = keys.iter().position(|wanted| *wanted == key) {
            let slot = texts.get_mut(place).filter(|slot| slot.is_none())?;
            *slot = Some(value);
        }
    }
    (rest.trim_ascii_end() == b"}}").then_some(texts)
}

/// The content of a text; `None` if it is not a text.
#[expect(clippy::option_option, reason = "a text that is not there is as good as one that is")]
fn decoded(text: Option<&[u8]>) -> Option<Option<Text<'_>>> {
    text.map_or(Ok(None), serde_json::from_slice).ok()
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
