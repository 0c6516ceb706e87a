//! The connection itself: a Unix socket, or a named pipe on Windows. The only file of the links that knows which.

use std::io;

use crate::core::publish::Endpoint;
use crate::io::user;

/// What a link reads from and writes to.
#[cfg(unix)]
pub(super) type ClientStream = tokio::net::UnixStream;
/// What a link reads from and writes to.
#[cfg(windows)]
pub(super) type ClientStream = tokio::net::windows::named_pipe::NamedPipeClient;

/// Connects to `endpoint`, if a process of this user listens there.
///
/// What goes over it is the user's work, and neither the place of a socket nor its owner says who takes it: the folder
/// may be another user's after `su`, and a link may lead elsewhere than it did when it was looked at.
#[cfg(unix)]
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<ClientStream> {
    let stream = ClientStream::connect(&endpoint.0).await?;
    user::check_peer(&stream)?;
    Ok(stream)
}

/// The process that listens at the other end, where the system tells.
#[cfg(unix)]
pub(super) fn peer(stream: &ClientStream) -> Option<u32> {
    let pid = stream.peer_cred().ok()?.pid()?;
    // Zero is one that cannot be seen from here.
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

/// The process that listens at the other end: not to be had here without `unsafe` code.
#[cfg(windows)]
pub(super) fn peer(_: &ClientStream) -> Option<u32> {
    None
}

/// Connects to `endpoint`, if a process of this user listens there: anybody can give a pipe its name first.
#[cfg(windows)]
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<ClientStream> {
    let stream = tokio::net::windows::named_pipe::ClientOptions::new().open(&endpoint.0)?;
    user::check_server(&stream)?;
    Ok(stream)
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
