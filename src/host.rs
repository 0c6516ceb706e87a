//! What drives the engine on this machine, for the daemon and for everybody who looks without one.
//!
//! [`drive`] is the engine with its driver's duties, in any time; [`inputs`] is everything that it is fed with here;
//! [`Host`] joins them with this machine's clocks. Shells hear its outputs and look into no input.

pub mod clock_watch;
pub mod drive;
pub mod finding;
pub mod inputs;
#[cfg_attr(not(unix), path = "host/live_elsewhere.rs")]
pub mod live;
pub mod reading;
pub mod remotes;
pub mod statusline;
pub mod taps;
pub mod zone;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::sleep;

use self::clock_watch::{ClockWatch, JumpDetector};
use self::drive::{Drive, Folders};
use self::finding::Finding;
use self::inputs::Inputs;
use self::remotes::Remotes;
use self::statusline::Keeping;
use self::zone::ZoneWatch;
use crate::core::config::Effective;
use crate::core::engine::{Engine, Input, Output};
use crate::core::publish::Publisher;
use crate::core::remote::RemoteReport;
use crate::core::report::{ConfigReport, DaemonReport, StatusReport};
use crate::io::clock;
use crate::io::config_file::ConfigFile;
use crate::io::homes::Home;
use crate::io::paths::Environment;

/// Where everything is that is read, and how the user wants it.
#[derive(Debug, Clone)]
pub struct Places {
    /// The settings file.
    pub config: ConfigFile,
    /// What it says.
    pub effective: Effective,
    /// The agents' homes.
    pub homes: Vec<Home>,
    /// The state folder, whether or not it exists.
    pub state: PathBuf,
    /// The process's environment.
    pub environment: Environment,
    /// The user's time zone.
    pub zone: TimeZone,
}

impl Places {
    /// The settings file and what is wrong with it.
    pub fn config_report(&self) -> ConfigReport {
        // Where the file cannot be read, it is not known whether there is an application id in it.
        let in_force = (!self.effective.may_show_too_much()).then_some(&self.effective.settings);
        self.config.report(&self.effective, in_force)
    }

    /// What there is now, read once; what is known of the `daemon` is handed in. Changes nothing.
    pub fn status(&self, daemon: DaemonReport) -> StatusReport {
        let mut drive = Drive::new(self.engine(), Folders::Looked);
        let inputs = inputs::all(self);
        let now = clock::now();
        drive.take(now, inputs);
        while drive.poll(now).is_some() {}
        let remotes = self.effective.settings.remotes.iter().filter(|remote| remote.enabled);
        let remotes = remotes.map(|remote| RemoteReport::unheard(&remote.name)).collect();
        StatusReport { remotes, ..drive.status(now, daemon, self.config_report()) }
    }

    /// An engine that shows its card to nobody.
    fn engine(&self) -> Engine {
        let settings = self.effective.cautious();
        let publisher = Publisher::new(0, &settings);
        Engine::new(settings, self.zone.clone(), publisher)
    }
}

/// An engine that is fed with what happens on this machine, as it happens.
pub struct Host {
    drive: Drive,
    /// What it is fed with.
    pub inputs: Inputs,
    clock_watch: ClockWatch,
    jumps: JumpDetector,
    zone: ZoneWatch,
}

impl Host {
    /// Begins to feed `engine`. Belongs inside a tokio runtime.
    pub fn new(engine: Engine, inputs: Inputs, environment: &Environment) -> Self {
        Self {
            drive: Drive::new(engine, Folders::Beside(Finding::default())),
            inputs,
            clock_watch: ClockWatch::start(),
            jumps: JumpDetector::default(),
            zone: ZoneWatch::new(environment),
        }
    }

    /// Begins to follow what happens, and neither shows nor writes anything; on other machines as well, if so wanted. Belongs
    /// inside a tokio runtime.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn look_on(places: &Places, with_remotes: bool) -> io::Result<Self> {
        let engine = places.engine();
        let keeping = Keeping::Nothing(places.state.clone());
        let remotes = match with_remotes {
            true => Remotes::start(&engine.settings().remotes, Vec::new()),
            false => Remotes::default(),
        };
        let inputs = Inputs::start(engine.settings(), &places.environment, keeping, None)?.and(remotes);
        let mut host = Self::new(engine, inputs, &places.environment);
        host.take(inputs::kept(places));
        Ok(host)
    }

    /// Ends what was started on other machines, and gives it so long; everything else ends at once.
    pub async fn close(self, deadline: Duration) {
        self.inputs.close(deadline).await;
    }

    /// The engine, for reports.
    pub fn engine(&self) -> &Engine {
        &self.drive.engine
    }

    /// Waits for something to happen, by itself or with time, to be handed in with [`Self::take`]. Nothing is lost when the
    /// wait is given up.
    pub async fn next(&mut self) -> Vec<Input> {
        let due = self.drive.engine.poll_deadline().map(|(at, _)| at);
        tokio::select! {
            biased;
            inputs = self.inputs.next() => inputs,
            answer = self.drive.found() => vec![Input::Located(answer)],
            () = self.clock_watch.jumped() => vec![Input::Tick],
            () = until(due) => {
                self.inputs.verify();
                vec![Input::Tick]
            }
        }
    }

    /// Hands in what happened, and before that that time passed unnoticed.
    pub fn take(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let now = clock::now();
        if self.jumps.has_jumped(now) {
            tracing::info!("the machine slept or a clock was set; looking at everything again");
            self.inputs.woke();
            self.drive.take(now, [Input::Woke]);
        }
        self.follow_zone();
        self.drive.take(now, inputs);
    }

    fn follow_zone(&mut self) {
        if let Some(zone) = self.zone.changed() {
            self.drive.take(clock::now(), [Input::Zone(zone)]);
        }
    }

    /// Hands in what happened together with what session files have brought meanwhile: a burst of lines is one decision.
    pub fn take_burst(&mut self, inputs: Vec<Input>) {
        let mut inputs = inputs;
        inputs.extend(self.inputs.waiting());
        if !inputs.is_empty() {
            self.take(inputs);
        }
    }

    /// The next thing to be done outside; to be called until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.drive.poll(clock::now())?;
        match &output {
            Output::Settings(settings) => self.inputs.follow(settings),
            // An agent may have been started for the first time, and made its files.
            Output::Register => self.inputs.look_again(),
            _ => {}
        }
        Some(output)
    }

    /// The status report.
    pub fn status(&mut self, daemon: DaemonReport, config: ConfigReport) -> StatusReport {
        self.follow_zone();
        let remotes = self.inputs.remotes.reports();
        StatusReport { remotes, ..self.drive.status(clock::now(), daemon, config) }
    }
}

/// Waits for a moment of the monotonic clock; without one, for ever.
pub async fn until(at: Option<Duration>) {
    match at {
        Some(at) => sleep(at.saturating_sub(clock::now().mono)).await,
        None => std::future::pending().await,
    }
}
