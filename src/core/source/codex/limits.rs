//! `rate_limits` in all versions: flat (0.40), relative resets (0.41 to 0.47), absolute ones (since 0.48).
//!
//! Business accounts may have a monthly limit of credits and no windows: `individual_limit`. With windows, it is what
//! may be spent beyond them. Codex copies the last one into snapshots of other families, so it counts only in the
//! main family.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::value::{field, number, text, timestamp};
use crate::limits::Window;
use crate::source::LimitsFact;

/// The account's own family.
pub(super) const MAIN_FAMILY: &str = "codex";

/// Reads a snapshot written at `at`, from which relative resets count.
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
    let family = text(limits, "limit_id").unwrap_or(MAIN_FAMILY);
    if windows.is_empty() && family == MAIN_FAMILY {
        windows.extend(field(limits, "individual_limit").and_then(|limit| credit_limit(limit, at)));
    }
    Some(LimitsFact {
        family: family.to_owned(),
        name: text(limits, "limit_name").map(str::to_owned),
        plan: text(limits, "plan_type").map(str::to_owned),
        reached: text(limits, "rate_limit_reached_type").is_some(),
        windows,
        ..LimitsFact::default()
    })
}

/// The same in Codex's own types, which is faster. Times that can be written in several ways are not accepted, nor
/// are the formats of the first versions.
#[derive(Deserialize)]
pub(super) struct Usual<'a> {
    limit_id: Option<&'a str>,
    limit_name: Option<&'a str>,
    plan_type: Option<&'a str>,
    rate_limit_reached_type: Option<&'a str>,
    primary: Option<UsualWindow>,
    secondary: Option<UsualWindow>,
    individual_limit: Option<UsualCredits>,
    #[serde(default, rename = "primary_used_percent")]
    _primary: Option<MustBeAbsent>,
    #[serde(default, rename = "secondary_used_percent")]
    _secondary: Option<MustBeAbsent>,
    #[serde(default, rename = "weekly_used_percent")]
    _weekly: Option<MustBeAbsent>,
}

#[derive(Deserialize)]
struct UsualWindow {
    used_percent: f64,
    window_minutes: Option<u64>,
    resets_at: Option<u32>,
    #[serde(default, rename = "resets_in_seconds")]
    _resets_in_seconds: Option<MustBeAbsent>,
}

#[derive(Deserialize)]
struct UsualCredits {
    remaining_percent: f64,
    resets_at: Option<u32>,
}

/// A field that must be absent.
#[derive(Deserialize)]
enum MustBeAbsent {}

impl Usual<'_> {
    pub(super) fn fact(self) -> LimitsFact {
        let mut windows: Vec<Window> =
            [self.primary, self.secondary].into_iter().flatten().filter_map(UsualWindow::window).collect();
        windows.sort_by_key(|window| window.minutes.unwrap_or(u64::MAX));
        let kept = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let family = kept(self.limit_id).unwrap_or_else(|| MAIN_FAMILY.to_owned());
        if windows.is_empty() && family == MAIN_FAMILY {
            let credits = |limit: UsualCredits| credits(limit.remaining_percent, seconds(limit.resets_at));
            windows.extend(self.individual_limit.map(credits));
        }
        LimitsFact {
            family,
            name: kept(self.limit_name),
            plan: kept(self.plan_type),
            reached: kept(self.rate_limit_reached_type).is_some(),
            windows,
            ..LimitsFact::default()
        }
    }
}

impl UsualWindow {
    fn window(self) -> Option<Window> {
        window(self.used_percent, self.window_minutes, seconds(self.resets_at))
    }
}

fn seconds(resets_at: Option<u32>) -> Option<Timestamp> {
    Timestamp::from_second(resets_at?.into()).ok()
}

fn nested(window: &Value, at: Option<Timestamp>) -> Option<Window> {
    build(field(window, "used_percent"), field(window, "window_minutes"), reset(window, at))
}

fn reset(window: &Value, at: Option<Timestamp>) -> Option<Timestamp> {
    field(window, "resets_at").and_then(timestamp).or_else(|| {
        let seconds = field(window, "resets_in_seconds").and_then(number)?;
        at?.checked_add(Duration::from_secs(seconds)).ok()
    })
}

/// `{limit, used, remaining_percent, resets_at}`, amounts as text.
fn credit_limit(limit: &Value, at: Option<Timestamp>) -> Option<Window> {
    let amount = |name: &str| {
        let amount = field(limit, name)?;
        amount.as_f64().or_else(|| amount.as_str()?.trim().parse().ok())
    };
    let remaining = amount("remaining_percent").or_else(|| {
        let (all, used) = amount("limit").filter(|all| *all > 0.0).zip(amount("used"))?;
        Some(100.0 - used / all * 100.0)
    });
    remaining.filter(|remaining| remaining.is_finite()).map(|remaining| credits(remaining, reset(limit, at)))
}

fn credits(remaining_percent: f64, resets_at: Option<Timestamp>) -> Window {
    let used_percent = (100.0 - remaining_percent).clamp(0.0, 100.0);
    Window { minutes: None, used_percent, resets_at, credits: true, ..Window::default() }
}

/// 0.40: `primary_used_percent`, `primary_window_minutes`, …; the second window was briefly called weekly.
fn flat(limits: &Value, slot: &str) -> Option<Window> {
    let used = field(limits, &format!("{slot}_used_percent"))
        .or_else(|| (slot == "secondary").then(|| field(limits, "weekly_used_percent")).flatten());
    build(used, field(limits, &format!("{slot}_window_minutes")), None)
}

fn build(used: Option<&Value>, minutes: Option<&Value>, resets_at: Option<Timestamp>) -> Option<Window> {
    let used = used?.as_f64().filter(|used| used.is_finite())?;
    window(used, minutes.and_then(number), resets_at)
}

fn window(used: f64, minutes: Option<u64>, resets_at: Option<Timestamp>) -> Option<Window> {
    let used_percent = used.clamp(0.0, 100.0);
    let minutes = minutes.filter(|minutes| *minutes > 0);
    // Codex itself drops this placeholder.
    let placeholder = used_percent == 0.0 && minutes.is_none() && resets_at.is_none();
    (!placeholder).then_some(Window { minutes, used_percent, resets_at, ..Window::default() })
}
