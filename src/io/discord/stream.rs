//! The connection: a Unix socket, or a named pipe on Windows. Only this file of the links depends on which.

use std::io;

use crate::core::publish::Endpoint;
use crate::io::user;

/// The stream of a link.
#[cfg(unix)]
pub(super) type ClientStream = tokio::net::UnixStream;
/// The stream of a link.
#[cfg(windows)]
pub(super) type ClientStream = tokio::net::windows::named_pipe::NamedPipeClient;

/// Connects to `endpoint`, if a process of this user listens there.
///
/// Cards are the user's data, and neither a socket's path nor its owner proves who reads it: the folder may be another
/// user's after `su`, and a link may lead elsewhere than at the check.
#[cfg(unix)]
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<ClientStream> {
    let stream = ClientStream::connect(&endpoint.0).await?;
    user::check_peer(&stream)?;
    Ok(stream)
}

/// The process at the other end, if the system reports it.
#[cfg(unix)]
pub(super) fn peer(stream: &ClientStream) -> Option<u32> {
    let pid = stream.peer_cred().ok()?.pid()?;
    // Zero is a process outside this namespace.
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

/// The process at the other end: not available here without `unsafe` code.
#[cfg(windows)]
pub(super) fn peer(_: &ClientStream) -> Option<u32> {
    None
}

/// Connects to `endpoint`, if a process of this user listens there: any user can take a pipe's name first.
#[cfg(windows)]
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<ClientStream> {
    let stream = tokio::net::windows::named_pipe::ClientOptions::new().open(&endpoint.0)?;
    user::check_server(&stream)?;
    Ok(stream)
}

/// Whether the same attempt may succeed a moment later: the socket is bound but does not listen yet, its queue is full,
/// or all instances of the pipe are taken.
pub(super) fn worth_a_second_try(error: &io::Error) -> bool {
    /// `ERROR_PIPE_BUSY`
    const PIPE_BUSY: i32 = 231;
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock)
        || (cfg!(windows) && error.raw_os_error() == Some(PIPE_BUSY))
}

/// Whether `error` means that the other end closed.
pub(super) fn means_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof, WriteZero,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof | WriteZero
    )
}
