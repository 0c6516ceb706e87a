//! Sends requests to the running daemon.
//!
//! Every wait has an end: a daemon that does not answer in time is [`AskError::Silent`]. Whether it hangs is for the
//! caller to decide.

use std::future::Future;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::transport::{Address, Outgoing};
use super::{ErrorCode, Reply, Request, Verb, line};
use crate::error::Failure;
use crate::io::clock;
use crate::io::instance::{LockState, held_by_another};
use crate::io::paths::Environment;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_millis(500);
/// How long a reply may take.
const REPLY: Duration = Duration::from_secs(2);
/// How long a daemon that holds the lock may be unreachable: it is starting or ending.
const STARTING: Duration = Duration::from_secs(2);
const BETWEEN_TRIES: Duration = Duration::from_millis(25);
/// The longest reply, in bytes: far more than any report. A peer that sends more is not a daemon.
const LONGEST_REPLY: u64 = 64 << 20;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No process listens.
    #[error("no process is listening ({0})")]
    Away(io::Error),
    /// The daemon did not answer in time.
    #[error("it does not answer")]
    Silent,
    /// The answer is not a reply.
    #[error("its answer could not be read: {0}")]
    Garbled(String),
}

/// A connection to the running daemon.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Outgoing>,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// No process listens.
    pub async fn open(place: &Address) -> Result<Self, AskError> {
        let connecting = async {
            loop {
                match place.connect().await {
                    // The queue of connections is full; a healthy daemon empties it soon.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(BETWEEN_TRIES).await;
                    }
                    result => return result,
                }
            }
        };
        match timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => Ok(Self { stream: BufReader::new(stream), begun: Vec::new() }),
            Ok(Err(error)) => Err(AskError::Away(error)),
            Err(_) => Err(AskError::Silent),
        }
    }

    /// Sends a request and waits for the reply.
    ///
    /// # Errors
    /// There is no reply.
    pub async fn ask(&mut self, verb: Verb) -> Result<Reply, AskError> {
        // A busy daemon answers without reading the request, so the answer counts and not the write.
        let _ = timeout(REPLY, self.send(verb)).await;
        let mut reply = Vec::new();
        let mut limited = (&mut self.stream).take(LONGEST_REPLY);
        match timeout(REPLY, limited.read_until(b'\n', &mut reply)).await {
            Err(_) => Err(AskError::Silent),
            // The daemon ended before it answered.
            Ok(Err(error)) => Err(AskError::Away(error)),
            Ok(Ok(_)) if reply.is_empty() => Err(AskError::Away(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(_)) => serde_json::from_slice(&reply).map_err(|error| AskError::Garbled(error.to_string())),
        }
    }

    /// Sends a request that has no reply.
    ///
    /// # Errors
    /// The other end is gone.
    pub async fn send(&mut self, verb: Verb) -> io::Result<()> {
        self.stream.write_all(&line(&Request::new(verb))).await?;
        self.stream.flush().await
    }

    /// Sends a line that is not a request and has no reply, after a reply that allows it.
    ///
    /// # Errors
    /// The other end is gone.
    pub async fn send_line<T: serde::Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.stream.write_all(&line(message)).await?;
        self.stream.flush().await
    }

    /// The next line after the reply to `subscribe`; `None` when the daemon has ended. A last line without a line break
    /// is dropped. Cancel safe.
    ///
    /// # Errors
    /// The connection broke, or the line is too long.
    pub async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        next_line(&mut self.stream, &mut self.begun, LONGEST_REPLY).await
    }
}

/// The next line without its break; `begun` has the part that has already come. `None` at the end of the stream; a last
/// line without a break is dropped. Cancel safe.
///
/// # Errors
/// The stream broke, or the line is not shorter than `longest` bytes (`InvalidData`).
pub(crate) async fn next_line(
    stream: &mut (impl AsyncBufRead + Unpin),
    begun: &mut Vec<u8>,
    longest: u64,
) -> io::Result<Option<Vec<u8>>> {
    let room = longest.saturating_sub(begun.len() as u64);
    stream.take(room).read_until(b'\n', begun).await?;
    match begun.pop() {
        Some(b'\n') => Ok(Some(std::mem::take(begun))),
        Some(_) if begun.len() as u64 + 1 >= longest => Err(io::ErrorKind::InvalidData.into()),
        _ => Ok(None),
    }
}

/// Sends one request over a connection of its own.
///
/// # Errors
/// There is no reply.
pub async fn ask(place: &Address, verb: Verb) -> Result<Reply, AskError> {
    Connection::open(place).await?.ask(verb).await
}

/// The result of a command's request.
#[derive(Debug)]
pub enum Contact {
    /// No daemon is running.
    NotRunning,
    /// A daemon answered.
    Reply(Box<Reply>),
    /// A daemon holds the lock and does not answer.
    Unresponsive(AskError),
}

/// Sends a request to the daemon of this state folder, if one runs. Waits a little for one that is starting.
///
/// # Errors
/// The system refused something basic.
pub fn ask_daemon(state: &Path, environment: &Environment, verb: &Verb) -> Result<Contact, Failure> {
    let place = Address::of(state, environment);
    block_on(async {
        let start = clock::now().mono;
        loop {
            // The request comes before the look at the lock, because that look can delay a starting daemon.
            let error = match ask(&place, verb.clone()).await {
                Ok(reply) if !is_busy(&reply) => return Contact::Reply(Box::new(reply)),
                Ok(_) => AskError::Silent,
                Err(AskError::Away(error)) => match held_by_another(state) {
                    LockState::Free => return Contact::NotRunning,
                    LockState::Held => AskError::Away(error),
                    LockState::Unknown => return Contact::NotRunning,
                },
                Err(error) => return Contact::Unresponsive(error),
            };
            if clock::now().mono.saturating_sub(start) > STARTING {
                return Contact::Unresponsive(error);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    })
}

fn is_busy(reply: &Reply) -> bool {
    reply.error.as_ref().is_some_and(|error| error.code == ErrorCode::Busy)
}

/// Runs `work` on a runtime of its own.
///
/// # Errors
/// The system refused something basic.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("could not start: {error}")))?;
    Ok(runtime.block_on(work))
}

#[cfg(all(test, unix))]
mod tests {
    use tokio::net::{UnixSocket, UnixStream};

    use super::*;

    #[tokio::test]
    async fn a_full_queue_of_connections_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = UnixStream::connect(&path).await {
            queue.push(stream);
        }
        let place = Address::only(path);
        assert!(matches!(Connection::open(&place).await, Err(AskError::Silent)));
        let (opened, taken) = tokio::join!(Connection::open(&place), listener.accept());
        assert!(opened.is_ok() && taken.is_ok(), "{opened:?}");
    }
}
