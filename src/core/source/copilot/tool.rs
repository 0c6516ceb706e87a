//! The work of a tool call, by the tool's name.

use serde::Deserialize;

use crate::activity::Activity::{
    Browsing, Delegating, Editing, Planning, Reading, Running, Searching, Tool, Waiting,
};
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

/// The work of a call; `None` for one that only announces the next.
pub(super) fn doing(name: &str, arguments: Option<&Arguments<'_>>) -> Option<Doing> {
    let activity = match name {
        "bash" | "shell" | "powershell" | "local_shell" => {
            let command = arguments.and_then(|arguments| arguments.command.text());
            return Some(command.map_or(Doing::plain(Running), command::shell));
        }
        "edit" | "create" | "apply_patch" | "str_replace_editor" | "str_replace" | "insert" => {
            let path = arguments.and_then(|given| given.path.text().or_else(|| given.file_path.text()));
            return Some(Doing { activity: Editing, file: path.and_then(file_name) });
        }
        "read_bash" | "write_bash" | "stop_bash" | "list_bash" | "read_powershell" | "write_powershell"
        | "stop_powershell" | "list_powershell" => Running,
        "view" | "show_file" => Reading,
        "grep" | "glob" | "rg" | "search_code_subagent" => Searching,
        "web_fetch" | "web_search" => Browsing,
        "task" | "read_agent" | "list_agents" | "write_agent" => Delegating,
        "update_todo" => Planning,
        // The agent leaves a plan by asking for the user's permission.
        "ask_user" | "exit_plan_mode" => Waiting,
        "report_intent" => return None,
        _ => Tool,
    };
    Some(Doing::plain(activity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_classified_by_name() {
        let activity = |name| doing(name, None).map(|doing| doing.activity);
        for (name, expected) in [
            ("bash", Some(Running)),
            ("powershell", Some(Running)),
            ("create", Some(Editing)),
            ("view", Some(Reading)),
            ("rg", Some(Searching)),
            ("web_search", Some(Browsing)),
            ("task", Some(Delegating)),
            ("ask_user", Some(Waiting)),
            ("report_intent", None),
            ("github-mcp-server-search_code", Some(Tool)),
        ] {
            assert_eq!(activity(name), expected, "{name}");
        }
    }
}
