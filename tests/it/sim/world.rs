//! A machine with session files, for scripts: [`Machine`] plays it, and what happens on it is written down here.
//!
//! No clock is read and no file opened. After every step of a script the invariants are checked.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use agent_presence::core::card::Card;
use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::engine::{Engine, Input, Output};
use agent_presence::core::file::{RowReader, SessionFile};
use agent_presence::core::limits::main_family;
use agent_presence::core::publish::{Endpoint, LinkCommand, Payload};
use agent_presence::core::register::{OpenSession, Register, Status};
use agent_presence::core::report::{Event, EventKind, LimitsReport};
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::usage::Triplet;
use jiff::tz::TimeZone;

use super::claude::Claude;
use super::codex::{About, Codex};
use super::copilot::Copilot;
use super::rows::Rows;
use crate::made_up::Talk;
use crate::world::discords::Welcome;
use crate::world::machine::{Machine, Outcome};

/// Files silent for longer are not followed.
const LIVE_FOR: Duration = Duration::from_secs(24 * 3600);

/// One session file and its writer.
#[derive(Debug)]
pub(crate) struct File {
    /// Its writer; for another one, who the session is.
    pub(crate) codex: Codex,
    /// Its writer, where that is Claude Code.
    pub(crate) claude: Option<Claude>,
    /// The same of Copilot CLI.
    pub(crate) copilot: Option<Copilot>,
    /// Its writer, where that is the made-up agent, which writes pages.
    pub(crate) talk: Option<Talk>,
    pub(crate) rows: Rows,
    pub(crate) agent: Agent,
    pub(crate) home: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) model: String,
    /// Where lines begin.
    lines: Vec<usize>,
    modified: Duration,
    /// Whether only its ends are read at first.
    pub(crate) large: bool,
    followed: Option<Followed>,
}

#[derive(Debug)]
struct Followed {
    id: FileId,
    fold: SessionFile,
}

pub(crate) struct World {
    machine: Machine,
    pub(crate) files: BTreeMap<String, File>,
    next_file: u64,
    trace: Vec<String>,
    /// Whether hover texts are written down as well.
    pub(crate) hover: bool,
}

impl Deref for World {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

impl World {
    pub(crate) fn new(is_terminal: bool) -> Self {
        let machine = Machine::new(is_terminal, &[]);
        Self { machine, files: BTreeMap::new(), next_file: 0, trace: Vec::new(), hover: false }
    }

    // What the user, the machine and Discord do.

    /// Sets one key of the settings file.
    pub(crate) fn set(&mut self, assignment: &str) {
        let effective = Effective::read(assignment, &ConfigContext::default());
        assert_eq!(effective.issues, [], "{assignment}");
        self.machine.set(assignment);
    }

    pub(crate) fn start_daemon(&mut self) {
        self.start(None);
        for name in self.files.keys().cloned().collect::<Vec<_>>() {
            self.look_first(&name);
        }
        self.caught_up(|discord| discord.welcome != Welcome::Down);
    }

    /// The daemon's process is gone; what it kept on disk is not.
    pub(crate) fn kill_daemon(&mut self) {
        self.kill();
        for file in self.files.values_mut() {
            file.followed = None;
        }
    }

    pub(crate) fn discord(&mut self, name: &str, welcome: Welcome) {
        let endpoint = Endpoint(name.to_owned());
        let is_known = self.discords.all.contains_key(&endpoint);
        let was_there = is_known && self.discords.at(&endpoint).welcome != Welcome::Down;
        let noticed: fn(Endpoint) -> Input = match welcome {
            Welcome::Down => Input::Vanished,
            _ => |endpoint| Input::Found(endpoint, "Discord".to_owned()),
        };
        let is_noticed = welcome == Welcome::Down || !was_there;
        self.welcome(name, welcome, is_noticed.then_some(noticed));
    }

    // Session files.

    /// Appends to a session file; the daemon hears of it at once.
    pub(crate) fn append(&mut self, name: &str, line: &str) {
        let file = self.files.get_mut(name).unwrap();
        file.lines.push(file.bytes.len());
        file.bytes.extend_from_slice(line.as_bytes());
        self.written(name, |_, fold| fold.push(line.as_bytes()));
    }

    /// Writes a page of a talk; the daemon hears of it at once.
    pub(crate) fn write_page(&mut self, name: &str, page: &str, text: &str) {
        self.written(name, |_, fold| fold.replace(page, text.as_bytes()));
    }

    /// A row of a session in a database was written; the daemon hears of it at once.
    pub(crate) fn row_written(&mut self, name: &str) {
        self.written(name, |rows, fold| rows.newest(name, fold));
    }

    fn written(&mut self, name: &str, tell: impl FnOnce(&Rows, &mut SessionFile)) {
        let elapsed = self.elapsed;
        let file = self.files.get_mut(name).unwrap();
        let About { id, cwd, .. } = file.codex.about.clone();
        self.machine.folders.insert(id, cwd);
        file.modified = elapsed;
        if self.machine.engine().is_none() {
            return;
        }
        let Some(followed) = &mut file.followed else { return self.look_first(name) };
        tell(&file.rows, &mut followed.fold);
        self.announce(name);
    }

