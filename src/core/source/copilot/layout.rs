//! The folders and names of Copilot CLI's session files.

use std::path::Path;

use super::store;
use crate::source::layout::{Homes, Layout, Name, Purpose, Tree, is_uuid};

pub(super) const HOMES: Homes = Homes {
    key: "copilot_home",
    variables: &["COPILOT_HOME"],
    below: &[],
    files: &[],
    has_commas: false,
    usual: &[".copilot"],
};

/// `session-state/<session>/events.jsonl`, in early versions `session-state/<session>.jsonl`. The database of all
/// sessions is in the home itself.
pub(super) const LAYOUT: Layout = Layout {
    trees: &[
        Tree { folder: "session-state", levels: &[Name::Uuid], purpose: Purpose::Sessions },
        Tree { folder: "", levels: &[], purpose: Purpose::Sessions },
    ],
    thread,
    databases: Some(store::DATABASES),
    ..Layout::USUAL
};

/// The name of a session's file in the session's own folder.
const EVENTS: &str = "events.jsonl";

fn thread(name: &str) -> Option<&str> {
    if name == EVENTS { Some("") } else { name.strip_suffix(".jsonl").filter(|stem| is_uuid(stem)) }
}

/// The session in a file's path.
pub(super) fn session(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let above = || path.parent()?.file_name()?.to_str().filter(|folder| is_uuid(folder));
    thread(name).and_then(|thread| if thread.is_empty() { above() } else { Some(thread) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_the_session() {
        const ID: &str = "44444444-4444-4444-8444-444444444444";
        let of = |place: &str| session(Path::new(&place.replace("ID", ID))).map(str::to_owned);
        assert_eq!(of("/h/session-state/ID/events.jsonl").as_deref(), Some(ID));
        assert_eq!(of("/h/session-state/ID.jsonl").as_deref(), Some(ID));
        assert_eq!(of("/h/session-state/copy/events.jsonl"), None);
        assert_eq!(of("/h/session-state/ID/files/notes.jsonl"), None);
        assert!(LAYOUT.is_session(EVENTS) && !LAYOUT.is_session("tracking.json"));
    }
}
