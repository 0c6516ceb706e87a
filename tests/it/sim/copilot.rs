//! A Copilot CLI that writes its events: one method per moment, in the shapes of 1.0.102, or of 1.0.77 where it does not
//! tell what a call used.

use jiff::Timestamp;
use serde_json::{Value, json};

/// One session, as its writer keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Copilot {
    id: String,
    cwd: String,
    lines: u32,
}

impl Copilot {
    /// A session and its first line.
    pub(crate) fn new(name: &str, cwd: &str, at: Timestamp) -> (Self, String) {
        let mut new = Self { id: name.to_owned(), cwd: cwd.to_owned(), lines: 0 };
        let context = json!({"cwd": cwd, "branch": "main"});
        let begun = format!("{at:.3}");
        let first = new.line(
            at,
            "session.start",
            json!({"sessionId": name, "startTime": begun, "selectedModel": "gpt-5.6-sol", "context": context}),
        );
        (new, first)
    }

    /// The user's prompt, and the first step.
    pub(crate) fn turn(&mut self, at: Timestamp) -> String {
        self.line(at, "user.message", json!({"content": "x"})) + &self.step(at)
    }

    /// A message that calls a tool, and used this much; without its input only its output is told.
    pub(crate) fn runs(&mut self, at: Timestamp, input: Option<u64>, output: u64) -> String {
        let calls = json!([{"toolCallId": "t", "name": "bash"}]);
        self.message(at, input, output, &calls)
            + &self.line(at, "tool.execution_start", json!({"toolCallId": "t", "toolName": "bash"}))
    }

    /// The user is asked for leave.
    pub(crate) fn asks(&mut self, at: Timestamp) -> String {
        self.line(
            at,
            "permission.requested",
            json!({"requestId": "r", "permissionRequest": {"toolCallId": "t"}}),
        )
    }

    pub(crate) fn answered(&mut self, at: Timestamp) -> String {
        self.line(at, "permission.completed", json!({"requestId": "r"}))
    }

    /// The tool is done, and the next step begins.
    pub(crate) fn done(&mut self, at: Timestamp) -> String {
        self.line(at, "tool.execution_complete", json!({"toolCallId": "t", "success": true}))
            + &self.line(at, "assistant.turn_end", json!({}))
            + &self.step(at)
    }

    /// The last message of a turn.
    pub(crate) fn end(&mut self, at: Timestamp, input: Option<u64>, output: u64) -> String {
        self.message(at, input, output, &json!([])) + &self.line(at, "assistant.turn_end", json!({}))
    }

    /// The user presses Esc.
    pub(crate) fn breaks(&mut self, at: Timestamp) -> String {
        self.line(at, "assistant.turn_end", json!({}))
            + &self.line(at, "abort", json!({"reason": "user_initiated"}))
    }

    /// The process ends, and tells what the session has used.
    pub(crate) fn exits(&mut self, at: Timestamp, input: u64, output: u64) -> String {
        let usage = json!({"inputTokens": input, "outputTokens": output});
        self.line(at, "session.shutdown", json!({"modelMetrics": {"gpt-5.6-sol": {"usage": usage}}}))
    }

    /// Another process goes on.
    pub(crate) fn resumes(&mut self, at: Timestamp) -> String {
        let context = json!({"cwd": self.cwd, "branch": "main"});
        self.line(at, "session.resume", json!({"context": context}))
    }

    fn step(&mut self, at: Timestamp) -> String {
        self.line(at, "assistant.turn_start", json!({}))
    }

    fn message(&mut self, at: Timestamp, input: Option<u64>, output: u64, calls: &Value) -> String {
        let model = "gpt-5.6-sol";
        let usage = json!({"model": model, "inputTokens": input, "outputTokens": output});
        let record = input.map(|_| self.line(at, "session.usage_record", json!({"usage": usage})));
        let told = if record.is_none() { json!(output) } else { Value::Null };
        let message = json!({"model": model, "content": "x", "toolRequests": calls, "outputTokens": told});
        record.unwrap_or_default() + &self.line(at, "assistant.message", message)
    }

    fn line(&mut self, at: Timestamp, kind: &str, data: Value) -> String {
        self.lines += 1;
        let id = format!("{}-{}", self.id, self.lines);
        let line = json!({"type": kind, "data": data, "id": id, "timestamp": format!("{at:.3}")});
        format!("{line}\n")
    }
}
