//! A Claude Code that writes its transcript: one method per line, in the shapes of 2.1.270.

use jiff::Timestamp;
use serde_json::{Value, json};

/// One session, as its writer keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Claude {
    id: String,
    cwd: String,
    lines: u32,
    open: Vec<String>,
}

impl Claude {
    pub(crate) fn new(id: &str, cwd: &str) -> Self {
        Self { id: id.to_owned(), cwd: cwd.to_owned(), lines: 0, open: Vec::new() }
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
        self.open.clear();
        self.message(at, &json!({"type": "text", "text": "x"}), "end_turn", 10, 10)
            + &self.line(at, json!({"type": "system", "subtype": "turn_duration", "durationMs": 1}))
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
            ("sessionId", json!(self.id)),
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
