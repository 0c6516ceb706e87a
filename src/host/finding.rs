//! Asks the machine about folders beside the loop: a file system that does not answer must not hold that up.
//!
//! Read next: [`crate::io::real_path`], which looks.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::core::privacy::{Answer, Question};
use crate::io::real_path;

/// How long the machine may take. Then it counts as not to be found out.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many looks may hang at once; after that nobody looks until one comes back.
const HANGING: usize = 4;

/// The look at hand. Belongs inside a tokio runtime.
#[derive(Debug, Default)]
pub struct Finding {
    underway: Option<Underway>,
    /// Each look holds one more of it.
    looks: Arc<()>,
}

#[derive(Debug)]
struct Underway {
    until: Instant,
    /// What is found already.
    found: Arc<Mutex<Answer>>,
    done: oneshot::Receiver<()>,
}

impl Finding {
    /// Begins to look. There is one question at a time.
    pub fn ask(&mut self, question: Question) {
        let (finished, done) = oneshot::channel();
        let found = Arc::new(Mutex::new(question.unknown()));
        if Arc::strong_count(&self.looks) <= HANGING {
            let (found, looks) = (Arc::clone(&found), Arc::clone(&self.looks));
            let look = move || {
                real_path::locate_bit_by_bit(&question, |learn| learn(&mut lock(&found)));
                // Nobody waits any longer for what comes too late.
                let _ = finished.send(());
                drop(looks);
            };
            // Where there is no thread to be had, nothing is found out.
            let _ = thread::Builder::new().name("folders".to_owned()).spawn(look);
        }
        self.underway = Some(Underway { until: Instant::now() + PATIENCE, found, done });
    }

    /// The answer. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Answer {
        let Some(underway) = &mut self.underway else { return pending().await };
        let done = timeout_at(underway.until, &mut underway.done).await;
        if !matches!(done, Ok(Ok(()))) {
            tracing::warn!("could not find out in time where the folders of sessions lead");
        }
        let found = self.underway.take().map(|underway| lock(&underway.found).clone());
        found.unwrap_or_default()
    }
}

fn lock(found: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}
