//! An agent's printed output: takes bytes, gives sessions and their events.
//!
//! It uses the same fold as a file, with other lines. These have no times, so each has the time at which it is read.
//! One stream may contain several sessions, one after the other. Any split of the same bytes gives the same figures.
//! Read next: [`Parser`] for the meaning of lines.

use std::sync::Arc;

use jiff::Timestamp;

use super::FileUpdate;
use super::fold::Fold;
use crate::lines::{Elements, Line};
use crate::source::{Agent, Fact, Meta, Parsed, Parser, Surface};

/// The number of events and sessions that may wait to be taken.
const KEPT: usize = 256;

/// The number of facts that may wait for a session; further ones add nothing.
const EARLY: usize = 16;

/// Follows an agent's printed output.
#[derive(Debug)]
pub struct Stream {
    lines: Elements,
    feed: Feed,
}

#[derive(Debug)]
struct Feed {
    reader: Option<(Agent, Box<dyn Parser>)>,
    /// Facts that came before the session was known.
    early: Vec<Fact>,
    session: Option<Current>,
    ended: Vec<FileUpdate>,
    /// The id of a session that names none.
    fallback: String,
    cwd: Option<String>,
    /// Other folders that it may be in.
    been: Vec<String>,
    homes: Vec<(Agent, Arc<str>)>,
}

#[derive(Debug)]
struct Current {
    id: String,
    fold: Fold,
}

impl Stream {
    /// A stream about to be read from its first byte. Without an agent it is recognised. `fallback` is the id of a
    /// session that names none, `cwd` the folder of one that names none.
    pub fn new(agent: Option<Agent>, fallback: String, cwd: Option<String>) -> Self {
        let feed = Feed {
            reader: agent.and_then(reader_of),
            early: Vec::new(),
            session: None,
            ended: Vec::new(),
            fallback,
            cwd,
            been: Vec::new(),
            homes: Vec::new(),
        };
        Self { lines: Elements::default(), feed }
    }

    /// Sets the folder of a session that names none, and other folders that it may be in.
    pub fn set_place(&mut self, cwd: Option<String>, been: Vec<String>) {
        (self.feed.cwd, self.feed.been) = (cwd, been);
    }

    /// Sets the home folder of each agent there, which identifies the account.
    pub fn in_homes(mut self, homes: impl IntoIterator<Item = (Agent, Arc<str>)>) -> Self {
        self.feed.homes = homes.into_iter().collect();
        self
    }

    /// Takes the next bytes, read at `at` and split anywhere.
    pub fn push(&mut self, bytes: &[u8], at: Timestamp) {
        let feed = &mut self.feed;
        self.lines.push(bytes, |line| feed.line(line, at));
        feed.alive(at);
    }

    /// No more comes for now: facts that were held back are used.
    pub fn settle(&mut self, at: Timestamp) {
        if let Some((_, reader)) = &mut self.feed.reader {
            let held = reader.settle();
            self.feed.take(held, at);
        }
    }

    /// The stream has ended: a last line without a newline is a line.
    pub fn finish(&mut self, at: Timestamp) {
        let feed = &mut self.feed;
        self.lines.finish(|line| feed.line(line, at));
        feed.alive(at);
        self.settle(at);
    }

    /// Whether so much is new that it has to be taken, to keep memory bounded.
    pub fn is_full(&self) -> bool {
        let events = self.feed.session.as_ref().map_or(0, |session| session.fold.events.len());
        events >= KEPT || self.feed.ended.len() >= KEPT
    }

    /// The updates since the last call, session by session; the last one is the current session's.
    pub fn take_updates(&mut self) -> Vec<FileUpdate> {
        let mut updates = std::mem::take(&mut self.feed.ended);
        updates.extend(self.feed.session.as_mut().and_then(|session| session.fold.take_update()));
        updates
    }
}

impl Feed {
    fn line(&mut self, line: Line<'_>, at: Timestamp) {
        if self.reader.is_none()
            && let Line::Whole(bytes) = line
        {
            let prints =
                |agent: &Agent| agent.spec().stream.as_ref().is_some_and(|stream| (stream.is_line)(bytes));
            let whose = || Agent::ALL.into_iter().find(prints);
            self.reader = bytes.starts_with(b"{").then(whose).flatten().and_then(reader_of);
        }
        if let Some((_, reader)) = &mut self.reader {
            let parsed = reader.line(line);
            self.take(parsed, at);
        }
    }

    fn take(&mut self, parsed: Parsed, at: Timestamp) {
        match parsed {
            Parsed::Line { fact: Fact::Several(facts), .. } => {
                facts.into_iter().for_each(|fact| self.take_fact(fact, at));
            }
            // `push` reports signs of life.
            Parsed::Line { fact: Fact::Alive, .. } | Parsed::Unreadable => {}
            Parsed::Line { fact, .. } => self.take_fact(fact, at),
        }
    }

    fn take_fact(&mut self, fact: Fact, at: Timestamp) {
        match fact {
            Fact::Meta(meta) if self.session.as_ref().is_none_or(|session| session.id != meta.id) => {
                self.begin(*meta, at);
            }
            fact if self.session.is_some() => self.fact(fact, at),
            // Figures need a session.
            fact @ (Fact::Count(_) | Fact::Response { .. } | Fact::Message(_)) => {
                let id = self.fallback.clone();
                self.begin(Meta { id, surface: Surface::Exec, visible: true, ..Meta::default() }, at);
                self.fact(fact, at);
            }
            fact if self.early.len() < EARLY => self.early.push(fact),
            _ => {}
        }
    }

    /// Another session begins.
    fn begin(&mut self, meta: Meta, at: Timestamp) {
        let Some(agent) = self.reader.as_ref().map(|(agent, _)| *agent) else { return };
        if let Some(mut before) = self.session.take() {
            self.ended.extend(before.fold.take_update());
        }
        let home = self.homes.iter().find(|(of, _)| *of == agent).map(|(_, home)| Arc::clone(home));
        let mut fold = Fold::new(agent, home.unwrap_or_default(), Timestamp::MIN);
        let id = meta.id.clone();
        let been = if meta.cwd.is_none() { self.been.as_slice() } else { &[] };
        let cwd = meta.cwd.clone().or_else(|| self.cwd.clone());
        let started_at = meta.started_at.or(Some(at));
        fold.stream_fact(at, Fact::Meta(Box::new(Meta { cwd, started_at, ..meta })));
        if let Some(about) = &mut fold.about {
            been.iter().for_each(|folder| about.session.was_in(folder));
        }
        self.session = Some(Current { id, fold });
        for fact in std::mem::take(&mut self.early) {
            self.fact(fact, at);
        }
    }

    fn fact(&mut self, fact: Fact, at: Timestamp) {
        if let Some(session) = &mut self.session {
            session.fold.stream_fact(at, fact);
        }
    }

    fn alive(&mut self, at: Timestamp) {
        self.fact(Fact::Alive, at);
    }
}

fn reader_of(agent: Agent) -> Option<(Agent, Box<dyn Parser>)> {
    agent.spec().stream.as_ref().map(|stream| (agent, (stream.parser)()))
}

impl Fold {
    /// Takes a fact of a stream. Nothing in it was copied from elsewhere.
    fn stream_fact(&mut self, at: Timestamp, fact: Fact) {
        let fact = Parsed::Line { at: Some(at), ordinal: None, fact, unknown: false };
        self.parsed(Line::Whole(&[]), fact);
        if let Some(about) = &mut self.about {
            about.ledger.set_lineage(&[]);
            self.drain();
        }
    }
}
