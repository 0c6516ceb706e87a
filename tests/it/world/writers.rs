//! Agents that write session files, and know what they wrote: the recount that the engine's figures are held against.

use std::collections::BTreeMap;

use agent_presence::core::source::Agent;
use agent_presence::core::usage::Tokens;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Stands wherever real files hold content or a path; no output may have it.
pub(crate) const SECRET: &str = "MARKER-SECRET";

/// One session's writer. What counts is kept here by the plainest means.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) agent: Agent,
    pub(crate) id: String,
    parent: Option<String>,
    pub(crate) cwd: String,
    branch: String,
    model: String,
    /// Codex: the thread's counters as last written.
    counters: Tokens,
    /// Codex: what all events added. Claude Code: see `messages`.
    sum: Tokens,
    /// Claude Code: what the best line of each message says.
    messages: BTreeMap<u32, Tokens>,
    next: u32,
    open: Vec<u32>,
    /// What the last usage event added that changed anything.
    pub(crate) delta: Option<Tokens>,
}

/// What a line may tell besides tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) minutes: u64,
    pub(crate) used: u8,
    pub(crate) resets_at: Option<Timestamp>,
}

impl Writer {
    pub(crate) fn new(agent: Agent, id: String, parent: Option<String>) -> Self {
        Self {
            agent,
            id,
            parent,
            cwd: format!("/home/{SECRET}/app"),
            branch: "main".to_owned(),
            model: match agent.word() {
                "codex" => "gpt-5.6-sol",
                _ => "claude-opus-5",
            }
            .to_owned(),
            counters: Tokens::ZERO,
            sum: Tokens::ZERO,
            messages: BTreeMap::new(),
            next: 0,
            open: Vec::new(),
            delta: None,
        }
    }

    /// All that was used, `None` before anything was.
    pub(crate) fn total(&self) -> Option<Tokens> {
        self.delta?;
        Some(match self.agent.word() {
            "codex" => self.sum,
            _ => self.messages.values().fold(Tokens::ZERO, |sum, tokens| sum.plus(tokens)),
        })
    }

