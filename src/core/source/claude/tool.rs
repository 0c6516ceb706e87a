//! What a tool call is about, by the tool's name.

use std::borrow::Cow;

use serde::Deserialize;

use super::entry::{Raw, object, text};
use crate::core::activity::Activity::{
    Browsing, Delegating, Editing, Planning, Reading, Running, Searching, Waiting,
};
use crate::core::source::Doing;
use crate::core::source::command::{self, file_name};

/// The little of a call's input that is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Input<'a> {
    #[serde(borrow)]
    command: Raw<'a>,
    #[serde(borrow)]
    file_path: Raw<'a>,
    #[serde(borrow)]
    notebook_path: Raw<'a>,
}

/// What a call does. A tool that is not known runs.
pub(super) fn doing(name: &str, input: Raw<'_>) -> Doing {
    let activity = match name {
        "Bash" | "PowerShell" => {
            let input: Input<'_> = object(input).unwrap_or_default();
            return text(input.command).map_or(Doing::plain(Running), |command| command::shell(&command));
        }
        "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => {
            let input: Input<'_> = object(input).unwrap_or_default();
            let path: Option<Cow<'_, str>> = text(input.file_path).or_else(|| text(input.notebook_path));
            return Doing { activity: Editing, file: path.and_then(|path| file_name(&path)) };
        }
        "Read" | "NotebookRead" | "ReadMcpResourceTool" | "LSP" => Reading,
        "Grep" | "Glob" | "LS" | "ToolSearch" => Searching,
        "WebSearch" | "WebFetch" => Browsing,
        "Agent" | "Task" | "Workflow" | "SendMessage" => Delegating,
        "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskList" | "TaskGet" | "EnterPlanMode" => Planning,
        // A plan is left by asking the user for leave.
        "AskUserQuestion" | "ExitPlanMode" => Waiting,
        _ => Running,
    };
    Doing::plain(activity)
}
