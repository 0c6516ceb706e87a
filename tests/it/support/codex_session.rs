//! A Codex session that is being written now, in the shapes of 0.160.
//!
//! Each line is one write, stamped with the present. Content stands where Codex puts it, as [`SECRET`].

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agent_presence::io::clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::SECRET;

/// Tokens as Codex counts them: `input` includes `cached`, `output` includes `reasoning`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// One session and its file.
pub(crate) struct CodexSession {
    /// The session's id.
    pub(crate) id: String,
    /// When it began, in whole milliseconds.
    pub(crate) started_at: Timestamp,
    /// Where its file is.
    pub(crate) path: PathBuf,
    file: File,
    ordinal: u64,
    turn: String,
    calls: u32,
    total: Spent,
    model: &'static str,
    /// What its usage events say of the account.
    limits: Value,
}

impl CodexSession {
    /// A session that began ten minutes ago, below Codex's home folder.
    pub(crate) fn begin(codex_home: &Path) -> Self {
        let now = clock::now().wall;
        let started_at = Timestamp::from_millisecond(now.as_millisecond() - 600_000).unwrap();
        let id = id(started_at);
        let folder = codex_home.join(started_at.strftime("sessions/%Y/%m/%d").to_string());
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("rollout-{}-{id}.jsonl", started_at.strftime("%Y-%m-%dT%H-%M-%S")));
        let file = OpenOptions::new().append(true).create_new(true).open(&path).unwrap();
        let mut session = Self {
            id: id.clone(),
            started_at,
            path,
            file,
            ordinal: 0,
            turn: String::new(),
            calls: 0,
            total: Spent::default(),
            model: "gpt-5.6-sol",
            limits: Value::Null,
        };
        let meta = json!({
            "session_id": id,
            "id": id,
            "timestamp": started_at,
            "cwd": format!("/home/{SECRET}/app"),
            "originator": "codex-tui",
            "cli_version": "0.160.0",
            "source": "cli",
            "thread_source": "user",
            "model_provider": "openai",
            "base_instructions": {"text": SECRET},
            "creator_user_id": SECRET,
            "history_mode": "paginated",
            "git": {"commit_hash": "0f3c9a1e", "branch": "main", "repository_url": format!("https://{SECRET}@example.com/o/app.git")},
        });
        session.line("session_meta", &meta);
        session
    }

    /// From the next turn on, this model.
    pub(crate) fn model(&mut self, model: &'static str) -> &mut Self {
        self.model = model;
        self
    }

    /// From the next usage event on, these used percentages of the five-hour and the weekly window.
    pub(crate) fn limits(&mut self, five_hours: f64, weekly: f64) -> &mut Self {
        let now = clock::now().wall.as_second();
        self.limits = json!({
            "limit_id": "codex",
            "limit_name": null,
            "primary": {"used_percent": five_hours, "window_minutes": 300, "resets_at": now + 3 * 3600},
            "secondary": {"used_percent": weekly, "window_minutes": 10080, "resets_at": now + 3 * 86400},
            "credits": {"has_credits": false, "unlimited": false, "balance": "0"},
            "plan_type": "plus",
            "rate_limit_reached_type": null,
        });
        self
    }

    /// The user's prompt: a turn begins.
    pub(crate) fn turn(&mut self) -> &mut Self {
        self.turn = id(clock::now().wall);
        let started = json!({
            "type": "task_started",
            "turn_id": self.turn,
            "started_at": clock::now().wall.as_second(),
            "model_context_window": 258_400,
        });
        self.line("event_msg", &started);
        let context = json!({
            "turn_id": self.turn,
            "cwd": format!("/home/{SECRET}/app"),
            "approval_policy": "on-request",
            "sandbox_policy": {"type": "workspace-write"},
            "model": self.model,
            "effort": "high",
            "summary": "auto",
        });
        self.line("turn_context", &context);
        let prompt =
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": SECRET}]});
        self.line("response_item", &prompt)
    }

    /// The agent runs a command.
    pub(crate) fn call(&mut self) -> &mut Self {
        self.calls += 1;
        let arguments = json!({"cmd": format!("cargo test {SECRET}")}).to_string();
        let call = json!({
            "type": "function_call",
            "name": "exec_command",
            "arguments": arguments,
            "call_id": format!("call_{}", self.calls),
        });
        self.line("response_item", &call)
    }

    /// The command is done.
    pub(crate) fn call_done(&mut self) -> &mut Self {
        let call_id = format!("call_{}", self.calls);
        self.line(
            "response_item",
            &json!({"type": "function_call_output", "call_id": call_id, "output": SECRET}),
        )
    }

    /// A response of the model that cost this much.
    pub(crate) fn usage(&mut self, spent: Spent) -> &mut Self {
        let total = &mut self.total;
        total.input += spent.input;
        total.cached += spent.cached;
        total.output += spent.output;
        total.reasoning += spent.reasoning;
        let count = json!({
            "type": "token_count",
            "info": {
                "total_token_usage": self.total.as_json(),
                "last_token_usage": spent.as_json(),
                "model_context_window": 258_400,
            },
            "rate_limits": self.limits,
        });
        self.line("event_msg", &count)
    }

    /// A response of the model that cost so many tokens as the card counts them, most of them beyond a cache.
    pub(crate) fn tokens(&mut self, blended: u64) -> &mut Self {
        let output = blended / 10;
        self.usage(Spent { input: 10_000 + blended - output, cached: 10_000, output, reasoning: 0 })
    }

    /// The turn is over.
    pub(crate) fn end(&mut self) -> &mut Self {
        let end = json!({"type": "task_complete", "turn_id": self.turn, "last_agent_message": SECRET});
        self.line("event_msg", &end)
    }

    /// Cuts the file down to nothing, as no agent should.
    pub(crate) fn truncate(&mut self) -> &mut Self {
        self.file.set_len(0).unwrap();
        self
    }

    /// Writes these bytes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.file.write_all(bytes).unwrap();
        self
    }

    /// Deletes its file, which must be closed: on Windows an open one may stay.
    pub(crate) fn delete(self) {
        drop(self.file);
        fs::remove_file(self.path).unwrap();
    }

    /// Moves the file where Codex moves what the user archives; it goes on growing there.
    pub(crate) fn archive(&mut self, codex_home: &Path) -> &mut Self {
        let folder = codex_home.join("archived_sessions");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(self.path.file_name().unwrap());
        fs::rename(&self.path, &path).unwrap();
        self.path = path;
        self
    }

    /// When the session's timer began to count, as a card carries it.
    pub(crate) fn timer(&self) -> Value {
        json!(self.started_at.as_millisecond())
    }

    fn line(&mut self, kind: &str, payload: &Value) -> &mut Self {
        let at = clock::now().wall.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let line = json!({"timestamp": at, "ordinal": self.ordinal, "type": kind, "payload": payload});
        self.ordinal += 1;
        self.raw(format!("{line}\n").as_bytes())
    }
}

impl Spent {
    fn as_json(self) -> Value {
        json!({
            "input_tokens": self.input,
            "cached_input_tokens": self.cached,
            "cache_write_input_tokens": 0,
            "output_tokens": self.output,
            "reasoning_output_tokens": self.reasoning,
            "total_tokens": self.input + self.output,
        })
    }
}

/// A version 7 UUID: the time, and a number that no other one in this run has.
fn id(at: Timestamp) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let time = Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap().as_millis();
    format!("{:08x}-{:04x}-7000-8000-{number:012x}", time >> 16, time & 0xffff)
}
