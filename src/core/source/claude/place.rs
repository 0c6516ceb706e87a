//! The session of a transcript, by its path: `<session>.jsonl`, and for helpers `<session>/subagents/`.
//!
//! The lines inside may name another session, if this one began in another one's context or was copied from it.

use std::path::Path;

/// What a file's path shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PathInfo {
    /// The session of the file.
    pub(super) session: Option<String>,
    /// The session that the file's helper works for.
    pub(super) helps: Option<String>,
}

impl PathInfo {
    /// Reads a path. A name that is not a session's gives nothing.
    pub(super) fn of(path: &Path) -> Self {
        let names = path.iter().rev().filter_map(|name| name.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let above = names.skip_while(|name| *name != "subagents").nth(1);
        Self {
            session: Some(stem).filter(|stem| is_session(stem)).map(str::to_owned),
            helps: above.filter(|above| stem.starts_with("agent-") && is_session(above)).map(str::to_owned),
        }
    }
}

/// Whether a name has the form of a session id.
fn is_session(name: &str) -> bool {
    const PARTS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_hex =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = name.split('-');
    PARTS.iter().all(|length| parts.next().is_some_and(|part| is_hex(part, *length)))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_the_session() {
        const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";
        let place = |path: String| {
            let PathInfo { session, helps } = PathInfo::of(Path::new(&path));
            (session.is_some(), helps.is_some())
        };
        assert_eq!(place(format!("/h/projects/-app/{ID}.jsonl")), (true, false));
        assert_eq!(place(format!("{ID}.jsonl")), (true, false));
        assert_eq!(place(format!("/h/projects/-app/{ID}/subagents/agent-a1.jsonl")), (false, true));
        assert_eq!(
            place(format!("/h/projects/-app/{ID}/subagents/workflows/wf_1/agent-a1.jsonl")),
            (false, true)
        );
        assert_eq!(place("/h/projects/-app/agent-a1.jsonl".to_owned()), (false, false));
        assert_eq!(place(format!("/h/{ID}/notes.jsonl")), (false, false));
        assert_eq!(place(format!("/h/{ID}-2.jsonl")), (false, false));
    }
}
