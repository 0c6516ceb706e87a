//! Reads the text of the settings file: the [`Settings`], the origin of each value, and the mistakes.
//!
//! Reading cannot fail: a value that is not understood keeps its default and becomes an [`Issue`] with its line and
//! key. While there is an error, a caller with good settings keeps them ([`Effective::is_broken`]); a caller without
//! any uses [`Effective::cautious`]. Nothing here opens a file or reads the environment: both are arguments.
//!
//! Sources, strongest first: environment, file, the id that a packager built in, default.
//! Read next: [`keys`], the one table of all settings.

pub mod edit;
pub mod keys;
mod line_index;
mod overrides;
mod reload;
mod remotes;
mod rules;
mod tables;
mod text;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::names::shortened;
use crate::nearest::nearest;
use crate::settings::Settings;
use keys::{KEYS, Key, PRIVACY, RULE};
use line_index::{LineIndex, key_at};
use remotes::REMOTE;
use value::GivenValue;

pub use reload::{Change, SettingsInUse};
pub use text::{commented, markdown};
pub use value::{APPLICATION_ID_HINT, application_id_in, is_application_id};

/// The inputs of a reading besides the file's text.
#[derive(Debug, Clone, Default)]
pub struct ConfigContext {
    /// The home folder, which replaces `~`.
    pub home: Option<PathBuf>,
    /// The environment's variables, which paths may refer to.
    pub variables: Variables,
    /// The environment's `AGENT_PRESENCE_APPLICATION_ID`; stronger than the file.
    pub environment_application_id: Option<String>,
    /// The environment's `RUST_LOG`; stronger than the file.
    pub environment_log: Option<String>,
    /// The application id that a packager built in; weaker than the file.
    pub built_in_application_id: Option<String>,
}

/// The environment's variables by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(pub BTreeMap<String, String>);

impl std::fmt::Debug for Variables {
    /// Prints no variable, because the environment contains secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variables").finish_non_exhaustive()
    }
}

/// How serious an [`Issue`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A value could not be used: the last good settings stay.
    Error,
    /// Something without effect.
    Warning,
}

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// From 1; `None` if the issue is not in the file.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// The full key, e.g. `card.idle_after`.
    pub key: Option<String>,
    /// Error or warning.
    pub severity: Severity,
    /// One line, lowercase, without a final stop.
    pub message: String,
    /// What to do, in one line.
    pub hint: Option<String>,
    /// Whether something that was meant to be hidden may be lost, so that nothing is shown until the mistake is
    /// corrected.
    pub withholds: bool,
}

impl std::fmt::Display for Issue {
    /// `line 3: card.idle_after: expected …`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Where the effective value of one setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Not set.
    Default,
    /// Built in by a packager.
    BuiltIn,
    /// The file.
    File {
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
}

/// The effective value of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The setting.
    pub key: &'static Key,
    /// The value in TOML, as written.
    pub value: String,
    /// The origin of the value.
    pub origin: Origin,
}

/// The result of reading the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// The settings, with defaults where no valid value was written.
    pub settings: Settings,
    /// The mistakes, in the file's order.
    pub issues: Vec<Issue>,
    /// One entry for each of [`KEYS`], in their order.
    pub values: Vec<EffectiveValue>,
    /// The line of each of `settings.privacy.rules`.
    pub rule_lines: Vec<usize>,
    /// The line of each of `settings.remotes`.
    pub remote_lines: Vec<usize>,
    /// Whether the file is empty or absent.
    pub is_blank: bool,
}

impl Effective {
    /// Reads `text` as a settings file.
    pub fn read(text: &str, context: &ConfigContext) -> Self {
        let mut reading =
            DocumentReader { text, lines: LineIndex::new(text), context, effective: Self::defaults() };
        match DeTable::parse(text) {
            Ok(document) => {
                reading.document(document.get_ref());
                reading.check_rules_for_remotes();
            }
            Err(error) => {
                let start = error.span().map(|span| span.start);
                let key = start.and_then(|start| key_at(text, start)).map(|key| format!(" (at {key})"));
                let what = shortened(error.message(), value::LONGEST_REASON);
                let complaint = Complaint::new(format!("not valid TOML: {what}{}", key.unwrap_or_default()));
                // Without a key: the meaning of the rest of the file is not known either.
                reading.complain_at(start, None, Severity::Error, complaint);
            }
        }
        let mut effective = reading.effective;
        effective.is_blank = text.trim().is_empty();
        effective.issues.sort_by_key(|issue| (issue.line, issue.column));
        overrides::apply(&mut effective, context);
        effective
    }

