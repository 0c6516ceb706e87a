//! Gemini CLI's session files: one line, or one document, → its facts.
//!
//! Shapes are those of two eras: one document of all messages that is written whole again each time, until April 2026, and
//! since then lines of messages that are written again under the same id when more is known of them. Usage is that of one
//! response; nothing is cumulative.
//! Read next: `reader`, for what a message says; `entry`, for its shape.

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

/// The time of a line. Of one that repeats messages it is the first one's.
pub fn line_time(line: &[u8]) -> Option<Timestamp> {
    let keys: [&[u8]; 3] = [b"\"timestamp\":\"", b"\"lastUpdated\":\"", b"\"startTime\":\""];
    keys.into_iter().find_map(|key| value::parse_time(value::text_after(line, key)?))
}
