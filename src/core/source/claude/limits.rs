//! Claude Code's limits from its own files: the statusline's input, and the account's limits as last shown.
//!
//! Percentages show the used part. Windows are identified by name, not by length; only the two of the account are
//! documented.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::entry::{Raw, decode};
use crate::limits::Window;
use crate::source::value::{field, text, timestamp};
use crate::source::{Fact, LimitsFact, ObservedLimits};

/// The account's own family.
pub(super) const MAIN_FAMILY: &str = "claude";

/// The account's windows and their lengths in minutes.
const ACCOUNT: [(&str, u64); 2] = [("five_hour", 300), ("seven_day", WEEK)];

/// Weekly windows of single models, and their display names. The last one is for the models that need extra usage
/// afterwards.
const MODELS: [(&str, &str); 3] =
    [("seven_day_opus", "Opus"), ("seven_day_sonnet", "Sonnet"), ("seven_day_overage_included", "Fable")];

const WEEK: u64 = 10_080;

/// A gateway's spending limits per user: the period and its minutes.
const PERIODS: [(&str, u64); 3] = [("daily", 1_440), ("weekly", WEEK), ("monthly", 43_200)];

/// The families in an object with one field per window, the account's first. Families without windows are left out.
pub(super) fn families(limits: &Value, form: &Form) -> Vec<LimitsFact> {
    let window = |(name, minutes): (&str, u64)| form.window(field(limits, name)?, Some(minutes));
    let mut windows: Vec<Window> = ACCOUNT.into_iter().filter_map(window).collect();
    if let Some(spend) = field(limits, "spend_limit") {
        let period = text(spend, "period").unwrap_or_default();
        let minutes = PERIODS.iter().find(|(name, _)| *name == period).map(|(_, minutes)| *minutes);
        let window = form.window(spend, minutes);
        windows.extend(window.filter(|window| windows.iter().all(|known| known.minutes != window.minutes)));
    }
    let account = family(MAIN_FAMILY, None, windows);
    let models = MODELS.into_iter().map(|(key, name)| {
        family(&name.to_lowercase(), Some(name), window((key, WEEK)).into_iter().collect())
    });
    [account].into_iter().chain(models).filter(|family| !family.windows.is_empty()).collect()
}

/// The form of a window in an object.
pub(super) struct Form {
    /// The field of the used part.
    used: &'static str,
    /// The value of a full window.
    all: f64,
    /// The field of the reset.
    resets_at: &'static str,
}

/// The form in a statusline's input.
pub(super) const STATUSLINE: Form = Form { used: "used_percentage", all: 100.0, resets_at: "resets_at" };

/// The form in Claude Code's own file.
const CACHED: Form = Form { used: "utilization", all: 100.0, resets_at: "resets_at" };

/// The form in a stream's `rate_limit_info`.
const STREAM: Form = Form { used: "utilization", all: 1.0, resets_at: "resetsAt" };

impl Form {
    /// A window. A used part above the full value occurs.
    fn window(&self, window: &Value, minutes: Option<u64>) -> Option<Window> {
        let used = field(window, self.used)?;
        let used =
            used.as_f64().or_else(|| used.as_str()?.trim().parse().ok()).filter(|used| used.is_finite())?;
        // Rounded, so that a fraction gives exact percents.
        let used_percent = (used / self.all * 100.0 * 1e6).round() / 1e6;
        let resets_at = field(window, self.resets_at).and_then(reset);
        Some(Window { minutes, used_percent: used_percent.clamp(0.0, 100.0), resets_at, ..Window::default() })
    }
}

/// The facts of a stream's `rate_limit_info`.
pub(super) fn of_event(info: Raw<'_>) -> Vec<Fact> {
    let Some(info) = &decode(info) else { return Vec::new() };
    let limits_of = limits_of(info).into_iter().map(|limits| Fact::Limits(Box::new(limits)));
    let refused = refused(info, false)
        .map(|(until, limits)| Fact::LimitReached { until, limits: limits.map(Box::new) });
    limits_of.chain(refused).collect()
}

/// The used part of windows: every window since about 2.1.255, before at most one, often none.
fn limits_of(info: &Value) -> Vec<LimitsFact> {
    let every = field(info, "unifiedWindows").map(|windows| families(windows, &STREAM)).unwrap_or_default();
    let one = || {
        let (family, name, minutes) = text(info, "rateLimitType").and_then(place)?;
        Some(self::family(&family, name, vec![STREAM.window(info, Some(minutes))?]))
    };
    if every.is_empty() { Vec::from_iter(one()) } else { every }
}

