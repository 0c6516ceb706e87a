//! The shape of a transcript's line. Every field is optional and read on its own, when it is needed: a value of another
//! type than expected, or one that cannot be decoded (cut text leaves half surrogates), costs nothing but itself.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::core::lines::shorten;
use crate::core::source::value;

/// A value as it is written; `None` when it is absent or null.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// The fields of a line that are ever looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) subtype: Raw<'a>,
    #[serde(borrow)]
    pub(super) uuid: Raw<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Raw<'a>,
    #[serde(borrow)]
    pub(super) session_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) agent_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_sidechain: Raw<'a>,
    #[serde(borrow)]
    pub(super) forked_from: Raw<'a>,
    #[serde(borrow)]
    pub(super) cwd: Raw<'a>,
    #[serde(borrow)]
    pub(super) git_branch: Raw<'a>,
    #[serde(borrow)]
    pub(super) version: Raw<'a>,
    #[serde(borrow)]
    pub(super) entrypoint: Raw<'a>,
    #[serde(borrow, deserialize_with = "object_or_not")]
    pub(super) message: Option<Body<'a>>,
    #[serde(borrow)]
    pub(super) request_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) effort: Raw<'a>,
    #[serde(borrow)]
    pub(super) error: Raw<'a>,
    #[serde(borrow)]
    pub(super) prompt_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) origin: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_meta: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_compact_summary: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_visible_in_transcript_only: Raw<'a>,
    #[serde(borrow)]
    pub(super) turn_companion: Raw<'a>,
    #[serde(borrow)]
    pub(super) tool_denial_kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) compact_metadata: Raw<'a>,
    #[serde(borrow)]
    pub(super) leaf_uuid: Raw<'a>,
    #[serde(borrow)]
    pub(super) message_id: Raw<'a>,
}

/// The `message` of a line.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) model: Raw<'a>,
    #[serde(borrow)]
    pub(super) content: Raw<'a>,
    #[serde(borrow)]
    pub(super) stop_reason: Raw<'a>,
    #[serde(borrow)]
    pub(super) usage: Raw<'a>,
}

/// One block of a message's content.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) name: Raw<'a>,
    #[serde(borrow)]
    pub(super) input: Raw<'a>,
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Raw<'a>,
}

/// A line that is read in several passes, without most of its long texts. What is short enough is itself.
pub(super) fn short<'a>(line: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    /// Up to here a pass costs less than the cutting.
    const SHORT: usize = 1 << 10;
    if line.len() > SHORT && shorten(line, room) { room } else { line }
}

impl<'a> Entry<'a> {
    /// Reads a line.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        read(line)
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        time(self.timestamp)
    }
}

/// The time of a line of which nothing else is needed.
pub(super) fn line_time(line: &[u8]) -> Option<Timestamp> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Stamped<'a> {
        #[serde(borrow)]
        timestamp: Raw<'a>,
    }
    time(read::<Stamped<'_>>(short(line, &mut Vec::new()))?.timestamp)
}

/// Files that were allocated ahead have zeros before a line.
fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Option<T> {
    let zeros = line.iter().take_while(|byte| **byte == 0).count();
    serde_json::from_slice(line.get(zeros..)?).ok()
}

fn time(raw: Raw<'_>) -> Option<Timestamp> {
    let written = text(raw).and_then(|time| value::parse_time(&time));
    written.or_else(|| decode(raw).and_then(|time| value::timestamp(&time)))
}

impl<'a> Body<'a> {
    /// The blocks; a message that is plain text is one block of it.
    pub(super) fn blocks(&self) -> Vec<Block<'a>> {
        let Some(content) = self.content else { return Vec::new() };
        if content.get().starts_with('"') {
            return vec![Block { text: Some(content), ..Block::default() }];
        }
        if let Some(blocks) = object(self.content) {
            return blocks;
        }
        let blocks: Option<Vec<&'a RawValue>> = object(self.content);
        blocks.unwrap_or_default().into_iter().filter_map(|block| object(Some(block))).collect()
    }
}

/// A field that is an object as a rule: of anything else nothing is said.
fn object_or_not<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(ObjectOrNot(PhantomData))
}

struct ObjectOrNot<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOrNot<T> {
    type Value = Option<T>;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// A value in the shape that is expected of it.
pub(super) fn object<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A small value of whatever shape.
pub(super) fn decode(raw: Raw<'_>) -> Option<Value> {
    object(raw)
}

/// A text that is not empty.
pub(super) fn text<'a>(raw: Raw<'a>) -> Option<Cow<'a, str>> {
    let written = raw?.get();
    let inside = written.strip_prefix('"')?.strip_suffix('"')?;
    let text = match memchr::memchr(b'\\', inside.as_bytes()) {
        None => Cow::Borrowed(inside),
        Some(_) => Cow::Owned(serde_json::from_str(written).ok()?),
    };
    (!text.is_empty()).then_some(text)
}

/// The same, to keep.
pub(super) fn owned(raw: Raw<'_>) -> Option<String> {
    text(raw).map(Cow::into_owned)
}

/// Whether a text is exactly this word.
pub(super) fn is(raw: Raw<'_>, word: &str) -> bool {
    text(raw).is_some_and(|text| text == word)
}

/// A flag that is set.
pub(super) fn flag(raw: Raw<'_>) -> bool {
    raw.is_some_and(|raw| raw.get() == "true")
}