    pub(crate) fn create(&mut self, name: &str, codex: Codex, home: &str, model: &str) {
        let file = File {
            codex,
            claude: None,
            copilot: None,
            talk: None,
            rows: Rows::default(),
            agent: Agent::CODEX,
            home: home.to_owned(),
            bytes: Vec::new(),
            model: model.to_owned(),
            lines: Vec::new(),
            modified: self.elapsed,
            large: false,
            followed: None,
        };
        self.files.insert(name.to_owned(), file);
    }

    pub(crate) fn delete(&mut self, name: &str) {
        if let Some(Followed { id, .. }) = self.files.remove(name).and_then(|file| file.followed) {
            self.input(Input::Source(SourceEvent::Gone { file: id }));
            self.forget(|session| session == name);
            self.folders.remove(name);
        }
    }

    /// The exact count of a large file is done and takes the place of what its ends told.
    pub(crate) fn counted(&mut self, name: &str) {
        let live_since = self.live_since;
        let file = self.files.get_mut(name).unwrap();
        let mut fold = SessionFile::new(file.agent, file.home.as_str().into(), live_since);
        fold.push(&file.bytes);
        let followed = file.followed.as_mut().unwrap();
        followed.fold = fold;
        self.announce(name);
    }

    /// Claude Code's register says something: `gone`, `nobody`, or who is open and what they do, `NAME=waiting`; `NAME=left`
    /// was killed. `NAME@PROCESS` is a session of a process that has or had another one open.
    ///
    /// Codex's app server says the same of its threads, which are no processes' own.
    pub(crate) fn register(&mut self, agent: Agent, words: &str) {
        let now = self.now().wall;
        let mut register = Register::default();
        for (name, status) in words.split_whitespace().filter_map(|word| word.split_once('=')) {
            let (session, process) = name.split_once('@').unwrap_or((name, name));
            let process = process.bytes().fold(0, |sum, byte| sum * 31 + u32::from(byte));
            let process = (agent == Agent::CLAUDE).then_some(process);
            let status = match status {
                "left" => {
                    register.left.insert(session.to_owned());
                    continue;
                }
                "open" => None,
                "busy" => Some(Status::Busy),
                "idle" => Some(Status::Idle),
                "waiting" => Some(Status::Waiting),
                _ => panic!("not understood: {words}"),
            };
            register.open.insert(session.to_owned(), OpenSession { status, since: Some(now), process });
        }
        register.empty_since = (agent == Agent::CLAUDE && register.open.is_empty()).then_some(now);
        let register = (words != "gone").then_some(register);
        self.input(Input::Source(SourceEvent::Register {
            home: format!("~/.{}", agent.word()).into(),
            register,
        }));
    }

    fn look_first(&mut self, name: &str) {
        let (elapsed, live_since, id) = (self.elapsed, self.live_since, FileId::new(self.next_file));
        self.next_file += 1;
        let file = self.files.get_mut(name).unwrap();
        let mut fold = SessionFile::new(file.agent, file.home.as_str().into(), live_since);
        if let Some(talk) = &file.talk {
            talk.pages().for_each(|(page, text)| fold.replace(&page, text.as_bytes()));
        } else if file.agent == Agent::OPENCODE {
            file.rows.all(name, &mut fold);
        } else if file.large {
            let head = file.lines.get(1).copied().unwrap();
            let tail = file.lines[file.lines.len().saturating_sub(4).max(1)];
            fold.push(&file.bytes[..head]);
            fold.jump();
            fold.push(&file.bytes[tail - 1..]);
        } else {
            fold.push(&file.bytes);
        }
        fold.caught_up();
        if elapsed.saturating_sub(file.modified) > LIVE_FOR {
            let limits = fold.take_update().map(|update| update.limits).unwrap_or_default();
            for snapshot in limits.into_iter().filter(|limits| limits.family == main_family(Agent::CODEX)) {
                self.input(Input::Source(SourceEvent::limits(snapshot)));
            }
            return;
        }
        file.followed = Some(Followed { id, fold });
        self.announce(name);
    }

    fn announce(&mut self, name: &str) {
        let Some(followed) = &mut self.files.get_mut(name).unwrap().followed else { return };
        followed.fold.caught_up();
        if let Some(wanted) = followed.fold.lineage_wanted() {
            let parent = self.files.values().find(|file| file.codex.about.id == wanted.parent);
            let rows = parent.map(|parent| {
                let mut reader = RowReader::new(Agent::CODEX);
                reader.push(&parent.bytes);
                reader.finish()
            });
            let followed = self.files.get_mut(name).unwrap().followed.as_mut().unwrap();
            followed.fold.set_lineage(rows.as_slice());
        }
        let Some(followed) = &mut self.files.get_mut(name).unwrap().followed else { return };
        let Some(update) = followed.fold.take_update() else { return };
        let id = followed.id;
        self.read(id, update);
    }

