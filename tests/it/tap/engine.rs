//! A session of which there is a stream as well as a file is counted once, in whichever order they come.

use std::time::Duration;

use agent_presence::control::tap::Tapped;
use agent_presence::core::engine::{Engine, Input, Output};
use agent_presence::core::file::{FileUpdate, SessionFile, Stream};
use agent_presence::core::publish::Publisher;
use agent_presence::core::report::EventKind;
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::time::Now;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

const STREAM: u64 = 1;
const FILE: u64 = 1;

fn wall() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn now() -> Now {
    Now { mono: Duration::from_secs(100), wall: wall() }
}

/// An engine, and what it told since it was asked last: usage as deltas, sessions as `+id` and `-id`.
struct World {
    engine: Engine,
    now: Now,
}

impl World {
    fn new() -> Self {
        let settings = Settings::default();
        let publisher = Publisher::new(1, &settings).with_terminal(now());
        Self { engine: Engine::new(settings, TimeZone::UTC, publisher), now: now() }
    }

    fn handle(&mut self, event: SourceEvent) -> Vec<String> {
        self.engine.handle(self.now, Input::Source(event));
        let mut told = Vec::new();
        while let Some(output) = self.engine.poll_output(self.now) {
            let Output::Event(event) = output else { continue };
            match event.kind {
                EventKind::Usage(usage) if usage.restored => told.push("restored".to_owned()),
                EventKind::Usage(usage) => told.push(usage.tokens.delta.unwrap().to_string()),
                EventKind::Session { ended, .. } => told.push(if ended { "-" } else { "+" }.to_owned()),
                _ => {}
            }
        }
        told
    }

    /// What a stream brings, as it goes through the control channel.
    fn tapped(&mut self, stream: &mut Stream) -> Vec<String> {
        let mut told = Vec::new();
        for update in stream.take_updates() {
            let line = serde_json::to_vec(&Tapped::from(update)).unwrap();
            let update = Box::new(Tapped::parse(&line, wall()).unwrap().into_update("home".into()));
            told.extend(self.handle(SourceEvent::Updated {
                file: FileId::stream(STREAM),
                update,
                read: None,
            }));
        }
        told
    }

    fn file(&mut self, file: &mut SessionFile) -> Vec<String> {
        if file.lineage_wanted().is_some() {
            file.set_lineage(&[]);
        }
        let update: Option<FileUpdate> = file.take_update();
        let update = Box::new(update.unwrap());
        self.handle(SourceEvent::Updated { file: FileId::new(FILE), update, read: None })
    }

    fn ended(&mut self) -> Vec<String> {
        self.handle(SourceEvent::Gone { file: FileId::stream(STREAM) })
    }

    fn sessions(&self) -> Vec<(String, Option<u64>)> {
        let sessions = self.engine.sessions_report(self.now).into_iter();
        sessions.map(|session| (session.activity.word().to_owned(), session.tokens.total)).collect()
    }
}

fn stream() -> Stream {
    Stream::new(None, "unnamed".to_owned(), None)
}

fn say(stream: &mut Stream, line: &Value) {
    stream.push(format!("{line}\n").as_bytes(), wall());
}

fn write(file: &mut SessionFile, line: &Value) {
    file.push(format!("{line}\n").as_bytes());
}

fn claude_file() -> SessionFile {
    SessionFile::new(Agent::CLAUDE, "home".into(), wall())
}

/// A message, as the stream and as the file tell it; an eleventh of the cost is output.
fn message(id: &str, blended: u64) -> Value {
    json!({
        "type": "assistant", "session_id": "s", "sessionId": "s", "uuid": id, "timestamp": wall(),
        "message": {
            "id": id, "model": "claude-opus-5", "content": [{"type": "text", "text": ""}], "stop_reason": "end_turn",
            "usage": {"input_tokens": blended - 1, "output_tokens": 1},
        },
    })
}

