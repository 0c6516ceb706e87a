//! What agents print, as `tap` tells it: each connection's session is a source like a session file.
//!
//! Nothing here waits for a client; a client that tells more than the loop takes waits at its own end.
//! Read next: [`crate::control::tap`], for what is told; `core::engine::tapped`, for what counts.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::control::tap::{Ear, TapReport, Tapped};
use crate::core::source_event::{FileId, SourceEvent};
use crate::io::homes::Home;
use crate::io::real_path::real;

/// Updates that wait for the loop.
const INBOX: usize = 32;

/// The sessions of every connection.
#[derive(Debug)]
pub struct Taps {
    homes: Vec<Home>,
    sender: mpsc::Sender<TapReport>,
    heard: mpsc::Receiver<TapReport>,
    connections: u64,
    sessions: u64,
    /// By connection: its session as it was told last, and what its home is called.
    known: BTreeMap<u64, (FileId, Arc<str>, Box<Tapped>)>,
}

impl Taps {
    /// No connection yet.
    pub fn new(homes: Vec<Home>) -> Self {
        let (sender, heard) = mpsc::channel(INBOX);
        Self { homes, sender, heard, connections: 0, sessions: 0, known: BTreeMap::new() }
    }

    /// The homes that are read. Agents that are switched off are not listened to either.
    pub fn set_homes(&mut self, homes: Vec<Home>) {
        self.homes = homes;
    }

    /// An ear for one more connection.
    pub fn open(&mut self) -> Ear {
        self.connections += 1;
        Ear::new(self.connections, self.sender.clone())
    }

    /// What is told next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        match self.heard.recv().await {
            Some(TapReport { connection, tapped }) => self.events(connection, tapped),
            None => pending().await,
        }
    }

    fn events(&mut self, connection: u64, tapped: Option<Box<Tapped>>) -> Vec<SourceEvent> {
        let before = self.known.remove(&connection);
        let goes_on = |known: &Tapped| tapped.as_ref().is_some_and(|tapped| tapped.is_of(known));
        let (same, other) = match before {
            Some((file, home, known)) if goes_on(&known) => (Some((file, home)), None),
            before => (None, before.map(|(file, ..)| SourceEvent::Gone { file })),
        };
        let update = tapped.and_then(|tapped| {
            let (file, home) = match same {
                Some(same) => same,
                None => {
                    let home = self.home(&tapped)?;
                    self.sessions += 1;
                    (FileId::stream(self.sessions), home)
                }
            };
            let known = Box::new(tapped.clone_without_events());
            self.known.insert(connection, (file, Arc::clone(&home), known));
            let update = Box::new(tapped.into_update(home));
            Some(SourceEvent::Updated { file, update, read: None })
        });
        other.into_iter().chain(update).collect()
    }

    /// What the home of a session is called. Limits are an account's, and an account is a home's, also where its files are
    /// not read. One that does not say is taken for the first.
    fn home(&self, tapped: &Tapped) -> Option<Arc<str>> {
        let mut homes = self.homes.iter().filter(|home| home.agent == tapped.agent).peekable();
        let first = Arc::clone(&homes.peek()?.label);
        let Some(told) = &tapped.home else { return Some(first) };
        let wanted = real(Path::new(told));
        let same = homes.find(|home| real(&home.path) == wanted);
        Some(same.map_or_else(|| Arc::from(told.as_str()), |home| Arc::clone(&home.label)))
    }
}
