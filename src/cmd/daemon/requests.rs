//! The requests of the control channel, and the daemon's answers.
//!
//! The loop answers each request at once, without waiting for a client. Read next: [`crate::control`].

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Daemon;
use crate::control::log::SharedLog;
use crate::control::server::{CallReply, PendingRequest, Server};
use crate::control::transport::Address;
use crate::control::{ErrorCode, ErrorReport, EventMessage, Handover, Reply, Verb, line};
use crate::core::backoff::Backoff;
use crate::core::engine::{Input, UNTIL_RESUMED};
use crate::core::event_log::{Line, Position};
use crate::core::report::Event;
use crate::core::takeover::{LockRecord, Refusal, hand_over};
use crate::core::time::Now;
use crate::io::clock;
use crate::io::instance::Instance;
use crate::io::paths::Environment;

/// How many requests may wait for the loop.
const INBOX: usize = 32;

/// The pause before another try to listen, at first and at most.
const LISTEN_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// How long clients may take to read their answers at the end.
const FAREWELL: Duration = Duration::from_millis(300);

/// The daemon's end of the control channel.
pub(super) struct Requests {
    server: Server,
    place: Address,
    /// When to try again to listen, while that fails.
    listen_at: Option<Instant>,
    backoff: Backoff,
    sender: mpsc::Sender<PendingRequest>,
    calls: mpsc::Receiver<PendingRequest>,
    own: LockRecord,
    /// Resolves when the new daemon has received the handover; `None` while none is under way.
    successor: Option<oneshot::Receiver<()>>,
    /// The events for subscribers.
    log: SharedLog,
    /// Subscribers that wait until all files that an earlier daemon had read are read again.
    waiting: Vec<PendingRequest>,
}

/// What the loop has to handle.
pub(super) enum Request {
    /// A client's request.
    Call(PendingRequest),
    /// The new daemon has the handover and waits for the lock.
    HandedOver,
    /// The new daemon went away: this one continues.
    HandoverCancelled,
    /// The pause is over: try again to listen.
    ListenAgain,
}

impl Requests {
    /// Listens at the state folder's control channel, and continues the event stream of an earlier daemon. Belongs
    /// inside a tokio runtime.
    pub(super) fn start(
        state: &Path,
        environment: &Environment,
        instance: &Instance,
        inherited: Option<&Handover>,
    ) -> Self {
        Self::at(Address::of(state, environment), instance, inherited)
    }

    fn at(place: Address, instance: &Instance, inherited: Option<&Handover>) -> Self {
        let (sender, calls) = mpsc::channel(INBOX);
        let own = instance.record.clone();
        let log =
            match inherited.and_then(|inherited| Some((inherited.position.clone()?, &inherited.unheard))) {
                Some((position, unheard)) => SharedLog::inherited(position, unheard),
                // After a restart in the same process the numbers start anew.
                None => SharedLog::new(format!("{}-{:x}", own.token, clock::now().wall.as_nanosecond())),
            };
        let (server, waiting) = (Server::default(), Vec::new());
        let [first, longest] = LISTEN_AGAIN;
        let backoff = Backoff::new(first, longest);
        let mut this = Self {
            server,
            place,
            listen_at: None,
            backoff,
            sender,
            calls,
            own,
            successor: None,
            log,
            waiting,
        };
        this.listen(instance);
        this
    }

    /// Listens; also again after a socket was removed with its folder. Connected clients stay connected.
    pub(super) fn listen(&mut self, instance: &Instance) {
        match (self.server.listen(&self.place, instance, &self.sender), self.listen_at) {
            (Ok(()), None) => {}
            (Ok(()), Some(_)) => {
                tracing::info!("listening for `status`, `stop` and `pause` again");
                self.listen_at = None;
                self.backoff.reset();
            }
            (Err(error), before) => {
                if before.is_none() {
                    tracing::warn!(
                        "could not listen for `status`, `stop` and `pause`: {error}; trying again; hint: make room for \
                         control.sock in the state folder; `stop` ends this process all the same"
                    );
                }
                self.listen_at = Some(Instant::now() + self.backoff.fail());
            }
        }
    }

    /// Listens once more if a socket was removed.
    pub(super) fn mind_sockets(&mut self, instance: &Instance) {
        if !self.server.is_in_place() {
            self.listen(instance);
        }
    }

