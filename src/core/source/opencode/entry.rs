//! The format of the JSON in rows and documents. Every field is optional; fields that are not named here are not
//! decoded.

use serde::Deserialize;

use super::tool::Input;
use crate::source::lenient::{List, Object, Scalar};
use crate::usage::Tokens;

/// A message, a part of one, or a session's description in a document.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow, rename = "sessionID")]
    pub(super) session: Scalar<'a>,
    #[serde(borrow, rename = "parentID")]
    pub(super) parent: Scalar<'a>,
    #[serde(borrow)]
    pub(super) directory: Scalar<'a>,
    #[serde(borrow)]
    pub(super) role: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) time: Object<Times<'a>>,
    #[serde(borrow, rename = "modelID")]
    pub(super) model_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) variant: Scalar<'a>,
    #[serde(borrow)]
    pub(super) model: Object<Model<'a>>,
    #[serde(borrow)]
    pub(super) path: Object<Place<'a>>,
    #[serde(borrow)]
    pub(super) tokens: Object<Used<'a>>,
    #[serde(borrow)]
    pub(super) finish: Scalar<'a>,
    #[serde(borrow)]
    pub(super) error: Scalar<'a>,
    #[serde(borrow)]
    content: List<Object<Tool<'a>>>,
    #[serde(borrow)]
    pub(super) tool: Scalar<'a>,
    #[serde(borrow, rename = "callID")]
    pub(super) call: Scalar<'a>,
    #[serde(borrow)]
    pub(super) state: Object<State<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Times<'a> {
    #[serde(borrow)]
    pub(super) created: Scalar<'a>,
    #[serde(borrow)]
    pub(super) completed: Scalar<'a>,
    #[serde(borrow)]
    pub(super) start: Scalar<'a>,
    #[serde(borrow)]
    pub(super) end: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Model<'a> {
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) variant: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Place<'a> {
    #[serde(borrow)]
    pub(super) cwd: Scalar<'a>,
}

/// The tokens of a response. `input` excludes cached tokens, `output` excludes `reasoning`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Used<'a> {
    #[serde(borrow)]
    input: Scalar<'a>,
    #[serde(borrow)]
    output: Scalar<'a>,
    #[serde(borrow)]
    reasoning: Scalar<'a>,
    #[serde(borrow)]
    cache: Object<Cache<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cache<'a> {
    #[serde(borrow)]
    read: Scalar<'a>,
    #[serde(borrow)]
    write: Scalar<'a>,
}

/// The state of a tool call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct State<'a> {
    #[serde(borrow)]
    pub(super) status: Scalar<'a>,
    #[serde(borrow)]
    pub(super) input: Object<Input<'a>>,
    #[serde(borrow)]
    pub(super) time: Object<Times<'a>>,
}

/// One part of a response. Texts are not kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) state: Object<State<'a>>,
    #[serde(borrow)]
    pub(super) time: Object<Times<'a>>,
}

impl<'a> Entry<'a> {
    /// The tool calls of a response that contains them.
    pub(super) fn tools(&self) -> impl Iterator<Item = &Tool<'a>> {
        self.content.objects().filter(|part| part.kind.is("tool"))
    }
}

impl State<'_> {
    /// Whether the call is over, with any result.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.status.text(), Some("completed" | "error"))
    }
}

impl Used<'_> {
    /// By kind.
    pub(super) fn tokens(&self) -> Tokens {
        let cached = |of: fn(&Cache<'_>) -> u64| self.cache.0.as_ref().map_or(0, of);
        let reasoning = self.reasoning.count();
        Tokens {
            input: self.input.count(),
            cached_input: cached(|cache| cache.read.count()),
            cache_write: cached(|cache| cache.write.count()),
            output: self.output.count().saturating_add(reasoning),
            reasoning,
        }
    }
}
