//! A folder by its path, for systems without handles.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::OpenMode;
use crate::io::files;

/// A folder of this user.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`.
    ///
    /// # Errors
    /// There is no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Checks that it may be written to.
    ///
    /// # Errors
    /// Never here.
    pub fn check(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether only this user can have written its files.
    pub fn is_private(&self) -> bool {
        true
    }

    /// The subfolder of that name, created if it is missing.
    ///
    /// # Errors
    /// The system's error.
    pub fn subfolder(&self, name: &str) -> io::Result<Self> {
        let path = self.0.join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Opens a file.
    ///
    /// # Errors
    /// The system's error.
    pub fn file(&self, name: &str, purpose: OpenMode) -> io::Result<File> {
        let mut options = files::private_options();
        match purpose {
            OpenMode::Read => options.read(true),
            OpenMode::Append => options.read(true).append(true).create(true),
            OpenMode::Cut => options.write(true),
            OpenMode::Lock => options.read(true).write(true).create(true).truncate(false),
        };
        options.open(self.0.join(name))
    }

    /// Replaces a file so that readers never see half of one; `sync`: also after a power cut.
    ///
    /// # Errors
    /// The system's error; the old file is then unchanged.
    pub fn put(&self, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
        let path = self.0.join(name);
        if sync { files::write_atomically(&path, bytes) } else { files::replace(&path, bytes) }
    }

    /// Removes a file.
    ///
    /// # Errors
    /// The system's error.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// The names of its entries, as far as they can be read.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}
