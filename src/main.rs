//! The program: parse, run, print a failure with its hints, exit.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use agent_presence::browser;
use agent_presence::cli::{self, Color, Command, Invocation, Run};
use agent_presence::commands;
use agent_presence::commands::setup::Talk;
use agent_presence::config_file::{self, ConfigFile};
use agent_presence::dashboard;
use agent_presence::error::{Exit, Failure};
use agent_presence::homes;
use agent_presence::host::Places;
use agent_presence::paths::{self, Environment};
use agent_presence::printed::{self, Printed};
use jiff::tz::TimeZone;

/// A packager's own application: from the build's environment, else from the file, which may be empty.
const BUILT_IN_APPLICATION_ID: &str = match option_env!("AGENT_PRESENCE_APPLICATION_ID") {
    Some(id) if !id.is_empty() => id,
    _ => include_str!("../packaging/application-id"),
};

fn main() -> ExitCode {
    let invocation = match cli::parse() {
        Ok(invocation) => invocation,
        Err(exit) => return exit.into(),
    };
    let ended = run(&invocation).and_then(|exit| match std::io::stdout().flush() {
        // What a command left in the buffer is part of what was asked for.
        Err(error) if exit == Exit::Done => printed::written(Err(error)),
        _ => Ok(exit),
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(Printed::new(std::io::stderr()), "{failure}");
            failure.exit.into()
        }
    }
}

fn run(invocation: &Invocation) -> Result<Exit, Failure> {
    let mut out = Printed::new(std::io::stdout());
    let mut err = Printed::new(std::io::stderr());
    match &invocation.command {
        Command::Completions { shell } => return commands::completions::run(*shell, &mut out),
        Command::Man => return commands::man::run(&mut out),
        _ => {}
    }
    let environment = Environment::of_process();
    if let Command::Statusline { action: None } = &invocation.command {
        return Ok(commands::statusline::run(&environment, &mut out));
    }
    if let Command::Tap(tap) = &invocation.command {
        return commands::tap::run(tap, &environment, &mut err);
    }
    let config = ConfigFile::locate(invocation.global.config.as_deref(), &environment)?;
    let context = config_file::context(&environment, Some(BUILT_IN_APPLICATION_ID));
    if let Command::Config(command) = &invocation.command {
        return commands::config::run(command, &config, &context, &mut out, &mut err);
    }
    if let Command::Autostart(command) = &invocation.command {
        return commands::autostart::run(command, &config, &environment, &mut out, &mut err);
    }
    let effective = config.read(&context);
    if let Command::Statusline { action: Some(action) } = &invocation.command {
        let sources = &effective.settings.sources;
        return commands::statusline::set_up(*action, sources, &environment, &mut out);
    }
    // `status` and the daemon have places of their own for it.
    if matches!(
        &invocation.command,
        Command::Preview
            | Command::Watch(_)
            | Command::Bar(_)
            | Command::Replay(_)
            | Command::Run(Run { demo: true, .. })
    ) {
        commands::config::report(&effective, &config, &mut err);
    }
    let zone = TimeZone::system();
    if let Command::Replay(replay) = &invocation.command {
        let mut out = std::io::BufWriter::new(Printed::new(std::io::stdout().lock()));
        // What is read here reaches nobody else: only a mistake in what is to be hidden keeps it back.
        let settings = if effective.withholds() { effective.cautious() } else { effective.settings };
        return commands::replay::run(replay, settings, &zone, &mut out, &mut err);
    }
    let homes = homes::of(&effective.settings.sources, &environment);
    let state = paths::state_dir(&environment)?;
    let places = Places { config, effective, homes, state, environment, zone };
    if let Command::Run(run) = &invocation.command {
        return commands::run::run(run, places, &context, invocation.global.color);
    }
    match &invocation.command {
        Command::Watch(watch) => {
            let is_dumb = places.environment.text("TERM") == Some("dumb");
            if std::io::stdout().is_terminal() && !is_dumb && !watch.json && !watch.bare {
                let colour = invocation.global.color.wanted(&std::io::stdout(), &places.environment);
                return dashboard::run(places, colour);
            }
            commands::watch::run(watch, places, &mut out, &mut err)
        }
        Command::Bar(bar) => {
            // What a bar reads is no terminal, and has colours all the same.
            let colour = match invocation.global.color {
                Color::Auto => places.environment.text("NO_COLOR").is_none(),
                other => other == Color::Always,
            };
            commands::bar::run(bar, places, colour, &mut out)
        }
        Command::Stop => commands::operate::stop(&places),
        Command::Pause(pause) => commands::operate::pause(&places, pause, &mut out),
        Command::Resume => commands::operate::resume(&places),
        Command::Status(status) => commands::status::status(&places, status.json, &mut out),
        Command::Setup(setup) => {
            let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
            let mut answers = std::io::stdin().lock();
            let open = |page: &str| browser::open(page, &places.environment);
            let talk = Talk { answers: is_terminal.then_some(&mut answers), err: &mut err, open: &open };
            commands::setup::run(setup, &places, &context, talk, &mut out)
        }
        Command::Doctor(doctor) => commands::doctor::run(&places, doctor.json, &mut out),
        Command::Uninstall(uninstall) => commands::uninstall::run(uninstall, &places, &mut out, &mut err),
        _ => commands::status::preview(&places, &mut out),
    }
}