    /// Whether the last good settings should stay.
    pub fn is_broken(&self) -> bool {
        self.issues.iter().any(|issue| issue.severity == Severity::Error)
    }

    fn defaults() -> Self {
        let default = |key: &'static Key| EffectiveValue {
            key,
            value: key.default.to_owned(),
            origin: Origin::Default,
        };
        Self {
            settings: Settings::default(),
            issues: Vec::new(),
            values: KEYS.iter().map(default).collect(),
            rule_lines: Vec::new(),
            remote_lines: Vec::new(),
            is_blank: false,
        }
    }

    fn note(&mut self, key: &Key, value: String, origin: Origin) {
        if let Some(entry) = self.values.iter_mut().find(|entry| entry.key.path() == key.path()) {
            entry.value = value;
            entry.origin = origin;
        }
    }
}

/// The warning of `status`, `doctor` and `run` if no card can be shown because there is no application id.
/// [`Effective::read`] does not give it, because a file without an id is valid.
pub fn missing_application_id(settings: &Settings) -> Option<Issue> {
    settings.discord.application_id.is_empty().then(|| Issue {
        line: None,
        column: None,
        key: Some("discord.application_id".to_owned()),
        severity: Severity::Warning,
        message: "no application id is set, so nothing can be shown in Discord".to_owned(),
        hint: Some(
            "create an application at https://discord.com/developers/applications and put its id into \
             discord.application_id or AGENT_PRESENCE_APPLICATION_ID"
                .to_owned(),
        ),
        withholds: false,
    })
}

/// What is wrong with one value, without its position.
#[derive(Debug)]
struct Complaint {
    message: String,
    hint: Option<String>,
    withholds: bool,
}

impl Complaint {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, withholds: false }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn withholding(mut self) -> Self {
        self.withholds = true;
        self
    }
}

/// One pass over the parsed document.
struct DocumentReader<'a> {
    text: &'a str,
    lines: LineIndex,
    context: &'a ConfigContext,
    effective: Effective,
}

type KeyValue<'a> = (&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>);

