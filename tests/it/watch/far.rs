//! `watch --json --alive`: what another machine is told.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::home::Home;
use crate::support::process::Process;
use crate::support::{PATIENCE, SECRET};

/// One that reads what another machine reads, and finds content nowhere: folders alone may be as they are, where rules of
/// privacy are to judge them.
struct Reader {
    child: Child,
    lines: Receiver<Value>,
    heard: Vec<Value>,
}

impl Reader {
    fn start(home: &Home, arguments: &str) -> Self {
        let mut command = home.command(&format!("watch --json --alive {arguments}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = out.lines().map_while(Result::ok).map(|line| serde_json::from_str(&line).unwrap());
            let _ended = lines.into_iter().try_for_each(|line| sender.send(line));
        });
        Self { child, lines, heard: Vec::new() }
    }

    /// Everything up to so many events of this kind.
    #[track_caller]
    fn hear(&mut self, event: &str, count: usize) -> Vec<Value> {
        while of(&self.heard, event).len() < count {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("waited in vain for {event}: {:#?}", self.heard);
            };
            let mut shown = line.clone();
            if let Some(session) = shown["session"].as_object_mut() {
                session.remove("place");
            }
            assert!(!shown.to_string().contains(SECRET), "{shown}");
            self.heard.push(line);
        }
        self.heard.clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn started(home: &Home) -> Process {
    let daemon = home.start("run");
    home.wait_for_status("the session", |status| {
        status["daemon"]["pid"] == daemon.pid() && !status["sessions"][0].is_null()
    });
    daemon
}

#[test]
fn hello_comes_first_then_the_sessions_then_signs_of_life() {
    for with_daemon in [false, true] {
        let home = Home::new();
        let mut session = home.session();
        session.limits(36.0, 53.0).turn().tokens(100);
        let _daemon = with_daemon.then(|| started(&home));
        let mut watch = Reader::start(&home, "200ms");
        let lines = watch.hear("alive", 1);
        let hello = &lines[0];
        assert_eq!((&hello["event"], &hello["schema"]), (&json!("hello"), &json!(1)));
        assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((&hello["restored"], &hello["alive"]), (&json!(true), &json!(0.2)));
        assert!(hello["agents"].as_array().unwrap().contains(&json!("codex")), "{hello}");
        assert!(!hello["stream"].as_str().unwrap().is_empty() && hello["at"].is_string());
        assert_eq!(of(&lines, "hello").len(), 1);

        let told = of(&lines, "session").into_iter().rfind(|line| line["session"]["place"].is_object());
        let told = &told.unwrap()["session"];
        let place = &told["place"];
        assert_eq!(told["home"], home.codex().to_str().unwrap());
        assert!(place["cwd"].as_str().unwrap().ends_with(told["project"].as_str().unwrap()), "{told}");
        assert_eq!(told["host"], Value::Null);
        let usage = of(&lines, "usage");
        assert_eq!((usage.len(), &usage[0]["restored"]), (1, &json!(true)), "{lines:#?}");
        assert!(!of(&lines, "limits").is_empty());

        session.tokens(50);
        let lines = watch.hear("usage", 2);
        let usage = of(&lines, "usage")[1];
        assert_eq!((&usage["restored"], &usage["tokens"]["delta"]), (&json!(false), &json!(50)));
        assert!(usage["seq"].as_u64() > Some(0));
    }
}

#[test]
fn a_listener_that_comes_back_hears_exactly_what_it_missed() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(100);
    let daemon = started(&home);
    let mut watch = Reader::start(&home, "1h");
    watch.hear("usage", 1);
    session.tokens(50);
    let lines = watch.hear("usage", 2);
    let seq = of(&lines, "usage")[1]["seq"].as_u64().unwrap();
    let since = format!("{}:{seq}", lines[0]["stream"].as_str().unwrap());
    drop(watch);
    session.tokens(7);
    let mut back = Reader::start(&home, &format!("1h --since {since}"));
    let lines = back.hear("usage", 1);
    assert_eq!(lines[0]["restored"], json!(false), "{lines:#?}");
    assert_eq!(of(&lines, "usage")[0]["tokens"]["delta"], json!(7));
    // Also over a takeover.
    let next = home.start("run");
    daemon.wait_for_end();
    session.tokens(8);
    let lines = back.hear("usage", 2);
    assert_eq!(of(&lines, "usage")[1]["tokens"]["delta"], json!(8));
    assert_eq!(of(&lines, "hello").len(), 1, "{lines:#?}");
    drop(next);
    // An unknown cursor begins at the oldest event.
    let mut lost = Reader::start(&home, "1h --since other:3");
    assert_eq!(lost.hear("usage", 1)[0]["restored"], json!(true));
}

#[test]
fn only_other_machines_hear_of_changes_of_a_session() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(100);
    let _daemon = started(&home);
    let mut far = Reader::start(&home, "1h");
    let plain = home.start("watch --json");
    far.hear("usage", 1);
    plain.wait_for_output("\"restored\":true");
    session.model("gpt-9").turn().tokens(5);
    plain.wait_for_output("\"restored\":false");
    let lines = far.hear("usage", 2);
    let models: Vec<&Value> =
        of(&lines, "session").into_iter().map(|line| &line["session"]["model"]).collect();
    assert_eq!(models.last(), Some(&&json!("gpt-9")), "{lines:#?}");
    let said = plain.output();
    for private in ["about", "place", "\"seq\"", "hello"] {
        assert!(!said.contains(private), "{private}: {said}");
    }
}

#[test]
fn a_sign_of_life_has_its_bounds_and_belongs_to_json() {
    let home = Home::new();
    for wrong in [
        "--alive 60s",
        "--json --alive 0s",
        "--json --alive 2h",
        "--json --since s:1",
        "--json --alive 1s --since s",
    ] {
        let ended = home.run(&format!("watch {wrong}"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{wrong}: {}", ended.err);
    }
}
