//! The daemon: one loop, one task, one owner of the state.
//!
//! Everything that decides is in [`crate::core::engine`]; this loop hands in what happens, does what comes out, and
//! sleeps until the engine's next deadline. Nothing here polls: an idle daemon does not wake up.
//! Read next: [`crate::host`], what feeds and drives the engine; [`discord`], the links;
//! `requests.rs`, what the control channel brings.

pub mod discord;
pub mod lives;
pub mod record;
mod requests;
pub mod settings;
pub mod signals;
mod state_folder;
mod telling;
pub mod zone;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use self::discord::Links;
use self::discord::endpoints::Places;
use self::discord::watcher::{self, EndpointWatcher};
use self::record::Recorder;
use self::requests::{Request, Requests};
use self::settings::LiveSettings;
use self::signals::Signals;
use self::zone::ZoneWatch;
use crate::clock;
use crate::control::Handover;
use crate::core::card::Card;
use crate::core::engine::{Engine, Input, Output};
use crate::core::publish::Publisher;
use crate::core::report::DaemonReport;
use crate::core::settings::Settings;
use crate::core::time::Now;
use crate::error::{Exit, Failure};
use crate::homes;
use crate::host::clock_watch::{ClockWatch, JumpDetector};
use crate::host::finding::Finding;
use crate::host::reading::{Left, Read, Reading};
use crate::host::state::{self, Keeper};
use crate::host::statusline::StatuslineWatch;
use crate::host::taps::Taps;
use crate::instance::Instance;
use crate::paths::{Environment, StateDir};
use crate::printed;
use crate::statusline::cached;

/// How long connections may take to say farewell.
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
    /// What an earlier daemon left to this one.
    pub inherited: Option<Handover>,
}

/// Runs until it is asked to end, or to give way to another daemon. `instance` is the lock, which the caller holds
/// until everything here has ended.
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
    let in_force = Arc::new(engine.settings().clone());
    let homes = homes::of(&in_force.sources, environment);
    let failed = |what: &str, error: std::io::Error| Failure::new(format!("could not {what}: {error}"));
    // Whoever can find this daemon can also end it politely.
    let mut signals = Signals::new().map_err(|error| failed("listen for signals", error))?;
    signals::insist();
    let mut requests = Requests::start(folder.path(), environment, instance, inherited.as_ref());
    let mut daemon = Daemon {
        endpoints: (options.sink == Sink::Discord).then(|| {
            let places = Places::new(|name| environment.path(name).map(Into::into));
            EndpointWatcher::new(places, in_force.discord.clients.clone())
        }),
        links: Links::default(),
        terminals: StatuslineWatch::new(folder.clone(), homes.clone(), cached::places(&homes, environment)),
        record: Recorder::new(&folder, &in_force.record, started.wall),
        taps: Taps::new(homes.clone()),
        instance,
        keeper: Keeper::new(folder, remembered.clone(), kept_pause),
        engine,
        settings,
        in_force,
        environment,
        detector: JumpDetector::default(),
        zone: ZoneWatch::new(environment),
        keep_at: None,
        finding: Finding::default(),
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
        waiting: None,
        ending: false,
    };
    let left = inherited.as_ref().and_then(|inherited| {
        let files = inherited.positions.iter().map(|progress| progress.read).collect();
        Some(Left { at: inherited.at?, files, registers: inherited.registers.clone() })
    });
    if let Some(inherited) = inherited.as_ref().filter(|_| left.is_some()) {
        daemon.engine.inherit(&inherited.positions, &inherited.registers, inherited.card.clone());
    }
    let mut reading = Reading::resume(Arc::new(clock::now), homes, left)
        .map_err(|error| failed("start reading session files", error))?;
    tracing::info!(pid = instance.record.pid, version = env!("CARGO_PKG_VERSION"), "started");
    remembered.extend(inherited.into_iter().flat_map(|inherited| inherited.limits));
    daemon.input(Input::Remembered(remembered), &mut reading);
    if let Some(until) = paused_until {
        daemon.input(Input::Pause(until), &mut reading);
    }
    daemon.turn(&mut reading, &mut signals, &mut requests).await;
    // Cards on standard output are all that a dry run is for.
    let is_dry_run = daemon.options.sink == Sink::Terminal;
    let printed = if is_dry_run { std::mem::replace(&mut daemon.printed, Ok(())) } else { Ok(()) };
    daemon.end(reading, requests).await;
    printed::written(printed)
}

fn publisher(sink: Sink, settings: &Settings, now: Now) -> Publisher {
    use std::hash::{BuildHasher, Hasher};

    // The one place that needs to differ between machines: it spreads retries.
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
    /// Those that everybody here goes by.
    in_force: Arc<Settings>,
    environment: &'a Environment,
    engine: Engine,
    links: Links,
    endpoints: Option<EndpointWatcher>,
    terminals: StatuslineWatch,
    taps: Taps,
    instance: &'a Instance,
    keeper: Keeper,
    record: Recorder,
    detector: JumpDetector,
    zone: ZoneWatch,
    /// When limits that were not written are written.
    keep_at: Option<Duration>,
    finding: Finding,
    report: DaemonReport,
    /// What became of printing cards.
    printed: std::io::Result<()>,
    /// The card that was printed last, without a Discord to show it.
    waiting: Option<Option<Arc<Card>>>,
    ending: bool,
}

