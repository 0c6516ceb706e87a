//! The desktop autostart entry.
//!
//! From the Desktop Entry Specification, "The Exec key": a value is a string with escapes of its own, and the arguments
//! inside it have theirs, so a backslash in a path becomes four.

use super::{ENV, command_of, fill, is_plain, last_value, needs_env, words};
use crate::io::autostart::LoginCommand;

const TEMPLATE: &str = include_str!("../../../../packaging/login/agent-presence.desktop");
const SHIPPED: &str = "/usr/bin/agent-presence run";

/// GLib looks for the program before it replaces `%%` by a percent sign.
const SPECIAL: [char; 1] = ['%'];

/// The entry's text; `None` if a desktop cannot start a program at this path.
pub fn render(command: &LoginCommand) -> Option<String> {
    let env = needs_env(&command.program, &SPECIAL)?.then(|| ENV.to_owned());
    let line: Vec<String> = env.into_iter().chain(command.words().map(quoted)).collect();
    Some(fill(TEMPLATE, SHIPPED, &line.join(" ").replace('\\', "\\\\")))
}

/// The command that an entry starts.
pub fn parse(entry: &str) -> Option<LoginCommand> {
    let line = without_escapes(last_value(entry, "Exec")?);
    command_of(words(&line, &['"']).into_iter().map(|word| word.replace("%%", "%")))
}

/// Whether a desktop's settings switched the entry off.
pub fn is_switched_off(entry: &str) -> bool {
    last_value(entry, "Hidden") == Some("true")
        || last_value(entry, "X-GNOME-Autostart-enabled") == Some("false")
}

fn quoted(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    for char in word.chars() {
        match char {
            '"' | '`' | '$' | '\\' => quoted.extend(['\\', char]),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// A value of the type `string`, with its escapes resolved.
fn without_escapes(value: &str) -> String {
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('s') => plain.push(' '),
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            other => plain.extend(other),
        }
    }
    plain
}
