//! The system: clock, folders, files, the lock, processes, file watches, Discord connections, session files, launch at
//! login.
//!
//! Nothing here decides what is shown. Read next: [`intake`], which reads session files; [`discord`], the links.

pub mod autostart;
pub mod browser;
pub mod clock;
pub mod config_file;
pub mod database;
pub mod discord;
pub mod files;
pub mod folder;
pub(crate) mod fs_watch;
pub mod homes;
pub mod instance;
pub mod intake;
pub mod logging;
pub mod paths;
pub mod printed;
pub mod process;
pub mod real_path;
pub mod signals;
pub mod state;
pub mod statusline;
pub mod unpacked;
pub mod user;
