//! What an agent prints, instead of what it writes into a file: bytes in, sessions and their events out.
//!
//! The same fold as a file's, fed by other lines. They have no times, so each happens when it is read; and one stream may
//! tell of several sessions, one after the other. Any split of the same bytes gives the same figures.
//! Read next: [`Parser`], for what lines say.

use std::sync::Arc;

use jiff::Timestamp;

use super::FileUpdate;
use super::fold::Fold;
use crate::core::lines::{Elements, Line};
use crate::core::source::{Agent, Fact, Meta, Parsed, Parser, Surface};

/// Events and sessions that may wait to be taken.
const KEPT: usize = 256;

/// Facts that wait for a session; more of them say nothing more.
const EARLY: usize = 16;

/// Follows what an agent prints.
#[derive(Debug)]
pub struct Stream {
    lines: Elements,
    feed: Feed,
}

#[derive(Debug)]
struct Feed {
    reader: Option<(Agent, Box<dyn Parser>)>,
    /// What was said before it was known of which session.
    early: Vec<Fact>,
    session: Option<Current>,
    ended: Vec<FileUpdate>,
    /// What a session is called that does not say.
    fallback: String,
    cwd: Option<String>,
    /// Where else it may be.
    been: Vec<String>,
    homes: Vec<(Agent, Arc<str>)>,
}

#[derive(Debug)]
struct Current {
    id: String,
    fold: Fold,
}

impl Stream {
    /// A stream about to be read from its first byte. Without an agent it is recognised. `fallback` is the id of a session
    /// that is not told, `cwd` the folder of one that does not tell it.
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

    /// Where a session works that does not say so, and where else it may.
    pub fn set_place(&mut self, cwd: Option<String>, been: Vec<String>) {
        (self.feed.cwd, self.feed.been) = (cwd, been);
    }

    /// The home folder that each agent uses there: whose account it is.
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

    /// Tells that nothing comes for now, so that what is held back is told.
    pub fn settle(&mut self, at: Timestamp) {
        if let Some((_, reader)) = &mut self.feed.reader {
            let held = reader.settle();
            self.feed.take(held, at);
        }
    }

    /// Tells that nothing will come any more: a last line without an end is one.
    pub fn finish(&mut self, at: Timestamp) {
        let feed = &mut self.feed;
        self.lines.finish(|line| feed.line(line, at));
        feed.alive(at);
        self.settle(at);
    }

    /// Whether so much is new that it should be taken, lest more be kept than is bounded.
    pub fn is_full(&self) -> bool {
        let events = self.feed.session.as_ref().map_or(0, |session| session.fold.events.len());
        events >= KEPT || self.feed.ended.len() >= KEPT
    }

    /// What is new since the last call, session by session; the last one is the one at hand.
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
            let said = reader.line(line);
            self.take(said, at);
        }
    }

    fn take(&mut self, said: Parsed, at: Timestamp) {
        match said {
            Parsed::Line { fact: Fact::Several(facts), .. } => {
                facts.into_iter().for_each(|fact| self.take_fact(fact, at));
            }
            // `push` tells that something came.
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
            // Figures are somebody's.
            fact @ (Fact::Count(_) | Fact::Response { .. } | Fact::Message(_)) => {
                let id = self.fallback.clone();
                self.begin(Meta { id, surface: Surface::Exec, visible: true, ..Meta::default() }, at);
                self.fact(fact, at);
            }
            fact if self.early.len() < EARLY => self.early.push(fact),
            _ => {}
        }
    }

    /// Another session than before.
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
    /// What a stream says. Nothing in it was copied from elsewhere.
    fn stream_fact(&mut self, at: Timestamp, fact: Fact) {
        let fact = Parsed::Line { at: Some(at), ordinal: None, fact, unknown: false };
        self.parsed(Line::Whole(&[]), fact);
        if let Some(about) = &mut self.about {
            about.ledger.set_lineage(&[]);
            self.drain();
        }
    }
}
