//! `autostart enable | disable | status`: launch at login.

use std::io::Write;

use serde::Serialize;

use crate::cmd::cli::{Autostart, Enable};
use crate::core::source::Agent;
use crate::core::source::layout::Homes;
use crate::error::{Exit, Failure};
use crate::io::autostart::machine::{Machine, ThisMachine};
use crate::io::autostart::window_managers::{ByHand, by_hand};
use crate::io::autostart::{self, Kind, Login, LoginState, Registration};
use crate::io::config_file::{Chosen, ConfigFile};
use crate::io::paths::{self, Environment, spare_others};

/// Environment variables that change what the daemon does, each with the setting that works at login as well.
fn not_at_login() -> impl Iterator<Item = (&'static str, String)> {
    let own = [
        ("AGENT_PRESENCE_APPLICATION_ID", "set discord.application_id in the settings file".to_owned()),
        ("AGENT_PRESENCE_STATE_DIR", "set it for the whole login session".to_owned()),
    ];
    let homes = Agent::ALL.into_iter().flat_map(|agent| {
        let homes: &'static Homes = &agent.spec().homes;
        let Homes { key, .. } = homes;
        homes.named().map(move |variable| (variable, format!("set sources.{key} in the settings file")))
    });
    own.into_iter().chain(homes)
}

/// Runs one of the commands. Data goes to `out`, remarks to `err`.
///
/// # Errors
/// The login entry could not be written, removed or started; the failure has a hint.
pub fn run(
    command: &Autostart,
    config: &ConfigFile,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    // Login does not have this shell's variables, so the entry names the file on its command line.
    let is_chosen = config.chosen == Chosen::Named;
    let login = Login::of_process(is_chosen.then_some(config.path.as_path()), environment)?;
    let machine = ThisMachine { home: login.folders.home.clone(), state: paths::state_dir(environment)? };
    match command {
        Autostart::Enable(Enable { print: true, .. }) => print(&login, &machine, environment, out, err),
        Autostart::Enable(command) => {
            spare_others("", &login.folders.home)?;
            if is_chosen && !config.path.exists() {
                let path = config.path.display();
                return Err(Failure::new(format!("could not register {path}: there is no such file"))
                    .hint(format!("write one with `agent-presence config init --config {path}`")));
            }
            enable(&login, &machine, environment, !command.no_start, out, err)
        }
        Autostart::Disable => disable(&login, &machine, out),
        Autostart::Status(command) => {
            let mut registration = autostart::registered(&login, &machine);
            if let Some(ByHand { cause, hint }) = by_hand(registration.kind, &login, environment) {
                registration.hint.get_or_insert(format!("{cause}; {hint}"));
            }
            status(&registration, command.json, out)
        }
    }
}

/// Prints the entry's text alone to `out`, so that it can be redirected to a file.
fn print(
    login: &Login,
    machine: &dyn Machine,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let plan = autostart::planned(login, machine)?;
    super::note(err, format_args!("would write {}:\n", plan.place));
    let line_end = if plan.text.ends_with('\n') { "" } else { "\n" };
    let result = write!(out, "{}{line_end}", plan.text).and_then(|()| out.flush());
    for path in &plan.removed {
        super::note(err, format_args!("would remove {}\n", path.display()));
    }
    remark(plan.kind, login, environment, err);
    super::written(result)
}

fn enable(
    login: &Login,
    machine: &dyn Machine,
    environment: &Environment,
    start: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    for (variable, instead) in not_at_login() {
        if environment.text(variable).is_some() {
            super::note(
                err,
                format_args!(
                    "note: {variable} may not be set at login as it is in this shell\nhint: {instead}\n"
                ),
            );
        }
    }
    let enabled = autostart::enable(login, machine, start)?;
    let registration = autostart::registered(login, machine);
    if registration.kind == Kind::RunKey && login.command.arguments.first().is_some_and(|word| word == "run")
    {
        let _ = writeln!(
            err,
            "note: a console window stays open while the daemon runs\n\
             hint: put agent-presencew.exe beside this program, and enable it again"
        );
    }
    let Registration { kind, place, .. } = registration;
    let already = if enabled.changed { "" } else { " already" };
    let running = if enabled.started { "; the daemon is running" } else { "" };
    let result = writeln!(out, "launch at login is{already} enabled by the {kind} {place}{running}");
    remark(kind, login, environment, err);
    super::written(result)
}

/// Prints what the user has to do where login does not read the entry.
fn remark(kind: Kind, login: &Login, environment: &Environment, err: &mut dyn Write) {
    if let Some(ByHand { cause, hint }) = by_hand(kind, login, environment) {
        super::note(err, format_args!("note: {cause}\nhint: {hint}\n"));
    }
}

fn disable(login: &Login, machine: &dyn Machine, out: &mut dyn Write) -> Result<Exit, Failure> {
    let was_there = autostart::disable(login, machine)?;
    let already = if was_there { "" } else { " already" };
    let running = if machine.is_running() {
        "\nthe daemon is still running\nhint: end it with `agent-presence stop`"
    } else {
        ""
    };
    super::written(writeln!(out, "launch at login is{already} disabled{running}"))
}

/// The JSON object of `autostart status --json`.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    state: LoginState,
    kind: Kind,
    place: &'a str,
    command: Option<Vec<&'a str>>,
    hint: Option<&'a str>,
}

fn status(registration: &Registration, json: bool, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Registration { kind, place, command, state, hint } = registration;
    super::written(if json {
        let command = command.as_ref().map(|command| command.words().collect());
        let report = Report { schema: 1, state: *state, kind: *kind, place, command, hint: hint.as_deref() };
        serde_json::to_writer_pretty(&mut *out, &report).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        out.write_all(text(registration).as_bytes())
    })?;
    Ok(if *state == LoginState::Enabled { Exit::Done } else { Exit::Failed })
}

fn text(registration: &Registration) -> String {
    let Registration { kind, place, command, state, hint } = registration;
    let state = match state {
        LoginState::Enabled => "enabled",
        LoginState::Disabled => "disabled",
        LoginState::SwitchedOffByUser if *kind == Kind::RunKey => "switched off in Task Manager",
        LoginState::SwitchedOffByUser => "switched off by you",
        LoginState::Differs => "enabled, but the entry differs",
    };
    let mut text = format!("launch at login: {state}\n");
    if let Some(command) = command {
        text.push_str(&format!("  {kind} {place}\n  starts {command}\n"));
    }
    text.extend(hint.iter().map(|hint| format!("hint: {hint}\n")));
    text
}
