//! Sessions in databases that are written while they are read: what listeners hear of it, and what hostile databases do.

mod daemon;
mod hostile;
mod live;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use agent_presence::core::source::Agent;
use agent_presence::core::source_event::SourceEvent;
use agent_presence::io::clock;
use agent_presence::io::homes::Home;
use agent_presence::io::intake::{self, IntakeConfig, IntakeHandle};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agents::opencode::writer;

/// Only a failing test waits for so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home of OpenCode's, and the writer of its database.
struct Bench {
    folder: TempDir,
    writer: Connection,
    /// In milliseconds.
    now: i64,
}

impl Bench {
    fn new(version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder.path().join("opencode.db"), version);
        Self { folder, writer, now: now() }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("opencode.db")
    }

    fn session(&self, id: &str, created: i64) {
        self.writer
            .execute(
                "INSERT INTO session(id, project_id, slug, directory, title, version, time_created, time_updated)
                VALUES(?1, 'global', 's', '/home/ada/shop', 't', '1.18.33', ?2, ?2)",
                rusqlite::params![id, created],
            )
            .unwrap();
    }

    /// Writes a message, or writes it again.
    fn message(&self, id: &str, session: &str, created: i64, updated: i64, data: &Value) {
        write_message(&self.writer, id, session, created, updated, data);
    }

    fn watch(&self) -> Watch {
        Watch::new(vec![home(self.folder.path())])
    }
}

fn write_message(writer: &Connection, id: &str, session: &str, created: i64, updated: i64, data: &Value) {
    writer
        .execute(
            "INSERT INTO message VALUES(?1, ?2, ?3, ?4, ?5)
            ON CONFLICT(id) DO UPDATE SET time_updated = excluded.time_updated, data = excluded.data",
            rusqlite::params![id, session, created, updated, data.to_string()],
        )
        .unwrap();
}

/// The next millisecond: the present one may have begun before the reader looked.
fn now() -> i64 {
    clock::now().wall.as_millisecond() + 1
}

fn home(path: &Path) -> Home {
    Home { agent: Agent::OPENCODE, path: path.to_owned(), label: path.to_string_lossy().into() }
}

fn user(created: i64) -> Value {
    json!({"role": "user", "time": {"created": created}})
}

/// A response that is being written.
fn open(created: i64) -> Value {
    json!({"role": "assistant", "modelID": "m-large", "time": {"created": created},
        "tokens": {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}})
}

/// One that is done, and used so many tokens.
fn done(created: i64, completed: i64, finish: &str, input: u64) -> Value {
    json!({"role": "assistant", "modelID": "m-large", "time": {"created": created, "completed": completed},
        "finish": finish, "tokens": {"input": input, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}})
}

/// A running intake, and what it says.
struct Watch {
    handle: IntakeHandle,
    events: Receiver<SourceEvent>,
}

impl Watch {
    fn new(homes: Vec<Home>) -> Self {
        let (sender, events) = channel();
        let config = IntakeConfig::new(homes, Arc::new(clock::now));
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        Self { handle: intake::start(config, sink).unwrap(), events }
    }

    fn next(&self) -> SourceEvent {
        self.events.recv_timeout(PATIENCE).expect("the intake should have said something")
    }

    /// What was said until all was read that was there.
    fn until_caught_up(&self) -> Vec<SourceEvent> {
        let mut events = Vec::new();
        loop {
            match self.next() {
                SourceEvent::CaughtUp => return events,
                event => events.push(event),
            }
        }
    }

    /// The next event of which `pick` makes something.
    fn until<T>(&self, pick: impl Fn(SourceEvent) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(self.next()) {
                return picked;
            }
        }
    }

    /// What the coming usage events of a session added, until its total is this.
    fn added_until(&self, session: &str, total: u64) -> Vec<Option<u64>> {
        let mut added = Vec::new();
        while added.last().is_none_or(|(_, now): &(Option<u64>, u64)| *now != total) {
            added.extend(self.until(|event| usage(event, session)));
        }
        added.into_iter().map(|(added, _)| added).collect()
    }
}

/// What the usage events of an update added (nothing: they were restored), and the total with each.
fn usage(event: SourceEvent, session: &str) -> Option<Vec<(Option<u64>, u64)>> {
    let SourceEvent::Updated { update, .. } = event else { return None };
    let of_event = |event: &agent_presence::core::session::UsageEvent| {
        let total = event.usage.session_total_tokens.unwrap().all();
        (event.added.map(|added| added.all()), total)
    };
    (update.session.id == session).then(|| update.usage.iter().map(of_event).collect())
}

/// What is wrong, if an event says that something is.
fn problem(event: SourceEvent) -> Option<String> {
    if let SourceEvent::Problem { message, .. } = event { message } else { None }
}

fn is_fixed(event: SourceEvent) -> Option<()> {
    matches!(event, SourceEvent::Problem { message: None, .. }).then_some(())
}

fn is_gone(event: SourceEvent) -> Option<()> {
    matches!(event, SourceEvent::Gone { .. }).then_some(())
}
