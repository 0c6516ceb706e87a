//! The folders and names of Codex's session files.

use crate::source::layout::{Homes, Layout, Name, Purpose, Tree, is_uuid};

pub(super) const HOMES: Homes = Homes {
    key: "codex_home",
    variables: &["CODEX_HOME"],
    below: &[],
    files: &[],
    has_commas: false,
    usual: &[".codex"],
};

/// `sessions/YYYY/MM/DD/`, until July 2025 flat; the user may move files to `archived_sessions/`.
pub(super) const LAYOUT: Layout = Layout {
    trees: &[
        Tree {
            folder: "sessions",
            levels: &[Name::Digits(4), Name::Digits(2), Name::Digits(2)],
            purpose: Purpose::Sessions,
        },
        Tree { folder: "archived_sessions", levels: &[], purpose: Purpose::Moved },
    ],
    thread,
    documents: None,
    databases: None,
    unread: &[],
    elsewhere: None,
    register: None,
    goes_on: |name| name.contains('_'),
    helpers: None,
};

/// `rollout-<19 characters of time>-<36 of thread id>[_<rollout id>].jsonl`.
fn thread(name: &str) -> Option<&str> {
    // Compressed files are old: they are read as the beginning of a thread that continues in another file.
    let name = name.strip_suffix(".zst").unwrap_or(name);
    let stem = name.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
    let id = stem.get(19..)?.strip_prefix('-')?.get(..36)?;
    let rest = stem.get(19 + 1 + 36..)?;
    (is_uuid(id) && (rest.is_empty() || rest.starts_with('_'))).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";

    #[test]
    fn session_file_names_are_recognised() {
        for (name, expected) in [
            (format!("rollout-2026-11-20T10-00-00-{ID}.jsonl"), true),
            (format!("rollout-2026-11-20T10-00-00-{ID}_r2.jsonl"), true),
            (format!("rollout-2026-11-20T10-00-00-{ID}.jsonl.zst"), true),
            (format!("rollout-2026-11-20T10-00-00-{ID}.zst"), false),
            (format!("rollout-2026-11-20T10-00-00-{ID}.json"), false),
            (format!("rollout-2026-11-20T10-00-00-{ID}x.jsonl"), false),
            (format!("rollout-{ID}.jsonl"), false),
            ("rollout-é0é0é0é0é0é0é0é0é0é-é.jsonl".to_owned(), false),
            ("history.jsonl".to_owned(), false),
        ] {
            assert_eq!(LAYOUT.is_session(&name), expected, "{name}");
        }
        assert!((LAYOUT.goes_on)(&format!("rollout-2026-11-20T10-00-00-{ID}_r2.jsonl")));
        assert!(!(LAYOUT.goes_on)(&format!("rollout-2026-11-20T10-00-00-{ID}.jsonl")));
        assert_eq!((LAYOUT.thread)(&format!("rollout-2026-11-20T10-00-00-{ID}_r2.jsonl")), Some(ID));
    }
}
