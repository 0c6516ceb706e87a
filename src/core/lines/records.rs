//! The complete objects in a line that is not one object: the remains of several lines after a crash or with two
//! writers.

use serde::de::IgnoredAny;

use super::is_blank;

/// Objects without an end are read at most this many times the line's length.
const MOST_AGAIN: usize = 16;

/// The contents of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records<'a> {
    /// Its complete objects, in order. In a torn line they may be parts of an object.
    pub objects: Vec<&'a [u8]>,
    /// Whether there is anything else.
    pub torn: bool,
    /// Whether an object at the end may still continue.
    open: bool,
}

/// Splits a line into objects.
pub fn records(line: &[u8]) -> Records<'_> {
    let (mut records, mut from, mut again) = (Records::default(), 0, 0_usize);
    let rest = |from: usize| line.get(from..).unwrap_or_default();
    while let Some(before) = memchr::memchr(b'{', rest(from)) {
        records.torn |= !is_blank(rest(from).get(..before).unwrap_or_default());
        let start = from + before;
        let mut objects = serde_json::Deserializer::from_slice(rest(start)).into_iter::<IgnoredAny>();
        match objects.next() {
            Some(Ok(_)) => {
                from = start + objects.byte_offset();
                records.objects.extend(line.get(start..from));
            }
            failed => {
                records.torn = true;
                from = start + 1;
                let syntax = failed.and_then(Result::err).filter(|error| !error.is_eof());
                records.open |= syntax.is_none();
                again += syntax.map_or(line.len(), |error| error.column());
                if again > MOST_AGAIN * line.len() {
                    return records;
                }
            }
        }
    }
    records.torn |= !is_blank(rest(from));
    records
}

/// Whether a line without a newline is complete: its last object has its end.
pub(super) fn ends_whole(line: &[u8]) -> bool {
    let end = line.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |last| last + 1);
    let line = line.get(..end).unwrap_or_default();
    if !line.ends_with(b"}") {
        return false;
    }
    let Records { objects, open, .. } = records(line);
    let whole = line.as_ptr_range().end;
    !open && objects.last().is_some_and(|object| object.as_ptr_range().end == whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, objects: &[&str], torn: bool) {
        let found = records(line.as_bytes());
        let texts: Vec<_> =
            found.objects.iter().map(|object| String::from_utf8_lossy(object).into_owned()).collect();
        assert_eq!(
            (texts, found.torn),
            (objects.iter().map(|text| (*text).to_owned()).collect(), torn),
            "{line}"
        );
    }

    #[test]
    fn complete_objects_on_one_line_are_separate_records() {
        check(r#"{"a":1}"#, &[r#"{"a":1}"#], false);
        check(r#"{"a":{"b":"}{"}}{"c":2}"#, &[r#"{"a":{"b":"}{"}}"#, r#"{"c":2}"#], false);
        check("\0\0{\"a\":1}\0 \0{\"b\":2}\0\0", &[r#"{"a":1}"#, r#"{"b":2}"#], false);
        check(r#"{"a":1}x"#, &[r#"{"a":1}"#], true);
        check("", &[], false);
        check("no json", &[], true);
    }

    #[test]
    fn a_torn_beginning_loses_only_itself() {
        let whole = r#"{"timestamp":"t","x":{"y":[1,"z\"{"]}}"#;
        let torn = r#"{"timestamp":"a\u00fc\n{","b":[1,{"c":tru"#;
        for end in 1..=torn.len() {
            if torn.is_char_boundary(end) {
                let torn = torn.split_at(end).0;
                check(&format!("{torn}{whole}"), &[whole], true);
                check(&format!("{torn}\0\0\0{whole}"), &[whole], true);
                check(&format!("{whole}{torn}"), &[whole], true);
                check(&format!("{torn}{whole}{whole}"), &[whole, whole], true);
            }
        }
    }

    #[test]
    fn an_object_without_an_end_costs_little() {
        for unit in ["{\"a\":", "{\"a\" ", "{", "{\"a\":[", "{\"a\":\""] {
            let line = unit.repeat(100_000);
            assert_eq!(records(line.as_bytes()).objects, [&b""[..]; 0], "{unit}");
        }
        let line = format!("{}{}", "{\"a\":[".repeat(60), "1,".repeat(500_000));
        assert_eq!(records(line.as_bytes()).objects, [&b""[..]; 0]);
    }

    #[test]
    fn a_line_is_whole_when_its_last_object_is() {
        for (line, whole) in [
            (r#"{"a":1}"#, true),
            (r#"{"a":1} "#, true),
            (r#"{"a":{}"#, false),
            (r#"{"a":"}"#, false),
            (r#"{"a":{"b":1}"#, false),
            (r#"{"a":"x{"b":1}"#, true),
            (r#"{"a":1}{"b""#, false),
            ("", false),
            ("}", false),
        ] {
            assert_eq!(ends_whole(line.as_bytes()), whole, "{line}");
        }
    }
}
