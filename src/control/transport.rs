//! The sockets and pipes of the control channel: their paths, listening and connecting. No other file depends on the
//! system here.
//!
//! Unix: `control.sock` (0600) in the state folder, and a second socket in a folder of this program (0700) elsewhere: a
//! state folder can be removed under a running daemon, or have too long a path for a socket. The system reports the
//! user of each peer. A socket of an earlier daemon is removed, which only the holder of the instance lock may do.
//! Windows: a named pipe named after the user and the state folder; the first instance of its name, local only. The
//! system's default permissions let this user and administrators write to it, and a request has to be written.
//!
//! Longer than other files because it holds both systems' forms of the same few functions.

#[cfg(unix)]
pub use self::unix::{Address, BoundSocket, Incoming, Listener, Outgoing, closed};
#[cfg(windows)]
pub use self::windows::{Address, BoundSocket, Incoming, Listener, Outgoing, closed};

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    use rustix::event::{PollFd, PollFlags, Timespec};
    use tokio::io::Interest;
    use tokio::net::{UnixListener, UnixStream};

    use crate::core::fingerprint;
    use crate::io::files;
    use crate::io::folder::Folder;
    use crate::io::instance::Instance;
    use crate::io::paths::{Environment, create_private};
    use crate::io::real_path::real;
    use crate::io::user;

    /// The daemon's end of a connection.
    pub type Incoming = UnixStream;
    /// The client's end of a connection.
    pub type Outgoing = UnixStream;

    const NAME: &str = "control.sock";

    /// The longest path that every Unix takes for a socket (macOS: 104 bytes with a zero at the end).
    const LONGEST: usize = 103;

    /// The possible sockets of a state folder's control channel.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Address {
        /// In the state folder; `None` if its path is too long.
        direct: Option<PathBuf>,
        /// Outside of it, best first. A daemon listens at the first one that works.
        elsewhere: Vec<PathBuf>,
    }

    impl Address {
        /// The control channel of this state folder. A folder that is made or moved between two calls may change it, so
        /// callers compute it again before each try.
        pub fn of(state: &Path, environment: &Environment) -> Self {
            let direct = Some(state.join(NAME)).filter(|path| fits(path));
            let name = format!("{:016x}.sock", fingerprint::short(real(state).as_os_str().as_bytes()));
            let user = user::own();
            // A daemon of the login session and one of cron may have different variables.
            let of_login = PathBuf::from(format!("/run/user/{user}"));
            let mut folders: Vec<PathBuf> = environment.path("XDG_RUNTIME_DIR").into_iter().collect();
            if !folders.contains(&of_login) {
                folders.push(of_login);
            }
            let runtime = folders.into_iter().map(|folder| folder.join("agent-presence"));
            let folders = runtime.chain([PathBuf::from(format!("/tmp/agent-presence-{user}"))]);
            let elsewhere = folders.map(|folder| folder.join(&name)).filter(|path| fits(path)).collect();
            Self { direct, elsewhere }
        }

        /// An address of this socket alone.
        #[cfg(test)]
        pub(crate) fn only(path: PathBuf) -> Self {
            Self { direct: Some(path), elsewhere: Vec::new() }
        }

        /// Connects to the listener there, if it is this user's.
        ///
        /// # Errors
        /// No process listens, or one of another user does.
        pub async fn connect(&self) -> io::Result<Outgoing> {
            let mut error_so_far: Option<io::Error> = None;
            for path in self.direct.iter().chain(&self.elsewhere) {
                let connected = UnixStream::connect(path).await;
                let error = match connected.and_then(|stream| user::check_peer(&stream).map(|()| stream)) {
                    Ok(stream) => return Ok(stream),
                    Err(error) => error,
                };
                // The error of a socket that refuses is more useful than that of a missing one.
                if error_so_far.as_ref().is_none_or(is_absence) {
                    error_so_far = Some(error);
                }
            }
            Err(error_so_far.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
        }
    }

    fn is_absence(error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
    }

    /// One socket of a control channel.
    #[derive(Debug)]
    pub struct Listener {
        listener: UnixListener,
        socket: BoundSocket,
    }

    /// A socket in the file system, with its identity.
    #[derive(Debug, Clone)]
    pub struct BoundSocket {
        folder: Folder,
        path: PathBuf,
        file: Option<(u64, u64)>,
    }

    impl Listener {
        /// Listens in the state folder and elsewhere, except at sockets that are in place. The lock gives the right to
        /// remove a foreign socket.
        ///
        /// # Errors
        /// No socket could be made at any place.
        pub fn bind(place: &Address, there: &[BoundSocket], _lock: &Instance) -> io::Result<Vec<Self>> {
            let is_there = |path: &PathBuf| there.iter().any(|socket| socket.path == *path);
            let mut bound = Vec::new();
            let mut error_so_far = None;
            if let Some(path) = place.direct.as_ref().filter(|path| !is_there(path)) {
                match bind(path) {
                    Ok(listener) => bound.push(listener),
                    Err(error) => error_so_far = Some(error),
                }
            }
            if !place.elsewhere.iter().any(is_there) {
                for path in &place.elsewhere {
                    match bind(path) {
                        Ok(listener) => {
                            bound.push(listener);
                            break;
                        }
                        Err(error) => {
                            error_so_far.get_or_insert(error);
                        }
                    }
                }
            }
            match error_so_far {
                Some(error) if bound.is_empty() && there.is_empty() => Err(error),
                _ => Ok(bound),
            }
        }

        /// Waits for the next connection; `None` for one of another user, which is refused.
        ///
        /// # Errors
        /// The system cannot accept another connection now.
        pub async fn accept(&mut self) -> io::Result<Option<Incoming>> {
            let (stream, _) = self.listener.accept().await?;
            Ok(user::check_peer(&stream).is_ok().then_some(stream))
        }

        /// The place where it listens.
        pub fn socket(&self) -> BoundSocket {
            self.socket.clone()
        }
    }

    impl BoundSocket {
        /// Whether the socket is in its place: it may have been removed, or replaced by another daemon's.
        pub fn is_in_place(&self) -> bool {
            file_at(&self.path) == self.file
        }

        /// Removes the socket if it is still this one. Open connections stay open.
        pub fn remove(&self) {
            if self.is_in_place() {
                drop(folder_and_name(&self.path).and_then(|(_, name)| self.folder.remove_file(name)));
            }
        }
    }

    fn file_at(path: &Path) -> Option<(u64, u64)> {
        files::identity(&fs::symlink_metadata(path).ok()?)
    }

    /// Returns when the other end is closed. An end that has only stopped sending, such as `nc -N`, still reads.
    pub async fn closed(stream: &Incoming) {
        while !is_hung_up(stream) {
            let ready = stream.ready(Interest::READABLE).await;
            if !ready.is_ok_and(|ready| ready.is_read_closed()) || !is_hung_up(stream) {
                std::future::pending().await
            }
        }
    }

    fn is_hung_up(stream: &Incoming) -> bool {
        let mut asked = [PollFd::new(stream, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut asked, Some(&now)).is_ok()
            && asked.iter().any(|asked| asked.revents().contains(PollFlags::HUP))
    }

    fn bind(path: &Path) -> io::Result<Listener> {
        let (folder, name) = folder_and_name(path)?;
        if name != NAME {
            make_own(folder)?;
        }
        let folder = Folder::open(folder)?;
        if name != NAME && !folder.is_private() {
            let what = format!("others may write to {}", folder.path().display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        if folder.has_socket(name)? {
            folder.remove_file(name)?;
        }
        let listener = UnixListener::bind(folder.path_to(name))?;
        folder.make_private(name)?;
        Ok(Listener { listener, socket: BoundSocket { folder, path: path.to_owned(), file: file_at(path) } })
    }

    fn folder_and_name(path: &Path) -> io::Result<(&Path, &str)> {
        let name = path.file_name().and_then(std::ffi::OsStr::to_str);
        path.parent().zip(name).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Makes the folder for its owner alone; an existing one stays as it is. Nothing is made in a runtime folder of
    /// another user, whose variable `su` may leave in the environment.
    fn make_own(folder: &Path) -> io::Result<()> {
        let above = folder.parent().map(fs::metadata).transpose()?;
        let is_shared = |above: &fs::Metadata| above.mode() & 0o1000 != 0;
        if above.is_some_and(|above| above.uid() != user::own() && !is_shared(&above)) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the folder above belongs to another user",
            ));
        }
        create_private(folder)
    }

    fn fits(path: &Path) -> bool {
        path.as_os_str().len() <= LONGEST
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_long_path_gets_a_short_one_that_differs_from_others() {
            let nowhere = Environment::default();
            let runtime = Environment::new([("XDG_RUNTIME_DIR", "/run/of/somebody")], None);
            let short = Path::new("/home/u/.local/state/agent-presence");
            assert_eq!(Address::of(short, &nowhere).direct, Some(short.join("control.sock")));

            let long = PathBuf::from(format!("/home/{}/state", "x".repeat(100)));
            assert_eq!(Address::of(&long, &nowhere).direct, None);
            for state in [short, &long] {
                let Address { elsewhere, .. } = Address::of(state, &runtime);
                let folders = ["/run/of/somebody/agent-presence", "/run/user", "/tmp"];
                assert!(
                    elsewhere.iter().zip(folders).all(|(path, folder)| path.starts_with(folder)),
                    "{elsewhere:?}"
                );
                assert!(elsewhere.len() == 3 && elsewhere.iter().all(|path| fits(path)), "{elsewhere:?}");
            }
            assert_ne!(Address::of(&long.join("other"), &nowhere), Address::of(&long, &nowhere));
        }

        #[test]
        fn a_removed_folder_keeps_its_address() {
            let folder = tempfile::tempdir().unwrap();
            let (real, link) = (folder.path().join("real"), folder.path().join("link"));
            fs::create_dir_all(real.join("state")).unwrap();
            std::os::unix::fs::symlink(&real, &link).unwrap();
            let nowhere = Environment::default();
            let elsewhere = |state: &Path| Address::of(state, &nowhere).elsewhere;
            let before = elsewhere(&real.join("state"));
            assert_eq!(elsewhere(&link.join("state")), before);
            fs::remove_dir(real.join("state")).unwrap();
            assert_eq!(elsewhere(&real.join("state")), before);
            assert_eq!(elsewhere(&link.join("state")), before);
        }

        #[tokio::test]
        async fn a_folder_that_others_can_use_is_not_used() {
            use std::os::unix::fs::PermissionsExt as _;
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("own/0123.sock");
            bind(&socket).unwrap();
            bind(&socket).unwrap();
            let own = folder.path().join("own");
            let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
            assert_eq!((mode(&own), mode(&socket)), (0o700, 0o600));
            fs::write(own.join("file.sock"), "").unwrap();
            bind(&own.join("file.sock")).unwrap_err();
            fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
            bind(&socket).unwrap_err();
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    use tokio::io::Interest;
    use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};

    use crate::core::fingerprint;
    use crate::io::instance::Instance;
    use crate::io::paths::Environment;
    use crate::io::real_path::real;
    use crate::io::user;

    /// The daemon's end of a connection.
    pub type Incoming = NamedPipeServer;
    /// The client's end of a connection.
    pub type Outgoing = NamedPipeClient;

    /// All instances of the pipe are in use at the moment.
    const ERROR_PIPE_BUSY: i32 = 231;

    /// The pipe of a state folder's control channel.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Address(String);

    impl Address {
        /// The control channel of this state folder. The name may depend on whether the folder exists, so callers
        /// compute it again before each try.
        pub fn of(state: &Path, environment: &Environment) -> Self {
            let state = real(state);
            let hash = fingerprint::short(state.to_string_lossy().to_lowercase().as_bytes());
            let user = environment.text("USERNAME").unwrap_or_default();
            let user: String = user.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
            Self(format!(r"\\.\pipe\agent-presence-{user}-{hash:016x}"))
        }

        /// The pipe's full name.
        pub fn name(&self) -> &str {
            &self.0
        }

        /// Connects to the listener there, if it is this user's. The caller's deadline ends the wait for one that is
        /// busy.
        ///
        /// # Errors
        /// No process listens, or one of another user does.
        pub async fn connect(&self) -> io::Result<Outgoing> {
            loop {
                match ClientOptions::new().open(&self.0) {
                    Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    result => {
                        let stream = result?;
                        user::check_server(&stream)?;
                        return Ok(stream);
                    }
                }
            }
        }
    }

    /// A listening control channel: the pipe instance for the next connection.
    #[derive(Debug)]
    pub struct Listener {
        name: String,
        next: NamedPipeServer,
    }

    impl Listener {
        /// Listens at `place`.
        ///
        /// # Errors
        /// Another process has the name, or the system refused.
        pub fn bind(place: &Address, there: &[BoundSocket], _lock: &Instance) -> io::Result<Vec<Self>> {
            if !there.is_empty() {
                return Ok(Vec::new());
            }
            let next = ServerOptions::new()
                .first_pipe_instance(true)
                .reject_remote_clients(true)
                .create(&place.0)?;
            Ok(vec![Self { name: place.0.clone(), next }])
        }

        /// Waits for the next connection; never `None` here.
        ///
        /// # Errors
        /// The system cannot accept another connection now.
        pub async fn accept(&mut self) -> io::Result<Option<Incoming>> {
            self.next.connect().await?;
            let next = ServerOptions::new().reject_remote_clients(true).create(&self.name)?;
            Ok(Some(std::mem::replace(&mut self.next, next)))
        }

        /// The place where it listens.
        pub fn socket(&self) -> BoundSocket {
            BoundSocket
        }
    }

    /// The pipe, which cannot be removed.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct BoundSocket;

    impl BoundSocket {
        /// Always true.
        pub fn is_in_place(&self) -> bool {
            true
        }

        /// Does nothing: a pipe ends with its last handle.
        pub fn remove(&self) {}
    }

    /// Returns once the other end is closed.
    pub async fn closed(stream: &Incoming) {
        if stream.ready(Interest::READABLE).await.is_ok_and(|ready| ready.is_read_closed()) {
            return;
        }
        std::future::pending().await
    }
}
