//! The program between two others: bytes, ends and signals as of `cat`, with any daemon or none.

#[cfg(unix)]
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::support::SECRET;
#[cfg(unix)]
use crate::support::control::{Held, Scripted, socket};
use crate::support::control::{connect, hear, request, say};
use crate::support::home::Home;
use crate::support::process::Process;

const THREAD: &str = "01a0d000-0000-7000-8000-000000000001";

/// A running `tap`, with both of its ends in the test's hands.
struct Tap {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Tap {
    fn start(home: &Home, arguments: &str) -> Self {
        let mut command = home.command(&format!("tap {arguments}"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Sends a line and waits until it has come out.
    fn pass(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut out = String::new();
        self.output.read_line(&mut out).unwrap();
        assert_eq!(out, format!("{line}\n"));
    }

    /// Ends the input; the exit code and standard error.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
        self.wait()
    }

    fn wait(mut self) -> (Option<i32>, String) {
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(!err.contains(SECRET), "{err}");
        (self.child.wait().unwrap().code(), err)
    }
}

/// Sends all bytes through; returns what came out, the exit code and standard error.
fn through(home: &Home, arguments: &str, bytes: &[u8]) -> (Vec<u8>, Option<i32>, String) {
    let mut tap = Tap::start(home, arguments);
    let mut input = tap.input.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let mut out = Vec::new();
    tap.output.read_to_end(&mut out).unwrap();
    writing.join().unwrap();
    let (code, err) = tap.wait();
    (out, code, err)
}

fn started() -> String {
    json!({"type": "thread.started", "thread_id": THREAD}).to_string()
}

fn completed(input: u64, output: u64) -> String {
    let usage = json!({"input_tokens": input, "cached_input_tokens": 0, "output_tokens": output});
    json!({"type": "turn.completed", "usage": usage}).to_string()
}

fn run(home: &Home) -> Process {
    let daemon = home.start("run");
    home.wait_for_status("a daemon", |status| status["daemon"]["state"] == "running");
    daemon
}

/// What a subscriber hears of usage and of sessions, until a session ends.
fn heard_until_the_end(home: &Home, act: impl FnOnce()) -> Vec<Value> {
    let mut stream = connect(home);
    say(&mut stream, &request("subscribe", json!({})));
    assert_eq!(hear(&mut stream).unwrap()["ok"], true);
    act();
    let mut events = Vec::new();
    loop {
        let event = hear(&mut stream).unwrap()["event"].take();
        let kind = event["event"].as_str().unwrap().to_owned();
        if kind == "usage" || kind == "session" {
            events.push(event);
        }
        if kind == "session" && events.last().unwrap()["ended"] == true {
            return events;
        }
    }
}

#[test]
fn any_bytes_pass_unchanged() {
    let home = Home::new();
    let mut noise: Vec<u8> =
        (0..300_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    noise.extend_from_slice(b"{\"type\":\"turn.completed\"\n\r\n\0\xff no end");
    let mut huge = vec![b'x'; 5 << 20];
    huge.splice(
        0..0,
        format!("{}\n{{\"type\":\"item.completed\",\"item\":{{\"text\":\"", started()).into_bytes(),
    );
    for bytes in [&b""[..], b"\n", b"no end", &noise, &huge] {
        let (out, code, err) = through(&home, "", bytes);
        assert!(out == bytes, "{} bytes became {}", bytes.len(), out.len());
        assert_eq!((code, err.as_str()), (Some(0), "Token usage: unknown\n"));
    }
    assert!(!home.state().exists(), "it writes nothing of its own");
}

#[test]
fn the_usage_line_is_on_standard_error_unless_quiet() {
    let home = Home::new();
    let stream = format!("{}\n{}", started(), completed(1_000, 100));
    let (out, code, err) = through(&home, "", stream.as_bytes());
    assert_eq!((out, code), (stream.clone().into_bytes(), Some(0)));
    assert_eq!(err, "Token usage: total=1,100 input=1,000 output=100\n");
    for quiet in ["-q", "--quiet --agent codex"] {
        assert_eq!(through(&home, quiet, stream.as_bytes()).2, "");
    }
    // As another agent's, it says nothing.
    assert_eq!(through(&home, "--agent claude", stream.as_bytes()).2, "Token usage: unknown\n");
}

#[test]
fn it_works_without_a_home() {
    let home = Home::new();
    let mut command = home.command("tap");
    command.env_clear().stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn a_line_passes_before_the_next_one_is_there() {
    let home = Home::new();
    let mut tap = Tap::start(&home, "");
    tap.pass(&started());
    tap.pass("no JSON");
    tap.pass(&completed(10, 1));
    assert_eq!(tap.end(), (Some(0), "Token usage: total=11 input=10 output=1\n".to_owned()));
}

#[test]
fn an_array_passes_as_it_comes_and_is_read() {
    let home = Home::new();
    let mut tap = Tap::start(&home, "-q");
    tap.pass("[");
    tap.pass("{\"type\":\"system\",");
    assert_eq!(tap.end(), (Some(0), String::new()));

    let array = include_bytes!("../../fixtures/claude-stream/the-whole-of-an-array.jsonl");
    let (out, code, err) = through(&home, "", array);
    assert_eq!((out.as_slice(), code), (&array[..], Some(0)));
    assert_eq!(err, "Token usage: total=1,445 input=1,045 (+ 6,500 cached) output=400\n");

    // Long after what is held of it at once, its last element still counts.
    let [first, .., last] = &*serde_json::from_slice::<Vec<Value>>(array).unwrap() else { unreachable!() };
    let padding = json!({"type": "user", "message": {"content": "x".repeat(1 << 20)}}).to_string();
    let huge = format!("[{first},\n{}{last}\n]\n", format!("{padding},\n").repeat(20));
    let (out, _, err) = through(&home, "", huge.as_bytes());
    assert!(out == huge.as_bytes());
    assert_eq!(err, "Token usage: total=1,445 input=1,045 (+ 6,500 cached) output=400\n");
}

#[test]
fn without_a_reader_it_ends_like_any_program_in_a_pipe() {
    let home = Home::new();
    let mut tap = Tap::start(&home, "");
    tap.pass(&started());
    let Tap { child, mut input, output } = tap;
    drop(output);
    let mut input = input.take().unwrap();
    // It may end between two lines.
    while input.write_all(b"more\n").is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(141), 0), "{output:?}");
}

#[test]
fn subscribers_of_the_daemon_hear_the_run() {
    let home = Home::new();
    let daemon = run(&home);
    let mut tap = Tap::start(&home, "-q");
    let events = heard_until_the_end(&home, || {
        tap.pass(&started());
        let item =
            json!({"id": "item_0", "type": "command_execution", "command": SECRET, "status": "in_progress"});
        tap.pass(&json!({"type": "item.started", "item": item}).to_string());
        tap.pass(&completed(1_000, 100));
        tap.pass(&completed(1_500, 200));
        assert_eq!(tap.end().0, Some(0));
    });
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["session", "usage", "usage", "session"]);
    assert_eq!(events[1]["session"], THREAD);
    assert_eq!(events[1]["tokens"], json!({"delta": 1_100, "last": 1_100, "total": 1_100}));
    assert_eq!(events[2]["tokens"]["delta"], 600);
    assert_eq!(events[2]["restored"], false);
    let status = home.status();
    assert_eq!(status["sessions"][0]["activity"], "idle", "{status:#}");
    assert_eq!(status["sessions"][0]["tokens"]["total"], 1_700);
    assert_eq!(status["sessions"][0]["surface"], "exec");
    daemon.terminate();
}

#[test]
fn a_call_of_claude_has_its_model_and_stop_reason() {
    let home = Home::new();
    let daemon = run(&home);
    let stream = include_str!("../../fixtures/claude-stream/one-message-on-three-lines.jsonl");
    let events = heard_until_the_end(&home, || {
        assert_eq!(through(&home, "-q", stream.as_bytes()).0, stream.as_bytes());
    });
    let calls: Vec<&Value> =
        events.iter().filter(|event| event["event"] == "usage").map(|event| &event["call"]).collect();
    let call = |reason: &str| json!({"model": "claude-opus-5", "finish_reason": reason});
    assert_eq!(calls, [&call("tool_use"), &call("end_turn")]);
    daemon.terminate();
}

#[test]
fn a_session_with_a_file_is_counted_once() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = run(&home);
    home.wait_for_status("the file", |status| status["sessions"][0]["tokens"]["total"] == 4_500);

