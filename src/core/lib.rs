//! The pure core: bytes, facts and the time in; decisions out.
//!
//! Nothing here reads a clock, a file, the environment or a random number; nothing is `async`, locks or sends;
//! nothing uses the rest of the program, because this is a crate of its own. So everything can be tested with plain
//! values and any time, and `replay` is the same code as the daemon. A test (`tests/it/tidy.rs`) and clippy's forbidden
//! calls enforce it.
//!
//! In reading order:
//!
//! | | |
//! | --- | --- |
//! | from bytes to sessions | [`lines`], [`source`], [`usage`], [`limits`], [`activity`], [`session`], [`mod@file`], [`fingerprint`] |
//! | from other machines | [`remote`] |
//! | from sessions to a card | [`register`], [`roster`], [`privacy`], [`names`], [`numbers`], [`template`], [`values`], [`fit`], [`card`] |
//! | the same values in a status bar | [`bar`] |
//! | from a card to Discord | [`publish`] |
//! | the engine, its inputs and outputs | [`source_event`], [`engine`], [`report`], [`event_log`], [`mod@record`] |
//! | checks and fixes | [`doctor`] |
//! | settings | [`settings`], [`config`], [`duration`], [`nearest`] |
//! | time, timers, retries | [`time`], [`timer`], [`backoff`] |

pub mod activity;
pub mod backoff;
pub mod bar;
pub mod card;
pub mod config;
pub mod doctor;
pub mod duration;
pub mod engine;
pub mod event_log;
pub mod file;
pub mod fingerprint;
pub mod fit;
pub mod limits;
pub mod lines;
pub mod names;
pub mod nearest;
pub mod numbers;
pub mod privacy;
pub mod publish;
pub mod record;
pub mod register;
pub mod remote;
pub mod report;
pub mod roster;
pub mod session;
pub mod settings;
pub mod source;
pub mod source_event;
pub mod takeover;
pub mod template;
pub mod time;
pub mod timer;
pub mod usage;
pub mod values;
