//! Claude Code's limits as its own files hold them: what a statusline is told, and what it last showed of the account.
//!
//! Percentages are of use. Windows are known by name and not by length; only the two of the account are documented.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::entry::{Raw, decode};
use crate::core::activity::Agent;
use crate::core::limits::{Snapshot, Window, main_family};
use crate::core::source::LimitsFact;
use crate::core::source::value::{field, text, timestamp};

/// The account's windows and their lengths in minutes.
const ACCOUNT: [(&str, u64); 2] = [("five_hour", 300), ("seven_day", WEEK)];

/// Weekly windows of single models, and what people call them.
const MODELS: [(&str, &str); 2] = [("seven_day_opus", "Opus"), ("seven_day_sonnet", "Sonnet")];

const WEEK: u64 = 10_080;

/// The families in an object that has one field per window, each with its use under `percent`. The account's comes first;
/// families without windows are left out.
pub(super) fn families(limits: &Value, percent: &str) -> Vec<LimitsFact> {
    let window = |(name, minutes): (&str, u64)| {
        let window = field(limits, name)?;
        build(field(window, percent)?, minutes, field(window, "resets_at"))
    };
    let account = family(main_family(Agent::Claude), None, ACCOUNT.into_iter().filter_map(window).collect());
    let models = MODELS.into_iter().map(|(key, name)| {
        family(&name.to_lowercase(), Some(name), window((key, WEEK)).into_iter().collect())
    });
    [account].into_iter().chain(models).filter(|family| !family.windows.is_empty()).collect()
}

/// What `.claude.json` keeps of the account's limits, and when it was fetched. Everything else in that file (the account,
/// servers, their secrets) is passed over unread.
pub fn cached(file: &[u8]) -> Option<(Timestamp, Vec<LimitsFact>)> {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(borrow, default, rename = "cachedUsageUtilization")]
        cached: Raw<'a>,
    }
    let file: File<'_> = serde_json::from_slice(file).ok()?;
    let cached = decode(file.cached)?;
    let fetched_at = field(&cached, "fetchedAtMs").and_then(timestamp)?;
    let utilization = field(&cached, "utilization")?;
    let mut families = families(utilization, "utilization");
    for scoped in field(utilization, "limits").and_then(Value::as_array).into_iter().flatten() {
        if let Some(scoped) = model_family(scoped)
            && !families.iter().any(|known| known.family == scoped.family)
        {
            families.push(scoped);
        }
    }
    (!families.is_empty()).then_some((fetched_at, families))
}

/// One entry of the list of limits, where it is a model's.
fn model_family(limit: &Value) -> Option<LimitsFact> {
    let model = limit.pointer("/scope/model")?;
    let name = text(model, "display_name").or_else(|| text(model, "id"))?;
    let window = build(field(limit, "percent")?, WEEK, field(limit, "resets_at"))?;
    Some(family(&name.to_lowercase(), Some(name), vec![window]))
}

/// What was said of a family at `observed_at`, as the book of limits takes it.
pub fn snapshot(
    limits: LimitsFact,
    home: &Arc<str>,
    observed_at: Timestamp,
    source_session: Option<String>,
) -> Snapshot {
    let LimitsFact { family, name, plan, windows, .. } = limits;
    Snapshot {
        agent: Agent::Claude,
        home: Arc::clone(home),
        family,
        name,
        plan,
        observed_at,
        source_session,
        windows,
    }
}

fn family(family: &str, name: Option<&str>, windows: Vec<Window>) -> LimitsFact {
    let (family, name) = (family.to_owned(), name.map(str::to_owned));
    LimitsFact { family, name, plan: None, reached: false, windows }
}

/// A window; more than all has been seen as its use.
fn build(used: &Value, minutes: u64, resets_at: Option<&Value>) -> Option<Window> {
    let used =
        used.as_f64().or_else(|| used.as_str()?.trim().parse().ok()).filter(|used| used.is_finite())?;
    let resets_at = resets_at.and_then(|at| match at.as_str().and_then(|text| text.parse::<i64>().ok()) {
        Some(seconds) => timestamp(&seconds.into()),
        None => timestamp(at),
    });
    Some(Window { minutes: Some(minutes), used_percent: used.clamp(0.0, 100.0), resets_at })
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
    fn what_is_absent_is_absent() {
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