    // What is written down.

    /// Everything that has happened, and what it was checked for.
    pub(crate) fn trace(&mut self) -> &[String] {
        self.flush();
        for Outcome { at, output, is_again } in std::mem::take(&mut self.outcomes) {
            let text = match &output {
                Output::Link(command) => Some(self.frame(command, is_again)),
                Output::Event(event) => told(event),
                Output::Notice(notice) => Some(format!("log  {notice}")),
                _ => None,
            };
            self.trace.extend(text.map(|text| line(at, &text)));
        }
        &self.trace
    }

    fn note(&mut self, text: &str) {
        self.trace();
        let at = self.elapsed;
        self.trace.push(line(at, text));
    }

    fn frame(&self, command: &LinkCommand, is_again: bool) -> String {
        match command {
            LinkCommand::Connect { endpoint, .. } => format!("{} connect", endpoint.0),
            LinkCommand::Disconnect { endpoint } => format!("{} disconnect", endpoint.0),
            LinkCommand::Send { endpoint, payload, .. } => {
                let text = match payload {
                    Payload::Clear => "no card".to_owned(),
                    Payload::Card(_) | Payload::Reduced(_) if is_again => "same card".to_owned(),
                    Payload::Card(card) | Payload::Reduced(card) => self.describe(card),
                };
                let is_terminal = *endpoint == Endpoint::terminal();
                if is_terminal { text } else { format!("{} {text}", endpoint.0) }
            }
        }
    }

    fn describe(&self, card: &Card) -> String {
        let lines: Vec<&str> = [card.details(), card.state()].into_iter().flatten().collect();
        let since = card.started_at().to_zoned(TimeZone::UTC).strftime("%H:%M:%S");
        let hover = card.large_text().filter(|_| self.hover).map(|text| format!(" // {text}"));
        let name = if card.agent() == Agent::CODEX { String::new() } else { format!("({}) ", card.name()) };
        format!("card {name}{} // since {since}{}", lines.join(" // "), hover.unwrap_or_default())
    }

    pub(crate) fn report(&mut self) {
        self.flush();
        let now = self.now();
        let engine = self.engine().unwrap();
        let mut lines = Vec::new();
        for session in engine.sessions_report(now) {
            let mark = if session.shown { " shown" } else { "" };
            let restored = if session.restored { " restored" } else { "" };
            let about = if session.counting { " counting" } else { "" };
            let (id, activity) = (&session.id, session.activity.word());
            lines.push(format!("status {id} {activity} {}{mark}{restored}{about}", triplet(session.tokens)));
        }
        lines.extend(
            engine.limits_report(now).iter().map(|limits| format!("status limits {}", limits_text(limits))),
        );
        for line in lines {
            self.note(&line);
        }
    }

    pub(crate) fn next(&mut self) {
        self.flush();
        let next = self.engine().and_then(Engine::poll_deadline);
        let next = next.map(|(at, timer)| format!("{} ({timer})", offset(self.at(at))));
        let wakeups = std::mem::take(&mut self.wakeups);
        self.note(&format!("next {}; {wakeups} wake-ups so far", next.as_deref().unwrap_or("nothing")));
    }
}

fn told(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Usage(usage) => {
            let mark = if usage.restored { " (restored)" } else { "" };
            Some(format!("{} tokens {}{mark}", usage.session, triplet(usage.tokens)))
        }
        EventKind::Activity { session, activity, .. } => Some(format!("{session} is {}", activity.word())),
        EventKind::Session { ended, session } => {
            let what = if *ended { "ends" } else { "appears" };
            Some(format!("{} {what} {}", session.id, triplet(session.tokens)))
        }
        EventKind::Limits(limits) => Some(format!("limits {}", limits_text(limits))),
        EventKind::Status | EventKind::About { .. } | EventKind::Card { .. } => None,
    }
}

fn triplet(tokens: Triplet) -> String {
    let figure = |figure: Option<u64>| figure.map_or("–".to_owned(), |figure| figure.to_string());
    format!("+{} | {} | {}", figure(tokens.delta), figure(tokens.last), figure(tokens.total))
}

fn limits_text(limits: &LimitsReport) -> String {
    let windows = limits.windows.iter().map(|window| {
        let left = window.remaining_percent.map_or("reset".to_owned(), |left| format!("{left}% left"));
        let capped = window.capped_by.as_ref().map(|by| format!(" capped by {by}")).unwrap_or_default();
        format!("{} {left}{capped}", window.label)
    });
    let is_main = limits.family == main_family(Agent::CODEX);
    let family = if is_main { String::new() } else { format!("{} ", limits.family) };
    let stale = if limits.stale { ", stale" } else { "" };
    format!("{family}{}{stale}", windows.collect::<Vec<_>>().join(" · "))
}

fn line(at: Duration, text: &str) -> String {
    format!("{:<12} {text}", offset(at))
}

/// `1:02:03.500`
pub(crate) fn offset(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    let text = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if millis == 0 { text } else { format!("{text}.{millis:03}") }
}
