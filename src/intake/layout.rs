//! Where each agent keeps its session files: which folders, how deep, which names.
//!
//! A new agent is one more [`Layout`]. What else the intake knows of single agents: `lineage` and `originals`, whose history
//! a copied file has; `registers`, what runs.
//! Read next: `places`, which finds a path's place in these trees.

use crate::core::activity::Agent;

/// The trees of one agent's home folder.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) trees: &'static [Tree],
    /// The conversation that a session file's name says it belongs to; `None` for other files.
    pub(super) thread: fn(&str) -> Option<&str>,
    /// Whether a session file with such a name may go on from another one of its conversation.
    pub(super) goes_on: fn(&str) -> bool,
    /// Whether the files tell limits, so that old ones are worth a look.
    pub(super) tells_limits: bool,
}

/// One folder below a home folder, and what is below it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) folder: &'static str,
    /// The subfolders, level by level. Session files may lie on any level.
    pub(super) levels: &'static [Name],
    pub(super) purpose: Purpose,
}

/// What a tree is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Sessions begin here.
    Sessions,
    /// Sessions that began elsewhere are moved here. Not worth a watch while it does not exist.
    Moved,
    /// The agent's register of running processes: one file each, named after its id.
    Register,
}

/// What a subfolder may be called.
#[derive(Debug)]
pub(super) enum Name {
    /// So many digits: a part of a date.
    Digits(usize),
    /// A conversation's id.
    Uuid,
    Exactly(&'static str),
    BeginsWith(&'static str),
    Any,
}

impl Layout {
    /// Whether a file's name is that of a session file.
    pub(super) fn is_session(&self, name: &str) -> bool {
        (self.thread)(name).is_some()
    }

    pub(super) fn of(agent: Agent) -> &'static Self {
        match agent {
            Agent::Codex => &CODEX,
            Agent::Claude => &CLAUDE,
        }
    }
}

impl Name {
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Digits(count) => name.len() == *count && name.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Uuid => is_uuid(name),
            Self::Exactly(expected) => name == *expected,
            Self::BeginsWith(prefix) => name.starts_with(prefix),
            Self::Any => true,
        }
    }
}

/// `sessions/YYYY/MM/DD/`, until July 2025 flat; moved to `archived_sessions/` by the user.
static CODEX: Layout = Layout {
    trees: &[
        Tree {
            folder: "sessions",
            levels: &[Name::Digits(4), Name::Digits(2), Name::Digits(2)],
            purpose: Purpose::Sessions,
        },
        Tree { folder: "archived_sessions", levels: &[], purpose: Purpose::Moved },
    ],
    thread: codex_thread,
    goes_on: |name| name.contains('_'),
    tells_limits: true,
};

/// `projects/<project>/<session>.jsonl`; sub-agents beside it until 2.0, then in `<session>/subagents/`, those of
/// workflows in `<session>/subagents/workflows/wf_<hex>/`. What runs is in `sessions/<pid>.json`, beside secrets.
static CLAUDE: Layout = Layout {
    trees: &[
        // First, so that what is open is known before the first session is.
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
    thread: claude_thread,
    // A project's folder may have been copied.
    goes_on: |_| true,
    tells_limits: false,
};

/// `rollout-<19 characters of time>-<36 of thread id>[_<rollout id>].jsonl`.
fn codex_thread(name: &str) -> Option<&str> {
    // Compressed ones are old: they are read as what a thread that goes on began with.
    let name = name.strip_suffix(".zst").unwrap_or(name);
    let stem = name.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
    let id = stem.get(19..)?.strip_prefix('-')?.get(..36)?;
    let rest = stem.get(19 + 1 + 36..)?;
    (is_uuid(id) && (rest.is_empty() || rest.starts_with('_'))).then_some(id)
}

/// `<session id>.jsonl` or `agent-<agent id>.jsonl`.
fn claude_thread(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".jsonl")?;
    (is_uuid(stem) || stem.starts_with("agent-")).then_some(stem)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";

    #[test]
    fn codex_names() {
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
            assert_eq!(CODEX.is_session(&name), expected, "{name}");
        }
        assert!((CODEX.goes_on)(&format!("rollout-2026-11-20T10-00-00-{ID}_r2.jsonl")));
        assert!(!(CODEX.goes_on)(&format!("rollout-2026-11-20T10-00-00-{ID}.jsonl")));
        assert_eq!((CODEX.thread)(&format!("rollout-2026-11-20T10-00-00-{ID}_r2.jsonl")), Some(ID));
    }

    #[test]
    fn claude_names() {
        assert_eq!((CLAUDE.thread)(&format!("{ID}.jsonl")), Some(ID));
        assert!(CLAUDE.is_session("agent-a1b2.jsonl"));
        assert!(!CLAUDE.is_session("journal.jsonl"));
        assert!(!CLAUDE.is_session(&format!("{ID}.orphaned-1")));
    }
}
