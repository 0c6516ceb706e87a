//! When a report changes without an event.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::core::limits::{STALE_AFTER, WindowState};
use crate::core::report::StatusReport;
use crate::core::time::later;

/// The next moment at which the report changes: a window resets or was to be used up, limits become stale, a pause
/// ends, or a new day begins.
pub(super) fn next(report: &StatusReport, zone: &TimeZone) -> Option<Timestamp> {
    let resets = report.limits.iter().flat_map(|limits| {
        let current = limits.windows.iter().filter(|window| window.state == WindowState::Current);
        let stale = (!limits.stale).then(|| later(limits.observed_at, STALE_AFTER));
        let empty = limits.windows.iter().filter_map(|window| window.pace?.empty_at());
        current.filter_map(|window| window.resets_at).chain(stale).chain(empty)
    });
    let tomorrow = report.now.to_zoned(zone.clone()).tomorrow().and_then(|day| day.start_of_day());
    let moments = resets.chain(report.daemon.paused_until).chain(tomorrow.map(|day| day.timestamp()));
    // A millisecond later, because limits become stale just after the threshold.
    let just_after = |at: Timestamp| at.checked_add(1.millisecond()).ok();
    moments.filter(|at| *at > report.now).min().and_then(just_after)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report(change: impl FnOnce(&mut Value)) -> StatusReport {
        let mut report = json!({
            "schema": 1, "version": "0.1.0", "now": "2026-11-20T10:00:00Z",
            "daemon": {"state": "running", "pid": 1, "version": null, "started_at": null, "paused_until": null, "sink": null},
            "card": null, "sessions": [], "links": [], "config": {"path": null, "issues": []},
            "skipped": {"unreadable_lines": 0, "oversized_lines": 0, "unknown_types": 0},
            "limits": [{
                "agent": "codex", "home": "h", "family": "codex", "name": null, "plan": null,
                "observed_at": "2026-11-20T09:50:00Z", "stale": false, "source_session": null,
                "windows": [{"label": "5h", "minutes": 300, "used_percent": 1.0, "remaining_percent": 99,
                    "resets_at": "2026-11-20T14:20:00Z", "state": "current", "capped_by": null}],
            }],
        });
        change(&mut report);
        serde_json::from_value(report).unwrap()
    }

    #[track_caller]
    fn check(expected: &str, change: impl FnOnce(&mut Value)) {
        let next = next(&report(change), &TimeZone::UTC).unwrap();
        assert_eq!(next.strftime("%dT%H:%M:%S").to_string(), expected);
    }

    #[test]
    fn the_next_change_is_the_soonest_one() {
        check("20T10:05:00", |_| {});
        check("20T14:20:00", |report| report["limits"][0]["stale"] = json!(true));
        check("20T10:01:00", |report| report["daemon"]["paused_until"] = json!("2026-11-20T10:01:00Z"));
        check("21T00:00:00", |report| report["limits"] = json!([]));
        check("20T10:02:00", |report| {
            report["limits"][0]["windows"][0]["pace"] =
                json!({"state": "empty", "empty_at": "2026-11-20T10:02:00Z"});
        });
        // A past moment is not waited for.
        check("21T00:00:00", |report| {
            report["limits"][0]["stale"] = json!(true);
            report["limits"][0]["windows"][0]["state"] = json!("reset");
        });
    }
}
