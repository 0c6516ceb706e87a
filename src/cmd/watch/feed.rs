//! The source of the events of `watch`: the daemon, the next daemon, or the session files.
//!
//! A daemon that ends is looked for at once, because most are taken over from, and the new daemon sends exactly the
//! missed events. If none comes, the files are followed here until one does. Each such change is an [`Update`] as well,
//! so that a command can print where its events come from.
//! Read next: [`crate::control::subscription`], the connection.

use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::control::subscription::{Received, SubscribeError, Subscription};
use crate::control::transport::Address;
use crate::control::{ErrorCode, Verb, client};
use crate::core::backoff::Backoff;
use crate::core::engine::{Input, Output};
use crate::core::event_log::Position;
use crate::core::report::{DaemonReport, Event, StatusReport};
use crate::host::{Host, Places};
use crate::io::clock;
use crate::io::instance::{LockState, held_by_another};

/// How long to look for a daemon that ended before the files are followed here.
const RETURNING: Duration = Duration::from_secs(10);
/// How long a daemon that holds the lock may take to answer at the beginning.
const STARTING: Duration = Duration::from_secs(2);
/// The pause between two tries; each is twice as long as the one before.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// The pause between two tries while the files are followed here.
const SLOW_RETRY: Duration = Duration::from_secs(5);
/// How many updates may wait to be shown; reading stops then.
const QUEUE: usize = 256;

/// A change for the listener.
#[derive(Debug)]
pub enum Update {
    /// An event, and the position of a listener that has got it, if there is one.
    Event(Box<Event>, Option<Position>),
    /// The following events are a daemon's. Unless it continues exactly where the last one ended, the restored usage of
    /// every live session comes first.
    Attached {
        /// The event stream of the positions.
        stream: Option<String>,
        /// Whether it continues exactly where the last one ended, or where the listener asked to begin.
        goes_on: bool,
    },
    /// The daemon has ended; another one is looked for.
    Lost,
    /// The following events are from the session files, with the restored usage of every live session first.
    Alone {
        /// Why no daemon sends them.
        cause: String,
        /// The event stream of the positions.
        stream: String,
    },
}

/// The events in order.
#[derive(Debug)]
pub struct Feed {
    updates: mpsc::Receiver<Update>,
    questions: mpsc::Sender<Question>,
}

/// The listener.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// The position after which it continues, if it has listened before.
    pub after: Option<Position>,
    /// Whether it is another machine. Then it gets every event of this machine's sessions, and none of other machines.
    pub is_far: bool,
}

type Question = oneshot::Sender<StatusReport>;

impl Feed {
    /// Begins to listen. Belongs inside a tokio runtime; ends when it is dropped.
    pub fn start(places: Places, listener: Listener) -> Self {
        let (sender, updates) = mpsc::channel(QUEUE);
        let (questions, asked) = mpsc::channel(1);
        tokio::spawn(FeedTask { places, listener, updates: sender, questions: asked }.run());
        Self { updates, questions }
    }

    /// The next update. Cancel safe.
    pub async fn next(&mut self) -> Update {
        match self.updates.recv().await {
            Some(update) => update,
            // The task lives as long as this receiver.
            None => pending().await,
        }
    }

    /// The next update, if one waits.
    pub fn try_next(&mut self) -> Option<Update> {
        self.updates.try_recv().ok()
    }

    /// The status report from the source of the events; `None` if there is none now.
    pub fn status(&self) -> impl Future<Output = Option<StatusReport>> + use<> {
        let questions = self.questions.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            questions.send(answer).await.ok()?;
            answered.await.ok()
        }
    }
}

/// The listener was dropped.
struct ListenerDropped;

struct FeedTask {
    places: Places,
    listener: Listener,
    updates: mpsc::Sender<Update>,
    questions: mpsc::Receiver<Question>,
}

impl FeedTask {
    async fn run(mut self) {
        // It ends with its listener.
        let _ended = self.feed().await;
    }

    async fn feed(&mut self) -> Result<(), ListenerDropped> {
        let mut after = self.listener.after.take();
        let mut timeout = match held_by_another(&self.places.state) {
            LockState::Held => STARTING,
            LockState::Free | LockState::Unknown => Duration::ZERO,
        };
        loop {
            let subscription = match self.look_for_daemon(after.clone(), timeout).await {
                Ok(subscription) => subscription,
                Err(cause) => {
                    after = None;
                    self.follow_files(&cause).await?
                }
            };
            let goes_on = subscription.position().is_some() && subscription.position() == after.as_ref();
            after = self.relay(subscription, goes_on).await?;
            timeout = RETURNING;
        }
    }

