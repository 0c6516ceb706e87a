//! Limits that several terminals of one account tell, each as it last heard them.

use std::time::Duration;

use super::{Snapshot, Window, latest_limits_source};
use crate::core::time::elapsed;

/// Resets this close to each other are of one window.
const SAME_RESET: Duration = Duration::from_secs(60);

/// What two terminals of one account say together, where each repeats its own last value: per window the later reset
/// wins, and for equal resets the higher use. The time is that at which these values were first seen.
pub fn merged(one: &Snapshot, other: &Snapshot) -> Snapshot {
    let (older, newer) = if one.observed_at <= other.observed_at { (one, other) } else { (other, one) };
    let mut windows = older.windows.clone();
    for window in &newer.windows {
        match windows.iter_mut().find(|known| known.minutes == window.minutes) {
            Some(known) => *known = current(known, window),
            None => windows.push(window.clone()),
        }
    }
    windows.sort_by_key(|window| window.minutes.unwrap_or(u64::MAX));
    let says = |snapshot: &Snapshot| {
        let said = |window: &Window| snapshot.windows.iter().any(|own| is_same(own, window));
        windows.iter().all(said)
    };
    let source = if says(older) { older } else { newer };
    Snapshot {
        observed_at: source.observed_at,
        source_session: source.source_session.clone(),
        name: newer.name.clone().or_else(|| older.name.clone()),
        plan: newer.plan.clone().or_else(|| older.plan.clone()),
        windows,
        ..newer.clone()
    }
}

/// The same, where either may be what Claude Code keeps of the account. Of that the latest counts, and what a terminal
/// said later stands alone: it is only there for when nobody says anything newer.
pub(super) fn with_cached(one: &Snapshot, other: &Snapshot) -> Option<Snapshot> {
    let (cached, told) = match (one.is_cached(), other.is_cached()) {
        (false, false) => return Some(merged(one, other)),
        (true, true) => return latest_limits_source([one, other]).cloned(),
        (true, false) => (one, other),
        (false, true) => (other, one),
    };
    Some(if cached.observed_at <= told.observed_at { told.clone() } else { merged(told, cached) })
}

/// Of two values of one window the one that holds now. Between equal resets the one first seen stays, as long as its use
/// does, so that a clock that is a little off changes nothing.
fn current(known: &Window, window: &Window) -> Window {
    let one_reset = match (known.resets_at, window.resets_at) {
        (Some(a), Some(b)) => elapsed(a.min(b), a.max(b)) <= SAME_RESET,
        _ => true,
    };
    let takes =
        if one_reset { window.used_percent > known.used_percent } else { window.resets_at > known.resets_at };
    let mut chosen = if takes { window.clone() } else { known.clone() };
    chosen.resets_at = chosen.resets_at.or(known.resets_at).or(window.resets_at);
    chosen
}

/// Whether two values of one window say the same.
fn is_same(one: &Window, other: &Window) -> bool {
    one.minutes == other.minutes && one.used_percent == other.used_percent && current(one, other) == *one
}

#[cfg(test)]
mod tests {
    use super::super::tests::snapshot;
    use super::super::{LimitsBook, main_family};
    use super::*;
    use crate::core::activity::Agent;

    type Terminal<'a> = (i64, &'a [(u64, f64, Option<i64>)]);

    /// Whatever the order in which two terminals are heard, together they say `expected`.
    fn check_merged(one: Terminal<'_>, other: Terminal<'_>, expected: Terminal<'_>) {
        let claude = |(at, windows): Terminal<'_>| Snapshot {
            agent: Agent::Claude,
            family: main_family(Agent::Claude).to_owned(),
            source_session: Some("s".to_owned()),
            ..snapshot(at, windows)
        };
        for order in [[one, other], [other, one]] {
            let mut book = LimitsBook::default();
            for terminal in order {
                book.learn(claude(terminal));
            }
            assert_eq!(book.main(Agent::Claude, &"home".into()), Some(&claude(expected)));
        }
    }

    #[test]
    fn terminals_of_one_account_are_heard_together() {
        // A later reset is a newer window, however little of it is used.
        check_merged(
            (10, &[(300, 90.0, Some(1_000))]),
            (20, &[(300, 1.0, Some(19_000))]),
            (20, &[(300, 1.0, Some(19_000))]),
        );
        // An old terminal repeats what was true for it.
        check_merged(
            (10, &[(300, 40.0, Some(1_000))]),
            (20, &[(300, 30.0, Some(1_060))]),
            (10, &[(300, 40.0, Some(1_000))]),
        );
        // The same values again are not newer values.
        check_merged(
            (10, &[(300, 40.0, Some(1_000))]),
            (20, &[(300, 40.0, Some(1_000))]),
            (10, &[(300, 40.0, Some(1_000))]),
        );
        // Each window for itself; one that is absent takes nothing away.
        check_merged(
            (10, &[(300, 40.0, Some(1_000)), (10_080, 7.0, Some(90_000))]),
            (20, &[(300, 50.0, Some(1_000))]),
            (20, &[(300, 50.0, Some(1_000)), (10_080, 7.0, Some(90_000))]),
        );
    }

    #[test]
    fn learning_the_same_again_is_no_news() {
        let session = Some("s".to_owned());
        let claude = |at| Snapshot {
            agent: Agent::Claude,
            source_session: session.clone(),
            ..snapshot(at, &[(300, 40.0, Some(1_000))])
        };
        let mut book = LimitsBook::default();
        assert!(book.learn(claude(10)));
        assert!(!book.learn(claude(20)));
    }

    /// Whatever the order in which they are heard: what is kept counts as long as no terminal has said anything later.
    #[test]
    fn what_claude_code_keeps_is_for_when_no_terminal_has_spoken_since() {
        let main = |source: Option<&str>, at, windows: &[(u64, f64, Option<i64>)]| Snapshot {
            agent: Agent::Claude,
            family: main_family(Agent::Claude).to_owned(),
            source_session: source.map(str::to_owned),
            ..snapshot(at, windows)
        };
        let check = |first: &Snapshot, second: &Snapshot, expected: &Snapshot| {
            for order in [[first, second], [second, first]] {
                let mut book = LimitsBook::default();
                for snapshot in order {
                    book.learn(snapshot.clone());
                }
                assert_eq!(book.main(Agent::Claude, &"home".into()), Some(expected));
            }
        };
        let told = main(Some("s"), 100, &[(300, 40.0, Some(1_000))]);
        // Older: neither a greater use nor a window that the terminal did not name.
        check(&told, &main(None, 90, &[(300, 80.0, Some(1_000)), (10_080, 9.0, Some(9_000))]), &told);
        // Newer: by the rules of two terminals.
        let kept = main(None, 110, &[(300, 80.0, Some(1_000))]);
        check(&told, &kept, &kept);
        check(&told, &main(None, 110, &[(300, 30.0, Some(1_000))]), &told);
        // Of what is kept the latest alone.
        check(
            &main(None, 120, &[(300, 10.0, Some(1_000))]),
            &kept,
            &main(None, 120, &[(300, 10.0, Some(1_000))]),
        );
    }
}
