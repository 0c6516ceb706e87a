//! Reads the limits that agents store themselves, on threads of their own: the disk of a home may be slow.
//!
//! The file is watched by itself, not through the user's home folder.
//! Read next: [`crate::io::statusline::cached`], for what is in it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::core::source_event::SourceEvent;
use crate::io::clock;
use crate::io::fs_watch::{Pace, Watch};
use crate::io::statusline::cached::{CacheFile, READ_EVERY, stamp};

/// The file is replaced, not written to.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(50),
    at_most: Duration::from_millis(50),
    look_every: Duration::from_secs(30),
};

/// The files, each followed by a task. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub(super) struct Cached {
    again: Vec<Arc<Notify>>,
    read: mpsc::Receiver<Vec<SourceEvent>>,
    _tasks: JoinSet<()>,
}

impl Cached {
    /// Begins with a reading of what is stored.
    pub(super) fn follow(files: Vec<CacheFile>) -> Self {
        let (sender, read) = mpsc::channel(1);
        let (mut again, mut tasks) = (Vec::new(), JoinSet::new());
        for file in files {
            let look = Arc::new(Notify::new());
            again.push(Arc::clone(&look));
            tasks.spawn(follow(file, look, sender.clone()));
        }
        Self { again, read, _tasks: tasks }
    }

    /// Reads again soon: a missing file may exist now, which no event reports.
    pub(super) fn look_again(&self) {
        self.again.iter().for_each(|again| again.notify_one());
    }

    /// What is new in any of them. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<SourceEvent> {
        match self.read.recv().await {
            Some(read) => read,
            None => std::future::pending().await,
        }
    }
}

/// Sends what is in `file` when that has changed, at most once in [`READ_EVERY`].
async fn follow(file: CacheFile, again: Arc<Notify>, sender: mpsc::Sender<Vec<SourceEvent>>) {
    let file = Arc::new(file);
    let mut watch = Watch::new("limits that an agent keeps", PACE, |_| true);
    let mut known = None;
    let mut read_at: Option<Instant> = None;
    watch.look_by(Instant::now());
    loop {
        let is_missing = known.is_none();
        tokio::select! {
            () = watch.wait() => {}
            () = again.notified(), if is_missing => {}
        }
        if let Some(at) = read_at.map(|at| at + READ_EVERY).filter(|at| *at > Instant::now()) {
            watch.look_by(at);
            continue;
        }
        let (sent, done) = oneshot::channel();
        let file = Arc::clone(&file);
        let look = move || {
            let stamp = stamp(&file.path);
            let is_new = stamp != known;
            let mut read = Vec::new();
            if is_new {
                // The old watch went with the old file.
                watch.renew(&file.path);
                read = file.read(clock::now());
            }
            // The receiver is gone after a change of homes.
            let _ = sent.send((watch, stamp, is_new, read));
        };
        // If the system starts no thread, the file is not followed.
        let _ = thread::Builder::new().name("limits".to_owned()).spawn(look);
        let Ok((back, stamp, is_new, read)) = done.await else { return };
        (watch, known) = (back, stamp);
        if is_new {
            read_at = Some(Instant::now());
        }
        if !read.is_empty() && sender.send(read).await.is_err() {
            return;
        }
    }
}
