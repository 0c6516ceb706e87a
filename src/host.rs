//! Drives the engine on this machine, for the daemon and for commands that run without one.
//!
//! [`drive`] runs the engine in any time; [`inputs`] is every input of this machine; [`Host`] joins them with this
//! machine's clocks. Callers handle its outputs and do not inspect inputs.

mod cached;
pub mod clock_watch;
pub mod drive;

pub mod inputs;
#[cfg_attr(not(unix), path = "host/live_elsewhere.rs")]
pub mod live;
pub mod lookup;
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
use self::inputs::Inputs;
use self::lookup::FolderLookup;
use self::remotes::Remotes;
use self::statusline::StateAccess;
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

/// The settings, folders and environment of one command.
#[derive(Debug, Clone)]
pub struct Places {
    /// The settings file.
    pub config: ConfigFile,
    /// The settings in it.
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
    /// The settings file and its issues.
    pub fn config_report(&self) -> ConfigReport {
        // If the file cannot be read, it is not known whether it has an application id.
        let in_force = (!self.effective.may_show_too_much()).then_some(&self.effective.settings);
        self.config.report(&self.effective, in_force)
    }

    /// The status report from one reading of all files, with this state of the `daemon`. Changes nothing.
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

    /// An engine without links to Discord.
    fn engine(&self) -> Engine {
        let settings = self.effective.cautious();
        let publisher = Publisher::new(0, &settings);
        Engine::new(settings, self.zone.clone(), publisher)
    }
}

/// An engine with the inputs of this machine, as they come.
pub struct Host {
    drive: Drive,
    /// The inputs.
    pub inputs: Inputs,
    clock_watch: ClockWatch,
    jumps: JumpDetector,
    zone: ZoneWatch,
}

impl Host {
    /// Starts the watches for `engine`. Belongs inside a tokio runtime.
    pub fn new(engine: Engine, inputs: Inputs, environment: &Environment) -> Self {
        Self {
            drive: Drive::new(engine, Folders::Beside(FolderLookup::default())),
            inputs,
            clock_watch: ClockWatch::start(),
            jumps: JumpDetector::default(),
            zone: ZoneWatch::new(environment),
        }
    }

    /// Starts an engine that neither shows nor writes anything, with the events of remotes if wanted. Belongs inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn observe(places: &Places, with_remotes: bool) -> io::Result<Self> {
        let engine = places.engine();
        let access = StateAccess::ReadOnly(places.state.clone());
        let remotes = match with_remotes {
            true => Remotes::start(&engine.settings().remotes, Vec::new()),
            false => Remotes::default(),
        };
        let inputs = Inputs::start(engine.settings(), &places.environment, access, None)?.with(remotes);
        let mut host = Self::new(engine, inputs, &places.environment);
        host.take(inputs::stored(places));
        Ok(host)
    }

    /// Ends the commands of remotes, with up to `deadline` to do so themselves; everything else ends at once.
    pub async fn close(self, deadline: Duration) {
        self.inputs.close(deadline).await;
    }

    /// The engine, for reports.
    pub fn engine(&self) -> &Engine {
        &self.drive.engine
    }

    /// Waits for inputs or a deadline, to be passed to [`Self::take`]. Cancel safe.
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

    /// Passes inputs to the engine; before them a clock jump, if there was one.
    pub fn take(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let now = clock::now();
        if self.jumps.has_jumped(now) {
            tracing::info!("the machine slept or a clock was set; checking everything again");
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

    /// Passes inputs together with the waiting events of session files: a burst of lines is one decision.
    pub fn take_burst(&mut self, inputs: Vec<Input>) {
        let mut inputs = inputs;
        inputs.extend(self.inputs.waiting());
        if !inputs.is_empty() {
            self.take(inputs);
        }
    }

    /// The next output; to be called until there is none.
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

/// Waits until `at` of the monotonic clock; without one, for ever.
pub async fn until(at: Option<Duration>) {
    match at {
        Some(at) => sleep(at.saturating_sub(clock::now().mono)).await,
        None => std::future::pending().await,
    }
}
