//! The work of a tool call, by its name, its command or its script.
//! Read next: [`crate::source::command`], for commands.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::value::Text;
use crate::activity::Activity::{
    Browsing, Delegating, Editing, Planning, Reading, Running, Searching, Tool, Waiting,
};
use crate::source::Doing;
use crate::source::command::{file_name, first, heavier, patch, shell, words};

/// The arguments of a shell tool: a script, or words.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Command<'a> {
    #[serde(borrow)]
    cmd: Option<&'a RawValue>,
    #[serde(borrow)]
    command: Option<&'a RawValue>,
}

/// The usual script tool's arguments.
#[derive(Deserialize)]
struct Script<'a> {
    #[serde(borrow)]
    cmd: Option<Text<'a>>,
}

/// A `function_call`: its arguments are JSON in a string.
pub(super) fn function(namespace: Option<&str>, name: &str, arguments: &str) -> Doing {
    let name = name.rsplit('.').next().unwrap_or(name);
    if namespace.is_some_and(|space| space.starts_with("mcp")) || name.starts_with("mcp__") {
        return Doing::plain(Tool);
    }
    match name {
        "shell" | "shell_command" | "exec_command" | "local_shell" | "container.exec" => {
            if let Ok(Script { cmd: Some(Text(script)) }) = serde_json::from_str(arguments) {
                return shell(&script);
            }
            let Ok(Command { cmd, command }) = serde_json::from_str(arguments) else {
                return Doing::plain(Running);
            };
            let command = cmd.or(command).map(RawValue::get).unwrap_or_default();
            if let Ok(Text(script)) = serde_json::from_str(command) {
                return shell(&script);
            }
            words(serde_json::from_str(command).ok().as_ref())
        }
        // The input of a running command.
        "write_stdin" => Doing::plain(Running),
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
        _ => Doing::plain(Tool),
    }
}

/// A `custom_tool_call`: its input is plain text, a patch or (code mode) JavaScript.
pub(super) fn custom(name: &str, input: &str) -> Doing {
    match name {
        "apply_patch" => patch(input),
        "exec" => script(input),
        _ => function(None, name, ""),
    }
}

/// The files of a finished patch: an object keyed by path.
pub(super) fn changed(changes: Option<&Value>) -> Doing {
    let file = changes.and_then(Value::as_object).and_then(|files| files.keys().next());
    Doing { activity: Editing, file: file.and_then(|path| file_name(path)) }
}

/// `parsed_cmd` of a finished command; `None` unless all of it read or searched.
pub(super) fn parsed(commands: Option<&Value>) -> Option<Doing> {
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

/// Code mode: JavaScript that calls `tools.…`. Its heaviest call decides.
fn script(text: &str) -> Doing {
    let text = first(text);
    if text.contains("tools.apply_patch(") || text.contains("*** Begin Patch") {
        return patch(text);
    }
    if let Some((_, rest)) = text.split_once("tools.exec_command(") {
        return literal_after(rest, "cmd").map_or(Doing::plain(Running), |command| shell(&command));
    }
    let by_name = [
        ("tools.write_stdin(", Running),
        ("tools.web", Browsing),
        ("tools.request_user_input(", Waiting),
        ("tools.spawn_agent(", Delegating),
        ("tools.wait_agent(", Delegating),
        ("tools.send_message(", Delegating),
        ("tools.update_plan(", Planning),
        ("tools.view_image(", Reading),
    ];
    let found = by_name.iter().find(|(name, _)| text.contains(name));
    Doing::plain(found.map_or(Tool, |(_, activity)| *activity))
}

/// The string literal of `key: "…"` in a script; `None` if it is not a plain literal.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_name_their_file_without_its_folder() {
        let doing = custom("apply_patch", "*** Begin Patch\n*** Update File: src/deep/main.rs\n@@\n");
        assert_eq!((doing.activity, doing.file.as_deref()), (Editing, Some("main.rs")));
        let windows = custom("apply_patch", "*** Begin Patch\r\n*** Add File: C:\\work\\näme.rs\r\n");
        assert_eq!(windows.file.as_deref(), Some("näme.rs"));
    }

    #[test]
    fn code_mode_scripts_are_classified_by_their_tools() {
        let cases = [
            ("const r = await tools.exec_command({cmd:\"rg -n x\"});", Searching),
            ("await tools.exec_command({\"cmd\": `cargo test ${name}`})", Running),
            ("await tools.exec_command(options)", Running),
            ("await tools.apply_patch(`*** Begin Patch\\n*** Update File: a/b.rs\\n`)", Editing),
            ("await tools.web.run({})", Browsing),
            ("await tools.mcp__linear__issues({})", Tool),
            ("text(await tools.update_plan({}))", Planning),
        ];
        for (input, expected) in cases {
            assert_eq!(custom("exec", input).activity, expected, "{input}");
        }
        assert_eq!(custom("exec", cases[3].0).file.as_deref(), Some("b.rs"));
    }
}
