//! Notices Discord clients that come and go, without waking up while nothing happens.
//!
//! Folders are watched one by one and listed after each watch is set, so that nothing falls in between. What cannot
//! be watched is looked at now and then: `/tmp` while no link is up and when the daemon is awake anyway, pipes always.
//! Whether a socket that appeared is worth a connection is not decided here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::endpoints::{Found, Identity, PREFIX, Places, discover, present, roots, unwatched, watch_dirs};
use crate::core::engine::Input;
use crate::core::publish::Endpoint;
use crate::core::settings::Clients;
use crate::intake::is_without_instance;

/// How often sockets are looked for where nothing tells of them.
const LOOK_EVERY: Duration = if cfg!(windows) { Duration::from_secs(15) } else { Duration::from_secs(30) };

/// How often the sockets that nothing tells of are glanced at while other things keep the daemon awake.
const GLANCE_EVERY: Duration = Duration::from_secs(5);

/// A client that starts removes the old socket and makes the new one; together that is one event.
const SETTLE: Duration = Duration::from_millis(20);

/// What happened to a client's socket or pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointEvent {
    /// It is there, or the user named it; with the client's name for people.
    Found(Endpoint, String),
    /// A new one took its place: the client was started again, so an attempt to connect is worth it at once. Says
    /// nothing about a connection that exists.
    Renewed(Endpoint, String),
    /// It is not there any more.
    Gone(Endpoint),
}

/// Watches the places where clients listen. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct EndpointWatcher {
    places: Places,
    clients: Clients,
    /// `None` where there is nothing to be had from the system: then everything is looked at now and then.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    shared: Arc<Shared>,
    known: BTreeMap<Endpoint, Option<Identity>>,
    events: VecDeque<EndpointEvent>,
    any_link_up: bool,
    /// When what was just heard of has settled.
    settled: Option<Instant>,
    /// When to look without having heard of anything.
    look: Option<Instant>,
    /// Where clients may be that nothing tells of, and which sockets were there at the last look.
    unwatched: Vec<PathBuf>,
    seen: Vec<Identity>,
    glanced_at: Option<Instant>,
}

/// What the system's callback and the watcher tell each other.
#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    ping: Notify,
}

/// What the callback heard since it was last asked. Sets cannot overflow.
#[derive(Debug, Default)]
struct Heard {
    /// Paths that matter beyond Discord's own names: the bases and what the user named.
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

/// The next event, if there is a watcher. Nothing is lost when the wait is given up.
pub async fn next_of(endpoints: &mut Option<EndpointWatcher>) -> EndpointEvent {
    match endpoints {
        Some(endpoints) => endpoints.next().await,
        None => std::future::pending().await,
    }
}

impl EndpointWatcher {
    /// Starts watching; the first events tell what is already there.
    pub fn new(places: Places, clients: Clients) -> Self {
        let shared = Arc::new(Shared::default());
        let callback = Arc::clone(&shared);
        let watcher = cfg!(unix).then(|| notify::recommended_watcher(move |event| callback.hear(event)));
        if let Some(Err(error)) = &watcher {
            let hint = is_without_instance(error).then_some("raise fs.inotify.max_user_instances");
            tracing::warn!(%error, hint, "could not watch for Discord clients; looking for them every {LOOK_EVERY:?}");
        }
        let mut this = Self {
            places,
            clients,
            watcher: watcher.and_then(Result::ok),
            watched: BTreeSet::new(),
            shared,
            known: BTreeMap::new(),
            events: VecDeque::new(),
            any_link_up: false,
            settled: None,
            look: None,
            unwatched: Vec::new(),
            seen: Vec::new(),
            glanced_at: None,
        };
        this.refresh();
        this
    }

