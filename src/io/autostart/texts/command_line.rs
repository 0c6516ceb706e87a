//! A Windows command line, for the Run key.
//!
//! The rules are those of `CommandLineToArgvW`: the program's path ends at the next quote; in an argument a
//! backslash counts only before a quote. `$`, `%` and non-ASCII mean themselves in a value of type `REG_SZ`.

use crate::io::autostart::LoginCommand;

/// The longest command that is run, in UTF-16 units: Microsoft's "Run and RunOnce Registry Keys".
pub const LONGEST: usize = 260;

/// The command line; `None` if it is longer than Windows runs, or the path cannot be a Windows path.
pub fn render(command: &LoginCommand) -> Option<String> {
    // The path is always in quotes: without them Windows tries every part of it that ends at a space.
    let mut line = format!("\"{}\"", command.program);
    for argument in &command.arguments {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    (!command.program.contains('"') && line.encode_utf16().count() <= LONGEST).then_some(line)
}

/// The command of a command line.
pub fn parse(line: &str) -> Option<LoginCommand> {
    let line = line.trim_start_matches(BLANKS);
    let (program, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => line.split_once(BLANKS).unwrap_or((line, "")),
    };
    (!program.is_empty()).then(|| LoginCommand { program: program.to_owned(), arguments: arguments(rest) })
}

const BLANKS: [char; 2] = [' ', '\t'];

fn quoted(argument: &str) -> String {
    if !argument.is_empty() && !argument.contains(BLANKS) && !argument.contains('"') {
        return argument.to_owned();
    }
    let mut quoted = String::from('"');
    let mut backslashes = 0;
    for char in argument.chars() {
        if char == '"' {
            quoted.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if char == '\\' { backslashes + 1 } else { 0 };
        quoted.push(char);
    }
    quoted.extend(std::iter::repeat_n('\\', backslashes));
    quoted.push('"');
    quoted
}

fn arguments(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut argument: Option<String> = None;
    let mut in_quotes = false;
    let mut backslashes = 0_usize;
    for char in line.chars() {
        if char == '\\' {
            backslashes += 1;
            argument.get_or_insert_default().push(char);
            continue;
        }
        let before = std::mem::take(&mut backslashes);
        match char {
            '"' => {
                let text = argument.get_or_insert_default();
                // Of the backslashes before a quote, every second one escapes the one after it.
                text.truncate(text.len() - before.div_ceil(2));
                if before % 2 == 1 {
                    text.push(char);
                } else {
                    in_quotes = !in_quotes;
                }
            }
            ' ' | '\t' if !in_quotes => arguments.extend(argument.take()),
            _ => argument.get_or_insert_default().push(char),
        }
    }
    arguments.extend(argument);
    arguments
}
