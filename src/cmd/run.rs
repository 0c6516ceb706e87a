//! `run`: the daemon in the foreground.

use std::io::{IsTerminal, Write};

use crate::cmd::cli::{Color, Run};
use crate::cmd::daemon::settings::LiveSettings;
use crate::cmd::daemon::takeover::{self, AcquiredLock, Outcome};
use crate::cmd::daemon::{self, Options, Sink, restarts};
use crate::cmd::demo;
use crate::control::Handover;
use crate::core::config::ConfigContext;
use crate::core::takeover::TakeoverOptions;
use crate::error::{Exit, Failure};
use crate::host::Places;
use crate::io::logging::{Destination, Logging, stderr_of_process};
use crate::io::paths::ensure_state_dir;

/// Runs the daemon, or the demo, until it ends.
///
/// # Errors
/// Another instance keeps the lock, the state folder cannot be used, or the system refused something basic.
pub fn run(command: &Run, places: Places, context: &ConfigContext, color: Color) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("could not start: {error}")))?;
    let settings = places.effective.settings.clone();
    let level = settings.log.level.clone();
    let colour = color.wanted(&std::io::stderr(), &places.environment);
    if command.demo {
        Logging::start(Destination::of_command(), None, if command.quiet { "warn" } else { &level }, colour)?;
        return runtime.block_on(demo::run(command.discord, settings, places.zone, &places.environment));
    }
    let folder = ensure_state_dir(&places.state)?;
    let AcquiredLock { instance, inherited, from } = if command.dry_run {
        let instance = runtime.block_on(takeover::acquire_free(&folder, &places.environment))?;
        AcquiredLock { instance, inherited: None, from: None }
    } else {
        let options = TakeoverOptions { no_takeover: command.no_takeover, replace: command.replace };
        match runtime.block_on(takeover::acquire(&folder, &places.environment, options))? {
            Outcome::Acquired(acquired) => *acquired,
            Outcome::Left { to } => {
                let who = to.map(|pid| format!(" (process {pid})")).unwrap_or_default();
                let left = format_args!("another instance{who} started later and runs; ending\n");
                super::note(&mut std::io::stderr(), left);
                return Ok(Exit::Done);
            }
        }
    };
    let destination = Destination::choose(stderr_of_process(&places.environment));
    let logging = Logging::start(destination, Some(&folder), &level, colour)?;
    // Only the place: a panic's message may hold text of a session file.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!("internal error at {place}; continuing. Please report it");
    }));
    let sink = if command.dry_run { Sink::Terminal } else { Sink::Discord };
    let mut stdout = std::io::stdout();
    let mut options = Options {
        sink,
        print_cards: sink == Sink::Terminal || stdout.is_terminal(),
        usage_lines: !command.quiet,
        zone: places.zone,
        inherited,
    };
    let Places { config, effective, environment, .. } = places;
    if let Some(from) = from {
        tracing::info!(from, "took over");
    }
    // For the first run alone: later runs read the settings again, and the handed over state is used up.
    let mut first = Some((effective, options.inherited.take()));
    let attempt = async || {
        let (effective, inherited) = first.take().unwrap_or_else(|| (config.read(context), None));
        let used = inherited.as_ref().and_then(|inherited: &Handover| inherited.settings().0);
        let options = Options { inherited, ..options.clone() };
        let (config, context, logging) = (config.clone(), context.clone(), logging.clone());
        let settings = LiveSettings::new(config, context, logging, effective, used, sink == Sink::Discord);
        daemon::run(options, settings, &environment, folder.clone(), &instance).await
    };
    let result = runtime.block_on(restarts::run(attempt, restarts::pause));
    // A call that is stuck in the system must not hold up the end.
    runtime.shutdown_background();
    let _ = stdout.flush();
    tracing::info!("ended");
    drop(instance);
    result.unwrap_or(Ok(Exit::Done))
}
