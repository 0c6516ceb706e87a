//! Codex's session files ("rollouts"): turns a line into a fact.
//!
//! Formats are those of Codex 0.31 to 0.162: an envelope `{timestamp, ordinal?, type, payload}` per line, bare items
//! before 0.32. Every field is optional, unknown ones are skipped, nothing fails.
//! Most lines (prompts, replies, reasoning, tool output) are recognised by their first bytes and never parsed.
//! Read next: `call` for the work of a tool call, `limits` for the formats of `rate_limits`.

mod app_server;
mod call;
mod head;
mod items;
mod layout;
mod limits;
mod meta;
mod stream;
mod usual;
mod value;

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use crate::lines::Line;
use crate::source::ledger::totals::Totals;
use crate::source::relatives::Relatives;
use crate::source::{Count, CountInfo, Doing, Fact, Limits, Parsed, Parser, Spec, Stream};
use head::Head;
use value::{field, number, text, timestamp};

/// Codex's row.
pub(super) static SPEC: Spec = Spec {
    word: "codex",
    card_name: "Codex",
    short_name: "Codex",
    homes: layout::HOMES,
    layout: layout::LAYOUT,
    limits: Limits { main_family: limits::MAIN_FAMILY, in_files: true, are_whole: true, cached: None },
    // `BASELINE_TOKENS` in Codex's `protocol.rs`.
    context_baseline: 12_000,
    worktrees: None,
    parser: || Box::new(Rollout),
    ledger: |meta| Box::new(Totals::new(meta)),
    usage_words: &["\"token_count\""],
    relatives: Relatives::Named,
    stream: Some(Stream {
        command: "codex exec --json",
        folder_options: &["--cd", "-C"],
        is_line: stream::is_line,
        parser: || Box::<stream::Stream>::default(),
        from_zero: false,
    }),
    live: Some(app_server::LIVE),
    is_line,
    line_time,
    time_within: 4 << 10,
};

/// A line's meaning does not depend on other lines.
#[derive(Debug)]
struct Rollout;

impl Parser for Rollout {
    fn line(&mut self, line: Line<'_>) -> Parsed {
        parse(line)
    }

    fn record(&mut self, object: &[u8]) -> Parsed {
        parse_whole(object, true)
    }
}

/// Reads one line.
fn parse(line: Line<'_>) -> Parsed {
    match line {
        Line::Whole(bytes) => parse_whole(bytes, false),
        Line::Cut(bytes) | Line::Oversized(bytes) => parse_oversized(bytes),
    }
}

fn parse_whole(bytes: &[u8], is_one: bool) -> Parsed {
    if let Some(head) = Head::read(bytes) {
        if let Some(fact) = by_head(&head) {
            // A line that was broken off rarely ends like a complete one, and has the beginning of the next one in
            // it.
            let is_one = is_one || bytes.trim_ascii_end().ends_with(b"}") && !begins_another(head.rest);
            return if is_one { known(&head, fact) } else { Parsed::Unreadable };
        }
        if let Some(fact) = usual::fact(&head) {
            return known(&head, fact);
        }
    }
    parse_any(bytes)
}

/// Whether another line begins in these bytes. All of every long line is searched, so the search is prepared once.
fn begins_another(bytes: &[u8]) -> bool {
    static BEGINNING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"{\"timestamp\":\""));
    BEGINNING.find(bytes).is_some()
}

/// Reads a line of any format.
fn parse_any(bytes: &[u8]) -> Parsed {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(line)) => parse_object(&Value::Object(line)),
        _ => Parsed::Unreadable,
    }
}

/// The rest of an oversized line was not read, so only its first bytes count.
fn parse_oversized(first: &[u8]) -> Parsed {
    let Some(head) = Head::read(first) else { return Parsed::Unreadable };
    let fact = by_head(&head).unwrap_or_else(|| match (head.kind, head.payload_kind) {
        ("response_item", Some(kind)) => items::oversized_call(kind, head.rest),
        _ => Fact::Alive,
    });
    known(&head, fact)
}

