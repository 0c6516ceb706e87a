//! `tap`: what streams tell, what the engine makes of it beside session files, and the program between two others.

mod engine;
mod program;
mod streams;
