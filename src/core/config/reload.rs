//! What a new reading of the settings file means for a program that is running or starting: which settings of a
//! broken file are used, and what has changed.

use super::keys::{KEYS, Key};
use super::value::shortened;
use super::{Effective, Issue, Severity};
use crate::settings::Settings;

/// The settings of a running program whose file may change.
#[derive(Debug)]
pub struct SettingsInUse {
    /// The last reading, with its issues.
    newest: Effective,
    /// The last reading that could be used.
    good: Effective,
    settings: Settings,
}

/// What a reading has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The settings that are used and have changed, by name and value.
    pub used: Option<Vec<String>>,
    /// Whether the settings in use have changed.
    pub has_other_settings: bool,
    /// Whether the issues have changed.
    pub has_other_issues: bool,
    /// Whether the last good settings stay, and did not before this reading.
    pub stays_from_now_on: bool,
}

impl SettingsInUse {
    /// Starts with the first reading and, if known, the settings that the earlier program used.
    pub fn new(read: Effective, inherited: Option<Settings>) -> Self {
        let Some(inherited) = inherited else {
            return Self { settings: read.cautious(), good: read.clone(), newest: read };
        };
        let good = Effective { settings: inherited.clone(), issues: Vec::new(), ..read.clone() };
        let mut this = Self { settings: inherited, newest: good.clone(), good };
        this.take(read);
        this
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The last reading, with its issues.
    pub fn newest(&self) -> &Effective {
        &self.newest
    }

    /// Takes a new reading. A mistake in what is to be hidden withholds everything. With any other mistake, or while
    /// the file is empty, the last good settings stay.
    pub fn take(&mut self, mut read: Effective) -> Change {
        // A program that started with a broken file has no good settings to compare an empty file with.
        let is_as_before = read.settings == self.good.settings && !self.good.is_broken();
        if read.is_blank && !read.is_broken() && !is_as_before {
            read.issues.push(gone());
        }
        let before = std::mem::replace(&mut self.newest, read);
        let has_other_issues = before.issues != self.newest.issues;
        let settings = if self.newest.withholds() {
            Settings { withheld: true, ..self.good.settings.clone() }
        } else if self.newest.is_broken() {
            self.settings.clone()
        } else {
            self.newest.settings.clone()
        };
        let used = (!self.newest.is_broken()).then(|| self.newest.changes_since(&self.good));
        if used.is_some() {
            self.good = self.newest.clone();
        }
        let has_other_settings = settings != self.settings;
        self.settings = settings;
        let stays_from_now_on = self.newest.is_broken() && !before.is_broken();
        Change { used, has_other_settings, has_other_issues, stays_from_now_on }
    }
}

/// The file is empty or gone.
fn gone() -> Issue {
    Issue {
        line: None,
        column: None,
        key: None,
        severity: Severity::Error,
        message: "it is empty or gone: the last good settings stay in force".to_owned(),
        hint: Some(
            "write it again (`agent-presence config init`), or restart the daemon to use the defaults"
                .to_owned(),
        ),
        withholds: false,
    }
}

impl Effective {
    /// The settings for a program without good ones. If something that hides may be lost, because the file cannot be
    /// parsed or a protecting setting is wrong, nothing may be shown. Then there is no application id either, so that
    /// no connection to Discord is made.
    pub fn cautious(&self) -> Settings {
        let mut settings = self.settings.clone();
        if self.may_show_too_much() {
            settings.withheld = true;
            settings.discord.application_id.clear();
        }
        settings
    }

    /// Whether something that was meant to be hidden may be shown.
    pub fn may_show_too_much(&self) -> bool {
        let protects = |issue: &Issue| {
            let Some(key) = issue.key.as_deref() else { return true };
            let (table, name) = key.split_once('.').unwrap_or((key, ""));
            let any =
                |key: &Key| key.table == table && (name.is_empty() || key.name == name) && key.protects();
            issue.withholds || KEYS.iter().any(any)
        };
        self.issues.iter().any(|issue| issue.severity == Severity::Error && protects(issue))
    }

    /// Whether nothing may be shown until the file is corrected, independent of earlier settings.
    pub fn withholds(&self) -> bool {
        self.issues.iter().any(|issue| issue.withholds)
    }

