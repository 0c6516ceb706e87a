//! One link: connects, shakes hands, sends payloads and reports their results, until the connection ends.
//!
//! Decides nothing: it never connects again, never delays a payload, never sends one twice. Every wait in it ends
//! ([`Deadlines`]). After any deadline the connection may be in the middle of a frame and is dropped. Payloads and the
//! user that READY names are not logged.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::activity::set_activity;
use super::deadlines::Deadlines;
use super::endpoints::client_name;
use super::frame::{FrameBuffer, Opcode, encode};
use super::message::{Message, ReadyClient};
use super::stream::{ClientStream, connect, means_gone, peer, worth_a_second_try};
use crate::core::publish::{Endpoint, LinkEvent, Loss, Payload};

/// A payload to send.
pub(super) struct QueuedPayload {
    pub(super) nonce: u64,
    pub(super) payload: Payload,
}

/// The state of one link's task.
pub(super) struct LinkTask<R, P> {
    pub(super) endpoint: Endpoint,
    pub(super) application_id: String,
    pub(super) deadlines: Deadlines,
    pub(super) queue: mpsc::UnboundedReceiver<QueuedPayload>,
    pub(super) report: R,
    /// Reports the process that listens there.
    pub(super) report_peer: P,
    /// Whether the handshake was sent.
    pub(super) opened: bool,
}

/// The reason of a link that was closed by a command.
const GIVEN_UP: &str = "closed by us";

impl<R: Fn(LinkEvent), P: Fn(u32)> LinkTask<R, P> {
    /// Runs until the connection ends or `closing` resolves. The last report is always the one
    /// [`LinkEvent::Unreachable`] or [`LinkEvent::Lost`] that every link ends with.
    pub(super) async fn run(mut self, closing: oneshot::Receiver<Infallible>) {
        let mut stream = None;
        let end = tokio::select! {
            biased;
            _ = closing => match stream {
                None => LinkEvent::Unreachable { reason: GIVEN_UP.to_owned() },
                Some(stream) => {
                    // A failure does not matter: Discord also notices the closed socket.
                    let _ = timeout(self.deadlines.farewell, send_close(stream)).await;
                    if self.opened {
                        LinkEvent::Lost(Loss::Broken(GIVEN_UP.to_owned()))
                    } else {
                        LinkEvent::Unreachable { reason: GIVEN_UP.to_owned() }
                    }
                }
            },
            end = self.connect_and_serve(&mut stream) => end,
        };
        tracing::debug!(endpoint = %self.endpoint.0, ?end, "link ended");
        (self.report)(end);
    }

    async fn connect_and_serve(&mut self, slot: &mut Option<ClientStream>) -> LinkEvent {
        let stream = match connect_in_time(&self.endpoint, &self.deadlines).await {
            Ok(stream) => slot.insert(stream),
            Err(reason) => return LinkEvent::Unreachable { reason },
        };
        if let Some(peer) = peer(stream) {
            (self.report_peer)(peer);
        }
        let mut wire = Wire { stream, frames: FrameBuffer::default(), deadlines: self.deadlines };
        if let Err(loss) = wire.write(Opcode::Handshake, &handshake(&self.application_id)).await {
            return LinkEvent::Unreachable { reason: format!("the handshake did not go out: {loss:?}") };
        }
        self.opened = true;
        (self.report)(LinkEvent::Opened);
        let greeting = match timeout(self.deadlines.ready, wire.greeting()).await {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(loss)) => return LinkEvent::Lost(loss),
            Err(_) => return LinkEvent::Lost(Loss::Timeout("ready")),
        };
        let client = client_name_of(&self.endpoint, greeting);
        tracing::debug!(endpoint = %self.endpoint.0, client, "link ready");
        (self.report)(LinkEvent::Ready { client, bridge: greeting.bridge });
        match self.serve(&mut wire).await {
            Ok(never) => match never {},
            Err(loss) => LinkEvent::Lost(loss),
        }
    }

    /// Sends payloads and reports their answers, until the connection ends.
    async fn serve(&mut self, wire: &mut Wire<'_>) -> Result<Infallible, Loss> {
        let mut unanswered: VecDeque<Unanswered> = VecDeque::new();
        loop {
            while let Some(message) = wire.take_message().await? {
                match message {
                    Message::Done { nonce } if forget(&mut unanswered, nonce) => {
                        (self.report)(LinkEvent::Acked { nonce });
                    }
                    Message::Refused { nonce, code, message } if forget(&mut unanswered, nonce) => {
                        (self.report)(LinkEvent::Refused { nonce, code, message });
                    }
                    _ => {}
                }
            }
            let overdue = unanswered.front().map(|oldest| oldest.until);
            tokio::select! {
                // Reading comes first, so that an answer that has arrived is never counted as missing.
                biased;
                read = wire.read() => read?,
                Some(queued) = self.queue.recv() => {
                    let body = set_activity(queued.nonce, &queued.payload, std::process::id())
                        .map_err(|error| Loss::Broken(format!("the card has no wire form: {error}")))?;
                    if let Err(loss) = wire.write(Opcode::Frame, &body).await {
                        return Err(wire.close_reason().await.unwrap_or(loss));
                    }
                    unanswered.push_back(Unanswered { nonce: queued.nonce, until: Instant::now() + self.deadlines.reply });
                }
                () = sleep_until_or_for_ever(overdue) => return Err(Loss::Timeout("reply")),
            }
        }
    }
}

