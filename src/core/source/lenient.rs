//! Reads JSON of an expected shape in one pass; a value of an unexpected type is ignored without losing the rest.
//!
//! serde rejects a whole line if one field has another type. So every field of a line has one of these types instead:
//! a [`Scalar`], an [`Object`], or another [`Lenient`] one.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::value;
use crate::lines::shorten;

/// A text, a number or a flag.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::source) enum Scalar<'a> {
    /// Absent, or null.
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Flag(bool),
    Whole(u64),
    /// Also a negative number.
    Float(f64),
    /// An object or a list.
    Composite,
}

impl<'a> Scalar<'a> {
    pub(in crate::source) fn is_there(&self) -> bool {
        *self != Self::Absent
    }

    /// A text that is not empty.
    pub(in crate::source) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The text as an owned value.
    pub(in crate::source) fn owned(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// Whether it is exactly this text.
    pub(in crate::source) fn is(&self, word: &str) -> bool {
        self.text() == Some(word)
    }

    /// Whether it is a text with this beginning.
    pub(in crate::source) fn begins(&self, word: &str) -> bool {
        self.text().is_some_and(|text| text.starts_with(word))
    }

    /// Whether it is a flag that is set.
    pub(in crate::source) fn flag(&self) -> bool {
        *self == Self::Flag(true)
    }

    /// A count, also one written as a float; 0 for a negative number.
    pub(in crate::source) fn number(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Float(float) => value::count(*float),
            _ => None,
        }
    }

    /// The count, 0 if absent.
    pub(in crate::source) fn count(&self) -> u64 {
        self.number().unwrap_or(0)
    }

    /// A time: RFC 3339, or epoch seconds or milliseconds as other tools write them.
    pub(in crate::source) fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Text(text) => value::parse_time(text),
            #[expect(clippy::cast_precision_loss, reason = "a time has fewer digits")]
            Self::Whole(number) => value::epoch(*number as f64),
            Self::Float(float) => value::epoch(*float),
            _ => None,
        }
    }
}

/// An object of the shape `T`; empty for any other value.
#[derive(Debug, Clone)]
pub(in crate::source) struct Object<T>(pub(super) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// The items of a list; `None` for any other value.
#[derive(Debug)]
pub(in crate::source) struct List<T>(pub(super) Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> List<T> {
    pub(in crate::source) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

impl<T> List<Object<T>> {
    /// The objects; other items are skipped.
    pub(in crate::source) fn objects(&self) -> impl Iterator<Item = &T> {
        self.iter().filter_map(|one| one.0.as_ref())
    }
}

/// The result for each type of JSON value: the default, unless a type is implemented.
pub(in crate::source) trait Lenient<'de>: Default {
    fn scalar(_: Scalar<'de>) -> Self {
        Self::default()
    }

    fn map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        IgnoredAny::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self::scalar(Scalar::Composite))
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::scalar(Scalar::Composite))
    }
}

impl<'de> Lenient<'de> for Scalar<'de> {
    fn scalar(scalar: Self) -> Self {
        scalar
    }
}

impl<'de, T: Deserialize<'de>> Lenient<'de> for Object<T> {
    fn map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Self(Some(object)))
    }
}

impl<'de, T: Deserialize<'de>> Lenient<'de> for List<T> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(Self(Some(all)))
    }
}

/// Calls a function for each object of a list; other items are skipped.
pub(in crate::source) fn each_object<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
    mut list: A,
    mut take: impl FnMut(T),
) -> Result<(), A::Error> {
    while let Some(Object(object)) = list.next_element()? {
        object.into_iter().for_each(&mut take);
    }
    Ok(())
}

/// Reads a value of any type.
pub(in crate::source) fn lenient<'de, D: Deserializer<'de>, T: Lenient<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(AnyValue(PhantomData))
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::<D, Scalar<'de>>(deserializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer)
    }
}

