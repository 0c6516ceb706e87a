//! The server of the control channel: one task per client, each with an end.
//!
//! Requests go to the loop through a bounded channel, and the loop never waits for a client: reading a request, writing
//! an answer and taking over each have a deadline here, a request has a longest length, and at most [`CLIENTS`] are
//! served at once.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::log::{Cursor, StreamEnd};
use super::tap::TapReceiver;
use super::transport::{Address, BoundSocket, Incoming, Listener, closed};
use super::{ErrorCode, ErrorReport, LONGEST_REQUEST, Reply, Request, Verb, line};
use crate::core::event_log::Line;
use crate::core::takeover::Refusal;
use crate::io::clock;
use crate::io::instance::Instance;

/// How many clients are served at once; one more gets `busy`.
pub const CLIENTS: usize = ALL_CLIENTS as usize;
const ALL_CLIENTS: u32 = 32;
/// How many of them may subscribe to events.
pub const SUBSCRIBERS: usize = 16;
/// How many of them may be `tap` connections.
pub const TAPS: usize = 8;

/// How long a client may take to send its request.
const REQUEST: Duration = Duration::from_secs(2);
/// How long the loop may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a client may take to read the answer.
const REPLY: Duration = Duration::from_secs(2);
/// How long a newcomer may take to confirm that it takes over.
const TAKE: Duration = Duration::from_secs(1);
/// How long a subscriber may leave a full connection unread.
const UNREAD: Duration = Duration::from_secs(30);
/// The pause after the system could not accept a connection.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// A request for the loop.
#[derive(Debug)]
pub struct PendingRequest {
    /// The request.
    pub verb: Verb,
    /// The sender for the answer; dropping it answers `busy`.
    pub answer: oneshot::Sender<CallReply>,
    /// When it came, by the monotonic clock.
    pub came: Duration,
}

impl PendingRequest {
    /// Whether the client has gone away without an answer, and has reported that to its user: then its request must not
    /// be carried out any more. A waiting client gives up when the time for an answer is over, even if that was not
    /// noticed here.
    pub fn is_given_up(&self, mono: Duration) -> bool {
        self.answer.is_closed() || mono.saturating_sub(self.came) >= ANSWER
    }
}

/// The loop's answer.
#[derive(Debug)]
pub enum CallReply {
    /// A reply.
    Reply(Box<Reply>),
    /// A reply; the sender then reports that the newcomer has taken over. It is dropped if not.
    Handover(Box<Reply>, oneshot::Sender<()>),
    /// A reply, then these lines, then those of the log.
    Events(Box<Reply>, Vec<Line>, Cursor),
    /// A reply that accepts; the following lines go to this receiver.
    Tap(TapReceiver),
}

/// The listening side; it stops when this is dropped or closed.
#[derive(Debug, Default)]
pub struct Server {
    accepting: Vec<(BoundSocket, JoinHandle<()>)>,
    capacity: Arc<Capacity>,
}

/// The free places for clients.
#[derive(Debug)]
struct Capacity {
    clients: Arc<Semaphore>,
    subscribers: Semaphore,
    taps: Semaphore,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            clients: Arc::new(Semaphore::new(CLIENTS)),
            subscribers: Semaphore::new(SUBSCRIBERS),
            taps: Semaphore::new(TAPS),
        }
    }
}

impl Server {
    /// Listens at `place` and sends requests to `calls`; listens again where a socket was removed. Connected clients
    /// stay connected. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// No socket could be made.
    pub fn listen(
        &mut self,
        place: &Address,
        lock: &Instance,
        calls: &mpsc::Sender<PendingRequest>,
    ) -> io::Result<()> {
        self.accepting.retain(|(socket, accepting)| {
            let stays = socket.is_in_place() && !accepting.is_finished();
            if !stays {
                accepting.abort();
            }
            stays
        });
        let present: Vec<BoundSocket> = self.accepting.iter().map(|(socket, _)| socket.clone()).collect();
        for listener in Listener::bind(place, &present, lock)? {
            let socket = listener.socket();
            let accepting = tokio::spawn(accept(listener, calls.clone(), Arc::clone(&self.capacity)));
            self.accepting.push((socket, accepting));
        }
        Ok(())
    }

