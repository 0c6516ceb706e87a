//! What a reading of the settings file means for a program that is running, or about to: what may be used of a broken
//! file, and what has changed since an earlier reading.

use super::value::shortened;
use super::{Effective, Issue, Severity};
use crate::core::settings::Settings;

/// The settings that stand between a session and Discord: where one of them is lost, more would be shown than its owner
/// wants. A `show` that cannot be read is not among them, because such a rule hides; nor is what defaults to not shown.
const PROTECTING: [&str; 10] = [
    "discord",
    "discord.clients",
    "privacy",
    "privacy.rule",
    "privacy.rule.path",
    "sources",
    "sources.codex",
    "sources.claude",
    "sources.codex_home",
    "sources.claude_home",
];

impl Effective {
    /// The settings for a program that has no good ones yet. Where it is not known what is to be hidden, because the
    /// file cannot be read as a whole or a setting that hides is lost, they have no application id, so that nothing
    /// goes to Discord.
    pub fn cautious(&self) -> Settings {
        let mut settings = self.settings.clone();
        if self.may_show_too_much() {
            settings.discord.application_id.clear();
        }
        settings
    }

    /// Whether something that was meant to hide may be missing from the settings.
    pub fn may_show_too_much(&self) -> bool {
        let protects = |issue: &Issue| match issue.key.as_deref() {
            Some(key) => PROTECTING.contains(&key),
            None => true,
        };
        self.issues.iter().any(|issue| issue.severity == Severity::Error && protects(issue))
    }

    /// The settings that are other than `before`, for the log: `card.idle_after = "5m"`. The application id is named
    /// without its value.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let pairs = self.values.iter().zip(&before.values).filter(|(now, before)| now.value != before.value);
        let mut changes: Vec<String> = pairs
            .map(|(now, _)| match now.key.path() {
                path if path == "discord.application_id" => path,
                path => format!("{path} = {}", shortened(&now.value)),
            })
            .collect();
        if self.settings.privacy.rules != before.settings.privacy.rules {
            changes.push("privacy.rule".to_owned());
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::config::ConfigContext;

    const ID: &str = "123456789012345678";

    fn read(text: &str) -> Effective {
        let context =
            ConfigContext { environment_application_id: Some(ID.to_owned()), ..ConfigContext::default() };
        Effective::read(text, &context)
    }

    #[test]
    fn a_lost_protection_keeps_discord_out() {
        let check = |text: &str, id: &str| {
            assert_eq!(read(text).cautious().discord.application_id, id, "{text}");
        };
        check("", ID);
        check("[card]\nunknown = 1", ID);
        check("[card]\nidle_after = 1", ID);
        check("[privacy]\nproject = \"yes\"", ID);
        check("[[privacy.rule]]\npath = \"/a/**\"\nshow = \"hidden\"", ID);

        check("[card", "");
        check("privacy = 1", "");
        check("privacy.rule = \"hide\"", "");
        check("[[privacy.rule]]\nshow = \"hide\"", "");
        check("[[privacy.rule]]\npath = \"clients/**\"\nshow = \"hide\"", "");
        check("[sources]\nclaude = \"no\"", "");
        check("[sources]\nclaude_home = [\"work\"]", "");
        check("[discord]\nclients = \"mine\"", "");
    }

    #[test]
    fn every_source_and_list_of_clients_protects() {
        use crate::core::config::keys::in_table;
        for key in in_table("sources").map(|key| key.path()).chain(["discord.clients".to_owned()]) {
            let (table, name) = key.split_once('.').unwrap();
            assert!(read(&format!("[{table}]\n{name} = 1.5")).may_show_too_much(), "{key}");
        }
    }

    #[test]
    fn changes_are_told_by_key() {
        let before = read("[card]\nidle_after = \"15m\"");
        assert_eq!(before.changes_since(&before), [""; 0]);
        // A value that is written out as its default is no change.
        assert_eq!(read("").changes_since(&before), [""; 0]);
        let after = read(
            "[card]\nidle_after = \"5m\"\n[discord]\nclients = [\n \"/a\",\n]\n\
             [[privacy.rule]]\npath = \"/a\"\nshow = \"hide\"",
        );
        assert_eq!(
            after.changes_since(&before),
            ["discord.clients = [  \"/a\", ]", "card.idle_after = \"5m\"", "privacy.rule"]
        );
        let other = Effective::read("", &ConfigContext::default());
        assert_eq!(other.changes_since(&before), ["discord.application_id"]);
    }
}
