//! The server's side of the fake: what happens to connections and frames.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_presence::io::clock;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::super::discord_rules::validate;
use super::wire::{Listener, Stream};
use super::{
    Bucket, CLOSE, Connection, Control, Delivery, FRAME, HANDSHAKE, PING, PONG, Received, Rules, Shared,
    Signal, State, encode,
};

const MAX_FRAME: usize = 3_145_728;

pub(super) async fn listen(path: PathBuf, shared: Arc<Shared>, mut orders: mpsc::UnboundedReceiver<Control>) {
    let mut listener: Option<Listener> = None;
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            match &mut listener {
                Some(listener) => {
                    shared.not_frozen().await;
                    listener.accept().await
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return };
                drop(listener.take());
                connections.shutdown().await;
                shared.note(|state| {
                    for number in 0..state.seen.connections.len() {
                        state.end(number, "the server died");
                    }
                });
                match order {
                    Control::Die(done) => drop(done.send(())),
                    Control::Listen(done) => {
                        let bound = Listener::bind(&path);
                        let _ = done.send(bound.map(|bound| listener = Some(bound)));
                    }
                }
            }
            accepted = accept => {
                let Ok(stream) = accepted else { continue };
                let number = shared.note(|state| {
                    let opened = clock::now().mono;
                    state.seen.connections.push(Connection { opened, ..Connection::default() });
                    state.seen.connections.len() - 1
                });
                connections.spawn(Served::new(stream, number, Arc::clone(&shared)).run());
            }
        }
    }
}

impl State {
    fn end(&mut self, connection: usize, why: &str) {
        let now = clock::now().mono;
        self.seen.connections[connection].ended.get_or_insert_with(|| (now, why.to_owned()));
        if self.seen.presences.remove(&connection).is_some() {
            self.seen.changes.push(now);
        }
    }
}

/// The server's side of one connection.
struct Served {
    stream: Stream,
    number: usize,
    shared: Arc<Shared>,
    signals: broadcast::Receiver<Signal>,
    frozen: watch::Receiver<bool>,
    received: Vec<u8>,
    client_id: Option<String>,
    ready: bool,
    /// What is to be sent, and when.
    outbox: VecDeque<(Instant, Outgoing)>,
}

enum Outgoing {
    Ready(Vec<u8>),
    Answer(Vec<u8>),
}

/// Why a connection ends; said in [`Connection::ended`].
type End = String;

impl Served {
    fn new(stream: Stream, number: usize, shared: Arc<Shared>) -> Self {
        let signals = shared.signals.subscribe();
        let frozen = shared.frozen.subscribe();
        Self {
            stream,
            number,
            shared,
            signals,
            frozen,
            received: Vec::new(),
            client_id: None,
            ready: false,
            outbox: VecDeque::new(),
        }
    }

    async fn run(mut self) {
        let Err(end) = self.serve().await;
        self.shared.note(|state| state.end(self.number, &end));
    }

    async fn serve(&mut self) -> Result<Infallible, End> {
        let handshake_until = Instant::now() + Duration::from_secs(10) / self.rules(|rules| rules.speed);
        let mut chunk = vec![0; 1 << 16];
        loop {
            self.shared.not_frozen().await;
            let next = self.outbox.front().map(|(at, _)| *at);
            tokio::select! {
                biased;
                _ = self.frozen.changed() => {}
                signal = self.signals.recv() => match signal {
                    Ok(Signal::Send(bytes)) => self.write(&bytes).await?,
                    Ok(Signal::Close(code, message)) => return self.close(code, &message).await,
                    Ok(Signal::HangUp) => return Err("hung up".to_owned()),
                    Err(_) => return Err("the fake has gone".to_owned()),
                },
                () = sleep_until(handshake_until), if self.client_id.is_none() => {
                    return self.close(1006, "Handshake timeout").await;
                }
                () = sleep_until(next.unwrap_or(handshake_until)), if next.is_some() => {
                    if let Some((_, outgoing)) = self.outbox.pop_front() {
                        self.send(outgoing).await?;
                    }
                }
                read = self.stream.read(&mut chunk) => match read {
                    Ok(0) | Err(_) => return Err("the client went away".to_owned()),
                    Ok(length) => {
                        self.received.extend(&chunk[..length]);
                        self.take_frames().await?;
                    }
                },
            }
        }
    }

    /// After a failed write: how the client ended, if it said so before it went.
    async fn last_words(&mut self) -> Option<End> {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(length @ 1..) = self.stream.read(&mut chunk).await {
            self.received.extend(&chunk[..length]);
            if let Err(end) = self.take_frames().await {
                return Some(end);
            }
        }
        None
    }