    /// A subscription, if a daemon accepts one within `timeout`; else why not.
    async fn look_for_daemon(
        &mut self,
        after: Option<Position>,
        timeout: Duration,
    ) -> Result<Subscription, SubscribeError> {
        let start = clock::now().mono;
        let mut backoff = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT);
        loop {
            let error = match self.subscribe(after.clone()).await {
                Ok(subscription) => return Ok(subscription),
                Err(error) => error,
            };
            if is_final(&error) || clock::now().mono.saturating_sub(start) >= timeout {
                return Err(error);
            }
            sleep(backoff.fail()).await;
        }
    }

    /// Passes on the daemon's events until it ends. Returns the last position.
    async fn relay(
        &mut self,
        mut subscription: Subscription,
        goes_on: bool,
    ) -> Result<Option<Position>, ListenerDropped> {
        self.send(Update::Attached { stream: subscription.stream.clone(), goes_on }).await?;
        loop {
            tokio::select! {
                received = subscription.next() => match received {
                    Some(Received { event, position }) => self.send(Update::Event(Box::new(event), position)).await?,
                    None => break,
                },
                Some(question) = self.questions.recv() => {
                    let place = self.place();
                    tokio::spawn(async move {
                        if let Ok(reply) = client::ask(&place, Verb::Status).await
                            && let Some(status) = reply.status
                        {
                            // Who asked may have gone.
                            let _ = question.send(*status);
                        }
                    });
                }
            }
        }
        self.send(Update::Lost).await?;
        Ok(subscription.position().cloned())
    }

    /// Follows the files until a daemon accepts a subscription.
    async fn follow_files(&mut self, cause: &SubscribeError) -> Result<Subscription, ListenerDropped> {
        let cause = match cause {
            SubscribeError::Ask(client::AskError::Away(_)) => "no daemon is running".to_owned(),
            other => format!("the daemon cannot be asked: {other}"),
        };
        // Each such period has an event stream of its own, which cannot be resumed.
        let stream = format!("{}-{:x}", std::process::id(), clock::now().wall.as_nanosecond());
        let mut at = Position { stream: stream.clone(), seq: 0 };
        self.send(Update::Alone { cause, stream }).await?;
        let mut host = Host::observe(&self.places, !self.listener.is_far).ok();
        if let Some(host) = host.as_mut().filter(|_| self.listener.is_far) {
            host.take([Input::Far]);
            for event in host.engine().introduction(clock::now()) {
                self.send(Update::Event(Box::new(event), None)).await?;
            }
        }
        let (place, is_far) = (self.place(), self.listener.is_far);
        let daemon = async {
            loop {
                sleep(SLOW_RETRY).await;
                if let Ok(subscription) = Subscription::open(&place, None, is_far).await
                    && (!is_far || subscription.stream.is_some())
                {
                    return subscription;
                }
            }
        };
        tokio::pin!(daemon);
        loop {
            let following = async {
                match &mut host {
                    Some(host) => host.next().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                subscription = &mut daemon => return Ok(subscription),
                inputs = following => {
                    if let Some(host) = &mut host {
                        host.take_burst(inputs);
                    }
                }
                Some(question) = self.questions.recv() => {
                    if let Some(host) = &mut host {
                        let status = host.status(DaemonReport::not_running(), self.places.config_report());
                        // Who asked may have gone.
                        let _ = question.send(status);
                    }
                }
                () = self.updates.closed() => return Err(ListenerDropped),
            }
            while let Some(output) = host.as_mut().and_then(Host::poll) {
                if let Output::Event(event) = output {
                    at.seq += 1;
                    self.send(Update::Event(event, Some(at.clone()))).await?;
                }
            }
        }
    }

    /// A subscription, if the daemon accepts it. An older daemon cannot serve another machine.
    async fn subscribe(&self, after: Option<Position>) -> Result<Subscription, SubscribeError> {
        let subscription = Subscription::open(&self.place(), after, self.listener.is_far).await?;
        if self.listener.is_far && subscription.stream.is_none() {
            return Err(SubscribeError::Older);
        }
        Ok(subscription)
    }

    fn place(&self) -> Address {
        Address::of(&self.places.state, &self.places.environment)
    }

    async fn send(&self, update: Update) -> Result<(), ListenerDropped> {
        self.updates.send(update).await.map_err(|_| ListenerDropped)
    }
}

/// Whether another try would get the same answer.
fn is_final(error: &SubscribeError) -> bool {
    match error {
        SubscribeError::Ask(_) => false,
        SubscribeError::Older => true,
        SubscribeError::Refused(reply) => {
            reply.error.as_ref().is_none_or(|error| error.code != ErrorCode::Busy)
        }
    }
}
