//! `tap`: what streams tell, what the engine makes of it beside session files, and the program between two others.

mod engine;
#[cfg(target_os = "linux")]
mod place;
mod program;
mod streams;
