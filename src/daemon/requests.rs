//! What the control channel asks of the daemon, and the daemon's answers.
//!
//! Answers are made in the loop, at once; nothing here waits for a client. Read next: [`crate::control`].

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Daemon, clock};
use crate::control::server::{Answer, Call, QUEUE, Server};
use crate::control::transport::Place;
use crate::control::{ErrorCode, ErrorReport, Handover, Reply, Told, Verb, line};
use crate::core::engine::{Input, UNTIL_RESUMED};
use crate::core::report::{DaemonReport, Event};
use crate::core::takeover::{Record, Refusal, hand_over};
use crate::instance::Instance;
use crate::paths::Environment;

/// Requests that wait for the loop.
const INBOX: usize = 32;

/// How long those who are being answered may still listen at the end.
const FAREWELL: Duration = Duration::from_millis(300);

/// The daemon's end of the control channel.
pub(super) struct Requests {
    /// `None` where there can be none; the daemon does its work without.
    server: Option<Server>,
    calls: mpsc::Receiver<Call>,
    own: Record,
    /// Resolves when the one that takes over has what it needs.
    heir: Option<oneshot::Receiver<()>>,
    subscribers: Vec<mpsc::Sender<Arc<[u8]>>>,
}

/// What comes from it.
pub(super) enum Request {
    /// A question.
    Call(Call),
    /// The one that takes over waits for the lock.
    HandedOver,
}

impl Requests {
    /// Listens at the state folder's control channel. Belongs inside a tokio runtime.
    pub(super) fn start(state: &Path, environment: &Environment, instance: &Instance) -> Self {
        let (sender, calls) = mpsc::channel(INBOX);
        let server = Server::start(&Place::of(state, environment), instance, sender);
        if let Err(error) = &server {
            tracing::warn!("could not listen for `status`, `stop` and `pause`: {error}");
        }
        let own = instance.record.clone();
        Self { server: server.ok(), calls, own, heir: None, subscribers: Vec::new() }
    }

    /// The next request. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Request {
        loop {
            let taken = async {
                match &mut self.heir {
                    Some(heir) => heir.await,
                    None => pending().await,
                }
            };
            let call = async {
                match self.calls.recv().await {
                    Some(call) => call,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                taken = taken => match taken {
                    Ok(()) => return Request::HandedOver,
                    Err(_) => {
                        tracing::info!("the instance that was to take over went away; staying");
                        self.heir = None;
                    }
                },
                call = call => return Request::Call(call),
            }
        }
    }

    /// Whether another daemon is about to take over.
    pub(super) fn is_handing_over(&self) -> bool {
        self.heir.is_some()
    }

    /// The daemon ends in another way.
    pub(super) fn call_off_handover(&mut self) {
        self.heir = None;
    }

    /// Tells every subscriber. One that does not keep up is dropped.
    pub(super) fn tell(&mut self, event: &Event) {
        if self.subscribers.is_empty() {
            return;
        }
        let told: Arc<[u8]> = line(&Told::new(event)).into();
        self.subscribers.retain(|subscriber| match subscriber.try_send(Arc::clone(&told)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::info!("dropped a watcher that does not keep up");
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }

    /// Listens no more. Who was answered only just still hears it.
    pub(super) async fn close(self) {
        let Self { server, calls, heir, subscribers, .. } = self;
        drop((calls, heir, subscribers));
        if let Some(server) = server {
            server.close(FAREWELL).await;
        }
    }
}

impl Daemon<'_> {
    /// Answers one request; what it leads to in the engine is returned.
    pub(super) fn answer(&mut self, call: Call, requests: &mut Requests) -> Option<Input> {
        let now = clock::now();
        let Call { verb, answer } = call;
        let (reply, input) = match verb {
            Verb::Status => {
                let daemon = DaemonReport { paused_until: self.engine.paused_until(), ..self.report.clone() };
                let status = self.engine.status(now, daemon, self.settings.report());
                (Reply { status: Some(Box::new(status)), ..Reply::done() }, None)
            }
            Verb::Subscribe => {
                let (sender, events) = mpsc::channel(QUEUE);
                for event in self.engine.restored(now) {
                    // A fresh queue holds more than anybody has sessions.
                    let _ = sender.try_send(line(&Told::new(event)).into());
                }
                requests.subscribers.push(sender);
                let _ = answer.send(Answer::Events(events));
                return None;
            }
            Verb::Handover { newcomer, replace } => match self.handover(&newcomer, replace, requests) {
                Ok(handover) => {
                    tracing::info!(to = newcomer.pid, version = newcomer.version, "handing over");
                    let reply = Reply { handover: Some(Box::new(handover)), ..Reply::done() };
                    let (taken, heir) = oneshot::channel();
                    requests.heir = Some(heir);
                    let _ = answer.send(Answer::Handover(Box::new(reply), taken));
                    return None;
                }
                Err(refusal) => (Reply::failed(ErrorReport::of(refusal)), None),
            },
            Verb::Stop => {
                tracing::info!("asked to stop");
                self.ending = true;
                requests.call_off_handover();
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
            // The server hears this where it belongs.
            Verb::Take => (Reply::failed(ErrorReport::of(Refusal::Other)), None),
        };
        // A client that went away needs no answer.
        let _ = answer.send(Answer::Reply(Box::new(reply)));
        input
    }

    fn handover(&self, newcomer: &Record, replace: bool, requests: &Requests) -> Result<Handover, Refusal> {
        if self.ending || requests.is_handing_over() {
            return Err(Refusal::Busy);
        }
        hand_over(&requests.own, newcomer, replace)?;
        Ok(Handover {
            pid: requests.own.pid,
            token: requests.own.token.clone(),
            budget: self.engine.budget(clock::now()),
            limits: self.engine.limits().cloned().collect(),
            paused_until: self.engine.paused_until(),
        })
    }
}
