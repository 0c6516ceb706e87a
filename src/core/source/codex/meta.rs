//! `session_meta`: the session of the file, and whether a person talks to it.

use serde_json::Value;

use super::value::{field, number, text, timestamp};
use crate::source::uuid7_time;
use crate::source::{Meta, Surface};

/// The enveloped form, since 0.32.
pub(super) fn enveloped(payload: &Value) -> Option<Meta> {
    let id = text(payload, "id").or_else(|| text(payload, "session_id"))?;
    let source = field(payload, "source");
    let spawn = source.and_then(|source| source.pointer("/subagent/thread_spawn"));
    let owned = |name: &str| text(payload, name).map(str::to_owned);
    let parent = owned("parent_thread_id")
        .or_else(|| spawn.and_then(|spawn| text(spawn, "parent_thread_id")).map(str::to_owned))
        // A sub-agent's `session_id` names the root session that it works for.
        .or_else(|| is_subagent(source).then(|| owned("session_id")).flatten())
        .filter(|parent| parent != id);
    let file_begun_at = field(payload, "timestamp").and_then(timestamp);
    let history_elsewhere = field(payload, "history_base").is_some();
    // A thread that continues in another file began at the time in its id.
    let thread_begun_at = uuid7_time(id).filter(|_| history_elsewhere);
    Some(Meta {
        id: id.to_owned(),
        started_at: file_begun_at.into_iter().chain(thread_begun_at).min(),
        file_begun_at,
        cwd: owned("cwd"),
        branch: field(payload, "git").and_then(|git| text(git, "branch")).map(str::to_owned),
        surface: surface(text(payload, "originator"), source),
        visible: is_visible(source, text(payload, "thread_source")),
        forked_from: owned("forked_from_id").filter(|from| from != id),
        subagent: is_subagent(source) || parent.is_some(),
        parent,
        history_elsewhere,
        own_from_ordinal: field(payload, "subagent_history_start_ordinal").and_then(number),
        first_line: None,
        ..Meta::default()
    })
}

/// The first line before 0.32: `{id, timestamp, instructions, git?}`. Lines with a type are of another kind.
pub(super) fn bare(line: &Value) -> Option<Meta> {
    let started_at =
        field(line, "timestamp").and_then(timestamp).filter(|_| field(line, "type").is_none())?;
    Some(Meta {
        id: text(line, "id")?.to_owned(),
        started_at: Some(started_at),
        file_begun_at: Some(started_at),
        cwd: text(line, "cwd").map(str::to_owned),
        branch: field(line, "git").and_then(|git| text(git, "branch")).map(str::to_owned),
        visible: true,
        ..Meta::default()
    })
}

fn is_subagent(source: Option<&Value>) -> bool {
    source.is_some_and(|source| source.get("subagent").is_some() || source.get("internal").is_some())
}

/// Codex's own list of sessions that a person sees (`rollout/src/lib.rs`), and `exec` runs. An unknown source counts
/// as a person's; a source known to be a program does not.
fn is_visible(source: Option<&Value>, thread_source: Option<&str>) -> bool {
    if thread_source.is_some_and(|kind| kind != "user") {
        return false;
    }
    match source {
        None => true,
        Some(Value::String(source)) => source != "mcp",
        Some(other) => matches!(text(other, "custom"), Some("atlas" | "chatgpt")),
    }
}

/// The originator is more exact than the source: both desktop apps call themselves `vscode` there.
fn surface(originator: Option<&str>, source: Option<&Value>) -> Surface {
    match originator.unwrap_or_default() {
        "codex_cli_rs" | "codex-tui" => Surface::Cli,
        "codex_exec" => Surface::Exec,
        "codex_vscode" => Surface::Vscode,
        "Codex Desktop" | "codex_work_desktop" => Surface::Desktop,
        sdk if sdk.starts_with("codex_sdk") => Surface::Sdk,
        _ => match source.and_then(Value::as_str) {
            Some("cli") => Surface::Cli,
            Some("vscode") => Surface::Vscode,
            Some("exec") => Surface::Exec,
            _ => Surface::Unknown,
        },
    }
}
