//! `setup`: asks, explains and sets up, then shows the card and what is still missing.
//!
//! Every answer is also a flag. Off a terminal it asks nothing, and what has no flag stays as it is. In the settings
//! file only the answered keys change ([`edit`]). Questions and messages go to standard error, the card to standard
//! output.

mod wsl;

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;

use clap::ValueEnum;
use toml::Value;

use crate::cmd::cli::{self, Enable, Setup, Shown, StatuslineAction};
use crate::cmd::{demo, show};
use crate::control::Verb;
use crate::control::client::{self, Contact};
use crate::core::config::keys::{self, Key};
use crate::core::config::{
    APPLICATION_ID_HINT, ConfigContext, Effective, EffectiveValue, Origin, application_id_in, edit,
};
use crate::core::doctor::Grade;
use crate::core::publish::codes::REJECTED_HINT;
use crate::core::report::DaemonReport;
use crate::error::{Exit, Failure};
use crate::host::Places;
use crate::io::discord::endpoints;
use crate::io::discord::probe::{ProbeResult, try_application_id};
use crate::io::instance::{LockState, held_by_another};
use crate::io::{files, statusline};

/// How often a wrong answer is asked again.
const TRIES: usize = 3;

/// Where applications are made.
const PORTAL: &str = "https://discord.com/developers/applications";

const HOW_TO_GET_AN_ID: &str = "\
Click \"New Application\", give it any name that may be seen, click \"Create\". Then copy that page's address, or the
\"Application ID\" on it.
";

const WHAT_MAY_BE_SHOWN: &str = "\
Cards show agent, activity, model, tokens and limits, and never prompts, replies, commands or paths. Names of your work
are shown only if you allow it: project, branch, file.
";

const STATUSLINE_QUESTION: &str = "\
Claude Code passes its limits only to its status line. Set that up? (A command that is there runs as before.)";

/// The dialogue: where messages go, and where answers come from, if a person can answer.
#[expect(missing_debug_implementations, reason = "readers and writers have none")]
pub struct Talk<'a, R> {
    /// `None` off a terminal.
    pub answers: Option<&'a mut R>,
    /// Where questions and messages go.
    pub err: &'a mut dyn Write,
    /// Opens a page in the browser; false if it cannot.
    pub open: &'a dyn Fn(&str) -> bool,
}

impl<R: BufRead> Talk<'_, R> {
    fn print(&mut self, text: &str) {
        super::note(self.err, text);
    }

    fn can_ask(&self) -> bool {
        self.answers.is_some()
    }

    /// An answer without the space around it; `None` if there is none.
    fn ask(&mut self, question: &str) -> Option<String> {
        self.answers.as_ref()?;
        self.print(question);
        let mut line = String::new();
        let length = self.answers.as_mut().map_or(Ok(0), |answers| answers.read_line(&mut line));
        if !matches!(length, Ok(length) if length > 0) {
            self.answers = None;
            self.print("\n");
            return None;
        }
        Some(line.trim().to_owned())
    }

    /// Yes or no; an empty answer is `default`.
    fn confirm(&mut self, question: &str, default: bool) -> Option<bool> {
        let choice = if default { "[Y/n]" } else { "[y/N]" };
        for _ in 0..TRIES {
            match self.ask(&format!("{question} {choice} "))?.to_lowercase().as_str() {
                "" => return Some(default),
                "y" | "yes" => return Some(true),
                "n" | "no" => return Some(false),
                _ => self.print("please answer y or n\n"),
            }
        }
        None
    }
}

