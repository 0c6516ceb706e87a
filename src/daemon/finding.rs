//! Asks the machine about folders beside the loop: a file system that does not answer must not hold that up.
//!
//! Read next: [`crate::real_path`], which looks.

use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::core::privacy::{Answer, Question};
use crate::real_path;

/// How long the machine may take. Then it counts as not to be found out.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many looks may hang at once; after that nobody looks until one comes back.
const HANGING: usize = 4;

/// The look at hand. Belongs inside a tokio runtime.
#[derive(Debug, Default)]
pub(super) struct Finding {
    underway: Option<Underway>,
    /// Each look holds one more of it.
    looks: Arc<()>,
}

#[derive(Debug)]
struct Underway {
    question: Question,
    until: Instant,
    found: oneshot::Receiver<Answer>,
}

impl Finding {
    /// Begins to look. There is one question at a time.
    pub(super) fn ask(&mut self, question: Question) {
        let (answer, found) = oneshot::channel();
        if Arc::strong_count(&self.looks) <= HANGING {
            let (asked, looks) = (question.clone(), Arc::clone(&self.looks));
            let look = move || {
                // Nobody waits any longer for what comes too late.
                let _ = answer.send(real_path::locate(&asked));
                drop(looks);
            };
            // Where there is no thread to be had, nothing is found out.
            let _ = thread::Builder::new().name("folders".to_owned()).spawn(look);
        }
        self.underway = Some(Underway { question, until: Instant::now() + PATIENCE, found });
    }

    /// The answer. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Answer {
        let Some(underway) = &mut self.underway else { return pending().await };
        let found = timeout_at(underway.until, &mut underway.found).await;
        let question = self.underway.take().map(|underway| underway.question).unwrap_or_default();
        found.ok().and_then(Result::ok).unwrap_or_else(|| {
            tracing::warn!("could not find out in time where the folders of sessions lead");
            question.unknown()
        })
    }
}
