//! The built program in a home of its own: nothing of the user's is read, nothing of the environment inherited.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A temporary home.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with these arguments, in the home folder, in UTC.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent-presence"));
        command.env_clear().args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command.env("TZ", "UTC").env("HOME", self.path()).env("USERPROFILE", self.path());
        for (variable, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("APPDATA", "config"),
            ("LOCALAPPDATA", "data"),
            ("AGENT_PRESENCE_STATE_DIR", "agent-presence"),
            ("CODEX_HOME", ".codex"),
            ("CLAUDE_CONFIG_DIR", ".claude"),
        ] {
            command.env(variable, self.path().join(folder));
        }
        // Windows knows the user's folders without the environment.
        if cfg!(windows) {
            let config = self.path().join("config/agent-presence/config.toml");
            if !config.exists() {
                std::fs::create_dir_all(config.parent().unwrap()).unwrap();
                std::fs::write(&config, "").unwrap();
            }
            command.env("AGENT_PRESENCE_CONFIG", config);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        super::schema::check_printed(&arguments, &String::from_utf8_lossy(&output.stdout));
        output
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