/// Runs the steps.
///
/// # Errors
/// An answer cannot be used, or the settings or the login entry could not be written.
pub fn run<R: BufRead>(
    setup: &Setup,
    places: &Places,
    context: &ConfigContext,
    mut talk: Talk<'_, R>,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let before = &places.effective;
    // A file that --config names and that does not exist is created below.
    if before.is_broken() && places.config.path.exists() {
        return Err(Failure::new("could not set up: the settings file has errors")
            .hint("see them with `agent-presence config check`, correct them, then try again"));
    }
    let mut places = places.clone();
    if let Some(id) = application_id(setup, before, &mut talk)? {
        let changes: Vec<Change> =
            change("discord", "application_id", id.as_str().into()).into_iter().collect();
        write(&mut places, context, &changes, &mut talk)?;
        if places.effective.settings.discord.application_id != id {
            talk.print(
                "note: AGENT_PRESENCE_APPLICATION_ID is set in this shell and overrides the settings file\n",
            );
        }
    }
    try_with_discord(&places, &mut talk)?;
    let changes = shown(setup, before, &mut talk);
    write(&mut places, context, &changes, &mut talk)?;
    let changes = listen(setup, &places, &mut talk);
    write(&mut places, context, &changes, &mut talk)?;
    let login = login(setup, &places, &mut talk);
    let statusline = statusline(setup, &places, &mut talk);
    talk.print(&wsl::offer(&places).unwrap_or_default());
    finish(&places, &mut talk, out)?;
    login.and(statusline)
}

/// A key and its new value.
type Change = (&'static Key, Value);

fn change(table: &str, name: &str, value: Value) -> Option<Change> {
    keys::find(table, name).map(|key| (key, value))
}

fn application_id<R: BufRead>(
    setup: &Setup,
    before: &Effective,
    talk: &mut Talk<'_, R>,
) -> Result<Option<String>, Failure> {
    if let Some(given) = &setup.application_id {
        return match application_id_in(given) {
            Some(id) => Ok(Some(id.to_owned())),
            None => Err(Failure::new("could not use the application id: expected 17 to 20 digits")
                .hint(APPLICATION_ID_HINT)),
        };
    }
    let key = |value: &&EffectiveValue| value.key.path() == "discord.application_id";
    if before.values.iter().find(key).is_some_and(|value| value.origin == Origin::BuiltIn) {
        talk.print("the application id is built in; --application-id sets one of your own\n");
        return Ok(None);
    }
    if !talk.can_ask() {
        talk.print("the application id is left as it is; --application-id changes it\n");
        return Ok(None);
    }
    let current = &before.settings.discord.application_id;
    let question = if current.is_empty() {
        let opening =
            if (talk.open)(PORTAL) { "The page opens in your browser:  " } else { "Open this page: " };
        talk.print("Discord shows cards of applications only, so make one of your own. It is free and takes a minute.\n");
        talk.print(&format!("{opening}{PORTAL}\n{HOW_TO_GET_AN_ID}"));
        "Address or application ID (Enter to do it later): ".to_owned()
    } else {
        format!("Application ID (Enter to keep {current}): ")
    };
    for _ in 0..TRIES {
        match talk.ask(&question) {
            None => return Ok(None),
            Some(text) if text.is_empty() => return Ok(None),
            Some(text) => match application_id_in(&text) {
                Some(id) => return Ok(Some(id.to_owned())),
                None => talk.print(&format!("an application id is 17 to 20 digits; {APPLICATION_ID_HINT}\n")),
            },
        }
    }
    Ok(None)
}

fn shown<R: BufRead>(setup: &Setup, before: &Effective, talk: &mut Talk<'_, R>) -> Vec<Change> {
    let privacy = &before.settings.privacy;
    let all = [
        ("project", Shown::Project, privacy.project),
        ("branch", Shown::Branch, privacy.branch),
        ("file", Shown::File, privacy.file),
    ];
    let now: Vec<Shown> = all.iter().filter(|(.., is_shown)| *is_shown).map(|(_, shown, _)| *shown).collect();
    let wanted = match &setup.show {
        Some(wanted) => wanted.clone(),
        None if talk.can_ask() => {
            talk.print(WHAT_MAY_BE_SHOWN);
            ask_for_names(talk, &now).unwrap_or(now)
        }
        None => {
            talk.print("what may be shown is left as it is; --show changes it\n");
            now
        }
    };
    let changed = all.into_iter().filter(|(_, shown, current)| wanted.contains(shown) != *current);
    changed.filter_map(|(name, _, current)| change("privacy", name, (!current).into())).collect()
}

/// Whether to listen to the agents' own servers. Asks only where there has been one.
fn listen<R: BufRead>(setup: &Setup, places: &Places, talk: &mut Talk<'_, R>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (agent, source) in places.effective.settings.sources.iter() {
        let Some(live) = agent.spec().live.as_ref() else { continue };
        let mut homes = places.homes.iter().filter(|home| home.agent == agent);
        let has_been = homes.any(|home| home.path.join(live.socket).parent().is_some_and(Path::is_dir));
        let wanted = match setup.listen {
            Some(answer) => answer,
            None if !has_been => continue,
            None if !talk.can_ask() => {
                talk.print(&format!("sources.{} is left as it is; --listen changes it\n", live.key));
                continue;
            }
            None => talk.confirm(live.question, source.is_live).unwrap_or(source.is_live),
        };
        changes
            .extend((wanted != source.is_live).then(|| change("sources", live.key, wanted.into())).flatten());
    }
    changes
}