fn known(head: &Head<'_>, fact: Fact) -> Parsed {
    Parsed::Line { at: value::parse_time(head.timestamp), ordinal: head.ordinal, fact, unknown: false }
}

/// The facts that the first bytes alone give, for the frequent and the large lines. `None`: the line must be parsed.
fn by_head(head: &Head<'_>) -> Option<Fact> {
    match (head.kind, head.payload_kind) {
        ("response_item", Some(kind)) => items::by_head(kind, head.rest),
        ("event_msg", Some(kind)) => match kind {
            "user_message" => Some(Fact::Prompt),
            "agent_message" => Some(Fact::Reply),
            "agent_reasoning" | "agent_reasoning_raw_content" => Some(Fact::Alive),
            "task_complete" | "turn_complete" | "turn_aborted" => Some(Fact::TurnEnded),
            _ => None,
        },
        ("compacted" | "world_state", _) => Some(Fact::Alive),
        _ => None,
    }
}

fn parse_object(line: &Value) -> Parsed {
    let at = field(line, "timestamp").and_then(timestamp);
    let ordinal = field(line, "ordinal").and_then(number);
    let payload = field(line, "payload");
    let (fact, unknown) = match (text(line, "type"), payload) {
        (Some(kind), Some(payload)) => envelope(kind, payload, at),
        (Some(kind), None) => match items::item(kind, line) {
            Some(fact) => (fact, false),
            None => (Fact::Alive, true),
        },
        (None, None) => match meta::bare(line) {
            Some(meta) => (Fact::Meta(Box::new(meta)), false),
            None => (Fact::Alive, text(line, "record_type").is_none()),
        },
        (None, Some(_)) => (Fact::Alive, true),
    };
    Parsed::Line { at, ordinal, fact, unknown }
}

/// The fact of an enveloped line, and whether its kind is unknown.
fn envelope(kind: &str, payload: &Value, at: Option<jiff::Timestamp>) -> (Fact, bool) {
    let known = |fact: Option<Fact>| (fact.unwrap_or(Fact::Alive), false);
    match kind {
        "session_meta" => known(meta::enveloped(payload).map(|meta| Fact::Meta(Box::new(meta)))),
        "turn_context" => known(Some(Fact::Context {
            model: text(payload, "model").map(str::to_owned),
            effort: text(payload, "effort").map(str::to_owned),
            cwd: text(payload, "cwd").map(str::to_owned),
        })),
        "token_usage_record" => {
            known(field(payload, "usage").and_then(value::counters).map(|usage| Fact::Response {
                thread: text(payload, "thread_id").map(str::to_owned),
                response: text(payload, "response_id").map(str::to_owned),
                usage,
                total: field(payload, "thread_token_usage").and_then(value::counters),
            }))
        }
        "event_msg" => event(payload, at),
        "response_item" => match text(payload, "type").and_then(|kind| items::item(kind, payload)) {
            Some(fact) => known(Some(fact)),
            None => (Fact::Alive, true),
        },
        "compacted"
        | "world_state"
        | "inter_agent_communication"
        | "inter_agent_communication_metadata"
        | "retained_context"
        | "security_risk_score"
        | "realtime_item" => known(None),
        _ => (Fact::Alive, true),
    }
}

