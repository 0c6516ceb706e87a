//! A temporary home, an intake on it, and a fold that only collects lines.
//!
//! Lines of a test file: `meta ID [PARENT]` first; `use TIME` is a usage event, `limits PERCENT` a limit; all else is text.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helpers fail as the test does"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_presence::core::file::{LineageRequest, UsageRow};
use agent_presence::core::limits::{MAIN_FAMILY, Snapshot};
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::{FileId, SourceEvent, Standing};
use agent_presence::core::time::Now;
use agent_presence::homes::Home;
use agent_presence::intake::{self, Fold, Head, IntakeConfig, IntakeHandle, Pace, Update};
use jiff::Timestamp;
use tempfile::TempDir;

/// Long enough for the slowest machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) type Event = SourceEvent<Text>;

/// What a file has brought.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) id: String,
    /// Every whole line since the start, or since the jump.
    pub(super) lines: Vec<String>,
    pub(super) provisional: bool,
    /// Usage events since the last update.
    pub(super) usage: Vec<Timestamp>,
    pub(super) limits: Vec<Snapshot>,
    /// How many candidates were given, each time.
    pub(super) lineage: Vec<usize>,
}

impl Update for Text {
    fn tells_main_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    fn into_limits(self) -> Vec<Snapshot> {
        self.limits
    }

    fn last_usage(&self) -> Option<Timestamp> {
        self.usage.iter().copied().max()
    }

    fn forget_usage(&mut self, until: Timestamp) {
        self.usage.retain(|at| *at > until);
    }
}

/// How much work the folds of one home had.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Work {
    pub(super) folds: u64,
    pub(super) bytes: u64,
}

static WORK: Mutex<BTreeMap<String, Work>> = Mutex::new(BTreeMap::new());

/// A fold that understands little.
pub(super) struct Lines {
    home: Arc<str>,
    live_since: Timestamp,
    rest: Vec<u8>,
    in_line: bool,
    text: Option<Text>,
    jumped: bool,
    parent: Option<String>,
    suffices: bool,
    caught_up: bool,
    changed: bool,
}

impl Lines {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("meta"), Some(id)) => {
                self.parent = words.next().map(str::to_owned);
                self.text = Some(Text {
                    id: id.to_owned(),
                    lines: Vec::new(),
                    provisional: false,
                    usage: Vec::new(),
                    limits: Vec::new(),
                    lineage: Vec::new(),
                });
            }
            (Some("use"), Some(at)) => {
                let at: Timestamp = at.parse().unwrap();
                self.suffices = true;
                let live = at >= self.live_since;
                self.text.as_mut().unwrap().usage.extend(live.then_some(at));
            }
            (Some("limits"), Some(percent)) => {
                let limits = snapshot(&self.home, percent);
                self.text.as_mut().unwrap().limits.push(limits);
            }
            _ => {}
        }
        self.text.as_mut().unwrap().lines.push(line.to_owned());
        self.changed = true;
    }
}

pub(super) fn snapshot(home: &str, percent: &str) -> Snapshot {
    Snapshot {
        agent: Agent::CODEX,
        home: home.into(),
        family: MAIN_FAMILY.to_owned(),
        name: Some(percent.to_owned()),
        plan: None,
        observed_at: Timestamp::UNIX_EPOCH,
        source_session: None,
        since: None,
        fresh: false,
        fell_at: None,
        first: None,
        refusal: false,
        windows: Vec::new(),
    }
}

impl Fold for Lines {
    type Update = Text;

    fn new(_: Agent, home: Arc<str>, live_since: Timestamp) -> Self {
        WORK.lock().unwrap().entry(home.to_string()).or_default().folds += 1;
        Self {
            home,
            live_since,
            rest: Vec::new(),
            in_line: false,
            text: None,
            jumped: false,
            parent: None,
            suffices: false,
            caught_up: false,
            changed: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        WORK.lock().unwrap().entry(self.home.to_string()).or_default().bytes += bytes.len() as u64;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.len() < 1_000_000 {
                self.rest.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.rest).trim_end().to_owned();
                self.rest.clear();
                if !std::mem::take(&mut self.in_line) {
                    self.line(&line);
                }
            }
        }
    }

    fn end_line(&mut self) -> bool {
        let whole = !self.in_line && self.rest.ends_with(b"}");
        if whole {
            self.push(b"\n");
        }
        whole
    }

    fn unfinished(&self) -> u64 {
        self.rest.len() as u64
    }

    fn jump(&mut self) {
        self.jumped = true;
        self.in_line = true;
        self.suffices = false;
        self.rest.clear();
    }

    fn tail_suffices(&self) -> bool {
        self.suffices
    }

    fn caught_up(&mut self) {
        self.caught_up = true;
    }

    fn lineage_wanted(&self) -> Option<LineageRequest> {
        let answered = self.text.as_ref()?.lineage.iter().any(|count| *count > 0);
        let parent = self.parent.clone().filter(|_| !answered)?;
        Some(LineageRequest { parent, ..LineageRequest::default() })
    }

    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        self.text.as_mut().unwrap().lineage.push(candidates.len());
        self.changed = true;
    }

    fn take_update(&mut self) -> Option<Text> {
        if self.caught_up {
            self.live_since = Timestamp::MIN;
        }
        let text = self.text.as_mut().filter(|_| self.changed)?;
        self.changed = false;
        text.provisional = self.jumped;
        let update = text.clone();
        text.usage.clear();
        text.limits.clear();
        Some(update)
    }

    fn head(&self) -> Option<Head> {
        let id = self.text.as_ref()?.id.clone();
        Some(Head {
            id,
            parent: self.parent.clone(),
            copy: self.parent.is_some(),
            first_line: None,
            subagent: false,
        })
    }
}

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

    pub(super) fn work(&self) -> Work {
        let label = self.home("home").label;
        WORK.lock().unwrap().get(&*label).copied().unwrap_or_default()
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

pub(super) fn set_modified(path: &Path, at: Timestamp) {
    File::options().append(true).open(path).unwrap().set_modified(at.into()).unwrap();
}

/// A running intake and what it says.
pub(super) struct Running {
    pub(super) handle: IntakeHandle,
    events: Receiver<Event>,
}

impl Running {
    /// With room for `room` events: the intake waits when they are not taken.
    pub(super) fn new(config: IntakeConfig, room: usize) -> Self {
        let (sender, events) = sync_channel(room);
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        Self { handle: intake::start::<Lines>(config, sink).unwrap(), events }
    }

    pub(super) fn next(&self) -> Event {
        self.events.recv_timeout(PATIENCE).expect("the intake should have said something")
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

    /// The update that brings the line `last`.
    pub(super) fn until_line(&self, last: &str) -> (FileId, Text, bool) {
        let ends = |event: &Event| matches!(event, Event::Updated { update, .. } if update.lines.last().is_some_and(|line| line == last));
        updated(self.until(ends).pop().unwrap())
    }

    /// Ends the intake; gives what had not been taken.
    pub(super) fn stop(self) -> Vec<Event> {
        let Self { handle, events } = self;
        let left = events.try_iter().collect();
        drop(events);
        assert!(handle.stop());
        left
    }
}

pub(super) fn updated(event: Event) -> (FileId, Text, bool) {
    match event {
        Event::Updated { file, update, standing, .. } => (file, *update, standing == Standing::Restored),
        other => panic!("not an update: {other:?}"),
    }
}
