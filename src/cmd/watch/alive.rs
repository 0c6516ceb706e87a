//! `watch --json --alive`: the form of the events for another machine.
//!
//! A hello first, then each event with its number, and a sign of life after a while without one. What other machines tell
//! this one is not passed on: two that list each other would tell each other the same for ever.
//! Read next: `core::remote`, the one who reads it.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::cmd::watch::feed::Update;
use crate::core::event_log::Position;
use crate::core::remote::alive::{Beside, Hello, SCHEMA};
use crate::core::report::{Event, EventKind};
use crate::core::source::Agent;
use crate::core::time::Now;
use crate::host::clock_watch::JumpDetector;

/// What was said so far.
#[derive(Debug)]
pub struct Alive {
    every: Duration,
    stream: Option<String>,
    jumps: JumpDetector,
}

/// An event with its place in the stream.
#[derive(Serialize)]
struct Numbered<'a> {
    at: Timestamp,
    #[serde(flatten)]
    kind: &'a EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

impl Alive {
    /// Nothing was said yet.
    pub fn new(every: Duration) -> Self {
        Self { every, stream: None, jumps: JumpDetector::default() }
    }

    /// The lines of what came.
    pub fn lines(&mut self, now: Now, update: &Update) -> String {
        let jumped = self.jumps.has_jumped(now);
        match update {
            Update::Attached { goes_on: true, .. } if self.stream.is_some() => String::new(),
            Update::Attached { stream, goes_on } => {
                self.hello(now, stream.clone().unwrap_or_default(), !goes_on)
            }
            Update::Alone { stream, .. } => self.hello(now, stream.clone(), true),
            Update::Lost => String::new(),
            Update::Event(event, position) => {
                let line = told(event, position.as_ref()).unwrap_or_default();
                self.again(now, jumped) + &line
            }
        }
    }

    /// The sign of life.
    pub fn sign(&mut self, now: Now) -> String {
        let jumped = self.jumps.has_jumped(now);
        match self.stream {
            Some(_) => self.again(now, jumped) + &line(&Beside::Alive { at: now.wall }),
            None => String::new(),
        }
    }

    /// Times are corrected by the clock at the hello.
    fn again(&mut self, now: Now, jumped: bool) -> String {
        match self.stream.clone() {
            Some(stream) if jumped => self.hello(now, stream, false),
            _ => String::new(),
        }
    }

    fn hello(&mut self, now: Now, stream: String, restored: bool) -> String {
        self.stream = Some(stream.clone());
        line(&Beside::Hello(Hello {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: now.wall,
            agents: Agent::ALL.iter().map(|agent| agent.word().to_owned()).collect(),
            stream,
            restored,
            alive: Some(self.every.as_secs_f64()),
        }))
    }
}

fn told(event: &Event, position: Option<&Position>) -> Option<String> {
    if event.host().is_some() {
        return None;
    }
    let about;
    let kind = match &event.kind {
        EventKind::Status => return None,
        EventKind::About { session } => {
            about = EventKind::Session { ended: false, session: session.clone() };
            &about
        }
        kind => kind,
    };
    Some(line(&Numbered { at: event.at, kind, seq: position.map(|position| position.seq) }))
}

fn line(what: &impl Serialize) -> String {
    // Nothing that is told has keys that are no texts, so this cannot fail.
    serde_json::to_string(what).unwrap_or_default() + "\n"
}
