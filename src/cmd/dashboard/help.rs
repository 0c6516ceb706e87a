//! The help: keys and marks.

use ratatui::text::Line;

use super::paint::{Paint, Role};
use super::text::{Builder, left};

const KEYS: [(&str, &str); 9] = [
    ("q, Esc", "quit"),
    ("p", "pause, or end the pause"),
    ("↑ ↓, j k", "scroll the sessions"),
    ("▸", "is on the card"),
    ("↳", "a sub-agent's session"),
    ("+a|b|c", "tokens: latest, turn, session"),
    ("~", "still being counted"),
    ("–", "not known"),
    ("bars", "good > 60%, fair > 30%, low"),
];

/// The lines of the help.
pub(super) fn lines(width: usize, paint: Paint) -> Vec<Line<'static>> {
    let mut lines = vec![Builder::new(width, paint).add("Help: any key closes it", Role::Strong).line()];
    for (what, meaning) in KEYS {
        let line = Builder::new(width, paint).add(left(what, 9), Role::Strong).add(meaning, Role::Plain);
        lines.push(line.line());
    }
    lines
}