    /// The next request. Cancel safe.
    pub(super) async fn next(&mut self) -> Request {
        let taken = async {
            match &mut self.successor {
                Some(successor) => successor.await,
                None => pending().await,
            }
        };
        let call = async {
            match self.calls.recv().await {
                Some(call) => call,
                None => pending().await,
            }
        };
        let listen_at = self.listen_at;
        let again = async move {
            match listen_at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            taken = taken => match taken {
                Ok(()) => Request::HandedOver,
                Err(_) => {
                    tracing::info!("the instance that was to take over went away; staying");
                    self.successor = None;
                    Request::HandoverCancelled
                }
            },
            call = call => Request::Call(call),
            () = again => Request::ListenAgain,
        }
    }

    /// Whether another daemon is about to take over.
    pub(super) fn is_handing_over(&self) -> bool {
        self.successor.is_some()
    }

    /// Cancels a handover: the daemon ends in another way.
    pub(super) fn cancel_handover(&mut self) {
        self.successor = None;
    }

    /// Sends an event to every subscriber.
    pub(super) fn send(&self, event: &Event) {
        self.log.tell(event);
    }

    /// Stops listening. Clients that were just answered still get their answer.
    pub(super) async fn close(self) {
        let Self { server, calls, successor, log, waiting, .. } = self;
        drop((calls, successor, waiting, log));
        server.close(FAREWELL).await;
    }
}

