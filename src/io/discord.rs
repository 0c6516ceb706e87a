//! The links to running Discord clients: finding them, connecting, sending, hearing back.
//!
//! Obeys [`LinkCommand`]s and reports [`LinkEvent`]s; when to connect, what to send and whether to try again is
//! [`crate::core::publish`]'s decision. Each link is a task of its own, so none can hold up another.
//! Read next: `link.rs`, the life of one connection; [`endpoints`] and [`watcher`], where the clients are.

pub mod activity;
pub mod deadlines;
pub mod endpoints;
pub mod frame;
mod link;
pub mod message;
pub mod probe;
mod stream;
pub mod watcher;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::deadlines::Deadlines;
use self::link::{LinkTask, Order};
use crate::core::publish::{Endpoint, LinkCommand, LinkEvent, Loss};
use crate::io::process;

/// All links. Lives inside a tokio runtime; dropping it drops every connection.
#[derive(Debug)]
pub struct Links {
    deadlines: Deadlines,
    open: BTreeMap<Endpoint, Handle>,
    /// The processes that listened there when it was looked last.
    peers: BTreeMap<Endpoint, u32>,
    tasks: JoinSet<()>,
    /// How many links there have been; numbers them.
    links: u64,
    reports: mpsc::UnboundedSender<Report>,
    inbox: mpsc::UnboundedReceiver<Report>,
}

/// The holder's end of a link; dropping it closes the link.
#[derive(Debug)]
struct Handle {
    number: u64,
    orders: mpsc::UnboundedSender<Order>,
    /// `None` once the link was told to close; what it says until it has is still heard.
    staying: Option<oneshot::Sender<Infallible>>,
}

/// An event with the link that it is from, which may have been given up in the meantime.
#[derive(Debug)]
struct Report {
    endpoint: Endpoint,
    number: u64,
    word: Word,
}

/// What there is to report.
#[derive(Debug)]
enum Word {
    Event(LinkEvent),
    /// The process that listens there.
    Peer(u32),
}

/// Reports a link whose task panicked, so that it is replaced in time.
#[derive(Debug)]
struct Broken {
    endpoint: Endpoint,
    number: u64,
    reports: mpsc::UnboundedSender<Report>,
}

impl Drop for Broken {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let event = LinkEvent::Lost(Loss::Broken("its task broke off".to_owned()));
            let word = Word::Event(event);
            drop(self.reports.send(Report { endpoint: self.endpoint.clone(), number: self.number, word }));
        }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::new(Deadlines::DISCORD)
    }
}

impl Links {
    /// No links yet.
    pub fn new(deadlines: Deadlines) -> Self {
        let (reports, inbox) = mpsc::unbounded_channel();
        Self {
            deadlines,
            open: BTreeMap::new(),
            peers: BTreeMap::new(),
            tasks: JoinSet::new(),
            links: 0,
            reports,
            inbox,
        }
    }

    /// Carries out one command, without waiting for anything.
    ///
    /// Every `Connect` ends in one `Unreachable` or `Lost`, also after a `Disconnect`. The exception is a link that
    /// another `Connect` replaces: it is closed and not heard any more. A `Send` without a link is dropped, as the
    /// link's end is already among the events.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn obey(&mut self, command: LinkCommand) {
        while self.tasks.try_join_next().is_some() {}
        match command {
            LinkCommand::Connect { endpoint, application_id } => self.connect(endpoint, application_id),
            LinkCommand::Send { endpoint, nonce, payload } => {
                let order = Order { nonce, payload };
                let link = self.open.get(&endpoint).filter(|link| link.staying.is_some());
                let sent = link.is_some_and(|link| link.orders.send(order).is_ok());
                if !sent && endpoint != Endpoint::terminal() {
                    tracing::debug!(endpoint = %endpoint.0, nonce, "no link to send over");
                }
            }
            LinkCommand::Disconnect { endpoint } => {
                if let Some(link) = self.open.get_mut(&endpoint) {
                    link.staying = None;
                }
            }
        }
    }

    /// Waits for the next event. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> (Endpoint, LinkEvent) {
        loop {
            let Some(Report { endpoint, number, word }) = self.inbox.recv().await else {
                return pending().await;
            };
            let event = match word {
                Word::Event(event) => event,
                Word::Peer(peer) => match self.peers.insert(endpoint.clone(), peer) {
                    Some(before) if before != peer => return (endpoint, LinkEvent::Restarted),
                    _ => continue,
                },
            };
            if self.open.get(&endpoint).is_none_or(|link| link.number != number) {
                continue;
            }
            if matches!(event, LinkEvent::Unreachable { .. } | LinkEvent::Lost(_)) {
                self.open.remove(&endpoint);
            }
            return (endpoint, event);
        }
    }

    /// Finds out, without a connection, whether another process listens there than before; if so, that is the next event.
    pub fn find_peer(&mut self, endpoint: Endpoint) {
        let reports = self.reports.clone();
        self.tasks.spawn_blocking(move || {
            if let Some(peer) = process::who_listens(Path::new(&endpoint.0)) {
                drop(reports.send(Report { endpoint, number: 0, word: Word::Peer(peer) }));
            }
        });
    }

    /// Closes every link without further events, and is back within `deadline` whatever the other ends do.
    pub async fn close_all(&mut self, deadline: Duration) {
        self.open.clear();
        let all_gone = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(deadline, all_gone).await.is_err() {
            self.tasks.abort_all();
        }
    }

    fn connect(&mut self, endpoint: Endpoint, application_id: String) {
        self.links = self.links.saturating_add(1);
        let number = self.links;
        let (orders, inbox) = mpsc::unbounded_channel();
        let (staying, closing) = oneshot::channel();
        let report = {
            let (reports, from) = (self.reports.clone(), endpoint.clone());
            // Nobody listens any more only when all of Links is being dropped.
            move |word| drop(reports.send(Report { endpoint: from.clone(), number, word }))
        };
        let tell_peer = report.clone();
        let link = LinkTask {
            endpoint: endpoint.clone(),
            application_id,
            deadlines: self.deadlines,
            orders: inbox,
            report: move |event| report(Word::Event(event)),
            tell_peer: move |peer| tell_peer(Word::Peer(peer)),
            opened: false,
        };
        let broken = Broken { endpoint: endpoint.clone(), number, reports: self.reports.clone() };
        self.tasks.spawn(async move {
            let _broken = broken;
            link.run(closing).await;
        });
        self.open.insert(endpoint, Handle { number, orders, staying: Some(staying) });
    }
}
