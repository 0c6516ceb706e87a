//! Copilot CLI alone: its database beside its session files, and two files of one session.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use agent_presence::cmd::replay::replay;
use agent_presence::core::file::SessionFile;
use agent_presence::core::report::EventKind;
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::core::usage::{Tokens, Usage};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::claude::totals_of_replay;
use crate::support::fixtures::{all, read, root};
use crate::support::home::Home;

const ID: &str = "44444444-4444-4444-8444-444444444444";

/// A session of versions whose lines have no usage of a call. Times are seconds before now.
struct Writer {
    folder: PathBuf,
    store: Connection,
    lines: u32,
    now: Timestamp,
}

impl Writer {
    fn new(home: &Path) -> Self {
        let folder = home.join("session-state").join(ID);
        fs::create_dir_all(&folder).unwrap();
        let store = Connection::open(home.join("session-store.db")).unwrap();
        let tables = "PRAGMA journal_mode = WAL;
            CREATE TABLE schema_version(version integer);
            INSERT INTO schema_version VALUES(8);
            CREATE TABLE sessions(id text PRIMARY KEY, cwd text, created_at text, updated_at text);
            CREATE TABLE assistant_usage_events(id integer PRIMARY KEY AUTOINCREMENT, session_id text, turn_index integer,
                agent_id text, model text, input_tokens integer, output_tokens integer, cache_read_tokens integer,
                cache_write_tokens integer, reasoning_tokens integer, finish_reason text, initiator text, created_at text);";
        store.execute_batch(tables).unwrap();
        Self { folder, store, lines: 0, now: agent_presence::io::clock::now().wall }
    }

    fn at(&self, before: i64) -> String {
        format!("{:.3}", self.now - jiff::SignedDuration::from_secs(before))
    }

    fn line(&mut self, before: i64, kind: &str, data: Value) {
        self.lines += 1;
        let line = json!({"type": kind, "data": data, "id": format!("e{}", self.lines), "timestamp": self.at(before)});
        let path = self.folder.join("events.jsonl");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn start(&mut self, before: i64) {
        let context = json!({"cwd": "/home/ada/MARKER-SECRET/shop"});
        self.line(
            before,
            "session.start",
            json!({"sessionId": ID, "context": context, "copilotVersion": "1.0.85"}),
        );
    }

    fn prompt(&mut self, before: i64) {
        self.line(before, "user.message", json!({"content": "MARKER-SECRET"}));
        self.line(before, "assistant.turn_start", json!({}));
    }

    fn message(&mut self, before: i64) {
        let message = json!({"model": "m-mini", "content": "MARKER-SECRET", "toolRequests": []});
        self.line(before, "assistant.message", message);
    }

    /// A line of a call, as newer versions write it.
    fn record(&mut self, before: i64, [input, output, read, written]: [i64; 4]) {
        let usage = json!({"model": "m-mini", "inputTokens": input, "outputTokens": output, "cacheReadTokens": read,
            "cacheWriteTokens": written});
        self.line(before, "session.usage_record", json!({"usage": usage}));
    }

    fn end(&mut self, before: i64) {
        self.line(before, "assistant.turn_end", json!({}));
    }

    fn exit(&mut self, before: i64, [input, output, read, written]: [i64; 4]) {
        let usage = json!({"inputTokens": input, "outputTokens": output, "cacheReadTokens": read, "cacheWriteTokens": written});
        self.line(before, "session.shutdown", json!({"modelMetrics": {"m-mini": {"usage": usage}}}));
    }

    fn row(&self, before: i64, figures: [Option<i64>; 4]) {
        self.store
            .execute(
                "INSERT INTO assistant_usage_events(session_id, turn_index, model, input_tokens, output_tokens,
                    cache_read_tokens, cache_write_tokens, finish_reason, initiator, created_at)
                VALUES(?1, 0, 'm-mini', ?2, ?3, ?4, ?5, 'stop', 'user', ?6)",
                rusqlite::params![ID, figures[0], figures[1], figures[2], figures[3], self.at(before)],
            )
            .unwrap();
    }

