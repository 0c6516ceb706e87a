//! A Discord client to test against: strict where the real one is strict, and as unreliable as told.
//!
//! ```ignore
//! let folder = tempfile::tempdir().unwrap();
//! let discord = FakeDiscord::in_folder(folder.path());     // listens at <folder>/discord-ipc-0, on a thread of its own
//! // …start what is to be tested; for the daemon: `clients = ["<discord.endpoint()>"]`, so that it finds no real one…
//! let first = discord.activity(1);                         // waits for the first accepted SET_ACTIVITY
//! discord.wait_for_presence("the model", |card| card["details"] == "Thinking");
//! discord.restart();                                       // same path, everybody has to connect again
//! assert!(discord.most_connections_within(Duration::from_secs(60)) <= 2);
//! ```
//!
//! What it is strict about, as Discord is: a handshake comes first and within 10 s; two connections per client id
//! and then one every 30 s, the rest waits for its READY; frames before READY are dropped; each frame arrives in one
//! write; activities obey [`super::discord_rules`]; 3 MiB a frame. [`Rules::speed`] divides all of Discord's own times.
//!
//! How it misbehaves is said in [`Rules`], which can be changed at any time ([`FakeDiscord::set`]), or by what happens
//! once: [`FakeDiscord::die`], [`FakeDiscord::hang_up`], [`FakeDiscord::freeze`], ….
//!
//! Everything is kept ([`Seen`]) and can be waited for ([`FakeDiscord::wait_for`]); a wait that takes too long panics
//! and shows what was seen instead. The waits block, so a test that drives a runtime itself has to do that elsewhere.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod seen;
mod server;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc as sync_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use agent_presence::io::clock;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, watch};

use self::seen::most_within;
pub(crate) use self::seen::{Connection, Received, Seen};
pub(crate) use self::wire::{Dialled, dial, endpoint};
use super::PATIENCE;

pub(crate) const HANDSHAKE: u32 = 0;
pub(crate) const FRAME: u32 = 1;
pub(crate) const CLOSE: u32 = 2;
pub(crate) const PING: u32 = 3;
pub(crate) const PONG: u32 = 4;

/// An error of Discord's for an activity: code and message.
pub(crate) type Refusal = fn(&Value) -> Option<(i64, String)>;

/// How this Discord behaves.
#[derive(Clone)]
pub(crate) struct Rules {
    /// How many times faster than Discord its own clockwork runs (handshake deadline, connection bucket).
    pub(crate) speed: u32,
    /// Two connections per client id at once, then one every 30 s.
    pub(crate) throttled: bool,
    /// Demand each frame in one write, as older builds and arRPC do.
    pub(crate) single_write: bool,
    /// How long READY takes beyond the throttle.
    pub(crate) ready_after: Duration,
    /// How long each answer takes.
    pub(crate) answer_after: Duration,
    /// Take payloads, never answer.
    pub(crate) mute: bool,
    /// Acknowledge, but show nothing.
    pub(crate) ack_and_drop: bool,
    /// Send this instead of READY, byte by byte what it says.
    pub(crate) instead_of_ready: Option<Vec<u8>>,
    /// A PING before READY.
    pub(crate) ping_first: bool,
    /// Before each answer, one without a nonce, one with another client's, and an event.
    pub(crate) stray_answers: bool,
    /// How frames reach the wire.
    pub(crate) delivery: Delivery,
    /// Client ids that are closed with 4000 "Invalid Client ID".
    pub(crate) bad_ids: Vec<String>,
    /// Refuses an activity that Discord's rules allow, with this code and message.
    pub(crate) refuse: Option<Refusal>,
    /// Images by key; others vanish from the activity, silently. `None`: all are known.
    pub(crate) images: Option<Vec<String>>,
    /// Answer as arRPC's mock user.
    pub(crate) bridge: bool,
    /// The next answer ends in the middle of its frame, and the connection with it. Resets itself.
    pub(crate) die_in_next_answer: bool,
}

/// How frames reach the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// One write each.
    Whole,
    /// Two writes each, cut inside the header or the body.
    Halves,
    /// A PING and the frame in one write.
    BehindPing,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            speed: 1,
            throttled: true,
            single_write: true,
            ready_after: Duration::ZERO,
            answer_after: Duration::ZERO,
            mute: false,
            ack_and_drop: false,
            instead_of_ready: None,
            ping_first: false,
            stray_answers: false,
            delivery: Delivery::Whole,
            bad_ids: Vec::new(),
            refuse: None,
            images: None,
            bridge: false,
            die_in_next_answer: false,
        }
    }
}

/// The fake itself; it goes when dropped, and its socket file stays behind, as Discord's does.
pub(crate) struct FakeDiscord {
    path: PathBuf,
    shared: Arc<Shared>,
    control: mpsc::UnboundedSender<Control>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    signals: broadcast::Sender<Signal>,
    frozen: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    rules: Rules,
    seen: Seen,
    buckets: BTreeMap<String, Bucket>,
}

/// The connection budget of one client id.
struct Bucket {
    tokens: f64,
    at: Duration,
}

enum Control {
    Listen(sync_mpsc::Sender<io::Result<()>>),
    Die(sync_mpsc::Sender<()>),
}

/// Something that happens to all open connections.
#[derive(Clone)]
enum Signal {
    Send(Vec<u8>),
    Close(i64, String),
    HangUp,
}

