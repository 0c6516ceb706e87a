//! The reports of one source, in their order.
//!
//! Only the reports of one source have a known order. If the next one is lower, or its window ends earlier, the
//! window was reset or the account has changed, and earlier observations are void.
//! Read next: `sources`, which combines several sources.

use std::time::Duration;

use jiff::Timestamp;

use super::pace::earlier_of;
use super::{Reading, Snapshot, Window};
use crate::time::{earlier, elapsed};

/// Resets this close to each other belong to one window.
pub(super) const SAME_RESET: Duration = Duration::from_secs(60);

/// Adds the next report of a file or stream to those that were not passed on yet: one per source, with the first of
/// those it combines. With the earlier state, this is enough to see every fall.
pub fn add_report(reports: &mut Vec<Snapshot>, mut next: Snapshot) {
    if let Some(first) = next.first.take() {
        add_report(reports, *first);
    }
    let Some(known) = reports.iter_mut().find(|report| report.is_of_source(&next)) else {
        return reports.push(next);
    };
    let combined = known.followed_by(&next);
    let first = known.first.take();
    if combined == *known {
        known.first = first;
    } else {
        let before = std::mem::replace(known, combined);
        known.first = first.or_else(|| Some(Box::new(before)));
    }
}

impl Snapshot {
    /// Whether both are reports of one source about one family.
    fn is_of_source(&self, other: &Self) -> bool {
        (&self.family, self.refusal, &self.source_session)
            == (&other.family, other.refusal, &other.source_session)
    }

    /// Whether it comes from the agent's own stored limits, not from a session.
    pub(super) fn is_cached(&self) -> bool {
        self.agent.spec().limits.cached.is_some() && self.source_session.is_none()
    }

    /// Whether it lists every window that exists.
    pub(super) fn is_whole(&self) -> bool {
        self.agent.spec().limits.are_whole
    }

    /// The first known reading of `window`.
    pub(super) fn first_of(&self, window: &Window) -> Reading {
        let own = Reading { at: self.learnt_at(window), used_percent: window.used_percent };
        window.first.filter(|first| first.at <= own.at).unwrap_or(own)
    }

    pub(super) fn find(&self, window: &Window) -> Option<&Window> {
        self.windows.iter().find(|known| known.is_same_as(window))
    }

    /// The source's report after `next`, another one of its own; either may have been observed first.
    pub fn followed_by(&self, next: &Self) -> Self {
        let (before, report) = if next.observed_at < self.observed_at { (next, self) } else { (self, next) };
        let mut combined = Self {
            name: report.name.clone().or_else(|| before.name.clone()),
            plan: report.plan.clone().or_else(|| before.plan.clone()),
            fell_at: before.fell_at.max(report.fell_at),
            first: None,
            ..report.clone()
        };
        if report.windows.is_empty() {
            return combined;
        }
        let fell_since = report.fell_at.is_some_and(|at| at > before.observed_at);
        let repeats =
            |window: &Window| before.find(window).is_some_and(|known| known.has_same_reading(window));
        let names_all = !report.is_whole() || report.windows.len() == before.windows.len();
        if !fell_since && names_all && report.windows.iter().all(repeats) {
            combined.windows.clone_from(&before.windows);
            combined.since = Some(
                before.since.unwrap_or(before.observed_at).min(report.since.unwrap_or(report.observed_at)),
            );
            combined.observed_at = if report.fresh { report.observed_at } else { before.observed_at };
            combined.fresh |= before.fresh;
            combined.since = combined.since.filter(|since| *since < combined.observed_at);
            for window in &mut combined.windows {
                window.first = earlier_of(window.first, report.find(window).and_then(|again| again.first));
            }
            return combined;
        }
        // A terminal is redrawn when a window ends, possibly without a new observation.
        let is_over = |known: &Window| {
            before.expires_at(known).is_some_and(|at| elapsed(report.observed_at, at) <= SAME_RESET)
        };
        let falls = |window: &Window| {
            before.find(window).is_some_and(|known| {
                before.learnt_at(known) <= report.learnt_at(window)
                    && !is_over(known)
                    && window.is_fall_from(known)
            })
        };
        let falls = !fell_since && report.windows.iter().any(falls);
        if falls {
            combined.fell_at = combined.fell_at.max(Some(report.observed_at));
        }
        if !falls && !fell_since {
            for window in &mut combined.windows {
                let known = before.find(window).filter(|known| known.is_before(window));
                window.first = earlier_of(window.first, known.map(|known| before.first_of(known)));
            }
        }
        if !report.is_whole() {
            let absent = before.windows.iter().filter(|known| report.find(known).is_none());
            let learnt = absent.map(|known| (before.learnt_at(known), known));
            let holds = learnt.filter(|(at, _)| combined.fell_at.is_none_or(|fell| *at >= fell));
            let kept = holds.map(|(at, known)| Window { learnt_at: Some(at), ..known.clone() });
            combined.windows.extend(kept.collect::<Vec<_>>());
            combined.sort();
        }
        combined
    }

    /// Moves times after `wall` to `wall`.
    pub fn not_after(&mut self, wall: Timestamp) {
        self.held_before(wall, None);
        if let Some(first) = &mut self.first {
            first.held_before(wall, None);
        }
    }

    /// The same among reports of which some are void: those stay before the fall that voided them.
    pub(super) fn held_before(&mut self, wall: Timestamp, void_before: Option<Timestamp>) {
        let held = |at: Timestamp| match void_before {
            Some(void) if at < void => at.min(earlier(void.min(wall), Duration::from_millis(1))),
            _ => at.min(wall),
        };
        self.since = self.since.map(held);
        self.fell_at = self.fell_at.map(held);
        for window in &mut self.windows {
            window.learnt_at = window.learnt_at.map(held);
            window.first = window.first.map(|first| Reading { at: held(first.at), ..first });
        }
        self.observed_at = held(self.observed_at);
    }

    pub(super) fn sort(&mut self) {
        self.windows.sort_by_key(|window| window.minutes.unwrap_or(u64::MAX));
    }
}

impl Window {
    /// Whether both are values of the same limit.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        (self.minutes, self.credits) == (other.minutes, other.credits)
    }

    /// Whether this is an earlier reading of the window of `later`, by use and reset.
    pub(super) fn is_before(&self, later: &Self) -> bool {
        let resets = self.resets_at.zip(later.resets_at);
        self.is_same_as(later)
            && self.used_percent <= later.used_percent
            && resets.is_some_and(|(one, other)| elapsed(one.min(other), one.max(other)) <= SAME_RESET)
    }

    fn has_same_reading(&self, other: &Self) -> bool {
        (self.used_percent, self.resets_at) == (other.used_percent, other.resets_at)
    }

    /// Whether this, observed by the same source after `known`, shows that the window was reset or replaced.
    fn is_fall_from(&self, known: &Self) -> bool {
        match (known.resets_at, self.resets_at) {
            (Some(before), Some(now)) if elapsed(now.min(before), now.max(before)) > SAME_RESET => {
                now < before
            }
            _ => self.used_percent < known.used_percent,
        }
    }
}