fn event(payload: &Value, at: Option<jiff::Timestamp>) -> (Fact, bool) {
    use crate::activity::Activity::{Browsing, Delegating, Tool};

    let done = |activity| Fact::Done(Doing::plain(activity));
    let fact = match text(payload, "type").unwrap_or_default() {
        "token_count" => count(payload, at),
        "task_started" | "turn_started" => Fact::TurnStarted {
            turn: text(payload, "turn_id").map(str::to_owned),
            started_at: field(payload, "started_at").and_then(number),
            window: field(payload, "model_context_window").and_then(number),
        },
        "task_complete" | "turn_complete" | "turn_aborted" => Fact::TurnEnded,
        "user_message" => Fact::Prompt,
        "agent_message" => Fact::Reply,
        "thread_settings_applied" => {
            let settings = field(payload, "thread_settings").unwrap_or(payload);
            Fact::Tier(text(settings, "service_tier").map(str::to_owned))
        }
        "patch_apply_end" => Fact::Done(call::changed(field(payload, "changes"))),
        "mcp_tool_call_end" => done(Tool),
        "web_search_end" => done(Browsing),
        "sub_agent_activity" => done(Delegating),
        "item_completed" => field(payload, "item").and_then(items::completed).map_or(Fact::Alive, Fact::Done),
        "agent_reasoning"
        | "agent_reasoning_raw_content"
        | "agent_reasoning_section_break"
        | "context_compacted"
        | "entered_review_mode"
        | "exited_review_mode"
        | "image_generation_end"
        | "thread_goal_updated"
        | "thread_rolled_back"
        | "thread_name_updated"
        | "undo_completed"
        | "exec_command_begin"
        | "exec_command_end"
        | "view_image_tool_call"
        | "plan_update"
        | "error"
        | "warning"
        | "stream_error"
        | "session_configured"
        | "shutdown_complete"
        | "turn_diff"
        | "background_event" => Fact::Alive,
        _ => return (Fact::Alive, true),
    };
    (fact, false)
}

/// `token_count`: `info` and `rate_limits` are each optional.
fn count(payload: &Value, at: Option<jiff::Timestamp>) -> Fact {
    let info = field(payload, "info").and_then(|info| {
        Some(CountInfo {
            total: field(info, "total_token_usage").and_then(value::counters)?,
            last: field(info, "last_token_usage").and_then(value::counters),
            window: field(info, "model_context_window").and_then(number),
        })
    });
    let limits = field(payload, "rate_limits").and_then(|limits| limits::read(limits, at));
    Fact::Count(Box::new(Count { info, limits }))
}

/// The time of a line, from its first bytes if possible.
pub fn line_time(first: &[u8]) -> Option<jiff::Timestamp> {
    if let Some(head) = Head::read(first) {
        return value::parse_time(head.timestamp);
    }
    let key = b"\"timestamp\":";
    let at = memchr::memmem::find(first, key)?;
    let rest = first.get(at + key.len()..)?.trim_ascii_start();
    head::string(rest).and_then(|(time, _)| value::parse_time(time))
}

