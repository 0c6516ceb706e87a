//! `rate_limits` in every era: flat (0.40), relative resets (0.41 to 0.47), absolute ones (since 0.48).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::value::{field, number, text, timestamp};
use crate::core::limits::{MAIN_FAMILY, Window};
use crate::core::source::LimitsFact;

/// Reads a snapshot written at `at`, which relative resets count from.
pub(super) fn read(limits: &Value, at: Option<Timestamp>) -> Option<LimitsFact> {
    limits.as_object()?;
    let mut windows: Vec<Window> = ["primary", "secondary"]
        .into_iter()
        .filter_map(|slot| match field(limits, slot) {
            Some(window) => nested(window, at),
            None => flat(limits, slot),
        })
        .collect();
    windows.sort_by_key(|window| window.minutes.unwrap_or(u64::MAX));
    Some(LimitsFact {
        family: text(limits, "limit_id").unwrap_or(MAIN_FAMILY).to_owned(),
        name: text(limits, "limit_name").map(str::to_owned),
        plan: text(limits, "plan_type").map(str::to_owned),
        reached: text(limits, "rate_limit_reached_type").is_some(),
        windows,
    })
}

fn nested(window: &Value, at: Option<Timestamp>) -> Option<Window> {
    let resets_at = field(window, "resets_at").and_then(timestamp).or_else(|| {
        let seconds = field(window, "resets_in_seconds").and_then(number)?;
        at?.checked_add(Duration::from_secs(seconds)).ok()
    });
    build(field(window, "used_percent"), field(window, "window_minutes"), resets_at)
}

/// 0.40: `primary_used_percent`, `primary_window_minutes`, …; the second window was briefly called weekly.
fn flat(limits: &Value, slot: &str) -> Option<Window> {
    let used = field(limits, &format!("{slot}_used_percent"))
        .or_else(|| (slot == "secondary").then(|| field(limits, "weekly_used_percent")).flatten());
    build(used, field(limits, &format!("{slot}_window_minutes")), None)
}

fn build(used: Option<&Value>, minutes: Option<&Value>, resets_at: Option<Timestamp>) -> Option<Window> {
    let used_percent = used?.as_f64().filter(|used| used.is_finite())?.clamp(0.0, 100.0);
    let minutes = minutes.and_then(number).filter(|minutes| *minutes > 0);
    // Codex itself drops such a placeholder.
    let placeholder = used_percent == 0.0 && minutes.is_none() && resets_at.is_none();
    (!placeholder).then_some(Window { minutes, used_percent, resets_at })
}
