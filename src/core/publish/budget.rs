//! Rate budgets: how often something may happen, and a form of them that the next daemon takes over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// At most `limit` uses in any half-open span of time.
///
/// Stores for each use the time at which it no longer counts. That time is never before the clock's origin, unlike
/// the time of a use in an earlier daemon.
#[derive(Debug, Clone)]
pub(super) struct Window {
    limit: usize,
    span: Duration,
    /// The newest `limit` uses, oldest first: no older use can be what the next one waits for.
    free_again: VecDeque<Duration>,
}

impl Window {
    pub(super) fn new(limit: usize, span: Duration) -> Self {
        Self { limit, span, free_again: VecDeque::with_capacity(limit) }
    }

    /// Counts one use at `now`.
    pub(super) fn spend(&mut self, now: Duration) {
        self.push(now.saturating_add(self.span));
    }

    /// The time from which one more use is allowed.
    pub(super) fn free_at(&self) -> Duration {
        let full = self.free_again.len() >= self.limit;
        self.free_again.front().filter(|_| full).copied().unwrap_or_default()
    }

    /// `interval` after the newest use; zero without a use.
    pub(super) fn after_last(&self, interval: Duration) -> Duration {
        let last = self.free_again.back();
        last.map_or(Duration::ZERO, |&free| free.saturating_add(interval).saturating_sub(self.span))
    }

    /// Whether no use counts any more.
    pub(super) fn is_unspent(&self, now: Duration) -> bool {
        self.free_again.iter().all(|&free| free <= now)
    }

    fn ages(&self, now: Duration) -> Vec<u64> {
        let age = |&free: &Duration| (now.saturating_add(self.span)).saturating_sub(free);
        self.free_again.iter().map(|free| u64::try_from(age(free).as_millis()).unwrap_or(u64::MAX)).collect()
    }

    fn restore(&mut self, now: Duration, ages: &[u64]) {
        let mut ages = ages.to_vec();
        ages.sort_unstable_by(|left, right| right.cmp(left));
        for age in ages {
            self.push(now.saturating_add(self.span).saturating_sub(Duration::from_millis(age)));
        }
    }

    fn push(&mut self, free_again: Duration) {
        if self.free_again.len() >= self.limit {
            self.free_again.pop_front();
        }
        self.free_again.push_back(free_again);
    }
}

/// What was spent per endpoint, for a handover: a new daemon must not count from zero.
///
/// Times are ages, because the two daemons' clocks have different origins. The duration of the handover is not
/// included, so the successor waits slightly too long, never too short.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Budget {
    pub(super) endpoints: BTreeMap<String, Spent>,
}

/// What was spent on one endpoint, as ages in milliseconds, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Spent {
    changes_ms: Vec<u64>,
    connections_ms: Vec<u64>,
}

impl Spent {
    pub(super) fn of(now: Duration, changes: &Window, connections: &Window) -> Self {
        Self { changes_ms: changes.ages(now), connections_ms: connections.ages(now) }
    }

    pub(super) fn restore(&self, now: Duration, changes: &mut Window, connections: &mut Window) {
        changes.restore(now, &self.changes_ms);
        connections.restore(now, &self.connections_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_oldest_of_a_full_window_decides() {
        let mut window = Window::new(2, s(61));
        assert_eq!(window.free_at(), s(0));
        window.spend(s(10));
        assert_eq!(window.free_at(), s(0));
        window.spend(s(20));
        assert_eq!(window.free_at(), s(71));
        window.spend(s(30));
        assert_eq!(window.free_at(), s(81), "a use beyond the limit counts as well");
        assert_eq!(window.after_last(s(5)), s(35));
    }

    #[test]
    fn ages_survive_a_clock_with_a_later_origin() {
        let mut old = Window::new(4, s(21));
        old.spend(s(1000));
        old.spend(s(1010));
        let mut new = Window::new(2, s(21));
        new.restore(s(1), &old.ages(s(1015)));
        assert_eq!(new.free_at(), s(7), "15 s old of 21 s");
        assert_eq!(new.after_last(s(15)), s(11), "5 s old of 15 s");
        assert!(!new.is_unspent(s(16)));
        assert!(new.is_unspent(s(17)));
    }

    #[test]
    fn a_record_from_another_version_is_read_as_far_as_it_goes() {
        let budget: Budget = serde_json::from_str(r#"{"/x": {"connections_ms": [5], "new": 1}}"#).unwrap();
        assert_eq!(budget.endpoints["/x"], Spent { changes_ms: vec![], connections_ms: vec![5] });
    }
}
