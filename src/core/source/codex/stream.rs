//! The output of `codex exec --json`: turns a line into facts.
//!
//! Thread events since 0.44 (`thread.started`, `turn.*`, `item.*`); before that, messages in an envelope `{id, msg}`,
//! with a count per response; and the lines of session files. Items are recognised by their first bytes, because most
//! of a stream is command output. A thread event has no running count: `turn.completed` has the whole thread's, and
//! the tokens that no count contained before belong to the last call.
//! Read next: [`ledger`](crate::source::ledger), which uses the counters.

use serde_json::Value;

use super::head::{Head, string};
use super::value::{counters, field, text};
use super::{call, count, event, parse};
use crate::activity::Activity::{Browsing, Delegating, Editing, Planning, Running, Tool};
use crate::lines::Line;
use crate::source::{Count, CountInfo, Counters, Doing, Fact, Meta, Parsed, Parser, Surface, command};

/// Reads the lines of one stream, in order.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The thread's last known counters.
    known: Option<Counters>,
    /// Whether the current turn had a count.
    counted: bool,
}

impl Parser for Stream {
    fn line(&mut self, line: Line<'_>) -> Parsed {
        let mut facts = Vec::new();
        self.read(line, &mut facts);
        Parsed::of(None, facts)
    }
}

impl Stream {
    fn read(&mut self, line: Line<'_>, facts: &mut Vec<Fact>) {
        let (Line::Whole(bytes) | Line::Cut(bytes) | Line::Oversized(bytes)) = line;
        if Head::read(bytes).is_some() {
            return self.of_file(line, facts);
        }
        if let Some((kind, rest)) = kind(bytes)
            && kind.starts_with("item.")
            && let Some(known) = item_by_head(kind, rest)
        {
            return facts.extend(known);
        }
        if let Line::Whole(bytes) | Line::Cut(bytes) = line
            && let Ok(line @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes)
        {
            self.object(&line, facts);
        }
    }

    fn of_file(&mut self, line: Line<'_>, facts: &mut Vec<Fact>) {
        let Parsed::Line { fact, .. } = parse(line) else { return };
        if let Fact::Count(count) = &fact {
            self.remember(count);
        }
        facts.push(fact);
    }

    fn object(&mut self, line: &Value, facts: &mut Vec<Fact>) {
        if let Some(message) = field(line, "msg").or_else(|| field(line, "payload")) {
            return self.message(message, facts);
        }
        match text(line, "type") {
            Some("thread.started" | "thread.resumed") => {
                facts.extend(text(line, "thread_id").map(meta));
            }
            Some("turn.started") => {
                facts.push(Fact::TurnStarted { turn: None, started_at: None, window: None })
            }
            Some("turn.completed" | "turn.failed") => {
                facts.extend(field(line, "usage").and_then(|usage| self.whole_thread(usage)));
                facts.push(Fact::TurnEnded);
                self.counted = false;
            }
            Some("token_count") => facts.extend(self.count(line)),
            Some(kind) if kind.starts_with("item.") => {
                let item = field(line, "item").unwrap_or(&Value::Null);
                let kind_of_item = text(item, "type").or_else(|| text(item, "item_type"));
                facts.extend(item_fact(kind, kind_of_item.unwrap_or_default(), text(item, "id"), Some(item)));
            }
            // The settings of the run are printed before the first message.
            None if field(line, "model").is_some() => facts.push(context(line, "workdir")),
            _ => {}
        }
    }

    /// One message of the old envelope.
    fn message(&mut self, message: &Value, facts: &mut Vec<Fact>) {
        let started = |doing| Fact::CallStarted { call: text(message, "call_id").map(str::to_owned), doing };
        let fact = match text(message, "type").unwrap_or_default() {
            "token_count" => return facts.extend(self.count(message)),
            "session_configured" => {
                facts.extend(text(message, "session_id").map(meta));
                context(message, "cwd")
            }
            "exec_command_begin" => started(command::words(field(message, "command"))),
            "patch_apply_begin" => started(call::changed(field(message, "changes"))),
            "mcp_tool_call_begin" => started(Doing::plain(Tool)),
            "web_search_begin" => started(Doing::plain(Browsing)),
            "exec_command_end" | "patch_apply_end" | "mcp_tool_call_end" | "web_search_end" => {
                Fact::CallEnded { call: text(message, "call_id").map(str::to_owned) }
            }
            _ => event(message, None).0,
        };
        facts.push(fact);
    }

    /// A count: running totals and the last call's own usage, or (before 0.31, and of other tools) only the latter.
    fn count(&mut self, message: &Value) -> Option<Fact> {
        if let Fact::Count(count) = count(message, None)
            && count.info.is_some()
        {
            self.remember(&count);
            // Limits come from the session files, which show the account they belong to.
            return Some(Fact::Count(Box::new(Count { limits: None, ..*count })));
        }
        let last = field(message, "info").map_or(Some(message), |info| field(info, "last_token_usage"));
        let usage = last.and_then(counters)?;
        self.counted = true;
        Some(Fact::Response { thread: None, response: None, usage, total: None })
    }

