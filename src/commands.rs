//! What each command does. Data goes to the writer that is passed in; everything else is the caller's to print.

pub mod autostart;
pub mod bar;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod man;
pub mod operate;
pub mod replay;
pub mod run;
pub mod setup;
pub mod status;
pub mod statusline;
pub mod tap;
pub mod uninstall;
pub mod watch;

pub(crate) use crate::printed::written;
