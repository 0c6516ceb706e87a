//! How connections to one endpoint ended, and how long to wait before the next attempt.

use std::time::Duration;

use super::codes::{self, INVALID_CLIENT_ID};
use super::notice::{self, Notice};
use super::timing;
use super::wire::{Endpoint, Loss};
use crate::backoff::{Backoff, SplitMix};

/// How a connection, or an attempt, ended.
#[derive(Debug)]
pub(super) enum End {
    Unreachable(String),
    Lost(Loss),
}

/// What to do after an [`End`].
#[derive(Debug)]
pub(super) struct Retry {
    /// How long to wait before the next attempt.
    pub(super) wait: Duration,
    /// The error as a sentence.
    pub(super) error: String,
    /// For the user, unless the attempt before ended in the same way.
    pub(super) notice: Option<Notice>,
}

#[derive(Debug)]
pub(super) struct Retries {
    outcome: Outcome,
    unreachable: Backoff,
    lost: Backoff,
    rejected: Backoff,
}

/// The result of the last attempt, which the user was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    None,
    Up,
    Down,
    Rejected,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self {
            outcome: Outcome::None,
            unreachable: Backoff::new(timing::RETRY_FIRST, timing::RETRY_LAST),
            lost: Backoff::new(timing::RETRY_FIRST, timing::RETRY_LAST),
            rejected: Backoff::new(timing::REJECTED_FIRST, timing::REJECTED_LAST),
        }
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.outcome == Outcome::Rejected
    }

    pub(super) fn became_ready(&mut self) {
        self.outcome = Outcome::Up;
    }

    /// Another process listens at the endpoint now.
    pub(super) fn renewed(&mut self) {
        self.unreachable.reset();
    }

    /// A link ended that was ready for `lived`.
    pub(super) fn was_ready(&mut self, lived: Duration) {
        if lived >= timing::PROVEN_AFTER {
            self.unreachable.reset();
            self.lost.reset();
            self.rejected.reset();
        }
    }

    pub(super) fn ended(&mut self, end: End, endpoint: Endpoint, random: &mut SplitMix) -> Retry {
        let (outcome, wait, error, notice) = match end {
            End::Unreachable(reason) => {
                let reason = notice::one_line(&reason);
                let notice = Notice::Unreachable { endpoint, reason: reason.clone() };
                (Outcome::Down, random.spread(self.unreachable.fail()), reason, notice)
            }
            End::Lost(Loss::Closed { code: INVALID_CLIENT_ID, message }) => {
                let message = notice::one_line(&message);
                let error = codes::rejected(&message);
                (
                    Outcome::Rejected,
                    random.spread(self.rejected.fail()),
                    error,
                    Notice::Rejected { endpoint, message },
                )
            }
            End::Lost(loss) => {
                let reason = notice::lost(&loss);
                let notice = Notice::Lost { endpoint, reason: reason.clone() };
                (Outcome::Down, random.spread(self.lost.fail()), reason, notice)
            }
        };
        let is_change = std::mem::replace(&mut self.outcome, outcome) != outcome;
        Retry { wait, error, notice: is_change.then_some(notice) }
    }
}