struct AnyValue<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> Visitor<'de> for AnyValue<T> {
    type Value = T;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::scalar(Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::scalar(Scalar::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<T, E> {
        Ok(T::scalar(Scalar::Flag(flag)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::scalar(Scalar::Whole(number)))
    }

    #[expect(clippy::cast_precision_loss, reason = "of a negative number nothing but its sign is of use")]
    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::scalar(Scalar::Float(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::scalar(Scalar::Float(number)))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::scalar(Scalar::Absent))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }
}

/// Memory for a line that has to be changed before it can be read.
#[derive(Debug, Default)]
pub(in crate::source) struct Room {
    short: Vec<u8>,
    text: String,
    repaired: String,
}

/// Reads a line, without most of its long texts.
pub(in crate::source) fn read<'a, T: Deserialize<'a>>(line: &'a [u8], room: &'a mut Room) -> Option<T> {
    /// Up to this length, in bytes, a line is read without cutting, because cutting costs more.
    const SHORT: usize = 4 << 10;
    // Files that were allocated ahead have zeros before a line.
    let zeros = line.iter().take_while(|byte| **byte == 0).count();
    let mut line = line.get(zeros..)?;
    if line.len() > SHORT && shorten(line, &mut room.short) {
        line = &room.short;
    }
    // Known text is not checked again for each field.
    let text = if let Ok(text) = std::str::from_utf8(line) {
        text
    } else {
        room.text = String::from_utf8_lossy(line).into_owned();
        &room.text
    };
    if let Ok(read) = serde_json::from_str(text) {
        return Some(read);
    }
    room.repaired = repaired(text)?;
    serde_json::from_str(&room.repaired).ok()
}

/// The line with a replacement character for each half of a surrogate pair, which a text may end with that was cut by
/// its length. `None` if there is none. Such a line is valid JSON, but its text is not valid Unicode.
fn repaired(line: &str) -> Option<String> {
    const REPLACEMENT: &[u8] = b"\\ufffd";
    let unit = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.strip_prefix(b"\\u")?.get(..4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut repaired, mut rest) = (Vec::with_capacity(line.len()), line.as_bytes());
    let mut halves = 0_usize;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        repaired.extend_from_slice(plain);
        let second = escape.get(6..).and_then(unit);
        let (kept, length) = match unit(escape) {
            Some(0xD800..=0xDBFF) if matches!(second, Some(0xDC00..=0xDFFF)) => (escape.get(..12), 12),
            Some(0xD800..=0xDFFF) => {
                halves += 1;
                (Some(REPLACEMENT), 6)
            }
            _ => (escape.get(..2).or(Some(escape)), 2),
        };
        repaired.extend_from_slice(kept.unwrap_or_default());
        rest = escape.get(length..).unwrap_or_default();
    }
    repaired.extend_from_slice(rest);
    (halves > 0).then(|| String::from_utf8(repaired).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_an_unexpected_type_loses_only_itself() {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Line<'a> {
            #[serde(borrow)]
            text: Scalar<'a>,
            #[serde(borrow)]
            object: Object<Inner<'a>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Inner<'a> {
            #[serde(borrow)]
            count: Scalar<'a>,
        }
        let values = ["null", "true", "-1", "1", "1.5", "1e400", "\"t\"", "\"\\n\"", "[1,[2]]", "{\"a\":{}}"];
        for value in values {
            let line = format!(r#"{{"object":{{"count":7}},"text":{value},"more":{value}}}"#);
            // Only a number that does not fit a float fails the whole line, as everywhere in serde_json.
            let Ok(line) = serde_json::from_str::<Line<'_>>(&line) else {
                assert_eq!(value, "1e400");
                continue;
            };
            assert_eq!(line.object.0.and_then(|inner| inner.count.number()), Some(7), "{value}");
            let text = value.starts_with('"');
            assert_eq!(line.text.text().is_some(), text, "{value}");
            let line = format!(r#"{{"object":{value},"text":"t"}}"#);
            let line: Line<'_> = serde_json::from_str(&line).unwrap();
            assert!(line.text.is("t"), "{value}");
        }
    }

    #[test]
    fn numbers_and_times() {
        let read = |text: &'static str| serde_json::from_str::<Scalar<'_>>(text).unwrap();
        for (text, number) in [("7", Some(7)), ("7.0", Some(7)), ("-7", Some(0)), ("\"7\"", None)] {
            assert_eq!(read(text).number(), number, "{text}");
        }
        let time = read("\"2026-09-01T10:00:00.000Z\"").time();
        assert!(time.is_some());
        assert_eq!(read("1788256800").time(), time);
        assert_eq!(read("1788256800000").time(), time);
        assert_eq!(read("[]").time(), None);
    }

    #[test]
    fn halves_of_pairs_are_replaced_and_nothing_else() {
        for (line, expected) in [
            (r#""\ud83c""#, Some(r#""\ufffd""#)),
            (r#""\udfae\ud83c x""#, Some(r#""\ufffd\ufffd x""#)),
            (r#""\ud83c\udfae \ud83c\n""#, Some(r#""\ud83c\udfae \ufffd\n""#)),
            (r#""\\ud83c""#, None),
            (r#""\ud83c\udfae \u00fc \\""#, None),
            (r#""\u"#, None),
            (r#""\"#, None),
        ] {
            let repaired = repaired(line);
            assert_eq!(repaired.as_deref(), expected, "{line}");
            if let Some(repaired) = repaired {
                assert!(serde_json::from_str::<String>(&repaired).is_ok(), "{line}");
            }
        }
    }
}