impl FakeDiscord {
    /// Listens at `<folder>/discord-ipc-0`.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self::at(&folder.join("discord-ipc-0"), Rules::default())
    }

    /// Listens at `path`, and replaces a socket file that is there.
    pub(crate) fn at(path: &Path, rules: Rules) -> Self {
        let discord = Self::absent(path, rules);
        discord.restart();
        discord
    }

    /// Does not listen before [`FakeDiscord::restart`].
    pub(crate) fn absent(path: &Path, rules: Rules) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State { rules, ..State::default() }),
            changed: Condvar::new(),
            signals: broadcast::channel(64).0,
            frozen: watch::channel(false).0,
        });
        let (control, orders) = mpsc::unbounded_channel();
        let for_thread = (path.to_owned(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(server::listen(for_thread.0, for_thread.1, orders));
        });
        Self { path: path.to_owned(), shared, control, thread: Some(thread) }
    }

    /// Where it listens, as the settings and links name it.
    pub(crate) fn endpoint(&self) -> String {
        endpoint(&self.path)
    }

    /// Changes how it behaves from now on.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.lock().rules);
    }

    /// Ends all connections and listens anew at the same path.
    pub(crate) fn restart(&self) {
        let (done, wait) = sync_mpsc::channel();
        self.control.send(Control::Listen(done)).unwrap();
        wait.recv().unwrap().unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
    }

    /// Dies as by SIGKILL: connections end, the socket file stays.
    pub(crate) fn die(&self) {
        let (done, wait) = sync_mpsc::channel();
        self.control.send(Control::Die(done)).unwrap();
        wait.recv().unwrap();
        // A process that another test starts has a copy of the listener until it executes its program.
        #[cfg(unix)]
        while Dialled::connect(&self.path).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Stops as by SIGSTOP: connections come about, nothing is read or written.
    pub(crate) fn freeze(&self) {
        self.shared.frozen.send_replace(true);
    }

    /// Goes on after [`FakeDiscord::freeze`].
    pub(crate) fn thaw(&self) {
        self.shared.frozen.send_replace(false);
    }

    /// Sends PING over every connection.
    pub(crate) fn ping(&self, body: &str) {
        self.send_raw(encode(PING, body.as_bytes()));
    }

    /// Sends these bytes over every connection.
    pub(crate) fn send_raw(&self, bytes: Vec<u8>) {
        let _ = self.shared.signals.send(Signal::Send(bytes));
    }

    /// Closes every connection with a CLOSE frame.
    pub(crate) fn close(&self, code: i64, message: &str) {
        let _ = self.shared.signals.send(Signal::Close(code, message.to_owned()));
    }

    /// Ends every connection without a word.
    pub(crate) fn hang_up(&self) {
        let _ = self.shared.signals.send(Signal::HangUp);
    }

    /// Forgets what is shown and sends no message, as after a new login.
    pub(crate) fn forget(&self) {
        let mut state = self.shared.lock();
        if !state.seen.presences.is_empty() {
            state.seen.presences.clear();
            let now = clock::now().mono;
            state.seen.changes.push(now);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// A look at everything so far.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.shared.lock().seen)
    }

    /// Waits until `look` finds what it looks for.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Seen) -> Option<T>) -> T {
        let state = self.shared.lock();
        let mut found = None;
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| {
                found = look(&state.seen);
                found.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        found.unwrap_or_else(|| panic!("waited in vain for {what}; seen: {:#?}", state.seen))
    }

    /// Waits for the `n`-th accepted SET_ACTIVITY, from 1; `None` is a clear.
    #[track_caller]
    pub(crate) fn activity(&self, n: usize) -> Option<Value> {
        self.wait_for(&format!("activity {n}"), |seen| seen.activities.get(n - 1).cloned())
    }

    /// Waits until what is shown satisfies `wanted`.
    #[track_caller]
    pub(crate) fn wait_for_presence(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(what, |seen| seen.presence().filter(|card| wanted(card)).cloned())
    }

    /// Waits until nothing is shown.
    #[track_caller]
    pub(crate) fn wait_for_no_presence(&self) {
        self.wait_for("an empty presence", |seen| seen.presences.is_empty().then_some(()));
    }

    /// Waits for the `n`-th connection, from 1, to have its READY.
    #[track_caller]
    pub(crate) fn wait_for_ready(&self, n: usize) {
        self.wait_for(&format!("READY on connection {n}"), |seen| seen.connections.get(n - 1)?.ready);
    }

    /// Waits for the `n`-th connection, from 1, to end, and says why it did.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, n: usize) -> String {
        self.wait_for(&format!("the end of connection {n}"), |seen| {
            Some(seen.connections.get(n - 1)?.ended.clone()?.1)
        })
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.seen(|seen| seen.connections.len())
    }

    /// The most handshakes in any stretch of `window`.
    pub(crate) fn most_connections_within(&self, window: Duration) -> usize {
        self.seen(|seen| {
            most_within(window, seen.connections.iter().filter_map(|one| one.shook_hands).collect())
        })
    }

    /// The most visible changes in any stretch of `window`.
    pub(crate) fn most_changes_within(&self, window: Duration) -> usize {
        self.seen(|seen| most_within(window, seen.changes.clone()))
    }
}

impl Drop for FakeDiscord {
    fn drop(&mut self) {
        let (control, _) = mpsc::unbounded_channel();
        drop(std::mem::replace(&mut self.control, control));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FakeDiscord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDiscord").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A frame as it is on the wire.
pub(crate) fn encode(opcode: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = opcode.to_le_bytes().to_vec();
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    async fn not_frozen(&self) {
        let mut frozen = self.frozen.subscribe();
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }
}
