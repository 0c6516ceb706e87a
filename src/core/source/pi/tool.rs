//! The work of a tool call, by the tool's name.

use serde::Deserialize;

use crate::activity::Activity::{Browsing, Delegating, Editing, Planning, Reading, Running, Searching, Tool};
use crate::source::Doing;
use crate::source::command::{self, file_name};
use crate::source::lenient::Scalar;

/// The fields of a call's arguments that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Arguments<'a> {
    #[serde(borrow)]
    command: Scalar<'a>,
    #[serde(borrow)]
    path: Scalar<'a>,
    #[serde(borrow)]
    file_path: Scalar<'a>,
}

/// The work of a call. Extensions have their own tools.
pub(super) fn doing(name: &str, arguments: Option<&Arguments<'_>>) -> Doing {
    let name = name.to_ascii_lowercase();
    let activity = match name.as_str() {
        "bash" => {
            let command = arguments.and_then(|arguments| arguments.command.text());
            return command.map_or(Doing::plain(Running), command::shell);
        }
        "edit" | "write" | "multiedit" | "apply_patch" => {
            let path = arguments.and_then(|given| given.path.text().or_else(|| given.file_path.text()));
            return Doing { activity: Editing, file: path.and_then(file_name) };
        }
        "read" | "ls" => Reading,
        "grep" | "find" | "glob" => Searching,
        "todo" | "todo_write" => Planning,
        "web_search" | "websearch" | "web_fetch" | "fetch" | "browser" => Browsing,
        name if name.contains("subagent") || name.contains("task") => Delegating,
        _ => Tool,
    };
    Doing::plain(activity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_tool_is_not_a_command() {
        assert!(["mcp__docs__lookup", "lookup"].iter().all(|name| doing(name, None) == Doing::plain(Tool)));
        assert!(["bash"].iter().all(|name| doing(name, None) == Doing::plain(Running)));
    }
}
