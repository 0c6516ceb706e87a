//! `[[remote]]`: other machines whose sessions are shown as well.
//!
//! A table that is not understood is not used, so that nothing is shown that the user did not want.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::tables::Tables;
use super::value;
use super::{Complaint, DocumentReader, Severity};
use crate::nearest::nearest;
use crate::remote::far;
use crate::settings::Remote;

/// The name of the tables.
pub(super) const REMOTE: &str = "remote";

const NAMES: [&str; 3] = ["name", "command", "enabled"];

const REMOTES: Tables = Tables {
    key: REMOTE,
    word: "remote",
    example: "a remote is name = \"devbox\" and command = [\"ssh\", \"devbox\", …, \"--alive\", \"60s\"]",
    without: |_| REMOTES.example.to_owned(),
    withholds: false,
};

impl DocumentReader<'_> {
    pub(super) fn remotes(&mut self, given: &Spanned<DeValue<'_>>) {
        self.each_table(&REMOTES, given, Self::remote);
    }

    fn remote(&mut self, at: usize, remote: &DeTable<'_>) {
        let mut is_whole = true;
        for (name, _) in remote {
            let word = name.get_ref();
            if NAMES.contains(&word.as_ref()) {
                continue;
            }
            let near = nearest(word, &NAMES);
            let hint = match near {
                Some(known) => format!("did you mean `{known}`?"),
                None => "a remote has `name`, `command` and `enabled`".to_owned(),
            };
            // An unknown key similar to `enabled` may be meant to disable the remote.
            let is_switch = near == Some("enabled");
            is_whole &= !is_switch;
            let severity = if is_switch { Severity::Error } else { Severity::Warning };
            let complaint = Complaint::new("unknown key, it has no effect").with_hint(hint);
            let key = format!("{REMOTE}.{}", value::shortened(word));
            self.complain(name.span().start, &key, severity, complaint);
        }
        let name = self.part(&REMOTES, (at, remote), "name", |given| {
            let name = given.text("a name such as \"devbox\"")?;
            if far::is_name(name) && name != "file" {
                return Ok(name.to_owned());
            }
            Err(given.expected("a name of 2 to 64 letters, digits, `.`, `_` and `-`"))
        });
        let command = self.part(&REMOTES, (at, remote), "command", |given| given.command());
        let enabled = match remote.contains_key("enabled") {
            true => self.part(&REMOTES, (at, remote), "enabled", |given| given.flag()),
            false => Some(true),
        };
        let (Some(name), Some(command), Some(enabled), true) = (name, command, enabled, is_whole) else {
            return;
        };
        if self.effective.settings.remotes.iter().any(|known| known.name == name) {
            let complaint = Complaint::new(format!("two remotes have the name {}", value::quoted(&name)))
                .with_hint("give each a name of its own");
            return self.complain(at, "remote.name", Severity::Error, complaint);
        }
        let line = self.place(at).0;
        self.effective.remote_lines.push(line);
        self.effective.settings.remotes.push(Remote { name, command, enabled });
    }

    /// A rule for an unknown remote would hide nothing, so it is an error.
    pub(super) fn check_rules_for_remotes(&mut self) {
        let effective = &self.effective;
        let names: Vec<&str> = effective.settings.remotes.iter().map(|remote| remote.name.as_str()).collect();
        let unknown = |path: &str| {
            let name = far::parts(path).0.filter(|name| !names.contains(name))?;
            Some((value::shortened(name), nearest(name, &names).map(str::to_owned)))
        };
        let rules = effective.settings.privacy.rules.iter().zip(&effective.rule_lines);
        let wrong: Vec<_> = rules.filter_map(|(rule, line)| Some((*line, unknown(&rule.path)?))).collect();
        for (line, (name, near)) in wrong {
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the names are those of [[remote]]".to_owned(),
            };
            self.effective.issues.push(super::Issue {
                line: Some(line),
                column: None,
                key: Some("privacy.rule.path".to_owned()),
                severity: Severity::Error,
                message: format!("there is no remote `{name}`: nothing is shown until it is corrected"),
                hint: Some(hint),
                withholds: true,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigContext, Effective};

    fn read(text: &str) -> Effective {
        Effective::read(text, &ConfigContext::default())
    }

    const DEVBOX: &str = "[[remote]]\nname = \"devbox\"\ncommand = [\"ssh\", \"devbox\"]\n";

    #[test]
    fn a_remote_has_a_name_a_command_and_a_switch() {
        let remotes = |text: &str| read(text).settings.remotes;
        let devbox = Remote {
            name: "devbox".to_owned(),
            command: vec!["ssh".to_owned(), "devbox".to_owned()],
            enabled: true,
        };
        assert_eq!(remotes(DEVBOX).first(), Some(&devbox));
        assert_eq!(remotes(&format!("{DEVBOX}enabled = false")), [Remote { enabled: false, ..devbox }]);
        assert!(!read(&format!("{DEVBOX}colour = 1")).is_broken(), "a warning");
    }

    #[test]
    fn a_remote_that_is_not_understood_is_not_used() {
        for text in [
            "remote = 1",
            "[remote]\nname = \"devbox\"",
            "remote = [1]",
            "[[remote]]\nname = \"devbox\"",
            "[[remote]]\ncommand = [\"ssh\"]",
            "[[remote]]\nname = \"C\"\ncommand = [\"ssh\"]",
            "[[remote]]\nname = \"file\"\ncommand = [\"ssh\"]",
            "[[remote]]\nname = \"a b\"\ncommand = [\"ssh\"]",
            "[[remote]]\nname = \"devbox\"\ncommand = \"ssh devbox\"",
            "[[remote]]\nname = \"devbox\"\ncommand = []",
            "[[remote]]\nname = \"devbox\"\ncommand = [\"\"]",
            "[[remote]]\nname = \"devbox\"\ncommand = [\"ssh\", 1]",
            &format!("{DEVBOX}enabled = \"no\""),
            &format!("{DEVBOX}enable = false"),
        ] {
            let read = read(text);
            assert!(read.is_broken() && read.settings.remotes.is_empty(), "{text}: {:?}", read.issues);
            assert!(!read.withholds(), "{text}");
        }
        let twice = read(&format!("{DEVBOX}{DEVBOX}"));
        assert!(twice.is_broken() && twice.settings.remotes.len() == 1);
    }

    #[test]
    fn a_rule_may_name_only_a_known_remote() {
        let rule = |path: &str| format!("[[privacy.rule]]\npath = \"{path}\"\nshow = \"hide\"\n{DEVBOX}");
        for path in ["devbox:/srv/app/**", "devbox:**", "devbox:C:/work"] {
            let read = read(&rule(path));
            assert_eq!((read.issues, read.settings.privacy.rules[0].path.as_str()), (Vec::new(), path));
        }
        for path in ["devbx:/srv/app/**", "devbox:~/app", "devbox:app", "devbox:/ab:/cd", "devbox:"] {
            assert!(read(&rule(path)).withholds(), "{path}");
        }
        let hint = read(&rule("devbx:/srv")).issues[0].hint.clone();
        assert_eq!(hint.as_deref(), Some("did you mean `devbox`?"));
    }
}
