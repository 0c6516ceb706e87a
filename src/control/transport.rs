//! The only file that knows sockets and pipes: where the control channel is, listening there, connecting to it.
//!
//! Unix: `control.sock` (0600) in the state folder; where that path is too long for a socket, a short one in a
//! folder of our own (0700). Whoever connects is asked for its user by the system, not by word. A socket that an
//! earlier daemon left is removed, which only the holder of the instance lock may do.
//! Windows: a named pipe named after the user and the state folder; the first instance of its name, local only. The
//! system's default permissions let this user and administrators write to it, and a request has to be written.

#[cfg(unix)]
pub use self::unix::{Incoming, Listener, Outgoing, Place};
#[cfg(windows)]
pub use self::windows::{Incoming, Listener, Outgoing, Place};

/// FNV-1a: the same in every build, which a name on the disk has to be.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixStream};

    use crate::instance::Instance;
    use crate::paths::Environment;

    /// The holder's end of a connection.
    pub type Incoming = UnixStream;
    /// The asker's end of a connection.
    pub type Outgoing = UnixStream;

    /// The longest path that every Unix takes for a socket (macOS: 104 bytes with a zero at the end).
    const LONGEST: usize = 103;

    /// Where the control channel of a state folder may be; the first that works is used.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Place(Vec<PathBuf>);

    impl Place {
        /// The control channel of this state folder. Whether the folder is there yet may make a difference, so whoever waits
        /// for a daemon asks anew each time.
        pub fn of(state: &Path, environment: &Environment) -> Self {
            let direct = state.join("control.sock");
            if fits(&direct) {
                return Self(vec![direct]);
            }
            let state = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
            let name = format!("{:016x}.sock", super::hash(state.as_os_str().as_bytes()));
            let runtime = environment.path("XDG_RUNTIME_DIR").map(|folder| folder.join("agent-presence"));
            let shared = PathBuf::from(format!("/tmp/agent-presence-{}", own_user()));
            let folders = runtime.into_iter().chain([shared]);
            Self(folders.map(|folder| folder.join(&name)).filter(|path| fits(path)).collect())
        }

        /// Connects to whoever listens there, if that is this user.
        ///
        /// # Errors
        /// Nobody listens, or a stranger does.
        pub async fn connect(&self) -> io::Result<Outgoing> {
            let mut last = io::ErrorKind::NotFound.into();
            for path in &self.0 {
                match UnixStream::connect(path).await {
                    Ok(stream) if is_own(&stream) => return Ok(stream),
                    Ok(_) => last = io::Error::from(io::ErrorKind::PermissionDenied),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }

    /// A listening control channel.
    #[derive(Debug)]
    pub struct Listener {
        listener: UnixListener,
        path: PathBuf,
    }

    impl Listener {
        /// Listens there. The lock is what makes it right to remove a socket that is there already.
        ///
        /// # Errors
        /// No place of the channel can be used.
        pub fn bind(place: &Place, _lock: &Instance) -> io::Result<Self> {
            let mut last = io::Error::other("the state folder's path is too long for a socket");
            for path in &place.0 {
                match bind(path) {
                    Ok(listener) => return Ok(Self { listener, path: path.clone() }),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }

        /// Waits for the next one; `None` for another user, who is turned away.
        ///
        /// # Errors
        /// The system cannot give another connection now.
        pub async fn accept(&mut self) -> io::Result<Option<Incoming>> {
            let (stream, _) = self.listener.accept().await?;
            Ok(is_own(&stream).then_some(stream))
        }

        /// Removes the socket. To be called by the holder of the lock; connections that are open stay so.
        pub fn remover(&self) -> impl FnOnce() + Send + use<> {
            let path = self.path.clone();
            move || drop(fs::remove_file(path))
        }
    }

    fn bind(path: &Path) -> io::Result<UnixListener> {
        if path.file_name() != Some("control.sock".as_ref())
            && let Some(folder) = path.parent()
        {
            own_folder(folder)?;
        }
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no socket")),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Makes the folder, or checks that nobody else made or can use the one that is there.
    fn own_folder(path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let there = fs::symlink_metadata(path)?;
        if there.is_dir() && there.uid() == own_user() && there.mode() & 0o077 == 0 {
            Ok(())
        } else {
            let what = format!("{} is not a folder of this user alone", path.display());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
        }
    }

    fn fits(path: &Path) -> bool {
        path.as_os_str().len() <= LONGEST
    }

    fn is_own(stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == own_user())
    }

    fn own_user() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_long_path_gets_a_short_one_that_differs_from_others() {
            let nowhere = Environment::default();
            let short = Path::new("/home/u/.local/state/agent-presence");
            assert_eq!(Place::of(short, &nowhere), Place(vec![short.join("control.sock")]));

            let long = PathBuf::from(format!("/home/{}/state", "x".repeat(100)));
            let runtime = Environment::new([("XDG_RUNTIME_DIR", "/run/user/1000")], None);
            let Place(paths) = Place::of(&long, &runtime);
            assert!(paths[0].starts_with("/run/user/1000/agent-presence"), "{paths:?}");
            assert!(paths[1].starts_with("/tmp"), "{paths:?}");
            assert!(paths.iter().all(|path| fits(path)));
            assert_ne!(Place::of(&long.join("other"), &nowhere), Place::of(&long, &nowhere));
        }

        #[test]
        fn a_folder_that_others_can_use_is_not_used() {
            let folder = tempfile::tempdir().unwrap();
            let own = folder.path().join("own");
            own_folder(&own).unwrap();
            own_folder(&own).unwrap();
            assert_eq!(fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&own, &link).unwrap();
            own_folder(&link).unwrap_err();
            fs::set_permissions(&own, fs::Permissions::from_mode(0o770)).unwrap();
            own_folder(&own).unwrap_err();
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};

    use crate::instance::Instance;
    use crate::paths::Environment;

    /// The holder's end of a connection.
    pub type Incoming = NamedPipeServer;
    /// The asker's end of a connection.
    pub type Outgoing = NamedPipeClient;

    /// All of a pipe's instances are taken for the moment.
    const ERROR_PIPE_BUSY: i32 = 231;

    /// The name of a state folder's control channel.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Place(String);

    impl Place {
        /// The control channel of this state folder. Whether the folder is there yet may make a difference, so whoever waits
        /// for a daemon asks anew each time.
        pub fn of(state: &Path, environment: &Environment) -> Self {
            let state = std::fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
            let hash = super::hash(state.to_string_lossy().to_lowercase().as_bytes());
            let user = environment.text("USERNAME").unwrap_or_default();
            let user: String = user.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
            Self(format!(r"\\.\pipe\agent-presence-{user}-{hash:016x}"))
        }

        /// The pipe's whole name.
        pub fn name(&self) -> &str {
            &self.0
        }

        /// Connects to whoever listens there. The caller's deadline ends the wait for one that is busy.
        ///
        /// # Errors
        /// Nobody listens.
        pub async fn connect(&self) -> io::Result<Outgoing> {
            loop {
                match ClientOptions::new().open(&self.0) {
                    Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    result => return result,
                }
            }
        }
    }

    /// A listening control channel: the instance of the pipe that the next one connects to.
    #[derive(Debug)]
    pub struct Listener {
        name: String,
        next: NamedPipeServer,
    }

    impl Listener {
        /// Listens there.
        ///
        /// # Errors
        /// Somebody else has the name, or the system refused.
        pub fn bind(place: &Place, _lock: &Instance) -> io::Result<Self> {
            let next = ServerOptions::new()
                .first_pipe_instance(true)
                .reject_remote_clients(true)
                .create(&place.0)?;
            Ok(Self { name: place.0.clone(), next })
        }

        /// Waits for the next one; never `None` here.
        ///
        /// # Errors
        /// The system cannot give another connection now.
        pub async fn accept(&mut self) -> io::Result<Option<Incoming>> {
            self.next.connect().await?;
            let next = ServerOptions::new().reject_remote_clients(true).create(&self.name)?;
            Ok(Some(std::mem::replace(&mut self.next, next)))
        }

        /// Nothing: a pipe goes with its last handle.
        pub fn remover(&self) -> impl FnOnce() + Send + use<> {
            || ()
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(super::hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::hash(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
