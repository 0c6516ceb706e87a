//! The format of a line, and of a whole document, whose messages have the format of lines. Every field is optional;
//! fields that are not named here are not decoded.

use serde::Deserialize;

use crate::source::lenient::{List, Object, Scalar};
use crate::source::parts::{Called, Parts};
use crate::usage::Tokens;

/// The fields that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) session_id: Scalar<'a>,
    #[serde(borrow)]
    project_hash: Scalar<'a>,
    #[serde(borrow)]
    pub(super) start_time: Scalar<'a>,
    #[serde(borrow)]
    pub(super) last_updated: Scalar<'a>,
    /// Of a session.
    #[serde(borrow, rename = "kind")]
    pub(super) sort: Scalar<'a>,
    #[serde(borrow)]
    pub(super) directories: List<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    /// Of a message.
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) content: Option<Parts<'a>>,
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) tokens: Object<Used<'a>>,
    #[serde(borrow)]
    pub(super) tool_calls: List<Object<Called<'a>>>,
    #[serde(borrow, rename = "$set")]
    pub(super) set: Object<Set<'a>>,
    #[serde(borrow, rename = "$rewindTo")]
    pub(super) rewind_to: Scalar<'a>,
    #[serde(borrow)]
    pub(super) messages: List<Object<Entry<'a>>>,
}

impl Entry<'_> {
    /// Whether it names the session of the file.
    pub(super) fn is_header(&self) -> bool {
        self.session_id.text().is_some() && (self.project_hash.is_there() || self.start_time.is_there())
    }
}

/// The changes of a session.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Set<'a> {
    #[serde(borrow)]
    pub(super) last_updated: Scalar<'a>,
    /// All messages, in their present form.
    #[serde(borrow)]
    pub(super) messages: List<Object<Entry<'a>>>,
}

/// The tokens of a response. `input` includes cached tokens, `output` excludes `thoughts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Used<'a> {
    #[serde(borrow)]
    input: Scalar<'a>,
    #[serde(borrow)]
    cached: Scalar<'a>,
    #[serde(borrow)]
    output: Scalar<'a>,
    #[serde(borrow)]
    thoughts: Scalar<'a>,
    #[serde(borrow)]
    tool: Scalar<'a>,
}

impl Used<'_> {
    /// By kind; `None` if it is all zeros.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let (input, thoughts) = (self.input.count(), self.thoughts.count());
        let cached = self.cached.count().min(input);
        let tokens = Tokens {
            input: (input - cached).saturating_add(self.tool.count()),
            cached_input: cached,
            cache_write: 0,
            output: self.output.count().saturating_add(thoughts),
            reasoning: thoughts,
        };
        (!tokens.is_zero()).then_some(tokens)
    }
}
