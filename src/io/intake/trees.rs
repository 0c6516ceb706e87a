//! The relevant paths: the session trees of all homes, present or not.
//!
//! Shared by the reading thread and the watcher's callback, which must drop foreign paths without waking the reading
//! thread.
//! Read next: `inbox`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Home;
use super::databases::databases_in;
use super::open::Stamp;
use super::watch::WHOLE_TREES;
use super::watched::real;
use crate::core::source::database::written_on;
use crate::core::source::layout::{Purpose, Tree};

/// All trees, present or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Trees {
    pub(super) roots: Vec<Root>,
}

/// One tree of one home.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) home: Arc<Home>,
    pub(super) tree: &'static Tree,
    /// The only database in it to read, if the home is a database.
    only: Option<String>,
    /// Its configured path.
    pub(super) configured: PathBuf,
    /// Its real path, present or future, as the watcher reports it.
    pub(super) path: PathBuf,
    pub(super) presence: Presence,
}

/// Whether a tree exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    /// It is missing, and an event will report when it or a folder above appears.
    Awaited,
    /// It is missing, and has to be checked for.
    Missing,
}

/// The kind of a path, by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A folder so many levels below its root.
    Folder(usize),
    Session,
    /// An entry of a register.
    Entry,
}

impl Trees {
    pub(super) fn add(&mut self, home: &Arc<Home>) {
        let layout = &home.agent.spec().layout;
        let file = home.database();
        for tree in layout.trees.iter().filter(|tree| file.is_none() || tree.folder.is_empty()) {
            let folder = file.map_or(home.path.as_path(), |(folder, _)| folder);
            let configured = folder.join(tree.folder);
            self.roots.push(Root {
                home: Arc::clone(home),
                tree,
                only: file.map(|(_, name)| name.to_owned()),
                path: configured.clone(),
                configured,
                presence: Presence::Missing,
            });
        }
    }

    /// The tree of `path` and its kind there; `None` for foreign paths.
    pub(super) fn find(&self, path: &Path) -> Option<(&Root, Kind)> {
        self.roots.iter().find_map(|root| Some((root, root.kind(path)?)))
    }

    /// Whether `path` is a file of a database.
    pub(super) fn is_database(&self, path: &Path) -> bool {
        let of = |root: &Root| root.home.agent.spec().layout.database(path);
        self.find(path).and_then(|(root, _)| of(root)).is_some()
    }

    /// Whether an event for `path` matters: it is in a tree, or a tree may appear or vanish with it.
    pub(super) fn matters(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root.path.starts_with(path)) || self.find(path).is_some()
    }
}

impl Root {
    /// Whether a file of this name is read. No other file is ever opened.
    pub(super) fn is_read(&self, name: &str) -> bool {
        let layout = &self.home.agent.spec().layout;
        if let Some(only) = &self.only {
            return written_on(name) == only;
        }
        match self.tree.purpose {
            Purpose::Sessions | Purpose::Moved | Purpose::Superseded => layout.is_read(name),
            Purpose::Register => layout.pid_of(name).is_some(),
        }
    }

    /// The database that a file belongs to.
    pub(super) fn database(&self, path: &Path) -> Option<PathBuf> {
        match &self.only {
            Some(only) => self.is_read(path.file_name()?.to_str()?).then(|| path.with_file_name(only)),
            None => self.home.agent.spec().layout.database(path),
        }
    }

    pub(super) fn is_present(&self) -> bool {
        self.presence == Presence::Present
    }

    pub(super) fn is_register(&self) -> bool {
        self.tree.purpose == Purpose::Register
    }

