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
#[serde(default, rename_all = "camelCase")]
pub(super) struct Input<'a> {
    #[serde(borrow)]
    command: Scalar<'a>,
    #[serde(borrow)]
    file_path: Scalar<'a>,
}

/// The work of a call.
pub(super) fn doing(name: &str, input: Option<&Input<'_>>) -> Doing {
    let activity = match name {
        "bash" | "shell" => {
            let command = input.and_then(|input| input.command.text());
            return command.map_or(Doing::plain(Running), command::shell);
        }
        "edit" | "write" | "patch" | "multiedit" | "apply_patch" => {
            let path = input.and_then(|input| input.file_path.text());
            return Doing { activity: Editing, file: path.and_then(file_name) };
        }
        "read" | "list" => Reading,
        "grep" | "glob" | "codesearch" => Searching,
        "webfetch" | "websearch" => Browsing,
        "task" | "subagent" => Delegating,
        "todowrite" | "todoread" => Planning,
        "question" => Waiting,
        _ => Tool,
    };
    Doing::plain(activity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_classified_by_their_names() {
        for (name, activity) in [
            ("bash", Running),
            ("shell", Running),
            ("apply_patch", Editing),
            ("list", Reading),
            ("codesearch", Searching),
            ("websearch", Browsing),
            ("subagent", Delegating),
            ("todowrite", Planning),
            ("question", Waiting),
            ("docs_lookup", Tool),
        ] {
            assert_eq!(doing(name, None), Doing::plain(activity), "{name}");
        }
    }
}
