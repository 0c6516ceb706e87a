//! Gemini CLI alone: sessions in several files, of both eras, that vanish.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agent_presence::cmd::replay::replay;
use agent_presence::core::engine::{Engine, Output};
use agent_presence::core::publish::Publisher;
use agent_presence::core::report::{ConfigReport, DaemonReport, EventKind, SessionReport};
use agent_presence::core::settings::{PrivacyRule, Settings, Show};
use agent_presence::core::source::Agent;
use agent_presence::host::Host;
use agent_presence::host::inputs::Inputs;
use agent_presence::host::statusline::StateAccess;
use agent_presence::io::clock;
use agent_presence::io::paths::Environment;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::claude::totals_of_replay;

const ID: &str = "55555555-5555-4555-8555-555555555555";

/// What a session has written, second by second.
struct Writer {
    begun: Timestamp,
}

impl Writer {
    fn at(&self, second: i64) -> String {
        (self.begun + SignedDuration::from_secs(second)).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    fn header(&self, second: i64) -> Value {
        let at = self.at(second);
        json!({"sessionId": ID, "projectHash": "p", "startTime": at, "lastUpdated": at, "kind": "main"})
    }

    fn prompt(&self, second: i64, id: &str) -> Value {
        json!({"id": id, "timestamp": self.at(second), "type": "user", "content": [{"text": "MARKER-SECRET"}]})
    }

    /// An answer of so many tokens, all of them input that was not cached and output.
    fn answer(&self, second: i64, id: &str, input: u64, output: u64) -> Value {
        let tokens = json!({"input": input + 50, "cached": 50, "output": output, "thoughts": 0, "tool": 0});
        json!({"id": id, "timestamp": self.at(second), "type": "gemini", "content": "MARKER-SECRET", "tokens": tokens})
    }

    fn repeated(&self, second: i64, messages: &[Value]) -> Value {
        json!({"$set": {"messages": messages, "lastUpdated": self.at(second)}})
    }

    /// All of it as one document, as the first era writes it.
    fn document(&self, messages: &[Value]) -> Value {
        let mut document = self.header(0);
        document["messages"] = json!(messages);
        document
    }
}

fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A home with one project's folder.
fn chats(home: &Path) -> PathBuf {
    let chats = home.join(".gemini/tmp/shop/chats");
    fs::create_dir_all(&chats).unwrap();
    chats
}

/// 60, then 40 more when it is written again, and 15: 115.
fn two_files(writer: &Writer) -> [String; 2] {
    let told = [writer.prompt(1, "u1"), writer.answer(3, "g1", 50, 10)];
    let again = [told[0].clone(), writer.answer(3, "g1", 50, 50)];
    let first = [&[writer.header(0)][..], &told].concat();
    let second = [writer.header(120), writer.repeated(120, &again), writer.prompt(121, "u2")];
    let second = [&second[..], &[writer.answer(123, "g2", 10, 5)]].concat();
    [lines(&first), lines(&second)]
}

#[test]
fn the_files_of_a_session_are_one_whichever_is_first() {
    let writer = Writer { begun: "2026-06-11T10:00:00Z".parse().unwrap() };
    let files = two_files(&writer);
    for order in [[0, 1], [1, 0]] {
        let home = tempfile::tempdir().unwrap();
        let chats = chats(home.path());
        for (minute, file) in order.into_iter().enumerate() {
            fs::write(chats.join(format!("session-2026-06-11T10-0{minute}-55555555.jsonl")), &files[file])
                .unwrap();
        }
        let totals = totals_of_replay(&[home.path().into()]);
        assert_eq!(totals, BTreeMap::from([(ID.to_owned(), 115)]), "{order:?}");
    }
}

#[test]
fn a_document_and_its_copy_in_lines_are_one_session() {
    let writer = Writer { begun: "2026-04-01T10:00:00Z".parse().unwrap() };
    let messages = [writer.prompt(1, "u1"), writer.answer(3, "g1", 50, 10), writer.answer(5, "g2", 7, 3)];
    let home = tempfile::tempdir().unwrap();
    let chats = chats(home.path());
    let document = serde_json::to_string_pretty(&writer.document(&messages)).unwrap();
    let path = chats.join("session-2026-04-01T10-00-55555555.json");
    fs::write(&path, document).unwrap();
    assert_eq!(totals_of_replay(std::slice::from_ref(&path))[ID], 70, "named itself");
    let copy = [&[writer.header(0)][..], &messages, &[writer.answer(9, "g3", 5, 5)]].concat();
    fs::write(chats.join("session-2026-04-20T10-00-55555555.jsonl"), lines(&copy)).unwrap();
    let totals = totals_of_replay(&[home.path().into()]);
    assert_eq!(totals, BTreeMap::from([(ID.to_owned(), 80)]));
}

/// A daemon's driver over a home that is written to while it looks.
struct Live {
    host: Host,
    chats: PathBuf,
    events: Vec<(u64, u64, bool)>,
    ends: usize,
}

impl Live {
    fn new(home: &Path) -> Self {
        let chats = chats(home);
        let mut settings = Settings::default();
        settings.sources.of_mut(Agent::GEMINI).homes = vec![home.join(".gemini")];
        let environment = Environment::new([("HOME", home)], None);
        let engine = Engine::new(settings.clone(), TimeZone::UTC, Publisher::new(0, &settings));
        let keeping = StateAccess::ReadOnly(home.join("state"));
        let inputs = Inputs::start(engine.settings(), &environment, keeping, None).unwrap();
        Self { host: Host::new(engine, inputs, &environment), chats, events: Vec::new(), ends: 0 }
    }

