//! Texts in columns: measured and cut as a terminal shows them. A character takes one column, two or none.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use super::paint::{Paint, Role};

/// How many columns `text` takes.
pub(super) fn columns(text: &str) -> usize {
    text.graphemes(true).map(width_of).sum()
}

/// `text` in at most `room` columns; a cut text ends with `…`.
pub(super) fn cut(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let (mut short, mut taken) = (String::new(), 1);
    for cluster in text.graphemes(true) {
        taken += width_of(cluster);
        if taken > room {
            break;
        }
        short.push_str(cluster);
    }
    let mut short = short.trim_end().to_owned();
    if room > 0 {
        short.push('…');
    }
    short
}

/// `text` padded or cut to exactly `room` columns, aligned to the left.
pub(super) fn left(text: &str, room: usize) -> String {
    let text = cut(text, room);
    let gap = room.saturating_sub(columns(&text));
    text + &" ".repeat(gap)
}

/// `text` padded or cut to exactly `room` columns, aligned to the right.
pub(super) fn right(text: &str, room: usize) -> String {
    let text = cut(text, room);
    " ".repeat(room.saturating_sub(columns(&text))) + &text
}

/// `text` in lines of at most `room` columns, broken between words if possible.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && columns(&line) + 1 + columns(word) > room {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.iter().map(|line| cut(line, room)).collect()
}

/// A line that is built piece by piece and is never wider than its room.
#[derive(Debug)]
pub(super) struct Builder {
    spans: Vec<Span<'static>>,
    room: usize,
    paint: Paint,
}

impl Builder {
    /// An empty line for `room` columns.
    pub(super) fn new(room: usize, paint: Paint) -> Self {
        Self { spans: Vec::new(), room, paint }
    }

    /// Adds a piece, cut at the end of the line.
    pub(super) fn add(mut self, text: impl AsRef<str>, role: Role) -> Self {
        let text = cut(text.as_ref(), self.room);
        self.room -= columns(&text).min(self.room);
        let style: Style = self.paint.of(role);
        self.spans.push(Span::styled(text, style));
        self
    }

    /// How many columns are left.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// The line.
    pub(super) fn line(self) -> Line<'static> {
        Line::from(self.spans)
    }
}

fn width_of(cluster: &str) -> usize {
    Span::raw(cluster).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_columns() {
        assert_eq!(cut("agent-presence", 14), "agent-presence");
        assert_eq!(cut("agent-presence", 6), "agent…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!((cut("ab", 1), cut("ab", 0)), ("…".to_owned(), String::new()));
        assert_eq!(cut("👩‍👩‍👧‍👦 family", 5), "👩‍👩‍👧‍👦 f…");
    }

    #[test]
    fn texts_fill_their_columns() {
        for text in ["", "a", "agent-presence", "日本語", "e\u{301}te\u{301}"] {
            assert_eq!(columns(&left(text, 5)), 5, "{text}");
            assert_eq!(columns(&right(text, 5)), 5, "{text}");
        }
        assert_eq!((left("ab", 4), right("ab", 4)), ("ab  ".to_owned(), "  ab".to_owned()));
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        assert_eq!(wrapped("one two three\nhint: four", 8), ["one two", "three", "hint:", "four"]);
        assert_eq!(wrapped("unbreakable", 5), ["unbr…"]);
    }
}
