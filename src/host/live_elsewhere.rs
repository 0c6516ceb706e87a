//! Agents' own servers where they listen on Unix sockets and this system's runtime has none: they are not listened to, which
//! is said where the settings ask for it.

use std::future::pending;
use std::sync::Arc;

use crate::core::session::Session;
use crate::core::settings::Sources;
use crate::core::source_event::SourceEvent;
use crate::io::homes::Home;

/// What is said of each home that was to be listened to.
#[derive(Debug)]
pub struct Servers(Vec<SourceEvent>);

impl Servers {
    /// Listens to nothing.
    pub fn new(homes: &[Home], sources: &Sources) -> Self {
        let wanted = homes.iter().filter(|home| sources.of(home.agent).is_live);
        let say = |home: &Home| {
            let live = home.agent.spec().live.as_ref()?;
            let (key, agent, name) = (live.key, home.agent.card_name(), live.name);
            let message = format!("{agent}'s {name} cannot be listened to on this system (sources.{key})");
            Some(SourceEvent::Problem { key, home: Arc::clone(&home.label), message: Some(message) })
        };
        Self(wanted.filter_map(say).collect())
    }

    /// The same with other homes or settings.
    pub fn set(&mut self, homes: &[Home], sources: &Sources) {
        *self = Self::new(homes, sources);
    }

    /// There is nothing to tell.
    pub fn tell_again(&mut self) {}

    /// A session of an agent that has a server was updated.
    pub fn updated(&mut self, _: &Session) {}

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        if self.0.is_empty() { pending().await } else { std::mem::take(&mut self.0) }
    }
}
