//! Claude Code's transcripts: one line → its facts.
//!
//! Shapes are those of 1.0.17 to 2.1.287: one object per line in any order of keys, of `user`, `assistant` and `system`
//! with everything that counts, and of dozens of other types that say nothing. Everything is optional, whatever is not
//! known is passed over, nothing fails.
//! Read next: `reader`, for what a line says; `entry` for the shape of a line.

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

use crate::core::lines::LINE_LIMIT;
use crate::core::source::ledger::messages::Messages;
use crate::core::source::lenient::{Room, read};
use crate::core::source::relatives::Relatives;
use crate::core::source::{Cached, Limits, Spec, Stream};
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
    // As in its `remaining_percentage`.
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

/// Types that say nothing. One that is in neither list is counted as unknown.
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

/// The time of a line. It may stand at the line's end, so the line has to be whole.
pub fn line_time(line: &[u8]) -> Option<Timestamp> {
    entry::line_time(line)
}

/// Whether a line is one that Claude Code writes into a transcript.
pub fn is_line(line: &[u8]) -> bool {
    let mut room = Room::default();
    let Some(entry) = read::<Entry<'_>>(line, &mut room) else {
        // The first line may be longer than what is looked at.
        let has = |key: &[u8]| memchr::memmem::find(line, key).is_some();
        return line.starts_with(b"{") && has(b"\"parentUuid\":") && has(b"\"sessionId\":\"");
    };
    match entry.kind.text() {
        Some("user" | "assistant" | "system" | "attachment" | "progress") => {
            // Others write lines of the same types, with the same ids.
            let is_foreign = entry.system_payload.is_there()
                || entry.message.0.as_ref().is_some_and(|message| message.parts.is_there());
            !is_foreign && entry.session_id.is_there() && (entry.uuid.is_there() || entry.message.0.is_some())
        }
        Some("summary") => entry.leaf_uuid.is_there(),
        Some("file-history-snapshot" | "file-history-delta") => entry.message_id.is_there(),
        // The journal of a workflow lies beside transcripts and is none.
        Some("launched" | "started" | "result") => false,
        Some(kind) => entry.session_id.is_there() && SILENT.contains(&kind),
        None => false,
    }
}
