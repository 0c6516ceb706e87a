//! Where the events of `watch` come from: the daemon, the next daemon, or the session files themselves.
//!
//! A daemon that goes away is looked for at once, because most that go are taken over from, and the one that took over
//! tells exactly what was missed. When none comes, the files are followed here until one does. Each change of that kind
//! is an [`Update`] as well, so that a command can say where its events come from.
//! Read next: [`crate::control::subscription`], the connection.

use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::control::subscription::{SubscribeError, Subscription, Told};
use crate::control::transport::Address;
use crate::control::{ErrorCode, Verb, client};
use crate::core::backoff::Backoff;
use crate::core::engine::{Input, Output};
use crate::core::event_log::Position;
use crate::core::report::{DaemonReport, Event, StatusReport};
use crate::host::{Host, Places};
use crate::io::clock;
use crate::io::instance::{Holding, held_by_another};

/// How long a daemon that went away is looked for before the files are followed here.
const RETURNING: Duration = Duration::from_secs(10);
/// How long one that holds the lock may take to answer at the beginning.
const STARTING: Duration = Duration::from_secs(2);
/// Between two looks for it; each wait is twice as long as the one before.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// How often a daemon is looked for while the files are followed here.
const CALMLY: Duration = Duration::from_secs(5);
/// How many updates may wait to be shown; reading stops then.
const QUEUE: usize = 256;

/// What comes next.
#[derive(Debug)]
pub enum Update {
    /// Something happened; beside it the position of a reader who has heard it, where there is one.
    Event(Box<Event>, Option<Position>),
    /// The events are a daemon's from here on. Unless it goes on exactly where the last one left off, the restored usage
    /// of every live session comes first.
    Attached {
        /// What the positions are places in.
        stream: Option<String>,
        /// Whether it goes on exactly where the last one left off, or where it was asked to begin.
        goes_on: bool,
    },
    /// The daemon went away; it is looked for.
    Lost,
    /// The events come from the session files from here on, the restored usage of every live session first.
    Alone {
        /// Why no daemon tells them.
        cause: String,
        /// What the positions are places in.
        stream: String,
    },
}

/// The events, one after the other.
#[derive(Debug)]
pub struct Feed {
    updates: mpsc::Receiver<Update>,
    questions: mpsc::Sender<Question>,
}

/// Who listens.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// How far it has come, if it comes back.
    pub after: Option<Position>,
    /// Whether it is another machine. It is told everything of the sessions of this one, and nothing that other machines
    /// tell this one.
    pub is_far: bool,
}

type Question = oneshot::Sender<StatusReport>;

impl Feed {
    /// Begins to listen. Belongs inside a tokio runtime; ends when it is dropped.
    pub fn start(places: Places, listener: Listener) -> Self {
        let (sender, updates) = mpsc::channel(QUEUE);
        let (questions, asked) = mpsc::channel(1);
        tokio::spawn(Feeding { places, listener, updates: sender, questions: asked }.run());
        Self { updates, questions }
    }

    /// What comes next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Update {
        match self.updates.recv().await {
            Some(update) => update,
            // The other end lives as long as this one.
            None => pending().await,
        }
    }

    /// What is there already.
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

/// Nobody listens any more.
struct NobodyListens;

struct Feeding {
    places: Places,
    listener: Listener,
    updates: mpsc::Sender<Update>,
    questions: mpsc::Receiver<Question>,
}

impl Feeding {
    async fn run(mut self) {
        // It ends with its listener.
        let _ended = self.feed().await;
    }

    async fn feed(&mut self) -> Result<(), NobodyListens> {
        let mut after = self.listener.after.take();
        let mut patience = match held_by_another(&self.places.state) {
            Holding::Held => STARTING,
            Holding::Free | Holding::Unknown => Duration::ZERO,
        };
        loop {
            let subscription = match self.look_for_daemon(after.clone(), patience).await {
                Ok(subscription) => subscription,
                Err(cause) => {
                    after = None;
                    self.follow_files(&cause).await?
                }
            };
            let goes_on = subscription.position().is_some() && subscription.position() == after.as_ref();
            after = self.relay(subscription, goes_on).await?;
            patience = RETURNING;
        }
    }

    /// The daemon, if one lets us in within `patience`; else why not.
    async fn look_for_daemon(
        &mut self,
        after: Option<Position>,
        patience: Duration,
    ) -> Result<Subscription, SubscribeError> {
        let start = clock::now().mono;
        let mut backoff = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT);
        loop {
            let error = match self.subscribe(after.clone()).await {
                Ok(subscription) => return Ok(subscription),
                Err(error) => error,
            };
            if is_final(&error) || clock::now().mono.saturating_sub(start) >= patience {
                return Err(error);
            }
            sleep(backoff.fail()).await;
        }
    }

    /// Tells what the daemon tells, until it goes away. Returns how far it had come.
    async fn relay(
        &mut self,
        mut subscription: Subscription,
        goes_on: bool,
    ) -> Result<Option<Position>, NobodyListens> {
        self.tell(Update::Attached { stream: subscription.stream.clone(), goes_on }).await?;
        loop {
            tokio::select! {
                told = subscription.next() => match told {
                    Some(Told { event, position }) => self.tell(Update::Event(Box::new(event), position)).await?,
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
        self.tell(Update::Lost).await?;
        Ok(subscription.position().cloned())
    }

    /// Follows the files until a daemon lets us in.
    async fn follow_files(&mut self, cause: &SubscribeError) -> Result<Subscription, NobodyListens> {
        let cause = match cause {
            SubscribeError::Ask(client::AskError::Away(_)) => "no daemon is running".to_owned(),
            other => format!("the daemon cannot be asked: {other}"),
        };
        // The events of every such time are a stream of their own, which nobody can come back to.
        let stream = format!("{}-{:x}", std::process::id(), clock::now().wall.as_nanosecond());
        let mut at = Position { stream: stream.clone(), seq: 0 };
        self.tell(Update::Alone { cause, stream }).await?;
        let mut host = Host::look_on(&self.places, !self.listener.is_far).ok();
        if let Some(host) = host.as_mut().filter(|_| self.listener.is_far) {
            host.take([Input::Far]);
            for event in host.engine().introduction(clock::now()) {
                self.tell(Update::Event(Box::new(event), None)).await?;
            }
        }
        let (place, is_far) = (self.place(), self.listener.is_far);
        let daemon = async {
            loop {
                sleep(CALMLY).await;
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
                () = self.updates.closed() => return Err(NobodyListens),
            }
            while let Some(output) = host.as_mut().and_then(Host::poll) {
                if let Output::Event(event) = output {
                    at.seq += 1;
                    self.tell(Update::Event(event, Some(at.clone()))).await?;
                }
            }
        }
    }

    /// The daemon, if it lets us in. One that cannot say everything to another machine is of no use for that.
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

    async fn tell(&self, update: Update) -> Result<(), NobodyListens> {
        self.updates.send(update).await.map_err(|_| NobodyListens)
    }
}

/// Whether asking again would be answered in the same way.
fn is_final(error: &SubscribeError) -> bool {
    match error {
        SubscribeError::Ask(_) => false,
        SubscribeError::Older => true,
        SubscribeError::Refused(reply) => {
            reply.error.as_ref().is_none_or(|error| error.code != ErrorCode::Busy)
        }
    }
}
