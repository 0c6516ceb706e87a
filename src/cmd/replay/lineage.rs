//! Finds the files whose history a recorded file has copied, and their rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::feed::{has_text, rows};
use super::files::{Recorded, home_folder, recognise};
use crate::core::file::{Head, LineageRequest, UsageRow};
use crate::core::source::Agent;
use crate::core::source::relatives::Neighbours;
use crate::io::intake::{helper_files, session_files};

/// The given files, and the files around them.
#[derive(Debug)]
pub(super) struct Lineage<'a> {
    given: &'a [Recorded],
    by_path: BTreeMap<(Agent, &'a Path), &'a Recorded>,
    by_session: BTreeMap<(Agent, &'a str), Vec<&'a Recorded>>,
    by_first_line: BTreeMap<(Agent, &'a str), Vec<&'a Recorded>>,
    /// The session files in a home (`true`) or in a folder (`false`).
    listed: BTreeMap<(Agent, bool, PathBuf), Vec<PathBuf>>,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(given: &'a [Recorded]) -> Self {
        let mut this = Self {
            given,
            by_path: BTreeMap::new(),
            by_session: BTreeMap::new(),
            by_first_line: BTreeMap::new(),
            listed: BTreeMap::new(),
        };
        for file in given {
            this.by_path.entry((file.agent, file.path.as_path())).or_insert(file);
            let Some(head) = &file.head else { continue };
            this.by_session.entry((file.agent, head.id.as_str())).or_default().push(file);
            if let Some(line) = &head.first_line {
                this.by_first_line.entry((file.agent, line.as_str())).or_default().push(file);
            }
        }
        this
    }

    /// The rows that `child` asks for; none for a file that cannot be read.
    pub(super) fn answer(&mut self, child: &Recorded, wanted: &LineageRequest) -> Vec<Vec<UsageRow>> {
        let relatives = child.agent.spec().relatives;
        relatives.answer(&child.path, wanted, &mut Around { lineage: self, child })
    }

    /// The files with this session's id in their names, in the home of `child`, or else in a folder above it.
    fn beside(&mut self, child: &Recorded, id: &str) -> Vec<PathBuf> {
        /// A sub-agent's file is at most so many folders below its session's.
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

/// The rows of the files of a session's helpers, which are beside it.
pub(super) fn helpers(session: &Recorded) -> Vec<Vec<UsageRow>> {
    let files = helper_files(session.agent, &session.path);
    files.iter().filter_map(|path| rows(session.agent, path).ok()).collect()
}

/// The files around `child`.
struct Around<'l, 'a> {
    lineage: &'l mut Lineage<'a>,
    child: &'l Recorded,
}

impl Around<'_, '_> {
    /// The paths of these files except the child's.
    fn besides<'f>(&self, files: impl IntoIterator<Item = &'f Recorded>) -> Vec<PathBuf> {
        let paths = files.into_iter().map(|file| &file.path);
        paths.filter(|path| **path != self.child.path).cloned().collect()
    }

    fn given_of(&self, id: &str) -> Vec<PathBuf> {
        let files = self.lineage.by_session.get(&(self.child.agent, id));
        self.besides(files.into_iter().flatten().copied())
    }
}

impl Neighbours for Around<'_, '_> {
    /// Given files, or else those where the agent has them.
    fn of_session(&mut self, id: &str) -> Vec<PathBuf> {
        let files = self.given_of(id);
        if files.is_empty() { self.lineage.beside(self.child, id) } else { files }
    }

    fn twins(&mut self) -> Vec<PathBuf> {
        self.child.head.as_ref().map(|head| self.given_of(&head.id)).unwrap_or_default()
    }

    fn others(&mut self, first_line: Option<&str>) -> Vec<PathBuf> {
        let agent = self.child.agent;
        match first_line {
            Some(line) => {
                let files = self.lineage.by_first_line.get(&(agent, line));
                self.besides(files.into_iter().flatten().copied())
            }
            None => self.besides(self.lineage.given.iter().filter(|file| file.agent == agent)),
        }
    }

    fn head(&mut self, path: &Path) -> Option<Head> {
        match self.lineage.by_path.get(&(self.child.agent, path)) {
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn recorded(agent: Agent, path: &str, id: &str, first_line: Option<&str>) -> Recorded {
        let (id, first_line) = (id.to_owned(), first_line.map(str::to_owned));
        let head = Head { id, parent: None, copy: false, first_line, subagent: false };
        Recorded {
            path: path.into(),
            documents: Vec::new(),
            listed: None,
            agent,
            home: "".into(),
            first_at: Timestamp::MIN,
            head: Some(head),
        }
    }

    #[test]
    fn only_files_that_may_be_relatives_are_candidates() {
        let mut given: Vec<_> = (0..1_000)
            .map(|number| {
                let (path, id) = (format!("/none/{number}"), number.to_string());
                recorded(Agent::CLAUDE, &path, &id, Some(&format!("line {number}")))
            })
            .collect();
        given.push(recorded(Agent::CLAUDE, "/none/twin", "7", Some("line 8")));
        given.push(recorded(Agent::CODEX, "/none/other agent", "7", Some("line 7")));
        given.push(recorded(Agent::CLAUDE, "/none/torn", "9", None));
        let mut lineage = Lineage::new(&given);
        let child = given.iter().find(|file| file.path == Path::new("/none/7")).unwrap();
        let mut around = Around { lineage: &mut lineage, child };
        assert_eq!(around.twins(), [Path::new("/none/twin")]);
        assert_eq!(around.of_session("9"), [Path::new("/none/9"), Path::new("/none/torn")]);
        assert!(around.others(Some("line 7")).is_empty(), "the child itself");
        assert_eq!(around.others(Some("line 8")), [Path::new("/none/8"), Path::new("/none/twin")]);
        assert_eq!(around.others(None).len(), 1_001, "all of the agent's but the child");
        assert_eq!(around.head(Path::new("/none/twin")).unwrap().id, "7");
        assert_eq!(around.head(Path::new("/none/other agent")), None);
    }
}
