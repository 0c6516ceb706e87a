//! The folders of OpenCode's sessions.

use std::ffi::OsStr;
use std::path::Path;

use super::tables::DATABASES;
use crate::source::layout::{Documents, Homes, Layout, Name, Purpose, Tree};

pub(super) const HOMES: Homes = Homes {
    key: "opencode_home",
    variables: &["XDG_DATA_HOME"],
    below: &["opencode", "kilo", "mimocode"],
    files: &["OPENCODE_DB", "KILO_DB"],
    has_commas: false,
    usual: &[".local/share/opencode", ".local/share/kilo", ".local/share/mimocode"],
};

/// The database is in the home; before 1.2 there was `storage/session/<project>/<session>.json`, and
/// `storage/message/<session>/<message>.json`.
pub(super) const LAYOUT: Layout = Layout {
    trees: &[
        Tree { folder: "", levels: &[], purpose: Purpose::Sessions },
        Tree { folder: "storage/session", levels: &[Name::Any], purpose: Purpose::Superseded },
        Tree { folder: "storage/message", levels: &[Name::BeginsWith("ses_")], purpose: Purpose::Superseded },
    ],
    thread,
    documents: Some(Documents {
        session: document,
        is_one: |head| head.starts_with(b"{"),
        heads: Some("storage/session"),
        ..Documents::USUAL
    }),
    databases: Some(DATABASES),
    ..Layout::USUAL
};

/// Documents are recognised by their folders; a name shows only the kind of its id.
fn thread(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".json")?;
    (stem.starts_with("ses_") || stem.starts_with("msg_")).then_some(stem)
}

/// The session of a document.
fn document(path: &Path) -> Option<String> {
    let name = |path: &Path| path.file_name().and_then(OsStr::to_str).map(str::to_owned);
    let stem = thread(&name(path)?)?.to_owned();
    if stem.starts_with("ses_") {
        Some(stem)
    } else {
        name(path.parent()?).filter(|of| of.starts_with("ses_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_recognised_by_their_folders() {
        let of = |path: &str| document(Path::new(path));
        assert_eq!(of("/h/storage/message/ses_a/msg_1.json").as_deref(), Some("ses_a"));
        assert_eq!(of("/h/storage/session/global/ses_a.json").as_deref(), Some("ses_a"));
        assert_eq!(of("/h/storage/part/msg_1/prt_1.json"), None);
        assert_eq!(of("/h/auth.json"), None);
    }
}
