//! The contents of a message in the format of Gemini's API: texts, tool calls and their results.
//!
//! Gemini CLI and Qwen Code use this format, and have the same tools. Only the first text is kept, for the current
//! line.

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer};

use super::Doing;
use super::command::{self, file_name};
use super::lenient::{Lenient, Object, Scalar, each_object, lenient};
use crate::activity::Activity::{
    Browsing, Delegating, Editing, Planning, Reading, Running, Searching, Tool, Waiting,
};

/// A message's content: a list of parts, one of them, or a text.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    /// The first text that is not a thought.
    pub(super) text: Scalar<'a>,
    /// The tools that it calls.
    pub(super) calls: Vec<Called<'a>>,
    /// The calls whose results it has.
    pub(super) results: Vec<Called<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Scalar<'a>,
    #[serde(borrow)]
    thought: Scalar<'a>,
    #[serde(borrow)]
    function_call: Object<Called<'a>>,
    #[serde(borrow)]
    function_response: Object<Called<'a>>,
}

/// A call of a tool.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Called<'a> {
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) args: Object<Arguments<'a>>,
    /// Its state, if that is recorded.
    #[serde(borrow)]
    pub(super) status: Scalar<'a>,
}

/// The fields of a call's arguments that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Arguments<'a> {
    #[serde(borrow)]
    command: Scalar<'a>,
    #[serde(borrow)]
    file_path: Scalar<'a>,
    #[serde(borrow)]
    notebook_path: Scalar<'a>,
}

impl<'a> Parts<'a> {
    fn add(&mut self, part: Part<'a>) {
        if !self.text.is_there() && !part.thought.flag() {
            self.text = part.text;
        }
        self.calls.extend(part.function_call.0);
        self.results.extend(part.function_response.0);
    }
}

impl<'de> Lenient<'de> for Parts<'de> {
    fn scalar(scalar: Scalar<'de>) -> Self {
        Self { text: scalar, ..Self::default() }
    }

    fn map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let mut parts = Self::default();
        parts.add(Part::deserialize(MapAccessDeserializer::new(map))?);
        Ok(parts)
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let mut parts = Self::default();
        each_object(list, |part| parts.add(part))?;
        Ok(parts)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::<D, Parts<'de>>(deserializer)
    }
}

impl Called<'_> {
    /// The work of the call. Extensions and MCP servers have their own tools.
    pub(super) fn doing(&self) -> Doing {
        let arguments = self.args.0.as_ref();
        let activity = match self.name.text().unwrap_or_default() {
            "run_shell_command" => {
                let command = arguments.and_then(|given| given.command.text());
                return command.map_or(Doing::plain(Running), command::shell);
            }
            "replace" | "edit" | "write_file" | "notebook_edit" => {
                let path = arguments.and_then(|given| given.file_path.text().or(given.notebook_path.text()));
                return Doing { activity: Editing, file: path.and_then(file_name) };
            }
            "read_background_output" | "list_background_processes" | "monitor" | "task_stop" => Running,
            "read_file" | "read_many_files" | "list_directory" | "read_mcp_resource" | "lsp" => Reading,
            "grep_search" | "search_file_content" | "glob" | "tool_search" => Searching,
            "web_fetch" | "google_web_search" | "web_search" => Browsing,
            "invoke_agent" | "agent" | "task" | "workflow" | "send_message" | "create_sub_session" => {
                Delegating
            }
            "write_todos" | "todo_write" | "update_topic" | "update_goal" | "enter_plan_mode"
            | "task_create" | "task_update" | "task_list" => Planning,
            // The agent leaves a plan by asking for the user's permission.
            "ask_user" | "ask_user_question" | "exit_plan_mode" => Waiting,
            _ => Tool,
        };
        Doing::plain(activity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_a_list_a_part_or_a_text() {
        let list = r#"[{"text":"hm","thought":true},7,{"text":"a"},{"functionCall":{"id":"c","name":"glob"}},{"functionResponse":{"id":"r"}}]"#;
        for (content, text, calls, results) in [
            (list, Some("a"), 1, 1),
            (r#"{"text":"a"}"#, Some("a"), 0, 0),
            (r#""a""#, Some("a"), 0, 0),
            ("null", None, 0, 0),
            ("7", None, 0, 0),
        ] {
            let parts: Parts<'_> = serde_json::from_str(content).unwrap();
            let found = (parts.text.text(), parts.calls.len(), parts.results.len());
            assert_eq!(found, (text, calls, results), "{content}");
        }
    }

    #[test]
    fn tools_are_classified_by_name() {
        for (call, activity, file) in [
            (r#"{"name":"run_shell_command","args":{"command":"rg -n x"}}"#, Searching, None),
            (r#"{"name":"run_shell_command"}"#, Running, None),
            (r#"{"name":"replace","args":{"file_path":"/a/b.rs"}}"#, Editing, Some("b.rs")),
            (r#"{"name":"mcp__docs__lookup","args":{"command":"rg"}}"#, Tool, None),
            (r#"{"name":7}"#, Tool, None),
            (r#"{"name":"invoke_agent"}"#, Delegating, None),
        ] {
            let called: Called<'_> = serde_json::from_str(call).unwrap();
            let doing = called.doing();
            assert_eq!((doing.activity, doing.file.as_deref()), (activity, file), "{call}");
        }
    }
}
