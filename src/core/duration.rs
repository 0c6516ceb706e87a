//! Durations in text: `60ms`, `5s`, `1h30m`, `12 months`.
//!
//! For the settings file and flags. Session files have formats of their own.

use std::time::Duration;

use crate::names::shortened;

/// A month is a twelfth of 365 days, so that `12 months` and `1 year` are the same length.
const MONTH: u128 = 730 * 3600 * SECOND;

/// The units: the length in nanoseconds, and every word for it.
const UNITS: &[(u128, &[&str])] = &[
    (1, &["ns"]),
    (1_000, &["us", "µs"]),
    (1_000_000, &["ms"]),
    (SECOND, &["s", "sec", "secs", "second", "seconds"]),
    (60 * SECOND, &["m", "min", "mins", "minute", "minutes"]),
    (3_600 * SECOND, &["h", "hr", "hrs", "hour", "hours"]),
    (86_400 * SECOND, &["d", "day", "days"]),
    (7 * 86_400 * SECOND, &["w", "week", "weeks"]),
    (MONTH, &["month", "months"]),
    (12 * MONTH, &["y", "year", "years"]),
];

const SECOND: u128 = 1_000_000_000;

/// Reads a duration: one or more numbers, each with its unit, added up. A number may have a fraction.
///
/// # Errors
/// The mistake, as one line for the user that begins in lowercase and does not repeat the text.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !(c.is_ascii_digit() || c == '.'));
        if number.is_empty() {
            return Err(match rest.chars().next() {
                Some('-') => "it cannot be negative".to_owned(),
                _ => "each part is a number and a unit".to_owned(),
            });
        }
        let (unit, after) = split_where(after.trim_start(), |c| !c.is_alphabetic());
        if unit.is_empty() {
            return Err(format!("no unit after {}", shortened(number, 20)));
        }
        let length = unit_length(unit).ok_or_else(|| {
            format!(
                "unknown unit `{}`; the units are ms, s, m, h, d, weeks, months, years",
                shortened(unit, 20)
            )
        })?;
        let part = times(number, length)?;
        nanoseconds = nanoseconds.checked_add(part).ok_or_else(too_long)?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(nanoseconds / SECOND).map_err(|_| too_long())?;
    let fraction = u32::try_from(nanoseconds % SECOND).map_err(|_| too_long())?;
    Ok(Duration::new(seconds, fraction))
}

fn unit_length(unit: &str) -> Option<u128> {
    let exact = |word: &str| UNITS.iter().find(|(_, names)| names.contains(&word)).map(|(length, _)| *length);
    // A single capital is not accepted: `12M` could mean minutes or months.
    exact(unit).or_else(|| exact(&unit.to_lowercase()).filter(|_| unit.len() > 1))
}

/// `number × length` with at most one fraction, exact to the nanosecond and cut below it.
fn times(number: &str, length: u128) -> Result<u128, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(format!("`{}` is not a number", shortened(number, 20)));
    }
    let whole: u128 = whole.parse().map_err(|_| too_long())?;
    let whole = whole.checked_mul(length).ok_or_else(too_long)?;
    let mut part = 0;
    let mut place = length;
    for digit in fraction.chars().filter_map(|digit| digit.to_digit(10)) {
        // The remainder of each division is below one nanosecond per digit, which is too small to matter.
        place /= 10;
        part += place * u128::from(digit);
    }
    whole.checked_add(part).ok_or_else(too_long)
}

fn too_long() -> String {
    "it is too long".to_owned()
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(ends).unwrap_or(text.len())).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_units_and_fractions() {
        let check = |text: &str, milliseconds: u64| {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        };
        check("60ms", 60);
        check("5s", 5_000);
        check("15m", 900_000);
        check("2h", 7_200_000);
        check("1h30m", 5_400_000);
        check(" 1 h 30 min ", 5_400_000);
        check("1.5h", 5_400_000);
        check("0.25s", 250);
        check("2 Minutes", 120_000);
        check("12 months", 365 * 86_400_000);
        check("1 year", 365 * 86_400_000);
        check("2 weeks", 14 * 86_400_000);
        check("0s", 0);
    }

    #[test]
    fn a_wrong_duration_gives_its_reason() {
        let check = |text: &str, message: &str| assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        check("", "it is empty");
        check("15", "no unit after 15");
        check("-5s", "it cannot be negative");
        check("soon", "each part is a number and a unit");
        check("NaN", "each part is a number and a unit");
        check("5 parsecs", "unknown unit `parsecs`; the units are ms, s, m, h, d, weeks, months, years");
        check("1.2.3s", "`1.2.3` is not a number");
        check(".s", "`.` is not a number");
        check("12M", "unknown unit `M`; the units are ms, s, m, h, d, weeks, months, years");
        check("99999999999999999999999999999999999999999999s", "it is too long");
        check("999999999999999999999 years", "it is too long");
    }
}