#[test]
fn a_stream_is_a_session_until_it_ends_and_is_remembered_then() {
    let (mut world, mut stream) = (World::new(), stream());
    say(&mut stream, &message("m1", 100));
    assert_eq!(world.tapped(&mut stream), ["+", "100"]);
    say(&mut stream, &message("m2", 50));
    assert_eq!(world.tapped(&mut stream), ["50"]);
    assert_eq!(world.sessions(), [("thinking".to_owned(), Some(150))]);
    assert!(world.engine.card().is_some());

    assert_eq!(world.ended(), ["-"]);
    assert_eq!(world.sessions(), [("idle".to_owned(), Some(150))]);
    assert!(world.engine.card().is_none(), "no session is at work any more");
    assert_eq!(world.engine.poll_deadline(), None);

    world.now.wall = world.now.wall.checked_add(Duration::from_secs(25 * 3600)).unwrap();
    world.engine.handle(world.now, Input::Tick);
    assert_eq!(world.sessions(), []);
}

#[test]
fn while_a_file_is_followed_its_stream_adds_nothing() {
    let (mut world, mut stream, mut file) = (World::new(), stream(), claude_file());
    write(&mut file, &message("m1", 100));
    assert_eq!(world.file(&mut file), ["+", "100"]);
    say(&mut stream, &message("m1", 100));
    say(&mut stream, &message("m2", 50));
    assert_eq!(world.tapped(&mut stream), [""; 0]);
    write(&mut file, &message("m2", 50));
    assert_eq!(world.file(&mut file), ["50"]);
    assert_eq!(world.ended(), [""; 0]);
    assert_eq!(world.sessions(), [("waiting".to_owned(), Some(150))]);
}

#[test]
fn a_file_that_appears_takes_the_place_of_its_stream_silently() {
    let (mut world, mut stream, mut file) = (World::new(), stream(), claude_file());
    say(&mut stream, &message("m1", 100));
    say(&mut stream, &message("m2", 50));
    assert_eq!(world.tapped(&mut stream), ["+", "100", "50"]);

    // The file comes after, and piece by piece.
    write(&mut file, &message("m1", 100));
    assert_eq!(world.file(&mut file), [""; 0]);
    say(&mut stream, &message("m3", 7));
    assert_eq!(world.tapped(&mut stream), [""; 0], "it is the file's to tell");
    write(&mut file, &message("m2", 50));
    write(&mut file, &message("m3", 7));
    assert_eq!(world.file(&mut file), ["7"]);
    assert_eq!(world.ended(), [""; 0]);
    assert_eq!(world.sessions().len(), 1);
    assert_eq!(world.sessions()[0].1, Some(157));
}

#[test]
fn lines_of_a_file_beyond_its_stream_are_news() {
    let (mut world, mut stream, mut file) = (World::new(), stream(), claude_file());
    say(&mut stream, &message("m1", 100));
    assert_eq!(world.tapped(&mut stream), ["+", "100"]);
    // The file knows more of the same message, and of another one.
    write(&mut file, &message("m1", 130));
    write(&mut file, &message("m2", 20));
    assert_eq!(world.file(&mut file), ["30", "20"]);
}

#[test]
fn a_resumed_claude_stream_counts_from_the_resume_on() {
    let (mut world, mut stream, mut file) = (World::new(), stream(), claude_file());
    say(&mut stream, &message("m9", 40));
    assert_eq!(world.tapped(&mut stream), ["+", "40"]);
    // An old file, which is followed again because it grows.
    let mut old = message("m1", 1_000);
    old["timestamp"] = json!("2020-01-01T00:00:00Z");
    write(&mut file, &old);
    write(&mut file, &message("m9", 40));
    write(&mut file, &message("m10", 5));
    assert_eq!(world.file(&mut file), ["5"]);
    assert_eq!(world.sessions()[0].1, Some(1_045));
}

#[test]
fn later_lines_of_a_file_are_news_though_the_stream_had_more() {
    let (mut world, mut stream, mut file) = (World::new(), stream(), claude_file());
    say(&mut stream, &message("m1", 100));
    let usage = json!({"input_tokens": 99, "output_tokens": 1});
    let models = json!({"claude-opus-5": {"inputTokens": 99, "outputTokens": 1}, "claude-haiku-4-5": {"inputTokens": 900}});
    let result = json!({"type": "result", "session_id": "s", "usage": usage, "modelUsage": models});
    say(&mut stream, &result);
    assert_eq!(world.tapped(&mut stream), ["+", "100", "900"]);

    // What helpers used is in files of their own.
    write(&mut file, &message("m1", 100));
    assert_eq!(world.file(&mut file), [""; 0]);
    assert_eq!(world.sessions()[0].1, Some(100));
    world.now.wall = world.now.wall.checked_add(Duration::from_secs(60)).unwrap();
    let mut later = message("m2", 30);
    later["timestamp"] = json!(world.now.wall);
    write(&mut file, &later);
    assert_eq!(world.file(&mut file), ["30"]);
}

