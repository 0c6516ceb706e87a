//! `watch`: prints events as they happen.
//!
//! The daemon tells; where none runs, the session files are followed here, by the same engine. Nothing here is shown to
//! anybody else or written anywhere.
//! Read next: [`feed`], where the events come from; [`lines`], what is printed of them; [`reader`], when to stop.

pub mod feed;
pub mod lines;
pub mod reader;