    async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            let inputs = self.host.next().await;
            self.host.take_burst(inputs);
            while let Some(output) = self.host.poll() {
                let Output::Event(event) = output else { continue };
                match event.kind {
                    EventKind::Usage(usage) => {
                        let figure = |figure: Option<u64>| figure.unwrap_or_default();
                        let tokens = usage.tokens;
                        self.events.push((figure(tokens.delta), figure(tokens.total), usage.restored));
                    }
                    EventKind::Session { ended, .. } => self.ends += usize::from(ended),
                    _ => {}
                }
            }
        }
    }

    fn append(&self, name: &str, text: &str) {
        use std::io::Write as _;
        let path = self.chats.join(name);
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn session(&mut self) -> SessionReport {
        let config = ConfigReport { path: None, issues: Vec::new() };
        let status = self.host.status(DaemonReport::not_running(), config);
        let [session] = status.sessions.as_slice() else { panic!("{:?}", status.sessions) };
        session.clone()
    }
}

/// The first era writes all of a session again each time.
#[tokio::test]
async fn a_document_that_is_written_again_adds_what_it_grew_by() {
    const DOCUMENT: &str = "session-2026-04-01T10-00-55555555.json";
    let home = tempfile::tempdir().unwrap();
    let mut live = Live::new(home.path());
    let writer = Writer { begun: clock::now().wall + SignedDuration::from_millis(1) };
    let asked = writer.prompt(0, "u1");
    for (messages, known) in [
        (vec![asked.clone(), writer.answer(0, "g1", 50, 10)], 1),
        (vec![asked.clone(), writer.answer(0, "g1", 50, 50)], 2),
        (vec![asked.clone(), writer.answer(0, "g1", 50, 50), writer.answer(1, "g2", 10, 5)], 3),
        // Gone back to the first prompt, and on from there.
        (vec![asked.clone(), writer.answer(2, "g3", 3, 2)], 4),
    ] {
        fs::write(live.chats.join(DOCUMENT), writer.document(&messages).to_string()).unwrap();
        live.until(|live| live.events.len() == known).await;
    }
    assert_eq!(live.events, [(60, 60, false), (40, 100, false), (15, 115, false), (5, 120, false)]);
    // The copy in lines that a resume makes of it.
    let copied = [writer.header(0), asked, writer.answer(2, "g3", 3, 2), writer.answer(3, "g4", 1, 1)];
    live.append("session-2026-04-20T10-00-55555555.jsonl", &lines(&copied));
    live.until(|live| live.events.len() == 5).await;
    assert_eq!(live.events[4], (2, 122, false));
}

