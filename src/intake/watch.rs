//! The file system's own events, and what to do where they are not to be had.
//!
//! Folders are watched one by one, and each is listed after its watch has begun: a library's recursive mode misses files
//! written right after their folder. Only macOS watches whole trees and nothing less, so there it is one watch per tree;
//! many would restart the one stream with every new folder.
//! Read next: `folders`, which decides what to watch.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf, Prefix};
use std::sync::Arc;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::breath::Breath;
use super::inbox::Inbox;
use crate::core::time::Now;

/// Whether one watch covers a folder and everything below it.
pub(super) const WHOLE_TREES: bool = cfg!(target_os = "macos");

/// Whether the system queues enough events for whoever hears them to rest.
const QUEUES: bool = cfg!(target_os = "linux");

/// How often it is tried to watch a folder that comes and goes.
const ATTEMPTS: usize = 3;

/// Folders where a stranger's work would wake us all day.
const SHARED: [&str; 4] = ["/", "/tmp", "/var/tmp", "/private/tmp"];

/// How far a folder's events can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// Every change is told.
    Events,
    /// Folders are told, but not files that their writer keeps open: NTFS updates their entry when they are closed.
    Folders,
    /// Changes made on other machines are not told.
    Network,
    /// Nothing is told: a Linux home seen from Windows, or a share.
    Nothing,
}

/// Why a folder is not watched.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not there.
    Missing,
    /// The system's limit of watches is reached.
    Limit,
    /// The system's limit of watchers is reached.
    Instances,
    Other(String),
}

/// Whether a watcher could not be made because this user's programs have all that the system allows (inotify's
/// `EMFILE`, which may also mean the files that one program may open).
pub(crate) fn is_without_instance(error: &notify::Error) -> bool {
    #[cfg(target_os = "linux")]
    if let notify::ErrorKind::Io(error) = &error.kind {
        return error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error());
    }
    let _ = error;
    false
}

type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

pub(super) struct Watcher {
    inbox: Arc<Inbox>,
    clock: Clock,
    inner: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// How many folders may be watched.
    most: usize,
    off: bool,
}

impl Watcher {
    pub(super) fn new(inbox: Arc<Inbox>, clock: Clock, most: usize) -> Self {
        Self { inbox, clock, inner: None, watched: BTreeSet::new(), most, off: false }
    }

    /// One that watches nothing and does not complain, for a single reading.
    pub(super) fn off(inbox: Arc<Inbox>, clock: Clock) -> Self {
        Self { off: true, ..Self::new(inbox, clock, 0) }
    }

    pub(super) fn is_off(&self) -> bool {
        self.off
    }

    /// Watches a folder of a session tree, `level` levels below the tree's root, unless it is watched already.
    pub(super) fn watch(&mut self, folder: &Path, level: usize) -> Result<(), Refused> {
        match (WHOLE_TREES, level) {
            (true, 0) => self.add(folder, RecursiveMode::Recursive),
            (true, _) => Ok(()),
            (false, _) => self.add(folder, RecursiveMode::NonRecursive),
        }
    }

    /// Watches a folder for what appears directly in it, unless it is watched already.
    pub(super) fn await_in(&mut self, folder: &Path) -> Result<(), Refused> {
        self.add(folder, RecursiveMode::NonRecursive)
    }

    /// Ends the watches on `folder` and below it, as far as there are any.
    pub(super) fn forget(&mut self, folder: &Path) {
        let gone: Vec<_> = self.watched.iter().filter(|path| path.starts_with(folder)).cloned().collect();
        for path in gone {
            self.forget_only(&path);
        }
    }

    /// Ends the watch on `folder`, not those below it.
    pub(super) fn forget_only(&mut self, folder: &Path) {
        if self.watched.remove(folder)
            && let Some(inner) = &mut self.inner
        {
            // A watch that went with its folder cannot be removed a second time.
            let _gone_already = inner.unwatch(folder);
        }
    }

    fn add(&mut self, folder: &Path, mode: RecursiveMode) -> Result<(), Refused> {
        if self.off || self.watched.contains(folder) {
            return Ok(());
        }
        if self.watched.len() >= self.most {
            return Err(Refused::Limit);
        }
        if self.inner.is_none() {
            let (inbox, clock) = (Arc::clone(&self.inbox), Arc::clone(&self.clock));
            let mut breath = Breath::default();
            let made = notify::recommended_watcher(move |event| {
                let matters = inbox.heard(event);
                if matters
                    && QUEUES
                    && let Some(rest) = breath.after_event(clock().mono)
                {
                    inbox.rest(rest);
                }
            });
            self.inner = Some(made.map_err(|error| {
                if is_without_instance(&error) { Refused::Instances } else { Refused::from(error) }
            })?);
        }
        let Some(inner) = &mut self.inner else { return Ok(()) };
        for _ in 0..ATTEMPTS {
            match inner.watch(folder, mode).map_err(Refused::from) {
                // It may have been deleted and made again while it was being watched.
                Err(Refused::Missing) if folder.is_dir() => {}
                Err(refused) => return Err(refused),
                Ok(()) => {
                    self.watched.insert(folder.to_owned());
                    return Ok(());
                }
            }
        }
        Err(Refused::Other("it comes and goes".to_owned()))
    }
}

impl From<notify::Error> for Refused {
    fn from(error: notify::Error) -> Self {
        match error.kind {
            ErrorKind::PathNotFound | ErrorKind::WatchNotFound => Self::Missing,
            ErrorKind::MaxFilesWatch => Self::Limit,
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            ErrorKind::Io(error) if is_limit(&error) => Self::Limit,
            ErrorKind::Io(error) => Self::Other(error.to_string()),
            ErrorKind::Generic(text) => Self::Other(text),
            ErrorKind::InvalidConfig(_) => Self::Other("the watcher does not take its settings".to_owned()),
        }
    }
}

#[cfg(unix)]
fn is_limit(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::NOMEM]
        .iter()
        .any(|limit| error.raw_os_error() == Some(limit.raw_os_error()))
}

#[cfg(not(unix))]
fn is_limit(_: &io::Error) -> bool {
    false
}

/// Whether a missing folder may be waited for by watching `folder`, an ancestor of its home or the home itself.
pub(super) fn may_wait_in(folder: &Path, home: &Path) -> bool {
    // A macOS stream sees everything below its folder, whatever one asks for.
    let too_wide = cfg!(target_os = "macos") && folder != home;
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

    /// A Linux home tells Windows nothing, so it has to be polled; how it is written makes no difference.
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
