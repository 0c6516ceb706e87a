//! All inputs of an engine on this machine, in one stream.
//!
//! Inputs of the user and of Discord are not among them; only the daemon has those. Read next: [`super::Host`].

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::live::Servers;
use super::reading::{Read, Reading, ResumePoint};
use super::remotes::Remotes;
use super::statusline::{StateAccess, StatuslineWatch};
use super::taps::Taps;
use crate::control::tap::TapReceiver;
use crate::core::engine::Input;
use crate::core::settings::{Settings, Sources};
use crate::core::source_event::SourceEvent;
use crate::io::clock;
use crate::io::homes;
use crate::io::intake::{self, IntakeConfig};
use crate::io::paths::Environment;
use crate::io::state;
use crate::io::statusline::{self, cached};

use super::Places;

/// Session files, limits from status lines, limits in agents' own files, agents' servers, `tap` connections, and other
/// machines.
pub struct Inputs {
    environment: Environment,
    sources: Sources,
    reading: Reading,
    terminals: StatuslineWatch,
    taps: Taps,
    servers: Servers,
    /// Other machines.
    pub remotes: Remotes,
    has_read_state: bool,
}

impl Inputs {
    /// Starts reading; `left` is where an earlier reading ended. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn start(
        settings: &Settings,
        environment: &Environment,
        access: StateAccess,
        left: Option<ResumePoint>,
    ) -> io::Result<Self> {
        let homes = homes::of(&settings.sources, environment);
        Ok(Self {
            reading: Reading::resume(Arc::new(clock::now), homes.clone(), left)?,
            terminals: StatuslineWatch::new(access, homes.clone(), cached::places(&homes, environment)),
            servers: Servers::new(&homes, &settings.sources),
            taps: Taps::new(homes),
            remotes: Remotes::default(),
            sources: settings.sources.clone(),
            environment: environment.clone(),
            has_read_state: false,
        })
    }

    /// Adds these other machines.
    #[must_use]
    pub fn with(self, remotes: Remotes) -> Self {
        Self { remotes, ..self }
    }

    /// Waits for the next inputs. Cancel safe.
    pub async fn next(&mut self) -> Vec<Input> {
        let events = tokio::select! {
            biased;
            read = self.reading.next() => match read {
                Read::Event(event) => vec![event],
                Read::Restarted => {
                    self.servers.send_again();
                    return vec![Input::SourcesLost];
                }
            },
            limits = self.terminals.next() => {
                self.has_read_state = true;
                limits
            }
            tapped = self.taps.next() => tapped,
            heard = self.servers.next() => heard,
            inputs = self.remotes.next() => return inputs,
        };
        events.into_iter().map(|event| self.pass(event)).collect()
    }

    /// The waiting events of session files.
    pub fn waiting(&mut self) -> impl Iterator<Item = Input> {
        std::iter::from_fn(|| self.reading.try_next().map(|event| self.pass(event)))
    }

    fn pass(&mut self, event: SourceEvent) -> Input {
        if let SourceEvent::Updated { update, .. } = &event
            && update.session.agent.spec().live.is_some()
        {
            self.servers.updated(&update.session);
        }
        Input::Source(event)
    }

    /// A receiver for one more `tap` connection.
    pub fn tap(&mut self) -> TapReceiver {
        self.taps.open()
    }

    /// Whether the state folder was read since the last call.
    pub fn has_read_state(&mut self) -> bool {
        std::mem::take(&mut self.has_read_state)
    }

    pub(super) async fn close(self, deadline: Duration) {
        let Self { remotes, .. } = self;
        remotes.close(deadline).await;
    }

    /// Checks everything again after a clock jump.
    pub(super) fn woke(&mut self) {
        self.remotes.woke();
        self.reading.woke();
    }

    /// Checks the processes that agents registered. The process is awake anyway, so this costs no wake-up.
    pub fn verify(&self) {
        self.reading.verify();
    }

    /// Follows the sources and the remotes of these settings from now on.
    pub(super) fn follow(&mut self, settings: &Settings) {
        self.remotes.follow(&settings.remotes, Vec::new());
        let sources = &settings.sources;
        if *sources != self.sources {
            self.sources.clone_from(sources);
            let homes = homes::of(sources, &self.environment);
            self.terminals.set_homes(homes.clone(), cached::places(&homes, &self.environment));
            self.taps.set_homes(homes.clone());
            self.servers.set(&homes, sources);
            self.reading.set_homes(homes);
        }
    }

    /// Looks again for files that were missing.
    pub fn look_again(&mut self) {
        self.terminals.look_again();
    }
}

/// The limits and the pause that an earlier daemon stored.
pub(super) fn stored(places: &Places) -> impl Iterator<Item = Input> {
    let pause = state::read_pause(&places.state).map(Input::Pause);
    std::iter::once(Input::Remembered(state::read_limits(&places.state))).chain(pause)
}

/// All inputs from one complete reading.
pub(super) fn all(places: &Places) -> Vec<Input> {
    let now = clock::now();
    let mut events = statusline::read(&places.state, &places.homes, now);
    let cached = cached::places(&places.homes, &places.environment);
    events.extend(cached.iter().flat_map(|place| place.read(now)));
    let config = IntakeConfig::new(places.homes.clone(), Arc::new(clock::now));
    let mut read = Vec::new();
    intake::read_once(config, |event| {
        read.push(event);
        ControlFlow::Continue(())
    });
    stored(places).chain(events.into_iter().chain(read).map(Input::Source)).collect()
}
