//! Whose the other end of a connection, a file or a folder is: only what is this user's own is trusted.
//!
//! Not even root's counts as own: what listens with root's rights may hand on to anybody what it is told. Only looks;
//! what is refused is up to the caller.
//! Read next: [`crate::io::folder`], which keeps to it for the state folder.

use std::io;

/// What the system tells of a file or a folder on the way to a program or to the state.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Who owns it.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Its kind and permissions.
    pub mode: u32,
}

/// Whether what is at the other end is this user's, by what the system says of both.
///
/// # Errors
/// It is another user's, or the system does not tell.
pub fn same<T: PartialEq>(there: Option<&T>, own: Option<&T>) -> io::Result<()> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    match (there, own) {
        (Some(there), Some(own)) if there == own => Ok(()),
        (Some(_), Some(_)) => refused("another user listens there"),
        _ => refused("the system does not tell which user listens there"),
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

    use super::{Standing, same};

    /// This user.
    pub fn own() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// This user's group.
    pub fn group() -> u32 {
        rustix::process::getegid().as_raw()
    }

    /// Asks the system, not the path: a path may lead elsewhere by now, and a folder of this user's may hold a link.
    ///
    /// # Errors
    /// The process that listens is another user's.
    pub fn check_peer(stream: &tokio::net::UnixStream) -> io::Result<()> {
        same(stream.peer_cred().ok().map(|peer| peer.uid()).as_ref(), Some(&own()))
    }

    /// What others may write to of a file and the folders above it, as they are named and where they really are; they could
    /// put another file in its place.
    pub fn exposed(file: &Path) -> Option<PathBuf> {
        let real = std::fs::canonicalize(file).ok();
        let ways = [Some(file), real.as_deref()].into_iter().flatten();
        ways.flat_map(Path::ancestors).find(|place| is_exposed(place)).map(Path::to_owned)
    }

    fn is_exposed(place: &Path) -> bool {
        std::fs::symlink_metadata(place).is_ok_and(|there| {
            // The mode of a link is always open and means nothing; its owner can replace it.
            let mode = if there.is_symlink() { 0 } else { there.mode() };
            let there = Standing { user: there.uid(), group: there.gid(), mode };
            others_may_write(there, own(), group())
        })
    }

    /// Whether users beside `user` (and root, who may do anything) can write to it.
    ///
    /// A group that is the user's own, as many systems give to each, is no other user. In a folder with the sticky bit
    /// everybody can make files, but replace only what is his.
    pub fn others_may_write(there: Standing, user: u32, group: u32) -> bool {
        const ROOT: u32 = 0;
        const STICKY_FOLDER: u32 = 0o041_000;
        let by_owner = there.user != user && there.user != ROOT;
        let by_group = there.mode & 0o020 != 0 && there.group != group && there.group != ROOT;
        let by_all = there.mode & 0o002 != 0;
        by_owner || ((by_group || by_all) && there.mode & STICKY_FOLDER != STICKY_FOLDER)
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::os::windows::io::{AsHandle, OwnedHandle};

    use interprocess::os::windows::named_pipe::{PipeStream, pipe_mode::Bytes};

    use super::same;
    use crate::io::process::look;

    /// Asks the system which process serves the pipe, and whose that process is.
    ///
    /// # Errors
    /// It is another user's, or one that this user may not look at, such as an administrator's.
    pub fn check_server(pipe: &impl AsHandle) -> io::Result<()> {
        let stream: PipeStream<Bytes, Bytes> =
            pipe.as_handle().try_clone_to_owned()?.try_into().map_err(io::Error::from)?;
        let server = stream.server_process_id();
        // Closed as the plain handle that it is: the stream's own way is to wait until all is read.
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
        for (there, own) in [
            (Some(1001), Some(1000)),
            (Some(0), Some(1000)),
            (Some(1000), Some(0)),
            (None, Some(1000)),
            (Some(1000), None),
            (None, None),
        ] {
            let refused = same(there.as_ref(), own.as_ref()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{there:?} {own:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_to_exposes_what_is_in_it() {
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
    fn who_may_write_besides_the_user() {
        let check = |user, group, mode, expected| {
            let there = Standing { user, group, mode };
            assert_eq!(others_may_write(there, 1000, 1000), expected, "{there:?}");
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
