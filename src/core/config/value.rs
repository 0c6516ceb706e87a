//! One value of the file, and the checks for each type of setting.
//!
//! Every complaint says what is expected and what was found, in one line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::{Complaint, ConfigContext};
use crate::duration;
use crate::names;
use crate::nearest::nearest;
use crate::remote::far;
use crate::settings::{Clients, LONGEST_IMAGE, is_image};
use crate::template::Template;

/// Longer reasons are not read.
pub(super) const LONGEST_REASON: usize = 300;

/// The longest name of a home, in characters.
const LONGEST_HOME: usize = 32;

/// The valid log levels.
pub(super) const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

/// A value and the inputs of its check.
pub(super) struct GivenValue<'a> {
    pub(super) value: &'a DeValue<'a>,
    /// The key's own name, for hints.
    pub(super) name: &'static str,
    pub(super) context: &'a ConfigContext,
}

impl GivenValue<'_> {
    pub(super) fn flag(&self) -> Result<bool, Complaint> {
        let complaint = self.expected("true or false");
        match self.value {
            DeValue::Boolean(flag) => Ok(*flag),
            DeValue::String(text) => Err(match text.to_lowercase().as_str() {
                word @ ("true" | "false") => {
                    complaint.with_hint(format!("without quotes: {} = {word}", self.name))
                }
                "yes" | "on" => complaint.with_hint(format!("write {} = true", self.name)),
                "no" | "off" => complaint.with_hint(format!("write {} = false", self.name)),
                _ => complaint,
            }),
            _ => Err(complaint),
        }
    }

    pub(super) fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, Complaint> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let text = self.value.as_str();
        if let Some((_, meaning)) = words.iter().find(|(word, _)| Some(*word) == text) {
            return Ok(meaning.clone());
        }
        let complaint = self.expected(&alternatives(&names));
        Err(match text.and_then(|text| nearest(&text.to_lowercase(), &names)) {
            Some(word) => complaint.with_hint(format!("did you mean \"{word}\"?")),
            None => complaint,
        })
    }

    /// A duration within two bounds, which are written as durations.
    pub(super) fn duration(&self, least: &str, most: &str) -> Result<Duration, Complaint> {
        let expected = format!("a duration from {least} to {most}");
        let Some(text) = self.value.as_str() else {
            let complaint = self.expected(&expected);
            return Err(match self.value {
                DeValue::Integer(number) => {
                    let number = shortened(&number.to_string());
                    complaint.with_hint(format!("with a unit, in quotes: {} = \"{number}s\"", self.name))
                }
                _ => complaint,
            });
        };
        let given = duration::parse(text).map_err(|reason| {
            Complaint::new(format!("expected {expected}, found {}: {reason}", quoted(text)))
        })?;
        let within = |bound: &str, fits: fn(&Duration, &Duration) -> bool| {
            duration::parse(bound).is_ok_and(|bound| fits(&given, &bound))
        };
        if within(least, Duration::ge) && within(most, Duration::le) {
            Ok(given)
        } else {
            Err(self.expected(&expected))
        }
    }

    pub(super) fn template(&self) -> Result<Template, Complaint> {
        let text = self.text("a line of text in quotes")?;
        Template::parse(text).map_err(|reason| Complaint::new(names::shortened(&reason, LONGEST_REASON)))
    }

    pub(super) fn application_id(&self) -> Result<String, Complaint> {
        let complaint = self.expected("17 to 20 digits in quotes");
        match self.value {
            DeValue::String(id) if id.is_empty() || is_application_id(id) => Ok(id.to_string()),
            DeValue::Integer(number) if is_application_id(number.as_str()) => {
                Err(complaint.with_hint(format!("in quotes: {} = \"{}\"", self.name, number.as_str())))
            }
            _ => Err(complaint.with_hint(APPLICATION_ID_HINT)),
        }
    }

    /// An image, or an empty text for none.
    pub(super) fn image(&self) -> Result<String, Complaint> {
        let text = self.text("an asset key or an https URL")?;
        if text.is_empty() || is_image(text) {
            return Ok(text.to_owned());
        }
        let complaint = self.expected("an asset key or an https URL");
        let is_plain = text.len() <= LONGEST_IMAGE && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain {
            return Err(complaint.with_hint(format!("at most {LONGEST_IMAGE} characters, without spaces")));
        }
        Err(if text.starts_with("http://") { complaint.with_hint("use https") } else { complaint })
    }

    pub(super) fn clients(&self) -> Result<Clients, Complaint> {
        let expected = r#""all" or a list of endpoints"#;
        if self.value.as_str() == Some("all") {
            return Ok(Clients::All);
        }
        let endpoints =
            self.texts().filter(|_| self.value.is_array()).ok_or_else(|| self.expected(expected))?;
        if endpoints.is_empty() || endpoints.iter().any(|endpoint| endpoint.is_empty()) {
            return Err(Complaint::new(format!("expected {expected}, found an empty one")));
        }
        let endpoints = endpoints.into_iter().map(|endpoint| expand(endpoint, self.context));
        Ok(Clients::Only(endpoints.collect::<Result<_, _>>()?))
    }

    /// Absolute folders, each with its name if it has one; `~` is the home folder. A single folder is a list of one.
    pub(super) fn homes(&self) -> Result<Vec<(PathBuf, Option<String>)>, Complaint> {
        let one = |value: &DeValue<'_>| {
            let (path, name) = match value {
                DeValue::String(path) => (path.as_ref(), None),
                DeValue::Table(home) => self.named_home(home)?,
                _ => return Err(self.expected("a list of folders")),
            };
            Ok((PathBuf::from(expand(path, self.context)?), name))
        };
        match self.value {
            DeValue::Array(list) => list.iter().map(|item| one(item.get_ref())).collect(),
            value => Ok(vec![one(value)?]),
        }
    }

    /// `{ path = "~/.codex-work", name = "work" }`
    fn named_home<'a>(&self, home: &'a DeTable<'_>) -> Result<(&'a str, Option<String>), Complaint> {
        let hint = format!("write {} = [{{ path = \"~/folder\", name = \"work\" }}]", self.name);
        let refuse = |message: String| Complaint::new(message).with_hint(hint.clone());
        let known = |key: &str| matches!(key, "path" | "name");
        if let Some((key, _)) = home.iter().find(|(key, _)| !known(key.get_ref())) {
            return Err(refuse(format!("a home has no `{}`", shortened(key.get_ref()))));
        }
        let path = home.get("path").ok_or_else(|| refuse("a home needs a `path`".to_owned()))?.get_ref();
        let path =
            path.as_str().ok_or_else(|| refuse(format!("expected a folder, found {}", found(path))))?;
        let Some(name) = home.get("name").map(|name| name.get_ref()) else { return Ok((path, None)) };
        let is_fit =
            |name: &&str| (1..=LONGEST_HOME).contains(&name.chars().count()) && names::visible(name) == *name;
        match name.as_str().filter(is_fit) {
            Some(name) => Ok((path, Some(name.to_owned()))),
            None => Err(refuse(format!(
                "expected a name of 1 to {LONGEST_HOME} characters, found {}",
                found(name)
            ))),
        }
    }

    /// A program and its arguments, which are not split by a shell.
    pub(super) fn command(&self) -> Result<Vec<String>, Complaint> {
        let expected = "a list of a program and its arguments";
        let words = self.texts().filter(|_| self.value.is_array()).ok_or_else(|| self.expected(expected))?;
        match words.first() {
            Some(program) if !program.is_empty() => Ok(words.into_iter().map(str::to_owned).collect()),
            _ => Err(Complaint::new(format!("expected {expected}, found no program"))),
        }
    }

    pub(super) fn log_level(&self) -> Result<String, Complaint> {
        let text = self.text(&alternatives(LEVELS))?;
        match log_filter(text) {
            Ok(()) => Ok(text.to_owned()),
            Err(word) => {
                let complaint =
                    Complaint::new(format!("expected {}, found {}", alternatives(LEVELS), quoted(&word)));
                Err(match nearest(&word.to_lowercase(), LEVELS) {
                    Some(level) => complaint.with_hint(format!("did you mean \"{level}\"?")),
                    None => complaint,
                })
            }
        }
    }

    pub(super) fn text(&self, expected: &str) -> Result<&str, Complaint> {
        self.value.as_str().ok_or_else(|| self.expected(expected))
    }

    pub(super) fn expected(&self, expected: &str) -> Complaint {
        Complaint::new(format!("expected {expected}, found {}", found(self.value)))
    }

    fn texts(&self) -> Option<Vec<&str>> {
        match self.value {
            DeValue::String(text) => Some(vec![text]),
            DeValue::Array(list) => list.iter().map(|item| item.get_ref().as_str()).collect(),
            _ => None,
        }
    }
}

