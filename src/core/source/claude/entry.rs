//! The format of a transcript's line. Every field is optional; fields that are not named here are not decoded.
//! Read next: [`crate::source::lenient`], which handles values of unexpected types.

use jiff::Timestamp;
use serde::de::SeqAccess;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::tool::Input;
use super::usage::Usage;
use crate::source::lenient::{Lenient, Object, Room, Scalar, each_object, lenient, read};
use crate::source::{Surface, value};

/// The undecoded value; `None` if it is absent or null.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// The fields of a line that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) subtype: Scalar<'a>,
    #[serde(borrow)]
    pub(super) system_payload: Scalar<'a>,
    #[serde(borrow)]
    pub(super) uuid: Scalar<'a>,
    #[serde(borrow)]
    pub(super) parent_uuid: Scalar<'a>,
    #[serde(borrow)]
    pub(super) logical_parent_uuid: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    #[serde(borrow)]
    pub(super) session_id: Scalar<'a>,
    #[serde(borrow, rename = "session_id")]
    pub(super) process: Scalar<'a>,
    #[serde(borrow)]
    pub(super) team_name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) agent_name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) agent_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) is_sidechain: Scalar<'a>,
    #[serde(borrow)]
    pub(super) forked_from: Raw<'a>,
    #[serde(borrow)]
    pub(super) continued_in_session_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) cwd: Scalar<'a>,
    #[serde(borrow)]
    pub(super) git_branch: Scalar<'a>,
    #[serde(borrow)]
    pub(super) version: Scalar<'a>,
    #[serde(borrow)]
    pub(super) entrypoint: Scalar<'a>,
    #[serde(borrow)]
    pub(super) message: Object<Body<'a>>,
    #[serde(borrow)]
    pub(super) request_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) effort: Scalar<'a>,
    #[serde(borrow)]
    pub(super) error: Scalar<'a>,
    #[serde(borrow)]
    pub(super) quota_limits: Raw<'a>,
    #[serde(borrow)]
    pub(super) prompt_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) origin: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_meta: Scalar<'a>,
    #[serde(borrow)]
    pub(super) is_compact_summary: Scalar<'a>,
    #[serde(borrow)]
    pub(super) is_visible_in_transcript_only: Scalar<'a>,
    #[serde(borrow)]
    pub(super) turn_companion: Scalar<'a>,
    #[serde(borrow)]
    pub(super) turn_origin: Scalar<'a>,
    #[serde(borrow)]
    pub(super) pending_background_agent_count: Scalar<'a>,
    #[serde(borrow)]
    pub(super) pending_workflow_count: Scalar<'a>,
    #[serde(borrow)]
    pub(super) tool_denial_kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) compact_metadata: Raw<'a>,
    #[serde(borrow)]
    pub(super) model_usage: Raw<'a>,
    #[serde(borrow)]
    pub(super) leaf_uuid: Scalar<'a>,
    #[serde(borrow)]
    pub(super) message_id: Scalar<'a>,
}

/// The `message` of a line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) parts: Scalar<'a>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow)]
    pub(super) content: Blocks<'a>,
    #[serde(borrow)]
    pub(super) stop_reason: Scalar<'a>,
    #[serde(borrow)]
    pub(super) usage: Object<Usage<'a>>,
}

/// The blocks of a message's content; plain text counts as one block.
#[derive(Debug, Default)]
pub(super) struct Blocks<'a>(pub(super) Vec<Block<'a>>);

/// One block of a message's content.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) input: Object<Input<'a>>,
    #[serde(borrow)]
    pub(super) text: Scalar<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Scalar<'a>,
}

impl<'de> Lenient<'de> for Blocks<'de> {
    fn scalar(content: Scalar<'de>) -> Self {
        match content {
            Scalar::Text(_) => Self(vec![Block { text: content, ..Block::default() }]),
            _ => Self::default(),
        }
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let mut blocks = Vec::new();
        each_object(list, |block| blocks.push(block))?;
        Ok(Self(blocks))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Blocks<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::<D, Blocks<'de>>(deserializer)
    }
}

/// The time of a line, if nothing else is needed.
pub(super) fn line_time(line: &[u8]) -> Option<Timestamp> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Stamped<'a> {
        #[serde(borrow)]
        timestamp: Scalar<'a>,
    }
    read::<Stamped<'_>>(line, &mut Room::default())?.timestamp.time()
}

/// A small value of any type.
pub(super) fn decode(raw: Raw<'_>) -> Option<Value> {
    serde_json::from_str(raw?.get()).ok()
}

/// The session that a line was copied from; the field has its id or an object with it.
pub(super) fn forked_from(raw: Raw<'_>) -> Option<String> {
    let origin = decode(raw)?;
    let id = origin.as_str().filter(|id| !id.is_empty()).or_else(|| value::text(&origin, "sessionId"));
    id.map(str::to_owned)
}

/// The branch. Without a branch Claude Code writes `HEAD`, outside of a repository nothing.
pub(super) fn branch<'a>(branch: &'a Scalar<'_>) -> Option<&'a str> {
    branch.text().filter(|branch| *branch != "HEAD")
}

pub(super) fn surface(entrypoint: &Scalar<'_>) -> Surface {
    match entrypoint.text() {
        Some("cli") => Surface::Cli,
        Some("sdk-cli") => Surface::Exec,
        Some("claude-desktop") => Surface::Desktop,
        Some("claude-vscode" | "vscode") => Surface::Vscode,
        Some(sdk) if sdk.starts_with("sdk") => Surface::Sdk,
        _ => Surface::Unknown,
    }
}

/// Lines without any of these words have no meaning here. Inside texts and keys a quote is escaped or absent, so a
/// line with one of them is rarely of another type.
const SPEAKING: [&[u8]; 4] = [b"\"assistant\"", b"\"user\"", b"\"system\"", b"\"progress\""];

/// A line without these words and longer than this, in bytes, is not examined for its type.
pub(super) const GLANCE: usize = 4 << 10;

/// Whether a line contains one of these words.
pub(super) fn speaks(line: &[u8]) -> bool {
    // The first bytes usually decide it.
    let first = line.get(..GLANCE / 4).unwrap_or(line);
    [first, line].iter().any(|bytes| SPEAKING.iter().any(|word| memchr::memmem::find(bytes, word).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_text_loses_a_character_and_not_the_line() {
        let line = |damage: &[u8]| {
            [b"\0\0{\"type\":\"assistant\",\"cwd\":\"/a/", damage, b"\",\"message\":{\"id\":\"m\"}}"].concat()
        };
        for damage in [&b"\xff"[..], b"\xc3", b"\\ud83c", b"\xff\\udfae", b"\xc3\xbc"] {
            let (line, mut room) = (line(damage), Room::default());
            let entry: Entry<'_> = read(&line, &mut room).unwrap();
            assert!(entry.kind.is("assistant") && entry.cwd.begins("/a/"), "{damage:?}");
            assert!(entry.message.0.is_some_and(|body| body.id.is("m")), "{damage:?}");
        }
        assert!(read::<Entry<'_>>(&line(b"\""), &mut Room::default()).is_none());
    }
}
