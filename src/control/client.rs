//! Asks the running daemon.
//!
//! Every wait has an end: a daemon that does not answer in time is [`AskError::Silent`], and that it is hung is for
//! others to find out.

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
use crate::io::instance::{Holding, held_by_another};
use crate::io::paths::Environment;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_millis(500);
/// How long a reply may take.
const REPLY: Duration = Duration::from_secs(2);
/// A daemon that holds the lock and is not to be found is starting or ending; so long it may.
const STARTING: Duration = Duration::from_secs(2);
const BETWEEN_TRIES: Duration = Duration::from_millis(25);
/// Far more than any report, in bytes. A peer that sends more is not a daemon.
const LONGEST_REPLY: u64 = 64 << 20;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no process is listening ({0})")]
    Away(io::Error),
    /// It was asked and did not answer in time.
    #[error("it does not answer")]
    Silent,
    /// What it said is no reply.
    #[error("its answer could not be read: {0}")]
    Garbled(String),
}

/// A connection to the running daemon.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Outgoing>,
    /// The beginning of a line that has not come whole.
    begun: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open(place: &Address) -> Result<Self, AskError> {
        let connecting = async {
            loop {
                match place.connect().await {
                    // Its queue of connections is full. One that works takes them out soon.
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

    /// Says something and waits for the reply.
    ///
    /// # Errors
    /// There is none.
    pub async fn ask(&mut self, verb: Verb) -> Result<Reply, AskError> {
        // A daemon that turns a client away answers without reading, so the answer counts, not the write.
        let _ = timeout(REPLY, self.say(verb)).await;
        let mut reply = Vec::new();
        let mut limited = (&mut self.stream).take(LONGEST_REPLY);
        match timeout(REPLY, limited.read_until(b'\n', &mut reply)).await {
            Err(_) => Err(AskError::Silent),
            // It ended while it was asked.
            Ok(Err(error)) => Err(AskError::Away(error)),
            Ok(Ok(_)) if reply.is_empty() => Err(AskError::Away(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(_)) => serde_json::from_slice(&reply).map_err(|error| AskError::Garbled(error.to_string())),
        }
    }

    /// Says something that has no reply.
    ///
    /// # Errors
    /// The other end is gone.
    pub async fn say(&mut self, verb: Verb) -> io::Result<()> {
        self.stream.write_all(&line(&Request::new(verb))).await?;
        self.stream.flush().await
    }

    /// Says something that is no request and has no reply, to a listener that takes more than requests.
    ///
    /// # Errors
    /// The other end is gone.
    pub async fn tell<T: serde::Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.stream.write_all(&line(message)).await?;
        self.stream.flush().await
    }

    /// The next line after the reply to `subscribe`; `None` when the daemon has ended. A line without an end is none.
    /// Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// The connection broke, or what comes is no line.
    pub async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        next_line(&mut self.stream, &mut self.begun, LONGEST_REPLY).await
    }
}

/// The next line without its break, of which `begun` may have come already; `None` at the end, also behind a line without a
/// break. Nothing is lost when the wait is given up.
///
/// # Errors
/// The stream broke, or a line with its break is not shorter than `longest` (`InvalidData`).
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

/// Asks once.
///
/// # Errors
/// There is no reply.
pub async fn ask(place: &Address, verb: Verb) -> Result<Reply, AskError> {
    Connection::open(place).await?.ask(verb).await
}

/// What a command finds.
#[derive(Debug)]
pub enum Contact {
    /// No daemon is running.
    Nobody,
    /// A daemon answered.
    Reply(Box<Reply>),
    /// A daemon holds the lock and does not answer.
    Unresponsive(AskError),
}

/// Asks the daemon of this state folder, if there is one, for a command that has nothing else to do. One that is
/// just starting is waited for a little.
///
/// # Errors
/// The system refused something basic.
pub fn ask_daemon(state: &Path, environment: &Environment, verb: &Verb) -> Result<Contact, Failure> {
    let place = Address::of(state, environment);
    block_on(async {
        let start = clock::now().mono;
        loop {
            // Asking first costs a running daemon nothing; looking at the lock can make a starting one wait.
            let trouble = match ask(&place, verb.clone()).await {
                Ok(reply) if !is_busy(&reply) => return Contact::Reply(Box::new(reply)),
                Ok(_) => AskError::Silent,
                Err(AskError::Away(error)) => match held_by_another(state) {
                    Holding::Free => return Contact::Nobody,
                    Holding::Held => AskError::Away(error),
                    Holding::Unknown => return Contact::Nobody,
                },
                Err(error) => return Contact::Unresponsive(error),
            };
            if clock::now().mono.saturating_sub(start) > STARTING {
                return Contact::Unresponsive(trouble);
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
