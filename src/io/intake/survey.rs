//! Counts the sessions of one home for `doctor`, without reading a file.
//!
//! Changes and follows nothing. Read next: [`Layout`], the rules.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Home;
use super::databases::databases_in;
use super::watch::{self, Trust};
use crate::core::doctor::{DatabaseFacts, Sessions};
use crate::core::source::layout::{Layout, Purpose, Tree, Unread};
use crate::io::database::Database;

/// The most folders that are listed; limits the time for a foreign folder of ten thousand folders.
const MOST_FOLDERS: usize = 20_000;

/// The sessions in `home`, and its databases.
pub fn survey(home: &Home) -> (Sessions, Vec<DatabaseFacts>) {
    let layout = &home.agent.spec().layout;
    let mut found = HomeSurvey { layout, folders: 0, sessions: 0, newest: None };
    let mut databases: Vec<_> =
        databases_in(home.agent, &home.path).iter().map(|path| found.database(path)).collect();
    let sessions = found.of(home, !databases.is_empty());
    let unread = layout.unread.iter().filter(|unread| home.path.join(unread.file).is_file());
    databases.extend(unread.map(|Unread { file, why }| DatabaseFacts {
        name: (*file).to_owned(),
        versions: Vec::new(),
        unread: Some((*why).to_owned()),
    }));
    (sessions, databases)
}

impl HomeSurvey {
    fn of(mut self, home: &Home, has_database: bool) -> Sessions {
        let found = &mut self;
        let is_folder = home.database().is_none();
        let mut is_present = !is_folder && has_database;
        let is_read = |tree: &&Tree| is_folder && !(has_database && tree.purpose == Purpose::Superseded);
        for tree in found.layout.sessions().filter(is_read) {
            let root = home.path.join(tree.folder);
            match found.walk(&root, tree, 0) {
                Ok(()) => is_present |= tree.purpose == Purpose::Sessions,
                Err(ListError { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(ListError { path, cause }) => {
                    let cause = match fs::metadata(&path) {
                        Ok(metadata) if !metadata.is_dir() => "it is not a folder".to_owned(),
                        _ => cause.to_string(),
                    };
                    return Sessions::Unreadable { path: path.display().to_string(), cause };
                }
            }
        }
        if !is_present && found.sessions == 0 {
            return Sessions::Missing;
        }
        Sessions::Read {
            folders: found.folders,
            sessions: found.sessions,
            newest: found.newest,
            polled: watch::trust(&home.path) >= Trust::Network,
        }
    }

    /// Whether it is one of several documents of a session and not the one that describes it.
    fn is_a_part(&self, path: &Path) -> bool {
        let has_heads = self.layout.documents.as_ref().is_some_and(|documents| documents.heads.is_some());
        has_heads && !self.layout.is_head(path)
    }

    /// Counts the sessions of a database.
    fn database(&mut self, path: &Path) -> DatabaseFacts {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut facts = DatabaseFacts { name, versions: Vec::new(), unread: None };
        let looked = self.layout.databases.as_ref().map(|databases| Database::open(path, databases));
        let counted = looked.transpose().and_then(|database| {
            let Some(database) = database.flatten() else { return Ok(()) };
            facts.versions = database.versions();
            facts.unread = database.refused().map(str::to_owned);
            let (sessions, newest) = database.count()?;
            self.sessions += sessions;
            self.newest = self.newest.max(newest);
            Ok::<_, io::Error>(())
        });
        facts.unread = counted.err().map(|error| error.to_string()).or(facts.unread);
        facts
    }
}

struct HomeSurvey {
    layout: &'static Layout,
    folders: usize,
    sessions: usize,
    newest: Option<Timestamp>,
}

struct ListError {
    path: PathBuf,
    cause: io::Error,
}

impl HomeSurvey {
    fn walk(&mut self, folder: &Path, tree: &Tree, level: usize) -> Result<(), ListError> {
        let refused = |cause| ListError { path: folder.to_owned(), cause };
        self.folders += 1;
        for entry in fs::read_dir(folder).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_below = self.folders < MOST_FOLDERS
                && tree.levels.get(level).is_some_and(|expected| expected.fits(name));
            if is_below && entry.path().is_dir() {
                match self.walk(&entry.path(), tree, level + 1) {
                    // The folder was removed after the listing.
                    Err(gone) if gone.cause.kind() == io::ErrorKind::NotFound => {}
                    result => result?,
                }
            } else if self.layout.is_session(name) && !self.is_a_part(&entry.path()) {
                self.sessions += 1;
                let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
                let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
                self.newest = self.newest.max(modified);
            }
        }
        Ok(())
    }
}
