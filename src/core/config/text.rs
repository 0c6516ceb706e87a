//! Texts made from the table of settings: the file of `config init`, the output of `config show`, the table of
//! `docs/settings.md`.

use super::rules::SHOW;
use super::{Effective, Origin, keys};

const HEADER: &str = "\
# Settings of agent-presence. A line such as `#key = value` shows a default: remove its `#` to change it.
# A change takes effect within a second; `agent-presence config check` says what is wrong with it.
";

const RULE: &str = "
# What sessions in a folder show, whatever is allowed above: \"hide\" (no card at all), \"generic\" or \"full\".
# A path is the folder and everything below; `*` stands for anything within a folder's name, `**` across folders
#[[privacy.rule]]
#path = \"~/clients/**\"
#show = \"generic\"
";

const REMOTE: &str = "
# Another machine whose sessions count as well: a command that runs agent-presence there. No shell, no port
#[[remote]]
#name = \"devbox\"
#command = [\"ssh\", \"-T\", \"-o\", \"BatchMode=yes\", \"devbox\", \"agent-presence\", \"watch\", \"--json\", \"--alive\", \"60s\"]
#enabled = true
";

/// The file that `config init` writes: every setting with its meaning and its default, all commented out.
pub fn commented() -> String {
    let mut text = HEADER.to_owned();
    for table in keys::tables() {
        text.push_str(&format!("\n[{table}]\n"));
        for key in keys::in_table(table) {
            text.push_str(&format!("# {}\n#{} = {}\n", key.doc, key.name, key.default));
        }
        match table {
            "privacy" => text.push_str(RULE),
            "sources" => text.push_str(REMOTE),
            _ => {}
        }
    }
    text
}

/// The table of settings for `docs/settings.md`, as Markdown.
pub fn markdown() -> String {
    let mut text = "| key | default | what |\n| --- | --- | --- |\n".to_owned();
    for key in keys::KEYS.iter() {
        text.push_str(&format!("| `{}` | `{}` | {} |\n", key.path(), key.default, key.doc));
    }
    text.push_str(
        "| `[[privacy.rule]]` | none | `path` (a glob) and `show` (`hide`, `generic` or `full`): \
         what sessions in a folder show |\n\
         | `[[remote]]` | none | `name`, `command` (a list: a program and its arguments) and `enabled`: \
         another machine whose sessions count as well |\n",
    );
    text
}

impl Effective {
    /// The effective settings as a settings file, each with its origin.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        for table in keys::tables() {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{table}]\n"));
            for entry in self.values.iter().filter(|entry| entry.key.table == table) {
                let line = format!("{} = {}", entry.key.name, entry.value);
                text.push_str(&format!("{line:<40}  # {}\n", entry.origin));
            }
            match table {
                "privacy" => text.push_str(&self.shown_rules()),
                "sources" => text.push_str(&self.shown_remotes()),
                _ => {}
            }
        }
        text
    }

    fn shown_remotes(&self) -> String {
        let mut text = String::new();
        for (remote, line) in self.settings.remotes.iter().zip(&self.remote_lines) {
            let (name, command) =
                (toml::Value::from(remote.name.as_str()), toml::Value::from(remote.command.clone()));
            let (header, origin) = ("[[remote]]", Origin::File { line: *line });
            let enabled = remote.enabled;
            text.push_str(&format!(
                "\n{header:<40}  # {origin}\nname = {name}\ncommand = {command}\nenabled = {enabled}\n"
            ));
        }
        text
    }

    fn shown_rules(&self) -> String {
        let mut text = String::new();
        for (rule, line) in self.settings.privacy.rules.iter().zip(&self.rule_lines) {
            let word = SHOW.iter().find(|(_, show)| *show == rule.show).map_or("hide", |(word, _)| *word);
            let path = toml::Value::from(rule.path.as_str());
            let header = "[[privacy.rule]]";
            let origin = Origin::File { line: *line };
            text.push_str(&format!("\n{header:<40}  # {origin}\npath = {path}\nshow = \"{word}\"\n"));
        }
        text
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::BuiltIn => f.write_str("built in"),
            Self::File { line } => write!(f, "file, line {line}"),
            Self::Environment(name) => write!(f, "environment, {name}"),
        }
    }
}
