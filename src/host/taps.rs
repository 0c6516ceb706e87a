//! The sessions of `tap` connections: each is a source like a session file.
//!
//! Nothing here waits for a client; a client that sends faster than the loop reads waits at its own end.
//! Read next: [`crate::control::tap`], the messages; `core::engine::tapped`, how they are counted.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::control::tap::{TapReceiver, TapReport, Tapped};
use crate::core::source_event::{FileId, SourceEvent};
use crate::io::homes::Home;
use crate::io::real_path::real;

/// How many updates may wait for the loop.
const INBOX: usize = 32;

/// The sessions of every connection.
#[derive(Debug)]
pub struct Taps {
    homes: Vec<Home>,
    sender: mpsc::Sender<TapReport>,
    reports: mpsc::Receiver<TapReport>,
    connections: u64,
    sessions: u64,
    /// By connection: its session in the last message, and its home's label.
    known: BTreeMap<u64, (FileId, Arc<str>, Box<Tapped>)>,
}

impl Taps {
    /// No connections yet.
    pub fn new(homes: Vec<Home>) -> Self {
        let (sender, reports) = mpsc::channel(INBOX);
        Self { homes, sender, reports, connections: 0, sessions: 0, known: BTreeMap::new() }
    }

    /// Uses these homes from now on. Agents that are switched off are ignored here too.
    pub fn set_homes(&mut self, homes: Vec<Home>) {
        self.homes = homes;
    }

    /// A receiver for one more connection.
    pub fn open(&mut self) -> TapReceiver {
        self.connections += 1;
        TapReceiver::new(self.connections, self.sender.clone())
    }

    /// The next events. Cancel safe.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        match self.reports.recv().await {
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

    /// The label of a session's home. Limits belong to an account and an account to a home, also to one whose files are
    /// not read. A session without a home gets the agent's first one.
    fn home(&self, tapped: &Tapped) -> Option<Arc<str>> {
        let mut homes = self.homes.iter().filter(|home| home.agent == tapped.agent).peekable();
        let first = Arc::clone(&homes.peek()?.label);
        let Some(named) = &tapped.home else { return Some(first) };
        let path = Path::new(named);
        // The disk, which may be slow, is asked only about another name than ours.
        let same = homes.clone().find(|home| home.path == path);
        let same = same.or_else(|| homes.find(|home| real(&home.path) == real(path)));
        Some(same.map_or_else(|| Arc::from(named.as_str()), |home| Arc::clone(&home.label)))
    }
}
