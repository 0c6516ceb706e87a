//! Sessions on other machines: two homes, of which one tells the other.

#![cfg(unix)]

mod lives;
mod pair;
mod scripted;
mod ssh;
mod told;