    /// Whether every socket is still in its place.
    pub fn is_in_place(&self) -> bool {
        self.accepting.iter().all(|(socket, _)| socket.is_in_place())
    }

    /// Stops listening, and gives clients up to `deadline` to read their answers.
    pub async fn close(self, deadline: Duration) {
        let clients = Arc::clone(&self.capacity.clients);
        drop(self);
        let _ = timeout(deadline, clients.acquire_many(ALL_CLIENTS)).await;
    }
}

impl Drop for Server {
    /// Removes the sockets. The owner of the server also holds the lock.
    fn drop(&mut self) {
        for (socket, accepting) in &self.accepting {
            accepting.abort();
            socket.remove();
        }
    }
}

async fn accept(mut listener: Listener, calls: mpsc::Sender<PendingRequest>, capacity: Arc<Capacity>) {
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok(Some(stream)) => {
                failing = false;
                match Arc::clone(&capacity.clients).try_acquire_owned() {
                    Ok(place) => {
                        let (calls, capacity) = (calls.clone(), Arc::clone(&capacity));
                        tokio::spawn(async move {
                            serve(stream, &calls, &capacity).await;
                            drop(place);
                        });
                    }
                    Err(_) => refuse(&stream),
                }
            }
            Ok(None) => tracing::warn!("turned another user away from the control channel"),
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!("could not take a control connection: {error}");
                }
                sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// One write that never waits; a new connection has room for it.
fn refuse(stream: &Incoming) {
    let busy = ErrorReport::new(ErrorCode::Busy, "too many clients at once");
    let _ = stream.try_write(&line(&Reply::failed(busy)));
}

/// Serves one client, from its request to the end of its connection.
async fn serve(mut stream: Incoming, calls: &mpsc::Sender<PendingRequest>, capacity: &Capacity) {
    let request = match timeout(REQUEST, read_line(&mut stream)).await {
        Ok(Ok(Some(line))) => Request::parse(&line),
        Ok(Ok(None)) => {
            let message = format!("a request has at most {LONGEST_REQUEST} bytes");
            Err(ErrorReport::new(ErrorCode::TooLong, message))
        }
        // It went away, or sends nothing.
        Ok(Err(_)) | Err(_) => return,
    };
    let verb = match request {
        Ok(Request { verb: Verb::Take, .. }) => {
            let message = "`take` is allowed only after a handover";
            return reply_to(&mut stream, &Reply::failed(ErrorReport::new(ErrorCode::Malformed, message)))
                .await;
        }
        Ok(request) => request.verb,
        Err(error) => return reply_to(&mut stream, &Reply::failed(error)).await,
    };
    let _staying = match (&verb, capacity.subscribers.try_acquire()) {
        (Verb::Subscribe { .. }, Ok(place)) => Some(place),
        (Verb::Subscribe { .. }, Err(_)) => {
            let busy = ErrorReport::new(ErrorCode::Busy, "too many subscribers already");
            return reply_to(&mut stream, &Reply::failed(busy)).await;
        }
        _ => None,
    };
    let _telling = match (&verb, capacity.taps.try_acquire()) {
        (Verb::Tap, Ok(place)) => Some(place),
        (Verb::Tap, Err(_)) => {
            let busy = ErrorReport::new(ErrorCode::Busy, "too many `tap` connections already");
            return reply_to(&mut stream, &Reply::failed(busy)).await;
        }
        _ => None,
    };
    let answered = tokio::select! {
        biased;
        // The client has reported to its user that there was no answer, so the request must have no effect.
        () = closed(&stream) => return,
        answered = timeout(ANSWER, answer_of(calls, verb)) => answered,
    };
    match answered {
        Ok(Some(CallReply::Reply(reply))) => reply_to(&mut stream, &reply).await,
        Ok(Some(CallReply::Handover(reply, taken))) => hand_over(&mut stream, &reply, taken).await,
        Ok(Some(CallReply::Tap(receiver))) => {
            reply_to(&mut stream, &Reply::done()).await;
            receiver.run(stream, || clock::now().wall).await;
        }
        Ok(Some(CallReply::Events(reply, first, cursor))) => {
            stream_events(stream, &reply, first, cursor).await
        }
        Ok(None) | Err(_) => reply_to(&mut stream, &Reply::failed(ErrorReport::of(Refusal::Busy))).await,
    }
}

