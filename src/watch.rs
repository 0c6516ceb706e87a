//! `watch` and `bar`: what happens, as it happens.
//!
//! The daemon tells; where none runs, the session files are followed here, by the same engine. Nothing here is shown to
//! anybody else or written anywhere.
//! Read next: [`feed`], where the events come from; [`lines`], what is printed of them; [`alive`], what another
//! machine is told beside them; [`reports`], the state that follows from them; [`reader`], when to stop.

pub mod alive;
mod due;
pub mod feed;
pub mod lines;
pub mod reader;
pub mod reports;
