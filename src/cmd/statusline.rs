//! `statusline`: the command that Claude Code runs for its status line. `statusline install | uninstall`: its entry in
//! Claude Code's settings.
//!
//! Claude Code runs the command often and may kill it half-way, and the command must never be in its way: after any
//! error it prints less and succeeds.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::cmd::cli::StatuslineAction;
use crate::core::limits::main_family;
use crate::core::names::{model_name, neutralise};
use crate::core::session::Context;
use crate::core::settings::Sources;
use crate::core::time::Now;
use crate::error::{Exit, Failure};
use crate::io::autostart::Login;
use crate::io::clock;
use crate::io::files::{self, write_atomically};
use crate::io::paths::{self, Environment, ensure_state_dir};
use crate::io::real_path::real;
use crate::io::statusline::settings::{self, Edit};
use crate::io::statusline::{self as stored, AGENT, ReplacedEntries, Statusline};

/// The most input that is read, in bytes. Claude Code's is a few kilobytes.
const MOST_INPUT: usize = 256 * 1024;

/// The most input that is passed on to the command that was there before, in bytes.
const MOST_PASSED_ON: u64 = 16 * 1024 * 1024;

/// How long reading the input may take. Claude Code kills a command that takes too long; other programs may not.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Larger settings files of Claude Code are not read, in bytes.
const MOST_SETTINGS: u64 = 16 * 1024 * 1024;

/// An environment variable of the command that runs after this one, so that two that call each other do not loop.
const CHAINED: &str = "AGENT_PRESENCE_STATUSLINE";

/// Stores the figures of Claude Code's input and prints a line, or runs the command that was there before.
pub fn run(environment: &Environment, out: &mut dyn Write) -> Exit {
    if io::stdin().is_terminal() {
        super::note(
            &mut io::stderr(),
            "this is what Claude Code runs for its status line; set it up with `agent-presence statusline install`\n",
        );
        return Exit::Done;
    }
    let stdin = Input::begin();
    // A part of the input is not valid JSON and is ignored below.
    let input = stdin.first(MOST_INPUT);
    let now = clock::now();
    let line = Statusline::read(&input, now.wall);
    let state = paths::state_dir(environment).ok();
    if let (Some(state), Some(line)) = (&state, &line) {
        // A failure cannot be reported here; the next call tries again.
        let _ = ensure_state_dir(state).map(|state| stored::store(&state, line));
    }
    let is_chained = environment.text(CHAINED).is_some();
    let home = line.as_ref().and_then(stored::home_of);
    let before = state.filter(|_| !is_chained).map(|state| stored::read_replaced(&state));
    let command = before.and_then(|before| before.command(home.as_deref()));
    let passed_on = command.is_some_and(|command| chain(&command, &input, &stdin).is_ok());
    if !passed_on && let Some(line) = line {
        let written = writeln!(out, "{}", status_text(&line, now)).and_then(|()| out.flush());
        // Claude Code may have stopped waiting.
        if super::written(written).is_err() {
            return Exit::Failed;
        }
    }
    Exit::Done
}

/// Standard input, up to a time and a size.
struct Input {
    parts: mpsc::Receiver<Vec<u8>>,
    end: Duration,
}

