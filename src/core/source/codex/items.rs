//! `response_item` lines and the completed items of paginated files: the starts and ends of tools.

use serde_json::Value;

use super::call;
use super::head::string;
use super::value::{field, text};
use crate::activity::Activity;
use crate::source::{Doing, Fact, command};

/// The facts of items that their first bytes give. `rest` follows the item's kind.
pub(super) fn by_head(kind: &str, rest: &[u8]) -> Option<Fact> {
    match kind {
        "message"
        | "agent_message"
        | "reasoning"
        | "ghost_snapshot"
        | "compaction"
        | "compaction_summary"
        | "context_compaction"
        | "image_generation_call"
        | "tool_search_call"
        | "tool_search_output" => Some(Fact::Alive),
        "function_call_output" | "custom_tool_call_output" => {
            let (call, _) = string(rest.strip_prefix(b",\"call_id\":")?)?;
            Some(Fact::CallEnded { call: Some(call.to_owned()) })
        }
        _ => None,
    }
}

/// The fact of a parsed item; `None` if its kind is unknown.
pub(super) fn item(kind: &str, item: &Value) -> Option<Fact> {
    let call_id = || text(item, "call_id").or_else(|| text(item, "id")).map(str::to_owned);
    let started = |doing| Fact::CallStarted { call: call_id(), doing };
    Some(match kind {
        "function_call" => {
            let arguments = text(item, "arguments").unwrap_or_default();
            started(call::function(
                text(item, "namespace"),
                text(item, "name").unwrap_or_default(),
                arguments,
            ))
        }
        "custom_tool_call" => {
            let name = text(item, "name").unwrap_or_default();
            started(call::custom(name, text(item, "input").unwrap_or_default()))
        }
        "local_shell_call" => {
            let words = field(item, "action").and_then(|action| field(action, "command"));
            started(command::words(words))
        }
        "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
            Fact::CallEnded { call: call_id() }
        }
        // Written only after the search.
        "web_search_call" => Fact::Done(Doing::plain(Activity::Browsing)),
        "message" => match text(item, "role") {
            Some("user") if is_bare_prompt(item) => Fact::Prompt,
            _ => Fact::Alive,
        },
        "agent_message"
        | "reasoning"
        | "ghost_snapshot"
        | "compaction"
        | "compaction_summary"
        | "context_compaction"
        | "image_generation_call"
        | "tool_search_call"
        | "tool_search_output"
        | "additional_tools"
        | "compaction_trigger"
        | "other" => Fact::Alive,
        _ => return None,
    })
}

/// Before 0.32 there is no `user_message` event, so the user's own item replaces it. Injected context has the same
/// role; it begins with a tag or a heading. Enveloped items are never prompts here: their first bytes decide.
fn is_bare_prompt(item: &Value) -> bool {
    let first = item.pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default();
    !first.is_empty() && !first.starts_with('<') && !first.starts_with("# AGENTS.md")
}

/// A call whose line is too long to be read: its tool's name is in the first bytes, and its arguments are not needed.
pub(super) fn oversized_call(kind: &str, rest: &[u8]) -> Fact {
    let after = |key: &[u8]| {
        let at = memchr::memmem::find(rest, key)?;
        string(rest.get(at + key.len()..)?).map(|(text, _)| text.to_owned())
    };
    let call = after(b"\"call_id\":");
    match kind {
        "custom_tool_call" | "function_call" => {
            let name = after(b"\"name\":").unwrap_or_default();
            let shown = String::from_utf8_lossy(rest);
            let doing = if kind == "function_call" {
                call::function(None, &name, "")
            } else {
                call::custom(&name, &shown)
            };
            Fact::CallStarted { call, doing }
        }
        "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
            Fact::CallEnded { call }
        }
        _ => Fact::Alive,
    }
}

/// A paginated file's item, written when it is complete (`items.rs` `TurnItem`); `None` if it shows no work, or if
/// its own call already showed it.
pub(super) fn completed(item: &Value) -> Option<Doing> {
    let plain = |activity| Some(Doing::plain(activity));
    match text(item, "type")? {
        "FileChange" => Some(call::changed(field(item, "changes"))),
        "CommandExecution" => call::parsed(field(item, "parsed_cmd")),
        "WebSearch" => plain(Activity::Browsing),
        "McpToolCall" | "DynamicToolCall" => plain(Activity::Tool),
        "CollabAgentToolCall" | "SubAgentActivity" => plain(Activity::Delegating),
        // A finished pause (`clock.sleep`) is not work.
        "Extension" => match text(item, "kind")?.split_once('.')? {
            ("web", _) => plain(Activity::Browsing),
            ("clock", _) => None,
            _ => plain(Activity::Tool),
        },
        "Plan" => plain(Activity::Planning),
        "ImageView" => plain(Activity::Reading),
        _ => None,
    }
}
