//! A user's folders, all of them temporary, and the real program in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_presence::io::clock;
use serde_json::Value;

use super::claude_session::ClaudeSession;
use super::codex_session::CodexSession;
use super::fake_discord::endpoint;
use super::process::{Ended, Process};
use super::{PATIENCE, SECRET};

/// An application id as Discord gives them.
pub(crate) const APPLICATION: &str = "1234567890123456789";

/// A user with settings, session files, a state folder and a runtime folder in which Discord listens.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    variables: BTreeMap<&'static str, String>,
}

impl Home {
    /// A user who wants cards at [`Home::discord`] alone, as soon as the program allows it.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut home = Self { folder, variables: BTreeMap::new() };
        home.clients(&[home.discord()]);
        home.set("AGENT_PRESENCE_APPLICATION_ID", APPLICATION);
        home
    }

    /// Sets an environment variable for what is started from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.insert(name, value.into());
    }

    /// Unsets one.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Settings that name these clients, with quick intervals.
    ///
    /// The clients are always named: a developer's own Discord must not be found.
    pub(crate) fn clients(&mut self, sockets: &[PathBuf]) {
        let sockets: Vec<String> = sockets.iter().map(|path| endpoint(path)).collect();
        self.settings(&format!(
            "[discord]\nclients = {sockets:?}\n[publish]\nsettle = \"0ms\"\nmin_interval = \"1s\"\ntokens_interval = \"1s\"\n"
        ));
    }

    /// Writes the settings file.
    pub(crate) fn settings(&self, text: &str) {
        fs::write(self.config(), text).unwrap();
    }

    /// The settings file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// The state folder; the program makes it.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Codex's home folder, made with the first session.
    pub(crate) fn codex(&self) -> PathBuf {
        self.path("home/.codex")
    }

    /// Claude Code's home folder, made with the first session.
    pub(crate) fn claude(&self) -> PathBuf {
        self.path("home/.claude")
    }

    /// A Claude Code session that begins now; see [`ClaudeSession`].
    pub(crate) fn claude_session(&self) -> ClaudeSession {
        ClaudeSession::begin(&self.claude())
    }

    /// Where the socket of the usual Discord is.
    pub(crate) fn discord(&self) -> PathBuf {
        endpoint(&self.path("run/discord-ipc-0")).into()
    }

    /// Something below the user's temporary folder.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A Codex session that began ten minutes ago; see [`CodexSession`].
    pub(crate) fn session(&self) -> CodexSession {
        CodexSession::begin(&self.codex())
    }

    /// The program with these arguments, divided by spaces, and with nothing of the real environment.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent-presence"));
        command.args(arguments.split_whitespace()).env_clear().current_dir(self.folder.path());
        // Windows starts no program without it.
        command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
        let places = [
            ("HOME", self.path("home")),
            ("XDG_RUNTIME_DIR", self.path("run")),
            ("AGENT_PRESENCE_CONFIG", self.config()),
            ("AGENT_PRESENCE_STATE_DIR", self.state()),
            ("CODEX_HOME", self.codex()),
            ("CLAUDE_CONFIG_DIR", self.path("home/.claude")),
        ];
        if cfg!(windows) {
            // There the user's own home is not asked of the environment.
            let homes = [
                ("COPILOT_HOME", "home/.copilot"),
                ("GEMINI_CLI_HOME", "home"),
                ("PI_CODING_AGENT_DIR", "home/.pi/agent"),
                ("QWEN_HOME", "home/.qwen"),
                ("XDG_DATA_HOME", "home/.local/share"),
            ];
            command.envs(homes.map(|(name, place)| (name, self.path(place))));
        }
        command.env("TZ", "UTC").envs(places).envs(&self.variables);
        command
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &str) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &str) -> Ended {
        self.start(arguments).wait_for_end()
    }

    /// Runs the program, which must succeed, and gives its standard output.
    #[track_caller]
    pub(crate) fn output(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.out
    }

    /// What `status --json` says.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.output("status --json")).unwrap()
    }

    /// Asks `status --json` until the daemon says what is `wanted`. Where none answers, `status` reads the files itself,
    /// which does not tell what a daemon has read.
    #[track_caller]
    pub(crate) fn wait_for_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for_any_status(what, |status| status["daemon"]["state"] == "running" && wanted(status))
    }

    /// Asks `status --json` until it says what is `wanted`, also without a daemon that answers.
    #[track_caller]
    pub(crate) fn wait_for_any_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = clock::now().mono;
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(clock::now().mono < start + PATIENCE, "waited in vain for {what}: {status:#}");
        }
    }

    /// Every file and folder with its size, its time and its content: what must not change where nothing may.
    pub(crate) fn snapshot(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.folder.path(), &mut |path| {
            let metadata = fs::symlink_metadata(path).unwrap();
            let content = if metadata.is_file() { fs::read(path).unwrap() } else { Vec::new() };
            let content = String::from_utf8_lossy(&content);
            found.push(format!("{} {:?} {content}", path.display(), metadata.modified().unwrap()));
        });
        found
    }
}

impl Drop for Home {
    /// Session files are the only ones that may hold content.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for folder in [self.state(), self.path("run")] {
            walk(&folder, &mut |path| {
                let content = fs::read(path).unwrap_or_default();
                let text = String::from_utf8_lossy(&content);
                assert!(!text.contains(SECRET), "{}: {text}", path.display());
            });
        }
    }
}

/// Calls `visit` for everything below `folder`, in the order of the names.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        visit(&path);
        if path.is_dir() {
            walk(&path, visit);
        }
    }
}
