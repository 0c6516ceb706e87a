//! Whose history a recorded file has copied: the rows of those files, wherever they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::feed::{has_text, rows};
use super::files::{Recorded, home_folder, recognise};
use crate::core::file::{Head, LineageRequest, UsageRow};
use crate::core::source::Agent;
use crate::core::source::relatives::Neighbours;
use crate::io::intake::{helper_files, session_files};

/// The files that were given, and those that lie around them.
#[derive(Debug)]
pub(super) struct Lineage<'a> {
    given: &'a [Recorded],
    /// What is in a home (`true`), or in a folder.
    listed: BTreeMap<(Agent, bool, PathBuf), Vec<PathBuf>>,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(given: &'a [Recorded]) -> Self {
        Self { given, listed: BTreeMap::new() }
    }

    /// The rows that answer what `child` has asked for. A file that cannot be read has none to offer.
    pub(super) fn answer(&mut self, child: &Recorded, wanted: &LineageRequest) -> Vec<Vec<UsageRow>> {
        let relatives = child.agent.spec().relatives;
        relatives.answer(&child.path, wanted, &mut Around { lineage: self, child })
    }

    /// The files with this session's id in their names, in the home of `child`, else in a folder above it.
    fn beside(&mut self, child: &Recorded, id: &str) -> Vec<PathBuf> {
        /// A sub-agent's file lies so much deeper than its session's at most.
        const ABOVE: usize = 5;
        let layout = &child.agent.spec().layout;
        let above = child.path.ancestors().skip(1).take(ABOVE).map(|folder| (folder, false));
        let home = home_folder(child.agent, &child.path).map(|home| (home, true));
        let is_of = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(layout.thread) == Some(id)
        };
        for (folder, is_home) in home.into_iter().chain(above) {
            let listed = self.listed.entry((child.agent, is_home, folder.to_owned())).or_insert_with(|| {
                let mut files = Vec::new();
                if !is_home {
                    session_files(layout, folder, &[], &mut files);
                }
                for tree in layout.sessions().filter(|_| is_home) {
                    session_files(layout, &folder.join(tree.folder), tree.levels, &mut files);
                }
                files
            });
            let found: Vec<_> = listed.iter().filter(is_of).cloned().collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }
}

/// The rows of the files of a session's helpers, which lie beside it.
pub(super) fn helpers(session: &Recorded) -> Vec<Vec<UsageRow>> {
    let files = helper_files(session.agent, &session.path);
    files.iter().filter_map(|path| rows(session.agent, path).ok()).collect()
}

/// The files around `child`.
struct Around<'l, 'a> {
    lineage: &'l mut Lineage<'a>,
    child: &'l Recorded,
}

impl<'a> Around<'_, 'a> {
    fn given(&self) -> impl Iterator<Item = &'a Recorded> + use<'a, '_> {
        let child = self.child;
        self.lineage.given.iter().filter(move |file| file.agent == child.agent)
    }

    fn given_of(&self, id: &str) -> Vec<PathBuf> {
        let is_of = |file: &&Recorded| file.head.as_ref().is_some_and(|head| head.id == id);
        self.given().filter(is_of).map(|file| file.path.clone()).collect()
    }
}

impl Neighbours for Around<'_, '_> {
    /// Those that were given, else those that lie where the agent has them.
    fn of_session(&mut self, id: &str) -> Vec<PathBuf> {
        let mut files = self.given_of(id);
        files.retain(|path| *path != self.child.path);
        if files.is_empty() { self.lineage.beside(self.child, id) } else { files }
    }

    fn twins(&mut self) -> Vec<PathBuf> {
        let mut files = self.child.head.as_ref().map(|head| self.given_of(&head.id)).unwrap_or_default();
        files.retain(|path| *path != self.child.path);
        files
    }

    fn others(&mut self, _first_line: Option<&str>) -> Vec<PathBuf> {
        self.given().filter(|file| file.path != self.child.path).map(|file| file.path.clone()).collect()
    }

    fn head(&mut self, path: &Path) -> Option<Head> {
        match self.given().find(|file| file.path == path) {
            Some(file) => file.head.clone(),
            None => recognise(path).ok().flatten()?.head,
        }
    }

    fn rows(&mut self, path: &Path, _all: bool) -> Option<Vec<UsageRow>> {
        rows(self.child.agent, path).ok()
    }

    fn has_text(&mut self, path: &Path, text: &str) -> bool {
        has_text(path, text).unwrap_or(false)
    }
}