/// The names to show; `None` to leave them as they are, which is `now`.
fn ask_for_names<R: BufRead>(talk: &mut Talk<'_, R>, now: &[Shown]) -> Option<Vec<Shown>> {
    let kept = if now.is_empty() { "none" } else { "as now" };
    for _ in 0..TRIES {
        let answer = talk.ask(&format!("Which of them to show, e.g. project,branch (Enter: {kept})? "))?;
        let words = answer.split([',', ' ']).filter(|word| !word.is_empty());
        match words.map(|word| Shown::from_str(word, true)).collect::<Result<Vec<_>, _>>() {
            Ok(wanted) => return Some(wanted).filter(|wanted| !wanted.is_empty()),
            Err(_) => talk.print("please answer with any of project, branch and file, or with nothing\n"),
        }
    }
    None
}

/// Larger files are not settings, in bytes.
const MOST_SETTINGS: u64 = 1 << 20;

/// Writes the changes, and reads the settings again.
fn write<R: BufRead>(
    places: &mut Places,
    context: &ConfigContext,
    changes: &[Change],
    talk: &mut Talk<'_, R>,
) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let path = &places.config.path;
    let failure = |what: &str, error: &io::Error| {
        Failure::new(format!("could not {what} {}: {error}", path.display()))
            .hint("make it writable, or name another file with --config")
    };
    let read = files::read(path, MOST_SETTINGS);
    let before = match read.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failure("read", &error)),
    };
    let mut after = before.clone();
    for (key, value) in changes {
        let edited = edit::set(after.as_deref(), key, value).map_err(|edit::CannotEdit| {
            let lines = changes.iter().map(|(key, value)| format!("{} = {value}", key.path()));
            Failure::new(format!("could not change {} without touching the rest of it", path.display()))
                .hint(format!("set it yourself: {}", lines.collect::<Vec<_>>().join("; ")))
        })?;
        after = Some(edited);
    }
    if after == before {
        return Ok(());
    }
    let text = after.unwrap_or_default();
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .map_err(|error| failure("create the folder of", &error))?;
    files::write_atomically(path, text.as_bytes()).map_err(|error| failure("write", &error))?;
    talk.print(&format!("written to {}\n", path.display()));
    places.effective = places.config.read(context);
    Ok(())
}

