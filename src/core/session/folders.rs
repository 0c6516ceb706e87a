//! The folders of a session, for the privacy rules: where it works, worked and came from.
//!
//! Read next: [`crate::privacy`], which judges folders.

use std::sync::Arc;

use super::Session;
use crate::names;
use crate::remote::far;

/// A session hardly works in more folders; further ones are not stored.
const FOLDERS: usize = 256;

impl Session {
    /// Notes the present working folder.
    pub fn move_to(&mut self, folder: &str) {
        if self.cwd.as_deref() == Some(folder) {
            return;
        }
        self.other_folders.retain(|folder_before| **folder_before != *folder);
        if let Some(before) = self.cwd.replace(folder.into()) {
            self.was_in(&before);
        }
    }

    /// Notes a folder that the session works or worked in.
    pub fn was_in(&mut self, folder: &str) {
        if self.folders().any(|known| known == folder) {
            return;
        }
        if self.other_folders.len() < FOLDERS {
            self.other_folders.push(folder.into());
        } else {
            self.has_unlisted_folders = true;
        }
    }

    /// Every folder that it is known to have worked in.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.cwd.as_deref().into_iter().chain(self.other_folders.iter().map(Arc::as_ref))
    }

    /// The folders among them on this machine, of which other paths can be found out.
    pub fn folders_here(&self) -> impl Iterator<Item = &str> {
        self.folders().filter(|folder| !far::is_far(folder))
    }

    /// The sessions from which it was forked or started, by the agent's own ids.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        [&self.parent, &self.forked_from].into_iter().flatten().map(Arc::as_ref)
    }

    /// The name of the project's folder.
    pub fn project(&self) -> Option<&str> {
        match &self.far {
            Some(far) => far.project.as_deref(),
            None => names::project(self.cwd.as_deref()?),
        }
    }
}
