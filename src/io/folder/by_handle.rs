//! The folder by its handle.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::Use;
use crate::io::files;
use crate::io::user::{self, Standing};

/// A folder of this user's.
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
    /// There is none, it is not this user's alone to write to, or another user's link leads to it.
    pub fn open(path: &Path) -> io::Result<Self> {
        check_way(path)?;
        let handle = rustix::fs::open(path, FOLDER, Mode::empty())?;
        let folder = Self { path: path.to_owned(), handle: Arc::new(handle) };
        folder.check()?;
        // A link that was set in between is found now, before anything is written.
        check_way(path)?;
        Ok(folder)
    }

    /// Where it is, or was when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether things may be written to it: it is still what its path leads to, this user's, and closed to everybody else.
    ///
    /// # Errors
    /// What is wrong with it.
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

    /// Whether nobody but this user can have written what is in it.
    pub fn is_private(&self) -> bool {
        self.handle.try_clone().and_then(|handle| File::from(handle).metadata()).is_ok_and(|own| {
            let there = Standing { user: own.uid(), group: own.gid(), mode: own.mode() };
            !user::others_may_write(there, user::own(), user::group())
        })
    }

    /// The subfolder of that name, made for its owner alone if it is not there.
    ///
    /// # Errors
    /// Whatever the system says; also what [`Folder::check`] says of either.
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
    /// Whatever the system says; also that it is no file, or that it is there by another user's doing.
    pub fn file(&self, name: &str, purpose: Use) -> io::Result<File> {
        let flags = match purpose {
            Use::Read => OFlags::RDONLY,
            Use::Append => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
            Use::Cut => OFlags::WRONLY,
            Use::Lock => OFlags::RDWR | OFlags::CREATE,
        };
        if purpose != Use::Read {
            self.check()?;
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.open_at(name, flags, PRIVATE)?);
        let metadata = file.metadata()?;
        files::check_kind(metadata.file_type())?;
        let is_written = matches!(purpose, Use::Append | Use::Cut);
        if is_written && (metadata.uid() != user::own() || metadata.nlink() > 1 && !self.is_private()) {
            return Err(denied("another user made it"));
        }
        Ok(file)
    }

    /// Replaces a file so that readers never see half of one; `sync`: also after a power cut. A link is replaced, not
    /// followed.
    ///
    /// # Errors
    /// Whatever the system says; what was there is then untouched.
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
    /// Whatever the system says.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        self.check()?;
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// The names of what is in it, as far as they can be read.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = Dir::read_from(&self.handle) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
        names.filter(|name| !matches!(name.as_str(), "." | "..")).collect()
    }

    /// A path that leads into this very folder, for what can only be done by path.
    pub(crate) fn way_to(&self, name: &str) -> PathBuf {
        use std::os::fd::{AsFd as _, AsRawFd as _};
        let by_handle = PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_fd().as_raw_fd()));
        if by_handle.exists() { by_handle.join(name) } else { self.path.join(name) }
    }

    /// Whether a socket is at that name; anything else that is there is an error.
    pub(crate) fn has_socket(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Socket => Ok(true),
            Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no socket")),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes from everybody else what they may do with a file.
    pub(crate) fn make_private(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::chmodat(&self.handle, name, PRIVATE, AtFlags::empty())?)
    }

    /// Opens what is at `name`; a link only where it is this user's own.
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        use rustix::io::Errno;
        match rustix::fs::openat(&self.handle, name, flags | OFlags::NOFOLLOW, mode) {
            Err(error @ (Errno::LOOP | Errno::MLINK | Errno::NOTDIR)) => {
                let before = self.link_at(name).map_err(|()| error)?;
                if before.st_uid != user::own() {
                    return Err(denied("it is a link that another user made"));
                }
                let target = rustix::fs::readlinkat(&self.handle, name, Vec::new())?;
                // What was read is what that link says, unless another one took its place meanwhile.
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

/// Refuses a way on which another user's link decides where it leads. Root's links are the system's own (`/var` of macOS).
fn check_way(path: &Path) -> io::Result<()> {
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