impl Input {
    fn begin() -> Self {
        /// How many parts may wait.
        const PARTS: usize = 16;
        let (sender, parts) = mpsc::sync_channel(PARTS);
        // The thread ends with the program at the latest.
        std::thread::spawn(move || {
            let mut stdin = io::stdin().lock().take(MOST_PASSED_ON);
            let mut part = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = stdin.read(&mut part) {
                if sender.send(part.get(..length).unwrap_or_default().to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { parts, end: clock::now().mono.saturating_add(TIMEOUT) }
    }

    /// The next part; `None` at the end of the input, or when the time is over.
    fn next(&self) -> Option<Vec<u8>> {
        self.parts.recv_timeout(self.end.saturating_sub(clock::now().mono)).ok()
    }

    /// The input, up to about `most` bytes.
    fn first(&self, most: usize) -> Vec<u8> {
        let mut first = Vec::new();
        while first.len() < most
            && let Some(part) = self.next()
        {
            first.extend_from_slice(&part);
        }
        first
    }
}

/// Runs the command that was there before with the same input; its output replaces this command's.
fn chain(command: &str, input: &[u8], rest: &Input) -> io::Result<()> {
    let mut child = shell(command)?;
    if let Some(mut stdin) = child.stdin.take() {
        // The command may not read its input.
        let mut passed = stdin.write_all(input);
        while passed.is_ok()
            && let Some(part) = rest.next()
        {
            passed = stdin.write_all(&part);
        }
    }
    child.wait().map(drop)
}

fn shell(command: &str) -> io::Result<std::process::Child> {
    let start = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).arg(command).env(CHAINED, "1").stdin(Stdio::piped()).spawn()
    };
    if cfg!(windows) {
        // As Claude Code does: Git's shell if it is installed.
        return start("bash.exe", &["-c"]).or_else(|_| start("powershell.exe", &["-NoProfile", "-Command"]));
    }
    start("/bin/sh", &["-c"])
}

/// The model, the rest of its context, the rest of the account's windows; unknown values are left out.
fn status_text(line: &Statusline, now: Now) -> String {
    let model = line.model_name.clone().or_else(|| line.model.as_deref().map(model_name));
    let mut parts: Vec<String> = model.iter().map(|model| neutralise(model)).collect();
    if let (Some(used), Some(window)) = (line.context_used, line.context_window.filter(|window| *window > 0))
    {
        parts.push(format!("context {}% left", Context::new(AGENT, used, window).remaining_percent));
    }
    let snapshots = line.snapshots(&"".into());
    let main = snapshots.iter().find(|snapshot| snapshot.family == main_family(AGENT));
    for view in main.map(|main| main.views(now)).unwrap_or_default() {
        if let Some(left) = view.remaining_percent {
            parts.push(format!("{} {left}% left", view.label));
        }
    }
    parts.join(" · ")
}

/// Sets the command in Claude Code's settings, or removes it. Data goes to `out`.
///
/// # Errors
/// Claude Code is not installed, or its settings cannot be read, understood or written. Each file is then as it was.
pub fn set_up(
    action: StatuslineAction,
    sources: &Sources,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let homes = stored::homes(sources, environment).into_iter().filter(|home| home.is_dir());
    let homes: Vec<PathBuf> = homes.collect();
    if homes.is_empty() {
        return Err(Failure::new("could not find Claude Code's folder")
            .hint("start Claude Code once, or set sources.claude_home in the settings file"));
    }
    let command = command(environment)?;
    if action == StatuslineAction::Install {
        let paths = homes.iter().map(|home| home.join("settings.json"));
        for path in paths.filter(|path| !is_writable(path)) {
            let text = read(&path)?;
            // A read-only file that already has the command needs no change.
            if settings::install(&text, &command).map_err(|cause| refused(&path, &cause))? != Edit::Nothing {
                return Err(read_only(&path, &command));
            }
        }
    }
    let state = paths::state_dir(environment)?;
    let mut replaced = stored::read_replaced(&state);
    let mut report = String::new();
    let mut failed = None;
    for home in homes {
        let path = home.join("settings.json");
        let done = match action {
            StatuslineAction::Install => install(&home, &path, &command, &state, &mut replaced),
            StatuslineAction::Uninstall => uninstall(&home, &path, &state, &mut replaced),
        };
        match done {
            Ok(done) => {
                let _ = writeln!(report, "{}: {done}", path.display());
            }
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    let written = super::written(out.write_all(report.as_bytes()));
    failed.map_or(written, Err)
}

fn install(
    home: &Path,
    path: &Path,
    command: &str,
    state: &Path,
    replaced: &mut ReplacedEntries,
) -> Result<&'static str, Failure> {
    let text = read(path)?;
    let (new, before) = match settings::install(&text, command).map_err(|cause| refused(path, &cause))? {
        Edit::Nothing => return Ok("is set up already"),
        Edit::Write { text, replaced } => (text, replaced),
    };
    let chains =
        before.as_ref().is_some_and(|entry| entry.as_deref().and_then(settings::command_of).is_some());
    // The old command is stored before the settings are written, so that it cannot be lost in between.
    if let Some(entry) = before {
        replaced.note(home, entry);
        remember(state, replaced)?;
        if !text.is_empty() {
            write(&path.with_file_name("settings.json.before-agent-presence"), &text)?;
        }
    }
    write(path, &new)?;
    Ok(if chains { "set up; the command that was there runs as before" } else { "set up" })
}

fn uninstall(
    home: &Path,
    path: &Path,
    state: &Path,
    replaced: &mut ReplacedEntries,
) -> Result<&'static str, Failure> {
    let text = read(path)?;
    let before = replaced.of(home).flatten().map(str::to_owned);
    let done = match settings::uninstall(&text, before.as_deref()).map_err(|cause| refused(path, &cause))? {
        Edit::Nothing => "is not set up",
        Edit::Write { text, .. } => {
            write(path, &text)?;
            if before.is_some() { "as it was before" } else { "removed" }
        }
    };
    if replaced.forget(home) {
        remember(state, replaced)?;
    }
    Ok(done)
}

/// The command line for this program, quoted for a shell.
fn command(environment: &Environment) -> Result<String, Failure> {
    let program = Login::of_process(None, environment)?.command.program;
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+:".contains(character);
    if cfg!(windows) {
        // Git's shell and PowerShell both take forward slashes.
        let program = program.replace("agent-presencew.exe", "agent-presence.exe").replace('\\', "/");
        let quote = if program.chars().all(plain) { "" } else { "\"" };
        return Ok(format!("{quote}{program}{quote} statusline"));
    }
    if program.chars().all(plain) {
        return Ok(format!("{program} statusline"));
    }
    Ok(format!("'{}' statusline", program.replace('\'', r"'\''")))
}

/// The file's text; empty if there is no file.
fn read(path: &Path) -> Result<String, Failure> {
    let read = files::read(path, MOST_SETTINGS);
    match read.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::new(format!("could not read {}: {error}", path.display()))),
    }
}

