//! OpenCode's sessions, and those of what keeps them as it does: Kilo CLI, MiMo.
//!
//! Versions before 1.2 write a JSON document for each message; 1.2 to 1.18 keep the same objects as rows of `message` and
//! `part`; 2.x has `session_message`, into which it copies what was in those. All of them write a row again in place: what
//! it says now counts.
//! Read next: `reader`, for what rows say; `entry`, for the shape of their JSON; `tables`, for what is read at all.

mod entry;
mod layout;
mod reader;
mod tables;
mod tool;

use super::Spec;

/// OpenCode's row.
pub(super) static SPEC: Spec = Spec {
    word: "opencode",
    card_name: "OpenCode",
    short_name: "OpenCode",
    homes: layout::HOMES,
    layout: layout::LAYOUT,
    parser: || Box::<reader::Reader>::default(),
    ..Spec::USUAL
};