    /// Whether its appearance matters. A tree of moved files has no new ones.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.tree.purpose, Purpose::Sessions | Purpose::Register)
    }

    /// Whether a database replaces its files.
    pub(super) fn is_superseded(&self) -> bool {
        self.tree.purpose == Purpose::Superseded && !databases_in(self.home.agent, &self.home.path).is_empty()
    }

    /// Whether its configured path now leads to another folder.
    pub(super) fn leads_elsewhere(&self) -> bool {
        if WHOLE_TREES {
            // The one watch is on the real path, and reports nothing of another one.
            return real(&self.configured) != self.path;
        }
        let identity = |path: &Path| Stamp::look(path).ok().map(|stamp| stamp.identity);
        // Another folder at the same path is found by comparison with the last listing.
        self.configured != self.path && identity(&self.configured) != identity(&self.path)
    }

    /// Whether no event would report its appearance.
    pub(super) fn is_unheard(&self) -> bool {
        self.presence == Presence::Missing
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        let mut level = 0;
        let mut names = path.strip_prefix(&self.path).ok()?.iter().peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() && name.to_str().is_some_and(|name| self.is_read(name)) {
                return Some(if self.is_register() { Kind::Entry } else { Kind::Session });
            }
            if !self.has_folder(level, name) {
                return None;
            }
            level += 1;
        }
        Some(Kind::Folder(level))
    }

    /// Whether a folder on `level` may have a subfolder called `name`.
    pub(super) fn has_folder(&self, level: usize, name: &OsStr) -> bool {
        self.tree
            .levels
            .get(level)
            .is_some_and(|allowed| name.to_str().is_some_and(|name| allowed.fits(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::source::Agent;

    /// The trees of one home, at `/h`.
    fn of(agent: Agent) -> Trees {
        let mut trees = Trees::default();
        trees.add(&Arc::new(Home { agent, path: "/h".into(), label: "/h".into() }));
        trees
    }

    #[test]
    fn the_kind_of_a_path_follows_from_its_place() {
        let trees = of(Agent::CODEX);
        let file = "rollout-2026-11-20T10-00-00-0199a213-81c0-7800-8aa1-bbab2a035a53.jsonl";
        for (path, expected) in [
            ("/h/sessions", Some(Kind::Folder(0))),
            ("/h/sessions/2026/11/20", Some(Kind::Folder(3))),
            ("/h/sessions/2026/11/20/x", None),
            ("/h/sessions/backup", None),
            ("/h/history.jsonl", None),
            ("/h", None),
            (&format!("/h/sessions/{file}"), Some(Kind::Session)),
            (&format!("/h/sessions/2026/11/20/{file}"), Some(Kind::Session)),
            (&format!("/h/archived_sessions/{file}"), Some(Kind::Session)),
            (&format!("/h/archived_sessions/2026/{file}"), None),
        ] {
            assert_eq!(trees.find(Path::new(path)).map(|(_, kind)| kind), expected, "{path}");
        }
    }

    #[test]
    fn database_files_and_their_logs_are_recognised() {
        let trees = of(Agent::COPILOT);
        let id = "11111111-1111-4111-8111-111111111111";
        for (path, expected) in [
            ("/h/session-store.db", true),
            ("/h/session-store.db-wal", true),
            ("/h/session-store.db-shm", false),
            (&format!("/h/session-state/{id}/events.jsonl"), false),
        ] {
            assert_eq!(trees.is_database(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn transcripts_sub_agents_and_register_entries_are_recognised() {
        let trees = of(Agent::CLAUDE);
        let id = "11111111-1111-4111-8111-111111111111";
        for (path, expected) in [
            ("/h/projects/-p/{id}.jsonl", Some(Kind::Session)),
            ("/h/projects/-p/agent-a1b2.jsonl", Some(Kind::Session)),
            ("/h/projects/-p/{id}/subagents/agent-a1b2.jsonl", Some(Kind::Session)),
            ("/h/projects/-p/{id}/subagents/workflows/wf_a1/agent-a1b2.jsonl", Some(Kind::Session)),
            ("/h/projects/-p/{id}/subagents/workflows/wf_a1/journal.jsonl", None),
            ("/h/projects/-p/{id}/subagents/agent-a1b2.meta.json", None),
            ("/h/projects/-p/{id}/tool-results", None),
            ("/h/projects/-p/{id}.jsonl.orphaned-1", None),
            ("/h/projects/-p/memory", None),
            ("/h/sessions/4242.json", Some(Kind::Entry)),
            ("/h/sessions/4242.0a1b.key", None),
            ("/h/sessions/4242.json.tmp", None),
            ("/h/sessions/x/4242.json", None),
            ("/h/.credentials.json", None),
            ("/h/history.jsonl", None),
        ] {
            let path = path.replace("{id}", id);
            assert_eq!(trees.find(Path::new(&path)).map(|(_, kind)| kind), expected, "{path}");
        }
    }
}
