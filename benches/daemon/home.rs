//! A temporary home with old sessions and live ones, and the programs that follow it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use jiff::{Timestamp, ToSpan};

use crate::corpus::{Corpus, Used, stamped};

/// Lines that are written during a measurement have no images.
const LONGEST: usize = 500_000;

/// Everything that is measured lives in here, and goes with it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    began: Timestamp,
    old: Vec<PathBuf>,
    live: Vec<Live>,
}

/// A session that grows.
pub(crate) struct Live {
    path: PathBuf,
    file: File,
    used: Used,
    /// What it writes next, the first last.
    ahead: Vec<(&'static str, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("agent-presence-bench-").tempdir();
        let folder = folder.expect("a temporary folder");
        // A settings file that is named has to be there.
        fs::write(folder.path().join("config.toml"), "").expect("a settings file");
        Self { folder, began: Timestamp::now(), old: Vec::new(), live: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn day(&self, at: Timestamp) -> PathBuf {
        self.path("codex").join(at.strftime("sessions/%Y/%m/%d").to_string())
    }

    fn session(&self, number: usize, began: Timestamp) -> (PathBuf, String) {
        let folder = self.day(began);
        fs::create_dir_all(&folder).expect("a session folder");
        let id = format!("019a0000-0000-7000-8000-{number:012x}");
        (folder.join(format!("rollout-{}-{id}.jsonl", began.strftime("%Y-%m-%dT%H-%M-%S"))), id)
    }

    /// So many sessions of the days before, each of about so many bytes.
    pub(crate) fn add_old(&mut self, corpus: &mut Corpus, count: usize, size: usize) {
        const TEMPLATES: usize = 16;
        let templates: Vec<Vec<u8>> = (0..count.min(TEMPLATES))
            .map(|_| {
                let mut bytes = Vec::new();
                corpus.codex("ID", self.began - 2000.hours(), size, &mut bytes);
                bytes
            })
            .collect();
        for _ in 0..count {
            let number = self.old.len() + 1;
            let hours = i64::try_from(number).unwrap_or(i64::MAX) / 4 + 30;
            let began = self.began - hours.hours();
            let (path, id) = self.session(number, began);
            let mut file = File::create_new(&path).expect("a session file");
            self.old.push(path);
            // Only the first line is its own; so writing costs little more than the disk does.
            let meta = stamped(
                began,
                "session_meta",
                &format!(
                    r#"{{"id":"{id}","timestamp":"{began}","cwd":"/home/ada/app","originator":"codex-tui","source":"cli"}}"#
                ),
            );
            file.write_all(meta.as_bytes()).expect("a line in a session file");
            let template = &templates[number % templates.len()];
            let rest = memchr::memchr(b'\n', template).map_or(0, |end| end + 1);
            file.write_all(&template[rest..]).expect("lines in a session file");
            let age = Duration::from_secs(hours.unsigned_abs() * 3600);
            file.set_modified(SystemTime::now() - age).expect("a time of last change");
        }
        self.age_folders();
    }

    /// The folders of old sessions are old too: of one that has just changed the daemon does not know whether it changes
    /// once more within the same tick of its file system, and lists it once more.
    fn age_folders(&self) {
        let folders: BTreeSet<&Path> = self.old.iter().filter_map(|path| path.parent()).collect();
        for folder in folders {
            let folder = File::open(folder).expect("a session folder");
            folder
                .set_modified(SystemTime::now() - Duration::from_secs(3600))
                .expect("a time of last change");
        }
    }

    /// Another name for every old session, in other folders.
    pub(crate) fn link_old(&mut self) {
        for path in self.old.clone() {
            let number = self.old.len() + 1;
            let hours = i64::try_from(number).unwrap_or(i64::MAX) / 4 + 30;
            let (link, _) = self.session(number, self.began - hours.hours());
            fs::hard_link(path, &link).expect("a second name for a session file");
            self.old.push(link);
        }
        self.age_folders();
    }

    /// No session is live any more.
    pub(crate) fn remove_live(&mut self) {
        for live in self.live.drain(..) {
            fs::remove_file(live.path).expect("a session file");
        }
    }

    /// A session of now, of about so many bytes.
    pub(crate) fn add_live(&mut self, corpus: &mut Corpus, size: usize) -> Used {
        // Its lines are of the past, at the pace at which they were made.
        let began = self.began - i64::try_from(size / 1000).unwrap_or(i64::MAX).seconds();
        let (path, id) = self.session(1_000_000 + self.live.len(), self.began);
        let mut bytes = Vec::new();
        let mut used = corpus.codex(&id, began, size, &mut bytes);
        let turn = corpus.codex_turn(&mut used);
        let turn = turn.iter().filter(|(_, payload)| payload.len() < LONGEST);
        bytes.extend(turn.flat_map(|(kind, payload)| stamped(self.began, kind, payload).into_bytes()));
        let mut file = File::create_new(&path).expect("a session file");
        file.write_all(&bytes).expect("lines in a session file");
        self.live.push(Live { path, file, used, ahead: Vec::new() });
        used
    }

    pub(crate) fn live(&mut self) -> &mut [Live] {
        &mut self.live
    }

    /// The daemon as login starts it: its standard error is not read.
    pub(crate) fn daemon(&self, program: &Path, discord: &Path) -> Program {
        self.daemon_with(program, discord, "")
    }

    /// One that listens to the same program in `far`, as to another machine, and reads nothing itself.
    pub(crate) fn listener(&self, program: &Path, discord: &Path, far: &Self) -> Program {
        let command = far.command(program);
        let variables =
            command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
        let variables = variables.map(|(name, value)| format!("{name}={value}"));
        let words = ["/usr/bin/env", "-i"].map(str::to_owned).into_iter().chain(variables);
        let program_there = program.to_str().expect("a path that can be written").to_owned();
        let arguments = ["watch", "--json", "--alive", "60s"].map(str::to_owned);
        let words: Vec<String> = words.chain([program_there]).chain(arguments).collect();
        self.daemon_with(program, discord, &format!("[[remote]]\nname = \"far\"\ncommand = {words:?}\n"))
    }

    fn daemon_with(&self, program: &Path, discord: &Path, more: &str) -> Program {
        let config = format!(
            "[discord]\napplication_id = \"1234567890123456789\"\nclients = [{discord:?}]\n\
             [publish]\nsettle = \"0ms\"\nmin_interval = \"1s\"\ntokens_interval = \"1s\"\n{more}"
        );
        fs::write(self.path("config.toml"), config).expect("a settings file");
        let mut command = self.command(program);
        command.arg("run");
        Program::start(command)
    }

    /// The program with nothing but this home around it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.folder.path()).env("TZ", "UTC");
        command.env("CODEX_HOME", self.path("codex")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env("CLAUDE_CONFIG_DIR", self.path("claude"));
        command.env("AGENT_PRESENCE_CONFIG", self.path("config.toml"));
        command.env("AGENT_PRESENCE_STATE_DIR", self.path("state"));
        command
    }

    /// The floor.
    pub(crate) fn floor(&self, program: &Path, discord: &Path) -> Program {
        let mut command = Command::new(program);
        command.arg(self.path("codex/sessions")).arg(discord).env_clear();
        Program::start(command)
    }
}

impl Live {
    /// Appends a usage line.
    pub(crate) fn append_usage(&mut self, corpus: &mut Corpus) {
        let turn = corpus.codex_turn(&mut self.used);
        let usage = turn.iter().find(|(_, payload)| payload.contains(r#"{"type":"token_count""#));
        let (kind, payload) = usage.expect("a turn has usage");
        self.write(kind, payload);
    }

    /// Appends the next line of a working session; lines of images are left out.
    pub(crate) fn append(&mut self, corpus: &mut Corpus) {
        while self.ahead.is_empty() {
            self.ahead = corpus.codex_turn(&mut self.used);
            self.ahead.retain(|(_, payload)| payload.len() < LONGEST);
            self.ahead.reverse();
        }
        if let Some((kind, payload)) = self.ahead.pop() {
            self.write(kind, &payload);
        }
    }

    /// Appends what is there again and again, as far as a file of so many bytes.
    pub(crate) fn repeat(&mut self, size: usize) {
        let bytes = fs::read(&self.path).expect("a session file");
        let rest = memchr::memchr(b'\n', &bytes).map_or(0, |end| end + 1);
        for _ in 0..size / bytes.len() {
            self.file.write_all(&bytes[rest..]).expect("lines in a session file");
        }
    }

    /// Appends a tool's output of so many bytes, in one line.
    pub(crate) fn append_output(&mut self, size: usize) {
        let output = "x".repeat(size);
        self.write(
            "response_item",
            &format!(r#"{{"type":"function_call_output","call_id":"1","output":"{output}"}}"#),
        );
    }

    fn write(&mut self, kind: &str, payload: &str) {
        let line = stamped(Timestamp::now(), kind, payload);
        self.file.write_all(line.as_bytes()).expect("a line in a session file");
    }
}

/// A running program; ended when dropped.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
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
