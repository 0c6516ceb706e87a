//! A folder by its handle.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::OpenMode;
use crate::io::files;
use crate::io::user::{self, Permissions};

/// A folder of this user.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    handle: Arc<OwnedFd>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// There is no folder, other users may write to it, or a link of another user leads to it.
    pub fn open(path: &Path) -> io::Result<Self> {
        check_path(path)?;
        let handle = rustix::fs::open(path, FOLDER, Mode::empty())?;
        let folder = Self { path: path.to_owned(), handle: Arc::new(handle) };
        folder.check()?;
        // A link that was set in between is found now, before anything is written.
        check_path(path)?;
        Ok(folder)
    }

    /// Its path when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that it may be written to: its path still leads to it, and it belongs to this user and is closed to all
    /// others.
    ///
    /// # Errors
    /// Why it may not be written to.
    pub fn check(&self) -> io::Result<()> {
        let own = rustix::fs::fstat(&self.handle)?;
        if own.st_uid != user::own() {
            return Err(denied("it belongs to another user"));
        }
        if Mode::from_raw_mode(own.st_mode).contains(Mode::WOTH) {
            return Err(denied("every user may write to it"));
        }
        let there = rustix::fs::stat(&self.path)?;
        if (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino) {
            return Err(denied("another folder took its place"));
        }
        Ok(())
    }

    /// Whether only this user can have written its files.
    pub fn is_private(&self) -> bool {
        self.handle.try_clone().and_then(|handle| File::from(handle).metadata()).is_ok_and(|own| {
            let there = Permissions { user: own.uid(), group: own.gid(), mode: own.mode() };
            !user::others_may_write(there, user::own(), user::group())
        })
    }

    /// The subfolder of that name, created for its owner alone if it is missing.
    ///
    /// # Errors
    /// The system's error, or that of [`Folder::check`] for either folder.
    pub fn subfolder(&self, name: &str) -> io::Result<Self> {
        self.check()?;
        match rustix::fs::mkdirat(&self.handle, name, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let handle = self.open_at(name, FOLDER, Mode::empty())?;
        let folder = Self { path: self.path.join(name), handle: Arc::new(handle) };
        folder.check()?;
        Ok(folder)
    }

    /// Opens a file. Never blocks, even if a named pipe is in its place.
    ///
    /// # Errors
    /// The system's error, or it is not a file, or another user made it.
    pub fn file(&self, name: &str, purpose: OpenMode) -> io::Result<File> {
        let flags = match purpose {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::Append => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
            OpenMode::Cut => OFlags::WRONLY,
            OpenMode::Lock => OFlags::RDWR | OFlags::CREATE,
        };
        if purpose != OpenMode::Read {
            self.check()?;
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.open_at(name, flags, PRIVATE)?);
        let metadata = file.metadata()?;
        files::check_kind(metadata.file_type())?;
        let is_written = matches!(purpose, OpenMode::Append | OpenMode::Cut);
        if is_written && (metadata.uid() != user::own() || metadata.nlink() > 1 && !self.is_private()) {
            return Err(denied("another user made it"));
        }
        Ok(file)
    }

    /// Replaces a file so that readers never see half of one; `sync`: also after a power cut. A link is replaced, not
    /// followed.
    ///
    /// # Errors
    /// The system's error; the old file is then unchanged.
    pub fn put(&self, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
        self.check()?;
        let temporary = files::temporary_name(OsStr::new(name));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.handle, &temporary, flags, PRIVATE)?);
        let written = file
            .write_all(bytes)
            .and_then(|()| if sync { file.sync_all() } else { Ok(()) })
            .and_then(|()| Ok(rustix::fs::renameat(&self.handle, &temporary, &self.handle, name)?));
        match written {
            Ok(()) if sync => drop(rustix::fs::fsync(&self.handle)),
            Ok(()) => {}
            Err(_) => drop(rustix::fs::unlinkat(&self.handle, &temporary, AtFlags::empty())),
        }
        written
    }

    /// Removes a file.
    ///
    /// # Errors
    /// The system's error.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        self.check()?;
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// The names of its entries, as far as they can be read.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = Dir::read_from(&self.handle) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
        names.filter(|name| !matches!(name.as_str(), "." | "..")).collect()
    }

    /// A path into this very folder, for calls that need a path.
    pub(crate) fn path_to(&self, name: &str) -> PathBuf {
        use std::os::fd::{AsFd as _, AsRawFd as _};
        let by_handle = PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_fd().as_raw_fd()));
        if by_handle.exists() { by_handle.join(name) } else { self.path.join(name) }
    }

    /// Whether there is a socket of that name; any other kind of file is an error.
    pub(crate) fn has_socket(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Socket => Ok(true),
            Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a socket")),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes all other users' permissions of a file.
    pub(crate) fn make_private(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::chmodat(&self.handle, name, PRIVATE, AtFlags::empty())?)
    }

    /// Opens the file `name`; a link only if it is this user's own.
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        use rustix::io::Errno;
        match rustix::fs::openat(&self.handle, name, flags | OFlags::NOFOLLOW, mode) {
            Err(error @ (Errno::LOOP | Errno::MLINK | Errno::NOTDIR)) => {
                let before = self.link_at(name).map_err(|()| error)?;
                if before.st_uid != user::own() {
                    return Err(denied("it is a link that another user made"));
                }
                let target = rustix::fs::readlinkat(&self.handle, name, Vec::new())?;
                // The target is that of the checked link, unless it was replaced meanwhile.
                let is_it = |after: Stat| (after.st_ino, after.st_ctime) == (before.st_ino, before.st_ctime);
                if !self.link_at(name).is_ok_and(is_it) {
                    return Err(denied("it was changed just now"));
                }
                Ok(rustix::fs::openat(&self.handle, target, flags, mode)?)
            }
            opened => Ok(opened?),
        }
    }

    fn link_at(&self, name: &str) -> Result<Stat, ()> {
        let there = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).map_err(drop)?;
        if FileType::from_raw_mode(there.st_mode) == FileType::Symlink { Ok(there) } else { Err(()) }
    }
}

/// Refuses a path with another user's link in it. Root's links are the system's own (`/var` of macOS).
fn check_path(path: &Path) -> io::Result<()> {
    const ROOT: u32 = 0;
    let mut way = PathBuf::new();
    for component in path.components() {
        way.push(component);
        if !matches!(component, Component::Normal(_)) {
            continue;
        }
        let there = rustix::fs::lstat(&way)?;
        let is_link = FileType::from_raw_mode(there.st_mode) == FileType::Symlink;
        if is_link && there.st_uid != user::own() && there.st_uid != ROOT {
            return Err(denied("a link that another user made leads to it"));
        }
    }
    Ok(())
}

fn denied(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
