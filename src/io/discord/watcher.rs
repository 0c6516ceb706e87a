//! Notices Discord clients that start and end, without polling where possible.
//!
//! Folders are watched one by one and listed after each watch is set, so that nothing is missed in between. Places that
//! cannot be watched are checked now and then: `/tmp` while no link is up and when the daemon is awake anyway, pipes
//! always. Whether a new socket is worth a connection is not decided here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind};
use tokio::time::Instant;

use super::endpoints::{
    EndpointDirs, FoundClient, Identity, PREFIX, discover, present, roots, unwatched, watch_dirs,
};
use crate::core::engine::Input;
use crate::core::publish::Endpoint;
use crate::core::settings::Clients;
use crate::io::fs_watch::{Pace, Watch};
use crate::io::real_path::real;

/// How often unwatched sockets are checked while the daemon is awake for other reasons.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// A client that starts removes the old socket and makes the new one; both are one event.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(20),
    at_most: Duration::from_millis(20),
    look_every: if cfg!(windows) { Duration::from_secs(15) } else { Duration::from_secs(30) },
};

/// A change of a client's socket or pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointEvent {
    /// It exists, or the user named it; with the client's name.
    Found(Endpoint, String),
    /// It was replaced: the client was restarted, so connecting at once is worthwhile. Says nothing about an existing
    /// connection.
    Renewed(Endpoint, String),
    /// It does not exist any more.
    Gone(Endpoint),
}

/// Watches the places where clients listen. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct EndpointWatcher {
    places: EndpointDirs,
    clients: Clients,
    watch: Watch,
    changes: Shared,
    known: BTreeMap<Endpoint, Option<Identity>>,
    events: VecDeque<EndpointEvent>,
    any_link_up: bool,
    /// Paths of possible clients without a watch, and the sockets there at the last check.
    unwatched: Vec<PathBuf>,
    seen: Vec<Identity>,
    checked_at: Option<Instant>,
}

/// Shared with the system's callback.
type Shared = Arc<Mutex<SocketChanges>>;

/// The changes since the last call. Sets cannot overflow.
#[derive(Debug, Default)]
struct SocketChanges {
    /// Paths that matter besides Discord's own names: the bases and those that the user named.
    awaited: BTreeSet<PathBuf>,
    created: BTreeSet<PathBuf>,
    removed: BTreeSet<PathBuf>,
}

impl From<EndpointEvent> for Input {
    fn from(event: EndpointEvent) -> Self {
        match event {
            EndpointEvent::Found(endpoint, client) => Self::Found(endpoint, client),
            EndpointEvent::Renewed(endpoint, client) => Self::Renewed(endpoint, client),
            EndpointEvent::Gone(endpoint) => Self::Vanished(endpoint),
        }
    }
}

/// The next event, if there is a watcher. Cancel safe.
pub async fn next_of(endpoints: &mut Option<EndpointWatcher>) -> EndpointEvent {
    match endpoints {
        Some(endpoints) => endpoints.next().await,
        None => std::future::pending().await,
    }
}

