//! A Claude Code that writes its transcript: one method per line, in the shapes of 2.1.270.

use jiff::Timestamp;
use serde_json::{Value, json};

/// One session, as its writer keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Claude {
    id: String,
    /// The session that a helper belongs to.
    parent: Option<String>,
    cwd: String,
    lines: u32,
    open: Vec<String>,
}

impl Claude {
    /// A session, or `session/helper`.
    pub(crate) fn new(name: &str, cwd: &str) -> Self {
        let (parent, id) = name.split_once('/').map_or((None, name), |(of, id)| (Some(of.to_owned()), id));
        Self { id: id.to_owned(), parent, cwd: cwd.to_owned(), lines: 0, open: Vec::new() }
    }

    /// The user's prompt.
    pub(crate) fn turn(&mut self, at: Timestamp) -> String {
        self.open.clear();
        self.line(at, json!({"type": "user", "message": {"role": "user", "content": "x"}}))
    }

    /// A message that calls a tool and used this much.
    pub(crate) fn call(&mut self, at: Timestamp, tool: &str, input: u64, output: u64) -> String {
        let call = format!("toolu_{}_{}", self.id, self.lines);
        self.open.push(call.clone());
        self.message(
            at,
            &json!({"type": "tool_use", "id": call, "name": tool, "input": {}}),
            "tool_use",
            input,
            output,
        )
    }

    /// The oldest open call ends.
    pub(crate) fn done(&mut self, at: Timestamp) -> String {
        let result = json!({"type": "tool_result", "tool_use_id": self.open.remove(0), "content": "x"});
        self.line(at, json!({"type": "user", "message": {"role": "user", "content": [result]}}))
    }

    /// The last words of a turn, and its end.
    pub(crate) fn end(&mut self, at: Timestamp) -> String {
        self.last_words(at)
            + &self.line(at, json!({"type": "system", "subtype": "turn_duration", "durationMs": 1}))
    }

    /// The same while agents work on in the background.
    pub(crate) fn end_with_agents(&mut self, at: Timestamp, agents: u32) -> String {
        let end = json!({"type": "system", "subtype": "turn_duration", "durationMs": 1, "pendingBackgroundAgentCount": agents});
        self.last_words(at) + &self.line(at, end)
    }

    /// One of them is done.
    pub(crate) fn notified(&mut self, at: Timestamp) -> String {
        let message = json!({"role": "user", "content": "<task-notification>x</task-notification>"});
        self.line(at, json!({"type": "user", "message": message, "origin": {"kind": "task-notification"}}))
    }

    /// The user runs a command.
    pub(crate) fn command(&mut self, at: Timestamp) -> String {
        let message = json!({"role": "user", "content": "<bash-input>x</bash-input>"});
        self.line(at, json!({"type": "user", "message": message}))
    }

    /// It is done, and the model is to answer.
    pub(crate) fn command_done(&mut self, at: Timestamp) -> String {
        let message =
            json!({"role": "user", "content": "<bash-stdout>x</bash-stdout><bash-stderr></bash-stderr>"});
        self.line(at, json!({"type": "user", "message": message, "turnOrigin": "human"}))
    }

    /// The user presses Esc.
    pub(crate) fn interrupted(&mut self, at: Timestamp) -> String {
        let block = json!({"type": "text", "text": "[Request interrupted by user]"});
        self.line(at, json!({"type": "user", "message": {"role": "user", "content": [block]}}))
    }

    /// The last words of a turn alone.
    pub(crate) fn last_words(&mut self, at: Timestamp) -> String {
        self.open.clear();
        self.message(at, &json!({"type": "text", "text": "x"}), "end_turn", 10, 10)
    }

    fn message(&mut self, at: Timestamp, block: &Value, stop: &str, input: u64, output: u64) -> String {
        let message = json!({
            "id": format!("msg_{}_{}", self.id, self.lines), "role": "assistant", "model": "claude-opus-5",
            "content": [block], "stop_reason": stop,
            "usage": {"input_tokens": input, "output_tokens": output},
        });
        self.line(at, json!({"type": "assistant", "message": message}))
    }

    fn line(&mut self, at: Timestamp, mut fields: Value) -> String {
        self.lines += 1;
        for (name, value) in [
            ("uuid", json!(format!("{}-{}", self.id, self.lines))),
            ("sessionId", json!(self.parent.as_ref().unwrap_or(&self.id))),
            ("isSidechain", json!(self.parent.is_some())),
            ("agentId", json!(self.parent.as_ref().map(|_| &self.id))),
            ("cwd", json!(self.cwd)),
            ("version", json!("2.1.270")),
            ("entrypoint", json!("cli")),
            ("timestamp", json!(format!("{at:.3}"))),
        ] {
            fields[name] = value;
        }
        format!("{fields}\n")
    }
}
