//! The folders and names of pi's session files.

use serde::Deserialize;

use crate::source::layout::{Elsewhere, Homes, Layout, Name, Purpose, Tree, Unread, is_uuid};

pub(super) const HOMES: Homes = Homes {
    key: "pi_home",
    variables: &["PI_CODING_AGENT_SESSION_DIR", "PI_CODING_AGENT_DIR"],
    below: &[],
    files: &[],
    has_commas: false,
    usual: &[".pi/agent", ".omp/agent", ".openclaw"],
};

/// `sessions/<project>/<time>_<session>.jsonl`; directly in a folder that the user has chosen (`sessionDir`,
/// `PI_CODING_AGENT_SESSION_DIR`); for OpenClaw `agents/<agent>/sessions/<session>.jsonl`.
pub(super) const LAYOUT: Layout = Layout {
    trees: &[
        Tree { folder: "sessions", levels: &[Name::Any], purpose: Purpose::Sessions },
        Tree { folder: "", levels: &[], purpose: Purpose::Sessions },
        Tree { folder: "agents", levels: &[Name::Any, Name::Exactly("sessions")], purpose: Purpose::Moved },
    ],
    thread,
    unread: &[Unread {
        file: "sessions.sqlite",
        why: "an experiment of pi's, which is not read; hint: without PERSISTENT_STORE=sqlite pi writes session files",
    }],
    elsewhere: Some(Elsewhere { file: "settings.json", folder: session_folder }),
    ..Layout::USUAL
};

fn session_folder(settings: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Settings {
        #[serde(rename = "sessionDir")]
        folder: String,
    }

    serde_json::from_slice(settings).ok().map(|Settings { folder }| folder)
}

/// The session in a file's name; the part before it has no meaning.
pub(super) fn thread(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".jsonl")?;
    let id = stem.rsplit('_').next()?;
    is_uuid(id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_file_names_are_recognised() {
        const ID: &str = "01a21ad7-7dd5-7295-ab0a-c3f090a6565b";
        assert_eq!(thread(&format!("2026-11-27T02-30-59-797Z_{ID}.jsonl")), Some(ID));
        assert_eq!(thread(&format!("{ID}.jsonl")), Some(ID));
        assert_eq!(thread("settings.jsonl"), None);
        assert_eq!(thread(&format!("{ID}.json")), None);
    }

    #[test]
    fn the_session_folder_is_read_from_settings() {
        let folder = |text: &str| session_folder(text.as_bytes());
        assert_eq!(folder(r#"{"theme":"dark","sessionDir":"~/talks"}"#).as_deref(), Some("~/talks"));
        for text in ["", "{}", "[]", r#"{"sessionDir":1}"#, r#"{"sessionDir":"/a""#] {
            assert_eq!(folder(text), None, "{text}");
        }
    }
}
