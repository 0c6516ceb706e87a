//! Answers the control channel: one task per client, each with an end.
//!
//! What a client asks goes to the loop through a bounded channel, and the loop never waits for a client: reading a
//! request, writing an answer and taking over each have a deadline here, a request has a longest length, and no
//! more than [`CLIENTS`] are heard at once. Read next: `src/cmd/daemon.rs`, which answers.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::log::{Cursor, Over};
use super::tap::Ear;
use super::transport::{Address, Incoming, Listener, Spot, closed};
use super::{ErrorCode, ErrorReport, LONGEST_REQUEST, Reply, Request, Verb, line};
use crate::core::event_log::Line;
use crate::core::takeover::Refusal;
use crate::io::clock;
use crate::io::instance::Instance;

/// Clients that are heard at once; one more is told to come again.
pub const CLIENTS: usize = ALL_CLIENTS as usize;
const ALL_CLIENTS: u32 = 32;
/// Of them, those that may stay to hear events.
pub const SUBSCRIBERS: usize = 16;
/// Of them, those that may stay to tell what agents print.
pub const TAPS: usize = 8;

/// How long a client may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(2);
/// How long the loop may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a client may take to hear the answer.
const REPLY: Duration = Duration::from_secs(2);
/// How long a newcomer may take to confirm that it takes over.
const TAKE: Duration = Duration::from_secs(1);
/// How long a subscriber may leave a full connection unread.
const UNREAD: Duration = Duration::from_secs(30);
/// After an error of the system's there is no next client at once.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// A question for the loop.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub verb: Verb,
    /// Where the answer goes; dropping it is an answer as well: busy.
    pub answer: oneshot::Sender<CallReply>,
    /// When it came.
    pub came: Duration,
}

impl Call {
    /// Whether the client has gone away without an answer, and said so to its user: what it asked is not to be done
    /// any more. One that waits goes when the time for an answer is over, whether or not that was noticed here.
    pub fn is_given_up(&self, mono: Duration) -> bool {
        self.answer.is_closed() || mono.saturating_sub(self.came) >= ANSWER
    }
}

/// What the loop says.
#[derive(Debug)]
pub enum CallReply {
    /// This, and no more.
    Reply(Box<Reply>),
    /// This; then whether the newcomer has taken over is told here. Dropped: it has not.
    Handover(Box<Reply>, oneshot::Sender<()>),
    /// This, then these lines, then those of the log.
    Events(Box<Reply>, Vec<Line>, Cursor),
    /// Yes; what follows is told here.
    Listen(Ear),
}

/// The listening side; it ends when this is dropped or closed.
#[derive(Debug, Default)]
pub struct Server {
    accepting: Vec<(Spot, JoinHandle<()>)>,
    heard: Arc<Capacity>,
}

/// Who is heard at the moment.
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
    /// Listens at `place` and sends what is asked to `calls`; once more where a socket went. Who is connected stays so.
    /// Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// It cannot be listened anywhere.
    pub fn listen(&mut self, place: &Address, lock: &Instance, calls: &mpsc::Sender<Call>) -> io::Result<()> {
        self.accepting.retain(|(spot, accepting)| {
            let stays = spot.is_in_place() && !accepting.is_finished();
            if !stays {
                accepting.abort();
            }
            stays
        });
        let there: Vec<Spot> = self.accepting.iter().map(|(spot, _)| spot.clone()).collect();
        for listener in Listener::bind(place, &there, lock)? {
            let spot = listener.spot();
            let accepting = tokio::spawn(accept(listener, calls.clone(), Arc::clone(&self.heard)));
            self.accepting.push((spot, accepting));
        }
        Ok(())
    }

    /// Whether every socket is where it was made.
    pub fn is_in_place(&self) -> bool {
        self.accepting.iter().all(|(spot, _)| spot.is_in_place())
    }

    /// Stops listening and lets those who are being answered hear it, for as long as `deadline`.
    pub async fn close(self, deadline: Duration) {
        let clients = Arc::clone(&self.heard.clients);
        drop(self);
        let _ = timeout(deadline, clients.acquire_many(ALL_CLIENTS)).await;
    }
}

impl Drop for Server {
    /// Removes the channel from the folder. The holder of the server also holds the lock.
    fn drop(&mut self) {
        for (spot, accepting) in &self.accepting {
            accepting.abort();
            spot.remove();
        }
    }
}

