//! Cuts the long texts of a JSON line while reading it, so that a short JSON line is left.
//!
//! It parses only strings and escapes: every byte outside of strings is kept.

/// How much of a text is kept, in bytes: enough to recognise the line.
pub(super) const TEXT: usize = 512;

/// The maximum length of the cut line, in bytes.
const MOST: usize = 64 << 10;

/// Replaces `out` by a line with its long texts cut; false if it is still too long.
pub fn shorten(line: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    out.reserve(line.len().min(4 * TEXT));
    Cut::default().push(line, out)
}

/// The state of the cutting between two bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cut {
    place: TextState,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum TextState {
    /// Outside of any text.
    #[default]
    Between,
    /// Inside a text of which this many bytes were kept.
    Text(usize),
    /// The same, after a backslash.
    Escape(usize),
    /// The same, before this many digits of an escape.
    Digits(usize, u8),
    /// Inside a text after its kept part.
    Rest,
    /// The same, after a backslash.
    RestEscape,
}

impl Cut {
    /// Appends the kept part of the next bytes to `out`; false if it is too long.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> bool {
        while let Some((first, after)) = bytes.split_first() {
            if out.len() >= MOST {
                return false;
            }
            match self.place {
                TextState::Between => {
                    let quote = memchr::memchr(b'"', bytes);
                    let (kept, rest) = bytes.split_at(quote.map_or(bytes.len(), |at| at + 1));
                    out.extend_from_slice(kept.get(..MOST).unwrap_or(kept));
                    if kept.len() > MOST {
                        return false;
                    }
                    if quote.is_some() {
                        self.place = TextState::Text(0);
                    }
                    bytes = rest;
                }
                TextState::Text(kept) if kept < TEXT => {
                    let near = bytes.get(..TEXT - kept).unwrap_or(bytes);
                    let special = memchr::memchr2(b'"', b'\\', near);
                    let (plain, rest) = bytes.split_at(special.unwrap_or(near.len()));
                    out.extend_from_slice(plain);
                    bytes = rest;
                    self.place = TextState::Text(kept + plain.len());
                    if let Some((special, after)) = rest.split_first().filter(|_| special.is_some()) {
                        let kept = kept + plain.len() + 1;
                        self.place =
                            if *special == b'"' { TextState::Between } else { TextState::Escape(kept) };
                        out.push(*special);
                        bytes = after;
                    }
                }
                // A text is cut only before the first byte of a character.
                TextState::Text(_) if matches!(first, 0x80..=0xBF) => {
                    out.push(*first);
                    bytes = after;
                }
                TextState::Text(_) => self.place = TextState::Rest,
                TextState::Escape(kept) => {
                    self.place = if *first == b'u' {
                        TextState::Digits(kept + 1, 4)
                    } else {
                        TextState::Text(kept + 1)
                    };
                    out.push(*first);
                    bytes = after;
                }
                // A byte that is not a digit ends the escape and is treated as text.
                TextState::Digits(kept, left) if left > 0 && first.is_ascii_hexdigit() => {
                    self.place = TextState::Digits(kept + 1, left - 1);
                    out.push(*first);
                    bytes = after;
                }
                TextState::Digits(kept, _) => self.place = TextState::Text(kept),
                TextState::Rest => {
                    if let Some(end) = text_end(bytes) {
                        out.push(b'"');
                        self.place = TextState::Between;
                        bytes = bytes.get(end + 1..).unwrap_or_default();
                    } else {
                        if ends_escaped(bytes, bytes.len()) {
                            self.place = TextState::RestEscape;
                        }
                        bytes = &[];
                    }
                }
                TextState::RestEscape => {
                    self.place = TextState::Rest;
                    bytes = after;
                }
            }
        }
        true
    }
}

/// The position of the quote that ends the text continued by these bytes.
///
/// In code and output most quotes are escaped, and a check of each costs more than a check of a block at once.
pub fn text_end(bytes: &[u8]) -> Option<usize> {
    let end_in = |from: usize, to: usize| {
        let quotes = memchr::memchr_iter(b'"', bytes.get(from..to).unwrap_or_default());
        quotes.map(|quote| from + quote).find(|quote| !ends_escaped(bytes, *quote))
    };
    let (quote, backslash) = (Block::splat(b'"'), Block::splat(b'\\'));
    let (mut from, mut before) = (0, 0);
    while let Some(block) = bytes.get(from..).and_then(<[u8]>::first_chunk) {
        let block = Block::new(*block);
        let quotes = block.simd_eq(quote).to_bitmask();
        let backslashes = block.simd_eq(backslash).to_bitmask();
        // After one backslash, but not after two.
        let escaped = (backslashes << 1 | before >> 31) & !(backslashes << 2 | before >> 30);
        if quotes & !escaped != 0
            && let Some(end) = end_in(from, from + BLOCK)
        {
            return Some(end);
        }
        (from, before) = (from + BLOCK, backslashes);
    }
    end_in(from, bytes.len())
}

/// How many bytes of a text are examined at once, a bit of a mask for each.
const BLOCK: usize = 32;
type Block = wide::u8x32;

/// Whether the byte at `end` belongs to an escape.
fn ends_escaped(text: &[u8], end: usize) -> bool {
    let before = text.get(..end).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_neither_inside_a_character_nor_inside_an_escape() {
        for inside in ["x", "ü", "🎮", r#"\""#, r"\\", r"\n", r"\u00fc", r"\ud83c\udfae"] {
            for before in 0..16 {
                let text = format!("{}{}", "x".repeat(before), inside.repeat(2 * TEXT));
                let line = format!(r#"{{"text":"{text}","after":[1,"{inside}"]}}"#);
                let mut short = Vec::new();
                assert!(shorten(line.as_bytes(), &mut short));
                assert!(short.len() < TEXT + 64, "{inside} after {before}");
                assert!(short.ends_with(format!(r#"","after":[1,"{inside}"]}}"#).as_bytes()));
                assert!(std::str::from_utf8(&short).is_ok());
                if !inside.starts_with(r"\ud83c") {
                    assert!(
                        serde_json::from_slice::<serde_json::Value>(&short).is_ok(),
                        "{inside} after {before}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_text_ends_at_its_first_unescaped_quote() {
        let plain = |bytes: &[u8]| memchr::memchr_iter(b'"', bytes).find(|end| !ends_escaped(bytes, *end));
        for unit in [r#"\""#, r#"x\""#, r"\\", r"\x", r#"\\\""#, "x"] {
            for before in 0..4 * BLOCK + 8 {
                let escapes = "\\".repeat(before % 4);
                let text = format!("{}{escapes}\"{}", unit.repeat(before), unit.repeat(40));
                for from in 0..4 {
                    let bytes = text.as_bytes().get(from..).unwrap_or_default();
                    assert_eq!(text_end(bytes), plain(bytes), "{unit} {before} {from}");
                }
            }
        }
    }

    #[test]
    fn a_line_with_many_texts_is_still_too_long() {
        let line = "\"x\",".repeat(MOST);
        assert!(!shorten(line.as_bytes(), &mut Vec::new()));
    }
}
