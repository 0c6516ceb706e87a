//! Token figures as text: compact, with separators, and as Codex's usage line.
//!
//! The formats are Codex's own, so that a card, a log line and Codex's exit line agree (`facts`:
//! tui/src/status/helpers.rs, protocol.rs `FinalOutput`). The locale has no effect.
//! Read next: [`crate::values`], which uses them on a card.

use crate::usage::{Tokens, Triplet};

/// In descending order, so that the first one that fits is the right one.
const UNITS: [(u64, &str); 4] =
    [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")];

/// A figure in about three digits: `999`, `1.25K`, `12.3K`, `123K`, `1.9M`.
pub fn compact(value: u64) -> String {
    scaled(value, [2, 1, 0])
}

/// [`compact`] with one digit less, for lines that are too long: `1.9K`, `24K`, `123K`.
pub fn shorter(value: u64) -> String {
    scaled(value, [1, 0, 0])
}

/// A scaled number with decimals by its size: below 10, below 100, and above. The unit is chosen before rounding, as
/// Codex does: 999,999 is `1000K`.
fn scaled(value: u64, [below_ten, below_hundred, from_hundred]: [usize; 3]) -> String {
    let Some((unit, suffix)) = UNITS.into_iter().find(|(unit, _)| value >= *unit) else {
        return value.to_string();
    };
    let scaled = value as f64 / unit as f64;
    let decimals = match scaled {
        ..10.0 => below_ten,
        ..100.0 => below_hundred,
        _ => from_hundred,
    };
    let number = format!("{scaled:.decimals$}");
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number.as_str(),
    };
    format!("{number}{suffix}")
}

/// The figures of a triplet, each formatted by `number`: `+1.89K`, `24.1K`, `~46.2K`. An unknown figure is `–`.
pub fn figures(triplet: &Triplet, counting: bool, number: impl Fn(u64) -> String) -> [String; 3] {
    let about = if counting { "~" } else { "" };
    [("+", triplet.delta), ("", triplet.last), (about, triplet.total)].map(|(sign, figure)| {
        figure.map_or_else(|| "–".to_owned(), |figure| sign.to_owned() + &number(figure))
    })
}

/// The whole figure with a comma every three digits.
pub fn separated(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Codex's usage line; each figure is followed by the part that one event added.
///
/// `total` are the session's tokens after the event, `added` those of the event; `None` if the figures were restored
/// or the session has ended. The cached and reasoning parts are totals.
pub fn usage_line(total: &Tokens, added: Option<&Tokens>) -> String {
    let added = added.copied().unwrap_or_default();
    let increase = |value: u64| (value > 0).then(|| format!("+{}", separated(value)));
    let cached = (total.cached_input > 0).then(|| format!("+ {} cached", separated(total.cached_input)));
    let reasoning = (total.reasoning > 0).then(|| format!("reasoning {}", separated(total.reasoning)));
    format!(
        "Token usage: total={}{} input={}{} output={}{}",
        separated(total.blended()),
        parenthesis([increase(added.blended()), None]),
        separated(total.fresh_input()),
        parenthesis([increase(added.fresh_input()), cached]),
        separated(total.output),
        parenthesis([increase(added.output), reasoning]),
    )
}

/// The present parts, in parentheses after a space; empty if there is none.
fn parenthesis(parts: [Option<String>; 2]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: Tokens =
        Tokens { input: 40_322, cached_input: 261_760, cache_write: 0, output: 5_855, reasoning: 4_471 };
    const ADDED: Tokens =
        Tokens { input: 1_021, cached_input: 9_000, cache_write: 0, output: 872, reasoning: 600 };

    #[test]
    fn compact_is_codex_form() {
        for (value, expected) in [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1_000, "1K"),
            (1_250, "1.25K"),
            (1_893, "1.89K"),
            (1_900, "1.9K"),
            (5_855, "5.86K"),
            (9_999, "10K"),
            (12_345, "12.3K"),
            (24_112, "24.1K"),
            (99_960, "100K"),
            (123_456, "123K"),
            (261_760, "262K"),
            (272_000, "272K"),
            (999_999, "1000K"),
            (1_000_000, "1M"),
            (1_900_000, "1.9M"),
            (12_300_000_000, "12.3B"),
            (1_500_000_000_000, "1.5T"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(compact(value), expected, "{value}");
        }
    }

    #[test]
    fn shorter_has_one_digit_less() {
        for (value, expected) in [
            (999, "999"),
            (1_893, "1.9K"),
            (2_000, "2K"),
            (24_112, "24K"),
            (46_177, "46K"),
            (123_456, "123K"),
        ] {
            assert_eq!(shorter(value), expected, "{value}");
            assert!(shorter(value).len() <= compact(value).len());
        }
    }

    #[test]
    fn separated_has_a_comma_every_three_digits() {
        for (value, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (46_177, "46,177"),
            (261_760, "261,760"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(separated(value), expected);
        }
    }

    #[test]
    fn usage_line_of_an_event() {
        assert_eq!(
            usage_line(&TOTAL, Some(&ADDED)),
            "Token usage: total=46,177 (+1,893) input=40,322 (+1,021, + 261,760 cached) output=5,855 (+872, reasoning 4,471)"
        );
    }

    #[test]
    fn usage_line_of_restored_figures() {
        assert_eq!(
            usage_line(&TOTAL, None),
            "Token usage: total=46,177 input=40,322 (+ 261,760 cached) output=5,855 (reasoning 4,471)"
        );
        assert_eq!(usage_line(&TOTAL, Some(&Tokens::ZERO)), usage_line(&TOTAL, None));
    }

    #[test]
    fn usage_line_leaves_out_what_is_zero() {
        let total = Tokens { cached_input: 0, reasoning: 0, ..TOTAL };
        assert_eq!(usage_line(&total, None), "Token usage: total=46,177 input=40,322 output=5,855");
        assert_eq!(
            usage_line(&total, Some(&Tokens { output: 5, ..Tokens::ZERO })),
            "Token usage: total=46,177 (+5) input=40,322 output=5,855 (+5)"
        );
        assert_eq!(
            usage_line(&TOTAL, Some(&Tokens { input: 7, ..Tokens::ZERO })),
            "Token usage: total=46,177 (+7) input=40,322 (+7, + 261,760 cached) output=5,855 (reasoning 4,471)"
        );
        assert_eq!(usage_line(&Tokens::ZERO, None), "Token usage: total=0 input=0 output=0");
    }

    #[test]
    fn usage_line_counts_cache_writes_as_input() {
        let total = Tokens { input: 10, cache_write: 5, output: 1, ..Tokens::ZERO };
        assert_eq!(
            usage_line(&total, Some(&total)),
            "Token usage: total=16 (+16) input=15 (+15) output=1 (+1)"
        );
    }
}
