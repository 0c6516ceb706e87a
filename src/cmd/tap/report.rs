//! Tells the daemon what passes by, where there is one.
//!
//! On a thread of its own, with an end to every wait. A daemon that comes later, or again, is told the state as restored.
//! Read next: [`crate::control::tap`], for what is told.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Passing;
use crate::control::Verb;
use crate::control::client::{Connection, block_on};
use crate::control::tap::Tapped;
use crate::control::transport::Address;
use crate::core::session::UsageEvent;

/// How long after a failure a daemon is looked for again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a daemon may take to take a line.
const TAKE: Duration = Duration::from_secs(5);
/// Between two lines; what comes meanwhile is one line.
const PACE: Duration = Duration::from_millis(50);
/// How long a daemon may take at the end, when everything is copied already.
const FAREWELL: Duration = Duration::from_secs(1);

/// The thread that tells.
#[derive(Debug)]
pub struct Reporter(Receiver<()>);

impl Reporter {
    /// Tells the daemon at `place`, which is asked for anew each time, everything that passes.
    pub fn start(place: impl Fn() -> Address + Send + 'static, passing: Arc<Passing>) -> Self {
        let (done, is_done) = channel();
        let telling = move || {
            // Without a runtime the stream is copied all the same.
            let _ = block_on(tell(&place, &passing));
            drop(done);
        };
        let _ = thread::Builder::new().name("report".to_owned()).spawn(telling);
        Self(is_done)
    }

    /// Waits until the daemon has been told, but not for long.
    pub fn finish(self) {
        let _ = self.0.recv_timeout(FAREWELL);
    }
}

async fn tell(place: &impl Fn() -> Address, passing: &Passing) {
    // What the daemon knows, or was to be told when it went away.
    let mut known: Option<Tapped> = None;
    loop {
        if let Some(known) = known.take() {
            passing.put_back(known);
        }
        // Nobody is looked for before there is something to tell.
        let Some(first) = passing.next().await else { return };
        match connect(&place()).await {
            Ok(mut daemon) => {
                if attend(&mut daemon, passing, first, &mut known).await.is_ok() {
                    return;
                }
            }
            Err(_) => known = Some(first),
        }
        if passing.is_over() {
            return;
        }
        let _ = timeout(AGAIN, passing.ended()).await;
    }
}

async fn connect(place: &Address) -> io::Result<Connection> {
    let failed = |_| io::Error::from(io::ErrorKind::NotConnected);
    let mut connection = Connection::open(place).await.map_err(failed)?;
    let reply = connection.ask(Verb::Tap).await.map_err(failed)?;
    // It may be of a version that does not listen, or listen to too many.
    if reply.ok { Ok(connection) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// Tells one daemon everything until the end; an error when it goes away before.
async fn attend(
    daemon: &mut Connection,
    passing: &Passing,
    first: Tapped,
    known: &mut Option<Tapped>,
) -> io::Result<()> {
    let mut line = first;
    loop {
        *known = Some(restored(&line));
        timeout(TAKE, daemon.tell(&line)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        if !passing.is_over() {
            sleep(PACE).await;
        }
        let next = tokio::select! {
            next = passing.next() => next,
            // Nothing is expected of it but its end.
            _ = daemon.next_line() => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        line = match next {
            Some(line) => line,
            None => return Ok(()),
        };
    }
}

/// A state as another daemon is told it: figures that are no news.
fn restored(line: &Tapped) -> Tapped {
    let mut known = line.clone_without_events();
    if let (Some(at), Some(_)) = (known.last_usage_at, known.usage.session_total_tokens) {
        let (turn, usage) = (known.turn.clone(), known.usage);
        known.events = vec![UsageEvent { at, turn, usage, added: None, call: None, unlisted: false }];
    }
    known
}
