//! Runs each remote's command once, as the daemon does, until its hello has come.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control::client::block_on;
use crate::core::doctor::remotes::RemoteFacts;
use crate::core::remote::{Ending, Link, RemoteState};
use crate::core::settings::Remote;
use crate::error::Failure;
use crate::host::remotes::process::{Process, ProcessEvent};
use crate::io::clock;

/// How long the hello may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long its command may take to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// The result for each remote, in the order of the settings.
///
/// # Errors
/// The system refused something basic.
pub(super) fn tried(remotes: &[Remote]) -> Result<Vec<RemoteFacts>, Failure> {
    let enabled: Vec<Remote> = remotes.iter().filter(|remote| remote.enabled).cloned().collect();
    if enabled.is_empty() {
        return Ok(Vec::new());
    }
    block_on(async {
        let mut trying: JoinSet<(usize, RemoteFacts)> = JoinSet::new();
        for (place, remote) in enabled.into_iter().enumerate() {
            trying.spawn(async move { (place, one(&remote).await) });
        }
        let mut found = trying.join_all().await;
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, facts)| facts).collect()
    })
}

async fn one(remote: &Remote) -> RemoteFacts {
    let mut link = Link::new(&remote.name, &remote.command, 0);
    link.tick(clock::now());
    let (sender, mut messages) = mpsc::channel(1);
    match Process::start(&remote.command, 0, sender) {
        Ok(process) => {
            let hearing = async {
                while let Some(message) = messages.recv().await {
                    let now = clock::now();
                    match message.event {
                        ProcessEvent::Line(line) => drop(link.line(now, &line, &mut |_| {})),
                        ProcessEvent::Endless => drop(link.endless(now)),
                        ProcessEvent::Slowed => {}
                        ProcessEvent::Ended(ending) => link.ended(now, &ending),
                    }
                    if link.report().state != RemoteState::Connecting {
                        return;
                    }
                }
            };
            // There may be no hello at all.
            let _ = timeout(TIMEOUT, hearing).await;
            // A command that does not end is killed with this process.
            let _ = timeout(FAREWELL, process.end()).await;
        }
        Err(error) => {
            let not_started = Some(error.to_string());
            link.ended(clock::now(), &Ending { not_started, ..Ending::default() });
        }
    }
    RemoteFacts { report: link.report(), apart: link.fold.clock_difference() }
}
