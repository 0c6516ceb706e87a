//! pi's session files: turns a line into facts.
//!
//! Formats are those of versions 1 to 3 (pi 0.9 to 1.5.2, Oh My Pi, OpenClaw): a header, then one entry per line,
//! each with its own time. Usage is per response; nothing is cumulative.
//! Read next: `reader` for the meaning of an entry; `entry` for its format.

mod entry;
mod layout;
mod reader;
mod tool;

use jiff::Timestamp;

use super::lenient::{Room, read};
use super::{Spec, value};
use entry::Entry;

/// pi's row.
pub(super) static SPEC: Spec = Spec {
    word: "pi",
    card_name: "pi",
    short_name: "pi",
    homes: layout::HOMES,
    layout: layout::LAYOUT,
    parser: || Box::<reader::Reader>::default(),
    usage_words: &["\"usage\""],
    is_line,
    line_time,
    ..Spec::USUAL
};

/// Types of entries without a meaning here. A type that is in neither list is counted as unknown.
const SILENT: [&str; 7] =
    ["custom", "custom_message", "deleted", "label", "session_info", "title", "active_tools_change"];

/// Types of entries with a meaning here.
const SPEAKING: [&str; 8] = [
    "session",
    "message",
    "model_change",
    "thinking_level_change",
    "compaction",
    "branch_summary",
    "usage",
    "context_edit",
];

/// Whether a line is one that pi writes into a session file.
pub fn is_line(line: &[u8]) -> bool {
    let mut room = Room::default();
    let Some(entry) = read::<Entry<'_>>(line, &mut room) else { return false };
    let kind = entry.kind.text().unwrap_or_default();
    let is_known = SPEAKING.contains(&kind) && (kind != "message" || entry.message.0.is_some());
    is_known && entry.timestamp.time().is_some() && (kind != "session" || entry.id.text().is_some())
}

/// The time of a line; it precedes everything that can be long.
pub fn line_time(line: &[u8]) -> Option<Timestamp> {
    value::parse_time(value::text_after(line, b"\"timestamp\":\"")?)
}
