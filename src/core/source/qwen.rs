//! Qwen Code's session files: turns a line into facts.
//!
//! The format is that of 0.24: one object per line, of the types `user`, `assistant`, `tool_result` and `system`.
//! Usage is per response; nothing is cumulative.
//! Read next: `reader` for the meaning of a line; `entry` for its format.

mod entry;
mod layout;
mod reader;

use jiff::Timestamp;

use super::lenient::{Room, read};
use super::{Spec, value};
use entry::Entry;

/// Qwen Code's row.
pub(super) static SPEC: Spec = Spec {
    word: "qwen",
    card_name: "Qwen Code",
    short_name: "Qwen",
    homes: layout::HOMES,
    layout: layout::LAYOUT,
    parser: || Box::<reader::Reader>::default(),
    usage_words: &["\"usageMetadata\"", "\"subagent_name\""],
    is_line,
    line_time,
    ..Spec::USUAL
};

/// Whether a line is one that Qwen Code writes into a session file.
pub fn is_line(line: &[u8]) -> bool {
    let mut room = Room::default();
    let Some(entry) = read::<Entry<'_>>(line, &mut room) else { return false };
    let is_known = match entry.kind.text() {
        Some("user" | "assistant" | "tool_result") => {
            entry.message.0.is_some_and(|message| message.parts.is_some())
        }
        Some("system") => entry.subtype.is_there() && entry.system_payload.0.is_some(),
        _ => false,
    };
    is_known && entry.session_id.text().is_some() && entry.uuid.text().is_some()
}

/// The time of a line; it precedes everything that can be long.
pub fn line_time(line: &[u8]) -> Option<Timestamp> {
    value::parse_time(value::text_after(line, b"\"timestamp\":\"")?)
}