impl EndpointWatcher {
    /// Starts watching; the first events are the clients that exist.
    pub fn new(places: EndpointDirs, clients: Clients) -> Self {
        let changes = Shared::default();
        let callback = Arc::clone(&changes);
        let watch = Watch::new("Discord clients", PACE, move |event| lock(&callback).note(event));
        let mut this = Self {
            places,
            clients,
            watch,
            changes,
            known: BTreeMap::new(),
            events: VecDeque::new(),
            any_link_up: false,
            unwatched: Vec::new(),
            seen: Vec::new(),
            checked_at: None,
        };
        this.refresh();
        this
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> EndpointEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.watch.wait().await;
            self.refresh();
        }
    }

    /// Reports whether any link is up: then clients are not searched for where that costs wake-ups.
    pub fn set_any_link_up(&mut self, up: bool) {
        if self.any_link_up != up {
            self.any_link_up = up;
            if up { self.plan_look() } else { self.watch.look_at(Some(Instant::now())) }
        }
    }

    /// Checks unwatched places, a few sockets: to be called when the daemon is awake anyway. After an event of a link
    /// it always checks, otherwise only now and then.
    pub fn check_unwatched(&mut self, is_about_a_link: bool) {
        let now = Instant::now();
        let is_due = is_about_a_link || self.checked_at.is_none_or(|at| at + CHECK_EVERY <= now);
        if self.unwatched.is_empty() || !is_due {
            return;
        }
        self.checked_at = Some(now);
        if present(&self.unwatched, &self.places) != self.seen {
            self.refresh();
        }
    }

    /// Uses other clients from now on.
    pub fn set_clients(&mut self, clients: Clients) {
        if self.clients != clients {
            self.clients = clients;
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        let changes = self.take_changes();
        // A folder's watch ends with it, also if another one takes its place.
        changes.removed.iter().for_each(|folder| self.watch.forget(folder));
        self.watch.follow(|| watch_dirs(&self.places, &self.clients).into_iter().collect());
        self.unwatched = unwatched(&self.places, &self.clients, self.watch.watched());
        // This is read before the search: a change in between is then found by the next check.
        self.seen = present(&self.unwatched, &self.places);
        let found = discover(&self.places, &self.clients);
        self.compare(&found, &changes.created);
        self.plan_look();
    }

    /// The changes since the last call; from now on the present paths matter.
    fn take_changes(&self) -> SocketChanges {
        let awaited = self.awaited();
        std::mem::replace(&mut lock(&self.changes), SocketChanges { awaited, ..SocketChanges::default() })
    }

    fn compare(&mut self, found: &[FoundClient], created: &BTreeSet<PathBuf>) {
        for FoundClient { endpoint, client, identity } in found {
            let event = match self.known.insert(endpoint.clone(), *identity) {
                None => EndpointEvent::Found(endpoint.clone(), client.clone()),
                Some(before) => {
                    let anew = before != *identity || created.contains(Path::new(&endpoint.0));
                    if !anew || identity.is_none() {
                        continue;
                    }
                    EndpointEvent::Renewed(endpoint.clone(), client.clone())
                }
            };
            self.events.push_back(event);
        }
        let gone: Vec<Endpoint> = self
            .known
            .keys()
            .filter(|known| found.iter().all(|one| one.endpoint != **known))
            .cloned()
            .collect();
        for endpoint in gone {
            self.known.remove(&endpoint);
            self.events.push_back(EndpointEvent::Gone(endpoint));
        }
    }

    /// Plans the next check of unwatched places, if there is one and a reason.
    fn plan_look(&mut self) {
        self.watch.look_at(None);
        if cfg!(windows) || (!self.any_link_up && self.has_unwatched_root()) {
            self.watch.look_later();
        }
    }

    fn has_unwatched_root(&self) -> bool {
        roots(&self.places, &self.clients).iter().any(|root| !self.watch.watched().contains(root))
    }

    fn awaited(&self) -> BTreeSet<PathBuf> {
        match &self.clients {
            Clients::All => self.places.bases.iter().map(|base| real(base)).collect(),
            Clients::Only(endpoints) => endpoints.iter().map(PathBuf::from).collect(),
        }
    }
}

fn lock(changes: &Shared) -> MutexGuard<'_, SocketChanges> {
    changes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SocketChanges {
    /// Notes an event of the watched folders; whether it matters.
    fn note(&mut self, event: &Event) -> bool {
        if matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))) {
            return false;
        }
        let mut matters = false;
        for path in event.paths.iter().filter(|path| self.is_relevant(path)).cloned().collect::<Vec<_>>() {
            matters = true;
            if event.kind.is_remove() || matches!(event.kind, EventKind::Modify(ModifyKind::Name(_))) {
                self.removed.insert(path.clone());
            }
            if !event.kind.is_remove() {
                self.created.insert(path);
            }
        }
        matters
    }

    /// Whether a client's start or end may look like this. A runtime folder belongs to the whole desktop, and most
    /// changes in it have nothing to do with Discord.
    fn is_relevant(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let parent =
            path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(PREFIX)
            || name.starts_with("snap.")
            || matches!(name, "app" | ".flatpak" | "xdg-run")
            || matches!(parent, "app" | ".flatpak")
            || self.awaited.iter().any(|awaited| awaited.starts_with(path))
    }
}
