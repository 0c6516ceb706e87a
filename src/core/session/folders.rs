//! Where a session works, worked and came from: what rules of privacy go by.
//!
//! Read next: [`crate::core::privacy`], which judges folders.

use super::Session;

/// More folders than this one session has hardly worked in; what goes beyond is lost.
const FOLDERS: usize = 256;

impl Session {
    /// It works in this folder now.
    pub fn move_to(&mut self, folder: &str) {
        if self.cwd.as_deref() == Some(folder) {
            return;
        }
        self.been.retain(|been| been != folder);
        if let Some(before) = self.cwd.replace(folder.to_owned()) {
            self.was_in(&before);
        }
    }

    /// It has worked in this folder, now or before.
    pub fn was_in(&mut self, folder: &str) {
        if self.folders().any(|known| known == folder) {
            return;
        }
        if self.been.len() < FOLDERS {
            self.been.push(folder.to_owned());
        } else {
            self.lost = true;
        }
    }

    /// Every folder that it is known to have worked in.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.cwd.as_deref().into_iter().chain(self.been.iter().map(String::as_str))
    }

    /// The sessions that it came from, by the agent's own ids.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        [&self.parent, &self.forked_from].into_iter().flatten().map(String::as_str)
    }

    /// The name of the project's folder. A worktree that the agent made has a made-up name: there it is that of the
    /// repository it was made in.
    pub fn project(&self) -> Option<&str> {
        let mut names = self.cwd.as_deref()?.split(['/', '\\']).filter(|name| !name.is_empty()).rev();
        let name = names.next()?;
        match (names.next(), names.next(), names.next()) {
            (Some("worktrees"), Some(".claude"), Some(repository)) => Some(repository),
            _ => Some(name),
        }
    }
}
