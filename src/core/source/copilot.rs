//! Copilot CLI's session files: turns a line into facts.
//!
//! Formats are those of Copilot CLI 1.0.30 to 1.0.102: an envelope around an event. The usage of its model calls is
//! in up to three places, by version: in lines, one per call (since about 1.0.102); in rows of a database (since
//! about 1.0.83); and at the end of a process, for the whole session. All of them describe the same calls.
//! Read next: `reader` for the meaning of a line; `entry` for its format; `accounts` for what counts; `exits` for the
//! end of a process; `store` for rows.

mod accounts;
mod entry;
mod exits;
mod layout;
mod reader;
mod store;
mod tool;

use jiff::Timestamp;

use super::lenient::{Room, read};
use super::relatives::Relatives;
use super::{Spec, value};
use crate::lines::LINE_LIMIT;
use entry::{Entry, Stamp};

/// Copilot CLI's row.
pub(super) static SPEC: Spec = Spec {
    word: "copilot",
    card_name: "Copilot CLI",
    short_name: "Copilot",
    homes: layout::HOMES,
    layout: layout::LAYOUT,
    parser: || Box::<reader::Reader>::default(),
    ledger: |_| Box::<accounts::Accounts>::default(),
    usage_words: &["\"session.usage_record\"", "\"session.compaction_complete\"", "\"session.shutdown\""],
    relatives: Relatives::Named,
    is_line,
    line_time,
    time_within: LINE_LIMIT,
    ..Spec::USUAL
};

/// Types of lines without a meaning here. A type that is in neither list is counted as unknown.
const SILENT: [&str; 41] = [
    "assistant.intent",
    "assistant.reasoning",
    "assistant.usage",
    "command.completed",
    "command.execute",
    "command.queued",
    "hook.end",
    "hook.start",
    "session.background_tasks_changed",
    "session.compaction_start",
    "session.custom_agents_updated",
    "session.extensions_loaded",
    "session.handoff",
    "session.idle",
    "session.import_legacy",
    "session.info",
    "session.mcp_server_status_changed",
    "session.mcp_servers_loaded",
    "session.mode_changed",
    "session.plan_changed",
    "session.remote_steerable_changed",
    "session.skills_loaded",
    "session.snapshot_rewind",
    "session.task_complete",
    "session.title_changed",
    "session.tools_updated",
    "session.truncation",
    "session.usage_checkpoint",
    "session.usage_info",
    "session.warning",
    "session.workspace_file_changed",
    "skill.invoked",
    "subagent.configured",
    "subagent.deselected",
    "subagent.selected",
    "system.message",
    "system.notification",
    "tool.execution_partial_result",
    "tool.execution_progress",
    "external_tool.requested",
    "external_tool.completed",
];

/// Types of lines with a meaning here.
const SPEAKING: [&str; 28] = [
    "session.start",
    "session.resume",
    "session.shutdown",
    "session.error",
    "session.model_change",
    "session.auto_mode_resolved",
    "session.context_changed",
    "session.usage_record",
    "session.compaction_complete",
    "user.message",
    "assistant.turn_start",
    "assistant.turn_end",
    "assistant.message",
    "tool.user_requested",
    "tool.execution_start",
    "tool.execution_complete",
    "permission.requested",
    "permission.completed",
    "user_input.requested",
    "user_input.completed",
    "elicitation.requested",
    "elicitation.completed",
    "exit_plan_mode.requested",
    "exit_plan_mode.completed",
    "subagent.started",
    "subagent.completed",
    "subagent.failed",
    "abort",
];

/// Whether a type has no meaning here. Types of `model.` repeat a call's input and output.
fn is_silent(kind: &str) -> bool {
    SILENT.contains(&kind) || kind.starts_with("model.")
}

/// Whether a line is one that Copilot CLI writes into a session file.
pub fn is_line(line: &[u8]) -> bool {
    let mut room = Room::default();
    let Some(entry) = read::<Entry<'_>>(line, &mut room) else { return false };
    let kind = entry.kind.text().unwrap_or_default();
    let is_known = SPEAKING.contains(&kind) || is_silent(kind);
    is_known && entry.data.0.is_some() && entry.timestamp.time().is_some()
}

/// The time of a line. It may be at the line's end, so the line has to be whole.
pub fn line_time(line: &[u8]) -> Option<Timestamp> {
    let mut room = Room::default();
    if let Some(stamp) = read::<Stamp<'_>>(line, &mut room) {
        return stamp.timestamp.time();
    }
    // In a line that was cut, the time is before everything that can be long.
    let before = line.get(..memchr::memmem::find(line, b"\"data\":")?)?;
    value::parse_time(value::text_after(before, b"\"timestamp\":\"")?)
}
