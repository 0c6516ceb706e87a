//! The events of the file system, and how far they can be trusted.
//!
//! Folders are watched one by one, and each is listed after its watch has begun: a recursive watch of the library
//! misses files written right after their folder. macOS can watch only whole trees, so there each tree has one watch;
//! with many watches, each new folder would restart the stream.
//! Read next: `folders`, which decides what to watch.

use std::path::{Component, Path, Prefix};
use std::sync::Arc;

use notify::RecursiveMode;

use super::Clock;
use super::inbox::Inbox;
use super::throttle::Throttle;
use crate::io::fs_watch::{Paths, WatchError};
use crate::io::real_path;

/// Whether one watch covers a folder and everything below it.
pub(super) const WHOLE_TREES: bool = cfg!(target_os = "macos");

/// Whether the system queues enough events to delay them.
const QUEUES: bool = cfg!(target_os = "linux");

/// Folders where other programs' work would wake the daemon all the time.
const SHARED: [&str; 4] = ["/", "/tmp", "/var/tmp", "/private/tmp"];

/// How far a folder's events can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// Every change is reported.
    Events,
    /// Changes of folders are reported, but not of files that their writer keeps open: NTFS updates their entry when
    /// they are closed.
    Folders,
    /// Changes made on other machines are not reported.
    Network,
    /// Nothing is reported: a Linux home seen from Windows, or a share.
    Nothing,
}

pub(super) struct Watcher {
    paths: Paths,
    /// The most folders to watch; `None` for a single reading, which watches none and reports no problem.
    most: Option<usize>,
}

impl Watcher {
    pub(super) fn new(inbox: Arc<Inbox>, clock: Clock, most: Option<usize>) -> Self {
        let mut throttle = Throttle::default();
        let paths = Paths::new(move |event| {
            inbox.heard(event, || {
                if QUEUES && let Some(rest) = throttle.before_event(clock().mono) {
                    inbox.rest(rest);
                }
                throttle.more_within()
            });
        });
        Self { paths, most }
    }

    pub(super) fn is_off(&self) -> bool {
        self.most.is_none()
    }

    /// Watches a folder of a session tree, `level` levels below the tree's root, unless it is watched already.
    pub(super) fn watch(&mut self, folder: &Path, level: usize) -> Result<(), WatchError> {
        match (WHOLE_TREES, level) {
            (true, 0) => self.add(folder, RecursiveMode::Recursive),
            (true, _) => Ok(()),
            (false, _) => self.add(folder, RecursiveMode::NonRecursive),
        }
    }

    /// Watches a folder for new entries directly in it, unless it is watched already.
    pub(super) fn await_in(&mut self, folder: &Path) -> Result<(), WatchError> {
        self.add(folder, RecursiveMode::NonRecursive)
    }

    /// Ends the watches on `folder` and below it.
    pub(super) fn forget(&mut self, folder: &Path) {
        self.paths.retain(|path| !path.starts_with(folder));
    }

    /// Ends the watch on `folder`, not those below it.
    pub(super) fn forget_only(&mut self, folder: &Path) {
        self.paths.forget(folder);
    }

    fn add(&mut self, folder: &Path, mode: RecursiveMode) -> Result<(), WatchError> {
        let watched = self.paths.watched();
        match self.most {
            None => Ok(()),
            Some(most) if watched.len() >= most && !watched.contains(folder) => Err(WatchError::Limit),
            Some(_) => self.paths.watch(folder, mode),
        }
    }
}

/// Whether `folder`, a home or a folder above one, may be watched to wait for a missing folder.
pub(super) fn may_wait_in(folder: &Path, home: &Path) -> bool {
    // A macOS stream reports everything below its folder.
    let too_wide = WHOLE_TREES && folder != real_path::real(home);
    !too_wide && !SHARED.iter().any(|shared| folder == Path::new(shared))
}

/// How far events about the folder at `path` can be trusted.
pub(super) fn trust(path: &Path) -> Trust {
    if let Some(Component::Prefix(prefix)) = path.components().next()
        && matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
    {
        return Trust::Nothing;
    }
    match path.ancestors().find(|folder| folder.is_dir()) {
        Some(folder) if is_remote(folder) => Trust::Network,
        _ if cfg!(windows) => Trust::Folders,
        _ => Trust::Events,
    }
}

#[cfg(target_os = "linux")]
fn is_remote(folder: &Path) -> bool {
    // linux/magic.h: NFS, SMB, SMB2, CIFS, 9P, AFS, Coda, Ceph, vboxsf. FUSE is left out: most of it is local.
    const REMOTE: [rustix::fs::FsWord; 9] = [
        0x6969,
        0x517B,
        0xFE53_4D42,
        0xFF53_4D42,
        0x0102_1997,
        0x5346_414F,
        0x7375_7245,
        0x00C3_6400,
        0x786F_4256,
    ];
    rustix::fs::statfs(folder).is_ok_and(|found| REMOTE.contains(&found.f_type))
}

#[cfg(target_os = "macos")]
fn is_remote(folder: &Path) -> bool {
    /// sys/mount.h: the file system is stored locally.
    const MNT_LOCAL: u32 = 0x1000;
    rustix::fs::statfs(folder).is_ok_and(|found| found.f_flags & MNT_LOCAL == 0)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn is_remote(_: &Path) -> bool {
    false
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    /// A Linux home sends Windows no events, so it has to be polled, in each spelling of its path.
    #[test]
    fn a_linux_home_seen_from_windows_is_not_trusted() {
        for home in [
            r"\\wsl.localhost\Ubuntu\home\ada\.codex",
            r"\\wsl$\Ubuntu\home\ada\.codex",
            "//wsl.localhost/Ubuntu/home/ada/.codex",
            r"\\?\UNC\wsl.localhost\Ubuntu\home\ada\.codex",
        ] {
            assert_eq!(trust(Path::new(home)), Trust::Nothing, "{home}");
        }
        assert_eq!(trust(Path::new(r"C:\Users\ada\.codex")), Trust::Folders);
    }
}
