//! `watch --json --alive`: the form of the events for another machine.
//!
//! A hello comes first, then each event with its number, and a keep-alive line after a while without one. Events of
//! other machines are not passed on: two machines that list each other would send them in a circle.
//! Read next: `core::remote`, the reader's side.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::cmd::watch::feed::Update;
use crate::core::event_log::Position;
use crate::core::remote::alive::{Hello, LinkLine, SCHEMA};
use crate::core::report::{Event, EventKind};
use crate::core::source::Agent;
use crate::core::time::Now;
use crate::host::clock_watch::JumpDetector;

/// The state of the output.
#[derive(Debug)]
pub struct Alive {
    every: Duration,
    stream: Option<String>,
    jumps: JumpDetector,
}

/// An event with its number in the stream.
#[derive(Serialize)]
struct Numbered<'a> {
    at: Timestamp,
    #[serde(flatten)]
    kind: &'a EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

impl Alive {
    /// An output without a hello yet; keep-alive lines come after `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, stream: None, jumps: JumpDetector::default() }
    }

    /// The lines of an update.
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
                let line = event_line(event, position.as_ref()).unwrap_or_default();
                self.again(now, jumped) + &line
            }
        }
    }

    /// The keep-alive line.
    pub fn keep_alive(&mut self, now: Now) -> String {
        let jumped = self.jumps.has_jumped(now);
        match self.stream {
            Some(_) => self.again(now, jumped) + &line(&LinkLine::Alive { at: now.wall }),
            None => String::new(),
        }
    }

    /// A new hello after a clock jump: the reader corrects times by the clock of the hello.
    fn again(&mut self, now: Now, jumped: bool) -> String {
        match self.stream.clone() {
            Some(stream) if jumped => self.hello(now, stream, false),
            _ => String::new(),
        }
    }

    fn hello(&mut self, now: Now, stream: String, restored: bool) -> String {
        self.stream = Some(stream.clone());
        line(&LinkLine::Hello(Hello {
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

fn event_line(event: &Event, position: Option<&Position>) -> Option<String> {
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
    // All keys are strings, so this cannot fail.
    serde_json::to_string(what).unwrap_or_default() + "\n"
}
