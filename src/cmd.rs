//! The commands. Each writes its data to the writer that it gets; messages go to standard error.

pub mod autostart;
pub mod bar;
pub mod cli;
pub mod completions;
pub mod config;
pub mod daemon;
pub mod dashboard;
pub mod demo;
pub mod doctor;
pub mod man;
pub mod operate;
pub mod replay;
pub mod run;
pub mod setup;
pub mod show;
pub mod status;
pub mod statusline;
pub mod tap;
pub mod uninstall;
pub mod watch;

use std::io::IsTerminal;

use jiff::tz::TimeZone;

use self::cli::{Color, Command, Invocation, Run};
use self::setup::Talk;
use crate::error::{Exit, Failure};
use crate::host::Places;
use crate::io::config_file::{self, ConfigFile};
use crate::io::paths::{self, Environment};
use crate::io::printed::TerminalWriter;
use crate::io::{browser, homes};

pub(crate) use crate::io::printed::{note, written};

/// Runs the command with the settings, the homes and the streams that it needs. `application_id` is the one that was
/// built into this program.
///
/// # Errors
/// The command failed; the failure has the text, the hints and the exit code.
pub fn run(invocation: &Invocation, application_id: &str) -> Result<Exit, Failure> {
    let mut out = TerminalWriter::new(std::io::stdout());
    let mut err = TerminalWriter::new(std::io::stderr());
    let environment = Environment::of_process();
    // These need no settings.
    match &invocation.command {
        Command::Completions { shell } => return completions::run(*shell, &mut out),
        Command::Man => return man::run(&mut out),
        Command::Statusline { action: None } => return Ok(statusline::run(&environment, &mut out)),
        Command::Tap(tap) => return tap::run(tap, &environment, &mut err),
        _ => {}
    }
    let config = ConfigFile::locate(invocation.global.config.as_deref(), &environment)?;
    let context = config_file::context(&environment, Some(application_id));
    if let Command::Config(command) = &invocation.command {
        return config::run(command, &config, &context, &mut out, &mut err);
    }
    if let Command::Autostart(command) = &invocation.command {
        return autostart::run(command, &config, &environment, &mut out, &mut err);
    }
    let effective = config.read(&context);
    if let Command::Statusline { action: Some(action) } = &invocation.command {
        let sources = &effective.settings.sources;
        return statusline::set_up(*action, sources, &environment, &mut out);
    }
    // `status` and the daemon report the issues of the settings themselves.
    if matches!(
        &invocation.command,
        Command::Preview
            | Command::Watch(_)
            | Command::Bar(_)
            | Command::Replay(_)
            | Command::Run(Run { demo: true, .. })
    ) {
        config::report(&effective, &config, &mut err);
    }
    let zone = TimeZone::system();
    if let Command::Replay(replay) = &invocation.command {
        let mut out = std::io::BufWriter::new(TerminalWriter::new(std::io::stdout().lock()));
        // A replay stays on this terminal. Only a mistake in the privacy settings withholds names.
        let settings = if effective.withholds() { effective.cautious() } else { effective.settings };
        return replay::run(replay, settings, &zone, &mut out, &mut err);
    }
    let homes = homes::of(&effective.settings.sources, &environment);
    let state = paths::state_dir(&environment)?;
    let places = Places { config, effective, homes, state, environment, zone };
    if let Command::Run(run) = &invocation.command {
        return run::run(run, places, &context, invocation.global.color);
    }
    match &invocation.command {
        Command::Watch(watch) => {
            let is_dumb = places.environment.text("TERM") == Some("dumb");
            if std::io::stdout().is_terminal() && !is_dumb && !watch.json && !watch.bare {
                let colour = invocation.global.color.wanted(&std::io::stdout(), &places.environment);
                return dashboard::run(places, colour);
            }
            watch::run(watch, places, &mut out, &mut err)
        }
        Command::Bar(bar) => {
            // A bar reads a pipe, not a terminal, and shows colours nevertheless.
            let colour = match invocation.global.color {
                Color::Auto => places.environment.text("NO_COLOR").is_none(),
                other => other == Color::Always,
            };
            bar::run(bar, places, colour, &mut out)
        }
        Command::Stop => operate::stop(&places),
        Command::Pause(pause) => operate::pause(&places, pause, &mut out),
        Command::Resume => operate::resume(&places),
        Command::Status(status) => status::status(&places, status.json, &mut out),
        Command::Setup(setup) => {
            let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
            let mut answers = std::io::stdin().lock();
            let open = |page: &str| browser::open(page, &places.environment);
            let talk = Talk { answers: is_terminal.then_some(&mut answers), err: &mut err, open: &open };
            setup::run(setup, &places, &context, talk, &mut out)
        }
        Command::Doctor(doctor) => doctor::run(&places, doctor.json, &mut out),
        Command::Uninstall(uninstall) => uninstall::run(uninstall, &places, &mut out, &mut err),
        _ => status::preview(&places, &mut out),
    }
}
