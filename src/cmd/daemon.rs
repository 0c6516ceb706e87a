//! The daemon: one loop, one task, one owner of the state.
//!
//! [`crate::core::engine`] decides. This loop passes events to it, carries out its outputs, and sleeps until the
//! engine's next deadline. Nothing polls: an idle daemon does not wake up. Read next: [`crate::host`], the inputs and
//! the engine's driver; [`crate::io::discord`], the links; `requests.rs`, the requests of the control channel.

mod output;
pub mod record;
mod requests;
pub mod restarts;
pub mod settings;
mod state_folder;
pub mod takeover;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use self::record::Recorder;
use self::requests::{Request, Requests};
use self::settings::LiveSettings;
use crate::control::Handover;
use crate::core::card::Card;
use crate::core::engine::{Engine, Input, Output};
use crate::core::publish::Publisher;
use crate::core::report::DaemonReport;
use crate::core::settings::Settings;
use crate::core::time::Now;
use crate::error::{Exit, Failure};
use crate::host::inputs::Inputs;
use crate::host::reading::ResumePoint;
use crate::host::remotes::Remotes;
use crate::host::statusline::StateAccess;
use crate::host::{Host, until};
use crate::io::clock;
use crate::io::discord::Links;
use crate::io::discord::endpoints::EndpointDirs;
use crate::io::discord::watcher::{self, EndpointWatcher};
use crate::io::instance::Instance;
use crate::io::paths::{Environment, StateDir};
use crate::io::printed;
use crate::io::signals::{self, Signals};
use crate::io::state::{self, Keeper};

/// How long connections may take to clear their cards at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Where cards go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// To every Discord client.
    Discord,
    /// To standard output.
    Terminal,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where cards go.
    pub sink: Sink,
    /// Whether each card is printed as it changes.
    pub print_cards: bool,
    /// Whether each usage event gets a line in the log.
    pub usage_lines: bool,
    /// The user's time zone.
    pub zone: TimeZone,
    /// The state that an earlier daemon handed over.
    pub inherited: Option<Handover>,
}

/// Runs until it is asked to end, or hands over to another daemon. `instance` is the lock, which the caller holds until
/// everything here has ended.
///
/// # Errors
/// The system refused a thread, a signal handler or a timer.
pub async fn run(
    mut options: Options,
    settings: LiveSettings,
    environment: &Environment,
    folder: StateDir,
    instance: &Instance,
) -> Result<Exit, Failure> {
    let started = clock::now();
    let inherited = options.inherited.take();
    let mut remembered = state::read_limits(folder.path());
    let kept_pause = state::read_pause(folder.path());
    let paused_until = inherited.as_ref().map_or(kept_pause, |inherited| inherited.paused_until);
    let publisher = publisher(options.sink, settings.settings(), started);
    let publisher = match &inherited {
        Some(inherited) => publisher.with_budget(started, &inherited.budget),
        None => publisher,
    };
    let mut engine = Engine::new(settings.settings().clone(), options.zone.clone(), publisher);
    let obeyed = inherited.as_ref().map(|inherited| inherited.settings().1);
    engine.obey(started, obeyed.unwrap_or_default());
    let left = inherited.as_ref().and_then(|inherited| {
        let files = inherited.positions.iter().map(|progress| progress.read).collect();
        Some(ResumePoint { at: inherited.at?, files, registers: inherited.registers.clone() })
    });
    if let Some(inherited) = inherited.as_ref().filter(|_| left.is_some()) {
        engine.inherit(&inherited.positions, &inherited.registers, inherited.card.clone());
    } else {
        engine.await_reading(started);
    }
    let in_force = engine.settings();
    let failed = |what: &str, error: std::io::Error| Failure::new(format!("could not {what}: {error}"));
    // Signals are handled before the control channel opens: another process that finds this daemon can also end it.
    let signals = Signals::new().map_err(|error| failed("listen for signals", error))?;
    signals::ensure_end();
    let requests = Requests::start(folder.path(), environment, instance, inherited.as_ref());
    let remotes = inherited.as_ref().map(|inherited| inherited.remotes.clone()).unwrap_or_default();
    let remotes = Remotes::start(&in_force.remotes, remotes);
    let inputs = Inputs::start(in_force, environment, StateAccess::Write(folder.clone()), left)
        .map_err(|error| failed("start reading session files", error))?
        .with(remotes);
    let mut daemon = Daemon {
        endpoints: (options.sink == Sink::Discord).then(|| {
            let places = EndpointDirs::new(|name| environment.path(name).map(Into::into));
            EndpointWatcher::new(places, in_force.discord.clients.clone())
        }),
        links: Links::default(),
        record: Recorder::new(&folder, &in_force.record, started.wall),
        instance,
        keeper: Keeper::new(folder, remembered.clone(), kept_pause),
        host: Host::new(engine, inputs, environment),
        signals,
        requests,
        settings,
        keep_at: None,
        report: DaemonReport {
            state: "running".to_owned(),
            pid: Some(std::process::id()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            started_at: Some(started.wall),
            paused_until: None,
            sink: Some(if options.sink == Sink::Discord { "discord" } else { "terminal" }.to_owned()),
        },
        options,
        printed: Ok(()),
        waiting_card: None,
        ending: false,
    };
    tracing::info!(pid = instance.record.pid, version = env!("CARGO_PKG_VERSION"), "started");
    remembered.extend(inherited.iter().flat_map(|inherited| inherited.limits.clone()));
    // Events of other machines that the earlier daemon knew are not news, and they come before those of files.
    let known = daemon.host.inputs.remotes.ready();
    let begin = [Input::Remembered(remembered)].into_iter().chain(paused_until.map(Input::Pause));
    let far = inherited.as_ref().is_some_and(|inherited| inherited.is_far_heard).then_some(Input::Far);
    daemon.host.take(begin.chain(far).chain(known));
    daemon.turn().await;
    // A dry run has no output but its cards, so a failure to print them is its result.
    let is_dry_run = daemon.options.sink == Sink::Terminal;
    let printed = if is_dry_run { std::mem::replace(&mut daemon.printed, Ok(())) } else { Ok(()) };
    daemon.end().await;
    printed::written(printed)
}

fn publisher(sink: Sink, settings: &Settings, now: Now) -> Publisher {
    use std::hash::{BuildHasher, Hasher};

    // The only random number of the daemon: it spreads the retries of different machines.
    let seed = std::hash::RandomState::new().build_hasher().finish();
    let publisher = Publisher::new(seed, settings);
    match sink {
        Sink::Discord => publisher,
        Sink::Terminal => publisher.with_terminal(now),
    }
}

struct Daemon<'a> {
    options: Options,
    settings: LiveSettings,
    host: Host,
    links: Links,
    endpoints: Option<EndpointWatcher>,
    signals: Signals,
    requests: Requests,
    instance: &'a Instance,
    keeper: Keeper,
    record: Recorder,
    /// When limits that changed are written to disk, by the monotonic clock.
    keep_at: Option<Duration>,
    report: DaemonReport,
    /// The result of printing cards; after an error no more are printed.
    printed: std::io::Result<()>,
    /// The card that was printed last while no Discord was connected.
    waiting_card: Option<Option<Arc<Card>>>,
    ending: bool,
}