/// Whether a line is one that Codex writes.
pub fn is_line(line: &[u8]) -> bool {
    if Head::read(line).is_some() {
        return true;
    }
    match serde_json::from_slice::<Value>(line) {
        Ok(line) => {
            let enveloped = field(&line, "payload").is_some() && text(&line, "type").is_some();
            enveloped || meta::bare(&line).is_some() || text(&line, "record_type").is_some()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of both readers for a line.
    fn both(line: &str) -> (Option<Parsed>, Parsed) {
        let head = Head::read(line.as_bytes());
        let usual = head.and_then(|head| usual::fact(&head).map(|fact| known(&head, fact)));
        (usual, parse_any(line.as_bytes()))
    }

    fn check(kind: &str, payload: &str, is_usual: bool) {
        let line = format!(
            r#"{{"timestamp":"2026-09-01T10:00:00.000Z","ordinal":7,"type":"{kind}","payload":{payload}}}"#
        );
        let (usual, any) = both(&line);
        assert_eq!(usual.is_some(), is_usual, "{line}");
        if let Some(usual) = usual {
            assert_eq!(usual, any, "{line}");
        }
    }

    #[test]
    fn both_readers_give_the_same_facts() {
        let count = |info: &str, limits: &str, usual| {
            let payload = format!(r#"{{"type":"token_count","info":{info},"rate_limits":{limits}}}"#);
            check("event_msg", &payload, usual);
        };
        let info = r#"{"total_token_usage":{"input_tokens":9,"cached_input_tokens":4,"output_tokens":2,"reasoning_output_tokens":1,"total_tokens":11},"last_token_usage":{"input_tokens":9,"future":[1]},"model_context_window":258400}"#;
        let limits = r#"{"limit_id":"codex","limit_name":null,"primary":{"used_percent":12.5,"window_minutes":300,"resets_at":1795176000},"secondary":{"used_percent":0,"window_minutes":10080,"resets_at":null},"credits":{"a":1},"plan_type":"pro"}"#;
        for info in [info, "null", "{}", r#"{"total_token_usage":null}"#, r#"{"total_token_usage":{}}"#] {
            count(info, limits, true);
        }
        for limits in
            ["null", "{}", r#"{"secondary":{"used_percent":101,"window_minutes":0}}"#, r#"{"plan_type":""}"#]
        {
            count(info, limits, true);
        }
        // Formats of other versions, and unknown ones, are left to the general reader.
        for limits in [
            r#"{"primary_used_percent":1.0}"#,
            r#"{"weekly_used_percent":1.0,"primary":{"used_percent":1}}"#,
            r#"{"primary":{"used_percent":1,"resets_in_seconds":5}}"#,
            r#"{"primary":{"used_percent":1,"resets_at":"2026-09-01T10:00:00Z"}}"#,
            r#"{"primary":{"used_percent":1,"resets_at":1795176000000}}"#,
            r#"{"limit_id":7}"#,
            "[]",
        ] {
            count(info, limits, false);
        }
        count(r#"{"total_token_usage":{"input_tokens":9.0}}"#, "null", false);
        count(r#"{"total_token_usage":{"input_tokens":-9}}"#, "null", false);
    }

    #[test]
    fn both_readers_give_the_same_calls_and_turns() {
        let calls = [
            (
                r#"{"type":"function_call","name":"exec_command","arguments":"{\"cmd\":\"rg -n \\\"x\\\" src\"}","call_id":"c"}"#,
                true,
            ),
            (
                r#"{"type":"function_call","name":"shell","arguments":"{\"command\":[\"bash\",\"-lc\",\"ls\"]}","id":"i"}"#,
                true,
            ),
            (r#"{"type":"function_call","name":"shell","arguments":"no json"}"#, true),
            (
                r#"{"type":"function_call","namespace":"mcp__x","name":"","arguments":null,"call_id":""}"#,
                true,
            ),
            (r#"{"type":"function_call","name":"shell","arguments":{"command":["ls"]}}"#, false),
            (
                r#"{"type":"custom_tool_call","call_id":"c","name":"apply_patch","input":"*** Begin Patch\n*** Update File: a/ü.rs\n"}"#,
                true,
            ),
        ];
        for (payload, usual) in calls {
            check("response_item", payload, usual);
        }
        let long = "x\\n".repeat(400);
        for patch in [
            format!("*** Begin Patch\\n*** Update File: a/b.rs\\n@@\\n{long}"),
            format!("*** Begin Patch\\n*** Add File: a/c.rs\\n{long}*** Update File: a/b.rs\\n"),
            format!("{long}*** Delete File: a/b.rs"),
            format!("*** Update File: {long}"),
            format!("*** Update File: .\\n{long}*** Add File: a/b.rs\\n"),
            format!("*** Update File: {}\\n", "x".repeat(600)),
        ] {
            let payload = format!(
                r#"{{"type":"custom_tool_call","status":null,"call_id":"c","name":"apply_patch","input":"{patch}"}}"#
            );
            check("response_item", &payload, true);
        }
        let odd = [
            (r#"{"type":"function_call","name":"shell","name":"x","arguments":""}"#, false),
            (r#"{"type":"function_call","name":"shell" ,"arguments":""}"#, false),
            (r#"{"type":"function_call","name":"shell","arguments":"","more":[1,{"a":"b"}],"id":"i"}"#, true),
            (r#"{"type":"function_call","name":"shell","arguments":"","more":[1}"#, false),
            (r#"{"type":"function_call","name":"\ud83c","arguments":""}"#, false),
            (r#"{"type":"function_call"}"#, true),
        ];
        for (payload, usual) in odd {
            check("response_item", payload, usual);
        }
        check("event_msg", r#"{"type":"task_started","turn_id":"1","model_context_window":258400}"#, true);
        check("event_msg", r#"{"type":"task_started","turn_id":1}"#, false);
        check(
            "turn_context",
            r#"{"turn_id":"1","cwd":"/a/ü","model":"m","effort":null,"x":{"model":"n"}}"#,
            true,
        );
        check("turn_context", r#"{"model":"m","model":"n"}"#, false);
    }
}
