//! A remote's lines, true or false, and their effect in an engine.

mod life;

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::activity::Activity;
use crate::engine::{Engine, Input, Output};
use crate::event_log::Position;
use crate::publish::Publisher;
use crate::report::{ConfigReport, DaemonReport, Event, EventKind, SessionReport};
use crate::settings::of_text as settings;
use crate::source_event::SourceEvent;
use crate::time::Now;

const START: Timestamp = Timestamp::constant(1_796_000_000, 0);

fn now(second: u64) -> Now {
    let mono = Duration::from_secs(second);
    Now { mono, wall: START.checked_add(mono).unwrap() }
}

/// An engine with one remote, whose clock is off by an offset.
struct Desk {
    engine: Engine,
    link: Link,
    off: SignedDuration,
    second: u64,
    events: Vec<Event>,
}

impl Desk {
    fn new(text: &str) -> Self {
        let devbox = "[[remote]]\nname = \"devbox\"\ncommand = [\"ssh\", \"devbox\"]\n";
        let settings = settings(&format!("{text}\n{devbox}"));
        let publisher = Publisher::new(0, &settings).with_terminal(now(0));
        let engine = Engine::new(settings, TimeZone::UTC, publisher);
        let link = Link::new("devbox", &[], 0);
        let mut desk = Self { engine, link, off: SignedDuration::ZERO, second: 0, events: Vec::new() };
        assert_eq!(desk.link.tick(now(0)), Some(Command::Start(None)));
        desk
    }

    fn connected(text: &str, off: SignedDuration) -> Self {
        let mut desk = Self { off, ..Self::new(text) };
        desk.hello(json!({}));
        desk
    }

    fn hello(&mut self, more: Value) -> Option<Command> {
        let mut hello = json!({"event": "hello", "schema": 1, "version": env!("CARGO_PKG_VERSION"),
            "at": self.there(0), "agents": ["codex"], "stream": "s", "restored": true});
        hello.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.say(&hello)
    }

    /// The time `seconds` from now by the remote's clock.
    fn there(&self, seconds: i64) -> Timestamp {
        let at = now(self.second).wall.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        at.checked_add(self.off).unwrap()
    }

    fn say(&mut self, line: &Value) -> Option<Command> {
        self.raw(line.to_string().as_bytes())
    }

    fn raw(&mut self, line: &[u8]) -> Option<Command> {
        let mut events = Vec::new();
        let command = self.link.line(now(self.second), line, &mut |event| events.push(event));
        self.take(events.into_iter().map(Input::Source));
        command
    }

    fn take(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let now = now(self.second);
        self.engine.handle_all(now, inputs);
        while let Some(output) = self.engine.poll_output(now) {
            match output {
                Output::Event(event) => self.events.push(*event),
                Output::Locate(question) => self.engine.handle(now, Input::Located(question.as_written())),
                _ => {}
            }
        }
    }

    fn at(&mut self, second: u64) -> &mut Self {
        self.second = second;
        self.take([Input::Tick]);
        self
    }

    fn session(&mut self, id: &str, activity: &str, more: Value) {
        let mut session = json!({"id": id, "agent": "codex", "surface": "cli", "project": "app", "model": "m",
            "activity": activity, "started_at": self.there(-600), "last_event_at": self.there(-60),
            "last_usage_at": self.there(-60),
            "home": "/root/.codex", "place": {"cwd": "/srv/app", "timer_from": self.there(-600)}});
        session.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.say(&json!({"event": "session", "at": self.there(0), "session": session}));
    }

    fn usage(&mut self, id: &str, delta: u64, total: u64, restored: bool, seq: u64) {
        let tokens = |input: u64| json!({"input": input, "cached_input": 0, "cache_write": 0, "output": 0, "reasoning": 0});
        let usage = json!({"delta": tokens(delta), "last": tokens(delta), "total": tokens(total)});
        self.say(
            &json!({"event": "usage", "at": self.there(0), "session": id, "agent": "codex", "usage": usage,
            "restored": restored, "seq": seq}),
        );
    }

    fn activity(&mut self, id: &str, activity: &str) -> Option<Command> {
        let at = self.there(0);
        self.say(
            &json!({"event": "activity", "at": at, "session": id, "agent": "codex", "activity": activity}),
        )
    }

    fn alive(&mut self) {
        self.say(&json!({"event": "alive", "at": self.there(0)}));
    }

    fn known(&self) -> Vec<SessionReport> {
        self.engine.status(now(self.second), DaemonReport::not_running(), ConfigReport::default()).sessions
    }

    fn doing(&self) -> Activity {
        self.known()[0].activity
    }

    fn card(&self) -> Option<String> {
        self.engine.card().and_then(|card| Some(card.details()?.to_owned()))
    }

    /// The usage events: what each one added, `None` for restored figures.
    fn usages(&mut self) -> Vec<Option<u64>> {
        let events = std::mem::take(&mut self.events);
        let usage = events.into_iter().filter_map(|event| match event.kind {
            EventKind::Usage(usage) => Some(usage.added().map(|added| added.input)),
            _ => None,
        });
        usage.collect()
    }
}

