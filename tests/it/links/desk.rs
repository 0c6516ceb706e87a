//! Links as the daemon drives them, one call at a time.

use std::sync::mpsc as sync_mpsc;
use std::time::Duration;

use agent_presence::core::publish::{Endpoint, LinkCommand, LinkEvent, Loss, Payload};
use agent_presence::io::discord::Links;
use agent_presence::io::discord::deadlines::Deadlines;
use tokio::sync::mpsc;

use crate::support::fake_discord::FakeDiscord;

pub(super) const APPLICATION: &str = "1234567890123456789";

/// How long a test waits for an event that has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Drives [`Links`] on a thread with a runtime of its own, as the daemon does on its own.
pub(super) struct Desk {
    commands: mpsc::UnboundedSender<Order>,
    events: sync_mpsc::Receiver<(Endpoint, LinkEvent)>,
}

enum Order {
    Obey(LinkCommand),
    CloseAll(Duration, sync_mpsc::Sender<()>),
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::with(Deadlines::DISCORD)
    }

    pub(super) fn with(deadlines: Deadlines) -> Self {
        let (commands, mut orders) = mpsc::unbounded_channel();
        let (heard, events) = sync_mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut links = Links::new(deadlines);
                loop {
                    tokio::select! {
                        order = orders.recv() => match order {
                            Some(Order::Obey(command)) => links.carry_out(command),
                            Some(Order::CloseAll(deadline, done)) => {
                                links.close_all(deadline).await;
                                done.send(()).unwrap();
                            }
                            None => return,
                        },
                        event = links.next() => drop(heard.send(event)),
                    }
                }
            });
        });
        Self { commands, events }
    }

    pub(super) fn obey(&self, command: LinkCommand) {
        self.commands.send(Order::Obey(command)).unwrap();
    }

    pub(super) fn connect(&self, endpoint: &str) {
        let endpoint = Endpoint(endpoint.to_owned());
        self.obey(LinkCommand::Connect { endpoint, application_id: APPLICATION.to_owned() });
    }

    pub(super) fn send(&self, endpoint: &str, nonce: u64, payload: Payload) {
        self.obey(LinkCommand::Send { endpoint: Endpoint(endpoint.to_owned()), nonce, payload });
    }

    pub(super) fn disconnect(&self, endpoint: &str) {
        self.obey(LinkCommand::Disconnect { endpoint: Endpoint(endpoint.to_owned()) });
    }

    pub(super) fn close_all(&self, deadline: Duration) {
        let (done, wait) = sync_mpsc::channel();
        self.commands.send(Order::CloseAll(deadline, done)).unwrap();
        wait.recv_timeout(PATIENCE).unwrap();
    }

    #[track_caller]
    pub(super) fn event(&self) -> LinkEvent {
        self.event_and_place().1
    }

    #[track_caller]
    pub(super) fn event_and_place(&self) -> (Endpoint, LinkEvent) {
        self.events.recv_timeout(PATIENCE).expect("an event")
    }

    /// Connects and waits until cards can go.
    #[track_caller]
    pub(super) fn ready(&self, discord: &FakeDiscord) {
        self.connect(&discord.endpoint());
        assert_eq!(self.event(), LinkEvent::Opened);
        assert_eq!(self.event(), ready("Discord", false));
    }

    /// Connects, and gives what comes of it.
    #[track_caller]
    pub(super) fn loss_after_opening(&self, discord: &FakeDiscord) -> Loss {
        self.connect(&discord.endpoint());
        assert_eq!(self.event(), LinkEvent::Opened);
        self.loss()
    }

    #[track_caller]
    pub(super) fn loss(&self) -> Loss {
        match self.event() {
            LinkEvent::Lost(loss) => loss,
            other => panic!("{other:?} instead of a loss"),
        }
    }
}

/// The end of a link that was told to close.
pub(super) fn given_up() -> Loss {
    Loss::Broken("closed by us".to_owned())
}

pub(super) fn ready(client: &str, bridge: bool) -> LinkEvent {
    LinkEvent::Ready { client: client.to_owned(), bridge }
}

pub(super) fn acked(nonce: u64) -> LinkEvent {
    LinkEvent::Acked { nonce }
}
