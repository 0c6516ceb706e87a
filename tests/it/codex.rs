//! What reading a Codex session file gives, fixture by fixture. Each fixture stands for one fact of the format.

use std::path::{Path, PathBuf};

use agent_presence::core::activity::Agent;
use agent_presence::core::file::{FileUpdate, RowReader, SessionFile, Skipped, UsageRow};
use agent_presence::core::report::{LimitsReport, SessionReport};
use agent_presence::core::session::Session;
use agent_presence::core::time::Now;
use agent_presence::core::usage::Count;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Longer than any fixture is silent, so that nothing goes idle by itself.
const IDLE_AFTER: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/codex")
}

fn expectations(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            expectations(&path, found);
        } else if path.to_string_lossy().ends_with(".expected.json") {
            found.push(path);
        }
    }
}

fn session_file_of(expected: &Path) -> PathBuf {
    PathBuf::from(expected.to_string_lossy().replace(".expected.json", ".jsonl"))
}

fn rows(path: &Path) -> Vec<UsageRow> {
    let mut reader = RowReader::default();
    reader.push(&std::fs::read(path).unwrap());
    reader.finish()
}

fn family_of(path: &Path) -> Option<(String, Option<String>)> {
    let mut file = SessionFile::new(Agent::Codex, "home".into(), Timestamp::MIN);
    file.push(&std::fs::read(path).unwrap());
    file.family().map(|(id, parent)| (id.to_owned(), parent.map(str::to_owned)))
}

/// The rows that a fixture's neighbours offer: the parent's, else those of siblings.
fn lineage(path: &Path, parent: &str) -> Vec<Vec<UsageRow>> {
    let neighbours: Vec<PathBuf> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|other| other != path && other.extension().is_some_and(|kind| kind == "jsonl"))
        .collect();
    let is_parent = |other: &&PathBuf| family_of(other).is_some_and(|(id, _)| id == parent);
    let is_sibling =
        |other: &&PathBuf| family_of(other).is_some_and(|(_, other)| other.as_deref() == Some(parent));
    let parents: Vec<&PathBuf> = neighbours.iter().filter(is_parent).collect();
    let related = if parents.is_empty() { neighbours.iter().filter(is_sibling).collect() } else { parents };
    related.into_iter().map(|path| rows(path)).collect()
}

/// Reads `bytes` in pieces of `chunk` bytes as the intake does, and collects what comes.
fn read(path: &Path, bytes: &[u8], chunk: usize) -> Option<Seen> {
    let mut file = SessionFile::new(Agent::Codex, "home".into(), Timestamp::MIN);
    for piece in bytes.chunks(chunk) {
        file.push(piece);
    }
    file.caught_up();
    if let Some(wanted) = file.lineage_wanted() {
        file.set_lineage(&lineage(path, &wanted.parent));
    }
    file.take_update().map(Seen::new)
}

struct Seen {
    session: Session,
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

    fn json(&self) -> Value {
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

fn check_all(select: impl Fn(&str) -> bool) {
    let mut paths = Vec::new();
    expectations(&root(), &mut paths);
    let mut failures = Vec::new();
    let mut checked = 0;
    for path in paths {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace(".expected.json", "");
        if !select(&name) {
            continue;
        }
        checked += 1;
        let expected: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let file = session_file_of(&path);
        let bytes = std::fs::read(&file).unwrap();
        let mut found = Vec::new();
        match read(&file, &bytes, usize::MAX >> 1) {
            Some(seen) => {
                let mut wanted = expected.clone();
                wanted.as_object_mut().unwrap().remove("fact");
                differences(&wanted, &seen.json(), "", &mut found);
            }
            None => found.push("no session".to_owned()),
        }
        if !found.is_empty() {
            failures.push(format!(
                "{name} ({})\n  {}",
                expected["fact"].as_str().unwrap_or("?"),
                found.join("\n  ")
            ));
        }
    }
    assert!(checked > 0, "no fixture was selected");
    assert!(failures.is_empty(), "{} of {checked} fixtures differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_fixture_gives_what_its_fact_says() {
    check_all(|_| true);
}
