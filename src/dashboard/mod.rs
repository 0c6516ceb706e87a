//! The dashboard: what `watch` is on a terminal.
//!
//! It shows one report at a time and decides nothing. Read next: [`view`], which is pure.

pub mod view;

mod card;
mod head;
mod help;
mod limits;
mod paint;
mod sessions;
mod stack;
mod text;
