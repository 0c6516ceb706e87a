//! Listens to the agents' own servers, if the settings ask for it: one connection per home.
//!
//! A server starts and ends at any time; a watch on its socket's folder reports that. Nothing is polled: a socket that
//! refuses is tried a few times, and again when it is another one. A server's messages are a register like any other.
//!
//! A server takes its name from its first client, and the agent then uses that name for itself. So the agent has to be
//! first: a server is greeted after a session of its home has written a line since the socket was made. Only a server
//! of this user is connected to. Messages are dropped once the listener has read them; none is logged. Read next:
//! [`crate::core::source::listener`], the messages.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::core::register::Register;
use crate::core::session::Session;
use crate::core::settings::Sources;
use crate::core::source::listener::{Heard, Listener, Live};
use crate::core::source_event::SourceEvent;
use crate::io::clock;
use crate::io::fs_watch::{Pace, Watch};
use crate::io::homes::Home;
use crate::io::user;

/// A server makes its folder, a lock and its socket at almost the same time.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(20),
    at_most: Duration::from_millis(100),
    look_every: Duration::from_secs(60),
};

/// How long a server may take to accept, to shake hands and to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses between tries: a socket exists a moment before its server listens.
const RETRY_AFTER: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];

/// A connection that lasted this long resets the count of failures.
const LASTING: Duration = Duration::from_secs(60);

/// The largest message, in bytes; a list of ten thousand threads is smaller.
const LARGEST_MESSAGE: usize = 1 << 20;

/// The size of a connection's buffers, in bytes; most messages are some hundred bytes.
const BUFFER: usize = 4 << 10;

/// How many messages may wait for the loop.
const INBOX: usize = 16;

/// The servers to listen to. Belongs inside a tokio runtime.
#[derive(Debug)]
pub struct Servers {
    servers: Vec<Server>,
    /// The time of the newest line in each home whose agent has a server, whether or not that is listened to.
    lines: BTreeMap<Arc<str>, Timestamp>,
    watch: Watch,
    connections: JoinSet<()>,
    sender: mpsc::Sender<ServerMessage>,
    messages: mpsc::Receiver<ServerMessage>,
    /// Events of other origin that wait to be returned.
    pending: Vec<SourceEvent>,
}

#[derive(Debug)]
struct Server {
    home: Home,
    live: &'static Live,
    is_connected: bool,
    /// The socket that was tried last, and how often that failed.
    tried: Option<Identity>,
    failures: usize,
    /// Its newest register.
    register: Option<Register>,
    /// The problem that was reported last.
    problem: Option<String>,
}

/// The identity of a socket: device, inode and change time.
type Identity = (u64, u64, i64, i64);

/// A message of a connection's task.
#[derive(Debug)]
struct ServerMessage {
    server: usize,
    event: ServerEvent,
}

#[derive(Debug)]
enum ServerEvent {
    /// The state of all sessions.
    Register(Register),
    /// The connection has ended after this time.
    Ended { end: End, held: Duration },
}

/// Why a connection has ended.
#[derive(Debug)]
enum End {
    /// The server is not running.
    Gone(String),
    /// The server is of another user, or not a server of this kind.
    Unfit(String),
}

impl Servers {
    /// Listens to the servers of those of `homes` whose agents have one, as the settings say.
    pub fn new(homes: &[Home], sources: &Sources) -> Self {
        let wanted = homes.iter().filter(|home| sources.of(home.agent).is_live);
        let servers: Vec<Server> = wanted
            .filter_map(|home| Some(Server::new(home.clone(), home.agent.spec().live.as_ref()?)))
            .collect();
        let sockets: Vec<PathBuf> = servers.iter().map(Server::socket).collect();
        let mut watch = Watch::new("servers of agents", PACE, move |event| {
            event.paths.iter().any(|path| sockets.iter().any(|socket| concerns(path, socket)))
        });
        if !servers.is_empty() {
            watch.look_by(Instant::now());
        }
        let (sender, messages) = mpsc::channel(INBOX);
        let lines = BTreeMap::new();
        Self { servers, lines, watch, connections: JoinSet::new(), sender, messages, pending: Vec::new() }
    }

    /// Applies other homes or settings: the registers of servers that are no longer listened to are void.
    pub fn set(&mut self, homes: &[Home], sources: &Sources) {
        let mut next = Self::new(homes, sources);
        next.pending = self.servers.iter_mut().flat_map(Server::forget).collect();
        next.lines = std::mem::take(&mut self.lines);
        *self = next;
    }

    /// Sends every register again, after the engine has lost them.
    pub fn send_again(&mut self) {
        self.pending.extend(self.servers.iter().filter_map(|server| {
            let register = server.register.clone()?;
            Some(SourceEvent::Register { home: Arc::clone(&server.home.label), register: Some(register) })
        }));
    }

