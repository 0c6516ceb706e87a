//! What drives the engine: time, and everything that it is fed with.
//!
//! Read next: [`reading`], the session files; [`crate::core::engine`], what is driven.

pub mod clock_watch;
pub mod finding;
pub mod reading;
pub mod state;
pub mod statusline;
pub mod taps;
