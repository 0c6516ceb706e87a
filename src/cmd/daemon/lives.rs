//! Restarts the daemon's loop after a panic, with a growing pause.
//!
//! The instance lock is held all the time. What the next life knows is what a start knows: session files, settings and
//! the state folder. Read next: [`crate::cmd::daemon::run`], which is one life.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::io::signals::Signals;

/// Before the second life: what the first one spent of Discord's patience is forgotten, and by then forgiven.
const FIRST_WAIT: Duration = Duration::from_secs(61);
/// Each further wait is twice as long, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Lives until a life ends by itself, and says how it ended. `None`: asked to end between two lives, which is what
/// `wait` says by `false`.
pub async fn live<T>(
    mut life: impl AsyncFnMut() -> T,
    mut wait: impl AsyncFnMut(Duration) -> bool,
) -> Option<T> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let end = {
            let mut life = pin!(life());
            poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(context))) {
                Ok(poll) => poll.map(Some),
                // What was wrong has been said by the panic hook.
                Err(_) => Poll::Ready(None),
            })
            .await
        };
        if end.is_some() {
            return end;
        }
        let between = backoff.fail();
        tracing::error!("the daemon broke off; starting again in {between:?}");
        if !wait(between).await {
            return None;
        }
    }
}

/// Waits, and says whether nobody asked for the end meanwhile. Belongs inside a tokio runtime.
pub async fn unless_asked_to_end(wait: Duration) -> bool {
    match Signals::new() {
        Ok(mut signals) => tokio::select! {
            () = signals.next() => false,
            () = tokio::time::sleep(wait) => true,
        },
        Err(_) => {
            tokio::time::sleep(wait).await;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives that break off `defects` times, with a wait that is over at once; all waits in seconds.
    fn lived(defects: u32, patience: u32) -> (Option<u32>, Vec<u64>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut lives, mut waits) = (0, Vec::new());
        let life = async || {
            tokio::task::yield_now().await;
            lives += 1;
            assert!(lives > defects, "a defect");
            lives
        };
        let wait = async |wait: Duration| {
            waits.push(wait.as_secs());
            waits.len() <= patience as usize
        };
        (runtime.block_on(live(life, wait)), waits)
    }

    #[test]
    fn a_life_that_breaks_off_is_followed_by_another() {
        assert_eq!(lived(0, 9), (Some(1), vec![]));
        assert_eq!(lived(6, 9), (Some(7), vec![61, 122, 244, 488, 600, 600]));
    }

    #[test]
    fn between_two_lives_it_can_be_ended() {
        assert_eq!(lived(9, 1), (None, vec![61, 122]));
    }
}
