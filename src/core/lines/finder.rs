//! Finds a text in a stream of bytes, independent of the chunks.

use memchr::memmem;

/// Searches for a text.
#[derive(Debug)]
pub struct Finder<'a> {
    text: &'a [u8],
    /// The last bytes of the earlier chunks, in which the text may begin.
    end: Vec<u8>,
    found: bool,
}

impl<'a> Finder<'a> {
    /// Starts without bytes.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, end: Vec::new(), found: false }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.found {
            return;
        }
        let overlap = self.text.len().saturating_sub(1);
        self.end.extend_from_slice(bytes.get(..overlap).unwrap_or(bytes));
        let is_in = |bytes: &[u8]| memmem::find(bytes, self.text).is_some();
        self.found = is_in(&self.end) || is_in(bytes);
        if bytes.len() >= overlap {
            self.end.clear();
            self.end.extend_from_slice(bytes.get(bytes.len() - overlap..).unwrap_or_default());
        } else {
            let surplus = self.end.len().saturating_sub(overlap);
            self.end.drain(..surplus);
        }
    }

    /// Whether the text was found so far.
    pub fn has_found(&self) -> bool {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_do_not_matter() {
        for (bytes, expected) in
            [("xxneedlexx", true), ("needle", true), ("needl", false), ("neneedle", true), ("", false)]
        {
            for size in 1..=10 {
                let mut finder = Finder::new(b"needle");
                bytes.as_bytes().chunks(size).for_each(|chunk| finder.push(chunk));
                assert_eq!(finder.has_found(), expected, "{bytes} in pieces of {size}");
            }
        }
    }
}
