//! The settings in force while the daemon runs: read again when the file changes, kept when it breaks.
//!
//! What is wrong is logged once per change and kept for `status`. Nothing here writes the file.
//! Read next: [`watch`], which notices the changes.

pub mod watch;

use self::watch::SettingsWatch;
use crate::config_file::ConfigFile;
use crate::core::config::{ConfigContext, Effective, missing_application_id};
use crate::core::report::ConfigReport;
use crate::core::settings::Settings;
use crate::logging::Logging;

/// The settings in force.
#[derive(Debug)]
pub struct LiveSettings {
    watch: SettingsWatch,
    logging: Logging,
    /// What was read last, with what is wrong with it.
    newest: Effective,
    /// The last reading that was used.
    used: Effective,
    /// What is in force of it.
    settings: Settings,
    to_discord: bool,
}

impl LiveSettings {
    /// Begins with what `file` says now; `to_discord` is whether an application id is of any use.
    pub fn new(
        file: ConfigFile,
        context: ConfigContext,
        logging: Logging,
        effective: Effective,
        to_discord: bool,
    ) -> Self {
        let this = Self {
            watch: SettingsWatch::new(file, context, effective.clone()),
            logging,
            settings: effective.cautious(),
            newest: effective.clone(),
            used: effective,
            to_discord,
        };
        this.tell_issues();
        if this.holds_back() {
            tracing::warn!(
                "the settings could not be read, so what is to be hidden is not known: \
                 nothing is shown in Discord until they are mended"
            );
        }
        this.tell_missing_id();
        this
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The file and what is wrong with it, for `status`.
    pub fn report(&self) -> ConfigReport {
        // An id that was taken away out of caution is not missing.
        let in_force = (!self.holds_back()).then_some(&self.settings);
        self.watch.file().report(&self.newest, in_force)
    }

    /// Waits for other settings to come into force, or to have other issues. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> &Settings {
        loop {
            let read = self.watch.next().await;
            if self.take(read) {
                return &self.settings;
            }
        }
    }

    /// Takes a reading, and says whether it brought other settings or other issues.
    fn take(&mut self, read: Effective) -> bool {
        let before = std::mem::replace(&mut self.newest, read);
        let has_other_issues = before.issues != self.newest.issues;
        if self.newest.is_broken() {
            if has_other_issues {
                self.tell_issues();
            }
            if !before.is_broken() {
                tracing::warn!("the last good settings stay in force until the file is mended");
            }
            return has_other_issues;
        }
        let changes = self.newest.changes_since(&self.used);
        self.used = self.newest.clone();
        let settings = self.used.settings.clone();
        self.logging.set_level(&settings.log.level);
        if has_other_issues || !changes.is_empty() {
            tracing::info!(changed = changes.join(", "), "settings read again");
        }
        if has_other_issues {
            self.tell_issues();
        }
        let before = std::mem::replace(&mut self.settings, settings);
        if !before.discord.application_id.is_empty() {
            self.tell_missing_id();
        }
        before != self.settings || has_other_issues
    }

    /// Whether nothing may be shown, because there never were good settings and these are not.
    fn holds_back(&self) -> bool {
        self.used.may_show_too_much()
    }

    fn tell_issues(&self) {
        for issue in &self.newest.issues {
            tracing::warn!("{}", self.watch.file().describe(issue));
        }
    }

    fn tell_missing_id(&self) {
        if self.to_discord
            && !self.holds_back()
            && let Some(issue) = missing_application_id(&self.settings)
        {
            tracing::warn!("{}", self.watch.file().describe(&issue));
        }
    }
}
