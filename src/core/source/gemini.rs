//! Gemini CLI's session files: turns a line, or a document, into facts.
//!
//! Formats are those of two eras. Until April 2026: one document of all messages, rewritten whole each time. Since
//! then: lines of messages, written again under the same id with more content. Usage is per response; nothing is
//! cumulative.
//! Read next: `reader` for the meaning of a message; `entry` for its format.

mod entry;
mod layout;
mod reader;

use jiff::Timestamp;

use super::lenient::{Room, read};
use super::{Spec, value};
use entry::Entry;

/// Gemini CLI's row.
pub(super) static SPEC: Spec = Spec {
    word: "gemini",
    card_name: "Gemini CLI",
    short_name: "Gemini",
    homes: layout::HOMES,
    layout: layout::LAYOUT,
    parser: || Box::<reader::Reader>::default(),
    usage_words: &["\"tokens\""],
    is_line,
    line_time,
    ..Spec::USUAL
};

/// Types of messages.
const KINDS: [&str; 5] = ["user", "gemini", "info", "warning", "error"];

/// Whether a line is one that Gemini CLI writes into a session file.
pub fn is_line(line: &[u8]) -> bool {
    let mut room = Room::default();
    let Some(entry) = read::<Entry<'_>>(line, &mut room) else { return false };
    let is_message = || {
        entry.kind.text().is_some_and(|kind| KINDS.contains(&kind))
            && entry.id.text().is_some()
            && entry.timestamp.time().is_some()
            && entry.content.is_some()
    };
    entry.is_header() || entry.set.0.is_some() || entry.rewind_to.text().is_some() || is_message()
}

/// The time of a line; for a line that repeats messages, the first message's.
pub fn line_time(line: &[u8]) -> Option<Timestamp> {
    let keys: [&[u8]; 3] = [b"\"timestamp\":\"", b"\"lastUpdated\":\"", b"\"startTime\":\""];
    keys.into_iter().find_map(|key| value::parse_time(value::text_after(line, key)?))
}