/// What to do when an application id has the wrong form.
pub const APPLICATION_ID_HINT: &str =
    "copy \"Application ID\" from your application's page at https://discord.com/developers/applications";

/// Whether `text` has the form of a Discord application id.
pub fn is_application_id(text: &str) -> bool {
    (17..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The application id in copied text: the id itself, or an address of Discord's portal that contains it.
pub fn application_id_in(text: &str) -> Option<&str> {
    let text = text.trim();
    if is_application_id(text) {
        return Some(text);
    }
    // The word before a number says what the number is: other ids in an address belong to teams, servers and users.
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    let names = |word: &str| matches!(word, "applications" | "select" | "client_id" | "application_id");
    pairs.filter(|(before, id)| names(before) && is_application_id(id)).map(|(_, id)| *id).next()
}

/// Checks a log level or a filter in `RUST_LOG`'s syntax; the error is the part that is not understood.
///
/// A single word has to be a level: as a filter it would name a module, and a mistyped level would silence the log.
pub(super) fn log_filter(text: &str) -> Result<(), String> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let is_target = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
    };
    for part in text.split(',').map(str::trim) {
        let understood = match part.split_once('=') {
            Some((target, level)) => is_target(target) && is_level(level),
            None => is_level(part),
        };
        if !understood {
            return Err(part.to_owned());
        }
    }
    Ok(())
}

