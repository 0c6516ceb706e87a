//! Combines the last reports of several sources of one account.
//!
//! A source may repeat a value for hours (a terminal that is redrawn), or record late what it observed early (Codex
//! after a long tool). So within one window the highest use is the newest, of any source, unless a source's own
//! reports show that the window was reset.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use super::reports::SAME_RESET;
use super::{Reading, Snapshot, Window};
use crate::time::elapsed;

/// The time of the newest fall of any source.
pub(super) fn void_before<'a>(reports: impl Iterator<Item = &'a Snapshot>) -> Option<Timestamp> {
    reports.filter_map(|report| report.fell_at).max()
}

/// One value of one window, with its source.
#[derive(Clone, Copy)]
struct Value<'a> {
    report: &'a Snapshot,
    window: &'a Window,
    learnt_at: Timestamp,
    seen_at: Timestamp,
}

impl<'a> Value<'a> {
    fn new(report: &'a Snapshot, window: &'a Window) -> Self {
        Self { report, window, learnt_at: report.learnt_at(window), seen_at: report.seen_at(window) }
    }

    /// The newest last, independent of the order.
    fn age(&self) -> (Timestamp, Option<&'a str>) {
        (self.seen_at, self.report.source_session.as_deref())
    }
}

/// The combination of the last reports of all sources of one family; `None` if no value holds.
pub(super) fn merged<'a>(reports: impl Iterator<Item = &'a Snapshot> + Clone) -> Option<Snapshot> {
    let void_before = void_before(reports.clone());
    let values = reports
        .clone()
        .flat_map(|report| report.windows.iter().map(move |window| Value::new(report, window)));
    let values = values.filter(|value| void_before.is_none_or(|void| value.learnt_at >= void));
    // The agent's own stored limits count only if no session has reported later.
    let live = values.clone().filter(|value| !value.report.is_cached() && !value.report.refusal);
    let live_at = live.map(|value| value.seen_at).max();
    let counts = |value: &Value<'_>| !value.report.is_cached() || Some(value.seen_at) > live_at;
    let values: Vec<Value<'_>> = values.filter(counts).collect();
    let newest = values.iter().copied().max_by_key(Value::age)?;
    let mut chosen: Vec<Value<'_>> = Vec::new();
    for value in &values {
        let is_new = !chosen.iter().any(|known| known.window.is_same_as(value.window));
        if is_new && (!newest.report.is_whole() || newest.report.find(value.window).is_some()) {
            chosen.extend(agreed(values.iter().copied().filter(|v| v.window.is_same_as(value.window))));
        }
    }
    let source = chosen.iter().copied().max_by_key(Value::age)?;
    let newest_with = |has: fn(&Snapshot) -> Option<&String>| {
        let named = reports.clone().filter(|report| has(report).is_some());
        named
            .min_by_key(|report| Reverse((report.observed_at, report.source_session.as_deref())))
            .and_then(has)
            .cloned()
    };
    let first = |chosen: &Value<'_>| {
        let earlier = values.iter().filter(|value| value.window.is_before(chosen.window));
        let first = earlier.map(|value| value.report.first_of(value.window));
        let holds = first.filter(|first| void_before.is_none_or(|void| first.at >= void));
        let is_lower =
            |first: &Reading| first.at < chosen.seen_at && first.used_percent < chosen.window.used_percent;
        holds.filter(is_lower).min_by_key(|first| first.at)
    };
    let window = |chosen: &Value<'_>| Window {
        learnt_at: Some(chosen.seen_at).filter(|at| *at < source.seen_at),
        first: first(chosen),
        ..chosen.window.clone()
    };
    let mut combined = Snapshot {
        agent: newest.report.agent,
        home: Arc::clone(&newest.report.home),
        family: newest.report.family.clone(),
        observed_at: source.seen_at,
        source_session: source.report.source_session.clone(),
        name: newest_with(|report| report.name.as_ref()),
        plan: newest_with(|report| report.plan.as_ref()),
        windows: chosen.iter().map(window).collect(),
        since: None,
        fresh: false,
        fell_at: None,
        first: None,
        refusal: false,
    };
    combined.sort();
    Some(combined)
}

