//! A home that listens to another one.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::home::Home;
use crate::support::process::Process;

/// Two machines, as far as the program can tell.
pub(super) struct Pair {
    /// Where cards are shown.
    pub(super) near: Home,
    /// Where agents run.
    pub(super) far: Home,
}

const SETTINGS: &str = "[publish]\nsettle = \"0ms\"\nmin_interval = \"1s\"\ntokens_interval = \"1s\"\n";

impl Pair {
    /// `near` listens to `far`, with these settings besides.
    pub(super) fn new(settings: &str) -> Self {
        let pair = Self { near: Home::new(), far: Home::new() };
        let command = pair.far_command("200ms");
        pair.listen(&command, settings);
        pair
    }

    /// The program in the other home, which gives a sign of life so often.
    pub(super) fn far_command(&self, alive: &str) -> Vec<String> {
        let command = self.far.command(&format!("watch --json --alive {alive}"));
        let variables = command
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)));
        let arguments = command.get_args().map(|argument| argument.to_str().unwrap().to_owned());
        let program = command.get_program().to_str().unwrap().to_owned();
        let env = ["/usr/bin/env", "-i"].map(str::to_owned).into_iter();
        env.chain(variables).chain([program]).chain(arguments).collect()
    }

    /// `near` listens to this command.
    pub(super) fn listen(&self, command: &[String], settings: &str) {
        listen(&self.near, command, settings);
    }

    /// Starts the daemon of `near`.
    pub(super) fn daemon(&self) -> Process {
        let daemon = self.near.start("run --dry-run");
        self.near.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
        daemon
    }

    /// Waits until the remote stands so.
    #[track_caller]
    pub(super) fn wait_for(&self, state: &str) -> Value {
        self.near.wait_for_status(state, |status| status["remotes"][0]["state"] == state)
    }

    /// Waits until `near` knows this total of a session.
    #[track_caller]
    pub(super) fn wait_for_total(&self, id: &str, total: u64) -> Value {
        let status =
            self.near.wait_for_status("the total", |status| session(status, id)["tokens"]["total"] == total);
        session(&status, id).clone()
    }
}

/// `home` listens to this command, as `devbox`.
pub(super) fn listen(home: &Home, command: &[String], settings: &str) {
    let remote = format!("[[remote]]\nname = \"devbox\"\ncommand = {command:?}\n");
    // Always named: a developer's own Discord must not be found.
    let clients = format!("[discord]\nclients = [{:?}]\n", home.discord());
    home.settings(&format!("{clients}{remote}{SETTINGS}{settings}"));
}

/// A session in the report.
pub(super) fn session<'a>(status: &'a Value, id: &str) -> &'a Value {
    static NONE: Value = Value::Null;
    let mut sessions = status["sessions"].as_array().unwrap().iter();
    sessions.find(|session| session["id"] == id).unwrap_or(&NONE)
}

/// A script that is a remote: it prints these lines and then does that.
pub(super) fn script(folder: &Path, lines: &[Value], then: &str) -> Vec<String> {
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(folder.join("lines"), text.join("\n") + "\n").unwrap();
    let script = folder.join("remote.sh");
    fs::write(&script, format!("cat {}\n{then}\n", folder.join("lines").display())).unwrap();
    vec!["/bin/sh".to_owned(), script.to_str().unwrap().to_owned()]
}
