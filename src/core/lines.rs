//! Cuts a stream of bytes into complete lines, in bounded memory.
//!
//! Agents write long lines in several system calls, so the end of the readable bytes is often inside a line. A line
//! ends with a newline; at the end of a file that is no longer written, complete JSON without a newline is a line,
//! too. A line over [`LINE_LIMIT`] is never held whole: its long texts are cut while reading. If it is still too
//! long, only its first bytes are kept, which show its kind.
//! Read next: `cut` for the cutting; `elements` for arrays in place of lines; `records` for lines that are not one
//! object.

mod cut;
mod elements;
mod finder;
mod records;

pub use cut::{shorten, text_end};
pub use elements::Elements;
pub use finder::Finder;
pub use records::{Records, records};

use cut::Cut;

/// The longest line that is read whole, in bytes. Usage lines are below 2 KB, first lines below 64 KB; longer ones
/// contain images and copied context.
pub const LINE_LIMIT: usize = 1 << 20;

/// How much of a longer line is kept, in bytes.
pub const PREFIX: usize = 4 << 10;

/// One complete line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A complete line.
    Whole(&'a [u8]),
    /// A line longer than [`LINE_LIMIT`], with its long texts cut. JSON stays valid.
    Cut(&'a [u8]),
    /// The first [`PREFIX`] bytes of a line that is too long even after cutting.
    Oversized(&'a [u8]),
}

/// Splits a stream of bytes into lines.
#[derive(Debug, Clone, Default)]
pub struct LineBuffer {
    pending: Vec<u8>,
    state: State,
    /// The number of bytes since the last line's end.
    unfinished: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Inside a line that may still be within the limit.
    #[default]
    Collecting,
    /// Inside a line that is too long; `pending` has its cut form.
    Cutting(Cut),
    /// Inside a line that is too long even after cutting; `pending` has its first bytes.
    Overflowing,
    /// Inside a line whose beginning was not read.
    Discarding,
}

impl LineBuffer {
    /// Discards the current line: the next bytes begin somewhere inside a line.
    pub fn jump(&mut self) {
        self.pending = Vec::new();
        self.state = State::Discarding;
    }

    /// Takes the next bytes and calls `each` for every line that they complete. Blank lines are left out.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.unfinished = 0;
            if self.pending.is_empty() && self.state == State::Collecting && line.len() <= LINE_LIMIT {
                // The common case: a whole line inside one chunk, without a copy.
                emit(Line::Whole(line), &mut each);
                continue;
            }
            self.collect(line);
            match std::mem::take(&mut self.state) {
                State::Collecting => emit(Line::Whole(&self.pending), &mut each),
                State::Cutting(_) => emit(Line::Cut(&self.pending), &mut each),
                State::Overflowing => emit(Line::Oversized(&self.pending), &mut each),
                State::Discarding => {}
            }
            self.forget();
        }
        self.unfinished += bytes.len() as u64;
        self.collect(bytes);
    }

    /// No more bytes come for now. A last line without a newline is a line if its JSON is complete. Later bytes, with
    /// or without a newline first, do not belong to it.
    pub fn end(&mut self, mut each: impl FnMut(Line<'_>)) {
        let cut = matches!(self.state, State::Cutting(_));
        if !(cut || self.state == State::Collecting) || !records::ends_whole(&self.pending) {
            return;
        }
        emit(if cut { Line::Cut(&self.pending) } else { Line::Whole(&self.pending) }, &mut each);
        self.state = State::Collecting;
        self.unfinished = 0;
        self.forget();
    }

    /// The number of bytes at the end that belong to an unfinished line.
    pub fn unfinished(&self) -> u64 {
        self.unfinished
    }

    fn collect(&mut self, bytes: &[u8]) {
        if self.state == State::Collecting {
            if self.pending.len().saturating_add(bytes.len()) <= LINE_LIMIT {
                self.pending.extend_from_slice(bytes);
                return;
            }
            let whole = std::mem::take(&mut self.pending);
            self.state = State::Cutting(Cut::default());
            self.cut(&whole);
        }
        self.cut(bytes);
    }

    fn cut(&mut self, bytes: &[u8]) {
        let State::Cutting(cut) = &mut self.state else { return };
        if !cut.push(bytes, &mut self.pending) {
            self.pending.truncate(PREFIX);
            self.pending.shrink_to_fit();
            self.state = State::Overflowing;
        }
    }

    fn forget(&mut self) {
        if self.pending.capacity() > 16 * PREFIX {
            self.pending = Vec::new();
        } else {
            self.pending.clear();
        }
    }
}

/// Whether a line is empty. Files that were allocated ahead, or survived a crash, contain zeros.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

/// Copies of session files by other tools end lines with `\r\n`.
fn emit(line: Line<'_>, each: &mut impl FnMut(Line<'_>)) {
    match line {
        Line::Whole(bytes) => {
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if !is_blank(bytes) {
                each(Line::Whole(bytes));
            }
        }
        Line::Cut(_) | Line::Oversized(_) => each(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut buffer = LineBuffer::default();
        let mut out = Vec::new();
        for chunk in chunks {
            buffer.push(chunk, |line| {
                out.push(match line {
                    Line::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Line::Cut(bytes) => format!("cut {}", String::from_utf8_lossy(bytes)),
                    Line::Oversized(bytes) => format!("oversized {}", bytes.len()),
                });
            });
        }
        out
    }

    #[test]
    fn a_line_counts_when_its_newline_arrives() {
        assert_eq!(lines(&[b"a", b"b\nc"]), ["ab"]);
        assert_eq!(lines(&[b"a\r\n\n  \n\0\0\nb\n"]), ["a", "b"]);
    }

    #[test]
    fn a_complete_last_line_needs_no_newline() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(LINE_LIMIT));
        for (line, after, told) in [
            ("{\"a\":1}", "\n", 1),
            ("{\"a\":1}", "\r\n", 1),
            ("{\"a\":1}", "{\"b\":2}\n", 2),
            ("{\"a\":1", "}\n", 1),
            ("{\"a\":1", ",\"b\":{}}\n", 1),
            (&long, "\n", 1),
        ] {
            let (mut buffer, mut seen) = (LineBuffer::default(), 0);
            buffer.push(line.as_bytes(), |_| seen += 1);
            assert_eq!((seen, buffer.unfinished()), (0, line.len() as u64));
            buffer.end(|_| seen += 1);
            buffer.end(|_| seen += 1);
            assert_eq!(
                (seen, buffer.unfinished() == 0),
                if line.ends_with('}') { (1, true) } else { (0, false) }
            );
            buffer.push(after.as_bytes(), |_| seen += 1);
            assert_eq!((seen, buffer.unfinished()), (told, 0), "{after}");
        }
    }

    #[test]
    fn an_oversized_line_keeps_its_first_bytes_only() {
        let long = vec![b'x'; LINE_LIMIT + 1];
        assert_eq!(lines(&[&long, b"\nnext\n"]), [format!("oversized {PREFIX}"), "next".to_owned()]);
        let exact = vec![b'x'; LINE_LIMIT];
        assert_eq!(lines(&[&exact, b"\n"]).first().map(String::len), Some(LINE_LIMIT));
        let mut whole = long.clone();
        whole.extend_from_slice(b"\nnext\n");
        assert_eq!(lines(&[&whole]), [format!("oversized {PREFIX}"), "next".to_owned()]);
    }

    #[test]
    fn long_texts_are_cut_out_of_an_oversized_line() {
        let line = |text: &str| format!(r#"{{"a":"{text}","b":["{text}",1],"usage":{{"output_tokens":7}}}}"#);
        let long = line(&"x".repeat(LINE_LIMIT)) + "\n";
        let expected = format!("cut {}", line(&"x".repeat(cut::TEXT)));
        for size in [1, 7, 4096, LINE_LIMIT, 3 * LINE_LIMIT] {
            let chunks: Vec<&[u8]> = long.as_bytes().chunks(size).collect();
            assert!(lines(&chunks) == [expected.as_str()], "in chunks of {size}");
        }
    }

    #[test]
    fn after_a_jump_the_rest_of_the_line_is_dropped() {
        let mut buffer = LineBuffer::default();
        buffer.push(b"half", |_| panic!("no line yet"));
        buffer.jump();
        let mut seen = Vec::new();
        buffer.push(b"tail of something\nwhole\n", |line| seen.push(format!("{line:?}")));
        assert_eq!(seen.len(), 1);
    }
}