    pub(crate) fn begin(&mut self, at: Timestamp) -> String {
        match self.agent.word() {
            "codex" => {
                let source = match &self.parent {
                    Some(parent) => {
                        json!({"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}})
                    }
                    None => json!("cli"),
                };
                let meta = json!({
                    "id": self.id, "timestamp": at, "cwd": self.cwd, "originator": "codex-tui",
                    "cli_version": "0.160.0", "source": source, "git": {"branch": self.branch},
                    "instructions": SECRET, "parent_thread_id": self.parent,
                });
                codex(at, "session_meta", &meta.to_string()) + &self.place(at)
            }
            // The first line with any content says which session the file belongs to.
            _ => String::new(),
        }
    }

    /// Where and with what the agent works now.
    pub(crate) fn moves(&mut self, at: Timestamp, cwd: &str, branch: String, model: String) -> String {
        (self.cwd, self.branch) = (format!("/home/{SECRET}/{cwd}"), branch);
        if !model.is_empty() {
            self.model = model;
        }
        match self.agent.word() {
            "codex" => self.place(at),
            _ => self.turn(at),
        }
    }

    fn place(&self, at: Timestamp) -> String {
        let context = json!({"cwd": self.cwd, "model": self.model, "effort": "high", "summary": "auto"});
        codex(at, "turn_context", &context.to_string())
    }

    pub(crate) fn turn(&mut self, at: Timestamp) -> String {
        self.next += 1;
        self.open.clear();
        match self.agent.word() {
            "codex" => {
                let turn = json!({"turn_id": format!("turn-{}", self.next), "model_context_window": 258_400});
                typed(at, "event_msg", "task_started", &turn)
                    + &typed(at, "event_msg", "user_message", &json!({"message": SECRET}))
            }
            _ => self.claude(at, "user", json!({"message": {"role": "user", "content": SECRET}})),
        }
    }

    pub(crate) fn ends(&mut self, at: Timestamp) -> String {
        self.open.clear();
        match self.agent.word() {
            "codex" => typed(
                at,
                "event_msg",
                "task_complete",
                &json!({"turn_id": "turn", "last_agent_message": SECRET}),
            ),
            _ => self.claude(at, "system", json!({"subtype": "turn_duration", "durationMs": 41_000})),
        }
    }

    pub(crate) fn calls(&mut self, at: Timestamp, edits: bool) -> String {
        self.next += 1;
        let call = self.next;
        self.open.push(call);
        match (self.agent.word(), edits) {
            ("codex", false) => {
                let call = json!({"name": "exec_command", "arguments": json!({"cmd": SECRET}).to_string(), "call_id": format!("call-{call}")});
                typed(at, "response_item", "function_call", &call)
            }
            ("codex", true) => {
                let patch =
                    format!("*** Begin Patch\n*** Update File: {SECRET}/main.rs\n@@\n*** End Patch\n");
                let call = json!({"call_id": format!("call-{call}"), "name": "apply_patch", "input": patch, "status": "completed"});
                typed(at, "response_item", "custom_tool_call", &call)
            }
            (_, _) => {
                let (name, input) = match edits {
                    true => (
                        "Edit",
                        json!({"file_path": format!("/home/{SECRET}/main.rs"), "new_string": SECRET}),
                    ),
                    false => ("Bash", json!({"command": SECRET})),
                };
                let block =
                    json!({"type": "tool_use", "id": format!("toolu_{call}"), "name": name, "input": input});
                self.message(at, None, Some("tool_use"), &block)
            }
        }
    }

    /// The oldest open call is done.
    pub(crate) fn done(&mut self, at: Timestamp) -> String {
        if self.open.is_empty() {
            return String::new();
        }
        let call = self.open.remove(0);
        match self.agent.word() {
            "codex" => {
                let output = json!({"call_id": format!("call-{call}"), "output": SECRET});
                typed(at, "response_item", "function_call_output", &output)
            }
            _ => {
                let result =
                    json!({"type": "tool_result", "tool_use_id": format!("toolu_{call}"), "content": SECRET});
                self.claude(
                    at,
                    "user",
                    json!({"message": {"role": "user", "content": [result]}, "toolUseResult": SECRET}),
                )
            }
        }
    }

    /// A response that used this.
    pub(crate) fn uses(&mut self, at: Timestamp, used: Tokens) -> String {
        match self.agent.word() {
            "codex" => {
                self.counters = self.counters.plus(&used);
                self.sum = self.sum.plus(&used);
                self.delta = Some(used);
                self.count(at, Some(used), &[])
            }
            _ => {
                self.next += 1;
                let message = self.next;
                self.says(at, message, used)
            }
        }
    }

    /// The last response is written once more: Codex with the same counters, Claude Code with what it has used by now.
    pub(crate) fn uses_again(&mut self, at: Timestamp, more: u64) -> String {
        match self.agent.word() {
            "codex" if self.delta.is_some() => self.count(at, self.delta, &[]),
            "codex" => String::new(),
            _ => match self.messages.last_key_value() {
                Some((&message, &used)) => {
                    self.says(at, message, Tokens { output: used.output.saturating_add(more), ..used })
                }
                None => String::new(),
            },
        }
    }

    /// Codex starts its counters over, as after a compaction.
    pub(crate) fn starts_over(&mut self, at: Timestamp) -> String {
        let used = Tokens { output: 1, ..Tokens::ZERO };
        if self.agent == Agent::CLAUDE || self.counters.input == 0 || self.counters.output < 2 {
            return String::new();
        }
        self.counters = used;
        self.sum = self.sum.plus(&used);
        self.delta = Some(used);
        self.count(at, Some(used), &[])
    }

    pub(crate) fn limits(&mut self, at: Timestamp, windows: &[Window]) -> String {
        match self.agent.word() {
            "codex" => self.count(at, None, windows),
            _ => String::new(),
        }
    }

    fn says(&mut self, at: Timestamp, message: u32, used: Tokens) -> String {
        let before = self.total().unwrap_or_default();
        let rank = |tokens: &Tokens| (tokens.output, tokens.all());
        let best = self.messages.entry(message).or_insert(used);
        if rank(&used) >= rank(best) {
            *best = used;
        }
        let first = self.delta.is_none();
        self.delta = self.delta.or(Some(Tokens::ZERO));
        let added = self.total().unwrap_or_default().minus(&before);
        if first || !added.is_zero() {
            self.delta = Some(added);
        }
        self.message(at, Some((message, used)), None, &json!({"type": "text", "text": SECRET}))
    }

    fn message(
        &self,
        at: Timestamp,
        usage: Option<(u32, Tokens)>,
        stop: Option<&str>,
        block: &Value,
    ) -> String {
        let mut message = json!({
            "type": "message", "role": "assistant", "model": self.model, "content": [block], "stop_reason": stop,
        });
        if let Some((id, used)) = usage {
            message["id"] = json!(format!("msg_{}_{id}", self.id));
            message["usage"] = json!({
                "input_tokens": used.input, "cache_creation_input_tokens": used.cache_write,
                "cache_read_input_tokens": used.cached_input, "output_tokens": used.output,
            });
        }
        let request = usage.map(|(id, _)| format!("req_{}_{id}", self.id));
        self.claude(at, "assistant", json!({"message": message, "requestId": request}))
    }

    /// Codex's input includes what was cached; here it does not.
    fn count(&self, at: Timestamp, last: Option<Tokens>, windows: &[Window]) -> String {
        let json = |tokens: &Tokens| {
            json!({
                "input_tokens": tokens.input + tokens.cached_input + tokens.cache_write,
                "cached_input_tokens": tokens.cached_input, "cache_write_input_tokens": tokens.cache_write,
                "output_tokens": tokens.output, "reasoning_output_tokens": tokens.reasoning,
                "total_tokens": tokens.all(),
            })
        };
        let info = last.map(|last| {
            json!({"total_token_usage": json(&self.counters), "last_token_usage": json(&last), "model_context_window": 258_400})
        });
        let window = |window: &Window| json!({"used_percent": window.used, "window_minutes": window.minutes, "resets_at": window.resets_at.map(Timestamp::as_second)});
        let limits = (!windows.is_empty()).then(|| {
            json!({"limit_id": "codex", "primary": windows.first().map(window), "secondary": windows.get(1).map(window), "plan_type": "plus"})
        });
        typed(at, "event_msg", "token_count", &json!({"info": info, "rate_limits": limits}))
    }

    fn claude(&self, at: Timestamp, kind: &str, mut fields: Value) -> String {
        for (name, value) in [
            ("type", json!(kind)),
            ("uuid", json!(format!("{}-{}", self.id, self.next))),
            ("isSidechain", json!(false)),
            ("sessionId", json!(self.id)),
            ("cwd", json!(self.cwd)),
            ("version", json!("2.1.270")),
            ("gitBranch", json!(self.branch)),
            ("entrypoint", json!("cli")),
            ("timestamp", json!(at)),
        ] {
            fields[name] = value;
        }
        format!("{fields}\n")
    }
}

/// Codex writes the payload's type first; a map of ours would sort it in.
fn typed(at: Timestamp, outer: &str, kind: &str, payload: &Value) -> String {
    let rest = payload.to_string();
    codex(at, outer, &format!("{{\"type\":\"{kind}\",{}", rest.trim_start_matches('{')))
}

fn codex(at: Timestamp, kind: &str, payload: &str) -> String {
    format!("{{\"timestamp\":\"{at:.3}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}
