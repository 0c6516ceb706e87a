//! A folder that is opened once and then used by its handle, so that nobody else decides where something is written.
//!
//! Whatever becomes of the path, files are read, written and removed in the folder that was opened; and nothing is written
//! once its path leads elsewhere, it belongs to another user, or everybody may write to it. A symbolic link in it, or on
//! the way to it, is followed only where this user (or root, on the way) made it. Where the system has no such handles
//! (Windows) a path has to do: there the folders of a user are closed to others.
//! Read next: [`crate::io::paths::StateDir`], the folder that this is for.

#[cfg(not(unix))]
#[path = "folder/by_path.rs"]
mod system;
#[cfg(unix)]
#[path = "folder/by_handle.rs"]
mod system;

pub use self::system::Folder;

/// What a file of the folder is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To be read.
    Read,
    /// To be read, and added to; made if it is not there.
    Append,
    /// To be cut.
    Cut,
    /// To be locked; made if it is not there.
    Lock,
}