    /// Takes the update of a session whose agent has a server.
    pub fn updated(&mut self, session: &Session) {
        let Some(at) = session.last_event_at else { return };
        if self.lines.get(&session.home).is_none_or(|line| *line < at) {
            self.lines.insert(Arc::clone(&session.home), at);
            let is_awaited = |server: &Server| server.home.label == session.home && !server.is_connected;
            if self.servers.iter().any(is_awaited) {
                self.watch.look_by(Instant::now());
            }
        }
    }

    /// Waits for the next events. Cancel safe.
    pub async fn next(&mut self) -> Vec<SourceEvent> {
        loop {
            if !self.pending.is_empty() {
                return std::mem::take(&mut self.pending);
            }
            tokio::select! {
                biased;
                Some(message) = self.messages.recv() => self.take(message),
                () = self.watch.wait() => self.connect_to_new(),
            }
        }
    }

    fn take(&mut self, ServerMessage { server, event }: ServerMessage) {
        let Some(server) = self.servers.get_mut(server) else { return };
        let events = match event {
            ServerEvent::Register(register) => server.set_register(register),
            ServerEvent::Ended { end, held } => {
                let (End::Gone(cause) | End::Unfit(cause)) = &end;
                tracing::debug!(home = %server.home.label, cause, "no longer listening to {}", server.live.name);
                let events = server.ended(end, held);
                if let Some(wait) = RETRY_AFTER.get(server.failures.saturating_sub(1)) {
                    self.watch.look_by(Instant::now() + *wait);
                }
                events
            }
        };
        self.pending.extend(events);
    }

    /// Watches for sockets, and connects to new ones.
    fn connect_to_new(&mut self) {
        while self.connections.try_join_next().is_some() {}
        let servers = &self.servers;
        if !self.watch.follow(|| servers.iter().flat_map(Server::folders).collect()) {
            self.watch.look_later();
        }
        for (number, server) in self.servers.iter_mut().enumerate() {
            let line = self.lines.get(&server.home.label).copied();
            if server.is_to_be_tried(line) {
                server.is_connected = true;
                let (sender, socket, live) = (self.sender.clone(), server.socket(), server.live);
                self.connections.spawn(async move {
                    let begun = Instant::now();
                    let end = listen(&socket, live, number, &sender).await;
                    // If this fails, the loop has ended.
                    let _ = sender
                        .send(ServerMessage {
                            server: number,
                            event: ServerEvent::Ended { end, held: begun.elapsed() },
                        })
                        .await;
                });
            }
        }
    }
}

impl Server {
    fn new(home: Home, live: &'static Live) -> Self {
        let (tried, register, problem) = (None, None, None);
        Self { home, live, is_connected: false, tried, failures: 0, register, problem }
    }

    fn socket(&self) -> PathBuf {
        self.home.path.join(self.live.socket)
    }

    /// The folders to watch for its socket: the nearest one above it that exists, and the one that a link at its place
    /// leads into.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let socket = self.socket();
        let above = socket.ancestors().skip(1).find(|folder| folder.is_dir());
        let target = std::fs::read_link(&socket).ok().and_then(|target| target.parent().map(Path::to_owned));
        // A folder that other users write to has many other changes.
        let target =
            target.filter(|folder| folder.is_dir() && user::exposed(&folder.join("socket")).is_none());
        above.map(Path::to_owned).into_iter().chain(target).collect()
    }

    /// Whether to connect: its socket exists, has not failed too often, and is older than the newest `line` of its
    /// home.
    fn is_to_be_tried(&mut self, line: Option<Timestamp>) -> bool {
        let Some(found) = (!self.is_connected).then(|| identity(&self.socket())).flatten() else {
            return false;
        };
        let (.., seconds, _) = found;
        if line.is_none_or(|at| at.as_second() < seconds) {
            return false;
        }
        if self.tried.replace(found) != Some(found) {
            self.failures = 0;
        }
        self.failures <= RETRY_AFTER.len()
    }

    fn set_register(&mut self, register: Register) -> Vec<SourceEvent> {
        let is_first = self.register.is_none();
        if is_first {
            tracing::info!(home = %self.home.label, "listening to {}'s {}", self.home.agent.card_name(), self.live.name);
        }
        self.register = Some(register.clone());
        let home = Arc::clone(&self.home.label);
        let mut events = vec![SourceEvent::Register { home, register: Some(register) }];
        events.extend(self.set_problem(None));
        events
    }

    fn ended(&mut self, end: End, held: Duration) -> Vec<SourceEvent> {
        self.is_connected = false;
        if held >= LASTING {
            self.failures = 0;
        }
        self.failures += 1;
        let mut events = Vec::from_iter(self.drop_register());
        if let End::Unfit(cause) = end {
            self.failures = usize::MAX / 2;
            let (agent, name, socket) = (self.home.agent.card_name(), self.live.name, self.socket());
            let key = self.live.key;
            let message = format!(
                "could not listen to {agent}'s {name} at {}: {cause}; not trying again (sources.{key})",
                socket.display()
            );
            events.extend(self.set_problem(Some(message)));
        }
        events
    }

    /// Drops its register.
    fn drop_register(&mut self) -> Option<SourceEvent> {
        let home = Arc::clone(&self.home.label);
        self.register.take().map(|_| SourceEvent::Register { home, register: None })
    }

    /// Sets or clears the problem; the event, if that is a change.
    fn set_problem(&mut self, problem: Option<String>) -> Option<SourceEvent> {
        let is_news = std::mem::replace(&mut self.problem, problem.clone()) != problem;
        let (key, home) = (self.live.key, Arc::clone(&self.home.label));
        is_news.then_some(SourceEvent::Problem { key, home, message: problem })
    }

    fn forget(&mut self) -> Vec<SourceEvent> {
        self.drop_register().into_iter().chain(self.set_problem(None)).collect()
    }
}

