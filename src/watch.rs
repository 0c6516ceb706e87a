//! `watch`: what happens, as it happens, for whoever looks.
//!
//! The daemon tells; where none runs, the session files are followed here, by the same engine. Nothing here is shown to
//! anybody else or written anywhere.
//! Read next: [`feed`], where the events come from; [`lines`], what is printed of them; [`reader`], when to stop.

mod alone;
pub mod feed;
pub mod lines;
pub mod reader;

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::core::report::ConfigReport;
use crate::core::settings::Settings;
use crate::homes::Home;
use crate::paths::Environment;

/// Everything that events are made of when no daemon makes them, and where to find one that does.
#[derive(Debug, Clone)]
pub struct Source {
    /// The state folder, whether or not it exists.
    pub state: PathBuf,
    /// The process's environment.
    pub environment: Environment,
    /// The settings in force.
    pub settings: Settings,
    /// The settings file and what is wrong with it.
    pub config: ConfigReport,
    /// The agents' homes.
    pub homes: Vec<Home>,
    /// The user's time zone.
    pub zone: TimeZone,
}
