//! Codex's app server, played by a server of the tests, with the real program and a session file that grows.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use agent_presence::io::clock;
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::support::codex_session::CodexSession;
use crate::support::home::Home;
use crate::support::process::Process;
use crate::support::{PATIENCE, SECRET};

/// A server that says what a test wants it to say.
struct AppServer {
    runtime: Runtime,
    listener: UnixListener,
    client: Option<WebSocketStream<UnixStream>>,
    /// What the client has said, in order.
    heard: Vec<Value>,
}

impl AppServer {
    /// Begins to listen as Codex does: somewhere else, with a link in its home.
    fn start(home: &Home) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let elsewhere = home.path("codex-daemon");
        fs::create_dir_all(&elsewhere).unwrap();
        let socket = elsewhere.join("s");
        let _ = fs::remove_file(&socket);
        let listener = runtime.block_on(async { UnixListener::bind(&socket) }).unwrap();
        let link = link(home);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&link);
        symlink(&socket, &link).unwrap();
        Self { runtime, listener, client: None, heard: Vec::new() }
    }

    /// Takes the connection of a client.
    fn accept(&mut self) -> UnixStream {
        let accepted = self.runtime.block_on(async { timeout(PATIENCE, self.listener.accept()).await });
        accepted.expect("a client comes").unwrap().0
    }

    /// The same, and what follows until the client knows the threads.
    fn greet(&mut self, threads: &[&str]) {
        let stream = self.accept();
        let client = self.runtime.block_on(accept_async(stream)).unwrap();
        self.client = Some(client);
        self.expect("initialize");
        self.say(&json!({"method": "configWarning", "params": {"summary": SECRET}}));
        self.say(&json!({"id": 0, "result": {"userAgent": "codex-tui/0.171.0", "codexHome": "/x"}}));
        self.expect("initialized");
        self.expect("thread/loaded/list");
        self.say(&json!({"id": 1, "result": {"data": threads, "nextCursor": null}}));
    }

    /// Whether a client has connected.
    fn has_a_client(&self) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = self.listener.accept() => true,
                // The system is asked in between.
                () = async { for _ in 0..8 { tokio::task::yield_now().await } } => false,
            }
        })
    }

    fn expect(&mut self, method: &str) {
        let client = self.client.as_mut().unwrap();
        let message = self.runtime.block_on(async { timeout(PATIENCE, client.next()).await });
        let message = message.expect("the client speaks").unwrap().unwrap();
        let said: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(said["method"], method, "{said}");
        self.heard.push(said);
    }

    fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string()));
    }

    fn send(&mut self, message: Message) {
        let client = self.client.as_mut().unwrap();
        self.runtime.block_on(client.send(message)).unwrap();
    }

    fn status(&mut self, session: &CodexSession, status: &Value) {
        let params = json!({"threadId": session.id, "status": status});
        self.say(&json!({"method": "thread/status/changed", "params": params}));
    }

    fn waits(&mut self, session: &CodexSession) {
        self.status(session, &json!({"type": "active", "activeFlags": ["waitingOnApproval"]}));
    }

    fn goes_on(&mut self, session: &CodexSession) {
        self.status(session, &json!({"type": "active", "activeFlags": []}));
    }
}

fn link(home: &Home) -> PathBuf {
    home.codex().join("app-server-control/app-server-control.sock")
}

/// A user who wants Codex's app server listened to, in a running daemon.
fn listening() -> (Home, Process) {
    let home = Home::new();
    switch(&home, true);
    fs::create_dir_all(home.codex()).unwrap();
    let daemon = home.start("run --dry-run");
    daemon.wait_for_log("started");
    (home, daemon)
}

/// The same with a session that runs a command, and a server that has named it.
fn at_work() -> (Home, Process, CodexSession, AppServer) {
    let (home, daemon) = listening();
    let mut session = home.session();
    let mut server = AppServer::start(&home);
    session.turn().call();
    server.greet(&[&session.id]);
    (home, daemon, session, server)
}

fn switch(home: &Home, is_on: bool) {
    let settings = "[publish]\nsettle = \"0ms\"\nmin_interval = \"1s\"\n[log]\nlevel = \"debug\"\n";
    home.settings(&format!("{settings}[sources]\ncodex_live = {is_on}\n"));
}

fn wait_for(home: &Home, session: &CodexSession, activity: &str) {
    home.wait_for_status(activity, |status| {
        let sessions = status["sessions"].as_array().unwrap();
        sessions.iter().any(|entry| entry["id"] == session.id.as_str() && entry["activity"] == activity)
    });
}

