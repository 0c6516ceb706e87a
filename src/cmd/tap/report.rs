//! Sends the updates of a tapped stream to the daemon, if there is one.
//!
//! Runs on a thread of its own, and each wait has an end. A daemon that starts later, or again, gets the state as
//! restored.
//! Read next: [`crate::control::tap`], the messages.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::UpdateQueue;
use crate::control::Verb;
use crate::control::client::{Connection, block_on};
use crate::control::tap::Tapped;
use crate::control::transport::Address;
use crate::core::session::UsageEvent;

/// How long after a failure a daemon is looked for again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a daemon may take to accept a line.
const TAKE: Duration = Duration::from_secs(5);
/// The pause between two lines; updates in it are one line.
const PACE: Duration = Duration::from_millis(50);
/// How long sending may take at the end, when everything is copied.
const FAREWELL: Duration = Duration::from_secs(1);

/// The reporting thread.
#[derive(Debug)]
pub struct Reporter(Receiver<()>);

impl Reporter {
    /// Sends every update to the daemon at `place`, which is evaluated for each connection.
    pub fn start(place: impl Fn() -> Address + Send + 'static, queue: Arc<UpdateQueue>) -> Self {
        let (done, is_done) = channel();
        let telling = move || {
            // If there is no runtime, the stream is still copied.
            let _ = block_on(tell(&place, &queue));
            drop(done);
        };
        let _ = thread::Builder::new().name("report".to_owned()).spawn(telling);
        Self(is_done)
    }

    /// Waits until everything is sent, for one second at most.
    pub fn finish(self) {
        let _ = self.0.recv_timeout(FAREWELL);
    }
}

async fn tell(place: &impl Fn() -> Address, queue: &UpdateQueue) {
    // The last state sent, or not sent because the daemon went away.
    let mut known: Option<Tapped> = None;
    loop {
        if let Some(known) = known.take() {
            queue.put_back(known);
        }
        // No connection is made before there is an update.
        let Some(first) = queue.next().await else { return };
        match connect(&place()).await {
            Ok(mut daemon) => {
                if attend(&mut daemon, queue, first, &mut known).await.is_ok() {
                    return;
                }
            }
            Err(_) => known = Some(first),
        }
        if queue.is_over() {
            return;
        }
        let _ = timeout(AGAIN, queue.ended()).await;
    }
}

async fn connect(place: &Address) -> io::Result<Connection> {
    let failed = |_| io::Error::from(io::ErrorKind::NotConnected);
    let mut connection = Connection::open(place).await.map_err(failed)?;
    let reply = connection.ask(Verb::Tap).await.map_err(failed)?;
    // An older version does not know `tap`, and any version limits the number of streams.
    if reply.ok { Ok(connection) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// Sends updates to one daemon until the end of the stream; an error if the daemon goes away before.
async fn attend(
    daemon: &mut Connection,
    queue: &UpdateQueue,
    first: Tapped,
    known: &mut Option<Tapped>,
) -> io::Result<()> {
    let mut line = first;
    loop {
        *known = Some(restored(&line));
        timeout(TAKE, daemon.send_line(&line))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        if !queue.is_over() {
            sleep(PACE).await;
        }
        let next = tokio::select! {
            next = queue.next() => next,
            // The daemon sends nothing; only the connection may end.
            _ = daemon.next_line() => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        line = match next {
            Some(line) => line,
            None => return Ok(()),
        };
    }
}

/// A state for another daemon: its figures are not news.
fn restored(line: &Tapped) -> Tapped {
    let mut known = line.clone_without_events();
    if let (Some(at), Some(_)) = (known.last_usage_at, known.usage.session_total_tokens) {
        let (turn, usage) = (known.turn.clone(), known.usage);
        known.events = vec![UsageEvent { at, turn, usage, added: None, call: None, unlisted: false }];
    }
    known
}
