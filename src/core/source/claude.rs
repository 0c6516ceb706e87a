//! Claude Code's transcripts: turns a line into facts.
//!
//! Formats are those of 1.0.17 to 2.1.287: one object per line with keys in any order. Lines of `user`, `assistant`
//! and `system` have everything that counts; dozens of other types have nothing of use. Every field is optional,
//! unknown values are skipped, nothing fails.
//! Read next: `reader` for the meaning of a line; `entry` for its format.

pub mod limits;
pub mod registry;
pub mod statusline;

mod entry;
mod layout;
mod limit;
mod place;
mod reader;
mod run;
mod stream;
mod tool;
mod turn;
mod usage;
mod window;

use jiff::Timestamp;

use crate::lines::LINE_LIMIT;
use crate::source::ledger::messages::Messages;
use crate::source::lenient::{Room, read};
use crate::source::relatives::Relatives;
use crate::source::{Cached, Limits, Spec, Stream};
use entry::Entry;

/// Claude Code's row.
pub(super) static SPEC: Spec = Spec {
    word: "claude",
    card_name: "Claude Code",
    short_name: "Claude",
    homes: layout::HOMES,
    layout: layout::LAYOUT,
    limits: Limits {
        main_family: limits::MAIN_FAMILY,
        in_files: false,
        are_whole: false,
        cached: Some(Cached { file: ".claude.json", read: limits::cached }),
    },
    // As in Claude Code's `remaining_percentage`.
    context_baseline: 0,
    worktrees: Some("/.claude/worktrees/"),
    parser: || Box::<reader::Reader>::default(),
    ledger: |_| Box::<Messages>::default(),
    usage_words: &["\"assistant\"", "\"continued-in\""],
    relatives: Relatives::Alike,
    stream: Some(Stream {
        command: "claude -p --output-format stream-json --verbose",
        folder_options: &[],
        is_line: stream::is_line,
        parser: || Box::<stream::Stream>::default(),
        from_zero: true,
    }),
    live: None,
    is_line,
    line_time,
    time_within: LINE_LIMIT,
};

/// Types without a meaning here. A type that is in neither list is counted as unknown.
const SILENT: [&str; 43] = [
    "agent-color",
    "agent-name",
    "agent-setting",
    "ai-title",
    "api-request",
    "api-request-blob",
    "api-request-shape",
    "artifact-autoreact-ledger",
    "artifact-comment-monitor",
    "atis-latch",
    "attachment",
    "attribution-snapshot",
    "bridge-session",
    "content-replacement",
    "continued-in",
    "cost-state",
    "custom-title",
    "ended",
    "ended-by-model",
    "file-history-delta",
    "file-history-snapshot",
    "fork-context-ref",
    "frame-link",
    "history-suppression",
    "isolation-latch",
    "last-prompt",
    "launched",
    "mode",
    "permission-mode",
    "pr-link",
    "queue-operation",
    "relocated",
    "result",
    "saved_hook_context",
    "speculation-accept",
    "started",
    "summary",
    "tag",
    "task-summary",
    "thinking-effort",
    "thinking-mode",
    "tools-used",
    "worktree-state",
];

/// The time of a line. It may be at the line's end, so the line has to be whole.
pub fn line_time(line: &[u8]) -> Option<Timestamp> {
    entry::line_time(line)
}

/// Whether a line is one that Claude Code writes into a transcript.
pub fn is_line(line: &[u8]) -> bool {
    let mut room = Room::default();
    let Some(entry) = read::<Entry<'_>>(line, &mut room) else {
        // The first line may be longer than the bytes given.
        let has = |key: &[u8]| memchr::memmem::find(line, key).is_some();
        return line.starts_with(b"{") && has(b"\"parentUuid\":") && has(b"\"sessionId\":\"");
    };
    match entry.kind.text() {
        Some("user" | "assistant" | "system" | "attachment" | "progress") => {
            // Other programs write lines of the same types, with the same ids.
            let is_foreign = entry.system_payload.is_there()
                || entry.message.0.as_ref().is_some_and(|message| message.parts.is_there());
            !is_foreign && entry.session_id.is_there() && (entry.uuid.is_there() || entry.message.0.is_some())
        }
        Some("summary") => entry.leaf_uuid.is_there(),
        Some("file-history-snapshot" | "file-history-delta") => entry.message_id.is_there(),
        // The journal of a workflow is beside the transcripts, but is not one.
        Some("launched" | "started" | "result") => false,
        Some(kind) => entry.session_id.is_there() && SILENT.contains(&kind),
        None => false,
    }
}