/// Gemini CLI deletes the files of a session that was resumed when it is started the next time.
#[tokio::test]
async fn a_message_that_vanishes_takes_no_tokens_away_and_is_not_repeated() {
    const FIRST: &str = "session-2026-06-11T10-00-55555555.jsonl";
    const SECOND: &str = "session-2026-06-11T10-05-55555555.jsonl";
    let home = tempfile::tempdir().unwrap();
    let mut live = Live::new(home.path());
    // What is written down in milliseconds is not to be of before the look.
    let writer = Writer { begun: clock::now().wall + SignedDuration::from_millis(1) };
    live.append(FIRST, &lines(&[writer.header(0), writer.prompt(0, "u1"), writer.answer(0, "g1", 50, 10)]));
    live.until(|live| live.events.len() == 1).await;
    live.append(FIRST, &lines(&[writer.answer(0, "g1", 50, 50)]));
    live.until(|live| live.events.len() == 2).await;
    // Resumed: a second file, and the first one goes on.
    live.append(SECOND, &lines(&[writer.header(1)]));
    let again = [writer.prompt(0, "u1"), writer.answer(0, "g1", 50, 50)];
    live.append(
        FIRST,
        &lines(&[writer.repeated(1, &again), writer.prompt(1, "u2"), writer.answer(1, "g2", 10, 5)]),
    );
    live.until(|live| live.events.len() == 3).await;
    fs::remove_file(live.chats.join(FIRST)).unwrap();
    live.append(SECOND, &lines(&[writer.answer(2, "g3", 3, 2)]));
    live.until(|live| live.events.len() == 4).await;
    let told = [(60, 60, false), (40, 100, false), (15, 115, false), (5, 120, false)];
    assert_eq!(live.events, told);
    fs::remove_file(live.chats.join(SECOND)).unwrap();
    live.until(|live| live.ends == 1).await;
    assert_eq!(live.session().tokens.total, Some(120), "it is over, and was spent");
    assert_eq!(live.session().activity.word(), "idle");
    // It comes back with everything, and one more answer.
    let all = [&again[..], &[writer.answer(1, "g2", 10, 5), writer.answer(2, "g3", 3, 2)]].concat();
    live.append(FIRST, &lines(&[writer.header(3), writer.repeated(3, &all), writer.answer(3, "g4", 1, 1)]));
    live.until(|live| live.events.len() == 5).await;
    assert_eq!(live.events[4], (2, 122, false));
    assert_eq!(live.session().tokens.total, Some(122));
}

/// Without the note beside its folder a session's working folder is unknown, and each rule that hides holds for it.
#[test]
fn the_note_beside_the_sessions_says_where_they_work() {
    let writer = Writer { begun: "2026-06-11T10:00:00Z".parse().unwrap() };
    let [file, _] = two_files(&writer);
    let cards = |noted: Option<&str>, hidden: Option<&str>| {
        let home = tempfile::tempdir().unwrap();
        let chats = chats(home.path());
        fs::write(chats.join("session-2026-06-11T10-00-55555555.jsonl"), &file).unwrap();
        if let Some(folder) = noted {
            fs::write(chats.with_file_name(".project_root"), folder).unwrap();
        }
        let mut settings = Settings::default();
        settings.privacy.project = true;
        let hide = |path: &str| PrivacyRule { path: path.to_owned(), show: Show::Hide };
        settings.privacy.rules.extend(hidden.map(hide));
        let mut cards = Vec::new();
        let problems = replay(&[home.path().into()], settings, TimeZone::UTC, &mut |event| {
            if let EventKind::Card { card: Some(card), .. } = event.kind {
                cards.push(card.details.unwrap_or_default());
            }
        });
        assert_eq!(problems, []);
        cards.into_iter().find(|details| details.starts_with("Thinking"))
    };
    assert_eq!(cards(Some("/home/u/shop"), None).as_deref(), Some("Thinking in shop"));
    assert_eq!(cards(Some("/home/u/shop"), Some("/home/u/clients")).as_deref(), Some("Thinking in shop"));
    assert_eq!(cards(Some("/home/u/shop"), Some("/home/u/shop")), None);
    assert_eq!(cards(None, Some("/home/u/clients")), None);
    assert_eq!(cards(Some("shop"), None).as_deref(), Some("Thinking"), "no folder that is one");
}
