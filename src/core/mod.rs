//! The pure core: bytes, facts and the time in; decisions out. No clock, no I/O, no async, no locks.

pub mod activity;
pub mod card;
pub mod config;
pub mod duration;
pub mod engine;
pub mod file;
pub mod fit;
pub mod limits;
pub mod lines;
pub mod names;
pub mod nearest;
pub mod numbers;
pub mod privacy;
pub mod publish;
pub mod report;
pub mod roster;
pub mod session;
pub mod settings;
pub mod source;
pub mod source_event;
pub mod template;
pub mod time;
pub mod usage;
pub mod values;
