//! The least that the same work takes; see `floor/unix.rs`. Elsewhere than on Unix there is nothing to compare with.

#[cfg(unix)]
#[path = "floor/unix.rs"]
mod unix;

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {}
