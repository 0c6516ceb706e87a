//! Following the session files without a daemon: the daemon's own engine and intake, with no sink.
//!
//! Writes nothing and asks nobody. Read next: [`super::feed`], which falls back to this.

use std::io;

use crate::clock;
use crate::core::engine::{Engine, Input, Output};
use crate::core::publish::Publisher;
use crate::core::report::{ConfigReport, DaemonReport, Event, StatusReport};
use crate::host::clock_watch::JumpDetector;
use crate::host::reading::{Read, Reading};
use crate::host::state;
use crate::real_path;
use crate::statusline;
use crate::statusline::cached::{self, CachedLimits};

use super::Source;

/// An engine that follows the files.
pub(super) struct Alone {
    engine: Engine,
    reading: Reading,
    detector: JumpDetector,
    /// What Claude Code itself keeps of the limits.
    cached: CachedLimits,
}

impl Alone {
    /// Begins with what is there. Belongs inside a tokio runtime.
    pub(super) fn start(source: &Source) -> io::Result<Self> {
        let settings = source.settings.clone();
        let publisher = Publisher::new(0, &settings);
        let mut alone = Self {
            engine: Engine::new(settings, source.zone.clone(), publisher),
            reading: Reading::start(source.homes.clone())?,
            detector: JumpDetector::default(),
            cached: CachedLimits::new(cached::places(&source.homes, &source.environment)),
        };
        alone.engine.handle(clock::now(), Input::Remembered(state::read_limits(&source.state)));
        if let Some(until) = state::read_pause(&source.state) {
            alone.engine.handle(clock::now(), Input::Pause(until));
        }
        alone.look_at_terminals(source);
        Ok(alone)
    }

    /// What the terminals of Claude Code have said meanwhile, and what Claude Code keeps itself.
    pub(super) fn look_at_terminals(&mut self, source: &Source) {
        let now = clock::now();
        let said = statusline::read(&source.state, &source.homes, now);
        for event in said.into_iter().chain(self.cached.read(now)) {
            self.engine.handle(now, Input::Source(event));
        }
    }

    /// Waits for something to happen. Nothing is lost when the wait is given up.
    pub(super) async fn wait(&mut self) {
        let now = clock::now();
        let sleep = self.engine.poll_deadline().map(|(at, _)| at.saturating_sub(now.mono));
        let input = tokio::select! {
            read = self.reading.next() => match read {
                Read::Event(event) => Input::Source(event),
                Read::StartedAgain => Input::SourcesLost,
            },
            () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {
                self.reading.verify();
                Input::Tick
            }
        };
        self.input(input);
        while let Some(event) = self.reading.try_next() {
            self.input(Input::Source(event));
        }
    }

    fn input(&mut self, input: Input) {
        let now = clock::now();
        if self.detector.has_jumped(now) {
            self.reading.woke();
            self.engine.handle(now, Input::Woke);
        }
        self.engine.handle(now, input);
    }

    /// What has happened since the last call.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let now = clock::now();
        let mut events = Vec::new();
        while let Some(output) = self.engine.poll_output(now) {
            match output {
                Output::Event(event) => events.push(*event),
                Output::Locate(question) => {
                    self.engine.handle(now, Input::Located(real_path::locate(&question)));
                }
                _ => {}
            }
        }
        events
    }

    /// The status report, as a daemon without sinks would give it.
    pub(super) fn status(&self, config: ConfigReport) -> StatusReport {
        let paused_until = self.engine.paused_until();
        let daemon = DaemonReport { paused_until, ..DaemonReport::not_running() };
        self.engine.status(clock::now(), daemon, config)
    }
}
