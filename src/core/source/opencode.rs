//! Sessions of OpenCode and of the agents that store them in the same way: Kilo CLI, MiMo.
//!
//! Versions before 1.2 write a JSON document for each message; 1.2 to 1.18 store the same objects as rows of
//! `message` and `part`; 2.x has `session_message`, with copies of the earlier rows. All of them rewrite a row in
//! place: only its present content counts.
//! Read next: `reader` for the meaning of rows; `entry` for the format of their JSON; `tables` for the tables.

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
