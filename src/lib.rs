//! agent-presence shows friends in Discord what your coding agents are doing.

pub mod cli;
pub mod commands;
pub mod config_file;
pub mod core;
pub mod daemon;
pub mod demo;
pub mod error;
pub mod files;
pub mod homes;
pub mod instance;
pub mod logging;
pub mod paths;
pub mod replay;
pub mod show;
