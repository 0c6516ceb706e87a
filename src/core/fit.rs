//! Fits a line into Discord's limits: parts are dropped in a fixed order until the line is short enough.
//!
//! The same input gives the same bytes, independent of what was shown before.
//! Read next: [`crate::card`], whose texts all come from here.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::names::visible;
use crate::numbers::{compact, shorter};

/// The longest text that Discord takes, in UTF-16 units (`facts`: discord-rpc 2).
pub const LONGEST: usize = 128;

/// The shortest one.
pub const SHORTEST: usize = 2;

/// A part of a line that may be dropped, in the order of dropping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The session's total, and its kinds in the hover text.
    Total,
    /// The turn's tokens.
    Last,
    /// What is left of the context window.
    Context,
    /// The rate-limit window that is neither the shortest nor the weekly one, if there are three.
    ThirdWindow,
    /// The tokens of the last event.
    Delta,
    /// The shorter of two rate-limit windows, mostly `5h`.
    ShorterWindow,
    /// The last window, mostly `weekly`.
    LastWindow,
}

impl Part {
    const IN_ORDER: [Self; 7] = [
        Self::Total,
        Self::Last,
        Self::Context,
        Self::ThirdWindow,
        Self::Delta,
        Self::ShorterWindow,
        Self::LastWindow,
    ];
}

/// How much of its content a line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everything.
    Full,
    /// Everything, with shorter numbers.
    ShortNumbers,
    /// Shorter numbers, without this part and those before it.
    Without(Part),
}

impl Level {
    /// Whether the line still shows `part`.
    pub fn keeps(self, part: Part) -> bool {
        match self {
            Self::Full | Self::ShortNumbers => true,
            Self::Without(last) => part > last,
        }
    }

    /// A figure as written at this level.
    pub fn number(self, value: u64) -> String {
        if self == Self::Full { compact(value) } else { shorter(value) }
    }
}

/// The fullest form of a line that Discord accepts; `None` if it is empty.
///
/// `render` gives the line at a level. A line that is still too long without all parts is cut.
pub fn line(render: impl Fn(Level) -> String) -> Option<String> {
    let without = Part::IN_ORDER.into_iter().map(Level::Without);
    let mut text = String::new();
    for level in [Level::Full, Level::ShortNumbers].into_iter().chain(without) {
        text = visible(&render(level));
        if units(&text) <= LONGEST {
            break;
        }
    }
    if units(&text) > LONGEST {
        text = cut(&text);
    }
    match units(&text) {
        0 => None,
        // A blank would pass Discord's check, but a client that trims would lose it, and the card with it.
        SHORTEST.. => Some(text),
        _ => {
            text.push('.');
            Some(text)
        }
    }
}

/// Length in UTF-16 units, as Discord counts it.
pub fn units(text: &str) -> usize {
    // One for the first byte of each character, and one more for a character of four bytes.
    text.bytes().map(|byte| usize::from(!(0x80..0xC0).contains(&byte)) + usize::from(byte >= 0xF0)).sum()
}

/// The beginning of a text that is too long, and `…`. Cuts between grapheme clusters, and not after a space or a
/// separator.
fn cut(text: &str) -> String {
    let mut left = LONGEST - units("…");
    let mut kept: Vec<&str> = text
        .graphemes(true)
        .take_while(|cluster| {
            let fits = units(cluster) <= left;
            left = left.saturating_sub(units(cluster));
            fits
        })
        .collect();
    while kept.last().is_some_and(|cluster| matches!(*cluster, " " | "·" | "|")) {
        kept.pop();
    }
    kept.concat() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str) -> Option<String> {
        line(|_| text.to_owned())
    }

    #[test]
    fn a_line_that_fits_is_unchanged() {
        assert_eq!(fitted("Thinking").as_deref(), Some("Thinking"));
        assert_eq!(fitted(&"é".repeat(128)), Some("é".repeat(128)));
        assert_eq!(fitted(&"🦀".repeat(64)), Some("🦀".repeat(64)));
        assert_eq!(fitted("🦀").as_deref(), Some("🦀"));
    }

    #[test]
    fn an_empty_line_is_absent_and_one_unit_is_padded() {
        assert_eq!(fitted(""), None);
        assert_eq!(fitted(" \u{200B}\n"), None);
        assert_eq!(fitted("x").as_deref(), Some("x."));
        assert_eq!(fitted("猫").as_deref(), Some("猫."));
    }

    #[test]
    fn a_long_line_is_cut_between_clusters() {
        assert_eq!(fitted(&"é".repeat(129)), Some("é".repeat(127) + "…"));
        assert_eq!(fitted(&"🦀".repeat(65)), Some("🦀".repeat(63) + "…"));
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(fitted(&family.repeat(20)), Some(family.repeat(11) + "…"));
        assert_eq!(fitted(&"🇩🇪".repeat(40)), Some("🇩🇪".repeat(31) + "…"));
        assert_eq!(fitted(&"e\u{301}".repeat(100)), Some("e\u{301}".repeat(63) + "…"));
    }

    #[test]
    fn no_space_or_separator_before_the_ellipsis() {
        let text = "x".repeat(124) + " · " + &"y".repeat(20);
        assert_eq!(fitted(&text), Some("x".repeat(124) + "…"));
    }

    #[test]
    fn parts_drop_in_order_until_it_fits() {
        let longest_kept = |length: usize| {
            line(|level| {
                let kept = Part::IN_ORDER.into_iter().filter(|part| level.keeps(*part));
                kept.map(|part| format!("{part:?}") + &"-".repeat(length)).collect::<Vec<_>>().join(" ")
            })
            .unwrap_or_default()
        };
        assert!(longest_kept(0).starts_with("Total Last Context ThirdWindow Delta ShorterWindow LastWindow"));
        assert!(longest_kept(11).starts_with("Last"));
        assert!(longest_kept(13).starts_with("Context"));
        assert!(longest_kept(16).starts_with("ThirdWindow"));
        assert!(longest_kept(30).starts_with("Delta"));
        assert!(longest_kept(40).starts_with("ShorterWindow"));
        assert!(longest_kept(90).starts_with("LastWindow"));
        assert_eq!(longest_kept(200), "");
    }
}
