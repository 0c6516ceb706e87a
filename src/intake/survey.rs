//! A look at one home for `doctor`: what the intake would find in it, without reading a file.
//!
//! Changes nothing, follows nothing. Read next: [`Layout`], which says what counts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Home;
use super::watch::{self, Trust};
use crate::core::doctor::Sessions;
use crate::core::source::layout::{Layout, Purpose, Tree};

/// Bounds the time that somebody else's folder of ten thousand folders costs.
const MOST_FOLDERS: usize = 20_000;

/// What is in `home`.
pub fn survey(home: &Home) -> Sessions {
    let layout = &home.agent.spec().layout;
    let mut found = HomeSurvey { layout, folders: 0, sessions: 0, newest: None };
    let mut is_present = false;
    for tree in layout.sessions() {
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
                    // It went between the listing and the look.
                    Err(gone) if gone.cause.kind() == io::ErrorKind::NotFound => {}
                    result => result?,
                }
            } else if self.layout.is_session(name) {
                self.sessions += 1;
                let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
                let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
                self.newest = self.newest.max(modified);
            }
        }
        Ok(())
    }
}
