//! The work of a shell command. Reads the first words of its parts and the first kilobytes of scripts; keeps only a
//! kind of work and the name of one file.

use serde_json::Value;

use crate::activity::Activity::{self, Editing, Reading, Running, Searching};
use crate::names::last_part;
use crate::source::Doing;

/// How much of a script or a patch is read, in bytes.
const LOOK: usize = 8 << 10;

/// A command as words: `["bash","-lc","…"]` or the words themselves.
pub fn words(command: Option<&Value>) -> Doing {
    let Some(words) = command.and_then(Value::as_array) else { return Doing::plain(Running) };
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    match words.as_slice() {
        [shell_name, flag, script, ..]
            if is_shell(shell_name) && flag.starts_with('-') && flag.ends_with('c') =>
        {
            shell(script)
        }
        ["apply_patch", text, ..] => patch(text),
        words => Doing::plain(simple_command(words.iter().copied())),
    }
}

/// A shell script: the work of all its commands together.
pub fn shell(script: &str) -> Doing {
    let script = first(script);
    if memchr::memmem::find(script.as_bytes(), b"*** Begin Patch").is_some() {
        return patch(script);
    }
    if writes_a_file(script) {
        return Doing::plain(Editing);
    }
    let mut overall = None;
    for command in script.split(['\n', ';', '|', '&']) {
        let words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        match command_kind(words) {
            Kind::Nothing => {}
            Kind::Work(activity) => overall = Some(heavier(overall, activity)),
        }
        // Nothing is heavier.
        if overall == Some(Running) {
            break;
        }
    }
    Doing::plain(overall.unwrap_or(Running))
}

/// The name of a file without its folder, for paths of every system.
pub fn file_name(path: &str) -> Option<String> {
    let name = last_part(path.trim());
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
}

/// A patch in Codex's format, by its first file.
pub fn patch(text: &str) -> Doing {
    let text = first(text);
    let file = ["Update", "Add", "Delete"].iter().find_map(|verb| {
        let at = text.find(&format!("*** {verb} File: "))?;
        let rest = text.get(at..)?.split_once(": ")?.1;
        let line = match rest.split_once(['\n', '\r']) {
            Some((line, _)) => line,
            // In a script or in JSON arguments the line breaks of a patch are the two characters `\n`.
            None => rest.split("\\n").next()?,
        };
        file_name(line)
    });
    Doing { activity: Editing, file }
}

/// Whether a patch with this beginning gives the same file, independent of the rest.
pub(super) fn names_file(beginning: &str) -> bool {
    let line = beginning.split_once("*** Update File: ").and_then(|(_, rest)| rest.split_once(['\n', '\r']));
    line.is_some_and(|(path, _)| file_name(path).is_some())
}

/// `cat > file <<EOF`: the usual way to write a file from a shell.
fn writes_a_file(script: &str) -> bool {
    let script = script.trim_start();
    script.starts_with("cat >") || script.starts_with("tee ") || script.starts_with("sed -i")
}

enum Kind {
    /// A step without its own work: `cd`, a filter at the end of a pipe.
    Nothing,
    Work(Activity),
}

fn simple_command<'a>(words: impl Iterator<Item = &'a str>) -> Activity {
    match command_kind(words) {
        Kind::Work(activity) => activity,
        Kind::Nothing => Running,
    }
}

fn command_kind<'a>(words: impl Iterator<Item = &'a str>) -> Kind {
    let mut words = words.filter(|word| !word.is_empty()).skip_while(|word| is_prelude(word)).peekable();
    let Some(first) = words.next() else { return Kind::Nothing };
    let program = last_part(first);
    let argument = words.peek().copied().unwrap_or_default();
    match program {
        "cd" | "pwd" | "true" | "echo" | "printf" | "set" | "export" | "sort" | "uniq" | "cut" | "tr"
        | "column" | "test" | "[" | "2>&1" | "2>/dev/null" | "1" | "done" | "do" | "then" | "fi" => {
            Kind::Nothing
        }
        "cat" | "bat" | "head" | "tail" | "less" | "more" | "nl" | "wc" | "file" | "stat" | "jq" | "xxd"
        | "strings" => Kind::Work(Reading),
        "sed" | "awk" if argument == "-i" => Kind::Work(Editing),
        "sed" | "awk" => Kind::Work(Reading),
        "rg" | "grep" | "egrep" | "fgrep" | "ag" | "ack" | "ls" | "find" | "fd" | "tree" | "dir"
        | "which" => Kind::Work(Searching),
        "git" if matches!(argument, "grep" | "ls-files") => Kind::Work(Searching),
        "git" if matches!(argument, "show" | "diff" | "log" | "status" | "blame") => Kind::Work(Reading),
        "apply_patch" => Kind::Work(Editing),
        _ => Kind::Work(Running),
    }
}

/// Words before the program itself: `FOO=1`, `sudo`, `timeout 5`, `env`.
fn is_prelude(word: &str) -> bool {
    matches!(
        word,
        "sudo" | "env" | "time" | "nice" | "nohup" | "command" | "exec" | "timeout" | "if" | "(" | "{"
    ) || word.chars().all(|c| c.is_ascii_digit() || c == 's' || c == 'm')
        || word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
}

fn is_shell(name: &str) -> bool {
    matches!(
        last_part(name),
        "bash" | "sh" | "zsh" | "fish" | "dash" | "pwsh" | "powershell" | "powershell.exe"
    )
}

/// The more important of two kinds of work: running before editing, searching and reading.
pub(super) fn heavier(overall: Option<Activity>, one: Activity) -> Activity {
    let weight = |activity| match activity {
        Running => 3,
        Editing => 2,
        Searching => 1,
        _ => 0,
    };
    match overall {
        Some(other) if weight(other) >= weight(one) => other,
        _ => one,
    }
}

/// The first [`LOOK`] bytes, cut between characters.
pub(super) fn first(text: &str) -> &str {
    let mut end = text.len().min(LOOK);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, expected: Activity) {
        assert_eq!(shell(command).activity, expected, "{command}");
    }

    #[test]
    fn commands_are_classified_by_their_words() {
        check("rg -n token_count src | head -5", Searching);
        check("cat src/main.rs", Reading);
        check("sed -n 1,80p src/lib.rs && cat Cargo.toml", Reading);
        check("cd app && ls -la", Searching);
        check("cd app && ls && cargo build", Running);
        check("RUST_LOG=debug timeout 60 cargo test", Running);
        check("git grep -n foo", Searching);
        check("cat > notes.txt <<'EOF'\nhello\nEOF", Editing);
        check("", Running);
    }

    #[test]
    fn commands_as_lists_of_words_are_read() {
        let command = serde_json::json!(["bash", "-lc", "grep -rn x ."]);
        assert_eq!(words(Some(&command)).activity, Searching);
        assert_eq!(words(Some(&serde_json::json!(["ls"]))).activity, Searching);
        assert_eq!(words(None).activity, Running);
    }
}