#[test]
fn a_remote_s_figures_are_used_as_reported_and_announced_once() {
    let mut desk = Desk::connected("[privacy]\nproject = true", SignedDuration::ZERO);
    desk.session("a", "running", json!({}));
    desk.usage("a", 40, 100, true, 7);
    assert_eq!(desk.usages(), [None], "restored stays restored");
    desk.usage("a", 5, 105, false, 8);
    desk.usage("a", 5, 105, true, 8);
    assert_eq!(desk.usages(), [Some(5)], "figures that are known are no news");
    assert_eq!(desk.card().as_deref(), Some("Running a command in app · m"));
    let known = &desk.known()[0];
    assert_eq!(
        (known.host.as_deref(), known.tokens.total, known.restored),
        (Some("devbox"), Some(105), false)
    );
    assert_eq!(desk.link.fold.position(), Some(Position { stream: "s".to_owned(), seq: 8 }));

    // It continues where the reader stopped, or begins with all sessions.
    desk.link.ended(now(0), &Ending::default());
    desk.at(10);
    assert_eq!(desk.link.tick(now(10)), Some(Command::Start(desk.link.fold.position())));
    desk.hello(json!({"restored": false}));
    desk.usage("a", 2, 107, false, 9);
    assert_eq!(desk.usages(), [Some(2)]);
    desk.hello(json!({"stream": "t"}));
    desk.session("a", "waiting", json!({}));
    desk.usage("a", 2, 107, true, 1);
    assert_eq!(desk.usages(), [], "the same figures");
    desk.hello(json!({"stream": "u"}));
    desk.usage("a", 3, 150, true, 1);
    assert_eq!(desk.usages(), [None], "what came in between is in the figures");
    assert_eq!(desk.known().len(), 1);
}

#[test]
fn a_remote_s_times_are_corrected_by_the_clock_difference() {
    for off in [0, 3600, -3600, 90, -90] {
        let mut desk = Desk::connected("", SignedDuration::from_secs(off));
        desk.session("a", "thinking", json!({}));
        let resets = desk.there(3600);
        desk.say(&json!({"event": "limits", "at": desk.there(0), "agent": "codex", "home": "/root/.codex",
            "family": "codex", "observed_at": desk.there(-120), "stale": false, "windows": [{"label": "5h",
            "minutes": 300, "used_percent": 36.0, "remaining_percent": 64, "resets_at": resets, "state": "current"}]}));
        let here = |seconds: i64| now(0).wall.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        let known = &desk.known()[0];
        let times = (known.started_at, known.last_event_at, known.last_usage_at);
        assert_eq!(times, (Some(here(-600)), Some(here(-60)), Some(here(-60))), "{off}");
        assert_eq!(desk.engine.card().unwrap().started_at(), here(-600), "{off}");
        let limits = &desk.engine.limits_report(now(0))[0];
        assert_eq!((limits.host.as_deref(), limits.home.as_str()), (Some("devbox"), "/root/.codex"));
        assert_eq!((limits.observed_at, limits.stale), (here(-120), false), "{off}");
        assert_eq!(limits.windows[0].resets_at, Some(here(3600)), "{off}");
        assert!(desk.engine.card().unwrap().state().unwrap().starts_with("5h 64%"), "its own home's");
        desk.at(20).usage("a", 1, 1, false, 1);
        assert_eq!(desk.known()[0].last_usage_at, Some(now(20).wall), "{off}");
    }
}

#[test]
fn a_session_has_the_reported_activity_until_the_remote_is_silent() {
    let mut desk = Desk::connected("", SignedDuration::ZERO);
    desk.session("a", "running", json!({}));
    for activity in ["thinking", "editing", "limit_reached", "delegating", "waiting", "running"] {
        desk.activity("a", activity);
        assert_eq!(desk.doing().word(), activity);
    }
    // A tool may be silent for hours while the remote is heard.
    for minute in 1..120 {
        desk.at(minute * 60).alive();
    }
    assert_eq!(desk.doing(), Activity::Running);
    let lost = now(120 * 60);
    assert_eq!(desk.at(119 * 60 + 150).link.tick(now(119 * 60 + 150)), Some(Command::Stop));
    assert_eq!(desk.link.report().state, RemoteState::Waiting);
    assert_eq!(desk.at(120 * 60).doing(), Activity::Running, "{lost:?}");
    assert_eq!(desk.at(119 * 60 + 30 * 60).doing(), Activity::Waiting, "as one whose file rests");
    assert_eq!(desk.at(119 * 60 + 45 * 60).doing(), Activity::Idle);
    assert_eq!(desk.card(), None);
}