impl Daemon<'_> {
    /// The loop.
    async fn turn(&mut self) {
        while !self.host.engine().is_finished() {
            // After the handover has named the spent budget nothing more is sent, so that the number stays true.
            let goes_on = !self.requests.is_handing_over();
            let inputs = tokio::select! {
                biased;
                () = self.signals.next() => {
                    if self.ending {
                        return;
                    }
                    self.ending = true;
                    self.requests.cancel_handover();
                    Some(vec![Input::ShutDown])
                }
                request = self.requests.next() => match request {
                    Request::Call(call) => {
                        self.host.inputs.verify();
                        Some(self.answer(call).into_iter().collect())
                    }
                    Request::HandedOver => return,
                    Request::HandoverCancelled => None,
                    Request::ListenAgain => {
                        self.requests.listen(self.instance);
                        None
                    }
                },
                (endpoint, event) = self.links.next() => {
                    if let Some(endpoints) = &mut self.endpoints {
                        endpoints.check_unwatched(true);
                    }
                    Some(vec![Input::Link(endpoint, event)])
                }
                event = watcher::next_of(&mut self.endpoints) => Some(vec![event.into()]),
                settings = self.settings.next() => {
                    // The new settings apply before the next line is read.
                    self.host.take([Input::Settings(Box::new(settings.clone()))]);
                    None
                }
                inputs = self.host.next(), if goes_on => Some(inputs),
                () = until(self.keep_at), if goes_on => {
                    self.host.inputs.verify();
                    None
                }
            };
            if let Some(inputs) = inputs {
                self.host.take_burst(inputs);
            }
            if !self.requests.is_handing_over() {
                self.output();
                self.answer_waiting();
            }
            self.keep();
            if self.keeper.was_busy() | self.host.inputs.has_read_state() {
                self.mind_state();
            }
        }
    }

    fn output(&mut self) {
        let _gathering = self.settings.gather_log();
        let now = clock::now();
        while let Some(output) = self.host.poll() {
            match output {
                Output::Link(command) => self.links.carry_out(command),
                Output::Event(event) => {
                    self.log_event(&event);
                    self.record.push(&event);
                    self.requests.send(&event);
                }
                Output::Notice(notice) => output::log(&notice),
                Output::Problem { message: Some(message), .. } => tracing::warn!("{message}"),
                Output::Problem { home, message: None } => {
                    tracing::info!("the session files of {home} can be followed again");
                }
                Output::CaughtUp => self.record.caught_up(),
                Output::Settings(settings) => self.use_settings(&settings),
                Output::FindPeer(endpoint) => self.links.find_peer(endpoint),
                Output::Register | Output::Locate(_) => {}
            }
        }
        self.record.write(|| self.host.engine().restored(now), now.wall);
        self.print_waiting_card(now);
        if let Some(endpoints) = &mut self.endpoints {
            endpoints.set_any_link_up(self.host.engine().is_any_link_up());
            endpoints.check_unwatched(false);
        }
    }

    fn keep(&mut self) {
        let now = clock::now();
        let engine = self.host.engine();
        self.keep_at = self.keeper.keep(now.mono, engine.paused_until(), engine.limits(), self.instance);
        if self.ending && !engine.is_finished() {
            self.host.take([Input::ShutDown]);
        }
    }

    async fn end(mut self) {
        let limits = self.host.engine().limits().cloned().collect();
        // The reading thread has nothing to finish, and may be in the middle of a large file.
        self.host.close(FAREWELL).await;
        self.keeper.finish(limits);
        self.record.finish(clock::now().wall);
        self.requests.close().await;
        self.links.close_all(FAREWELL).await;
    }
}