    /// The settings that differ from `before`, for the log: `card.idle_after = "5m"`. The application id is listed
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
        if self.settings.remotes != before.settings.remotes {
            changes.push("remote".to_owned());
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigContext;

    const ID: &str = "123456789012345678";

    fn read(text: &str) -> Effective {
        let context =
            ConfigContext { environment_application_id: Some(ID.to_owned()), ..ConfigContext::default() };
        Effective::read(text, &context)
    }

    #[test]
    fn a_lost_protection_withholds_the_application_id() {
        let check = |text: &str, id: &str| {
            let settings = read(text).cautious();
            assert_eq!(settings.discord.application_id, id, "{text}");
            assert_eq!(settings.withheld, id.is_empty(), "{text}");
        };
        check("", ID);
        check("[card]\nunknown = 1", ID);
        check("[card]\nidle_after = 1", ID);
        check("[privacy]\nproject = \"yes\"", ID);
        check("[crad]\nstate = \"x\"", ID);

        check("[[privacy.rule]]\npath = \"/a/**\"\nshow = \"hidden\"", "");
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
        use crate::config::keys::in_table;
        // A setting that is off by default shows nothing more if it is lost.
        let sources = in_table("sources").filter(|key| key.default != "false").map(|key| key.path());
        for key in sources.chain(["discord.clients".to_owned()]) {
            let (table, name) = key.split_once('.').unwrap();
            assert!(read(&format!("[{table}]\n{name} = 1.5")).may_show_too_much(), "{key}");
        }
    }

    const RULE: &str = "[privacy]\nproject = true\n[[privacy.rule]]\npath = \"/a\"\nshow = \"hide\"\n";

    #[test]
    fn a_mistake_in_a_privacy_rule_withholds_everything() {
        for text in [
            "[[privacy.rules]]\npath = \"/a\"\nshow = \"hide\"",
            "[privacy]\nhide = [\"/a\"]",
            "[[rule]]\npath = \"/a\"\nshow = \"hide\"",
            "[[rules]]\npath = \"/a\"\nshow = \"hide\"",
            "[privcy]\nproject = false",
            "[[Privacy.rule]]\npath = \"/a\"\nshow = \"hide\"",
            "[[PRIVACY]]\npath = \"/a\"",
            "[[folders]]\nhide = \"/a\"",
            "[anything]",
            "project = true",
            "clients = [\"/a\"]",
            "codex = false",
            "[[card.rule]]\npath = \"/a\"",
            "[card]\nhide = true",
            "privacy = 1",
            "privacy.rule = \"hide\"",
            "[[privacy.rule]]\nshow = \"hide\"",
            "[[privacy.rule]]\npath = \"/a\"",
            "[[privacy.rule]]\npath = \"/a\"\nshow = \"Hide\"",
            "[[privacy.rule]]\npath = \"/a\"\nshow = \"hide\"\nwhen = \"always\"",
        ] {
            let read = read(text);
            assert!(read.is_broken() && read.withholds(), "{text}");
            assert!(
                read.issues
                    .iter()
                    .all(|issue| issue.line.is_some() && issue.hint.is_some() || issue.key.is_some()),
                "{text}"
            );
        }
        for text in [
            "[card]\nidle_aftr = 1",
            "[sources]\nclaud = false",
            "[log]\nfile = 1",
            "[crad]",
            "application_id = \"1\"",
            "[card]\nproject = true",
            "[privacy]\nproject = \"yes\"",
            "[card",
        ] {
            assert!(!read(text).withholds(), "{text}");
        }
    }

    #[test]
    fn a_pattern_of_another_glob_syntax_withholds_everything() {
        for path in [
            "",
            " ",
            " /a",
            "/a ",
            "/a\u{a0}",
            "/a\\n",
            "/a/{b,c}",
            "/a/[bc]",
            "/a|b",
            "/a/***",
            "/a/*/../b",
            "a/b",
            "./a",
            "*/a",
            "~ada/a",
            "$WORK/a",
            "!/a",
            "%USERPROFILE%/a",
            r"C:\\Users\\%USERNAME%\\a",
            "/a /**",
            r"/my\\ app",
            "/a\u{200b}",
            "/a\u{202c}",
            "/a/!(b)/**",
            "/a/**, /b/**",
            "~/a:~/b",
            "/a;/b",
        ] {
            let read = read(&format!("[[privacy.rule]]\npath = \"{path}\"\nshow = \"hide\""));
            assert!(read.withholds() && read.settings.privacy.rules.is_empty(), "{path:?}");
            let issue = read.issues.first().unwrap();
            assert_eq!((issue.line, issue.key.as_deref()), (Some(2), Some("privacy.rule.path")), "{path:?}");
        }
        for path in [
            "/a",
            "/a/",
            "~",
            "~/a b",
            "$HOME/a",
            "${HOME}",
            "**",
            "**/a",
            "/a/../b/*",
            r"C:\\a",
            r"\\\\server\\a",
            r"\\\\?\\C:\\a",
            "/a, b/c",
            "/a:b/100%/%c",
            "/\u{645}\u{6cc}\u{200c}\u{62e}/(b)",
        ] {
            let context = ConfigContext { home: Some("/home/ada".into()), ..ConfigContext::default() };
            let text = format!("[[privacy.rule]]\npath = \"{path}\"\nshow = \"hide\"");
            assert_eq!(Effective::read(&text, &context).issues, [], "{path:?}");
        }
    }

    #[test]
    fn deleting_a_file_that_was_broken_at_the_start_does_not_correct_it() {
        let rule = "[[rule]]\npath = \"/a\"\nshow = \"hide\"";
        for text in [rule, "[card", "privacy = 1"] {
            let mut in_use = SettingsInUse::new(read(text), None);
            in_use.take(read(" \n"));
            assert!(in_use.settings().withheld && in_use.newest().is_broken(), "{text}");
            in_use.take(read("[privacy]"));
            assert!(!in_use.settings().withheld, "{text}");
        }
        // A mistake in a formerly empty file is removed again.
        let mut in_use = SettingsInUse::new(read(""), None);
        in_use.take(read(rule));
        in_use.take(read(""));
        assert!(!in_use.settings().withheld);
    }

    #[test]
    fn nothing_looser_than_the_last_good_settings_is_used_until_the_file_can_be_read() {
        let good = read(RULE);
        let check = |text: &str, withheld: bool| {
            let mut in_use = SettingsInUse::new(good.clone(), None);
            let change = in_use.take(read(text));
            assert!(in_use.newest().is_broken() && change.has_other_issues, "{text:?}");
            assert_eq!(*in_use.settings(), Settings { withheld, ..good.settings.clone() }, "{text:?}");
            // A second reading of the broken file does not change that.
            in_use.take(read("[card"));
            assert_eq!(in_use.settings().withheld, withheld, "{text:?}");
            assert!(in_use.take(good.clone()).used.is_some());
            assert_eq!(*in_use.settings(), good.settings, "{text:?}");
        };
        check("", false);
        check(" \n", false);
        check("[card", false);
        check("[privacy]\nproject = \"no\"", false);
        check("[[privacy.rules]]\npath = \"/a\"", true);
    }

    #[test]
    fn an_empty_file_at_the_start_gives_the_defaults() {
        let mut in_use = SettingsInUse::new(read(""), None);
        assert_eq!(in_use.newest().issues, []);
        in_use.take(read("[privacy]\nproject = true"));
        assert!(in_use.settings().privacy.project);
        in_use.take(read("# nothing"));
        assert!(!in_use.settings().privacy.project, "a file of comments means the defaults");
    }

    #[test]
    fn settings_of_an_earlier_daemon_are_inherited() {
        let good = read(RULE).settings;
        let used = |text: &str| SettingsInUse::new(read(text), Some(good.clone())).settings().clone();
        assert_eq!(used(""), good);
        assert_eq!(used("[card"), good);
        assert_eq!(used("[[rule]]"), Settings { withheld: true, ..good.clone() });
        assert_eq!(used("# mine"), read("").settings);
        let defaults = SettingsInUse::new(read(""), Some(read("").settings));
        assert_eq!(defaults.newest().issues, []);
    }

    #[test]
    fn changes_are_listed_by_key() {
        let before = read("[card]\nidle_after = \"15m\"");
        assert_eq!(before.changes_since(&before), [""; 0]);
        // A default that is written out is no change.
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
