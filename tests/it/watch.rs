//! `watch` off a terminal, with the real program: what it prints, and that nothing is lost or comes twice.

mod consumer;
mod ends;
mod far;
mod forms;
mod stream;
