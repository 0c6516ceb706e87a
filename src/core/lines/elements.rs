//! Reads a JSON array of objects as lines, one per object, without holding it whole.

use super::{Line, LineBuffer};

/// Splits a stream of bytes into lines, and an array at the beginning of a line into its elements.
#[derive(Debug, Default)]
pub struct Elements {
    lines: LineBuffer,
    place: ArrayState,
}

/// The syntactic position of the next byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ArrayState {
    /// At the beginning of a line.
    #[default]
    Fresh,
    /// Inside a line.
    Line,
    /// After a bracket at the beginning of a line: an array if an object follows.
    Opened,
    /// In an array, between two objects.
    Between,
    /// In an object of an array, inside this many braces and brackets.
    Inside(u32),
    /// In a text of that object.
    Text(u32),
    /// After a backslash in a text.
    Escaped(u32),
}

impl Elements {
    /// Takes the next bytes and calls `each` for every line and every element that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(first) = bytes.first() {
            let (length, written, place) = self.place.step(*first, bytes);
            let (part, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
            self.lines.push(written.unwrap_or(part), &mut each);
            self.place = place;
            bytes = rest;
        }
    }

    /// No more bytes come: a last line without a newline is a line.
    pub fn finish(&mut self, each: impl FnMut(Line<'_>)) {
        self.lines.push(b"\n", each);
        self.place = ArrayState::Fresh;
    }
}

impl ArrayState {
    /// How many of the next bytes belong together, their replacement if there is one, and the position after them.
    /// Each byte is examined once.
    fn step(self, first: u8, bytes: &[u8]) -> (usize, Option<&'static [u8]>, Self) {
        let until = |end: Option<usize>| end.unwrap_or(bytes.len());
        match (self, first) {
            (Self::Fresh, b'[') => (1, Some(b""), Self::Opened),
            (Self::Fresh | Self::Line, _) => match memchr::memchr(b'\n', bytes) {
                Some(end) => (end + 1, None, Self::Fresh),
                None => (bytes.len(), None, Self::Line),
            },
            (Self::Opened | Self::Between, b' ' | b'\t' | b'\r' | b'\n') | (Self::Between, b',') => {
                (1, Some(b""), self)
            }
            (Self::Opened | Self::Between, b'{') => (1, None, Self::Inside(1)),
            (Self::Between, b']') => (1, Some(b""), Self::Fresh),
            // Not an array of objects: text in brackets.
            (Self::Opened, _) => (0, Some(b"["), Self::Line),
            (Self::Between, _) => (0, Some(b""), Self::Line),
            (Self::Inside(depth), b'{' | b'[') => (1, None, Self::Inside(depth.saturating_add(1))),
            (Self::Inside(1), b'}' | b']') => (1, Some(b"}\n"), Self::Between),
            (Self::Inside(depth), b'}' | b']') => (1, None, Self::Inside(depth - 1)),
            (Self::Inside(depth), b'"') => (1, None, Self::Text(depth)),
            (Self::Inside(_), b'\n') => (1, Some(b" "), self),
            (Self::Inside(_), _) => {
                let is_plain = |byte: &u8| !matches!(byte, b'{' | b'}' | b'[' | b']' | b'"' | b'\n');
                (until(bytes.iter().position(|byte| !is_plain(byte))), None, self)
            }
            (Self::Text(depth), b'"') => (1, None, Self::Inside(depth)),
            (Self::Text(depth), b'\\') => (1, None, Self::Escaped(depth)),
            // JSON texts contain no newline, so the text was broken off and a new line begins.
            (Self::Text(_) | Self::Escaped(_), b'\n') => (1, None, Self::Fresh),
            (Self::Text(_), _) => (until(memchr::memchr3(b'"', b'\\', b'\n', bytes)), None, self),
            (Self::Escaped(depth), _) => (1, None, Self::Text(depth)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the bytes, equal for chunks of any size.
    fn lines(bytes: &str) -> Vec<String> {
        let read = |size: usize| {
            let (mut elements, mut out) = (Elements::default(), Vec::new());
            let mut each = |line: Line<'_>| match line {
                Line::Whole(bytes) => out.push(String::from_utf8_lossy(bytes).into_owned()),
                line => out.push(format!("{line:?}").chars().take(8).collect()),
            };
            for chunk in bytes.as_bytes().chunks(size) {
                elements.push(chunk, &mut each);
            }
            elements.finish(&mut each);
            out
        };
        let whole = read(bytes.len().max(1));
        assert!((1..20).all(|size| read(size) == whole), "{bytes}");
        whole
    }

    #[test]
    fn an_arrays_objects_are_lines() {
        assert_eq!(lines(r#"[{"a":1},{"b":[{"c":"}],\"{"}]}]"#), [r#"{"a":1}"#, r#"{"b":[{"c":"}],\"{"}]}"#]);
        assert_eq!(lines("[\n  {\n    \"a\": 1\n  },\n  {}\n]\n"), ["{     \"a\": 1   }", "{}"]);
    }

    #[test]
    fn lines_with_brackets_stay_lines() {
        for text in ["{\"a\":[{}]}\n{}", "[debug] {x\n{}", "[]\n{}", "[1,{\n{}", "x [{\n{}"] {
            let expected: Vec<&str> = text.split('\n').collect();
            assert_eq!(lines(text), expected);
        }
    }

    #[test]
    fn arrays_and_lines_may_follow_each_other() {
        assert_eq!(lines("{\"a\":1}\n[{\"b\":1}]\n[{\"c\":1},\n{\"d\":1}] \n{\"e\":1}\n").len(), 5);
        // A break inside a text loses only that text.
        assert_eq!(lines("[{\"a\":\"b\n{\"c\":1}\n"), ["{\"a\":\"b", "{\"c\":1}"]);
    }

    #[test]
    fn a_huge_array_is_held_one_element_at_a_time() {
        let element = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
        let mut elements = Elements::default();
        let mut count = 0;
        elements.push(b"[", |_| count += 1);
        for _ in 0..3000 {
            elements.push(element.as_bytes(), |_| count += 1);
            elements.push(b",", |_| count += 1);
            assert!(elements.lines.pending.capacity() <= 16 * super::super::PREFIX);
        }
        assert_eq!(count, 3000);
    }
}
