//! A temporary home, an intake on it, and the lines of Codex that its tests write.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helpers fail as the test does"
)]

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use agent_presence::core::engine::{Engine, Input, Output};
use agent_presence::core::publish::Publisher;
use agent_presence::core::report::EventKind;
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::time::Now;
use agent_presence::io::clock;
use agent_presence::io::homes::Home;
use agent_presence::io::intake::{self, IntakeConfig, IntakeHandle, Pace};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tempfile::TempDir;

/// Long enough for the slowest machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) type Event = SourceEvent;

/// What a file has brought.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) id: String,
    /// What was said last.
    pub(super) last: Option<String>,
    /// How often anything was said, since the start or since the jump.
    pub(super) said: u64,
    pub(super) provisional: bool,
    /// Usage events since the last update.
    pub(super) usage: Vec<Timestamp>,
    /// When the newest usage was written down.
    pub(super) used_at: Option<Timestamp>,
    pub(super) total: Option<u64>,
}

fn line(at: Timestamp, kind: &str, payload: &str) -> String {
    format!("{{\"timestamp\":\"{at}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}

/// The first line of a session.
pub(super) fn meta(number: u32) -> String {
    let payload = format!(r#"{{"id":"{}","timestamp":"{EARLY}","cwd":"/w","source":"cli"}}"#, id(number));
    line(EARLY, "session_meta", &payload)
}

/// The first line of a session that was forked from another one at this time.
pub(super) fn fork(number: u32, parent: u32, at: Timestamp) -> String {
    let ids = format!(r#""id":"{}","forked_from_id":"{}""#, id(number), id(parent));
    line(at, "session_meta", &format!(r#"{{{ids},"timestamp":"{at}","cwd":"/w","source":"cli"}}"#))
}

/// Two lines: one of a kind that is not known, which is counted, and one that is remembered.
pub(super) fn say(text: &str) -> String {
    let payload = format!(r#"{{"model":"{text}"}}"#);
    line(EARLY, "said", "{}") + &line(EARLY, "turn_context", &payload)
}

/// Ten more tokens, up to this total.
pub(super) fn used(at: Timestamp, total: u64) -> String {
    count(
        at,
        &format!(r#""info":{{"total_token_usage":{},"last_token_usage":{}}}"#, tokens(total), tokens(10)),
    )
}

fn tokens(count: u64) -> String {
    format!(r#"{{"input_tokens":{count},"output_tokens":0,"total_tokens":{count}}}"#)
}

/// The limits, of which so many percent are used.
pub(super) fn limits(percent: u32) -> String {
    let window = format!(r#"{{"used_percent":{percent},"window_minutes":300,"resets_at":4000000000}}"#);
    count(EARLY, &format!(r#""info":null,"rate_limits":{{"limit_id":"codex","primary":{window}}}"#))
}

fn count(at: Timestamp, payload: &str) -> String {
    line(at, "event_msg", &format!(r#"{{"type":"token_count",{payload}}}"#))
}

/// How many percent are used, if this is a word on limits.
pub(super) fn percent(event: &Event) -> Option<f64> {
    match event {
        Event::Limits(word) => Some(word.windows.first()?.used_percent),
        _ => None,
    }
}

const EARLY: Timestamp = Timestamp::constant(1_763_632_800, 0);

/// Polling that keeps no test waiting. A rescan is none of it: what it finds should have been told.
pub(super) fn often() -> Pace {
    let soon = Duration::from_millis(5);
    Pace { hot: soon, cold: soon, list: soon, ..Pace::default() }
}

/// A home in a temporary folder. Each look at the intake's clock takes a millisecond; otherwise it has to be moved.
pub(super) struct Bench {
    folder: TempDir,
    wall: Timestamp,
    moved: Arc<AtomicU64>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let wall = fs::metadata(folder.path()).unwrap().modified().unwrap();
        Self { folder, wall: wall.try_into().unwrap(), moved: Arc::default() }
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(super) fn home(&self, name: &str) -> Home {
        let path = self.path(name);
        Home { agent: Agent::CODEX, label: path.to_string_lossy().into(), path }
    }

    /// A session file; `number` tells sessions apart.
    pub(super) fn session(&self, number: u32) -> PathBuf {
        self.path("home/sessions/2026/11/20").join(name(number))
    }

    /// The moment at `seconds` after the start.
    pub(super) fn at(&self, seconds: i64) -> Timestamp {
        self.wall + jiff::SignedDuration::from_secs(seconds)
    }

    pub(super) fn config(&self) -> IntakeConfig {
        let (wall, moved) = (self.wall, Arc::clone(&self.moved));
        let looks = AtomicU64::new(0);
        let clock = move || {
            let moved = Duration::from_secs(moved.load(Ordering::Relaxed));
            let mono = moved + Duration::from_millis(looks.fetch_add(1, Ordering::Relaxed));
            Now { mono, wall: wall + moved }
        };
        let config = IntakeConfig::new(vec![self.home("home")], Arc::new(clock));
        if cfg!(target_os = "linux") { config } else { IntakeConfig { pace: often(), ..config } }
    }

    /// Moves the intake's clock; it does not notice before it is woken.
    pub(super) fn pass(&self, hours: u64) {
        self.pass_seconds(hours * 3600);
    }

    pub(super) fn pass_seconds(&self, seconds: u64) {
        self.moved.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) fn start(&self) -> Running {
        Running::new(self.config(), 4)
    }
}

/// A file's name with a conversation's id made of `number`.
pub(super) fn name(number: u32) -> String {
    format!("rollout-2026-11-20T10-00-00-{}.jsonl", id(number))
}

pub(super) fn id(number: u32) -> String {
    format!("0199a213-81c0-7800-8aa1-{number:012}")
}

pub(super) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(super) fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Moves a file over another one. Wine, other than Windows, denies that for the moment in which the other one is open.
pub(super) fn replace(from: &Path, to: &Path) {
    let until = clock::now().mono + PATIENCE;
    while let Err(error) = fs::rename(from, to) {
        let open = cfg!(windows) && error.kind() == ErrorKind::PermissionDenied;
        assert!(open && clock::now().mono < until, "{error}");
        std::thread::yield_now();
    }
}

pub(super) fn set_modified(path: &Path, at: Timestamp) {
    File::options().append(true).open(path).unwrap().set_modified(at.into()).unwrap();
}

/// A running intake and what it says, and what those who listen to an engine hear of that.
pub(super) struct Running {
    pub(super) handle: IntakeHandle,
    events: Receiver<Event>,
    engine: RefCell<Engine>,
    heard: RefCell<Vec<u64>>,
}

impl Running {
    /// With room for `room` events: the intake waits when they are not taken.
    pub(super) fn new(config: IntakeConfig, room: usize) -> Self {
        let (sender, events) = sync_channel(room);
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let settings = Settings::default();
        let publisher = Publisher::new(0, &settings);
        let engine = RefCell::new(Engine::new(settings, TimeZone::UTC, publisher));
        Self { handle: intake::start(config, sink).unwrap(), events, engine, heard: RefCell::default() }
    }

    pub(super) fn next(&self) -> Event {
        let event = self.events.recv_timeout(PATIENCE).expect("the intake should have said something");
        let now = Now { mono: Duration::ZERO, wall: EARLY };
        let mut engine = self.engine.borrow_mut();
        engine.handle(now, Input::Source(event.clone()));
        while let Some(output) = engine.poll_output(now) {
            if let Output::Event(event) = output
                && let EventKind::Usage(usage) = event.kind
                && !usage.restored
            {
                self.heard.borrow_mut().extend(usage.tokens.total);
            }
        }
        event
    }

    /// The totals after each usage that was news, since this was asked last.
    pub(super) fn heard(&self) -> Vec<u64> {
        self.heard.take()
    }

    /// The events up to the first that `wanted` accepts, that one included.
    pub(super) fn until(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = vec![self.next()];
        while !events.last().is_some_and(&wanted) {
            events.push(self.next());
        }
        events
    }

    pub(super) fn until_caught_up(&self) -> Vec<Event> {
        let mut events = self.until(|event| *event == Event::CaughtUp);
        events.pop();
        events
    }

    /// The next update, which must be of a file with this id.
    pub(super) fn update(&self, number: u32) -> (FileId, Text, bool) {
        let (file, text, restored) = updated(self.next());
        assert_eq!(text.id, id(number));
        (file, text, restored)
    }

    /// The first update that is like this.
    pub(super) fn until_text(&self, wanted: impl Fn(&Text) -> bool) -> (FileId, Text, bool) {
        let is_wanted =
            |event: &Event| matches!(event, Event::Updated { .. }) && wanted(&updated(event.clone()).1);
        updated(self.until(is_wanted).pop().unwrap())
    }

    /// The update that brings the words `last`.
    pub(super) fn until_said(&self, last: &str) -> (FileId, Text, bool) {
        self.until_text(|text| text.last.as_deref() == Some(last))
    }

    /// The update that brings usage of this time.
    pub(super) fn until_used(&self, at: Timestamp) -> (FileId, Text, bool) {
        self.until_text(|text| text.used_at == Some(at))
    }

    /// Ends the intake; gives what had not been taken.
    pub(super) fn stop(self) -> Vec<Event> {
        let Self { handle, events, .. } = self;
        let left = events.try_iter().collect();
        drop(events);
        assert!(handle.stop());
        left
    }
}

pub(super) fn updated(event: Event) -> (FileId, Text, bool) {
    let Event::Updated { file, update, .. } = event else { panic!("not an update: {event:?}") };
    let session = update.session;
    let text = Text {
        id: session.id,
        last: session.model.name.as_ref().map(ToString::to_string),
        said: update.skipped.unknown_types,
        provisional: session.counting,
        usage: update.usage.iter().filter(|event| event.added.is_some()).map(|event| event.at).collect(),
        used_at: session.last_token_event_at,
        total: session.usage.session_total_tokens.map(|total| total.all()),
    };
    (file, text, update.first)
}
