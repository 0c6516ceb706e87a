//! The systemd user unit.
//!
//! `systemd.service(5)`, "Command lines": words are split outside quotes, `%` begins a specifier everywhere and
//! `$` a variable in the arguments, though not in the program's own path.

use super::{ENV, command_of, fill, is_plain, last_value, needs_env, words};
use crate::io::autostart::LoginCommand;

const TEMPLATE: &str = include_str!("../../../../packaging/login/agent-presence.service");
const SHIPPED: &str = "/usr/bin/agent-presence run";

/// systemd refuses quotes and backslashes in a program's path ("contains special characters"), and takes a dollar sign
/// for a variable when it makes the process's name from the path.
const SPECIAL: [char; 4] = ['"', '\'', '\\', '$'];

/// The unit's text; `None` if systemd cannot start a program at this path.
pub fn render(command: &LoginCommand) -> Option<String> {
    let needs_env = needs_env(&command.program, &SPECIAL)?;
    let env = needs_env.then(|| ENV.to_owned());
    let program = quoted(&command.program, needs_env);
    let arguments = command.arguments.iter().map(|argument| quoted(argument, true));
    let line: Vec<String> = env.into_iter().chain([program]).chain(arguments).collect();
    Some(fill(TEMPLATE, SHIPPED, &line.join(" ")))
}

/// The command that a unit starts.
pub fn parse(unit: &str) -> Option<LoginCommand> {
    let line = last_value(unit, "ExecStart")?.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let words = words(line, &['"', '\'']).into_iter().map(|word| word.replace("%%", "%"));
    // The program's path has no escaped dollar signs.
    command_of(words.enumerate().map(|(index, word)| if index == 0 { word } else { word.replace("$$", "$") }))
}

fn quoted(word: &str, is_argument: bool) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let word = if is_argument { word.replace('$', "$$") } else { word };
    format!("\"{word}\"")
}
