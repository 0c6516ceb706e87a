//! Sessions of Codex versions from before there were numbers: shown, and never with a wrong one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use agent_presence::io::clock;
use serde_json::{Value, json};

use crate::support::home::Home;

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/codex").join(name)).unwrap()
}

/// Writes a fixture's lines, as if its session had begun just now, where versions of its time put the file.
fn begin(home: &Home, name: &str) -> std::path::PathBuf {
    let text = fixture(name);
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let day = first["timestamp"].as_str().unwrap().split('T').next().unwrap();
    let now = clock::now().wall;
    let moved: String = text
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            if line["timestamp"].as_str().is_some_and(|at| at.starts_with(day)) {
                line["timestamp"] = json!(now);
            }
            format!("{line}\n")
        })
        .collect();
    fs::create_dir_all(home.codex().join("sessions")).unwrap();
    let id = "0199288d-b680-7001-8007-00009e3779b1";
    let name = format!("sessions/rollout-{}-{id}.jsonl", now.strftime("%Y-%m-%dT%H-%M-%S"));
    fs::write(home.codex().join(&name), moved).unwrap();
    home.codex().join(name)
}

#[test]
fn bare_lines_give_a_session_without_numbers() {
    let home = Home::new();
    begin(&home, "0.31/bare-lines.jsonl");
    let status = home.status();
    let session = &status["sessions"][0];
    assert_eq!(session["tokens"], json!({"delta": null, "last": null, "total": null}));
    assert_eq!(session["usage"], json!({"delta": null, "last": null, "total": null}));
    assert_eq!((&session["context"], &session["model"]), (&Value::Null, &Value::Null));
    assert_eq!((&status["limits"], session["shown"].as_bool()), (&json!([]), Some(true)));
    assert_eq!((&status["card"]["details"], &status["card"]["state"]), (&json!("Thinking"), &Value::Null));
    let text = home.output("status");
    assert!(text.contains("thinking      no figures yet\n"), "{text}");

    let replayed = home.output(&format!("replay {}/tests/fixtures/codex/0.31", env!("CARGO_MANIFEST_DIR")));
    assert!(replayed.ends_with(" codex 9e3779b1 Token usage: unknown\n"), "{replayed}");
    assert!(!replayed.contains("tokens") && !replayed.contains('%'), "{replayed}");
}

#[test]
fn a_session_of_bare_lines_is_followed() {
    let home = Home::new();
    let path = begin(&home, "0.31/bare-lines.jsonl");
    let program = home.start("run --dry-run");
    program.wait_for_output("│ Thinking\n");
    let call = json!({"type": "function_call", "id": "fc_2", "name": "shell", "call_id": "call_2",
        "arguments": json!({"command": ["bash", "-lc", "cargo test"]}).to_string()});
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    writeln!(file, "{call}\n{{\"record_type\":\"state\"}}").unwrap();
    program.wait_for_output("│ Running a command\n");
    let (out, log) = (program.output(), program.log());
    assert!(!out.contains("tokens") && !out.contains('%'), "{out}");
    assert!(!log.contains("Token usage"), "{log}");
}

#[test]
fn counts_without_limits_give_no_limits() {
    let home = Home::new();
    begin(&home, "0.32/counts-without-limits.jsonl");
    let status = home.status();
    assert_eq!(status["sessions"][0]["tokens"], json!({"delta": 3300, "last": 7800, "total": 7800}));
    assert_eq!(status["limits"], json!([]));
    assert_eq!(status["card"]["state"], json!("+3.3K | 7.8K | 7.8K tokens"));
}
