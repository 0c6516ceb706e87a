//! Agents' own servers on systems where this program cannot use Unix sockets: they are not listened to, which is
//! reported if the settings ask for it.

use std::future::pending;
use std::sync::Arc;

use crate::core::session::Session;
use crate::core::settings::Sources;
use crate::core::source_event::SourceEvent;
use crate::io::homes::Home;

/// A problem for each home whose server was to be listened to.
#[derive(Debug)]
pub struct Servers(Vec<SourceEvent>);

impl Servers {
    /// Collects the problems.
    pub fn new(homes: &[Home], sources: &Sources) -> Self {
        let wanted = homes.iter().filter(|home| sources.of(home.agent).is_live);
        let problem = |home: &Home| {
            let live = home.agent.spec().live.as_ref()?;
            let (key, agent, name) = (live.key, home.agent.card_name(), live.name);
            let message = format!("{agent}'s {name} cannot be listened to on this system (sources.{key})");
            Some(SourceEvent::Problem { key, home: Arc::clone(&home.label), message: Some(message) })
        };
        Self(wanted.filter_map(problem).collect())
    }

    /// Applies other homes or settings.
    pub fn set(&mut self, homes: &[Home], sources: &Sources) {
        *self = Self::new(homes, sources);
    }

    /// Does nothing: there are no registers.
    pub fn send_again(&mut self) {}

    /// Does nothing.
    pub fn updated(&mut self, _: &Session) {}

    /// Waits for the next events.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        if self.0.is_empty() { pending().await } else { std::mem::take(&mut self.0) }
    }
}