#[test]
fn a_session_that_the_remote_no_longer_names_ends() {
    let mut desk = Desk::connected("", SignedDuration::ZERO);
    desk.session("a", "running", json!({}));
    desk.session("b", "running", json!({}));
    desk.hello(json!({"stream": "other"}));
    desk.session("b", "running", json!({}));
    assert_eq!(desk.known().iter().filter(|known| known.activity == Activity::Idle).count(), 0);
    desk.alive();
    let idle: Vec<String> = desk
        .known()
        .into_iter()
        .filter(|known| known.activity == Activity::Idle)
        .map(|known| known.id)
        .collect();
    assert_eq!(idle, ["a"]);
    desk.say(&json!({"event": "session", "at": desk.there(0), "ended": true, "session": {"id": "b", "agent": "codex",
        "activity": "idle"}}));
    assert_eq!(desk.card(), None);
}

#[test]
fn privacy_rules_apply_to_folders_on_remotes() {
    let rule = |path: &str| format!("[[privacy.rule]]\npath = \"{path}\"\nshow = \"hide\"");
    for (path, hides) in
        [("devbox:/srv/app/**", true), ("/srv/app", true), ("devbox:/srv/other", false), ("/home", false)]
    {
        let mut desk = Desk::connected(&rule(path), SignedDuration::ZERO);
        desk.session("a", "running", json!({}));
        assert_eq!(desk.card().is_none(), hides, "{path}");
        // Without a folder every rule that hides applies.
        desk.session("b", "running", json!({"place": null}));
        desk.session("a", "idle", json!({}));
        assert_eq!(desk.card(), None, "{path}");
    }
}

#[test]
fn helpers_and_reviews_of_a_remote_are_on_no_card() {
    let mut desk = Desk::connected("", SignedDuration::ZERO);
    desk.session("a", "waiting", json!({}));
    desk.session("b", "running", json!({"parent": "a"}));
    desk.session("c", "running", json!({"visible": false}));
    assert_eq!(desk.card().as_deref(), Some("Waiting for input · m"));
    let waiting = desk.known().into_iter().find(|known| known.id == "a").unwrap();
    assert_eq!(waiting.activity, Activity::Waiting);
}

#[test]
fn a_remote_with_false_lines_does_no_harm() {
    let mut desk = Desk::connected("", SignedDuration::ZERO);
    for number in 0..2000 {
        desk.session(&format!("s{number}"), "running", json!({}));
    }
    let active = desk.known().into_iter().filter(|known| known.activity != Activity::Idle).count();
    assert!(active <= fold::SESSIONS && desk.known().len() <= fold::SESSIONS + 100, "{active}");
    let before = desk.known().len();
    let long = "x".repeat(300);
    for session in [
        json!({"id": "", "agent": "codex", "activity": "running"}),
        json!({"id": "\u{1b}[2J", "agent": "codex", "activity": "running"}),
        json!({"id": long, "agent": "codex", "activity": "running"}),
        json!({"id": "x", "agent": "codex", "activity": "running", "model": long}),
        json!({"id": "x", "agent": "codex", "activity": "running", "place": {"been": vec!["/a"; 100]}}),
        json!({"id": "x", "agent": "of tomorrow", "activity": "running"}),
        json!({"id": "x", "agent": "codex", "host": "elsewhere", "activity": "running"}),
    ] {
        desk.say(&json!({"event": "session", "at": START, "session": session}));
    }
    assert_eq!(desk.known().len(), before);

    desk.usage("s1999", 5, 100, false, 1);
    desk.events.clear();
    desk.usage("s1999", 5, 50, false, 2);
    assert_eq!(desk.usages(), [None], "no event lowers a total");
    assert!(desk.link.report().last_error.unwrap().contains("total fell"));
    let command = (0..1000).find_map(|_| desk.raw(b"{\"event\":1}"));
    assert_eq!(command, Some(Command::Stop));
    let report = desk.link.report();
    assert_eq!(
        (report.state, report.last_error.unwrap().as_str()),
        (RemoteState::Waiting, "its lines cannot be read")
    );
}

#[test]
fn the_next_daemon_continues_with_the_reported_state() {
    let mut first = Desk::connected("", SignedDuration::from_secs(3600));
    first.session("a", "running", json!({}));
    first.usage("a", 40, 100, false, 7);
    assert_eq!(first.usages(), [Some(40)]);
    let left = serde_json::to_vec(&first.link.fold.leave()).unwrap();
    let mut next = Desk::new("");
    next.off = first.off;
    next.engine.inherit(&first.engine.progress(), &[], None);
    let mut events = Vec::new();
    next.link.fold.resume(serde_json::from_slice(&left).unwrap(), &mut |event| events.push(event));
    next.take(events.into_iter().map(Input::Source));
    assert!(next.events.iter().all(|event| matches!(event.kind, EventKind::Status)), "{:?}", next.events);
    next.take([Input::Source(SourceEvent::CaughtUp)]);
    assert_eq!((next.known()[0].tokens.total, next.doing()), (Some(100), Activity::Running));
    next.hello(json!({"restored": false}));
    next.usage("a", 2, 102, false, 8);
    assert_eq!(next.usages(), [Some(2)]);
    assert_eq!(next.known()[0].started_at, first.known()[0].started_at);
}
