//! A temporary home with old sessions, one that grows, and the programs that follow it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

/// Everything that is measured lives in here, and goes with it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    session: File,
    sessions: PathBuf,
    total: u64,
}

impl Home {
    /// So many sessions of the days before, and one that has just begun.
    pub(crate) fn with_old_sessions(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let now = Timestamp::now();
        for number in 1..=count {
            let hours = i64::try_from(number).unwrap_or(i64::MAX) / 4 + 30;
            let began = now - hours.hours();
            let (mut file, _) = begin(folder.path(), began, number);
            usage(&mut file, began, 1000);
            let age = Duration::from_secs(hours.unsigned_abs() * 3600);
            file.set_modified(SystemTime::now() - age).expect("a time of last change");
        }
        let (mut session, sessions) = begin(folder.path(), now, 0);
        usage(&mut session, now, 1000);
        Self { folder, session, sessions, total: 1000 }
    }

    /// Appends a usage line to the session that grows.
    pub(crate) fn append(&mut self) {
        self.total += 1000;
        usage(&mut self.session, Timestamp::now(), self.total);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The daemon as login starts it: nobody reads its standard error.
    pub(crate) fn daemon(&self, program: &Path, discord: &Path) -> Program {
        let config = format!(
            "[discord]\napplication_id = \"1234567890123456789\"\nclients = [{discord:?}]\n\
             [publish]\nsettle = \"0ms\"\nmin_interval = \"1s\"\ntokens_interval = \"1s\"\n"
        );
        fs::write(self.path("config.toml"), config).expect("a settings file");
        let mut command = Command::new(program);
        command.arg("run").env_clear().env("HOME", self.folder.path()).env("TZ", "UTC");
        command.env("CODEX_HOME", self.path("codex")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env("AGENT_PRESENCE_CONFIG", self.path("config.toml"));
        command.env("AGENT_PRESENCE_STATE_DIR", self.path("state"));
        Program::start(command)
    }

    /// The floor.
    pub(crate) fn floor(&self, program: &Path, discord: &Path) -> Program {
        let mut command = Command::new(program);
        command.arg(&self.sessions).arg(discord).env_clear();
        Program::start(command)
    }
}

/// A running program; ended when dropped.
pub(crate) struct Program(Child);

impl Program {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("could not start {command:?}: {error}")))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first lines of a session, and the folder that its file is in.
fn begin(home: &Path, began: Timestamp, number: usize) -> (File, PathBuf) {
    let id = format!("019a0000-0000-7000-8000-{number:012x}");
    let folder = home.join("codex").join(began.strftime("sessions/%Y/%m/%d").to_string());
    fs::create_dir_all(&folder).expect("a session folder");
    let path = folder.join(format!("rollout-{}-{id}.jsonl", began.strftime("%Y-%m-%dT%H-%M-%S")));
    let mut file = File::create_new(path).expect("a session file");
    let meta = json!({"id": id, "timestamp": began, "cwd": "/home/ada/app", "originator": "codex-tui",
        "cli_version": "0.160.0", "source": "cli", "git": {"branch": "main"}});
    line(&mut file, began, "session_meta", &meta);
    line(&mut file, began, "event_msg", &json!({"type": "task_started", "turn_id": "1"}));
    let context = json!({"turn_id": "1", "cwd": "/home/ada/app", "model": "gpt-5.6-sol", "effort": "high"});
    line(&mut file, began, "turn_context", &context);
    (file, folder)
}

fn usage(file: &mut File, at: Timestamp, total: u64) {
    let tokens = |input: u64| {
        json!({"input_tokens": input, "cached_input_tokens": 0, "output_tokens": 10,
            "reasoning_output_tokens": 0, "total_tokens": input + 10})
    };
    let info = json!({"total_token_usage": tokens(total), "last_token_usage": tokens(1000), "model_context_window": 258_400});
    line(file, at, "event_msg", &json!({"type": "token_count", "info": info, "rate_limits": null}));
}

fn line(file: &mut File, at: Timestamp, kind: &str, payload: &Value) {
    let line = format!("{}\n", json!({"timestamp": at, "type": kind, "payload": payload}));
    file.write_all(line.as_bytes()).expect("a line in a session file");
}
