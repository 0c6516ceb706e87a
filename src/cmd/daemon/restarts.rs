//! Restarts the daemon's loop after a panic, with a growing pause.
//!
//! The instance lock is held all the time. A restart begins like a start, with the session files, the settings and the
//! state folder. Read next: [`crate::cmd::daemon::run`], which is the loop.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::io::signals::Signals;

/// Before the first restart. The restarted loop does not know how much of Discord's rate limit is spent; after this
/// time the limit has expired.
const FIRST_WAIT: Duration = Duration::from_secs(61);
/// Each further wait is twice as long, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Runs `attempt`, and again after each panic, until it ends by itself; returns its result. `None` if the program was
/// asked to end during a pause, which is when `wait` returns false.
pub async fn run<T>(
    mut attempt: impl AsyncFnMut() -> T,
    mut wait: impl AsyncFnMut(Duration) -> bool,
) -> Option<T> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let end = {
            let mut attempt = pin!(attempt());
            poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context))) {
                Ok(poll) => poll.map(Some),
                // The panic hook has logged the cause.
                Err(_) => Poll::Ready(None),
            })
            .await
        };
        if end.is_some() {
            return end;
        }
        let between = backoff.fail();
        tracing::error!("the daemon stopped by an internal error; restarting in {between:?}");
        if !wait(between).await {
            return None;
        }
    }
}

/// Waits; false if a signal asked for the end meanwhile. Belongs inside a tokio runtime.
pub async fn pause(wait: Duration) -> bool {
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

    /// Runs a loop that panics `panics` times, with pauses that end at once; returns the result and all pauses in
    /// seconds.
    fn restarted(panics: u32, patience: u32) -> (Option<u32>, Vec<u64>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut runs, mut waits) = (0, Vec::new());
        let attempt = async || {
            tokio::task::yield_now().await;
            runs += 1;
            assert!(runs > panics, "an internal error");
            runs
        };
        let wait = async |wait: Duration| {
            waits.push(wait.as_secs());
            waits.len() <= patience as usize
        };
        (runtime.block_on(run(attempt, wait)), waits)
    }

    #[test]
    fn each_panic_is_followed_by_a_restart_after_a_longer_pause() {
        assert_eq!(restarted(0, 9), (Some(1), vec![]));
        assert_eq!(restarted(6, 9), (Some(7), vec![61, 122, 244, 488, 600, 600]));
    }

    #[test]
    fn a_signal_during_a_pause_ends_the_program() {
        assert_eq!(restarted(9, 1), (None, vec![61, 122]));
    }
}
