//! Sessions on other machines: two homes, of which one tells the other.

#![cfg(unix)]

#[cfg(target_os = "linux")]
mod lives;
mod pair;
mod scripted;
mod sessions;
mod ssh;
