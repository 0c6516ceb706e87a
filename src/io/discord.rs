//! The links to running Discord clients: finding them, connecting, sending, and reading their answers.
//!
//! Carries out [`LinkCommand`]s and reports [`LinkEvent`]s; [`crate::core::publish`] decides when to connect, what to
//! send and whether to try again. Each link is a task of its own, so none can delay another.
//! Read next: `link.rs`, one connection; [`endpoints`] and [`watcher`], where the clients are.

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
use self::link::{LinkTask, QueuedPayload};
use crate::core::publish::{Endpoint, LinkCommand, LinkEvent, Loss};
use crate::io::process;

/// All links. Belongs inside a tokio runtime; dropping it drops every connection.
#[derive(Debug)]
pub struct Links {
    deadlines: Deadlines,
    open: BTreeMap<Endpoint, Handle>,
    /// The processes that listened there at the last check.
    peers: BTreeMap<Endpoint, u32>,
    tasks: JoinSet<()>,
    /// How many links there have been; numbers them.
    links: u64,
    reports: mpsc::UnboundedSender<Report>,
    inbox: mpsc::UnboundedReceiver<Report>,
}

/// This side of a link; dropping it closes the link.
#[derive(Debug)]
struct Handle {
    number: u64,
    queue: mpsc::UnboundedSender<QueuedPayload>,
    /// `None` after a `Disconnect`; events until the close are still reported.
    staying: Option<oneshot::Sender<Infallible>>,
}

/// An event and the number of its link, which may have been replaced meanwhile.
#[derive(Debug)]
struct Report {
    endpoint: Endpoint,
    number: u64,
    content: Content,
}

/// The content of a report.
#[derive(Debug)]
enum Content {
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
            let event = LinkEvent::Lost(Loss::Broken("its task panicked".to_owned()));
            let content = Content::Event(event);
            drop(self.reports.send(Report { endpoint: self.endpoint.clone(), number: self.number, content }));
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

    /// Carries out one command without waiting.
    ///
    /// Every `Connect` ends in one `Unreachable` or `Lost`, also after a `Disconnect`. The exception is a link that
    /// another `Connect` replaces: it is closed without further events. A `Send` without a link is dropped, as the
    /// link's end is already among the events.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn carry_out(&mut self, command: LinkCommand) {
        while self.tasks.try_join_next().is_some() {}
        match command {
            LinkCommand::Connect { endpoint, application_id } => self.connect(endpoint, application_id),
            LinkCommand::Send { endpoint, nonce, payload } => {
                let queued = QueuedPayload { nonce, payload };
                let link = self.open.get(&endpoint).filter(|link| link.staying.is_some());
                let sent = link.is_some_and(|link| link.queue.send(queued).is_ok());
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

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> (Endpoint, LinkEvent) {
        loop {
            let Some(Report { endpoint, number, content }) = self.inbox.recv().await else {
                return pending().await;
            };
            let event = match content {
                Content::Event(event) => event,
                Content::Peer(peer) => match self.peers.insert(endpoint.clone(), peer) {
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

    /// Checks, without a connection, whether another process listens there than before; if so, that is the next event.
    pub fn find_peer(&mut self, endpoint: Endpoint) {
        let reports = self.reports.clone();
        self.tasks.spawn_blocking(move || {
            if let Some(peer) = process::who_listens(Path::new(&endpoint.0)) {
                drop(reports.send(Report { endpoint, number: 0, content: Content::Peer(peer) }));
            }
        });
    }

    /// Closes every link without further events, within `deadline`.
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
        let (queue, inbox) = mpsc::unbounded_channel();
        let (staying, closing) = oneshot::channel();
        let report = {
            let (reports, from) = (self.reports.clone(), endpoint.clone());
            // This fails only while all of `Links` is dropped.
            move |content| drop(reports.send(Report { endpoint: from.clone(), number, content }))
        };
        let report_peer = report.clone();
        let link = LinkTask {
            endpoint: endpoint.clone(),
            application_id,
            deadlines: self.deadlines,
            queue: inbox,
            report: move |event| report(Content::Event(event)),
            report_peer: move |peer| report_peer(Content::Peer(peer)),
            opened: false,
        };
        let broken = Broken { endpoint: endpoint.clone(), number, reports: self.reports.clone() };
        self.tasks.spawn(async move {
            let _broken = broken;
            link.run(closing).await;
        });
        self.open.insert(endpoint, Handle { number, queue, staying: Some(staying) });
    }
}