#[test]
fn a_thread_of_codex_is_counted_once() {
    let (mut world, mut stream) = (World::new(), stream());
    say(&mut stream, &json!({"type": "thread.started", "thread_id": "t"}));
    let usage = json!({"input_tokens": 1_000, "output_tokens": 100});
    say(&mut stream, &json!({"type": "turn.completed", "usage": usage}));
    assert_eq!(world.tapped(&mut stream), ["+", "1100"]);
    assert_eq!(world.ended(), ["-"]);

    let mut file = SessionFile::new(Agent::CODEX, "home".into(), wall());
    let line = |kind: &str, payload: Value| json!({"timestamp": wall(), "type": kind, "payload": payload});
    write(&mut file, &line("session_meta", json!({"id": "t", "timestamp": wall(), "source": "exec"})));
    for [input, output] in [[400, 40], [1_000, 100], [1_500, 150]] {
        let total = json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output});
        let info = json!({"total_token_usage": total});
        write(&mut file, &line("event_msg", json!({"type": "token_count", "info": info})));
    }
    assert_eq!(world.file(&mut file), ["+", "550"]);
    assert_eq!(world.sessions().len(), 1);
}

#[test]
fn a_session_without_numbers_ends_without_them() {
    let (mut world, mut stream) = (World::new(), stream());
    say(&mut stream, &json!({"type": "thread.started", "thread_id": "t"}));
    assert_eq!(world.tapped(&mut stream), ["+"]);
    assert_eq!(world.ended(), ["-"]);
    assert_eq!(world.sessions(), [("idle".to_owned(), None)]);
}

#[test]
fn streams_that_end_are_remembered_in_bounds() {
    let mut world = World::new();
    for number in 0..300 {
        let mut stream = stream();
        say(&mut stream, &json!({"type": "thread.started", "thread_id": format!("t{number}")}));
        let file = FileId::stream(number);
        for update in stream.take_updates() {
            world.handle(SourceEvent::Updated { file, update: Box::new(update), read: None });
        }
        world.handle(SourceEvent::Gone { file });
    }
    assert_eq!(world.sessions().len(), 100);
}

#[test]
fn noise_in_a_stream_is_no_update() {
    let good = json!({"agent": "codex", "session": "s"});
    let parse = |line: &Value| Tapped::parse(line.to_string().as_bytes(), wall());
    assert!(parse(&good).is_some());
    let event = json!({"at": "2026-01-01T00:00:00Z", "turn": null, "usage": {"delta": null, "last": null, "total": null}, "added": null, "call": null});
    for (field, value) in [
        ("agent", json!("emacs")),
        ("session", json!("")),
        ("session", json!("a\nb")),
        ("session", json!("é")),
        ("session", json!("x".repeat(300))),
        ("session", json!(1)),
        ("model", json!("x".repeat(300))),
        ("model", json!("a\u{1b}[2J")),
        ("turn", json!("a\u{0}")),
        ("cwd", json!("/".repeat(5000))),
        ("usage", json!({"delta": null, "last": null, "total": {"input": -1}})),
        ("events", json!(vec![event.clone(); 65])),
        ("events", json!([1])),
        ("last_event_at", json!("tomorrow")),
    ] {
        let mut bad = good.clone();
        bad[field] = value.clone();
        assert!(parse(&bad).is_none(), "{field}: {value}");
    }
    let mut late = good;
    late["last_event_at"] = json!("9999-01-01T00:00:00Z");
    late["events"] = json!([event]);
    late["events"][0]["at"] = json!("9999-01-01T00:00:00Z");
    let late = parse(&late).unwrap();
    assert_eq!((late.last_event_at, late.events[0].at), (Some(wall()), wall()));
}
