//! Escapes text for a terminal or JSON: invisible characters and terminal controls are written as `\u009b`.
//!
//! JSON has the same escapes, so JSON that is escaped again keeps its value.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{is_inside_emoji, is_invisible};

/// The text with every control and invisible character escaped. Line breaks and tabs stay.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// The same on one line: a name with a line break must not look like two lines.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The text for a sentence: controls become spaces, and at most `most` characters are kept.
pub fn shortened(text: &str, most: usize) -> String {
    let mut left = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut short: String = left.by_ref().take(most).collect();
    if left.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

fn escape(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    let is_plain = |character| matches!(character, ' '..='~') || stays(character) || !is_harmful(character);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_seen = stays(character)
            || !is_harmful(character)
            || is_inside_emoji(&written, character, characters.peek());
        match character {
            character if is_seen => written.push(character),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '\r' => written.push_str("\\r"),
            character => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(written, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(written)
}

/// Controls of both sets, direction marks, characters without width, and breaks of lines and paragraphs.
fn is_harmful(character: char) -> bool {
    is_invisible(character) || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_text_stays_and_the_rest_is_escaped() {
        for text in ["", "plain, with a tab\tand\nlines", "naïve · – … 日本語 עברית", "👩‍👩‍👧‍👦 ❤️ 1️⃣"]
        {
            assert_eq!(escaped(text), text);
        }
        for (text, expected) in [
            ("\u{1b}[31mred\u{7}\u{8}\u{7f}", "\\u001b[31mred\\u0007\\u0008\\u007f"),
            ("\u{9b}2J\u{85}", "\\u009b2J\\u0085"),
            ("a\u{202e}cod.exe\u{2066}", "a\\u202ecod.exe\\u2066"),
            ("ze\u{200b}ro\u{feff}\u{2028}", "ze\\u200bro\\ufeff\\u2028"),
            ("tag\u{e0041}", "tag\\udb40\\udc41"),
            ("over\rwritten", "over\\rwritten"),
        ] {
            assert_eq!(escaped(text), expected);
            assert_eq!(escaped(expected), expected, "once is enough");
        }
        assert_eq!(one_line("two\nlines\t"), "two\\nlines\\t");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"na\u{9b}me": "\u{202e}\u{e0041}\u{7f}\u{0}\"\\ 👩‍👧 é"});
        let json = value.to_string();
        let written = escaped(&json);
        assert!(!written.chars().any(|character| is_harmful(character) && character != '\u{200d}'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }
}