/// Whether a request was refused, by the `quotaLimits` of a transcript's line or a stream's `rate_limit_info`: the
/// end of the limit, and the window that is used up. Without a status, `assumed` decides. No limit is reached while
/// extra usage pays.
pub(super) fn refused(quota: &Value, assumed: bool) -> Option<(Option<Timestamp>, Option<LimitsFact>)> {
    let is_refused = text(quota, "status").map_or(assumed, |status| !status.starts_with("allowed"));
    let pays = field(quota, "isUsingOverage").and_then(Value::as_bool) == Some(true);
    if !is_refused || pays {
        return None;
    }
    let resets_at = field(quota, "resetsAt").and_then(reset);
    let window = text(quota, "rateLimitType").and_then(place).zip(resets_at);
    let limits = window.map(|((family, name, minutes), resets_at)| {
        let window = Window {
            minutes: Some(minutes),
            used_percent: 100.0,
            resets_at: Some(resets_at),
            ..Window::default()
        };
        LimitsFact { reached: true, ..self::family(&family, name, vec![window]) }
    });
    Some((resets_at, limits))
}

/// The family and the length of the window with this name.
fn place(kind: &str) -> Option<(String, Option<&'static str>, u64)> {
    let account = ACCOUNT.iter().find(|(key, _)| *key == kind);
    let account = account.map(|(_, minutes)| (MAIN_FAMILY.to_owned(), None, *minutes));
    let model = || MODELS.iter().find(|(key, _)| *key == kind);
    account.or_else(|| model().map(|(_, name)| (name.to_lowercase(), Some(*name), WEEK)))
}

/// The account's limits in `.claude.json`, and when they were fetched. Everything else in that file (the account,
/// servers, their secrets) is not decoded.
pub fn cached(file: &[u8]) -> Option<ObservedLimits> {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(borrow, default, rename = "cachedUsageUtilization")]
        cached: Raw<'a>,
    }
    let file: File<'_> = serde_json::from_slice(file).ok()?;
    let cached = decode(file.cached)?;
    let fetched_at = field(&cached, "fetchedAtMs").and_then(timestamp)?;
    let utilization = field(&cached, "utilization")?;
    let mut families = families(utilization, &CACHED);
    for scoped in field(utilization, "limits").and_then(Value::as_array).into_iter().flatten() {
        if let Some(scoped) = model_family(scoped)
            && !families.iter().any(|known| known.family == scoped.family)
        {
            families.push(scoped);
        }
    }
    families.iter_mut().for_each(|family| family.fresh = true);
    (!families.is_empty()).then_some((fetched_at, families))
}

/// An entry of the list of limits, if it is for a model.
fn model_family(limit: &Value) -> Option<LimitsFact> {
    let model = limit.pointer("/scope/model")?;
    let name = text(model, "display_name").or_else(|| text(model, "id"))?;
    let window = Form { used: "percent", ..CACHED }.window(limit, Some(WEEK))?;
    Some(family(&name.to_lowercase(), Some(name), vec![window]))
}

fn family(family: &str, name: Option<&str>, windows: Vec<Window>) -> LimitsFact {
    LimitsFact { family: family.to_owned(), name: name.map(str::to_owned), windows, ..LimitsFact::default() }
}

fn reset(at: &Value) -> Option<Timestamp> {
    match at.as_str().and_then(|text| text.parse::<i64>().ok()) {
        Some(seconds) => timestamp(&seconds.into()),
        None => timestamp(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_key_is_read() {
        let file = br#"{
            "oauthAccount": {"emailAddress": "MARKER-SECRET"}, "projects": {"/MARKER-SECRET": 1},
            "cachedUsageUtilization": {"fetchedAtMs": 1790000000000, "accountUuid": "MARKER-SECRET", "utilization": {
                "five_hour": {"utilization": 12.0, "resets_at": "2026-09-21T17:00:00Z"},
                "seven_day": {"utilization": 40.0, "resets_at": "2026-09-25T00:00:00Z"},
                "seven_day_opus": null,
                "limits": [{"kind": "session", "percent": 12}, {"kind": "weekly_scoped", "percent": 70,
                    "resets_at": "2026-09-25T00:00:00Z",
                    "scope": {"model": {"id": "claude-fable-5-1", "display_name": "Fable"}}}]}}
        }"#;
        let (at, families) = cached(file).unwrap();
        assert_eq!(at.as_second(), 1_790_000_000);
        let windows = |index: usize| -> Vec<(Option<u64>, f64)> {
            families[index].windows.iter().map(|window| (window.minutes, window.used_percent)).collect()
        };
        assert_eq!(
            families.iter().map(|family| family.family.as_str()).collect::<Vec<_>>(),
            ["claude", "fable"]
        );
        assert_eq!(windows(0), [(Some(300), 12.0), (Some(10_080), 40.0)]);
        assert_eq!(windows(1), [(Some(10_080), 70.0)]);
        assert!(!format!("{families:?}").contains("MARKER-SECRET"));
    }

    #[test]
    fn absent_limits_stay_absent() {
        for file in [
            &b""[..],
            b"{}",
            b"not json",
            br#"{"cachedUsageUtilization":null}"#,
            br#"{"cachedUsageUtilization":{"fetchedAtMs":1,"utilization":{}}}"#,
            br#"{"cachedUsageUtilization":{"utilization":{"five_hour":{"utilization":1}}}}"#,
        ] {
            assert_eq!(cached(file), None);
        }
    }
}