impl Daemon<'_> {
    /// The loop.
    async fn turn(&mut self, reading: &mut Reading, signals: &mut Signals, requests: &mut Requests) {
        let clock_watch = ClockWatch::start();
        while !self.engine.is_finished() {
            let now = clock::now();
            let due =
                [self.engine.poll_deadline().map(|(at, _)| at), self.keep_at].into_iter().flatten().min();
            // Nothing is sent between the word on what was spent and the end, so that the word stays true.
            let due = due.filter(|_| !requests.is_handing_over());
            let sleep = due.map(|at| at.saturating_sub(now.mono));
            let input = tokio::select! {
                biased;
                () = signals.next() => {
                    if self.ending {
                        return;
                    }
                    self.ending = true;
                    requests.call_off_handover();
                    Some(Input::ShutDown)
                }
                request = requests.next() => match request {
                    Request::Call(call) => {
                        reading.verify();
                        self.answer(call, requests)
                    }
                    Request::HandedOver => return,
                    Request::Staying => None,
                    Request::Deaf => {
                        requests.listen(self.instance);
                        None
                    }
                },
                (endpoint, event) = self.links.next() => {
                    if let Some(endpoints) = &mut self.endpoints {
                        endpoints.glance(true);
                    }
                    Some(Input::Link(endpoint, event))
                }
                event = watcher::next_of(&mut self.endpoints) => Some(event.into()),
                read = reading.next() => Some(match read {
                    Read::Event(event) => Input::Source(event),
                    Read::StartedAgain => Input::SourcesLost,
                }),
                said = self.terminals.next() => {
                    self.inputs(said.into_iter().map(Input::Source), reading);
                    self.mind_state(requests);
                    None
                }
                events = self.taps.next() => {
                    self.inputs(events.into_iter().map(Input::Source), reading);
                    None
                }
                answer = self.finding.next() => Some(Input::Located(answer)),
                settings = self.settings.next() => Some(Input::Settings(Box::new(settings.clone()))),
                () = clock_watch.jumped() => Some(Input::Tick),
                () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {
                    reading.verify();
                    Some(Input::Tick)
                }
            };
            // A burst of lines is one decision. Other settings are in force before the next line.
            let is_alone = matches!(input, Some(Input::Settings(_)));
            let mut inputs: Vec<Input> = input.into_iter().collect();
            while !is_alone && let Some(event) = reading.try_next() {
                inputs.push(Input::Source(event));
            }
            if !inputs.is_empty() {
                self.inputs(inputs, reading);
            }
            if !requests.is_handing_over() {
                self.output(requests, reading);
                self.answer_early(requests);
            }
            self.keep();
            if self.keeper.was_busy() {
                self.mind_state(requests);
            }
        }
    }

    fn input(&mut self, input: Input, reading: &mut Reading) {
        self.inputs([input], reading);
    }

    /// Hands in what happened, and before that that time passed unnoticed.
    fn inputs(&mut self, inputs: impl IntoIterator<Item = Input>, reading: &mut Reading) {
        let now = clock::now();
        if self.detector.has_jumped(now) {
            tracing::info!("the machine slept or a clock was set; looking at everything again");
            reading.woke();
            self.engine.handle(now, Input::Woke);
        }
        self.engine.handle_all(now, inputs);
    }

    fn output(&mut self, requests: &mut Requests, reading: &mut Reading) {
        let now = clock::now();
        self.follow_zone(now);
        while let Some(output) = self.engine.poll_output(now) {
            match output {
                Output::Link(command) => self.links.obey(command),
                Output::Event(event) => {
                    self.tell(&event);
                    self.record.tell(&event);
                    requests.tell(&event);
                }
                Output::Notice(notice) => telling::log(&notice),
                Output::Problem { message: Some(message), .. } => tracing::warn!("{message}"),
                Output::Problem { home, message: None } => {
                    tracing::info!("the session files of {home} can be followed again");
                }
                Output::CaughtUp => self.record.caught_up(),
                // Claude Code may have been started for the first time, and made its file.
                Output::Register => self.terminals.look_again(),
                Output::Settings(settings) => self.use_settings(settings, reading),
                Output::Locate(question) => self.finding.ask(question),
            }
        }
        self.record.write(|| self.engine.restored(now), now.wall);
        self.print_waiting(now);
        while let Some(endpoint) = self.engine.next_unknown_peer(now) {
            self.links.find_peer(endpoint);
        }
        if let Some(endpoints) = &mut self.endpoints {
            endpoints.set_any_link_up(self.engine.is_any_link_up());
            endpoints.glance(false);
        }
    }

    fn keep(&mut self) {
        let now = clock::now();
        self.keep_at =
            self.keeper.keep(now.mono, self.engine.paused_until(), self.engine.limits(), self.instance);
        if self.ending && !self.engine.is_finished() {
            self.engine.handle(now, Input::ShutDown);
        }
    }

    async fn end(mut self, reading: Reading, requests: Requests) {
        // It has nothing to finish, and may be in the middle of a large file.
        drop(reading);
        self.keeper.finish(self.engine.limits().cloned().collect());
        self.record.finish(clock::now().wall);
        requests.close().await;
        self.links.close_all(FAREWELL).await;
    }
}
