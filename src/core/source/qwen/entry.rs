//! The format of a line. Every field is optional; fields that are not named here are not decoded.

use serde::Deserialize;

use crate::fingerprint;
use crate::source::lenient::{Object, Scalar};
use crate::source::parts::Parts;
use crate::source::{Message, Response};
use crate::usage::Tokens;

/// The fields of a line that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) uuid: Scalar<'a>,
    #[serde(borrow)]
    pub(super) parent_uuid: Scalar<'a>,
    #[serde(borrow)]
    pub(super) session_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) subtype: Scalar<'a>,
    #[serde(borrow)]
    pub(super) provenance: Scalar<'a>,
    #[serde(borrow)]
    pub(super) cwd: Scalar<'a>,
    #[serde(borrow)]
    pub(super) git_branch: Scalar<'a>,
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) agent_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) is_sidechain: Scalar<'a>,
    #[serde(borrow)]
    pub(super) forked_from: Object<Origin<'a>>,
    #[serde(borrow)]
    pub(super) message: Object<Body<'a>>,
    #[serde(borrow)]
    pub(super) usage_metadata: Object<Usage<'a>>,
    #[serde(borrow)]
    pub(super) system_payload: Object<Payload<'a>>,
    #[serde(borrow)]
    pub(super) tool_call_result: Object<Done<'a>>,
}

/// The origin of a copied line.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Origin<'a> {
    #[serde(borrow)]
    pub(super) session_id: Scalar<'a>,
}

/// The `message` of a line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Parts<'a>>,
}

/// The call of a result.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Done<'a> {
    #[serde(borrow)]
    pub(super) call_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) result_display: Object<Display<'a>>,
}

/// The displayed form of a result.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Display<'a> {
    #[serde(borrow)]
    pub(super) status: Scalar<'a>,
}

/// The content of a `system` line.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub(super) ui_event: Object<Event<'a>>,
}

/// An event for the program's own display.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "event.name")]
    pub(super) name: Scalar<'a>,
    #[serde(borrow, rename = "event.timestamp")]
    timestamp: Scalar<'a>,
    #[serde(borrow)]
    response_id: Scalar<'a>,
    #[serde(borrow)]
    prompt_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) subagent_name: Scalar<'a>,
    #[serde(borrow)]
    input_token_count: Scalar<'a>,
    #[serde(borrow)]
    cached_content_token_count: Scalar<'a>,
    #[serde(borrow)]
    output_token_count: Scalar<'a>,
    #[serde(borrow)]
    thoughts_token_count: Scalar<'a>,
    #[serde(borrow)]
    total_token_count: Scalar<'a>,
}

/// The tokens of a response.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Usage<'a> {
    #[serde(borrow)]
    prompt_token_count: Scalar<'a>,
    #[serde(borrow)]
    cached_content_token_count: Scalar<'a>,
    #[serde(borrow)]
    candidates_token_count: Scalar<'a>,
    #[serde(borrow)]
    thoughts_token_count: Scalar<'a>,
    #[serde(borrow)]
    total_token_count: Scalar<'a>,
}

impl Usage<'_> {
    pub(super) fn tokens(&self) -> Option<Tokens> {
        tokens([
            &self.prompt_token_count,
            &self.cached_content_token_count,
            &self.candidates_token_count,
            &self.thoughts_token_count,
            &self.total_token_count,
        ])
    }
}

impl Event<'_> {
    /// The tokens of a call outside of the conversation, with an id that its repetitions share. Some gateways give
    /// every response the same id.
    pub(super) fn message(&self, line: &str) -> Option<Message> {
        let tokens = tokens([
            &self.input_token_count,
            &self.cached_content_token_count,
            &self.output_token_count,
            &self.thoughts_token_count,
            &self.total_token_count,
        ])?;
        let text = |scalar: &Scalar<'_>| scalar.text().unwrap_or_default().to_owned();
        let id = self.response_id.text().unwrap_or(line);
        let request = [text(&self.timestamp), text(&self.prompt_id)].join("\n");
        let request = Some(request).filter(|request| request.len() > 1);
        let request = request.and_then(|request| fingerprint::short(request.as_bytes()).try_into().ok());
        let response = Response { request, input: tokens.fresh_input(), ..Response::default() };
        Some(Message { response, ..Message::of(fingerprint::long(id.as_bytes()), tokens) })
    }
}

/// `[input with cached tokens, cached, output, thoughts, all of it]` by kind; `None` if it is all zeros. Whether the
/// output includes the thoughts depends on the provider, so the output is the sum minus the input.
fn tokens([input, cached, output, thoughts, all]: [&Scalar<'_>; 5]) -> Option<Tokens> {
    let input = input.count();
    let cached = cached.count().min(input);
    let output = all.number().filter(|all| *all > input).map_or_else(|| output.count(), |all| all - input);
    let tokens = Tokens {
        input: input - cached,
        cached_input: cached,
        cache_write: 0,
        output,
        reasoning: thoughts.count().min(output),
    };
    (!tokens.is_zero()).then_some(tokens)
}
