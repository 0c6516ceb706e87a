//! The work of a tool call, by the tool's name.

use serde::Deserialize;

use crate::activity::Activity::{
    Browsing, Delegating, Editing, Planning, Reading, Running, Searching, Tool, Waiting,
};
use crate::source::Doing;
use crate::source::command::{self, file_name};
use crate::source::lenient::Scalar;

/// The fields of a call's input that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input<'a> {
    #[serde(borrow)]
    command: Scalar<'a>,
    #[serde(borrow)]
    file_path: Scalar<'a>,
    #[serde(borrow)]
    notebook_path: Scalar<'a>,
}

/// The work of a call. An unknown name is an unknown tool.
pub(super) fn doing(name: &str, input: Option<&Input<'_>>) -> Doing {
    let activity = match name {
        "Bash" | "PowerShell" => {
            let command = input.and_then(|input| input.command.text());
            return command.map_or(Doing::plain(Running), command::shell);
        }
        "Monitor" | "BashOutput" | "KillShell" | "TaskOutput" | "TaskStop" => Running,
        "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => {
            let path = input.and_then(|input| input.file_path.text().or_else(|| input.notebook_path.text()));
            return Doing { activity: Editing, file: path.and_then(file_name) };
        }
        "Read" | "NotebookRead" | "ReadMcpResourceTool" | "LSP" => Reading,
        "Grep" | "Glob" | "LS" | "ToolSearch" => Searching,
        "WebSearch" | "WebFetch" => Browsing,
        "Agent" | "Task" | "Workflow" | "SendMessage" => Delegating,
        "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskList" | "TaskGet" | "EnterPlanMode" => Planning,
        // The agent leaves a plan by asking for the user's permission.
        "AskUserQuestion" | "ExitPlanMode" => Waiting,
        _ => Tool,
    };
    Doing::plain(activity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_tool_is_not_a_command() {
        assert!(["mcp__docs__lookup", "Skill"].iter().all(|name| doing(name, None) == Doing::plain(Tool)));
        assert!(["Bash", "Monitor"].iter().all(|name| doing(name, None) == Doing::plain(Running)));
    }
}