/// An absolute path with `~` and variables replaced. The forms of Windows and WSL (`C:\`, `\\wsl.localhost\…`) are
/// absolute on every system, so that one file serves several.
pub(super) fn expand(path: &str, context: &ConfigContext) -> Result<String, Complaint> {
    let path = &with_variables(path, context)?;
    if let Some(rest) = path.strip_prefix('~')
        && (rest.is_empty() || rest.starts_with(['/', '\\']))
    {
        return Ok(format!("{}{rest}", home_folder("~", context)?));
    }
    if path.starts_with(['/', '\\']) || far::is_drive(path) {
        return Ok(path.clone());
    }
    Err(Complaint::new(format!("expected an absolute path, found {}", quoted(path)))
        .with_hint("begin it with `/` or `~/`"))
}

fn home_folder<'a>(name: &str, context: &'a ConfigContext) -> Result<&'a str, Complaint> {
    let home = context.home.as_deref().and_then(Path::to_str).ok_or_else(|| {
        Complaint::new(format!("could not replace `{name}`: the home folder is not known"))
            .with_hint("write the whole path, or set HOME")
    })?;
    Ok(home.trim_end_matches(['/', '\\']))
}

/// The path with `$NAME` and `${NAME}` replaced from the environment; any other `$` stays.
pub(super) fn with_variables(path: &str, context: &ConfigContext) -> Result<String, Complaint> {
    let is_name = |word: &&str| {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_()".contains(c);
        word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(is_of_name)
    };
    let words = path.split('%').collect::<Vec<_>>();
    let inner = words.get(1..words.len() - 1).unwrap_or_default();
    if let Some(name) = inner.iter().copied().find(is_name) {
        let name = shortened(name);
        return Err(Complaint::new(format!("could not replace `%{name}%`"))
            .with_hint(format!("write `$` in front of a variable's name: `${name}`")));
    }
    let mut expanded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, behind) = braced.unwrap_or_else(|| after.split_at_checked(end).unwrap_or_default());
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            expanded.push('$');
            rest = after;
            continue;
        }
        let spelled = if braced.is_some() { format!("${{{name}}}") } else { format!("${name}") };
        let value = if name == "HOME" {
            home_folder(&spelled, context)?
        } else {
            let set = context.variables.0.get(name).filter(|value| !value.is_empty());
            set.ok_or_else(|| {
                let (spelled, name) = (shortened(&spelled), shortened(name));
                Complaint::new(format!("could not replace `{spelled}` in {}: it is not set", quoted(path)))
                    .with_hint(format!("write the whole path, or set {name} where the daemon is started"))
            })?
        };
        expanded.push_str(value);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The type of a value, in a few words.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => format!("the number {}", shortened(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", shortened(number.as_str())),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A user's text in quotes, on one line and shortened.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}

/// At most 40 characters, without control characters.
pub(super) fn shortened(text: &str) -> String {
    names::shortened(text, 40)
}

/// `"a", "b" or "c"`
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