async fn answer_of(calls: &mpsc::Sender<PendingRequest>, verb: Verb) -> Option<CallReply> {
    let (answer, answered) = oneshot::channel();
    calls.send(PendingRequest { verb, answer, came: clock::now().mono }).await.ok()?;
    answered.await.ok()
}

/// The bytes up to a line break or the end; `None` if they are more than [`LONGEST_REQUEST`].
///
/// # Errors
/// The connection broke, or ended before a first byte.
pub async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let length = stream.read(&mut chunk).await?;
        let read = chunk.get(..length).unwrap_or_default();
        if length == 0 && line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = memchr::memchr(b'\n', read);
        line.extend_from_slice(read.get(..end.unwrap_or(length)).unwrap_or_default());
        if line.len() > LONGEST_REQUEST {
            return Ok(None);
        }
        if end.is_some() || length == 0 {
            return Ok(Some(line));
        }
    }
}

async fn reply_to(stream: &mut (impl AsyncWrite + Unpin), reply: &Reply) {
    // A client that does not wait for its answer is ignored.
    let _ = write_reply(stream, reply, REPLY).await;
}

async fn write_reply(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: &Reply,
    deadline: Duration,
) -> io::Result<()> {
    let bytes = line(reply);
    within(deadline, async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    })
    .await
}

/// The newcomer has to receive the answer and to confirm it: one that died meanwhile takes nothing over.
async fn hand_over(stream: &mut Incoming, reply: &Reply, taken: oneshot::Sender<()>) {
    if write_reply(stream, reply, TAKE).await.is_err() {
        return;
    }
    if let Ok(Ok(Some(line))) = timeout(TAKE, read_line(stream)).await
        && matches!(Request::parse(&line), Ok(Request { verb: Verb::Take, .. }))
    {
        // The loop may have ended meanwhile, which is fine.
        let _ = taken.send(());
    }
}

/// Sends events until the subscriber goes away, which is noticed without a write, or does not keep up, or the daemon
/// ends.
async fn stream_events(stream: Incoming, reply: &Reply, first: Vec<Line>, mut cursor: Cursor) {
    let (mut reading, mut writing) = tokio::io::split(stream);
    if write_reply(&mut writing, reply, REPLY).await.is_err() {
        return;
    }
    let gone = async {
        // Further input of a subscriber is ignored.
        let mut chunk = [0; 256];
        while reading.read(&mut chunk).await.is_ok_and(|length| length > 0) {}
    };
    let telling = async {
        let mut lines = first;
        loop {
            let batch = lines.concat();
            tokio::select! {
                written = within(UNREAD, writing.write_all(&batch)) => {
                    if written.is_err() {
                        return StreamEnd::FellBehind;
                    }
                }
                // The lines after the unread ones are no longer stored.
                () = cursor.falls_behind() => return StreamEnd::FellBehind,
            }
            lines = match cursor.next().await {
                Ok(lines) => lines,
                Err(over) => return over,
            };
        }
    };
    tokio::select! {
        () = gone => {}
        over = telling => if over == StreamEnd::FellBehind {
            tracing::info!("dropped a subscriber that does not keep up");
        }
    }
}

async fn within<T>(deadline: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(deadline, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