impl Daemon<'_> {
    /// Answers one request; returns the input for the engine, if there is one.
    pub(super) fn answer(&mut self, call: PendingRequest) -> Option<Input> {
        let now = clock::now();
        // A subscriber may wait for long on purpose.
        if call.is_given_up(now.mono) && !matches!(call.verb, Verb::Subscribe { .. }) {
            tracing::debug!("a client disconnected before its request was read");
            return None;
        }
        let PendingRequest { verb, answer, came } = call;
        let (reply, input) = match verb {
            Verb::Status => {
                let mut config = self.settings.report();
                config.issues.extend(self.record.problem().map(str::to_owned));
                config.issues.extend(self.keeper.problem().map(str::to_owned));
                let status = self.host.status(self.report.clone(), config);
                (Reply { status: Some(Box::new(status)), ..Reply::done() }, None)
            }
            // After a handover no daemon sends events until it is certain which one continues.
            Verb::Subscribe { .. } if self.requests.is_handing_over() => {
                (Reply::failed(ErrorReport::of(Refusal::Busy)), None)
            }
            Verb::Subscribe { after, far } => {
                if far {
                    self.host.take([Input::Far]);
                }
                match self.subscribe(after.as_ref(), far, now) {
                    // A client that went away needs no answer.
                    Some(events) => drop(answer.send(events)),
                    None => {
                        let verb = Verb::Subscribe { after, far };
                        self.requests.waiting.push(PendingRequest { verb, answer, came });
                    }
                }
                return None;
            }
            Verb::Tap => {
                let _ = answer.send(CallReply::Tap(self.host.inputs.tap()));
                return None;
            }
            Verb::Handover { newcomer, replace } => match self.handover(&newcomer, replace) {
                Ok(handover) => {
                    tracing::info!(to = newcomer.pid, version = newcomer.version, "handing over");
                    let reply = Reply { handover: Some(Box::new(handover)), ..Reply::done() };
                    let (taken, successor) = oneshot::channel();
                    self.requests.successor = Some(successor);
                    let _ = answer.send(CallReply::Handover(Box::new(reply), taken));
                    return None;
                }
                Err(refusal) => (Reply::failed(ErrorReport::of(refusal)), None),
            },
            Verb::Stop => {
                tracing::info!("asked to stop");
                self.ending = true;
                self.requests.cancel_handover();
                (Reply::done(), Some(Input::ShutDown))
            }
            Verb::Pause { until: Some(until) } if until <= now.wall => {
                let error = ErrorReport::new(ErrorCode::Malformed, "the pause would be over already");
                (Reply::failed(error), None)
            }
            Verb::Pause { until } => {
                let until = until.unwrap_or(UNTIL_RESUMED);
                tracing::info!(%until, "paused");
                (Reply { paused_until: Some(until), ..Reply::done() }, Some(Input::Pause(until)))
            }
            Verb::Resume => {
                tracing::info!("resumed");
                (Reply::done(), Some(Input::Resume))
            }
            // The server itself handles these after a handover.
            Verb::Take | Verb::Unknown => (Reply::failed(ErrorReport::of(Refusal::Other)), None),
        };
        // A client that went away needs no answer.
        let _ = answer.send(CallReply::Reply(Box::new(reply)));
        input
    }

    /// Answers the waiting subscribers, once all files that an earlier daemon had read are read again.
    pub(super) fn answer_waiting(&mut self) {
        if !self.host.engine().is_inheriting() {
            for call in std::mem::take(&mut self.requests.waiting) {
                self.answer(call);
            }
        }
    }

    /// The events after `after`, if they are still stored; else the state of the sessions, and then every new event.
    /// `None` while that state is incomplete.
    fn subscribe(&self, after: Option<&Position>, far: bool, now: Now) -> Option<CallReply> {
        let log = &self.requests.log;
        let position = log.position();
        let stream = Some(position.stream.clone());
        if let Some(after) = after
            && let Some(cursor) = log.cursor_after(after)
        {
            let reply = Reply { position: Some(after.clone()), stream, ..Reply::done() };
            return Some(CallReply::Events(Box::new(reply), Vec::new(), cursor));
        }
        if self.host.engine().is_inheriting() {
            return None;
        }
        let engine = self.host.engine();
        let restored = if far { engine.introduction(now) } else { engine.restored(now) };
        let count = restored.len();
        let begin = (count == 0).then(|| position.clone());
        let reply = Reply { position: begin, stream, ..Reply::done() };
        let lines = restored.into_iter().enumerate().map(|(index, event)| {
            let reached = (index + 1 == count).then(|| position.clone());
            Line::from(line(&EventMessage::new(event, reached)))
        });
        Some(CallReply::Events(Box::new(reply), lines.collect(), log.cursor()))
    }

    fn handover(&self, newcomer: &LockRecord, replace: bool) -> Result<Handover, Refusal> {
        if self.ending || self.requests.is_handing_over() {
            return Err(Refusal::Busy);
        }
        hand_over(&self.requests.own, newcomer, replace)?;
        let now = clock::now();
        let (engine, requests) = (self.host.engine(), &self.requests);
        Ok(Handover {
            at: Some(now.wall),
            positions: engine.progress(),
            registers: engine.registers(),
            remotes: self.host.inputs.remotes.leave(),
            is_far_heard: engine.is_far_heard(),
            card: engine.shown_report(),
            settings: serde_json::to_value(self.settings.settings()).unwrap_or_default(),
            obeyed: engine.obeyed().filter_map(|settings| serde_json::to_value(settings).ok()).collect(),
            pid: requests.own.pid,
            token: requests.own.token.clone(),
            budget: engine.budget(now),
            limits: engine.limits().cloned().collect(),
            paused_until: engine.paused_until(),
            position: Some(requests.log.position()),
            unheard: requests
                .log
                .unheard()
                .iter()
                .filter_map(|line| serde_json::from_slice(line).ok())
                .collect(),
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::io::paths::ensure_state_dir;

    #[tokio::test]
    async fn listening_is_tried_again_after_growing_pauses() {
        let folder = tempfile::tempdir().unwrap();
        let state = ensure_state_dir(&folder.path().join("state")).unwrap();
        let instance = Instance::acquire(&state).unwrap();
        let in_the_way = state.join("control.sock");
        std::fs::create_dir(&in_the_way).unwrap();
        let place = Address::only(in_the_way.clone());
        let mut requests = Requests::at(place.clone(), &instance, None);
        for wait in [1, 2, 4].map(Duration::from_secs) {
            assert!(place.connect().await.is_err());
            assert!(
                requests
                    .listen_at
                    .is_some_and(|at| at <= Instant::now() + wait && at > Instant::now() + wait / 2)
            );
            requests.listen(&instance);
        }
        requests.listen_at = Some(Instant::now());
        assert!(matches!(requests.next().await, Request::ListenAgain));
        std::fs::rename(&in_the_way, state.join("no longer in the way")).unwrap();
        requests.listen(&instance);
        place.connect().await.unwrap();

        // A socket that was removed is made again, and a foreign one at its place is left alone.
        let away = state.join("away");
        std::fs::rename(&in_the_way, &away).unwrap();
        requests.mind_sockets(&instance);
        place.connect().await.unwrap();
        std::fs::rename(&away, &in_the_way).unwrap();
        requests.close().await;
        assert!(in_the_way.exists());
    }
}
