//! Reading reports of other versions.

use super::*;

/// A daemon and its client may be of different versions: a missing field is no reason to refuse a report.
#[test]
fn a_report_can_be_read_back_without_what_it_leaves_out() {
    let json = serde_json::json!({
        "id": "s", "agent": "codex", "host": null, "home": "", "home_name": null, "surface": "cli", "shown": false, "visible": true, "project": null, "branch": null,
        "model": null, "effort": null, "service_tier": null, "activity": "waiting", "file": null, "started_at": null,
        "last_event_at": null, "last_usage_at": null, "restored": false, "counting": false, "parent": null,
        "tokens": {"delta": null, "last": null, "total": null},
        "usage": {"delta": null, "last": null, "total": null}, "context": null,
    });
    let report: SessionReport = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(report).unwrap(), json);
}
