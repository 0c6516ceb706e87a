//! `run`: the real program, from session files to the frames that a Discord receives.
//!
//! What is decided in the core has its own tests; here it is seen to happen. The numbers in some names are those of
//! the cases that presence daemons are known to fail.

mod clients;
mod ending;
mod files;
mod following;
mod hardship;
mod refusals;
mod starting;
