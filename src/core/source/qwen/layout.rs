//! The folders and names of Qwen Code's session files.

use crate::source::layout::{Homes, Layout, Name, Purpose, Tree, is_uuid};

pub(super) const HOMES: Homes = Homes {
    key: "qwen_home",
    variables: &["QWEN_RUNTIME_DIR", "QWEN_HOME"],
    below: &[],
    files: &[],
    has_commas: false,
    usual: &[".qwen"],
};

/// `projects/<project>/chats/<session>.jsonl`, and those of sub-agents in
/// `projects/<project>/subagents/<session>/agent-<agent>.jsonl`.
pub(super) const LAYOUT: Layout = Layout {
    trees: &[Tree {
        folder: "projects",
        levels: &[Name::Any, Name::OneOf(&["chats", "subagents"]), Name::Uuid],
        purpose: Purpose::Sessions,
    }],
    thread,
    ..Layout::USUAL
};

fn thread(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".jsonl")?;
    (is_uuid(stem) || stem.starts_with("agent-")).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_file_names_are_recognised() {
        const ID: &str = "589ba9be-6940-487b-961d-378a8084257e";
        assert_eq!(thread(&format!("{ID}.jsonl")), Some(ID));
        assert_eq!(thread("agent-general-purpose-call_16.jsonl"), Some("agent-general-purpose-call_16"));
        assert_eq!(thread("agent-general-purpose-call_16.meta.json"), None);
        assert_eq!(thread("usage_record.jsonl"), None);
    }
}
