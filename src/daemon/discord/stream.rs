//! The connection itself: a Unix socket, or a named pipe on Windows. The only file of the links that knows which.

use std::io;
#[cfg(unix)]
use std::path::Path;

use crate::core::publish::Endpoint;

/// What a link reads from and writes to.
#[cfg(unix)]
pub(super) type Stream = tokio::net::UnixStream;
/// What a link reads from and writes to.
#[cfg(windows)]
pub(super) type Stream = tokio::net::windows::named_pipe::NamedPipeClient;

/// Connects to `endpoint`.
///
/// In a folder that everybody can write to, anyone may have put the socket there, and what goes over it is the
/// user's work: the other end has to be a process of this user then.
#[cfg(unix)]
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let stream = Stream::connect(&endpoint.0).await?;
    if in_open_folder(Path::new(&endpoint.0))
        && stream.peer_cred()?.uid() != rustix::process::getuid().as_raw()
    {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user listens there"));
    }
    Ok(stream)
}

#[cfg(unix)]
fn in_open_folder(socket: &Path) -> bool {
    socket.parent().is_some_and(super::endpoints::is_open_to_all)
}

/// Connects to `endpoint`.
#[cfg(windows)]
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    tokio::net::windows::named_pipe::ClientOptions::new().open(&endpoint.0)
}

/// Whether a moment later the same attempt may well succeed: the socket is bound but does not listen yet, its
/// queue is full, or all instances of the pipe are taken.
pub(super) fn worth_a_second_try(error: &io::Error) -> bool {
    /// `ERROR_PIPE_BUSY`
    const PIPE_BUSY: i32 = 231;
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock)
        || (cfg!(windows) && error.raw_os_error() == Some(PIPE_BUSY))
}

/// Whether `error` only says that the other end went away.
pub(super) fn means_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof, WriteZero,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof | WriteZero
    )
}
