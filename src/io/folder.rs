//! A folder that is opened once and then used by its handle, so that no other user can redirect a write.
//!
//! If the path changes, files are still read, written and removed in the opened folder. Nothing is written once the
//! path leads elsewhere, or the folder belongs to another user or is writable for all. A symbolic link in it, or on its
//! path, is followed only if this user made it (or root, on the path). Windows has no such handles, so a path has to
//! do: there a user's folders are closed to others.
//! Read next: [`crate::io::paths::StateDir`], its main user.

#[cfg(not(unix))]
#[path = "folder/by_path.rs"]
mod system;
#[cfg(unix)]
#[path = "folder/by_handle.rs"]
mod system;

pub use self::system::Folder;

/// The purpose of opening a file of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// To read.
    Read,
    /// To read and append; created if it is missing.
    Append,
    /// To shorten.
    Cut,
    /// To lock; created if it is missing.
    Lock,
}
