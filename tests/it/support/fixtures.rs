//! Fixtures of session files: reading each must give what its folder's `expected.json` says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agent_presence::core::file::{
    FileUpdate, Head, LineageRequest, RowReader, SessionFile, Skipped, UsageRow,
};
use agent_presence::core::report::{LimitsReport, SessionReport};
use agent_presence::core::session::Session;
use agent_presence::core::source::Agent;
use agent_presence::core::source::relatives::Neighbours;
use agent_presence::core::time::Now;
use agent_presence::core::usage::Count;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Longer than any fixture is silent, so that nothing goes idle by itself.
const IDLE_AFTER: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The fixtures of one agent.
pub(crate) fn root(agent: Agent) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(agent.word())
}

/// What `expected.json` says of each fixture of a folder, by the fixture's path in it, without the extension.
pub(crate) fn expected_in(folder: &Path) -> BTreeMap<String, Value> {
    serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap()
}

/// What is expected of each fixture of an agent, by `<version>/<fixture>`.
pub(crate) fn expected(agent: Agent) -> BTreeMap<String, Value> {
    let folders = std::fs::read_dir(root(agent)).unwrap().map(|entry| entry.unwrap().path());
    let folders = folders.filter(|folder| folder.join("expected.json").is_file());
    let of_folder = |folder: PathBuf| {
        let version = folder.file_name().unwrap().to_string_lossy().into_owned();
        expected_in(&folder).into_iter().map(move |(name, expected)| (format!("{version}/{name}"), expected))
    };
    folders.flat_map(of_folder).collect()
}

fn session_file(agent: Agent, name: &str) -> PathBuf {
    root(agent).join(format!("{name}.jsonl"))
}

/// Every session file that has an expectation. An agent with a database has none: its fixtures are SQL.
pub(crate) fn all(agent: Agent) -> Vec<PathBuf> {
    expected(agent).keys().map(|name| session_file(agent, name)).filter(|path| path.is_file()).collect()
}

fn rows(agent: Agent, path: &Path) -> Vec<UsageRow> {
    let mut reader = RowReader::new(agent);
    reader.push(&std::fs::read(path).unwrap());
    reader.finish()
}

fn head_of(agent: Agent, path: &Path) -> Option<Head> {
    let mut file = SessionFile::new(agent, "home".into(), Timestamp::MIN);
    file.locate(path);
    file.push(&std::fs::read(path).unwrap());
    file.head()
}

/// The files that a fixture's family is looked for among: those in its folder, and in the family's whole tree.
struct Family {
    agent: Agent,
    own: Option<Head>,
    others: Vec<(PathBuf, Head)>,
}

impl Family {
    fn of(agent: Agent, path: &Path) -> Self {
        let root = root(agent);
        let folder = path.parent().unwrap();
        let family: PathBuf = folder.strip_prefix(&root).unwrap().components().take(2).collect();
        let mut files = Vec::new();
        session_files(&root.join(family), &mut files);
        files.retain(|other| other != path);
        let others = files.into_iter().filter_map(|other| Some((other.clone(), head_of(agent, &other)?)));
        Self { agent, own: head_of(agent, path), others: others.collect() }
    }
}

impl Neighbours for Family {
    fn of_session(&mut self, id: &str) -> Vec<PathBuf> {
        self.others.iter().filter(|(_, head)| head.id == id).map(|(path, _)| path.clone()).collect()
    }

    fn twins(&mut self) -> Vec<PathBuf> {
        let own = self.own.as_ref().map(|own| own.id.clone());
        own.map(|own| self.of_session(&own)).unwrap_or_default()
    }

    fn others(&mut self, _first_line: Option<&str>) -> Vec<PathBuf> {
        self.others.iter().map(|(path, _)| path.clone()).collect()
    }

    fn head(&mut self, path: &Path) -> Option<Head> {
        let other = self.others.iter().find(|(other, _)| other == path);
        other.map(|(_, head)| head.clone()).or_else(|| self.own.clone())
    }

    fn rows(&mut self, path: &Path, _all: bool) -> Option<Vec<UsageRow>> {
        Some(rows(self.agent, path))
    }

    fn has_text(&mut self, path: &Path, text: &str) -> bool {
        std::fs::read_to_string(path).unwrap().contains(text)
    }
}

/// Every session file below a folder.
pub(crate) fn session_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            session_files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "jsonl") {
            found.push(path);
        }
    }
}

/// The rows that a fixture's neighbours offer.
pub(crate) fn lineage(agent: Agent, path: &Path, wanted: &LineageRequest) -> Vec<Vec<UsageRow>> {
    agent.spec().relatives.answer(path, wanted, &mut Family::of(agent, path))
}