/// Tries the id with one handshake, if there is an id and a Discord, and no daemon that has its own connection.
fn try_with_discord<R: BufRead>(places: &Places, talk: &mut Talk<'_, R>) -> Result<(), Failure> {
    let settings = &places.effective.settings.discord;
    let is_alone = matches!(
        client::ask_daemon(&places.state, &places.environment, &Verb::Status)?,
        Contact::NotRunning if held_by_another(&places.state) != LockState::Held
    );
    if settings.application_id.is_empty() || !is_alone {
        return Ok(());
    }
    let found = endpoints::EndpointDirs::new(|name| places.environment.path(name).map(Into::into));
    let mut clients = endpoints::discover(&found, &settings.clients);
    clients.retain(|client| client.identity.is_some());
    if clients.is_empty() {
        talk.print("the application id was not tried: no Discord is running\n");
        return Ok(());
    }
    let text = match client::block_on(try_application_id(clients, &settings.application_id))? {
        ProbeResult::Accepted { client } => format!("{client} knows the application id\n"),
        ProbeResult::Refused { message } => {
            format!("Discord did not accept the application id ({message})\nhint: {REJECTED_HINT}\n")
        }
        ProbeResult::NoAnswer => "Discord gave no answer; the daemon tries again by itself\n".to_owned(),
        ProbeResult::NotRunning => "the application id was not tried: no Discord is running\n".to_owned(),
    };
    talk.print(&text);
    Ok(())
}

fn login<R: BufRead>(setup: &Setup, places: &Places, talk: &mut Talk<'_, R>) -> Result<Exit, Failure> {
    let wanted = if setup.autostart || setup.no_autostart {
        setup.autostart
    } else if !talk.can_ask() {
        talk.print("launch at login is left as it is; --autostart changes it\n");
        false
    } else {
        talk.confirm("Start agent-presence now and at every login?", true).unwrap_or(false)
    };
    if !wanted {
        return Ok(Exit::Done);
    }
    let enable = cli::Autostart::Enable(Enable { no_start: false, print: false });
    let mut output = Vec::new();
    let result = super::autostart::run(&enable, &places.config, &places.environment, &mut output, talk.err);
    talk.print(&String::from_utf8_lossy(&output));
    result
}

/// Sets up Claude Code's status line. Asks only if Claude Code is installed.
fn statusline<R: BufRead>(setup: &Setup, places: &Places, talk: &mut Talk<'_, R>) -> Result<Exit, Failure> {
    let sources = &places.effective.settings.sources;
    let is_there = places.homes.iter().any(|home| home.agent == statusline::AGENT && home.path.is_dir());
    let wanted = match setup.statusline {
        Some(answer) => answer,
        None if !is_there => false,
        None if !talk.can_ask() => {
            talk.print("Claude Code's status line is left as it is; --statusline yes changes it\n");
            false
        }
        None => talk.confirm(STATUSLINE_QUESTION, true).unwrap_or(false),
    };
    if !wanted {
        return Ok(Exit::Done);
    }
    let mut output = Vec::new();
    let result =
        super::statusline::set_up(StatuslineAction::Install, sources, &places.environment, &mut output);
    talk.print(&String::from_utf8_lossy(&output));
    result
}

/// Prints the card as friends will see it, and what is still missing.
fn finish<R: BufRead>(places: &Places, talk: &mut Talk<'_, R>, out: &mut dyn Write) -> Result<Exit, Failure> {
    let report = places.status(DaemonReport::not_running());
    let shown = match report.card {
        Some(card) => {
            talk.print("This is how friends will see it:\n");
            Some((card, report.now))
        }
        None => {
            talk.print("No session is active. From a recorded one, this is how friends would see it:\n");
            demo::last_card(places.effective.settings.clone(), places.zone.clone())
        }
    };
    let seen_on_hover = places.effective.settings.large_image().is_some();
    let text = shown.map(|(card, now)| show::looks(&card, now, seen_on_hover)).unwrap_or_default();
    super::written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
    let checks = super::doctor::run_checks(places)?;
    let missing = checks.iter().filter(|check| matches!(check.state, Grade::Failure | Grade::Warning));
    let mut text = String::new();
    for check in missing {
        text.push_str(&format!("  {}: {}\n", check.name, check.message));
        text.extend(check.hint.iter().map(|hint| format!("    hint: {hint}\n")));
    }
    talk.print(if text.is_empty() { "Nothing is missing.\n" } else { "Still missing:\n" });
    talk.print(&text);
    Ok(Exit::Done)
}
