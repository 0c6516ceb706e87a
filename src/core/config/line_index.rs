//! Finds the line and column of a byte of the settings file.

/// The starts of lines and the continuation bytes, so that a lookup in a large file does not scan it.
pub(super) struct LineIndex {
    lines: Vec<usize>,
    inside: Vec<usize>,
}

impl LineIndex {
    pub(super) fn new(text: &str) -> Self {
        let at = |wanted: fn(u8) -> bool| {
            text.bytes().enumerate().filter(move |(_, byte)| wanted(*byte)).map(|(at, _)| at)
        };
        Self {
            lines: std::iter::once(0).chain(at(|byte| byte == b'\n').map(|at| at + 1)).collect(),
            inside: at(|byte| byte & 0xC0 == 0x80).collect(),
        }
    }

    /// Line and column of the character that begins at a byte offset, both from 1.
    pub(super) fn of(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let inside = |end| self.inside.partition_point(|byte| *byte < end);
        (line, at - start - (inside(at) - inside(start)) + 1)
    }
}

/// The key in the line at this position of a file that is not valid TOML, as far as the line shows one.
pub(super) fn key_at(text: &str, start: usize) -> Option<String> {
    let before = text.get(..start)?;
    let begin = before.rfind('\n').map_or(0, |end| end + 1);
    let (name, _) = text.get(begin..)?.lines().next()?.split_once('=')?;
    let is_name =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    let name = Some(name.trim()).filter(|name| is_name(name))?;
    let header = text.get(..begin)?.lines().rev().find(|line| line.trim_start().starts_with('['));
    let table = header.map(|line| line.trim().trim_matches(['[', ']'])).filter(|table| is_name(table));
    Some(table.map(|table| format!("{table}.{name}")).unwrap_or_else(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigContext, Effective};

    #[test]
    fn positions_are_lines_and_characters() {
        let text = "a\nné = 1\n\n日本 = \"x\"\nend";
        let index = LineIndex::new(text);
        for (at, _) in text.char_indices() {
            let before = text.get(..at).unwrap();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            assert_eq!(index.of(at), (line, column), "{at}");
        }
    }

    /// Asserts that thousands of rules and of wrong lines, also in one line, are read in well under a second each.
    #[test]
    fn reading_a_large_file_takes_linear_time() {
        let of = |count: usize, line: fn(usize) -> String| (0..count).map(line).collect::<String>();
        let rules = of(10_000, |at| format!("[[privacy.rule]]\npath = \"/work/{at}/**\"\nshow = \"hide\"\n"));
        let wrong = of(20_000, |at| format!("key{at} = {at}\n"));
        let list = of(10_000, |at| format!("{{path = \"/é{at}\", show = \"hid\"}}, "));
        let list = format!("[privacy]\nrule = [{list}]\n");
        for (text, rules, issues) in [(rules, 10_000, 0), (wrong, 0, 20_000), (list, 10_000, 10_000)] {
            let read = Effective::read(&text, &ConfigContext::default());
            assert_eq!((read.settings.privacy.rules.len(), read.issues.len()), (rules, issues));
        }
    }
}
