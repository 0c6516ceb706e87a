//! Whether one of Claude Code's own lines says that the plan's limit was reached.

/// What such lines say, of every version seen. The reset that they name can be wrong and is not read.
const PHRASES: [&str; 5] =
    ["you've hit your", "limit reached", "out of extra usage", "usage limit", "reached your"];

/// How much of a line's text is looked at.
const LOOK: usize = 200;

/// `text` and `error` are those of a line that no model wrote; prompts, replies and tool output never come here.
pub(super) fn is_reached(text: &str, error: Option<&str>) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_plan_and_nothing_else() {
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
