//! The folders and names of Claude Code's session files.

use super::registry;
use crate::source::layout::{Entries, Homes, Layout, Name, Purpose, Tree, is_uuid};

/// Claude Code's variable names one folder.
pub(super) const HOMES: Homes = Homes {
    key: "claude_home",
    variables: &["CLAUDE_CONFIG_DIR"],
    below: &[],
    files: &[],
    has_commas: true,
    usual: &[".claude", ".config/claude"],
};

/// `projects/<project>/<session>.jsonl`; sub-agents beside it until 2.0, then in `<session>/subagents/`, those of
/// workflows in `<session>/subagents/workflows/wf_<hex>/`. Running sessions are in `sessions/<pid>.json`, beside
/// secrets.
pub(super) const LAYOUT: Layout = Layout {
    trees: &[
        // The register comes first, so that it is known which sessions are open before the first of them is read.
        Tree { folder: "sessions", levels: &[], purpose: Purpose::Register },
        Tree {
            folder: "projects",
            levels: &[
                Name::Any,
                Name::Uuid,
                Name::Exactly("subagents"),
                Name::Exactly("workflows"),
                Name::BeginsWith("wf_"),
            ],
            purpose: Purpose::Sessions,
        },
    ],
    thread,
    documents: None,
    databases: None,
    unread: &[],
    elsewhere: None,
    register: Some(Entries { pid_of: registry::pid_of, read: registry::read }),
    // A project's folder may have been copied.
    goes_on: |_| true,
    helpers: Some(Tree {
        folder: "subagents",
        levels: &[Name::Exactly("workflows"), Name::BeginsWith("wf_")],
        purpose: Purpose::Sessions,
    }),
};

/// `<session id>.jsonl` or `agent-<agent id>.jsonl`.
fn thread(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".jsonl")?;
    (is_uuid(stem) || stem.starts_with("agent-")).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";

    #[test]
    fn session_file_names_are_recognised() {
        assert_eq!((LAYOUT.thread)(&format!("{ID}.jsonl")), Some(ID));
        assert!(LAYOUT.is_session("agent-a1b2.jsonl"));
        assert!(!LAYOUT.is_session("journal.jsonl"));
        assert!(!LAYOUT.is_session(&format!("{ID}.orphaned-1")));
    }
}
