//! The format of a line. Every field is optional; fields that are not named here are not decoded.
//!
//! The end of a process repeats its sums several times (`agentMetrics`, `providerModelMetrics`,
//! `accountingSnapshot`), so these fields are not named here.

use std::borrow::Cow;

use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};

use super::tool::Arguments;
use crate::source::Counters;
use crate::source::lenient::{Lenient, List, Object, Scalar, lenient};

/// The envelope.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    /// The sub-agent of the line.
    #[serde(borrow)]
    pub(super) agent_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) data: Object<Data<'a>>,
}

/// The time of a line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stamp<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
}

/// The fields of all events together.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    pub(super) session_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) start_time: Scalar<'a>,
    #[serde(borrow)]
    pub(super) context: Object<Folder<'a>>,
    #[serde(borrow)]
    pub(super) cwd: Scalar<'a>,
    #[serde(borrow)]
    pub(super) branch: Scalar<'a>,
    #[serde(borrow)]
    pub(super) selected_model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) new_model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) chosen_model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) reasoning_effort: Scalar<'a>,
    #[serde(borrow)]
    pub(super) message_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) api_call_id: Scalar<'a>,
    /// Whether a message reached a running turn.
    #[serde(borrow)]
    pub(super) delivery: Scalar<'a>,
    /// The author of a message, if that is not the user.
    #[serde(borrow)]
    pub(super) source: Scalar<'a>,
    #[serde(borrow)]
    pub(super) output_tokens: Scalar<'a>,
    /// The tools that a message requests; only their number is used.
    pub(super) tool_requests: List<IgnoredAny>,
    #[serde(borrow)]
    pub(super) parent_tool_call_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) tool_call_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) tool_name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) arguments: Object<Arguments<'a>>,
    #[serde(borrow)]
    pub(super) is_user_requested: Scalar<'a>,
    #[serde(borrow)]
    pub(super) request_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) usage: Object<Usage<'a>>,
    #[serde(borrow)]
    pub(super) compaction_tokens_used: Object<Usage<'a>>,
    #[serde(borrow)]
    pub(super) post_compaction_tokens: Scalar<'a>,
    pub(super) model_metrics: Models,
}

/// The agent's working folder.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Folder<'a> {
    #[serde(borrow)]
    pub(super) cwd: Scalar<'a>,
    #[serde(borrow)]
    pub(super) branch: Scalar<'a>,
}

/// The tokens of one call or of many. Input includes both kinds of cached input, output includes reasoning.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Usage<'a> {
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    input_tokens: Scalar<'a>,
    #[serde(borrow)]
    output_tokens: Scalar<'a>,
    #[serde(borrow)]
    cache_read_tokens: Scalar<'a>,
    #[serde(borrow)]
    cache_write_tokens: Scalar<'a>,
    #[serde(borrow)]
    reasoning_tokens: Scalar<'a>,
    /// The largest prompt that the model accepts.
    #[serde(borrow)]
    pub(super) max_prompt_tokens: Scalar<'a>,
    #[serde(borrow)]
    pub(super) finish_reason: Scalar<'a>,
    #[serde(borrow)]
    pub(super) api_call_id: Scalar<'a>,
}

impl Usage<'_> {
    /// The figures; `None` if the provider gave none, which is not the same as zeros.
    pub(super) fn counters(&self) -> Option<Counters> {
        let output = self.output_tokens.number()?;
        Some(Counters {
            input: self.input_tokens.number()?,
            cached_input: self.cache_read_tokens.count(),
            cache_write: self.cache_write_tokens.count(),
            output,
            reasoning: self.reasoning_tokens.count().min(output),
            total: 0,
        })
    }
}

/// The sums of each model.
#[derive(Debug, Default)]
pub(super) struct Models(pub(super) Vec<(String, Counters)>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metrics<'a> {
    #[serde(borrow)]
    usage: Object<Usage<'a>>,
}

impl<'de> Lenient<'de> for Models {
    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut models = Vec::new();
        while let Some((model, metrics)) = map.next_entry::<Cow<'de, str>, Object<Metrics<'de>>>()? {
            let usage = metrics.0.and_then(|metrics| metrics.usage.0);
            if let Some(counters) = usage.and_then(|usage| usage.counters()) {
                models.push((model.into_owned(), counters));
            }
        }
        Ok(Self(models))
    }
}

impl<'de> Deserialize<'de> for Models {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer)
    }
}