/// Reads `bytes` in pieces of `chunk` bytes as the intake does, and collects what comes.
pub(crate) fn read(agent: Agent, path: &Path, bytes: &[u8], chunk: usize) -> Option<Seen> {
    let mut file = SessionFile::new(agent, "home".into(), Timestamp::MIN);
    file.locate(path);
    for piece in bytes.chunks(chunk) {
        file.push(piece);
    }
    file.end_line();
    file.caught_up();
    file.rest();
    answer(&mut file, agent, path);
    file.take_update().map(Seen::new)
}

/// Gives a file the rows of others that it wants.
pub(crate) fn answer(file: &mut SessionFile, agent: Agent, path: &Path) {
    if let Some(wanted) = file.lineage_wanted() {
        file.set_lineage(&lineage(agent, path, &wanted));
    }
    if file.helpers_wanted(true) {
        let mut helpers = Vec::new();
        let folder = path.with_extension("").join("subagents");
        if folder.is_dir() {
            session_files(&folder, &mut helpers);
        }
        file.set_helpers(&helpers.iter().map(|path| rows(agent, path)).collect::<Vec<_>>(), true);
    }
}

/// What reading a file gave.
pub(crate) struct Seen {
    pub(crate) session: Session,
    events: usize,
    limits: Vec<LimitsReport>,
    skipped: Skipped,
    file: Option<String>,
}

impl Seen {
    fn new(update: FileUpdate) -> Self {
        let last = update.session.last_event_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let limits =
            update.limits.iter().map(|limits| LimitsReport::new(limits, now(limits.observed_at))).collect();
        let file = update.session.doing(last, IDLE_AFTER).file;
        Self { session: update.session, events: update.usage.len(), limits, skipped: update.skipped, file }
    }

    /// The same in the form of an expectation.
    pub(crate) fn json(&self) -> Value {
        let last = self.session.last_event_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let report = SessionReport::new(&self.session, false, Count::Blended, now(last), IDLE_AFTER);
        let mut session = serde_json::to_value(&report).unwrap();
        session["visible"] = json!(self.session.visible);
        session["file"] = json!(self.file);
        json!({
            "session": session,
            "usage": report.usage,
            "tokens": report.tokens,
            "context": report.context,
            "limits": self.limits,
            "skipped": self.skipped,
            "usage_events": self.events,
        })
    }
}

fn now(wall: Timestamp) -> Now {
    Now { mono: std::time::Duration::ZERO, wall }
}

/// Everything that `expected` names is in `actual`, and equal; what it does not name is free.
fn differences(expected: &Value, actual: &Value, at: &str, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, value) in expected {
                differences(value, actual.get(key).unwrap_or(&Value::Null), &format!("{at}.{key}"), found);
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                found.push(format!(
                    "{at}: expected {} entries, found {}: {actual:?}",
                    expected.len(),
                    actual.len()
                ));
            }
            for (number, value) in expected.iter().enumerate() {
                let same_family = actual.iter().find(|entry| {
                    value.get("family").is_some() && entry.get("family") == value.get("family")
                });
                let other = same_family.or_else(|| actual.get(number)).unwrap_or(&Value::Null);
                differences(value, other, &format!("{at}[{number}]"), found);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) if is_same_time(a, b) => {}
        (a, b) => found.push(format!("{at}: expected {a}, found {b}")),
    }
}

fn is_same_time(a: &Value, b: &Value) -> bool {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time(a).is_some() && time(a) == time(b)
}

/// In what an update is not as it is expected to be.
pub(crate) fn unlike(expected: &Value, update: FileUpdate) -> Vec<String> {
    let mut found = Vec::new();
    differences(expected, &Seen::new(update).json(), "", &mut found);
    found
}

/// Reads the fixtures of an agent with the names that are wanted.
pub(crate) fn check_all(agent: Agent, select: impl Fn(&str) -> bool) {
    let mut failures = Vec::new();
    let mut checked = 0;
    for (name, mut expected) in expected(agent) {
        if !select(&name) {
            continue;
        }
        checked += 1;
        let fact = expected.as_object_mut().unwrap().remove("fact").unwrap();
        let file = session_file(agent, &name);
        let bytes = std::fs::read(&file).unwrap();
        let mut found = Vec::new();
        match read(agent, &file, &bytes, usize::MAX >> 1) {
            Some(seen) => differences(&expected, &seen.json(), "", &mut found),
            None => found.push("no session".to_owned()),
        }
        if !found.is_empty() {
            failures.push(format!("{name} ({fact})\n  {}", found.join("\n  ")));
        }
    }
    assert!(checked > 0, "there are no fixtures");
    assert!(failures.is_empty(), "{} of {checked} fixtures differ:\n{}", failures.len(), failures.join("\n"));
}
