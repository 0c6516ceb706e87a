//! Checks the user of a connection's other end, of a file or of a folder: only this user's are trusted.
//!
//! Root is not trusted either: a process with root's rights may pass on data to any user. This only checks; the caller
//! decides what to do.
//! Read next: [`crate::io::folder`], which uses it for the state folder.

use std::io;

/// The owner and the permissions of a file or folder.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// The owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Its kind and permissions.
    pub mode: u32,
}

/// Checks that the other end is this user's, by the system's report on both.
///
/// # Errors
/// It is another user's, or the system does not report it.
pub fn same<T: PartialEq>(other: Option<&T>, own: Option<&T>) -> io::Result<()> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    match (other, own) {
        (Some(other), Some(own)) if other == own => Ok(()),
        (Some(_), Some(_)) => refused("another user listens there"),
        _ => refused("the system does not report which user listens there"),
    }
}

#[cfg(unix)]
pub use unix::{check_peer, exposed, group, others_may_write, own};
#[cfg(windows)]
pub use windows::check_server;

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};

    use super::{Permissions, same};

    /// This user.
    pub fn own() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// This user's group.
    pub fn group() -> u32 {
        rustix::process::getegid().as_raw()
    }

    /// Checks the peer's user with the system, not by the path: a path may lead elsewhere by now, and a folder of this
    /// user may have a link.
    ///
    /// # Errors
    /// The listening process is another user's.
    pub fn check_peer(stream: &tokio::net::UnixStream) -> io::Result<()> {
        same(stream.peer_cred().ok().map(|peer| peer.uid()).as_ref(), Some(&own()))
    }

    /// The first of a file and the folders above it, by their names and by their real paths, that other users may write
    /// to: they could replace the file.
    pub fn exposed(file: &Path) -> Option<PathBuf> {
        let real = std::fs::canonicalize(file).ok();
        let ways = [Some(file), real.as_deref()].into_iter().flatten();
        ways.flat_map(Path::ancestors).find(|place| is_exposed(place)).map(Path::to_owned)
    }

    fn is_exposed(place: &Path) -> bool {
        std::fs::symlink_metadata(place).is_ok_and(|metadata| {
            // The mode of a link is always open and means nothing; its owner can replace it.
            let mode = if metadata.is_symlink() { 0 } else { metadata.mode() };
            let permissions = Permissions { user: metadata.uid(), group: metadata.gid(), mode };
            others_may_write(permissions, own(), group())
        })
    }

    /// Whether users besides `user` and root can write to it.
    ///
    /// The user's own group, which many systems create for each user, does not count. In a folder with the sticky bit
    /// every user can create files, but replace only own ones.
    pub fn others_may_write(permissions: Permissions, user: u32, group: u32) -> bool {
        const ROOT: u32 = 0;
        const STICKY_FOLDER: u32 = 0o041_000;
        let by_owner = permissions.user != user && permissions.user != ROOT;
        let by_group =
            permissions.mode & 0o020 != 0 && permissions.group != group && permissions.group != ROOT;
        let by_all = permissions.mode & 0o002 != 0;
        by_owner || ((by_group || by_all) && permissions.mode & STICKY_FOLDER != STICKY_FOLDER)
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::os::windows::io::{AsHandle, OwnedHandle};

    use interprocess::os::windows::named_pipe::{PipeStream, pipe_mode::Bytes};

    use super::same;
    use crate::io::process::look;

    /// Checks the user of the process that serves the pipe with the system.
    ///
    /// # Errors
    /// It is another user's, or the system does not allow to check it, as for an administrator's.
    pub fn check_server(pipe: &impl AsHandle) -> io::Result<()> {
        let stream: PipeStream<Bytes, Bytes> =
            pipe.as_handle().try_clone_to_owned()?.try_into().map_err(io::Error::from)?;
        let server = stream.server_process_id();
        // Closed as a plain handle: the stream's own way waits until everything is read.
        let _closed: Result<OwnedHandle, _> = stream.try_into();
        let user = |process| look(process).and_then(|process| process.sid);
        same(user(server?).as_ref(), user(std::process::id()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_is_trusted() {
        same(Some(&1000), Some(&1000)).unwrap();
        for (other, own) in [
            (Some(1001), Some(1000)),
            (Some(0), Some(1000)),
            (Some(1000), Some(0)),
            (None, Some(1000)),
            (Some(1000), None),
            (None, None),
        ] {
            let refused = same(other.as_ref(), own.as_ref()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{other:?} {own:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_to_exposes_its_files() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (bin, link) = (folder.path().join("bin"), folder.path().join("link"));
        let program = bin.join("program");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(&program, "").unwrap();
        symlink(&program, &link).unwrap();
        let check = |of: &std::path::Path, mode, expected| {
            std::fs::set_permissions(of, std::fs::Permissions::from_mode(mode)).unwrap();
            let real = std::fs::canonicalize(&bin).unwrap();
            for named in [&program, &link] {
                let found = exposed(named).map(|found| found.starts_with(&real) || found.starts_with(&bin));
                assert_eq!(found, expected, "{named:?} {mode:o}");
            }
        };
        check(&bin, 0o755, None);
        check(&bin, 0o777, Some(true));
        check(&bin, 0o1777, None);
        check(&program, 0o666, Some(true));
    }

    #[cfg(unix)]
    #[test]
    fn other_users_may_write_by_owner_group_and_sticky_bit() {
        let check = |user, group, mode, expected| {
            let permissions = Permissions { user, group, mode };
            assert_eq!(others_may_write(permissions, 1000, 1000), expected, "{permissions:?}");
        };
        check(1000, 1000, 0o100_755, false);
        check(1000, 1000, 0o100_775, false);
        check(1000, 50, 0o100_755, false);
        check(1000, 50, 0o100_775, true);
        check(1000, 1000, 0o100_757, true);
        check(0, 0, 0o100_755, false);
        check(0, 0, 0o040_775, false);
        check(0, 50, 0o042_775, true);
        check(0, 0, 0o041_777, false);
        check(0, 0, 0o040_777, true);
        check(1001, 1001, 0o100_755, true);
        check(1001, 1001, 0o041_777, true);
    }
}
