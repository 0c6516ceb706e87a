//! The path of a file. Thousands of files share their folder, which is stored once.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The path of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePath {
    folder: Arc<Path>,
    name: Box<OsStr>,
}

/// The folders of all files, each stored once.
#[derive(Debug, Default)]
pub(super) struct SharedFolders(BTreeSet<Arc<Path>>);

impl FilePath {
    pub(super) fn new(path: &Path) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::within(&Arc::from(folder), path.file_name().unwrap_or_default())
    }

    pub(super) fn within(folder: &Arc<Path>, name: &OsStr) -> Self {
        Self { folder: Arc::clone(folder), name: name.into() }
    }

    pub(super) fn folder(&self) -> &Arc<Path> {
        &self.folder
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.to_str()
    }

    pub(super) fn whole(&self) -> PathBuf {
        self.folder.join(&*self.name)
    }

    /// Whether `path` is the same.
    pub(super) fn is(&self, path: &Path) -> bool {
        path.file_name() == Some(&self.name) && path.parent() == Some(&self.folder)
    }
}

impl SharedFolders {
    /// Replaces the folder of `path` by the stored one.
    pub(super) fn share(&mut self, path: &mut FilePath) {
        match self.0.get(&path.folder) {
            Some(known) => path.folder = Arc::clone(known),
            None => {
                self.0.insert(Arc::clone(&path.folder));
            }
        }
    }

    /// Drops a folder if `path` is the last one in it.
    pub(super) fn leave(&mut self, path: &FilePath) {
        if Arc::strong_count(&path.folder) <= 2 {
            self.0.remove(&path.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_in_two_parts() {
        let path = Path::new("/home/ada/sessions/a.jsonl");
        let kept = FilePath::new(path);
        assert_eq!((kept.whole().as_path(), kept.name()), (path, Some("a.jsonl")));
        assert!(kept.is(path) && kept.is(Path::new("/home/ada//sessions/a.jsonl")));
        for other in ["/home/ada/sessions/b.jsonl", "/home/ada/a.jsonl", "a.jsonl", "/"] {
            assert!(!kept.is(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn a_folder_is_stored_once_while_it_has_files() {
        let mut folders = SharedFolders::default();
        let [mut one, mut other, mut elsewhere] =
            ["/a/1", "/a/2", "/b/3"].map(|path| FilePath::new(Path::new(path)));
        for path in [&mut one, &mut other, &mut elsewhere] {
            folders.share(path);
        }
        assert!(Arc::ptr_eq(one.folder(), other.folder()) && folders.0.len() == 2);
        for (path, left) in [(one, 2), (elsewhere, 1), (other, 0)] {
            folders.leave(&path);
            drop(path);
            assert_eq!(folders.0.len(), left);
        }
    }
}
