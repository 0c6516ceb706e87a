//! The folder by its path, where nothing else is to be had.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Use;
use crate::io::files;

/// A folder of this user's.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether things may be written to it.
    ///
    /// # Errors
    /// Never here.
    pub fn check(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether nobody but this user can have written what is in it.
    pub fn is_private(&self) -> bool {
        true
    }

    /// The subfolder of that name, made if it is not there.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn subfolder(&self, name: &str) -> io::Result<Self> {
        let path = self.0.join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn file(&self, name: &str, purpose: Use) -> io::Result<File> {
        let mut options = files::private_options();
        match purpose {
            Use::Read => options.read(true),
            Use::Append => options.read(true).append(true).create(true),
            Use::Cut => options.write(true),
            Use::Lock => options.read(true).write(true).create(true).truncate(false),
        };
        options.open(self.0.join(name))
    }

    /// Replaces a file so that readers never see half of one; `sync`: also after a power cut.
    ///
    /// # Errors
    /// Whatever the system says; what was there is then untouched.
    pub fn put(&self, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
        let path = self.0.join(name);
        if sync { files::write_atomically(&path, bytes) } else { files::replace(&path, bytes) }
    }

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// The names of what is in it, as far as they can be read.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}
