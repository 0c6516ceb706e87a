//! The links to other machines: starts, reads and ends the command of each `[[remote]]`.
//!
//! [`Link`] decides when and why, and its fold reads the lines. Read next: `process`, one running command.

pub(crate) mod process;

use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc;

use self::process::{Process, ProcessEvent, ProcessMessage};
use super::until;
use crate::core::engine::Input;
use crate::core::remote::{
    Command, Ending, Link, RemoteHandover, RemoteReport, RemoteState, takes_arguments,
};
use crate::core::settings::Remote;
use crate::core::source_event::SourceEvent;
use crate::core::time::Now;
use crate::io::clock;

/// How many lines of all remotes may wait for the loop; then no more are read.
const INBOX: usize = 64;

/// How many lines make one decision.
const TOGETHER: usize = 32;

/// The distance between the session numbers of two remotes.
const FILES: u64 = 1 << 32;

/// The enabled remotes. Belongs inside a tokio runtime.
pub struct Remotes {
    remotes: Vec<Running>,
    messages: mpsc::Receiver<ProcessMessage>,
    sender: mpsc::Sender<ProcessMessage>,
    /// How many commands were started.
    started: u64,
    /// How many remotes there have been.
    met: u64,
    /// Inputs that wait to be returned.
    ready: Vec<Input>,
}

struct Running {
    remote: Remote,
    link: Link,
    /// The command, with the number of its start.
    process: Option<(u64, Process)>,
    /// The report that was logged last.
    logged: RemoteReport,
}

impl Default for Remotes {
    /// No remotes.
    fn default() -> Self {
        let (sender, messages) = mpsc::channel(INBOX);
        Self { remotes: Vec::new(), messages, sender, started: 0, met: 0, ready: Vec::new() }
    }
}

impl Remotes {
    /// Starts these remotes, each where an earlier daemon ended.
    pub fn start(remotes: &[Remote], left: Vec<RemoteHandover>) -> Self {
        let mut this = Self::default();
        this.follow(remotes, left);
        this
    }

    /// Uses these remotes from now on.
    pub fn follow(&mut self, remotes: &[Remote], mut left: Vec<RemoteHandover>) {
        let now = clock::now();
        let wanted = |remote: &Remote| remote.enabled && remotes.contains(remote);
        let before = std::mem::take(&mut self.remotes);
        let (stays, goes): (Vec<_>, Vec<_>) = before.into_iter().partition(|running| wanted(&running.remote));
        self.remotes = stays;
        for running in goes {
            tracing::info!("{}: removed from the settings; stopped", running.remote.name);
            // Dropping it ends its command.
            let ready = &mut self.ready;
            running.link.fold.leave_all(&mut |event| ready.push(Input::Source(event)));
        }
        for running in &mut self.remotes {
            running.link.hurry(now);
        }
        for remote in remotes.iter().filter(|remote| remote.enabled) {
            if self.remotes.iter().any(|running| running.remote == *remote) {
                continue;
            }
            self.met += 1;
            let mut link = Link::new(&remote.name, &remote.command, self.met * FILES);
            if let Some(at) = left.iter().position(|left| left.name == remote.name) {
                let ready = &mut self.ready;
                link.fold.resume(left.swap_remove(at), &mut |event| ready.push(Input::Source(event)));
            }
            let logged = link.report();
            self.remotes.push(Running { remote: remote.clone(), link, process: None, logged });
        }
        self.ready.push(Input::Remotes);
    }

    /// The inputs that are ready.
    pub fn ready(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.ready)
    }

    /// The next inputs. Cancel safe.
    pub async fn next(&mut self) -> Vec<Input> {
        loop {
            if !self.ready.is_empty() {
                return std::mem::take(&mut self.ready);
            }
            let due = self.remotes.iter().map(|running| running.link.deadline()).min();
            let messages = async {
                match self.messages.recv().await {
                    Some(messages) => messages,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                messages = messages => {
                    let now = clock::now();
                    self.take(now, messages);
                    for _ in 1..TOGETHER {
                        let Ok(more) = self.messages.try_recv() else { break };
                        self.take(now, more);
                    }
                }
                () = until(due) => self.tick(clock::now()),
            }
            self.log_changes();
        }
    }

    /// The state of each remote.
    pub fn reports(&self) -> Vec<RemoteReport> {
        self.remotes.iter().map(|running| running.link.report()).collect()
    }

    /// The machine slept, or a clock was set.
    pub fn woke(&mut self) {
        let now = clock::now();
        for running in &mut self.remotes {
            if running.link.woke(now) == Some(Command::Stop) {
                running.process = None;
            }
        }
    }

    /// The state for the next daemon.
    pub fn leave(&self) -> Vec<RemoteHandover> {
        self.remotes.iter().map(|running| running.link.fold.leave()).collect()
    }

    /// Ends every command, with up to `deadline` to end by itself.
    pub async fn close(self, deadline: Duration) {
        let ending = self.remotes.into_iter().filter_map(|running| running.process);
        let ending: Vec<_> = ending.map(|(_, process)| process.end()).collect();
        let all = async {
            for task in ending {
                // A cancelled task is fine.
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(deadline, all).await;
    }

    fn take(&mut self, now: Now, ProcessMessage { start, event }: ProcessMessage) {
        let is_it = |running: &&mut Running| running.process.as_ref().is_some_and(|(of, _)| *of == start);
        // Messages of a command that was ended are ignored.
        let Some(running) = self.remotes.iter_mut().find(is_it) else { return };
        let ready = &mut self.ready;
        let mut tell = |event: SourceEvent| ready.push(Input::Source(event));
        let command = match event {
            ProcessEvent::Line(line) => running.link.line(now, &line, &mut tell),
            ProcessEvent::Slowed => {
                running.link.slowed();
                None
            }
            ProcessEvent::Endless => Some(running.link.endless(now)),
            ProcessEvent::Ended(ending) => {
                running.link.ended(now, &ending);
                Some(Command::Stop)
            }
        };
        if command == Some(Command::Stop) {
            running.process = None;
        }
    }

    fn tick(&mut self, now: Now) {
        for running in &mut self.remotes {
            match running.link.tick(now) {
                Some(Command::Start(since)) => {
                    self.started += 1;
                    let mut command = running.remote.command.clone();
                    if let Some(since) = since.filter(|_| takes_arguments(&command)) {
                        command.extend(["--since".to_owned(), since.to_string()]);
                    }
                    match Process::start(&command, self.started, self.sender.clone()) {
                        Ok(process) => running.process = Some((self.started, process)),
                        Err(error) => {
                            let not_started = Some(error.to_string());
                            running.link.ended(now, &Ending { not_started, ..Ending::default() });
                        }
                    }
                }
                Some(Command::Stop) => running.process = None,
                None => {}
            }
        }
    }

    /// Logs changes of links.
    fn log_changes(&mut self) {
        for running in &mut self.remotes {
            let report = RemoteReport { last_heard_at: None, ..running.link.report() };
            if report == running.logged {
                continue;
            }
            let RemoteReport { name, state, last_error, .. } = &report;
            match (state, last_error) {
                (RemoteState::Connecting, _) => tracing::debug!("{name}: {state}"),
                (RemoteState::Rejected, Some(why)) => tracing::warn!("{name}: {state}: {why}"),
                (state, Some(why)) => tracing::info!("{name}: {state}: {why}"),
                (state, None) => tracing::info!("{name}: {state}"),
            }
            running.logged = report;
            self.ready.push(Input::Remotes);
        }
    }
}
