//! A terminal that says what is on it: tmux, with a server of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use agent_presence::io::clock;

use super::PATIENCE;
use super::home::Home;

/// One terminal; its server ends with it.
pub(crate) struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// A terminal of this size in which a shell runs `script`; `None`, and a word about it, where there is no tmux.
    ///
    /// The shell knows the program as `$program` and has the home's environment, with a `TERM` of its own.
    pub(crate) fn start(home: &Home, (width, height): (u16, u16), script: &str) -> Option<Self> {
        let version = Command::new("tmux").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            eprintln!("skipped: not tested in a terminal, there is no `tmux` in PATH");
            return None;
        }
        // A server that is ending may still answer at its socket.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { socket: home.path(&format!("tmux-{number}")) };
        let program = home.command("");
        let mut command = terminal.command(&["-f", "/dev/null", "new-session", "-d"]);
        for (name, value) in program.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        command.env("program", program.get_program());
        let size = ["-x".to_owned(), width.to_string(), "-y".to_owned(), height.to_string()];
        let status = command.args(size).args(["/bin/sh", "-c", script]).current_dir(home.path("")).status();
        assert!(status.unwrap().success());
        Some(terminal)
    }

    /// The one whose server listens at `socket`, to be ended with this value.
    pub(crate) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// What is on it, without the blanks at the ends of lines.
    pub(crate) fn text(&self) -> String {
        self.said(&["capture-pane", "-p"])
    }

    /// The same with colours.
    pub(crate) fn coloured(&self) -> String {
        self.said(&["capture-pane", "-p", "-e"])
    }

    /// What tmux knows of it.
    pub(crate) fn fact(&self, name: &str) -> String {
        self.said(&["display-message", "-p", &format!("#{{{name}}}")]).trim().to_owned()
    }

    /// Types keys, as tmux calls them.
    pub(crate) fn send(&self, keys: &str) {
        let mut arguments = vec!["send-keys"];
        arguments.extend(keys.split(' '));
        self.said(&arguments);
    }

    /// Gives the window another size.
    pub(crate) fn resize(&self, (width, height): (u16, u16)) {
        self.said(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Waits until what is on it is what is `wanted`, and gives it.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = clock::now().mono;
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(clock::now().mono < start + PATIENCE, "waited in vain for {what}:\n{text}");
        }
    }

    /// Waits until `text` is on it.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) -> String {
        self.wait_for(text, |there| there.contains(text))
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "tmux {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("LC_ALL", "C.UTF-8").arg("-u").arg("-S").arg(&self.socket).args(arguments);
        command
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).stderr(Stdio::null()).status();
    }
}
