//! The settings of the running daemon: read again when the file changes, kept while the file is broken.
//!
//! Issues are logged once per change and kept for `status`. Nothing here writes the file.
//! Read next: [`watch`], which notices the changes.

pub mod watch;

use self::watch::SettingsWatch;
use super::Daemon;
use crate::core::config::{Change, ConfigContext, Effective, SettingsInUse, missing_application_id};
use crate::core::engine::LOOSER_AFTER;
use crate::core::report::ConfigReport;
use crate::core::settings::Settings;
use crate::io::clock;
use crate::io::config_file::ConfigFile;
use crate::io::logging::{Gathering, Logging};

/// How many issues of a file are logged; it may have one in each of thousands of lines.
const MOST_LOGGED: usize = 20;

/// The settings in use.
#[derive(Debug)]
pub struct LiveSettings {
    watch: SettingsWatch,
    logging: Logging,
    in_use: SettingsInUse,
    to_discord: bool,
}

impl LiveSettings {
    /// Begins with `effective`, the present content of `file`. `inherited` is what an earlier daemon used last;
    /// `to_discord` is false where no application id is needed.
    pub fn new(
        file: ConfigFile,
        context: ConfigContext,
        logging: Logging,
        effective: Effective,
        inherited: Option<Settings>,
        to_discord: bool,
    ) -> Self {
        let watch = SettingsWatch::new(file, context, effective.clone());
        let this = Self { watch, logging, in_use: SettingsInUse::new(effective, inherited), to_discord };
        this.log_issues();
        this.log_withheld();
        this.log_missing_id();
        this
    }

    /// What is logged until the answer is dropped is written to files together.
    pub fn gather_log(&self) -> Gathering {
        self.logging.gather()
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        self.in_use.settings()
    }

    /// The file and what is wrong with it, for `status`.
    pub fn report(&self) -> ConfigReport {
        // While settings are withheld the id is empty on purpose.
        let in_force = (!self.settings().withheld).then_some(self.settings());
        self.watch.file().report(self.in_use.newest(), in_force)
    }

    /// Waits for other settings, or for other issues of them. Cancel safe.
    pub async fn next(&mut self) -> &Settings {
        loop {
            let read = self.watch.next().await;
            if self.take(read) {
                return self.in_use.settings();
            }
        }
    }

    /// Takes newly read settings; returns whether they or their issues differ from before.
    fn take(&mut self, read: Effective) -> bool {
        let had_id = !self.settings().discord.application_id.is_empty();
        let Change { used, has_other_settings, has_other_issues, stays_from_now_on } = self.in_use.take(read);
        if let Some(changes) = used.filter(|changes| has_other_issues || !changes.is_empty()) {
            tracing::info!(changed = changes.join(", "), "settings read again");
        }
        if has_other_issues {
            self.log_issues();
        }
        if has_other_settings {
            self.logging.set_level(&self.settings().log.level);
            self.log_withheld();
        }
        if stays_from_now_on && !self.settings().withheld {
            tracing::warn!("the last good settings stay in force until the file is corrected");
        }
        if has_other_settings && had_id {
            self.log_missing_id();
        }
        has_other_settings || has_other_issues
    }

    fn log_withheld(&self) {
        if self.settings().withheld {
            tracing::warn!(
                "the settings could not be read, so it is not known what to hide: \
                 nothing is shown in Discord until they are corrected"
            );
        }
    }

    fn log_issues(&self) {
        let issues = &self.in_use.newest().issues;
        for issue in issues.iter().take(MOST_LOGGED) {
            tracing::warn!("{}", self.watch.file().describe(issue));
        }
        if let Some(more) = issues.len().checked_sub(MOST_LOGGED).filter(|more| *more > 0) {
            tracing::warn!("and {more} more problems; see them with `agent-presence config check`");
        }
    }

    fn log_missing_id(&self) {
        if self.to_discord
            && !self.settings().withheld
            && let Some(issue) = missing_application_id(self.settings())
        {
            tracing::warn!("{}", self.watch.file().describe(&issue));
        }
    }
}

impl Daemon<'_> {
    /// Passes the settings in force to the record and the search for Discord clients.
    pub(super) fn use_settings(&mut self, settings: &Settings) {
        if let Some(endpoints) = &mut self.endpoints {
            endpoints.set_clients(settings.discord.clients.clone());
        }
        let now = clock::now();
        self.record.set(&settings.record, || self.host.engine().restored(now), now.wall);
        if self.host.engine().has_looser_settings() {
            tracing::info!("settings that show more than before take effect in {LOOSER_AFTER:?}");
        }
    }
}
