//! The input of Claude Code's statusline command: the only place where it reports its limits.
//!
//! Only the parts of the documented object (2.1.240) that are shown are kept, also on disk. Limits are often absent:
//! they come since 2.1.80, after the first answer, and only for some accounts.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::{STATUSLINE, families};
use crate::limits::Snapshot;
use crate::source::Agent;
use crate::source::LimitsFact;
use crate::source::value::{field, number, text};

/// The longest session id that may name a file.
const LONGEST_ID: usize = 64;

/// One call of the statusline command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statusline {
    /// When the command was called.
    pub captured_at: Timestamp,
    /// The session id; safe as a file name.
    pub session_id: String,
    /// The path of its transcript.
    pub transcript_path: Option<String>,
    /// The working folder.
    pub cwd: Option<String>,
    /// The model's id, with the mark of a large window if it has one.
    pub model: Option<String>,
    /// The model's display name.
    pub model_name: Option<String>,
    /// Claude Code's version.
    pub version: Option<String>,
    /// The reasoning effort.
    pub effort: Option<String>,
    /// Whether the fast mode is on.
    pub fast_mode: bool,
    /// The size of the context window in tokens.
    pub context_window: Option<u64>,
    /// The tokens in it: the whole input of the last answer.
    pub context_used: Option<u64>,
    /// Claude Code's estimate of the session's cost, in dollars.
    pub cost_usd: Option<f64>,
    /// The limits, the account's first; empty if there are none.
    pub limits: Vec<LimitsFact>,
}

impl Statusline {
    /// Reads the whole input; `None` if it is not Claude Code's, or names no session.
    pub fn read(input: &[u8], captured_at: Timestamp) -> Option<Self> {
        let input: Value = serde_json::from_slice(input).ok()?;
        let part = |value: &Value, path: &str, name: &str| value.get(path).and_then(|part| owned(part, name));
        let session_id = text(&input, "session_id").filter(|id| is_safe(id))?.to_owned();
        let context = field(&input, "context_window");
        let context_window =
            context.and_then(|context| field(context, "context_window_size").and_then(number));
        Some(Self {
            captured_at,
            session_id,
            transcript_path: owned(&input, "transcript_path"),
            cwd: owned(&input, "cwd").or_else(|| part(&input, "workspace", "current_dir")),
            model: part(&input, "model", "id"),
            model_name: part(&input, "model", "display_name"),
            version: owned(&input, "version"),
            effort: part(&input, "effort", "level"),
            fast_mode: input.get("fast_mode").and_then(Value::as_bool).unwrap_or(false),
            context_window,
            context_used: context.and_then(|context| used(context, context_window)),
            cost_usd: input.pointer("/cost/total_cost_usd").and_then(Value::as_f64),
            limits: field(&input, "rate_limits")
                .map(|limits| families(limits, &STATUSLINE))
                .unwrap_or_default(),
        })
    }

    /// The limits for the book of limits.
    pub fn snapshots(&self, home: &Arc<str>) -> Vec<Snapshot> {
        let session = Some(self.session_id.clone());
        let report =
            |limits: LimitsFact| limits.report(Agent::CLAUDE, home, self.captured_at, session.clone());
        self.limits.iter().cloned().map(report).collect()
    }
}

/// Whether an id is safe as a file name.
fn is_safe(id: &str) -> bool {
    id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn owned(value: &Value, name: &str) -> Option<String> {
    text(value, name).map(str::to_owned)
}

/// The sum of the last answer's input, else the share of the window; older totals were of the whole session.
fn used(context: &Value, size: Option<u64>) -> Option<u64> {
    if let Some(usage) = field(context, "current_usage") {
        let parts = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
        let parts = parts.map(|name| field(usage, name).and_then(number));
        if parts.iter().any(Option::is_some) {
            return Some(parts.into_iter().flatten().fold(0, u64::saturating_add));
        }
    }
    let percent = field(context, "used_percentage").and_then(Value::as_f64)?;
    #[expect(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
    let tokens = size? as f64 * percent.clamp(0.0, 100.0) / 100.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not below 0, not above the window"
    )]
    let tokens = tokens.round() as u64;
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn the_documented_statusline_input_is_read() {
        let input = br#"{"cwd":"/p","session_id":"11111111-1111-4111-8111-111111111111","session_name":"MARKER-SECRET",
            "transcript_path":"/h/x.jsonl","model":{"id":"claude-opus-5[1m]","display_name":"Opus 5"},
            "workspace":{"current_dir":"/p","project_dir":"/p"},"version":"2.1.240","cost":{"total_cost_usd":0.01},
            "context_window":{"total_input_tokens":15500,"context_window_size":200000,"used_percentage":8,
              "current_usage":{"input_tokens":8500,"output_tokens":1200,"cache_creation_input_tokens":5000,"cache_read_input_tokens":2000}},
            "fast_mode":false,"effort":{"level":"high"},
            "rate_limits":{"five_hour":{"used_percentage":23.5,"resets_at":1790000000},"seven_day":{"used_percentage":105,"resets_at":1790400000}},
            "pr":{"number":1,"url":"MARKER-SECRET"}}"#;
        let line = Statusline::read(input, NOW).unwrap();
        assert_eq!(line.model.as_deref(), Some("claude-opus-5[1m]"));
        assert_eq!((line.context_used, line.context_window), (Some(15_500), Some(200_000)));
        let snapshots = line.snapshots(&"home".into());
        let [main] = snapshots.as_slice() else { panic!("{snapshots:?}") };
        let windows: Vec<_> = main.windows.iter().map(|w| (w.minutes, w.used_percent)).collect();
        assert_eq!(
            (main.family.as_str(), windows),
            ("claude", vec![(Some(300), 23.5), (Some(10_080), 100.0)])
        );
        let kept = serde_json::to_string(&line).unwrap();
        assert!(!kept.contains("MARKER-SECRET"));
        assert_eq!(serde_json::from_str::<Statusline>(&kept).unwrap(), line);
    }

    #[test]
    fn older_and_sparser_statusline_inputs_are_read() {
        for (input, windows, used) in [
            (r#"{"session_id":"a"}"#, 0, None),
            (
                r#"{"session_id":"a","rate_limits":null,"context_window":{"current_usage":null,"used_percentage":null}}"#,
                0,
                None,
            ),
            (
                r#"{"session_id":"a","rate_limits":{"seven_day":{"used_percentage":"41.2","resets_at":"1790400000"}}}"#,
                1,
                None,
            ),
            (r#"{"session_id":"a","rate_limits":{"five_hour":{"resets_at":1}}}"#, 0, None),
            (
                r#"{"session_id":"a","context_window":{"context_window_size":200000,"used_percentage":50}}"#,
                0,
                Some(100_000),
            ),
        ] {
            let line = Statusline::read(input.as_bytes(), NOW).unwrap();
            let found: usize = line.limits.iter().map(|family| family.windows.len()).sum();
            assert_eq!((found, line.context_used), (windows, used), "{input}");
        }
    }

    #[test]
    fn other_input_is_not_a_statusline() {
        for input in [
            "",
            "null",
            "[]",
            "{",
            "garbage",
            r#"{"session_id":""}"#,
            r#"{"session_id":"../x"}"#,
            r#"{"session_id":7}"#,
        ] {
            assert_eq!(Statusline::read(input.as_bytes(), NOW), None, "{input}");
        }
    }
}
