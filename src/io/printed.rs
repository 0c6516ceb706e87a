//! Output for terminals: everything that the program prints is written through here.
//!
//! Project names, paths, errors and ids come from files of other programs, and a terminal carries out escape sequences.
//! So invisible characters are escaped; see [`escaped`]. Files and pipes get the same text, because they are read in
//! terminals, too. The copy of `tap` is not changed.

use std::fmt::Display;
use std::io::{self, Write};

use crate::core::names::{escaped, one_line};
use crate::error::{Exit, Failure};

/// Writes a message to standard error, with its line break. If standard error is closed, the command continues.
pub fn note(err: &mut dyn Write, text: impl Display) {
    let _ = write!(err, "{text}").and_then(|()| err.flush());
}

/// The result of a command that only writes: a reader that has gone (`| head`) is not a failure.
///
/// # Errors
/// The output could not be written.
pub fn written(result: io::Result<()>) -> Result<Exit, Failure> {
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::new(format!("could not write the output: {error}"))),
    }
}

/// Standard output or standard error, for texts and JSON of any number of lines.
#[derive(Debug)]
pub struct TerminalWriter<W> {
    to: W,
    /// The beginning of a character whose end has not come.
    begun: Vec<u8>,
}

impl<W: Write> TerminalWriter<W> {
    /// Prints to `to`.
    pub fn new(to: W) -> Self {
        Self { to, begun: Vec::new() }
    }
}

impl<W: Write> Write for TerminalWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let (text, after) = match str::from_utf8(rest) {
                Ok(text) => (text, &[][..]),
                Err(error) => {
                    let (whole, after) = rest.split_at_checked(error.valid_up_to()).unwrap_or_default();
                    (str::from_utf8(whole).unwrap_or_default(), after)
                }
            };
            self.to.write_all(escaped(text).as_bytes())?;
            rest = match str::from_utf8(after).map_err(|error| error.error_len()) {
                Ok(_) => &[],
                Err(None) => {
                    self.begun = after.to_vec();
                    &[]
                }
                Err(Some(length)) => {
                    self.to.write_all("\u{fffd}".as_bytes())?;
                    after.get(length..).unwrap_or_default()
                }
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A log; each write is one event and becomes one line.
#[derive(Debug)]
pub struct LogLines<W> {
    to: W,
    /// Whether colour sequences are kept.
    colour: bool,
}

impl<W: Write> LogLines<W> {
    /// Writes to `to`.
    pub fn new(to: W, colour: bool) -> Self {
        Self { to, colour }
    }

    /// Where the lines go.
    pub fn to(&mut self) -> &mut W {
        &mut self.to
    }
}

impl<W: Write> Write for LogLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut line = log_line(text.strip_suffix('\n').unwrap_or(&text), self.colour);
        line.push('\n');
        self.to.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn log_line(text: &str, colour: bool) -> String {
    let text = text.replace("\nhint: ", "; hint: ");
    let mut parts = text.split('\u{1b}');
    let mut line = one_line(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let is_colour = colour && is_colour(part);
        line.push_str(if is_colour { "\u{1b}" } else { "\\u001b" });
        line.push_str(&one_line(part));
    }
    line
}

/// Whether the text after an escape is a colour or weight and nothing else.
fn is_colour(after: &str) -> bool {
    after.strip_prefix('[').and_then(|codes| codes.split_once('m')).is_some_and(|(codes, _)| {
        codes.len() <= 5 && codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(writes: &[&[u8]]) -> String {
        let mut out = TerminalWriter::new(Vec::new());
        writes.iter().for_each(|bytes| out.write_all(bytes).unwrap());
        String::from_utf8(out.to).unwrap()
    }

    #[test]
    fn characters_are_escaped_in_chunks_of_any_size() {
        assert_eq!(printed(&["é日本\u{9b}".as_bytes()]), "é日本\\u009b");
        let text = "a\u{202e}é\u{9b}b";
        let bytes: Vec<[u8; 1]> = text.bytes().map(|byte| [byte]).collect();
        let one_by_one: Vec<&[u8]> = bytes.iter().map(|byte| byte.as_slice()).collect();
        assert_eq!(printed(&one_by_one), "a\\u202eé\\u009bb");
        // A terminal without UTF-8 takes this byte for the control character itself.
        assert_eq!(printed(&[b"a\x9b2Jb\xffc"]), "a\u{fffd}2Jb\u{fffd}c");
    }

    #[test]
    fn an_event_is_one_line_and_only_colours_are_kept() {
        let line = |text: &str, colour| {
            let mut log = LogLines::new(Vec::new(), colour);
            log.write_all(text.as_bytes()).unwrap();
            String::from_utf8(log.to).unwrap()
        };
        assert_eq!(line("one\n", false), "one\n");
        assert_eq!(line("two\n2026 INFO forged\n", false), "two\\n2026 INFO forged\n");
        assert_eq!(line("settings: wrong\nhint: mend\n", false), "settings: wrong; hint: mend\n");
        assert_eq!(line("\u{1b}[2m12:00\u{1b}[0m \u{1b}[2J\n", true), "\u{1b}[2m12:00\u{1b}[0m \\u001b[2J\n");
        assert_eq!(line("\u{1b}[2m\u{9b}31m\n", false), "\\u001b[2m\\u009b31m\n");
    }
}
