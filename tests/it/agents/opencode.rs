//! OpenCode alone: its databases are written here from the fixtures' SQL, and its documents read where they lie.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agent_presence::cmd::replay::replay;
use agent_presence::core::file::{FileUpdate, SessionFile};
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::io::database::cursor::Cursors;
use agent_presence::io::database::{Database, ListedSession};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

use crate::claude::totals_of_replay;
use crate::support::fixtures::{expected, root, unlike};

/// The SQL fixtures: version, name, text.
pub(crate) fn fixtures() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for version in ["1.18", "2.0"] {
        let entries = fs::read_dir(root(Agent::OPENCODE).join(version)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let sql = paths.filter(|path| path.extension().is_some_and(|kind| kind == "sql"));
        for path in sql.filter(|path| !path.ends_with("tables.sql")) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.push((version.to_owned(), name, fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    assert!(found.len() > 20);
    found
}

/// A database with the tables of a version, as its writer has it open.
pub(crate) fn writer(path: &Path, version: &str) -> Connection {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let writer = Connection::open(path).unwrap();
    let tables = fs::read_to_string(root(Agent::OPENCODE).join(version).join("tables.sql")).unwrap();
    writer.execute_batch(&format!("PRAGMA journal_mode = wal; PRAGMA synchronous = off; {tables}")).unwrap();
    writer
}

/// Sessions of a database that are followed.
#[derive(Default)]
struct Followed(BTreeMap<String, (SessionFile, Cursors, Option<FileUpdate>)>);

impl Followed {
    fn look(&mut self, path: &Path) {
        let databases = Agent::OPENCODE.spec().layout.databases.as_ref().unwrap();
        let database = Database::open(path, databases).unwrap().unwrap();
        for listed in database.sessions(i64::MIN, false).unwrap() {
            self.read(&database, &listed);
        }
    }

    fn read(&mut self, database: &Database, listed: &ListedSession) {
        let new = || {
            let file = SessionFile::new(Agent::OPENCODE, "home".into(), Timestamp::MIN);
            (file, Cursors::default(), None)
        };
        let (file, cursors, told) = self.0.entry(listed.id.clone()).or_insert_with(new);
        database.read(listed, cursors, &mut *file).unwrap();
        file.settle();
        file.caught_up();
        if file.lineage_wanted().is_some() {
            file.set_lineage(&[]);
        }
        *told = file.take_update().or(told.take());
    }

    fn tokens(&self) -> BTreeMap<String, (Option<u64>, Option<u64>)> {
        let usage = |update: &Option<FileUpdate>| update.as_ref().unwrap().session.usage;
        let all = |tokens: Option<agent_presence::core::usage::Tokens>| tokens.map(|tokens| tokens.all());
        let figures = |usage: agent_presence::core::usage::Usage| {
            (all(usage.last_turn_tokens), all(usage.session_total_tokens))
        };
        self.0.iter().map(|(id, (.., told))| (id.clone(), figures(usage(told)))).collect()
    }
}

#[test]
fn every_fixture_gives_what_its_fact_says() {
    let (expected, mut failures) = (expected(Agent::OPENCODE), Vec::new());
    for (version, name, sql) in fixtures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("opencode.db");
        let writer = writer(&path, &version);
        writer.execute_batch(&sql).unwrap();
        let mut followed = Followed::default();
        followed.look(&path);
        let sessions = expected[&format!("{version}/{name}")]["sessions"].as_object().unwrap();
        let all: Vec<_> = followed.0.keys().collect();
        assert_eq!(all, sessions.keys().collect::<Vec<_>>(), "{version}/{name}");
        for (id, (.., told)) in followed.0 {
            let unlike = unlike(&sessions[&id], told.unwrap());
            failures.extend(unlike.into_iter().map(|unlike| format!("{version}/{name} {id}{unlike}")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// One writing of a row: when, into which table, and what.
type Written = (i64, &'static str, Vec<(String, Cell)>);

/// A fixture's rows as they were written, one after the other: responses are made empty, then filled, then completed.
fn written(version: &str, sql: &str) -> Vec<Written> {
    let folder = tempfile::tempdir().unwrap();
    let all = writer(&folder.path().join("all.db"), version);
    all.execute_batch(sql).unwrap();
    let mut steps = Vec::new();
    let tables: &[&str] = match version {
        "1.18" => &["session", "message", "part"],
        _ => &["session", "message", "part", "session_v2", "session_message"],
    };
    for table in tables {
        let mut statement = all.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = names.iter().enumerate().map(|(place, name)| (name.clone(), row.get(place).unwrap()));
            let cells: Vec<(String, Cell)> = cells.collect();
            let time = |name: &str| match cells.iter().find(|(known, _)| known == name) {
                Some((_, Cell::Integer(time))) => *time,
                other => panic!("{other:?}"),
            };
            let (created, updated) = (time("time_created"), time("time_updated"));
            if table.starts_with("session") && *table != "session_message" {
                steps.push((created, *table, cells));
                continue;
            }
            let data = cells.iter().find_map(|(name, cell)| match cell {
                Cell::Text(text) if name == "data" => serde_json::from_str::<Value>(text).ok(),
                _ => None,
            });
            let with = |data: Value, updated: i64| {
                let cell = |(name, cell): &(String, Cell)| match name.as_str() {
                    "data" => (name.clone(), Cell::Text(data.to_string())),
                    "time_updated" => (name.clone(), Cell::Integer(updated)),
                    _ => (name.clone(), cell.clone()),
                };
                (updated, *table, cells.iter().map(cell).collect::<Vec<_>>())
            };
            let is_made_here =
                |data: &&Value| data["time"]["created"] == created && data["tokens"].is_object();
            if let Some(whole) = data.as_ref().filter(is_made_here).filter(|_| updated > created) {
                let mut filled = whole.clone();
                filled["time"].as_object_mut().unwrap().remove("completed");
                let mut empty = filled.clone();
                let fields = empty.as_object_mut().unwrap();
                for field in ["finish", "error", "content"] {
                    fields.remove(field);
                }
                fields["tokens"] = json!({"input":0,"output":0,"reasoning":0,"cache":{"read":0,"write":0}});
                steps.push(with(empty, created));
                steps.push(with(filled, updated - 20));
            }
            steps.push((updated, *table, cells));
        }
    }
    steps.sort_by_key(|(at, ..)| *at);
    steps
}

fn write(writer: &Connection, (_, table, cells): &Written) {
    let names: Vec<_> = cells.iter().map(|(name, _)| name.as_str()).collect();
    let marks: Vec<_> = (1..=cells.len()).map(|number| format!("?{number}")).collect();
    let set: Vec<_> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let (names, marks, set) = (names.join(", "), marks.join(", "), set.join(", "));
    let sql = format!("INSERT INTO {table}({names}) VALUES({marks}) ON CONFLICT(id) DO UPDATE SET {set}");
    writer.execute(&sql, rusqlite::params_from_iter(cells.iter().map(|(_, cell)| cell))).unwrap();
}

/// The figures at the end do not depend on when the database was read while rows were written.
#[test]
fn reading_in_between_changes_no_figure() {
    for (version, name, sql) in fixtures() {
        let mut ends = Vec::new();
        for every in [1, 2, 3, usize::MAX] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("opencode.db");
            let writer = writer(&path, &version);
            let mut followed = Followed::default();
            for (number, step) in written(&version, &sql).iter().enumerate() {
                write(&writer, step);
                if number % every == every - 1 {
                    followed.look(&path);
                }
            }
            followed.look(&path);
            ends.push(followed.tokens());
        }
        for end in &ends {
            assert_eq!(end, &ends[3], "{version}/{name}");
        }
    }
}

fn databases(folder: &Path) -> Vec<PathBuf> {
    let database = |(number, (version, _, sql)): (usize, (String, String, String))| {
        let path = folder.join(number.to_string()).join("opencode.db");
        writer(&path, &version).execute_batch(&sql).unwrap();
        path
    };
    fixtures().into_iter().enumerate().map(database).collect()
}

#[test]
fn a_replay_of_a_database_ends_at_the_figures_of_its_sessions() {
    let folder = tempfile::tempdir().unwrap();
    for path in databases(folder.path()) {
        let mut followed = Followed::default();
        followed.look(&path);
        let blended = |(id, (.., told)): (&String, &(SessionFile, Cursors, Option<FileUpdate>))| {
            let total = told.as_ref().unwrap().session.usage.session_total_tokens;
            (id.clone(), total.map_or(0, |total| total.blended()))
        };
        let mut expected: BTreeMap<_, _> = followed.0.iter().map(blended).collect();
        if expected.is_empty() {
            // What was put away is replayed all the same.
            expected.insert("ses_1".to_owned(), 0);
        }
        assert_eq!(totals_of_replay(std::slice::from_ref(&path)), expected, "{path:?}");
        let renamed = path.with_file_name("a-copy.sqlite");
        fs::rename(&path, &renamed).unwrap();
        assert_eq!(totals_of_replay(&[renamed]), expected, "whatever its name");
    }
}

#[test]
fn documents_are_read_where_there_is_no_database() {
    let documents = root(Agent::OPENCODE).join("1.1/documents");
    assert_eq!(totals_of_replay(std::slice::from_ref(&documents)).into_values().collect::<Vec<_>>(), [640]);
    let home = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    list(&documents, &mut files);
    for file in files {
        let copy = home.path().join(file.strip_prefix(&documents).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, &copy).unwrap();
    }
    assert_eq!(totals_of_replay(&[home.path().into()]).into_values().collect::<Vec<_>>(), [640]);
    // A session that was copied into a database is read there; its documents count no more.
    let writer = writer(&home.path().join("opencode.db"), "1.18");
    let session = "INSERT INTO session VALUES('ses_a1','global',NULL,'s','/a','t','1.1.8',1760000000000,1760000009000,NULL,NULL,NULL,0);";
    let message = r#"INSERT INTO message VALUES('msg_a2','ses_a1',1760000001000,1760000005000,'{"role":"assistant","time":{"created":1760000001000,"completed":1760000005000},"finish":"stop","tokens":{"input":1,"output":2}}');"#;
    writer.execute_batch(&[session, message].concat()).unwrap();
    assert_eq!(totals_of_replay(&[home.path().into()]).into_values().collect::<Vec<_>>(), [3]);
}

fn list(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list(&path, found) } else { found.push(path) }
    }
}

#[test]
fn nothing_of_a_conversation_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    databases(folder.path());
    let mut events = 0;
    let documents = root(Agent::OPENCODE).join("1.1/documents");
    let paths = [folder.path().into(), documents];
    let problems = replay(&paths, Settings::default(), TimeZone::UTC, &mut |event| {
        let told = serde_json::to_string(&event).unwrap();
        assert!(!told.contains("MARKER-SECRET"), "{told}");
        events += 1;
    });
    assert_eq!(problems, []);
    assert!(events > 50);
}