impl DocumentReader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            let known = keys::tables().any(|table| table == name.get_ref());
            match value.get_ref() {
                _ if name.get_ref() == REMOTE => self.remotes(value),
                DeValue::Table(table) if known => self.table(name.get_ref(), table),
                other if known => {
                    let complaint =
                        Complaint::new(format!("expected a table, found {}", value::found(other)))
                            .with_hint(format!("write its keys below [{}]", name.get_ref()));
                    let is_privacy = name.get_ref() == PRIVACY;
                    let complaint = if is_privacy { complaint.withholding() } else { complaint };
                    self.complain(name.span().start, name.get_ref(), Severity::Error, complaint);
                }
                other => self.unknown_at_top(name.span().start, name.get_ref(), other),
            }
        }
    }

    fn table(&mut self, table: &str, entries: &DeTable<'_>) {
        for entry in entries {
            let name = entry.0.get_ref();
            if (table, name.as_ref()) == (PRIVACY, RULE) {
                self.rules(entry.1);
            } else if let Some(key) = keys::find(table, name) {
                self.setting(key, entry);
            } else {
                self.unknown_in(table, entry.0.span().start, name);
            }
        }
    }

    fn setting(&mut self, key: &'static Key, (name, value): KeyValue<'_>) {
        let given = GivenValue { value: value.get_ref(), name: key.name, context: self.context };
        match (key.apply)(&mut self.effective.settings, &given) {
            Ok(()) => {
                let written = self.text.get(value.span()).unwrap_or_default().trim().to_owned();
                let line = self.place(name.span().start).0;
                self.effective.note(key, written, Origin::File { line });
            }
            Err(complaint) => self.complain(value.span().start, &key.path(), Severity::Error, complaint),
        }
    }

    /// An unknown name at the top level may be meant to hide something, unless it is clear that it is not.
    fn unknown_at_top(&mut self, at: usize, name: &str, value: &DeValue<'_>) {
        let key = keys::KEYS.iter().find(|key| key.name == name);
        let near = nearest(name, &keys::tables().chain([RULE, REMOTE]).collect::<Vec<_>>());
        let near = near.map(|near| if near == RULE { PRIVACY } else { near });
        let is_rule = near == Some(PRIVACY) || looks_like_rules(value);
        let is_plain = match key {
            Some(key) => !key.protects() && key.table != PRIVACY,
            None => near.is_some(),
        };
        let hint = match (key, near) {
            (Some(key), _) => Some(format!("it belongs in [{}]", key.table)),
            (None, _) if is_rule => {
                Some("write each rule below [[privacy.rule]], with `path` and `show`".to_owned())
            }
            (None, Some(REMOTE)) => Some("did you mean [[remote]]?".to_owned()),
            (None, Some(table)) => Some(format!("did you mean [{table}]?")),
            (None, None) => {
                let tables: Vec<String> = keys::tables().map(|table| format!("[{table}]")).collect();
                Some(format!("the tables are {}", tables.join(", ")))
            }
        };
        self.unknown(at, &value::shortened(name), hint, is_rule || !is_plain);
    }

    fn unknown_in(&mut self, table: &str, at: usize, name: &str) {
        let siblings: Vec<&str> =
            keys::in_table(table).map(|key| key.name).chain((table == PRIVACY).then_some(RULE)).collect();
        let elsewhere = keys::KEYS.iter().find(|key| key.name == name);
        let sibling = nearest(name, &siblings);
        let hint = match (elsewhere, sibling) {
            (Some(key), _) => format!("it belongs in [{}]", key.table),
            (None, Some(RULE)) => "did you mean [[privacy.rule]]?".to_owned(),
            (None, Some(sibling)) => format!("did you mean `{sibling}`?"),
            (None, None) => format!("[{table}] has {}", siblings.join(", ")),
        };
        let lowercase = name.to_lowercase();
        let withholds =
            table == PRIVACY || ["rule", "privacy", "hide"].iter().any(|word| lowercase.contains(word));
        self.unknown(at, &format!("{table}.{}", value::shortened(name)), Some(hint), withholds);
    }

    fn unknown(&mut self, at: usize, key: &str, hint: Option<String>, withholds: bool) {
        let severity = if withholds { Severity::Error } else { Severity::Warning };
        let message = match withholds {
            true => {
                "unknown key, and it may be meant to hide something: nothing is shown until it is corrected"
            }
            false => "unknown key, it has no effect",
        };
        let complaint = Complaint { hint, withholds, ..Complaint::new(message) };
        self.complain(at, key, severity, complaint);
    }

    fn complain(&mut self, at: usize, key: &str, severity: Severity, complaint: Complaint) {
        self.complain_at(Some(at), Some(key), severity, complaint);
    }

    fn complain_at(
        &mut self,
        at: Option<usize>,
        key: Option<&str>,
        severity: Severity,
        complaint: Complaint,
    ) {
        let (line, column) = at.map(|at| self.place(at)).unzip();
        let key = key.map(str::to_owned);
        let Complaint { message, hint, withholds } = complaint;
        self.effective.issues.push(Issue { line, column, key, severity, message, hint, withholds });
    }

    /// Line and column of a byte offset, both from 1.
    fn place(&self, at: usize) -> (usize, usize) {
        self.lines.of(self.text.floor_char_boundary(at))
    }
}

/// Whether the value of an unknown name looks like privacy rules.
fn looks_like_rules(value: &DeValue<'_>) -> bool {
    const WORDS: [&str; 8] = ["path", "show", "hide", "rule", "rules", "project", "branch", "file"];
    match value {
        DeValue::Table(table) => table.iter().any(|(name, value)| {
            WORDS.contains(&name.get_ref().as_ref()) || looks_like_rules(value.get_ref())
        }),
        DeValue::Array(list) => list.iter().any(|item| looks_like_rules(item.get_ref())),
        _ => false,
    }
}