    fn call(&self, before: i64, figures: [i64; 4]) {
        self.row(before, figures.map(Some));
    }
}

fn tokens(status: &Value) -> Value {
    status["sessions"][0]["tokens"].clone()
}

fn triplet(delta: u64, last: u64, total: u64) -> Value {
    json!({"delta": delta, "last": last, "total": total})
}

const FIRST: [i64; 4] = [400, 20, 150, 200];
const SECOND: [i64; 4] = [500, 10, 450, 0];

/// The rows are all in the file that the database is written on in: the database itself is one empty page.
#[test]
fn rows_of_the_database_count_where_lines_have_no_usage() {
    let home = Home::new();
    let mut writer = Writer::new(&home.path("home/.copilot"));
    writer.start(100);
    writer.prompt(90);
    writer.call(80, FIRST);
    writer.message(80);
    writer.call(70, SECOND);
    writer.message(70);
    writer.end(70);
    assert_eq!(tokens(&home.status()), triplet(60, 330, 330));
    let folder = home.path("home/.copilot");
    let files = |folder: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files(&folder);
    let mut events = Vec::new();
    let problems = replay(std::slice::from_ref(&folder), Settings::default(), TimeZone::UTC, &mut |event| {
        assert!(!serde_json::to_string(&event).unwrap().contains("MARKER-SECRET"));
        if let EventKind::Usage(usage) = event.kind {
            events.push(usage.tokens);
        }
    });
    assert_eq!(problems, []);
    let events: Vec<_> = events.iter().map(|tokens| (tokens.delta, tokens.last, tokens.total)).collect();
    assert_eq!(events, [(Some(270), Some(270), Some(270)), (Some(60), Some(330), Some(330))]);
    assert_eq!(files(&folder), before, "nothing is left behind");
}

