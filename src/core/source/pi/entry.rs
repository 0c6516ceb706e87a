//! The format of an entry. Every field is optional; fields that are not named here are not decoded.
//!
//! `compaction.retainedTail` repeats messages with their usage, so it is not named here.

use serde::Deserialize;

use super::tool::Arguments;
use crate::source::lenient::{List, Object, Scalar};
use crate::usage::Tokens;

/// The fields of a line that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    #[serde(borrow)]
    pub(super) version: Scalar<'a>,
    #[serde(borrow)]
    pub(super) portable: Scalar<'a>,
    #[serde(borrow)]
    pub(super) cwd: Scalar<'a>,
    #[serde(borrow)]
    pub(super) parent_session: Scalar<'a>,
    #[serde(borrow)]
    pub(super) branched_from: Scalar<'a>,
    #[serde(borrow)]
    pub(super) model_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) thinking_level: Scalar<'a>,
    #[serde(borrow)]
    pub(super) target_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) replacement: Scalar<'a>,
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) message: Object<Body<'a>>,
    #[serde(borrow)]
    pub(super) usage: Object<Usage<'a>>,
}

/// The `message` of an entry.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) role: Scalar<'a>,
    #[serde(borrow)]
    content: List<Object<Block<'a>>>,
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) response_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) usage: Object<Usage<'a>>,
    #[serde(borrow)]
    pub(super) stop_reason: Scalar<'a>,
    #[serde(borrow)]
    pub(super) thinking_level: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    #[serde(borrow)]
    pub(super) tool_call_id: Scalar<'a>,
}

/// One block of a message's content. Texts are not kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) arguments: Object<Arguments<'a>>,
}

impl<'a> Body<'a> {
    /// The tool calls in its content.
    pub(super) fn calls(&self) -> impl Iterator<Item = &Block<'a>> {
        self.content.objects().filter(|block| block.kind.is("toolCall"))
    }
}

/// The tokens of a response. `input` excludes cached tokens, `output` includes `reasoning`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Usage<'a> {
    #[serde(borrow)]
    input: Scalar<'a>,
    #[serde(borrow)]
    output: Scalar<'a>,
    #[serde(borrow)]
    cache_read: Scalar<'a>,
    #[serde(borrow)]
    cache_write: Scalar<'a>,
    #[serde(borrow)]
    reasoning: Scalar<'a>,
}

impl Usage<'_> {
    /// By kind; `None` if it is all zeros.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let output = self.output.count();
        let tokens = Tokens {
            input: self.input.count(),
            cached_input: self.cache_read.count(),
            cache_write: self.cache_write.count(),
            output,
            reasoning: self.reasoning.count().min(output),
        };
        (!tokens.is_zero()).then_some(tokens)
    }
}
