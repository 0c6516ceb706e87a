//! What the fake listens with: a Unix socket at its path, on Windows a named pipe that is named after it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;
use std::path::Path;

/// What clients connect to, for the place that a test chose.
#[cfg(unix)]
pub(crate) fn endpoint(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// What clients connect to, for the place that a test chose.
#[cfg(windows)]
pub(crate) fn endpoint(path: &Path) -> String {
    let path = path.to_str().unwrap();
    if path.starts_with(r"\\.\pipe\") {
        return path.to_owned();
    }
    format!(r"\\.\pipe\{}", path.replace(['\\', '/', ':'], "-"))
}

/// A client's end of a connection.
#[cfg(unix)]
pub(crate) type Dialled = std::os::unix::net::UnixStream;
/// A client's end of a connection: a pipe is opened like a file.
#[cfg(windows)]
pub(crate) type Dialled = std::fs::File;

/// Connects, for a test that is the client itself.
#[cfg(unix)]
pub(crate) fn dial(endpoint: &str) -> Dialled {
    Dialled::connect(endpoint).unwrap()
}

/// Connects, for a test that is the client itself.
#[cfg(windows)]
pub(crate) fn dial(endpoint: &str) -> Dialled {
    loop {
        match std::fs::File::options().read(true).write(true).open(endpoint) {
            // The next instance of the pipe is not there yet.
            Err(error) if error.raw_os_error() == Some(231) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// One connection.
#[cfg(unix)]
pub(super) type Stream = tokio::net::UnixStream;
/// One connection.
#[cfg(windows)]
pub(super) type Stream = tokio::net::windows::named_pipe::NamedPipeServer;

/// Takes connections.
#[cfg(unix)]
pub(super) struct Listener(tokio::net::UnixListener);

#[cfg(unix)]
impl Listener {
    /// Replaces a socket file that is there.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        tokio::net::UnixListener::bind(path).map(Self)
    }

    pub(super) async fn accept(&mut self) -> io::Result<Stream> {
        self.0.accept().await.map(|(stream, _)| stream)
    }
}

/// Takes connections: the instance of the pipe that the next client gets.
#[cfg(windows)]
pub(super) struct Listener {
    name: String,
    next: Stream,
}

#[cfg(windows)]
impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let name = endpoint(path);
        let next = Self::instance(&name)?;
        Ok(Self { name, next })
    }

    pub(super) async fn accept(&mut self) -> io::Result<Stream> {
        self.next.connect().await?;
        let next = Self::instance(&self.name)?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn instance(name: &str) -> io::Result<Stream> {
        tokio::net::windows::named_pipe::ServerOptions::new().create(name)
    }
}
