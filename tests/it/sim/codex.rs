//! A Codex that writes its session file: one method per line, in the exact form of 0.160.

use jiff::Timestamp;
use serde_json::{Value, json};

/// What the counters of a thread stand at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl Counters {
    fn plus(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            cached: self.cached + other.cached,
            output: self.output + other.output,
            reasoning: self.reasoning + other.reasoning,
        }
    }

    /// Codex's input includes what was cached; here it does not.
    fn json(self) -> Value {
        json!({
            "input_tokens": self.input + self.cached, "cached_input_tokens": self.cached,
            "cache_write_input_tokens": 0, "output_tokens": self.output,
            "reasoning_output_tokens": self.reasoning,
            "total_tokens": self.input + self.cached + self.output,
        })
    }
}

/// One rate-limit window of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) minutes: u64,
    pub(crate) used: f64,
    pub(crate) resets_at: Option<Timestamp>,
}

/// The limits of a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) family: Option<String>,
    pub(crate) reached: bool,
    pub(crate) windows: Vec<Window>,
}

impl Limits {
    fn json(&self) -> Value {
        let window = |window: &Window| {
            let resets_at = window.resets_at.map(Timestamp::as_second);
            json!({"used_percent": window.used, "window_minutes": window.minutes, "resets_at": resets_at})
        };
        json!({
            "limit_id": self.family.as_deref().unwrap_or("codex"), "limit_name": self.family,
            "primary": self.windows.first().map(window), "secondary": self.windows.get(1).map(window),
            "credits": null, "plan_type": "plus",
            "rate_limit_reached_type": self.reached.then_some("rate_limit_reached"),
        })
    }
}

/// A tool call as the agent writes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tool {
    Command(String),
    Patch(String),
    Spawn,
    Ask,
}

/// Who a session is.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) id: String,
    pub(crate) cwd: String,
    pub(crate) branch: String,
    /// `cli`, `exec`, or the session that started this one.
    pub(crate) source: Source,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Cli,
    Exec,
    SubAgentOf(String),
}

/// One session, as its writer keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Codex {
    pub(crate) about: About,
    pub(crate) total: Counters,
    turns: u32,
    calls: u32,
    open: Vec<String>,
}

impl Codex {
    pub(crate) fn new(about: About) -> Self {
        Self { about, total: Counters::default(), turns: 0, calls: 0, open: Vec::new() }
    }

    pub(crate) fn meta(&self, at: Timestamp) -> String {
        let (source, originator) = match &self.about.source {
            Source::Cli => (json!("cli"), "codex-tui"),
            Source::Exec => (json!("exec"), "codex_exec"),
            Source::SubAgentOf(parent) => {
                (json!({"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}}), "codex-tui")
            }
        };
        let parent = match &self.about.source {
            Source::SubAgentOf(parent) => Some(parent),
            _ => None,
        };
        let payload = json!({
            "id": self.about.id, "timestamp": at, "cwd": self.about.cwd, "originator": originator,
            "cli_version": "0.160.0", "source": source, "git": {"branch": self.about.branch},
            "parent_thread_id": parent,
        });
        line(at, "session_meta", &payload.to_string())
    }

    pub(crate) fn context(&self, at: Timestamp, model: &str) -> String {
        let payload = json!({"cwd": self.about.cwd, "model": model, "effort": "high", "summary": "auto"});
        line(at, "turn_context", &payload.to_string())
    }

    pub(crate) fn turn(&mut self, at: Timestamp) -> String {
        self.turns += 1;
        self.open.clear();
        let turn = format!("turn-{}", self.turns);
        event(at, "task_started", &json!({"turn_id": turn, "model_context_window": 258_400}))
    }

    pub(crate) fn end(&mut self, at: Timestamp) -> String {
        self.open.clear();
        event(at, "task_complete", &json!({"turn_id": format!("turn-{}", self.turns)}))
    }

    pub(crate) fn abort(&mut self, at: Timestamp) -> String {
        self.open.clear();
        event(
            at,
            "turn_aborted",
            &json!({"turn_id": format!("turn-{}", self.turns), "reason": "interrupted"}),
        )
    }

    pub(crate) fn call(&mut self, at: Timestamp, tool: &Tool) -> String {
        self.calls += 1;
        let call = format!("call-{}", self.calls);
        self.open.push(call.clone());
        let function = |name: &str, arguments: Value| {
            item(
                at,
                "function_call",
                &json!({"name": name, "arguments": arguments.to_string(), "call_id": call}),
            )
        };
        match tool {
            Tool::Command(command) => function("exec_command", json!({"cmd": command})),
            Tool::Spawn => function("spawn_agent", json!({"message": "look"})),
            Tool::Ask => function("request_user_input", json!({"question": "which?"})),
            Tool::Patch(file) => {
                let input = format!("*** Begin Patch\n*** Update File: {file}\n@@\n*** End Patch\n");
                let payload =
                    json!({"call_id": call, "name": "apply_patch", "input": input, "status": "completed"});
                item(at, "custom_tool_call", &payload)
            }
        }
    }

    /// The oldest open call ends; `None` when none is open.
    pub(crate) fn done(&mut self, at: Timestamp) -> Option<String> {
        if self.open.is_empty() {
            return None;
        }
        let call = self.open.remove(0);
        Some(item(at, "function_call_output", &json!({"call_id": call, "output": "ok"})))
    }

    pub(crate) fn reasoning(&self, at: Timestamp) -> String {
        item(at, "reasoning", &json!({"summary": [], "encrypted_content": "x"}))
    }

    /// A response that used this much.
    pub(crate) fn usage(&mut self, at: Timestamp, last: Counters, limits: Option<&Limits>) -> String {
        self.total = self.total.plus(last);
        self.count(at, Some(last), limits)
    }

    /// A line with the counters as they stand, which says nothing new of them.
    pub(crate) fn count(&self, at: Timestamp, last: Option<Counters>, limits: Option<&Limits>) -> String {
        let info = last.map(|last| {
            json!({
                "total_token_usage": self.total.json(), "last_token_usage": last.json(),
                "model_context_window": 258_400,
            })
        });
        event(at, "token_count", &json!({"info": info, "rate_limits": limits.map(Limits::json)}))
    }
}

fn event(at: Timestamp, kind: &str, payload: &Value) -> String {
    typed(at, "event_msg", kind, payload)
}

fn item(at: Timestamp, kind: &str, payload: &Value) -> String {
    typed(at, "response_item", kind, payload)
}

/// Codex writes the payload's type first; a map of ours would sort it in.
fn typed(at: Timestamp, outer: &str, kind: &str, payload: &Value) -> String {
    let rest = payload.to_string();
    line(at, outer, &format!("{{\"type\":\"{kind}\",{}", rest.strip_prefix('{').unwrap()))
}

fn line(at: Timestamp, kind: &str, payload: &str) -> String {
    format!("{{\"timestamp\":\"{at:.3}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}