    /// Waits for the next event. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> EndpointEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.wait().await;
            self.refresh();
        }
    }

    /// Tells whether any card has a way out at the moment: then no client is looked for where that costs wake-ups.
    pub fn set_any_link_up(&mut self, up: bool) {
        if self.any_link_up != up {
            self.any_link_up = up;
            self.look = if up { self.next_look() } else { Some(Instant::now()) };
        }
    }

    /// Looks at what cannot be watched, which is a few sockets' worth of work: to be called when the daemon is awake anyway.
    /// At something that happened to a link it always looks, otherwise only now and then.
    pub fn glance(&mut self, is_about_a_link: bool) {
        let now = Instant::now();
        let is_due = is_about_a_link || self.glanced_at.is_none_or(|at| at + GLANCE_EVERY <= now);
        if self.unwatched.is_empty() || !is_due {
            return;
        }
        self.glanced_at = Some(now);
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

    async fn wait(&mut self) {
        loop {
            let due = [self.settled, self.look].into_iter().flatten().min();
            tokio::select! {
                () = self.shared.ping.notified() => {
                    self.settled.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return,
            }
        }
    }

    fn refresh(&mut self) {
        let heard = self.shared.take();
        self.watch_again(&heard.removed);
        self.unwatched = unwatched(&self.places, &self.clients, &self.watched);
        // Before the look: what comes in between is then seen by the next glance.
        self.seen = present(&self.unwatched, &self.places);
        let found = discover(&self.places, &self.clients);
        self.compare(&found, &heard.created);
        self.settled = None;
        self.look = self.next_look();
    }

    /// Brings the watches in line with the folders that are there.
    fn watch_again(&mut self, removed: &BTreeSet<PathBuf>) {
        /// Folders inside folders, and one more round to see that there are no others.
        const ROUNDS: usize = 6;
        self.shared.lock().awaited = self.awaited();
        let Some(watcher) = &mut self.watcher else { return };
        // The watch of a folder goes with it, also when another one takes its place.
        for folder in removed {
            if self.watched.remove(folder) {
                let _ = watcher.unwatch(folder);
            }
        }
        for _ in 0..ROUNDS {
            let wanted: BTreeSet<PathBuf> = watch_dirs(&self.places, &self.clients).into_iter().collect();
            for folder in self.watched.difference(&wanted) {
                let _ = watcher.unwatch(folder);
            }
            self.watched.retain(|folder| wanted.contains(folder));
            let before = self.watched.len();
            for folder in wanted {
                if !self.watched.contains(&folder) {
                    match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                        Ok(()) => drop(self.watched.insert(folder)),
                        Err(error) => tracing::debug!(folder = %folder.display(), %error, "could not watch"),
                    }
                }
            }
            if self.watched.len() == before {
                break;
            }
        }
    }

    fn compare(&mut self, found: &[Found], created: &BTreeSet<PathBuf>) {
        for Found { endpoint, client, identity } in found {
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

    /// The next look at what cannot be watched, if there is such a place and a reason.
    fn next_look(&self) -> Option<Instant> {
        let wanted = cfg!(windows) || (!self.any_link_up && self.is_blind_somewhere());
        wanted.then(|| Instant::now() + LOOK_EVERY)
    }

    fn is_blind_somewhere(&self) -> bool {
        roots(&self.places, &self.clients).iter().any(|root| !self.watched.contains(root))
    }

    fn awaited(&self) -> BTreeSet<PathBuf> {
        let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        match &self.clients {
            Clients::All => self.places.bases.iter().map(real).collect(),
            Clients::Only(endpoints) => endpoints.iter().map(PathBuf::from).collect(),
        }
    }
}

impl Shared {
    /// Called by the system's watcher, on its thread, for everything that happens in the folders watched.
    fn hear(&self, event: notify::Result<Event>) {
        // An error means that something was missed, which a look makes up for.
        let event = event.unwrap_or_else(|_| Event::new(EventKind::Other));
        let is_change = !matches!(
            event.kind,
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))
        );
        if !is_change {
            return;
        }
        let mut heard = self.lock();
        let mut matters = event.need_rescan() || event.paths.is_empty();
        for path in event.paths {
            if heard.is_relevant(&path) {
                matters = true;
                if event.kind.is_remove() || matches!(event.kind, EventKind::Modify(ModifyKind::Name(_))) {
                    heard.removed.insert(path.clone());
                }
                if !event.kind.is_remove() {
                    heard.created.insert(path);
                }
            }
        }
        drop(heard);
        if matters {
            self.ping.notify_one();
        }
    }

    fn take(&self) -> Heard {
        let mut heard = self.lock();
        let awaited = heard.awaited.clone();
        std::mem::replace(&mut *heard, Heard { awaited, ..Heard::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Whether a client's coming or going may look like this. A runtime folder belongs to the whole desktop, and
    /// most of what happens in it is none of ours.
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
