//! Looks up folders on another thread: a file system that does not answer must not delay the loop.
//!
//! Read next: [`crate::io::real_path`], the lookup itself.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::core::privacy::{FolderAnswer, FolderQuestion};
use crate::io::real_path;

/// How long a lookup may take. After that the folder counts as unknown.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many lookups may hang at once; then no more are started until one returns.
const MOST_HANGING: usize = 4;

/// The current lookup. Belongs inside a tokio runtime.
#[derive(Debug, Default)]
pub struct FolderLookup {
    running: Option<Running>,
    /// Each running lookup holds a clone.
    running_lookups: Arc<()>,
}

#[derive(Debug)]
struct Running {
    until: Instant,
    /// The part of the answer that is known already.
    found: Arc<Mutex<FolderAnswer>>,
    done: oneshot::Receiver<()>,
}

impl FolderLookup {
    /// Starts a lookup. There is one question at a time.
    pub fn ask(&mut self, question: FolderQuestion) {
        let (finished, done) = oneshot::channel();
        let found = Arc::new(Mutex::new(question.unknown()));
        if Arc::strong_count(&self.running_lookups) <= MOST_HANGING {
            let (found, running_lookups) = (Arc::clone(&found), Arc::clone(&self.running_lookups));
            let look = move || {
                real_path::locate_in_parts(&question, |learn| learn(&mut lock(&found)));
                // After the deadline the result is not waited for.
                let _ = finished.send(());
                drop(running_lookups);
            };
            // Without a thread the folder stays unknown.
            let _ = thread::Builder::new().name("folders".to_owned()).spawn(look);
        }
        self.running = Some(Running { until: Instant::now() + TIMEOUT, found, done });
    }

    /// The answer. Cancel safe.
    pub async fn next(&mut self) -> FolderAnswer {
        let Some(running) = &mut self.running else { return pending().await };
        let done = timeout_at(running.until, &mut running.done).await;
        if !matches!(done, Ok(Ok(()))) {
            tracing::warn!("could not find out in time where the folders of sessions lead");
        }
        let found = self.running.take().map(|running| lock(&running.found).clone());
        found.unwrap_or_default()
    }
}

fn lock(found: &Mutex<FolderAnswer>) -> MutexGuard<'_, FolderAnswer> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}
