//! The entry's text for each system, and reading it back: text in, text out, the same on every system.
//!
//! Each module has a `render` and a `parse`, and parsing a rendered text gives the command again. Parsing never fails
//! on edited texts: a text that is not understood gives `None` or a command that differs. The templates are files of
//! `packaging/login`, which are valid entries, so that packages can ship them.

pub mod command_line;
pub mod desktop;
pub mod launch_agent;
pub mod systemd;

use super::LoginCommand;

/// The program that starts paths that a system accepts only as an argument.
const ENV: &str = "/usr/bin/env";

/// Whether `env` has to start the program, because its path has one of these characters; `None` if `env` cannot either,
/// because it takes a path with an equals sign for a variable.
fn needs_env(program: &str, special: &[char]) -> Option<bool> {
    let needs_env = program.contains(special);
    (!needs_env || !program.contains('=')).then_some(needs_env)
}

/// The command of these words, without a leading `env`.
fn command_of(mut words: impl Iterator<Item = String>) -> Option<LoginCommand> {
    let first = words.next()?;
    let program = if first == ENV { words.next()? } else { first };
    Some(LoginCommand { program, arguments: words.collect() })
}

/// The template with its command replaced, line by line: a checkout may have changed its line ends.
fn fill(template: &str, shipped: &str, command: &str) -> String {
    template.lines().flat_map(|line| [line.replace(shipped, command), "\n".to_owned()]).collect()
}

/// The value of the last line `key=value` of a text.
fn last_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    values.map(str::trim).next_back()
}

/// Whether a word needs no quotes or escapes.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|char| char.is_ascii_alphanumeric() || "/._-+:@,=".contains(char))
}

/// Splits at spaces and tabs outside quotes; a backslash escapes the next character.
fn words(line: &str, quotes: &[char]) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => word.get_or_insert_default().extend(chars.next()),
            _ if quote == Some(char) => quote = None,
            _ if quote.is_none() && quotes.contains(&char) => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            ' ' | '\t' if quote.is_none() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_outside_quotes() {
        let check = |line: &str, expected: &[&str]| assert_eq!(words(line, &['"', '\'']), expected, "{line}");
        check("", &[]);
        check("  a\tb  ", &["a", "b"]);
        check(r#""a b" '' c\ d "e'f" g"h"i"#, &["a b", "", "c d", "e'f", "ghi"]);
        check(r#""never closed"#, &["never closed"]);
        check("ends with \\", &["ends", "with", ""]);
    }

    #[test]
    fn the_last_of_several_values_counts() {
        let text = "[Service]\nExecStartPre=no\nExecStart=\n  ExecStart=b c \n#ExecStart=d";
        assert_eq!(last_value(text, "ExecStart"), Some("b c"));
        assert_eq!(last_value(text, "Exec"), None);
    }
}