/// The value that holds among several of one window: in the window that ends last, the highest use. If the end of a
/// window is not known, it may be another window, and the newest value holds.
fn agreed<'a>(values: impl Iterator<Item = Value<'a>> + Clone) -> Option<Value<'a>> {
    let last = values.clone().filter_map(|value| value.window.resets_at).max();
    let of_last = values.clone().filter(|value| {
        value.window.resets_at.zip(last).is_some_and(|(at, last)| elapsed(at, last) <= SAME_RESET)
    });
    let highest = of_last.clone().max_by(|one, other| {
        let by_use = one.window.used_percent.total_cmp(&other.window.used_percent);
        by_use.then_with(|| one.age().cmp(&other.age()))
    });
    let endless = values.filter(|value| value.window.resets_at.is_none()).max_by_key(Value::age);
    let newest = of_last.map(|value| value.seen_at).max();
    endless.filter(|value| Some(value.seen_at) > newest).or(highest)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::snapshot;
    use super::super::{LimitsBook, add_report, main_family};
    use super::*;
    use crate::source::Agent;

    const MAIN: [(u64, i64); 2] = [(300, 10_000), (10_080, 500_000)];

    /// A report of `session` about both windows of the account.
    fn report(agent: Agent, session: &str, at: i64, used: [f64; 2]) -> Snapshot {
        let [(short, soon), (long, far)] = MAIN;
        of(agent, Some(session), at, &[(short, used[0], Some(soon)), (long, used[1], Some(far))])
    }

    pub(in crate::limits) fn claude(session: &str, at: i64, used: [f64; 2]) -> Snapshot {
        report(Agent::CLAUDE, session, at, used)
    }

    pub(in crate::limits) fn of(
        agent: Agent,
        session: Option<&str>,
        at: i64,
        windows: &[(u64, f64, Option<i64>)],
    ) -> Snapshot {
        Snapshot {
            agent,
            family: main_family(agent).to_owned(),
            source_session: session.map(str::to_owned),
            ..snapshot(at, windows)
        }
    }

    pub(in crate::limits) fn book<'a>(reports: impl IntoIterator<Item = &'a Snapshot>) -> LimitsBook {
        let mut book = LimitsBook::default();
        for report in reports {
            book.learn([report.clone()]);
        }
        book
    }

    pub(in crate::limits) fn combined(book: &LimitsBook) -> Option<(i64, Vec<f64>)> {
        let combined = book.iter().next()?;
        Some((
            combined.observed_at.as_second(),
            combined.windows.iter().map(|window| window.used_percent).collect(),
        ))
    }

    /// Each list has the reports of one source, in order. The combination is `expected`, for every order of sources,
    /// for single reports and a whole file, and after a restart.
    #[track_caller]
    fn check(sources: &[&[Snapshot]], expected: (i64, &[f64])) {
        let expected = Some((expected.0, expected.1.to_vec()));
        let mut live: Vec<&Snapshot> = sources.iter().copied().flatten().collect();
        live.sort_by_key(|report| report.observed_at);
        let live = book(live);
        assert_eq!(combined(&live), expected, "live");
        for first in 0..sources.len() {
            let mut order = sources.to_vec();
            order.rotate_left(first);
            for order in [order.clone(), order.into_iter().rev().collect()] {
                assert_eq!(combined(&book(order.iter().copied().flatten())), expected, "source by source");
                let mut whole = LimitsBook::default();
                for reports in &order {
                    let mut pending = Vec::new();
                    reports.iter().for_each(|report| add_report(&mut pending, report.clone()));
                    assert_eq!(pending.len(), 1);
                    whole.learn(pending);
                }
                assert_eq!(combined(&whole), expected, "read whole");
                let kept = serde_json::to_vec(&whole.reports().collect::<Vec<_>>()).unwrap();
                let kept: Vec<Snapshot> = serde_json::from_slice(&kept).unwrap();
                let mut again = book(&kept);
                assert_eq!(combined(&again), expected, "kept");
                // Reports that were read before are read again.
                let last = order.iter().filter_map(|reports| reports.last());
                last.for_each(|report| drop(again.learn([report.clone()])));
                assert_eq!(combined(&again), expected, "repeated");
            }
        }
    }

    #[test]
    fn the_newest_report_of_any_source_holds() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let report = |session, at, used| report(agent, session, at, used);
            check(&[&[report("a", 10, [1.0, 1.0])], &[report("b", 20, [2.0, 1.5])]], (20, &[2.0, 1.5]));
            // Each window for itself.
            check(&[&[report("a", 10, [40.0, 7.0])], &[report("b", 20, [50.0, 6.0])]], (20, &[50.0, 7.0]));
        }
    }

    #[test]
    fn a_late_report_of_older_values_changes_nothing() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let late = report(agent, "b", 1_200, [10.0, 35.0]);
            check(&[&[report(agent, "a", 600, [30.0, 40.0])], &[late]], (600, &[30.0, 40.0]));
        }
    }

    #[test]
    fn a_window_with_a_later_reset_is_newer_at_any_use() {
        let one =
            |session, at, used, reset| of(Agent::CLAUDE, Some(session), at, &[(300, used, Some(reset))]);
        check(&[&[one("a", 10, 90.0, 1_000)], &[one("b", 20, 1.0, 19_000)]], (20, &[1.0]));
        // A clock that is slightly off gives no later reset, nor does a chain of them.
        let near = [one("a", 10, 40.0, 1_000), one("b", 20, 30.0, 1_060), one("c", 30, 20.0, 1_110)];
        check(&[&near[..1], &near[1..2]], (10, &[40.0]));
        check(&[&near[..1], &near[1..2], &near[2..]], (20, &[30.0]));
    }

    #[test]
    fn an_unchanged_repetition_is_not_fresher() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let reports = [10, 20, 30].map(|at| report(agent, "a", at, [40.0, 7.0]));
            check(&[&reports], (10, &[40.0, 7.0]));
            let mut book = book(&reports[..1]);
            assert!(book.learn(reports[1..].iter().cloned()).is_empty(), "no news");
        }
    }

    #[test]
    fn repeated_values_of_a_response_are_newer_but_still_void() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let again = |session, at, used| Snapshot { fresh: true, ..report(agent, session, at, used) };
            let reports = [10, 20, 30].map(|at| again("a", at, [40.0, 7.0]));
            check(&[&reports], (30, &[40.0, 7.0]));
            let falls = [report(agent, "b", 5, [41.0, 8.0]), report(agent, "b", 15, [5.0, 2.0])];
            check(&[&reports, &falls], (15, &[5.0, 2.0]));
        }
    }

    #[test]
    fn a_fall_of_one_source_voids_earlier_reports_of_others() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let report = |session, at, used| report(agent, session, at, used);
            let falls = [report("a", 10, [80.0, 60.0]), report("a", 30, [5.0, 2.0])];
            let repeats = [20, 40, 50].map(|at| report("b", at, [80.0, 60.0]));
            check(&[&falls, &repeats], (30, &[5.0, 2.0]));
            // A third source without further reports, and a fall of one window only.
            let one = [report("a", 10, [80.0, 60.0]), report("a", 30, [5.0, 61.0])];
            check(&[&one, &repeats, &[report("c", 25, [90.0, 70.0])]], (30, &[5.0, 61.0]));
            // Later observations hold, and a rise after the fall does not cancel it.
            let rises = [&falls[..], &[report("a", 60, [7.0, 3.0])]].concat();
            check(&[&rises, &repeats, &[report("c", 45, [9.0, 2.0])]], (60, &[9.0, 3.0]));
            // The other source's next own report is the newest then.
            let next = [&repeats[..], &[report("b", 70, [8.0, 2.5])]].concat();
            check(&[&falls, &next], (70, &[8.0, 2.5]));
        }
    }

    #[test]
    fn an_earlier_reset_of_one_source_voids_earlier_reports_of_others() {
        let one =
            |session, at, used, reset| of(Agent::CLAUDE, Some(session), at, &[(300, used, Some(reset))]);
        // Another account with more use.
        let own = [one("a", 10, 50.0, 9_000), one("a", 30, 70.0, 4_000)];
        check(&[&own, &[one("b", 20, 60.0, 9_000)]], (30, &[70.0]));
        // A second session reports it first, so it is not known to be newer.
        check(&[&[one("a", 10, 50.0, 9_000)], &[one("c", 30, 70.0, 4_000)]], (10, &[50.0]));
    }

    #[test]
    fn an_ended_window_is_not_a_fall() {
        // Redrawn at its end: what the other source observed about the week meanwhile stays.
        let drawn = [claude("a", 10, [80.0, 60.0]), claude("a", 9_950, [0.0, 60.0])];
        let other = claude("b", 9_000, [80.0, 65.0]);
        let mut book = book(drawn.iter().take(1).chain([&other]).chain(drawn.last()));
        assert_eq!(combined(&book).map(|(_, used)| used), Some(vec![80.0, 65.0]));
        let [_, (_, far)] = MAIN;
        let next =
            of(Agent::CLAUDE, Some("a"), 10_100, &[(300, 1.0, Some(28_000)), (10_080, 65.5, Some(far))]);
        book.learn([next]);
        assert_eq!(combined(&book), Some((10_100, vec![1.0, 65.5])));
    }

    #[test]
    fn an_absent_window_is_gone_only_where_reports_are_whole() {
        let weekly = |agent, session, at| of(agent, Some(session), at, &[(10_080, 45.0, Some(500_000))]);
        // Codex lists all windows: one that the newest report lacks no longer exists.
        let codex = |session, at| report(Agent::CODEX, session, at, [30.0, 40.0]);
        check(&[&[codex("a", 10)], &[weekly(Agent::CODEX, "b", 20)]], (20, &[45.0]));
        check(&[&[codex("a", 10), weekly(Agent::CODEX, "a", 20)]], (20, &[45.0]));
        // For Claude Code it does not, until a fall shows that earlier reports are void.
        check(&[&[claude("a", 10, [30.0, 40.0])], &[weekly(Agent::CLAUDE, "b", 20)]], (20, &[30.0, 45.0]));
        check(&[&[claude("a", 10, [30.0, 40.0]), weekly(Agent::CLAUDE, "a", 20)]], (20, &[30.0, 45.0]));
        let fell = [claude("a", 10, [30.0, 60.0]), weekly(Agent::CLAUDE, "a", 20)];
        check(&[&fell], (20, &[45.0]));
    }

    #[test]
    fn without_a_reset_the_newest_value_holds() {
        let one = |session, at, used| of(Agent::CODEX, Some(session), at, &[(299, used, None)]);
        check(&[&[one("a", 10, 80.0)], &[one("b", 20, 5.0)]], (20, &[5.0]));
        let with_reset = of(Agent::CODEX, Some("c"), 15, &[(299, 60.0, Some(9_000))]);
        check(&[&[one("a", 10, 80.0)], &[with_reset]], (15, &[60.0]));
    }

    /// Claude Code's own stored limits count until a session reports later.
    #[test]
    fn stored_limits_of_claude_code_count_until_a_session_reports() {
        let kept = |at, used, windows: usize| {
            let [(short, soon), (long, far)] = MAIN;
            let windows = &[(short, used, Some(soon)), (long, 9.0, Some(far))][..windows];
            of(Agent::CLAUDE, None, at, windows)
        };
        let live = of(Agent::CLAUDE, Some("s"), 100, &[(300, 40.0, Some(10_000))]);
        // Older: neither a higher use nor a window that the terminal did not report.
        check(&[std::slice::from_ref(&live), &[kept(90, 80.0, 2)]], (100, &[40.0]));
        // Newer: by the rules of two sources.
        check(&[std::slice::from_ref(&live), &[kept(110, 80.0, 1)]], (110, &[80.0]));
        check(&[std::slice::from_ref(&live), &[kept(110, 30.0, 1)]], (100, &[40.0]));
        check(&[&[kept(110, 80.0, 1), kept(120, 10.0, 1)]], (120, &[10.0]));
    }

    #[test]
    fn a_refusal_holds_until_the_model_answers_again() {
        let refused =
            Snapshot { refusal: true, ..of(Agent::CLAUDE, Some("a"), 20, &[(300, 100.0, Some(10_000))]) };
        let answers = Snapshot { refusal: true, ..of(Agent::CLAUDE, Some("a"), 30, &[]) };
        let terminal = claude("a", 10, [90.0, 50.0]);
        check(&[std::slice::from_ref(&terminal), std::slice::from_ref(&refused)], (20, &[100.0, 50.0]));
        let over = [refused, answers];
        check(&[&[terminal], &over], (10, &[90.0, 50.0]));
        let mut book = book(&over[..1]);
        book.learn(over[1..].iter().cloned());
        assert_eq!((combined(&book), book.reports().count()), (None, 0));
    }
}