/// Connects; the error is a text.
async fn connect_in_time(endpoint: &Endpoint, deadlines: &Deadlines) -> Result<ClientStream, String> {
    let attempt = async {
        match connect(endpoint).await {
            Err(error) if worth_a_second_try(&error) => {
                sleep(deadlines.second_try).await;
                connect(endpoint).await
            }
            first => first,
        }
    };
    match timeout(deadlines.connect, attempt).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("it does not accept the connection".to_owned()),
    }
}

/// A payload without its answer.
struct Unanswered {
    nonce: u64,
    until: Instant,
}

/// Removes `nonce` from the payloads without an answer; false if it was not there.
fn forget(unanswered: &mut VecDeque<Unanswered>, nonce: u64) -> bool {
    let before = unanswered.len();
    unanswered.retain(|one| one.nonce != nonce);
    unanswered.len() < before
}

async fn sleep_until_or_for_ever(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// A connection in use.
struct Wire<'a> {
    stream: &'a mut ClientStream,
    frames: FrameBuffer,
    deadlines: Deadlines,
}

impl Wire<'_> {
    /// Waits for READY. Other messages before it are ignored; newer builds may send some.
    async fn greeting(&mut self) -> Result<ReadyClient, Loss> {
        loop {
            while let Some(message) = self.take_message().await? {
                if let Message::Ready(greeting) = message {
                    return Ok(greeting);
                }
            }
            self.read().await?;
        }
    }

    /// The next message among the bytes that have come. Pings are answered, and a close is a loss at any time.
    async fn take_message(&mut self) -> Result<Option<Message>, Loss> {
        while let Some(frame) = self.frames.next_frame().map_err(|error| Loss::Broken(error.to_string()))? {
            match Message::read(frame).map_err(|error| Loss::Broken(error.to_string()))? {
                Message::Ping(body) => self.write(Opcode::Pong, &body).await?,
                Message::Close { code, message } => return Err(Loss::Closed { code, message }),
                message => return Ok(Some(message)),
            }
        }
        Ok(None)
    }

    /// Waits for more bytes. Cancel safe.
    async fn read(&mut self) -> Result<(), Loss> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk).await {
            Ok(0) => Err(Loss::Eof),
            Ok(length) => {
                self.frames.push(chunk.get(..length).unwrap_or_default());
                Ok(())
            }
            Err(error) => Err(loss(&error)),
        }
    }

    /// Writes one frame in one piece.
    async fn write(&mut self, opcode: Opcode, body: &[u8]) -> Result<(), Loss> {
        match timeout(self.deadlines.write, self.stream.write_all(&encode(opcode, body))).await {
            Ok(written) => written.map_err(|error| loss(&error)),
            Err(_) => Err(Loss::Timeout("write")),
        }
    }

    /// After a failed write: the reason that the other end sent before it closed, if there is one.
    async fn close_reason(&mut self) -> Option<Loss> {
        let timeout_after = self.deadlines.farewell;
        let listen = async {
            loop {
                match self.take_message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => self.read().await.ok()?,
                    Err(closed @ Loss::Closed { .. }) => return Some(closed),
                    Err(_) => return None,
                }
            }
        };
        timeout(timeout_after, listen).await.ok().flatten()
    }
}

fn loss(error: &std::io::Error) -> Loss {
    if means_gone(error) { Loss::Eof } else { Loss::Broken(error.to_string()) }
}

async fn send_close(mut stream: ClientStream) {
    let _ = stream.write_all(&encode(Opcode::Close, b"{}")).await;
}

fn handshake(application_id: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Handshake<'a> {
        v: u8,
        client_id: &'a str,
    }
    // Cannot fail. The other end would refuse an empty body.
    serde_json::to_vec(&Handshake { v: 1, client_id: application_id }).unwrap_or_default()
}

fn client_name_of(endpoint: &Endpoint, greeting: ReadyClient) -> String {
    let by_place = client_name(&endpoint.0);
    match greeting {
        // A bridge at Discord's own place does not name its client.
        ReadyClient { bridge: true, .. } if by_place == "Discord" => "arRPC".to_owned(),
        ReadyClient { channel: Some(channel), .. } if by_place == "Discord" => channel.to_owned(),
        ReadyClient { .. } => by_place,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_write_has_the_reason_of_the_close_frame() {
        let (mut ours, mut theirs) = ClientStream::pair().unwrap();
        let close = br#"{"code":4000,"message":"Invalid Client ID"}"#;
        theirs.write_all(&encode(Opcode::Close, close)).await.unwrap();
        drop(theirs);
        let mut wire =
            Wire { stream: &mut ours, frames: FrameBuffer::default(), deadlines: Deadlines::DISCORD };
        assert_eq!(wire.write(Opcode::Frame, b"{}").await, Err(Loss::Eof));
        let reason = Loss::Closed { code: 4000, message: "Invalid Client ID".to_owned() };
        assert_eq!(wire.close_reason().await, Some(reason));
        assert_eq!(wire.close_reason().await, None);
    }
}