/// Whether a change of `path` may concern `socket`: a folder above it, a file beside it, or a folder elsewhere that it
/// leads into.
fn concerns(path: &Path, socket: &Path) -> bool {
    let home = socket.ancestors().nth(2).unwrap_or(socket);
    socket.starts_with(path) || path.parent() == socket.parent() || !path.starts_with(home)
}

fn identity(socket: &Path) -> Option<Identity> {
    let found = std::fs::metadata(socket).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

/// Listens until the connection ends.
async fn listen(socket: &Path, live: &Live, server: usize, sender: &mpsc::Sender<ServerMessage>) -> End {
    let mut stream = match timeout(TIMEOUT, connect(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(end)) => return end,
        Err(_) => return End::Gone("it does not answer".to_owned()),
    };
    let mut listener = (live.listener)();
    let end = converse(&mut stream, listener.as_mut(), server, sender).await;
    // A failure does not matter: the closed socket ends the connection too.
    let _ = timeout(TIMEOUT, stream.close(None)).await;
    end
}

/// Connects, and checks the server's user before anything is sent.
async fn connect(socket: &Path) -> Result<WebSocketStream<UnixStream>, End> {
    let gone = |error: std::io::Error| End::Gone(error.to_string());
    let unfit = |error: &dyn std::fmt::Display| End::Unfit(error.to_string());
    let stream = UnixStream::connect(socket).await.map_err(gone)?;
    user::check_peer(&stream).map_err(|error| unfit(&error))?;
    let sizes = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    match client_async_with_config("ws://localhost/", stream, Some(sizes)).await {
        Ok((stream, _)) => Ok(stream),
        Err(tungstenite::Error::Io(error)) => Err(gone(error)),
        Err(_) => Err(unfit(&"it does not use WebSocket")),
    }
}

async fn converse(
    stream: &mut WebSocketStream<UnixStream>,
    listener: &mut dyn Listener,
    server: usize,
    sender: &mpsc::Sender<ServerMessage>,
) -> End {
    let gone = |error: tungstenite::Error| End::Gone(error.to_string());
    let mut event = vec![listener.greeting()];
    let mut is_answered = false;
    loop {
        for text in event.drain(..) {
            match timeout(TIMEOUT, stream.send(Message::text(text))).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return gone(error),
                Err(_) => return End::Gone("it does not read".to_owned()),
            }
        }
        let next = if is_answered { Ok(stream.next().await) } else { timeout(TIMEOUT, stream.next()).await };
        let message = match next {
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(Message::Close(_))) | None) => {
                return End::Gone("it closed the connection".to_owned());
            }
            Ok(Some(Ok(_))) => continue,
            Ok(Some(Err(tungstenite::Error::Capacity(_)))) => {
                return End::Unfit("its messages are too large".to_owned());
            }
            Ok(Some(Err(error))) => return gone(error),
            Err(_) => return End::Gone("it does not answer".to_owned()),
        };
        let at: Timestamp = clock::now().wall;
        match listener.hear(at, message.as_bytes()) {
            Heard::Nothing => {}
            Heard::Reply(texts) => event = texts,
            Heard::News => {
                is_answered = true;
                let message = ServerMessage { server, event: ServerEvent::Register(listener.register()) };
                if sender.send(message).await.is_err() {
                    return End::Gone("no process is listening".to_owned());
                }
            }
            Heard::Foreign => return End::Unfit("it uses another protocol".to_owned()),
        }
    }
}
