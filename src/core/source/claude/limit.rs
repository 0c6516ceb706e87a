//! Recognises lines by which Claude Code reports that the plan's limit was reached.

use jiff::Timestamp;
use serde_json::Value;

use super::entry::{Blocks, Entry, decode};
use super::limits;
use crate::source::Fact;

/// The phrases of such lines in every version seen. The reset time in their text can be wrong and is not read.
const PHRASES: [&str; 5] =
    ["you've hit your", "limit reached", "out of extra usage", "usage limit", "reached your"];

/// How much of a line's text is examined, in bytes.
const LOOK: usize = 200;

/// The limit that a line reports which no model wrote. Prompts, replies and tool output are never passed here.
pub(super) fn of_line(entry: &Entry<'_>, content: &Blocks<'_>) -> Option<Fact> {
    let error = entry.error.text();
    let texts = || content.0.iter().filter_map(|block| block.text.text());
    let says_so = texts().any(|text| is_reached(text, error));
    let (until, limits) = match decode(entry.quota_limits).filter(Value::is_object) {
        Some(quota) => limits::refused(&quota, says_so)?,
        None => says_so.then(|| (texts().find_map(until), None))?,
    };
    Some(Fact::LimitReached { until, limits: limits.map(Box::new) })
}

fn is_reached(text: &str, error: Option<&str>) -> bool {
    if error.is_some_and(|error| !matches!(error, "rate_limit" | "billing_error" | "unknown")) {
        return false;
    }
    let start: String = text.chars().take(LOOK).collect::<String>().replace('’', "'").to_lowercase();
    let others = ["temporarily limiting", "not your usage limit", "context limit"];
    let has_word = start.contains("limit") || start.contains("extra usage");
    has_word
        && !others.iter().any(|phrase| start.contains(phrase))
        && PHRASES.iter().any(|phrase| start.contains(phrase))
}

/// The end of the limit, if a line has it in machine-readable form, as in the first versions: `…|1790000000`.
fn until(text: &str) -> Option<Timestamp> {
    let (_, seconds) = text.rsplit_once('|')?;
    Timestamp::from_second(seconds.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_of_the_plan_are_recognised() {
        for (text, expected) in [
            ("You've hit your session limit · resets 5:40pm (Europe/Madrid)", true),
            ("You've hit your weekly limit · resets Sep 17 at 10pm (UTC)", true),
            ("You’ve hit your Opus limit · resets Sep 17", true),
            ("You've hit your limit · resets 6pm", true),
            ("You're out of extra usage · resets 6pm", true),
            ("Monthly spend limit reached (daily; resets 6pm)", true),
            ("Claude AI usage limit reached|1790000000", true),
            ("API Error: Server is temporarily limiting requests (not your usage limit)", false),
            ("API Error: 529 Overloaded", false),
            ("API Error: Rate limit exceeded", false),
            ("Context limit reached · /compact or /clear to continue", false),
            ("Prompt is too long", false),
            ("No response requested.", false),
            ("", false),
        ] {
            assert_eq!(is_reached(text, None), expected, "{text}");
            assert_eq!(is_reached(text, Some("rate_limit")), expected, "{text}");
            assert!(!is_reached(text, Some("server_error")), "{text}");
        }
    }
}
