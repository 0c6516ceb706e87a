//! The links to other machines: each `[[remote]]`'s command is started, heard and ended here.
//!
//! When and why is decided in [`Link`], what the lines mean in its fold. Read next: `process`, one running command.

pub(crate) mod process;

use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc;

use self::process::{Heard, Process, What};
use super::until;
use crate::core::engine::Input;
use crate::core::remote::{Command, Ending, Left, Link, RemoteReport, RemoteState, takes_arguments};
use crate::core::settings::Remote;
use crate::core::source_event::SourceEvent;
use crate::core::time::Now;
use crate::io::clock;

/// Lines of all of them that wait for the loop; then nothing more is read.
const INBOX: usize = 64;

/// Lines that are one decision.
const TOGETHER: usize = 32;

/// The ids of the sessions of one remote are so far from those of the next.
const FILES: u64 = 1 << 32;

/// Every remote that is listened to. Belongs inside a tokio runtime.
pub struct Remotes {
    remotes: Vec<Running>,
    heard: mpsc::Receiver<Heard>,
    sender: mpsc::Sender<Heard>,
    /// How many commands were started.
    started: u64,
    /// How many remotes there were.
    met: u64,
    /// What is to be handed in.
    ready: Vec<Input>,
}

struct Running {
    remote: Remote,
    link: Link,
    /// The command, with the number of its start.
    process: Option<(u64, Process)>,
    /// As it was told last.
    told: RemoteReport,
}

impl Default for Remotes {
    /// None is listened to.
    fn default() -> Self {
        let (sender, heard) = mpsc::channel(INBOX);
        Self { remotes: Vec::new(), heard, sender, started: 0, met: 0, ready: Vec::new() }
    }
}

impl Remotes {
    /// Begins to listen to these, each where an earlier daemon left off.
    pub fn start(remotes: &[Remote], left: Vec<Left>) -> Self {
        let mut this = Self::default();
        this.follow(remotes, left);
        this
    }

    /// Listens to these from now on.
    pub fn follow(&mut self, remotes: &[Remote], mut left: Vec<Left>) {
        let now = clock::now();
        let wanted = |remote: &Remote| remote.enabled && remotes.contains(remote);
        let before = std::mem::take(&mut self.remotes);
        let (stays, goes): (Vec<_>, Vec<_>) = before.into_iter().partition(|running| wanted(&running.remote));
        self.remotes = stays;
        for running in goes {
            tracing::info!("{}: not listened to any more", running.remote.name);
            // Its command ends with it.
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
            let told = link.report();
            self.remotes.push(Running { remote: remote.clone(), link, process: None, told });
        }
        self.ready.push(Input::Remotes);
    }

    /// What is to be handed in already.
    pub fn ready(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.ready)
    }

    /// What comes next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Vec<Input> {
        loop {
            if !self.ready.is_empty() {
                return std::mem::take(&mut self.ready);
            }
            let due = self.remotes.iter().map(|running| running.link.deadline()).min();
            let heard = async {
                match self.heard.recv().await {
                    Some(heard) => heard,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                heard = heard => {
                    let now = clock::now();
                    self.take(now, heard);
                    for _ in 1..TOGETHER {
                        let Ok(more) = self.heard.try_recv() else { break };
                        self.take(now, more);
                    }
                }
                () = until(due) => self.tick(clock::now()),
            }
            self.look();
        }
    }

    /// How each stands.
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

    /// For the next daemon.
    pub fn leave(&self) -> Vec<Left> {
        self.remotes.iter().map(|running| running.link.fold.leave()).collect()
    }

    /// Ends every command, and gives each so long to do so itself.
    pub async fn close(self, deadline: Duration) {
        let ending = self.remotes.into_iter().filter_map(|running| running.process);
        let ending: Vec<_> = ending.map(|(_, process)| process.end()).collect();
        let all = async {
            for task in ending {
                // It was cut off, which is as good.
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(deadline, all).await;
    }

    fn take(&mut self, now: Now, Heard { start, what }: Heard) {
        let is_it = |running: &&mut Running| running.process.as_ref().is_some_and(|(of, _)| *of == start);
        // Of a command that was ended nothing is of interest any more.
        let Some(running) = self.remotes.iter_mut().find(is_it) else { return };
        let ready = &mut self.ready;
        let mut tell = |event: SourceEvent| ready.push(Input::Source(event));
        let command = match what {
            What::Line(line) => running.link.line(now, &line, &mut tell),
            What::Slowed => {
                running.link.slowed();
                None
            }
            What::Endless => Some(running.link.endless(now)),
            What::Ended(ending) => {
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

    /// Tells what became of a link.
    fn look(&mut self) {
        for running in &mut self.remotes {
            let report = RemoteReport { last_heard_at: None, ..running.link.report() };
            if report == running.told {
                continue;
            }
            let RemoteReport { name, state, last_error, .. } = &report;
            match (state, last_error) {
                (RemoteState::Connecting, _) => tracing::debug!("{name}: {state}"),
                (RemoteState::Rejected, Some(why)) => tracing::warn!("{name}: {state}: {why}"),
                (state, Some(why)) => tracing::info!("{name}: {state}: {why}"),
                (state, None) => tracing::info!("{name}: {state}"),
            }
            running.told = report;
            self.ready.push(Input::Remotes);
        }
    }
}