/// Whether the file may be replaced, as far as that is known without trying. A file without write permission is not,
/// even if its folder would allow it: the user wants it to stay as it is.
fn is_writable(path: &Path) -> bool {
    let target = real(path);
    let is_read_only = std::fs::metadata(&target).is_ok_and(|there| there.permissions().readonly());
    let folder = target.parent().unwrap_or(Path::new("."));
    #[cfg(unix)]
    let may_write = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    #[cfg(not(unix))]
    let may_write = folder.is_dir();
    !is_read_only && may_write
}

/// The failure for a read-only file, with the lines to add by hand or in the program that generates it.
fn read_only(path: &Path, command: &str) -> Failure {
    let command = serde_json::Value::from(command);
    Failure::new(format!("could not change {}: it is read-only; nothing was written", path.display()))
        .hint(format!(r#"add this to it: "statusLine": {{"type": "command", "command": {command}}}"#))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_atomically(path, text.as_bytes())
        .map_err(|error| Failure::new(format!("could not write {}: {error}", path.display())))
}

fn remember(state: &Path, replaced: &ReplacedEntries) -> Result<(), Failure> {
    let state = ensure_state_dir(state)?;
    stored::write_replaced(&state, replaced)
        .map_err(|error| Failure::new(format!("could not write to {}: {error}", state.path().display())))
}

fn refused(path: &Path, cause: &str) -> Failure {
    Failure::new(format!("could not change {}: {cause}", path.display()))
        .hint("correct the file and try again; nothing was written")
}
