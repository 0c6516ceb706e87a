//! Everything that an engine is fed with on this machine, in one stream.
//!
//! What the user and Discord do is not among it; only the daemon hears those. Read next: [`super::Host`].

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::live::Servers;
use super::reading::{Left, Read, Reading};
use super::remotes::Remotes;
use super::statusline::{Keeping, StatuslineWatch};
use super::taps::Taps;
use crate::control::tap::Ear;
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

/// The session files, what terminals say of limits, what agents keep of them, what their own servers say, what `tap` hears,
/// and other machines.
pub struct Inputs {
    environment: Environment,
    sources: Sources,
    reading: Reading,
    terminals: StatuslineWatch,
    taps: Taps,
    servers: Servers,
    /// Other machines.
    pub remotes: Remotes,
    has_looked: bool,
}

impl Inputs {
    /// Begins to read; `left` is where an earlier reading left off. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn start(
        settings: &Settings,
        environment: &Environment,
        keeping: Keeping,
        left: Option<Left>,
    ) -> io::Result<Self> {
        let homes = homes::of(&settings.sources, environment);
        Ok(Self {
            reading: Reading::resume(Arc::new(clock::now), homes.clone(), left)?,
            terminals: StatuslineWatch::new(keeping, homes.clone(), cached::places(&homes, environment)),
            servers: Servers::new(&homes, &settings.sources),
            taps: Taps::new(homes),
            remotes: Remotes::default(),
            sources: settings.sources.clone(),
            environment: environment.clone(),
            has_looked: false,
        })
    }

    /// Listens to these other machines as well.
    #[must_use]
    pub fn and(self, remotes: Remotes) -> Self {
        Self { remotes, ..self }
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Vec<Input> {
        let events = tokio::select! {
            biased;
            read = self.reading.next() => match read {
                Read::Event(event) => vec![event],
                Read::StartedAgain => {
                    self.servers.tell_again();
                    return vec![Input::SourcesLost];
                }
            },
            said = self.terminals.next() => {
                self.has_looked = true;
                said
            }
            told = self.taps.next() => told,
            heard = self.servers.next() => heard,
            inputs = self.remotes.next() => return inputs,
        };
        events.into_iter().map(|event| self.pass(event)).collect()
    }

    /// What session files have brought already.
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

    /// An ear for one more `tap`.
    pub fn tap(&mut self) -> Ear {
        self.taps.open()
    }

    /// Whether the state folder was looked at since the last call.
    pub fn has_looked(&mut self) -> bool {
        std::mem::take(&mut self.has_looked)
    }

    pub(super) async fn close(self, deadline: Duration) {
        let Self { remotes, .. } = self;
        remotes.close(deadline).await;
    }

    /// Looks at everything again, because time may have passed unnoticed.
    pub(super) fn woke(&mut self) {
        self.remotes.woke();
        self.reading.woke();
    }

    /// The process is awake anyway, so that a look at the processes that agents registered costs no wake-up.
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

    /// Looks for what was missing and may be there now.
    pub fn look_again(&mut self) {
        self.terminals.look_again();
    }
}

/// What an earlier daemon has kept of limits, and its pause.
pub(super) fn kept(places: &Places) -> impl Iterator<Item = Input> {
    let pause = state::read_pause(&places.state).map(Input::Pause);
    std::iter::once(Input::Remembered(state::read_limits(&places.state))).chain(pause)
}

/// Everything that there is now, read once and to its end.
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
    kept(places).chain(events.into_iter().chain(read).map(Input::Source)).collect()
}