    async fn take_frames(&mut self) -> Result<(), End> {
        let single_write = self.rules(|rules| rules.single_write);
        while !self.received.is_empty() {
            let header = self.received.first_chunk::<8>().map(|header| {
                let [a, b, c, d, e, f, g, h] = *header;
                (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]) as usize)
            });
            let whole = header.filter(|(_, length)| self.received.len() >= 8 + length);
            match (header, whole) {
                (Some((_, length)), _) if length > MAX_FRAME => {
                    return self.close(1003, "message too large").await.map(drop);
                }
                (Some((opcode, _)), _) if opcode > PONG => {
                    return self.close(1003, "protocol error").await.map(drop);
                }
                (_, None) if single_write && self.received.len() < 1 << 16 => {
                    return self.close(1003, "data size does not match what was received").await.map(drop);
                }
                (_, None) => return Ok(()),
                (_, Some((opcode, length))) => {
                    let body = self.received[8..8 + length].to_vec();
                    self.received.drain(..8 + length);
                    self.take_frame(opcode, &body).await?;
                }
            }
        }
        Ok(())
    }

    async fn take_frame(&mut self, opcode: u32, bytes: &[u8]) -> Result<(), End> {
        let body: Value =
            serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into());
        let connection = self.number;
        let dropped = opcode == FRAME && !self.ready;
        let frame = Received { at: clock::now().mono, connection, opcode, body: body.clone(), dropped };
        self.shared.note(|state| state.seen.frames.push(frame));
        match opcode {
            HANDSHAKE => self.take_handshake(&body).await,
            CLOSE => {
                let _ = self.close(1000, "client disconnect").await;
                Err("the client said farewell".to_owned())
            }
            PING => self.write(&encode(PONG, bytes)).await,
            PONG => Ok(()),
            _ if self.client_id.is_none() => self.close(1003, "protocol error").await.map(drop),
            _ if dropped => Ok(()),
            _ => {
                self.take_command(&body);
                Ok(())
            }
        }
    }

    async fn take_handshake(&mut self, body: &Value) -> Result<(), End> {
        let client_id = body["client_id"].as_str().unwrap_or_default().to_owned();
        let number = self.number;
        let (wait, bad, rules) = self.shared.note(|state| {
            let connection = &mut state.seen.connections[number];
            connection.shook_hands = Some(clock::now().mono);
            connection.client_id = Some(client_id.clone());
            let bad = client_id.is_empty() || state.rules.bad_ids.contains(&client_id);
            (state.throttle(&client_id), bad, state.rules.clone())
        });
        self.client_id = Some(client_id);
        if body["v"] != 1 {
            return self.close(4004, "Invalid Version").await.map(drop);
        }
        if bad {
            return self.close(4000, "Invalid Client ID").await.map(drop);
        }
        if rules.ping_first {
            self.write(&encode(PING, b"first")).await?;
        }
        let ready = rules.instead_of_ready.unwrap_or_else(|| {
            let user = if rules.bridge {
                json!({"id": "1045800378228281345", "username": "arrpc", "discriminator": "0"})
            } else {
                json!({"id": "100000000000000001", "username": "somebody", "discriminator": "0", "global_name": "Some Body"})
            };
            let config = json!({"cdn_host": "cdn.discordapp.com", "api_endpoint": "//discord.com/api", "environment": "production"});
            let data = json!({"v": 1, "config": config, "user": user});
            encode_json(&json!({"cmd": "DISPATCH", "evt": "READY", "data": data, "nonce": null}))
        });
        self.outbox.push_back((Instant::now() + wait + rules.ready_after, Outgoing::Ready(ready)));
        Ok(())
    }

    fn take_command(&mut self, body: &Value) {
        let (args, nonce) = (&body["args"], &body["nonce"]);
        let rules = self.rules(Clone::clone);
        let cmd = body["cmd"].as_str().unwrap_or_default();
        let verdict = if cmd == "SET_ACTIVITY" {
            validate(args).and_then(|()| match rules.refuse.and_then(|refuse| refuse(&args["activity"])) {
                Some(refusal) => Err(refusal),
                None => Ok(()),
            })
        } else {
            Err((4002, format!("Invalid command: {cmd}")))
        };
        let answer = match verdict {
            Ok(()) => {
                let shown = self.show(&args["activity"], &rules);
                json!({"cmd": cmd, "data": shown, "evt": null, "nonce": nonce})
            }
            Err((code, message)) => {
                json!({"cmd": cmd, "data": {"code": code, "message": message}, "evt": "ERROR", "nonce": nonce})
            }
        };
        if rules.mute {
            return;
        }
        let at = Instant::now() + rules.answer_after;
        if rules.stray_answers {
            for (nonce, evt) in [
                (json!(null), json!(null)),
                (json!("18446744073709551615"), json!(null)),
                (nonce.clone(), json!("ACTIVITY_JOIN")),
            ] {
                let stray = json!({"cmd": cmd, "data": null, "evt": evt, "nonce": nonce});
                self.outbox.push_back((at, Outgoing::Answer(encode_json(&stray))));
            }
        }
        self.outbox.push_back((at, Outgoing::Answer(encode_json(&answer))));
    }

    /// Shows `activity` as this connection's, and gives back what Discord would echo.
    fn show(&self, activity: &Value, rules: &Rules) -> Value {
        let wanted = (!activity.is_null()).then(|| activity.clone());
        let number = self.number;
        self.shared.note(|state| {
            state.seen.activities.push(wanted.clone());
            let before = state.seen.presences.get(&number);
            if before != wanted.as_ref() && !(rules.ack_and_drop && before.is_none()) {
                state.seen.changes.push(clock::now().mono);
            }
            match wanted.clone().filter(|_| !rules.ack_and_drop) {
                Some(activity) => drop(state.seen.presences.insert(number, activity)),
                None => drop(state.seen.presences.remove(&number)),
            }
        });
        let Some(mut echo) = wanted else { return Value::Null };
        echo["application_id"] = json!(self.client_id);
        for (key, value) in [("name", json!("The application")), ("type", json!(0))] {
            if echo[key].is_null() {
                echo[key] = value;
            }
        }
        for image in ["large_image", "small_image"] {
            let known = match (&rules.images, echo["assets"][image].as_str()) {
                (Some(known), Some(key)) => key.starts_with("http") || known.iter().any(|one| one == key),
                _ => true,
            };
            if !known {
                echo["assets"].as_object_mut().unwrap().remove(image);
            }
        }
        echo
    }

    async fn send(&mut self, outgoing: Outgoing) -> Result<(), End> {
        let bytes = match outgoing {
            Outgoing::Ready(bytes) => {
                self.ready = true;
                let number = self.number;
                self.shared.note(|state| state.seen.connections[number].ready = Some(clock::now().mono));
                bytes
            }
            Outgoing::Answer(bytes) => {
                if std::mem::take(&mut self.shared.lock().rules.die_in_next_answer) {
                    self.write(&bytes[..bytes.len() / 2]).await?;
                    return Err("died within a frame".to_owned());
                }
                bytes
            }
        };
        match self.rules(|rules| rules.delivery) {
            Delivery::Whole => match self.write(&bytes).await {
                Err(end) => Err(self.last_words().await.unwrap_or(end)),
                written => written,
            },
            Delivery::BehindPing => self.write(&[encode(PING, b"before"), bytes].concat()).await,
            Delivery::Halves => {
                // Once inside the header, once inside the body. The pauses let the other end read in between.
                let (header, rest) = bytes.split_at(5);
                let (body, end) = rest.split_at(rest.len() / 2);
                for part in [header, body, end] {
                    self.write(part).await?;
                    sleep(Duration::from_millis(3)).await;
                }
                Ok(())
            }
        }
    }

    async fn close(&mut self, code: i64, message: &str) -> Result<Infallible, End> {
        let body = json!({"code": code, "message": message});
        self.write(&encode(CLOSE, body.to_string().as_bytes())).await?;
        Err(format!("closed: {code} {message}"))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.stream.write_all(bytes).await.map_err(|error| format!("could not write: {error}"))
    }

    fn rules<T>(&self, look: impl FnOnce(&Rules) -> T) -> T {
        look(&self.shared.lock().rules)
    }
}

impl State {
    /// Takes one connection of the budget, and says how long to wait for it.
    fn throttle(&mut self, client_id: &str) -> Duration {
        const CAPACITY: f64 = 2.0;
        let every = 30.0 / f64::from(self.rules.speed);
        let now = clock::now().mono;
        let bucket = self.buckets.entry(client_id.to_owned()).or_insert(Bucket { tokens: CAPACITY, at: now });
        let since = (now - bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + since / every).min(CAPACITY) - 1.0;
        bucket.at = now;
        if self.rules.throttled {
            Duration::from_secs_f64((-bucket.tokens).max(0.0) * every)
        } else {
            Duration::ZERO
        }
    }
}

fn encode_json(value: &Value) -> Vec<u8> {
    encode(FRAME, value.to_string().as_bytes())
}
