//! The limits in a status report.

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use super::{report, section, status};

#[test]
fn limits_are_old_used_up_over_soon_used_up_or_of_several_homes() {
    let limits = |changes: &[(&str, Value)]| section(&status(changes), "limits");
    let stale = ("/limits/0/stale", json!(true));
    assert_data_eq!(
        limits(&[stale, ("/limits/0/observed_at", json!("2026-11-20T09:28:00Z"))]),
        str![[r#"
limits
  Codex · plus (as of 09:28, 32 min ago)
    5h limit:     [█████████████░░░░░░░] 64% left (resets 14:20)
    Weekly limit: [█████████░░░░░░░░░░░] 47% left (resets 09:00 on 23 Nov)

"#]]
    );
    let used_up = [
        ("/limits/0/windows/0/remaining_percent", json!(0)),
        ("/limits/0/windows/0/capped_by", json!("weekly")),
        ("/limits/0/windows/1/remaining_percent", json!(0)),
    ];
    assert_data_eq!(
        limits(&used_up),
        str![[r#"
limits
  Codex · plus
    5h limit:     [░░░░░░░░░░░░░░░░░░░░] 0% left (resets 14:20), weekly limit reached
    Weekly limit: [░░░░░░░░░░░░░░░░░░░░] 0% left (resets 09:00 on 23 Nov)

"#]]
    );
    let over = [
        ("/limits/0/windows/0/remaining_percent", json!(null)),
        ("/limits/0/windows/1/resets_at", json!(null)),
    ];
    assert_data_eq!(
        limits(&over),
        str![[r#"
limits
  Codex · plus
    5h limit:     has reset since
    Weekly limit: [█████████░░░░░░░░░░░] 47% left

"#]]
    );
    let paces = [
        ("/limits/0/windows/0/pace", json!({"state": "empty", "empty_at": "2026-11-20T13:05:40Z"})),
        ("/limits/0/windows/1/pace", json!({"state": "lasts"})),
    ];
    assert_data_eq!(
        limits(&paces),
        str![[r#"
limits
  Codex · plus
    5h limit:     [█████████████░░░░░░░] 64% left (resets 14:20)            empty about 13:05
    Weekly limit: [█████████░░░░░░░░░░░] 47% left (resets 09:00 on 23 Nov)  lasts until reset

"#]]
    );
    let named = [("/limits/0/home_name", json!("work"))];
    assert!(limits(&named).starts_with("limits\n  work · Codex · plus\n"), "{}", limits(&named));
    let one = report()["limits"][0].clone();
    let mut two = [one.clone(), one];
    two[1]["home"] = json!("/home/you/work");
    assert_data_eq!(
        limits(&[("/limits", json!(two))]),
        str![[r#"
limits
  Codex in /home/you/.codex · plus
    5h limit:     [█████████████░░░░░░░] 64% left (resets 14:20)
    Weekly limit: [█████████░░░░░░░░░░░] 47% left (resets 09:00 on 23 Nov)
  Codex in /home/you/work · plus
    5h limit:     [█████████████░░░░░░░] 64% left (resets 14:20)
    Weekly limit: [█████████░░░░░░░░░░░] 47% left (resets 09:00 on 23 Nov)

"#]]
    );
}