/// Whether a file is read line by line as it grows or whole makes no difference, and what events added is the total.
#[test]
fn a_session_that_grows_has_the_total_of_one_read_whole() {
    let mut checked = 0;
    for path in all(Agent::COPILOT) {
        let text = fs::read_to_string(&path).unwrap();
        let mut file = SessionFile::new(Agent::COPILOT, "home".into(), Timestamp::MIN);
        file.locate(&path);
        let (mut added, mut usage) = (Tokens::ZERO, Usage::default());
        for line in text.split_inclusive('\n') {
            file.push(line.as_bytes());
            file.caught_up();
            let Some(update) = file.take_update() else { continue };
            let news = update.usage.iter().filter_map(|event| event.added);
            added = news.fold(added, |sum, tokens| sum.plus(&tokens));
            usage = update.session.usage;
        }
        let whole = read(Agent::COPILOT, &path, text.as_bytes(), usize::MAX >> 1).unwrap().session.usage;
        assert_eq!(usage, whole, "{}", path.display());
        if let Some(total) = whole.session_total_tokens {
            assert_eq!(added, total, "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 20);
}

/// Rows are faster than lines, or slower; newer versions tell a call in both, and the end of the process repeats all of it.
#[test]
fn usage_written_twice_while_a_session_grows_counts_once() {
    let home = Home::new();
    let settings = fs::read_to_string(home.config()).unwrap();
    home.settings(&format!("{settings}[record]\nenabled = true\n"));
    let mut writer = Writer::new(&home.path("home/.copilot"));
    writer.start(100);
    let mut daemon = home.start("run");
    home.wait_for_status("the daemon", |_| true);
    let wait = |what: &str, expected: Value| {
        home.wait_for_status(what, |status| tokens(status) == expected);
    };
    writer.prompt(90);
    writer.call(80, FIRST);
    wait("a row before its line", triplet(270, 270, 270));
    writer.record(80, FIRST);
    writer.message(80);
    writer.record(70, SECOND);
    writer.message(70);
    wait("a line before its row", triplet(60, 330, 330));
    writer.call(70, SECOND);
    writer.row(69, [None; 4]);
    writer.end(68);
    writer.exit(60, [900, 30, 600, 200]);
    writer.prompt(50);
    wait("the next prompt", triplet(60, 0, 330));
    let before = std::mem::replace(&mut daemon, home.start("run"));
    assert_eq!(before.wait_for_end().code, Some(0));
    wait("what the next daemon read", triplet(60, 0, 330));
    writer.call(40, [10, 3, 0, 0]);
    wait("its row", triplet(13, 13, 343));
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(tokens(&home.status()), triplet(13, 13, 343), "read anew it is the same");
    let record = home.state().join("record");
    let rows: Vec<Value> = fs::read_dir(record)
        .unwrap()
        .flat_map(|file| {
            fs::read_to_string(file.unwrap().path()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    let added: Vec<_> = rows.iter().map(|row| row["tokens"]["delta"].as_u64().unwrap()).collect();
    assert_eq!(added, [270, 60, 13]);
}

/// SQLite makes a row visible after its last write to the file, so an event may come too early. The files are linked into
/// another folder: what is written there causes no event in the home.
#[cfg(unix)]
#[test]
fn a_row_that_appears_after_the_last_event_of_its_database_counts() {
    let home = Home::new();
    let folder = home.path("home/.copilot");
    let mut writer = Writer::new(&folder);
    writer.start(100);
    writer.prompt(90);
    let aside = home.path("aside");
    fs::create_dir(&aside).unwrap();
    for name in ["session-store.db", "session-store.db-wal", "session-store.db-shm"] {
        fs::hard_link(folder.join(name), aside.join(name)).unwrap();
    }
    let _daemon = home.start("run");
    writer.call(80, FIRST);
    home.wait_for_status("a row with its event", |status| tokens(status) == triplet(270, 270, 270));
    // The last connection that closes would remove its files.
    let _open =
        std::mem::replace(&mut writer.store, Connection::open(aside.join("session-store.db")).unwrap());
    writer.call(70, SECOND);
    home.wait_for_status("a row without an event", |status| tokens(status) == triplet(60, 330, 330));
}

/// A database that is none, or locked for ever: lines tell what they can.
#[test]
fn without_its_database_a_session_has_no_total_before_its_end() {
    let home = Home::new();
    let mut writer = Writer::new(&home.path("home/.copilot"));
    writer.start(100);
    writer.prompt(90);
    writer.call(80, FIRST);
    writer.message(80);
    drop(std::mem::replace(&mut writer.store, Connection::open_in_memory().unwrap()));
    fs::write(home.path("home/.copilot/session-store.db"), "MARKER-SECRET").unwrap();
    let _ = fs::remove_file(home.path("home/.copilot/session-store.db-wal"));
    assert_eq!(tokens(&home.status()), json!({"delta": null, "last": null, "total": null}));
    writer.end(70);
    writer.exit(60, [900, 30, 600, 200]);
    assert_eq!(tokens(&home.status()), triplet(330, 330, 330));
    let told = home.run("doctor").out;
    assert!(told.contains("session-store.db") && !told.contains("MARKER-SECRET"), "{told}");
}

/// Early versions wrote their files flat; a copy of a session, there or in another home, is the same session.
#[test]
fn two_files_of_one_session_are_one_count() {
    let fixture = root(Agent::COPILOT).join("1.0.77/exit-figures.jsonl");
    let folder = tempfile::tempdir().unwrap();
    let id = "00000077-4444-4444-8444-444444444444";
    let state = folder.path().join("session-state");
    fs::create_dir_all(state.join(id)).unwrap();
    fs::copy(&fixture, state.join(id).join("events.jsonl")).unwrap();
    let whole = fs::read_to_string(&fixture).unwrap();
    let part: String = whole.lines().take(9).map(|line| format!("{line}\n")).collect();
    fs::write(state.join(format!("{id}.jsonl")), part).unwrap();
    let totals = totals_of_replay(&[folder.path().to_owned()]);
    assert_eq!(totals.into_iter().collect::<Vec<_>>(), [(id.to_owned(), 330)]);
}
