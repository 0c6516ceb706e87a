//! What a tool call is about. Looks at names, at the first words of commands and at the first kilobytes of scripts;
//! keeps nothing of them but a kind of work and the name of one file.

use serde_json::Value;

use crate::core::activity::Activity::{
    self, Browsing, Delegating, Editing, Planning, Reading, Running, Searching, Waiting,
};
use crate::core::source::Doing;

/// How much of a script or a patch is looked at, in bytes.
const LOOK: usize = 8 << 10;

/// A `function_call`: its arguments are JSON in a string.
pub fn function(namespace: Option<&str>, name: &str, arguments: &str) -> Doing {
    let name = name.rsplit('.').next().unwrap_or(name);
    if namespace.is_some_and(|space| space.starts_with("mcp")) || name.starts_with("mcp__") {
        return Doing::plain(Running);
    }
    match name {
        "shell" | "shell_command" | "exec_command" | "local_shell" | "container.exec" => {
            let parsed: Value = serde_json::from_str(arguments).unwrap_or_default();
            match parsed.get("cmd").or_else(|| parsed.get("command")) {
                Some(Value::String(script)) => shell(script),
                Some(other) => words(Some(other)),
                None => Doing::plain(Running),
            }
        }
        "apply_patch" => patch(arguments),
        "update_plan" => Doing::plain(Planning),
        "view_image"
        | "read_file"
        | "list_mcp_resources"
        | "read_mcp_resource"
        | "list_mcp_resource_templates" => Doing::plain(Reading),
        "grep_files" | "list_dir" => Doing::plain(Searching),
        "spawn_agent" | "wait_agent" | "send_message" | "followup_task" | "interrupt_agent"
        | "list_agents" | "send_input" | "resume_agent" | "close_agent" => Doing::plain(Delegating),
        "request_user_input" | "request_permissions" => Doing::plain(Waiting),
        "web_search" | "web_fetch" | "open_page" => Doing::plain(Browsing),
        _ => Doing::plain(Running),
    }
}

/// A `custom_tool_call`: its input is plain text, a patch or (code mode) JavaScript.
pub fn custom(name: &str, input: &str) -> Doing {
    match name {
        "apply_patch" => patch(input),
        "exec" => script(input),
        _ => function(None, name, ""),
    }
}

/// A command given as words: `["bash","-lc","…"]` or the words themselves.
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

/// The files of a finished patch: an object keyed by path.
pub fn changed(changes: Option<&Value>) -> Doing {
    let file = changes.and_then(Value::as_object).and_then(|files| files.keys().next());
    Doing { activity: Editing, file: file.and_then(|path| file_name(path)) }
}

/// `parsed_cmd` of a finished command; `None` unless all of it read or searched.
pub fn parsed(commands: Option<&Value>) -> Option<Doing> {
    let mut overall = None;
    for command in commands?.as_array()? {
        let one = match command.get("type")?.as_str()? {
            "read" => Reading,
            "search" | "list_files" => Searching,
            _ => return None,
        };
        overall = Some(heavier(overall, one));
    }
    overall.map(Doing::plain)
}

/// The name of a file without its folder, of either system's form.
pub fn file_name(path: &str) -> Option<String> {
    let name = path.trim().trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next()?;
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
}

fn patch(text: &str) -> Doing {
    let text = first(text);
    let file = ["Update", "Add", "Delete"].iter().find_map(|verb| {
        let at = text.find(&format!("*** {verb} File: "))?;
        let rest = text.get(at..)?.split_once(": ")?.1;
        let line = match rest.split_once(['\n', '\r']) {
            Some((line, _)) => line,
            // In a script or in JSON arguments the patch's lines end in the two characters `\n`.
            None => rest.split("\\n").next()?,
        };
        file_name(line)
    });
    Doing { activity: Editing, file }
}

