//! A Claude Code session that is being written now, in the shapes of 2.1.270.
//!
//! Each line is one write, stamped with the present. Content stands where Claude Code puts it, as [`SECRET`].

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use agent_presence::io::clock;
use serde_json::{Value, json};

use super::SECRET;

const MODEL: &str = "claude-opus-5";

/// One session, or one of its helpers, and its file.
#[derive(Clone)]
pub(crate) struct ClaudeSession {
    /// The session's id, or the helper's.
    pub(crate) id: String,
    /// Where its file is.
    pub(crate) path: PathBuf,
    /// The session that a helper belongs to.
    session: String,
    helper: bool,
    calls: u32,
    /// What its messages say they are of.
    pub(crate) model: &'static str,
    /// The session that its process began with, where its lines say that.
    pub(crate) process: Option<String>,
}

impl ClaudeSession {
    /// A session that begins now, below Claude Code's home folder.
    pub(crate) fn begin(claude_home: &Path) -> Self {
        let id = id();
        let path = claude_home.join("projects/-home-app").join(format!("{id}.jsonl"));
        Self { session: id.clone(), id, path, helper: false, calls: 0, model: MODEL, process: None }
    }

    /// A helper of this session; `folder` is where below the session's own folder its file is.
    pub(crate) fn helper(&self, folder: &str) -> Self {
        let id = id().replace('-', "");
        let path = self.path.with_extension("").join(folder).join(format!("agent-{id}.jsonl"));
        Self { id, path, session: self.session.clone(), helper: true, calls: 0, model: MODEL, process: None }
    }

    /// A new session with everything of this one copied into it; each line says so if it `says_so`.
    pub(crate) fn fork(&self, says_so: bool) -> Self {
        let id = id();
        let path = self.path.with_file_name(format!("{id}.jsonl"));
        let copy = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["sessionId"] = json!(id);
            if says_so {
                line["forkedFrom"] = json!({"sessionId": self.id, "messageUuid": line["uuid"]});
            }
            format!("{line}\n")
        };
        let copied: String = fs::read_to_string(&self.path).unwrap().lines().map(copy).collect();
        fs::write(&path, copied).unwrap();
        Self {
            session: id.clone(),
            id,
            path,
            helper: false,
            calls: self.calls,
            model: self.model,
            process: None,
        }
    }

    /// The same file once more, as when a user copies the whole folder of a project.
    pub(crate) fn copied(&self) -> Self {
        self.copied_to(&self.path.parent().unwrap().with_file_name("-home-copy"))
    }

    pub(crate) fn copied_to(&self, folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(self.path.file_name().unwrap());
        fs::copy(&self.path, &path).unwrap();
        Self { path, ..self.clone() }
    }

    /// The same conversation goes on in another file, whose lines go on naming this one.
    pub(crate) fn under_another_name(&self) -> Self {
        let id = id();
        let path = self.path.with_file_name(format!("{id}.jsonl"));
        fs::copy(&self.path, &path).unwrap();
        Self { id, path, ..self.clone() }
    }

    /// The user's prompt: a turn begins.
    pub(crate) fn turn(&mut self) -> &mut Self {
        self.line("user", json!({"message": {"role": "user", "content": SECRET}}))
    }

    /// A message of the model that runs a command and cost so many tokens as the card counts them.
    pub(crate) fn call(&mut self, blended: u64) -> &mut Self {
        self.calls += 1;
        let call = json!({"type": "tool_use", "id": format!("toolu_{}", self.calls), "name": "Bash", "input": {"command": SECRET}});
        self.message(&id(), &call, "tool_use", blended)
    }

    /// The command is done.
    pub(crate) fn call_done(&mut self) -> &mut Self {
        let result =
            json!({"type": "tool_result", "tool_use_id": format!("toolu_{}", self.calls), "content": SECRET});
        self.line("user", json!({"message": {"role": "user", "content": [result]}, "toolUseResult": SECRET}))
    }

    /// The last message of a turn, at that cost.
    pub(crate) fn end(&mut self, blended: u64) -> &mut Self {
        self.message(&id(), &json!({"type": "text", "text": SECRET}), "end_turn", blended);
        self.line("system", json!({"subtype": "turn_duration", "durationMs": 41_000}))
    }

    /// Moves the file to another project's folder, as `/cd` does; it goes on growing there.
    pub(crate) fn relocate(&mut self) -> &mut Self {
        let folder = self.path.parent().unwrap().with_file_name("-home-other");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(self.path.file_name().unwrap());
        fs::rename(&self.path, &path).unwrap();
        self.path = path;
        self
    }

    /// One line of one message; a tenth of the cost is output.
    fn message(&mut self, id: &str, block: &Value, stop: &str, blended: u64) -> &mut Self {
        let output = blended / 10;
        let usage = json!({
            "input_tokens": blended - output,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 10_000,
            "output_tokens": output,
            "service_tier": "standard",
        });
        let message = json!({
            "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": self.model,
            "content": [block], "stop_reason": stop, "stop_sequence": null, "usage": usage,
        });
        self.line("assistant", json!({"requestId": format!("req_{id}"), "message": message}))
    }

    fn line(&mut self, kind: &str, mut fields: Value) -> &mut Self {
        let at = clock::now().wall.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        for (name, value) in [
            ("type", json!(kind)),
            ("uuid", json!(id())),
            ("parentUuid", Value::Null),
            ("isSidechain", json!(self.helper)),
            ("sessionId", json!(self.session)),
            ("cwd", json!(format!("/home/{SECRET}/app"))),
            ("version", json!("2.1.270")),
            ("gitBranch", json!("main")),
            ("entrypoint", json!("cli")),
            ("timestamp", json!(at)),
        ] {
            fields[name] = value;
        }
        if let Some(process) = &self.process {
            fields["session_id"] = json!(process);
        }
        if self.helper {
            fields["agentId"] = json!(self.id);
        }
        fs::create_dir_all(self.path.parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        file.write_all(format!("{fields}\n").as_bytes()).unwrap();
        self
    }
}

/// A UUID that no other one in this run has.
fn id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("c1a0de00-0000-4000-8000-{:012x}", NEXT.fetch_add(1, Ordering::Relaxed))
}