    fn remember(&mut self, count: &Count) {
        self.counted |= count.info.is_some();
        self.known = count.info.as_ref().map(|info| info.total).or(self.known);
    }

    /// The whole thread's counters at a turn's end. Kinds that it lacks stay; if counts had more already, those are
    /// right.
    fn whole_thread(&mut self, usage: &Value) -> Option<Fact> {
        let mut total = counters(usage)?;
        let known = self.known.unwrap_or_default();
        let is_less = total.input < known.input || total.output < known.output;
        if is_less && self.counted {
            return None;
        }
        if !is_less {
            let or_known =
                |name: &str, told: u64, known: u64| if usage.get(name).is_some() { told } else { known };
            total.cached_input = or_known("cached_input_tokens", total.cached_input, known.cached_input);
            total.cache_write = or_known("cache_write_input_tokens", total.cache_write, known.cache_write);
            total.reasoning = or_known("reasoning_output_tokens", total.reasoning, known.reasoning);
            total.total = total.input.saturating_add(total.output).max(known.total);
        }
        self.known = Some(total);
        Some(Fact::Count(Box::new(Count {
            info: Some(CountInfo { total, last: None, window: None }),
            limits: None,
        })))
    }
}

fn meta(id: &str) -> Fact {
    Fact::Meta(Box::new(Meta { id: id.to_owned(), surface: Surface::Exec, visible: true, ..Meta::default() }))
}

fn context(line: &Value, cwd: &str) -> Fact {
    let owned = |name: &str| text(line, name).map(str::to_owned);
    Fact::Context { model: owned("model"), effort: owned("reasoning_effort"), cwd: owned(cwd) }
}

/// `{"type":"…"`: the kind of a thread event, and the bytes after it.
fn kind(line: &[u8]) -> Option<(&str, &[u8])> {
    let rest = line.strip_prefix(b"{\"type\":")?;
    string(rest.strip_prefix(b" ").unwrap_or(rest))
}

/// The facts of an item from its first bytes, if they suffice: `,"item":{"id":"…","type":"…"`.
fn item_by_head(kind: &str, rest: &[u8]) -> Option<Option<Fact>> {
    let (id, rest) = string(rest.strip_prefix(b",\"item\":{\"id\":")?)?;
    let (item, rest) =
        string(rest.strip_prefix(b",\"type\":").or_else(|| rest.strip_prefix(b",\"item_type\":"))?)?;
    // The work of a finished command is not needed.
    if kind == "item.started" && item == "command_execution" {
        let (script, _) = string(rest.strip_prefix(b",\"command\":")?)?;
        let doing = command::shell(script);
        return Some(Some(Fact::CallStarted { call: Some(id.to_owned()), doing }));
    }
    Some(item_fact(kind, item, Some(id), None))
}

/// The fact of an item; `None` if it shows no work.
fn item_fact(kind: &str, item: &str, id: Option<&str>, whole: Option<&Value>) -> Option<Fact> {
    let doing = match item {
        "command_execution" => {
            let script = whole.and_then(|item| text(item, "command"));
            script.map_or(Doing::plain(Running), command::shell)
        }
        "file_change" => Doing::plain(Editing),
        "mcp_tool_call" => Doing::plain(Tool),
        "web_search" => Doing::plain(Browsing),
        "collab_tool_call" => Doing::plain(Delegating),
        "todo_list" => Doing::plain(Planning),
        _ => return None,
    };
    let call = id.map(str::to_owned);
    match (kind, item) {
        // A list stays open for the whole turn.
        (_, "todo_list") => Some(Fact::Done(doing)),
        ("item.started", _) => Some(Fact::CallStarted { call, doing }),
        // Some items are recorded only at their end.
        ("item.completed", "file_change" | "web_search") => Some(Fact::Done(doing)),
        ("item.completed", _) => Some(Fact::CallEnded { call }),
        _ => None,
    }
}

/// Whether a line is one that `codex exec --json` prints, or one of a session file.
pub(super) fn is_line(line: &[u8]) -> bool {
    let known = |kind: &str| {
        ["thread.", "turn.", "item."].iter().any(|family| kind.starts_with(family)) || kind == "token_count"
    };
    if let Some((kind, _)) = kind(line)
        && known(kind)
    {
        return true;
    }
    super::is_line(line)
        || match serde_json::from_slice::<Value>(line) {
            Ok(line) => {
                text(&line, "type").is_some_and(known)
                    || field(&line, "msg").is_some_and(|message| text(message, "type").is_some())
            }
            Err(_) => false,
        }
}