#[test]
fn an_approval_that_waits_is_on_the_card_and_gone_when_it_is_given() {
    let (home, daemon) = listening();
    let mut session = home.session();
    let mut server = AppServer::start(&home);
    session.turn().call();
    daemon.wait_for_output("Running a command");
    server.greet(&[&session.id]);
    server.waits(&session);
    daemon.wait_for_output("Waiting for input");
    server.goes_on(&session);
    wait_for(&home, &session, "running");
    // All that was ever said to the server.
    let client = &server.heard[0]["params"]["clientInfo"];
    assert_eq!(client["name"], "agent-presence");
    assert_eq!(server.heard.len(), 3);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_newer_line_of_the_file_overrides_an_older_status_of_the_server() {
    let (home, _daemon, session, mut server) = at_work();
    let long_ago = clock::now().wall.as_millisecond() - 60_000;
    let status = json!({"type": "active", "activeFlags": ["waitingOnApproval"]});
    let params = json!({"threadId": session.id, "status": status});
    server.say(&json!({"method": "thread/status/changed", "params": params, "emittedAtMs": long_ago}));
    // The word after it has come, so that one has too.
    let mut other = home.session();
    other.turn().call();
    server.waits(&other);
    wait_for(&home, &other, "waiting");
    wait_for(&home, &session, "running");
}

#[test]
fn a_thread_that_is_closed_takes_its_card_away_and_a_silent_server_says_nothing() {
    let (home, daemon, mut session, mut server) = at_work();
    server.waits(&session);
    wait_for(&home, &session, "waiting");
    drop(server);
    wait_for(&home, &session, "running");
    let mut server = AppServer::start(&home);
    session.call_done().call();
    server.greet(&[]);
    server.goes_on(&session);
    server.status(&session, &json!({"type": "notLoaded"}));
    daemon.wait_for_output("no card");
    wait_for(&home, &session, "idle");
}

#[test]
fn a_server_is_followed_when_it_appears_goes_and_comes_back() {
    let (home, daemon) = listening();
    let mut session = home.session();
    for _ in 0..3 {
        let mut server = AppServer::start(&home);
        session.turn().call();
        server.greet(&[&session.id]);
        server.waits(&session);
        wait_for(&home, &session, "waiting");
        drop(server);
        wait_for(&home, &session, "running");
        fs::remove_file(link(&home)).unwrap();
    }
    switch(&home, false);
    daemon.wait_for_log("settings");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn no_server_is_connected_to_unless_the_settings_say_so() {
    let home = Home::new();
    switch(&home, false);
    let mut session = home.session();
    let mut server = AppServer::start(&home);
    session.turn().call();
    let daemon = home.start("run --dry-run");
    daemon.wait_for_output("Running a command");
    assert!(!server.has_a_client());
    switch(&home, true);
    server.greet(&[&session.id]);
    server.waits(&session);
    wait_for(&home, &session, "waiting");
    switch(&home, false);
    wait_for(&home, &session, "running");
}

/// Codex takes the first client's name for its own.
#[test]
fn no_client_is_announced_before_codex_itself_has_written_a_line() {
    let (home, daemon) = listening();
    let mut session = home.session();
    session.turn().call();
    let session_line = clock::now().wall;
    daemon.wait_for_output("Running a command");
    // Its last line is of an earlier second than the socket, of which the system's clock is some milliseconds late.
    let next_second = Timestamp::from_millisecond((session_line.as_second() + 1) * 1_000 + 50).unwrap();
    while clock::now().wall < next_second {
        std::thread::yield_now();
    }
    let mut server = AppServer::start(&home);
    // Once the daemon has read another session's event, it has done everything with the socket that it will do.
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    home.wait_for_status("another session", |status| status["sessions"].as_array().unwrap().len() == 2);
    assert!(!server.has_a_client());
    session.call_done().call();
    server.greet(&[&session.id]);
}

#[test]
fn unused_notifications_leave_no_trace() {
    let (home, daemon, session, mut server) = at_work();
    for method in ["thread/started", "item/started", "thread/name/updated"] {
        server.say(&json!({"method": method, "params": {"threadId": session.id, "text": SECRET}}));
    }
    let approval = json!({"threadId": session.id, "command": SECRET});
    server.say(&json!({"method": "item/commandExecution/requestApproval", "id": 0, "params": approval}));
    server.waits(&session);
    wait_for(&home, &session, "waiting");
    for output in [daemon.log(), daemon.output(), home.status().to_string()] {
        assert!(!output.contains(SECRET), "{output}");
    }
}

#[test]
fn a_server_of_another_shape_is_left_alone_and_named() {
    type Play = fn(&mut AppServer);
    let plays: [(Play, &str); 3] = [
        (|server| server.runtime.block_on(accept_refusing(&server.listener)), "does not use WebSocket"),
        (
            |server| {
                let stream = server.accept();
                server.client = Some(server.runtime.block_on(accept_async(stream)).unwrap());
                server.expect("initialize");
                server.say(&json!({"id": 0, "error": {"code": -32600, "message": SECRET}}));
            },
            "uses another protocol",
        ),
        (
            |server| {
                server.greet(&[]);
                let large = Message::text("x".repeat(2 << 20));
                // It hangs up in the middle.
                let _ = server.runtime.block_on(server.client.as_mut().unwrap().send(large));
            },
            "messages are too large",
        ),
    ];
    for (play, why) in plays {
        let (home, daemon) = listening();
        let mut session = home.session();
        let mut server = AppServer::start(&home);
        session.turn().call();
        play(&mut server);
        daemon.wait_for_log(why);
        let status = home.status();
        assert!(status["config"]["issues"].to_string().contains(why), "{status:#}");
        let doctor = home.run("doctor").out;
        assert!(doctor.contains("app server") && doctor.contains(why), "{doctor}");
        wait_for(&home, &session, "running");
        assert_eq!(daemon.terminate().code, Some(0));
    }
}

/// Answers a connection with something else.
async fn accept_refusing(listener: &UnixListener) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 64];
    let _ = stream.read(&mut request).await.unwrap();
    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
}
