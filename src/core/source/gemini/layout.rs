//! The folders and names of Gemini CLI's session files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::source::layout::{Documents, Homes, Layout, Name, Purpose, Tree, is_uuid};

pub(super) const HOMES: Homes = Homes {
    key: "gemini_home",
    variables: &["GEMINI_CLI_HOME"],
    below: &[".gemini"],
    files: &[],
    has_commas: false,
    usual: &[".gemini"],
};

/// `tmp/<project>/chats/session-<time>-<beginning of the session's id>.jsonl`, until April 2026 `.json`; those of
/// sub-agents in `chats/<session>/<sub-agent>.jsonl`. A session that is resumed gets a second file, and continues in
/// the first one.
pub(super) const LAYOUT: Layout = Layout {
    trees: &[Tree {
        folder: "tmp",
        levels: &[Name::Any, Name::Exactly(CHATS), Name::Uuid],
        purpose: Purpose::Sessions,
    }],
    thread,
    documents: Some(Documents { session, is_one, grows, note, ..Documents::USUAL }),
    ..Layout::USUAL
};

const CHATS: &str = "chats";

fn thread(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".jsonl").or_else(|| name.strip_suffix(".json"))?;
    if is_uuid(stem) {
        return Some(stem).filter(|_| name.ends_with("l"));
    }
    let named = stem.strip_prefix("session-")?;
    let is_id = |end: &&str| end.len() == 8 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(named.rsplit('-').next().filter(is_id).unwrap_or(named))
}

fn session(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let thread = thread(name)?;
    if is_uuid(thread) && parent(path).is_none() {
        return None;
    }
    let project = chats(path).and_then(Path::parent).or(path.parent()).and_then(Path::file_name);
    Some(format!("{}/{thread}", project.unwrap_or_default().to_string_lossy()))
}

fn is_one(head: &[u8]) -> bool {
    let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
    let is_whole =
        head.trim_ascii_start().starts_with(b"{") && has(b"\"sessionId\"") && has(b"\"projectHash\"");
    is_whole && has(b"\"messages\"") || head.split(|byte| *byte == b'\n').take(3).any(super::is_line)
}

fn grows(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "jsonl")
}

/// Beside the folder of the sessions.
fn note(path: &Path) -> Option<PathBuf> {
    Some(chats(path)?.with_file_name(".project_root"))
}

/// The folder of a project's sessions.
fn chats(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).take(2).find(|folder| folder.file_name() == Some(OsStr::new(CHATS)))
}

/// The session whose sub-agent wrote the file.
pub(super) fn parent(path: &Path) -> Option<&str> {
    let folder = path.parent()?;
    let is_below = folder.parent()?.file_name() == Some(OsStr::new(CHATS));
    folder.file_name()?.to_str().filter(|_| is_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_file_names_and_paths_are_recognised() {
        const ID: &str = "e187e6c5-86d3-4083-ba88-4eeed9f2cf7b";
        let path = |path: &str| PathBuf::from("/h/.gemini/tmp/app").join(path);
        let session = |name: &str| session(&path(name));
        assert_eq!(session("chats/session-2026-11-27T05-49-210b5e0a.jsonl").as_deref(), Some("app/210b5e0a"));
        assert_eq!(session("chats/session-2026-03-27T05-49-210b5e0a.json").as_deref(), Some("app/210b5e0a"));
        assert_eq!(session(&format!("chats/{ID}/{ID}.jsonl")), Some(format!("app/{ID}")));
        assert_eq!(session(&format!("chats/{ID}.jsonl")), None);
        assert_eq!(session("logs.json"), None);
        let inner = path(&format!("chats/{ID}/{ID}.jsonl"));
        assert_eq!(parent(&inner), Some(ID));
        assert_eq!(parent(&path("chats/session-2026-11-27T05-49-210b5e0a.jsonl")), None);
        for file in [inner, path("chats/session-1.jsonl")] {
            assert_eq!(note(&file), Some(path(".project_root")));
        }
    }
}