    let mut tap = Tap::start(&home, "-q");
    tap.pass(&json!({"type": "thread.started", "thread_id": session.id}).to_string());
    tap.pass(&completed(9_000, 900));
    // Another session behind it tells when the daemon has heard both.
    tap.pass(&started());
    tap.pass(&completed(10, 1));
    let both = |status: &Value| status["sessions"].as_array().is_some_and(|sessions| sessions.len() == 2);
    let status = home.wait_for_status("the second session", both);
    let of_file =
        status["sessions"].as_array().unwrap().iter().find(|other| other["id"] == session.id.as_str());
    assert_eq!(of_file.unwrap()["tokens"]["total"], 4_500, "{status:#}");
    tap.end();
    daemon.terminate();
}

#[test]
fn a_daemon_that_dies_costs_nothing_and_the_next_one_hears_the_run() {
    let home = Home::new();
    let daemon = run(&home);
    let mut tap = Tap::start(&home, "");
    tap.pass(&started());
    tap.pass(&completed(1_000, 100));
    let total = |total: u64| move |status: &Value| status["sessions"][0]["tokens"]["total"] == total;
    home.wait_for_status("the first total", total(1_100));
    daemon.kill();
    tap.pass(&completed(1_500, 200));
    let daemon = run(&home);
    home.wait_for_status("the second total", total(1_700));
    tap.pass(&completed(2_000, 300));
    home.wait_for_status("the third total", total(2_300));
    assert_eq!(tap.end(), (Some(0), "Token usage: total=2,300 input=2,000 output=300\n".to_owned()));
    daemon.terminate();
}

#[cfg(unix)]
#[test]
fn a_daemon_that_never_reads_delays_no_byte() {
    let home = Home::new();
    let _held = Held::new(&home, None);
    let silent = std::os::unix::net::UnixListener::bind(socket(&home)).unwrap();
    let mut bytes = Vec::new();
    for at in 1..20_000 {
        bytes.extend_from_slice(format!("{}\n", completed(at * 10, at)).as_bytes());
    }
    let (out, code, _) = through(&home, "-q", &bytes);
    assert!(out == bytes);
    assert_eq!(code, Some(0));
    drop(silent);
}

#[cfg(unix)]
#[test]
fn a_daemon_that_knows_no_tap_is_left_alone() {
    let home = Home::new();
    fs::create_dir_all(home.state()).unwrap();
    let refused = json!({"protocol": 1, "version": "0.0.9", "ok": false, "error": {"code": "unknown_verb", "message": ""}});
    let old = Scripted::listen(&socket(&home), Some(refused), drop);
    let stream = format!("{}\n{}\n", started(), completed(10, 1));
    assert_eq!(through(&home, "-q", stream.as_bytes()).1, Some(0));
    assert!(old.requests().iter().all(|request| request["verb"] == "tap"), "{:?}", old.requests());
}

#[test]
fn a_hostile_client_harms_no_other_run() {
    let home = Home::new();
    let daemon = run(&home);
    let mut good = connect(&home);
    say(&mut good, &request("tap", json!({})));
    assert_eq!(hear(&mut good).unwrap()["ok"], true);
    for line in
        ["not JSON", "{}", &format!("{{\"agent\":\"codex\",\"session\":\"{}\"}}", "x".repeat(100_000))]
    {
        let mut bad = connect(&home);
        say(&mut bad, &request("tap", json!({})));
        assert_eq!(hear(&mut bad).unwrap()["ok"], true);
        let _ = writeln!(bad.get_mut(), "{line}");
        assert_eq!(hear(&mut bad), None, "it is dropped");
    }
    // One that goes from session to session as fast as it may.
    let mut many = connect(&home);
    say(&mut many, &request("tap", json!({})));
    assert_eq!(hear(&mut many).unwrap()["ok"], true);
    for number in 0..150 {
        say(&mut many, &json!({"agent": "codex", "session": format!("many-{number}")}).to_string());
    }
    drop(many);
    say(&mut good, &json!({"agent": "codex", "session": "good", "turn_open": true}).to_string());
    let known =
        |status: &Value| status["sessions"].as_array().unwrap().iter().any(|session| session["id"] == "good");
    let status = home.wait_for_status("the good one", known);
    assert!(status["sessions"].as_array().unwrap().len() < 110, "{status:#}");
    daemon.terminate();
}

#[test]
fn the_number_of_tapped_runs_is_limited() {
    let home = Home::new();
    let daemon = run(&home);
    let mut taps: Vec<_> = (0..9).map(|_| connect(&home)).collect();
    let answers: Vec<Value> = taps
        .iter_mut()
        .map(|tap| {
            say(tap, &request("tap", json!({})));
            hear(tap).unwrap()
        })
        .collect();
    assert!(answers[..8].iter().all(|answer| answer["ok"] == true), "{answers:?}");
    assert_eq!(answers[8]["error"]["code"], "busy");
    daemon.terminate();
}