/// Code mode: JavaScript that calls `tools.…`. The weightiest call in it names the work.
fn script(text: &str) -> Doing {
    let text = first(text);
    if text.contains("tools.apply_patch(") || text.contains("*** Begin Patch") {
        return patch(text);
    }
    if let Some((_, rest)) = text.split_once("tools.exec_command(") {
        return literal_after(rest, "cmd").map_or(Doing::plain(Running), |command| shell(&command));
    }
    let by_name = [
        ("tools.web", Browsing),
        ("tools.request_user_input(", Waiting),
        ("tools.spawn_agent(", Delegating),
        ("tools.wait_agent(", Delegating),
        ("tools.send_message(", Delegating),
        ("tools.update_plan(", Planning),
        ("tools.view_image(", Reading),
    ];
    let found = by_name.iter().find(|(name, _)| text.contains(name));
    Doing::plain(found.map_or(Running, |(_, activity)| *activity))
}

/// The string literal of `key: "…"` in a script; `None` when it is anything but a plain literal.
fn literal_after(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(key)?;
    let rest = rest.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?.trim_start();
    let mut chars = rest.chars();
    let quote = chars.next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut literal = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => literal.push(match chars.next()? {
                'n' => '\n',
                other => other,
            }),
            c if c == quote => return Some(literal),
            c => literal.push(c),
        }
    }
    None
}

/// A shell script: what all of its commands amount to.
fn shell(script: &str) -> Doing {
    let script = first(script);
    if script.contains("*** Begin Patch") {
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
    }
    Doing::plain(overall.unwrap_or(Running))
}

/// `cat > file <<EOF`: the usual way to write a file from a shell.
fn writes_a_file(script: &str) -> bool {
    let script = script.trim_start();
    script.starts_with("cat >") || script.starts_with("tee ") || script.starts_with("sed -i")
}

enum Kind {
    /// A step that is no work of its own: `cd`, a filter at the end of a pipe.
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
    let program = first.rsplit(['/', '\\']).next().unwrap_or(first);
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
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    matches!(name, "bash" | "sh" | "zsh" | "fish" | "dash" | "pwsh" | "powershell" | "powershell.exe")
}

/// Of two kinds of work in one command the one that says more: running beats editing beats searching beats reading.
fn heavier(overall: Option<Activity>, one: Activity) -> Activity {
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

/// The first [`LOOK`] bytes, ended between characters.
fn first(text: &str) -> &str {
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
        let arguments = serde_json::json!({ "cmd": command }).to_string();
        assert_eq!(function(None, "exec_command", &arguments).activity, expected, "{command}");
    }

    #[test]
    fn commands_by_their_words() {
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
    fn words_of_old_shells() {
        let command = serde_json::json!(["bash", "-lc", "grep -rn x ."]);
        assert_eq!(words(Some(&command)).activity, Searching);
        assert_eq!(words(Some(&serde_json::json!(["ls"]))).activity, Searching);
        assert_eq!(words(None).activity, Running);
    }

    #[test]
    fn patches_name_their_file_without_its_folder() {
        let doing = custom("apply_patch", "*** Begin Patch\n*** Update File: src/deep/main.rs\n@@\n");
        assert_eq!((doing.activity, doing.file.as_deref()), (Editing, Some("main.rs")));
        let windows = custom("apply_patch", "*** Begin Patch\r\n*** Add File: C:\\work\\näme.rs\r\n");
        assert_eq!(windows.file.as_deref(), Some("näme.rs"));
    }

    #[test]
    fn code_mode_scripts_by_their_tools() {
        let cases = [
            ("const r = await tools.exec_command({cmd:\"rg -n x\"});", Searching),
            ("await tools.exec_command({\"cmd\": `cargo test ${name}`})", Running),
            ("await tools.exec_command(options)", Running),
            ("await tools.apply_patch(`*** Begin Patch\\n*** Update File: a/b.rs\\n`)", Editing),
            ("await tools.web.run({})", Browsing),
            ("await tools.mcp__linear__issues({})", Running),
            ("text(await tools.update_plan({}))", Planning),
        ];
        for (input, expected) in cases {
            assert_eq!(custom("exec", input).activity, expected, "{input}");
        }
        assert_eq!(custom("exec", cases[3].0).file.as_deref(), Some("b.rs"));
    }
}