async fn accept(mut listener: Listener, calls: mpsc::Sender<Call>, heard: Arc<Capacity>) {
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok(Some(stream)) => {
                failing = false;
                match Arc::clone(&heard.clients).try_acquire_owned() {
                    Ok(place) => {
                        let (calls, heard) = (calls.clone(), Arc::clone(&heard));
                        tokio::spawn(async move {
                            serve(stream, &calls, &heard).await;
                            drop(place);
                        });
                    }
                    Err(_) => turn_away(&stream),
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

/// One write that never waits; a fresh connection has room for it.
fn turn_away(stream: &Incoming) {
    let busy = ErrorReport::new(ErrorCode::Busy, "too many are asking at once");
    let _ = stream.try_write(&line(&Reply::failed(busy)));
}

/// One client, from its request to the last word.
async fn serve(mut stream: Incoming, calls: &mpsc::Sender<Call>, heard: &Capacity) {
    let request = match timeout(REQUEST, read_line(&mut stream)).await {
        Ok(Ok(Some(line))) => Request::parse(&line),
        Ok(Ok(None)) => {
            let message = format!("a request has at most {LONGEST_REQUEST} bytes");
            Err(ErrorReport::new(ErrorCode::TooLong, message))
        }
        // It went away, or says nothing.
        Ok(Err(_)) | Err(_) => return,
    };
    let verb = match request {
        Ok(Request { verb: Verb::Take, .. }) => {
            let message = "`take` belongs behind a handover";
            return tell(&mut stream, &Reply::failed(ErrorReport::new(ErrorCode::Malformed, message))).await;
        }
        Ok(request) => request.verb,
        Err(error) => return tell(&mut stream, &Reply::failed(error)).await,
    };
    let _staying = match (&verb, heard.subscribers.try_acquire()) {
        (Verb::Subscribe { .. }, Ok(place)) => Some(place),
        (Verb::Subscribe { .. }, Err(_)) => {
            let busy = ErrorReport::new(ErrorCode::Busy, "too many are watching already");
            return tell(&mut stream, &Reply::failed(busy)).await;
        }
        _ => None,
    };
    let _telling = match (&verb, heard.taps.try_acquire()) {
        (Verb::Tap, Ok(place)) => Some(place),
        (Verb::Tap, Err(_)) => {
            let busy = ErrorReport::new(ErrorCode::Busy, "too many are telling already");
            return tell(&mut stream, &Reply::failed(busy)).await;
        }
        _ => None,
    };
    let answered = tokio::select! {
        biased;
        // It has told its user that there was no answer, so nothing may come of the question.
        () = closed(&stream) => return,
        answered = timeout(ANSWER, ask(calls, verb)) => answered,
    };
    match answered {
        Ok(Some(CallReply::Reply(reply))) => tell(&mut stream, &reply).await,
        Ok(Some(CallReply::Handover(reply, taken))) => hand_over(&mut stream, &reply, taken).await,
        Ok(Some(CallReply::Listen(ear))) => {
            tell(&mut stream, &Reply::done()).await;
            ear.listen(stream, || clock::now().wall).await;
        }
        Ok(Some(CallReply::Events(reply, first, cursor))) => {
            stream_events(stream, &reply, first, cursor).await
        }
        Ok(None) | Err(_) => tell(&mut stream, &Reply::failed(ErrorReport::of(Refusal::Busy))).await,
    }
}

async fn ask(calls: &mpsc::Sender<Call>, verb: Verb) -> Option<CallReply> {
    let (answer, answered) = oneshot::channel();
    calls.send(Call { verb, answer, came: clock::now().mono }).await.ok()?;
    answered.await.ok()
}

/// The bytes up to a line break or the end; `None` when they are more than [`LONGEST_REQUEST`].
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

async fn tell(stream: &mut (impl AsyncWrite + Unpin), reply: &Reply) {
    // A client that does not wait for its answer is no concern of ours.
    let _ = say(stream, reply, REPLY).await;
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), reply: &Reply, deadline: Duration) -> io::Result<()> {
    let bytes = line(reply);
    within(deadline, async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    })
    .await
}

/// The newcomer has to hear the answer and to say so: one that died meanwhile takes nothing over.
async fn hand_over(stream: &mut Incoming, reply: &Reply, taken: oneshot::Sender<()>) {
    if say(stream, reply, TAKE).await.is_err() {
        return;
    }
    if let Ok(Ok(Some(line))) = timeout(TAKE, read_line(stream)).await
        && matches!(Request::parse(&line), Ok(Request { verb: Verb::Take, .. }))
    {
        // The loop is gone if it was ended in the meantime, which is as good.
        let _ = taken.send(());
    }
}

/// Until the subscriber goes away, which is noticed without a write, or does not keep up, or the daemon ends.
async fn stream_events(stream: Incoming, reply: &Reply, first: Vec<Line>, mut cursor: Cursor) {
    let (mut reading, mut writing) = tokio::io::split(stream);
    if say(&mut writing, reply, REPLY).await.is_err() {
        return;
    }
    let gone = async {
        // What a subscriber still says is of no interest.
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
                        return Over::FellBehind;
                    }
                }
                // What it has not read yet will never be followed by what comes next.
                () = cursor.falls_behind() => return Over::FellBehind,
            }
            lines = match cursor.next().await {
                Ok(lines) => lines,
                Err(over) => return over,
            };
        }
    };
    tokio::select! {
        () = gone => {}
        over = telling => if over == Over::FellBehind {
            tracing::info!("dropped a watcher that does not keep up");
        }
    }
}

async fn within<T>(deadline: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(deadline, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
