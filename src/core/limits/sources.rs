//! Combines the last reports of several sources of one account.
//!
//! A source may repeat a value for hours (a terminal that is redrawn), or record late what it observed early (Codex
//! after a long tool). So within one window the highest use is the newest, of any source, unless a source's own
//! reports show that the window was reset.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use super::word::SAME_RESET;
use super::{Reading, Snapshot, Window};
use crate::time::elapsed;

/// The time of the newest fall of any source.
pub(super) fn void_before<'a>(words: impl Iterator<Item = &'a Snapshot>) -> Option<Timestamp> {
    words.filter_map(|word| word.fell_at).max()
}

/// One value of one window, with its source.
#[derive(Clone, Copy)]
struct Value<'a> {
    word: &'a Snapshot,
    window: &'a Window,
    learnt_at: Timestamp,
    seen_at: Timestamp,
}

impl<'a> Value<'a> {
    fn new(word: &'a Snapshot, window: &'a Window) -> Self {
        Self { word, window, learnt_at: word.learnt_at(window), seen_at: word.seen_at(window) }
    }

    /// The newest last, independent of the order.
    fn age(&self) -> (Timestamp, Option<&'a str>) {
        (self.seen_at, self.word.source_session.as_deref())
    }
}

/// The combination of the last reports of all sources of one family; `None` if no value holds.
pub(super) fn merged<'a>(words: impl Iterator<Item = &'a Snapshot> + Clone) -> Option<Snapshot> {
    let void_before = void_before(words.clone());
    let values =
        words.clone().flat_map(|word| word.windows.iter().map(move |window| Value::new(word, window)));
    let values = values.filter(|value| void_before.is_none_or(|void| value.learnt_at >= void));
    // The agent's own stored limits count only if no session has reported later.
    let told = values.clone().filter(|value| !value.word.is_cached() && !value.word.refusal);
    let told_at = told.map(|value| value.seen_at).max();
    let counts = |value: &Value<'_>| !value.word.is_cached() || Some(value.seen_at) > told_at;
    let values: Vec<Value<'_>> = values.filter(counts).collect();
    let newest = values.iter().copied().max_by_key(Value::age)?;
    let mut chosen: Vec<Value<'_>> = Vec::new();
    for value in &values {
        let is_new = !chosen.iter().any(|known| known.window.is_same_as(value.window));
        if is_new && (!newest.word.is_whole() || newest.word.find(value.window).is_some()) {
            chosen.extend(agreed(values.iter().copied().filter(|v| v.window.is_same_as(value.window))));
        }
    }
    let source = chosen.iter().copied().max_by_key(Value::age)?;
    let newest_with = |has: fn(&Snapshot) -> Option<&String>| {
        let named = words.clone().filter(|word| has(word).is_some());
        named
            .min_by_key(|word| Reverse((word.observed_at, word.source_session.as_deref())))
            .and_then(has)
            .cloned()
    };
    let first = |chosen: &Value<'_>| {
        let earlier = values.iter().filter(|value| value.window.is_before(chosen.window));
        let first = earlier.map(|value| value.word.first_of(value.window));
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
    let mut said = Snapshot {
        agent: newest.word.agent,
        home: Arc::clone(&newest.word.home),
        family: newest.word.family.clone(),
        observed_at: source.seen_at,
        source_session: source.word.source_session.clone(),
        name: newest_with(|word| word.name.as_ref()),
        plan: newest_with(|word| word.plan.as_ref()),
        windows: chosen.iter().map(window).collect(),
        since: None,
        fresh: false,
        fell_at: None,
        first: None,
        refusal: false,
    };
    said.sort();
    Some(said)
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
    use super::super::{LimitsBook, main_family, say};
    use super::*;
    use crate::source::Agent;

    const MAIN: [(u64, i64); 2] = [(300, 10_000), (10_080, 500_000)];

    /// A report of `session` about both windows of the account.
    fn word(agent: Agent, session: &str, at: i64, used: [f64; 2]) -> Snapshot {
        let [(short, soon), (long, far)] = MAIN;
        of(agent, Some(session), at, &[(short, used[0], Some(soon)), (long, used[1], Some(far))])
    }

    pub(in crate::limits) fn claude(session: &str, at: i64, used: [f64; 2]) -> Snapshot {
        word(Agent::CLAUDE, session, at, used)
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

    pub(in crate::limits) fn book<'a>(words: impl IntoIterator<Item = &'a Snapshot>) -> LimitsBook {
        let mut book = LimitsBook::default();
        for word in words {
            book.learn([word.clone()]);
        }
        book
    }

    pub(in crate::limits) fn said(book: &LimitsBook) -> Option<(i64, Vec<f64>)> {
        let said = book.iter().next()?;
        Some((said.observed_at.as_second(), said.windows.iter().map(|window| window.used_percent).collect()))
    }

    /// Each list has the reports of one source, in order. The combination is `expected`, for every order of sources,
    /// for single reports and a whole file, and after a restart.
    #[track_caller]
    fn check(sources: &[&[Snapshot]], expected: (i64, &[f64])) {
        let expected = Some((expected.0, expected.1.to_vec()));
        let mut live: Vec<&Snapshot> = sources.iter().copied().flatten().collect();
        live.sort_by_key(|word| word.observed_at);
        let live = book(live);
        assert_eq!(said(&live), expected, "live");
        for first in 0..sources.len() {
            let mut order = sources.to_vec();
            order.rotate_left(first);
            for order in [order.clone(), order.into_iter().rev().collect()] {
                assert_eq!(said(&book(order.iter().copied().flatten())), expected, "source by source");
                let mut whole = LimitsBook::default();
                for words in &order {
                    let mut pending = Vec::new();
                    words.iter().for_each(|word| say(&mut pending, word.clone()));
                    assert_eq!(pending.len(), 1);
                    whole.learn(pending);
                }
                assert_eq!(said(&whole), expected, "read whole");
                let kept = serde_json::to_vec(&whole.words().collect::<Vec<_>>()).unwrap();
                let kept: Vec<Snapshot> = serde_json::from_slice(&kept).unwrap();
                let mut again = book(&kept);
                assert_eq!(said(&again), expected, "kept");
                // Reports that were read before are read again.
                let last = order.iter().filter_map(|words| words.last());
                last.for_each(|word| drop(again.learn([word.clone()])));
                assert_eq!(said(&again), expected, "repeated");
            }
        }
    }

    #[test]
    fn the_newest_report_of_any_source_holds() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let word = |session, at, used| word(agent, session, at, used);
            check(&[&[word("a", 10, [1.0, 1.0])], &[word("b", 20, [2.0, 1.5])]], (20, &[2.0, 1.5]));
            // Each window for itself.
            check(&[&[word("a", 10, [40.0, 7.0])], &[word("b", 20, [50.0, 6.0])]], (20, &[50.0, 7.0]));
        }
    }

    #[test]
    fn a_late_report_of_older_values_changes_nothing() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let late = word(agent, "b", 1_200, [10.0, 35.0]);
            check(&[&[word(agent, "a", 600, [30.0, 40.0])], &[late]], (600, &[30.0, 40.0]));
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
            let words = [10, 20, 30].map(|at| word(agent, "a", at, [40.0, 7.0]));
            check(&[&words], (10, &[40.0, 7.0]));
            let mut book = book(&words[..1]);
            assert!(book.learn(words[1..].iter().cloned()).is_empty(), "no news");
        }
    }

    #[test]
    fn repeated_values_of_a_response_are_newer_but_still_void() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let again = |session, at, used| Snapshot { fresh: true, ..word(agent, session, at, used) };
            let words = [10, 20, 30].map(|at| again("a", at, [40.0, 7.0]));
            check(&[&words], (30, &[40.0, 7.0]));
            let falls = [word(agent, "b", 5, [41.0, 8.0]), word(agent, "b", 15, [5.0, 2.0])];
            check(&[&words, &falls], (15, &[5.0, 2.0]));
        }
    }

    #[test]
    fn a_fall_of_one_source_voids_earlier_reports_of_others() {
        for agent in [Agent::CODEX, Agent::CLAUDE] {
            let word = |session, at, used| word(agent, session, at, used);
            let falls = [word("a", 10, [80.0, 60.0]), word("a", 30, [5.0, 2.0])];
            let repeats = [20, 40, 50].map(|at| word("b", at, [80.0, 60.0]));
            check(&[&falls, &repeats], (30, &[5.0, 2.0]));
            // A third source without further reports, and a fall of one window only.
            let one = [word("a", 10, [80.0, 60.0]), word("a", 30, [5.0, 61.0])];
            check(&[&one, &repeats, &[word("c", 25, [90.0, 70.0])]], (30, &[5.0, 61.0]));
            // Later observations hold, and a rise after the fall does not cancel it.
            let rises = [&falls[..], &[word("a", 60, [7.0, 3.0])]].concat();
            check(&[&rises, &repeats, &[word("c", 45, [9.0, 2.0])]], (60, &[9.0, 3.0]));
            // The other source's next own report is the newest then.
            let next = [&repeats[..], &[word("b", 70, [8.0, 2.5])]].concat();
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
        assert_eq!(said(&book).map(|(_, used)| used), Some(vec![80.0, 65.0]));
        let [_, (_, far)] = MAIN;
        let next =
            of(Agent::CLAUDE, Some("a"), 10_100, &[(300, 1.0, Some(28_000)), (10_080, 65.5, Some(far))]);
        book.learn([next]);
        assert_eq!(said(&book), Some((10_100, vec![1.0, 65.5])));
    }

    #[test]
    fn an_absent_window_is_gone_only_where_reports_are_whole() {
        let weekly = |agent, session, at| of(agent, Some(session), at, &[(10_080, 45.0, Some(500_000))]);
        // Codex lists all windows: one that the newest report lacks no longer exists.
        let codex = |session, at| word(Agent::CODEX, session, at, [30.0, 40.0]);
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
        let told = of(Agent::CLAUDE, Some("s"), 100, &[(300, 40.0, Some(10_000))]);
        // Older: neither a higher use nor a window that the terminal did not report.
        check(&[std::slice::from_ref(&told), &[kept(90, 80.0, 2)]], (100, &[40.0]));
        // Newer: by the rules of two sources.
        check(&[std::slice::from_ref(&told), &[kept(110, 80.0, 1)]], (110, &[80.0]));
        check(&[std::slice::from_ref(&told), &[kept(110, 30.0, 1)]], (100, &[40.0]));
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
        assert_eq!((said(&book), book.words().count()), (None, 0));
    }
}
