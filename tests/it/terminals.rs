//! What files, settings and arguments of others may hold, and what of it reaches a terminal: nothing that steers one.

use std::fs;
use std::path::{Path, PathBuf};

use agent_presence::cmd::dashboard::view::View;
use agent_presence::core::source::Agent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::process::Ended;

/// A control of each set, what changes the direction of text, what takes no room, and a line that is forged.
const HOSTILE: &str = "a\u{1b}[2Jb\u{9b}31mc\u{202e}d\u{2066}e\u{200b}f\u{feff}g\u{7f}h\u{85}i\nINFO forged";

/// A name; the line that is forged begins its line.
fn hostile(word: &str) -> String {
    format!("{word}{HOSTILE}")
}

/// The same, as far as a folder can have such a name: Windows takes none of the first 32 characters.
fn hostile_folder(home: &Home) -> PathBuf {
    let is_taken = |character: &char| !cfg!(windows) || *character >= ' ';
    let folder = home.path(&hostile("folder").chars().filter(is_taken).collect::<String>());
    fs::create_dir(&folder).unwrap();
    folder
}

/// What a terminal would obey, not see.
fn harmful(text: &str) -> Vec<char> {
    let is_harmful = |character: &char| {
        character.is_control() && *character != '\n'
            || matches!(*character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().filter(is_harmful).collect()
}

#[track_caller]
fn check(what: &str, text: &str) {
    assert_eq!(harmful(text), [], "{what}: {text:?}");
    let forged = text.lines().find(|line| line.trim_start().starts_with("INFO forged"));
    assert_eq!(forged, None, "{what}: {text}");
}

#[track_caller]
fn check_ended(what: &str, ended: &Ended) {
    check(what, &ended.out);
    check(what, &ended.err);
}

/// A session each of whose names contains something hostile.
fn session(home: &Home) {
    let mut session = home.session();
    session.turn().tokens(4_500);
    let mut lines = Vec::new();
    for line in fs::read_to_string(&session.path).unwrap().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let payload = &mut line["payload"];
        if payload["cwd"].is_string() {
            payload["cwd"] = json!(format!("/home/ada/{}", hostile("project")));
        }
        if payload["model"].is_string() {
            payload["model"] = json!(hostile("model"));
        }
        if payload["git"].is_object() {
            payload["git"]["branch"] = json!(hostile("branch"));
        }
        lines.push(line.to_string());
    }
    let text = lines.join("\n") + "\n";
    fs::write(&session.path, text).unwrap();
}

#[test]
fn names_from_session_files_steer_no_terminal() {
    let home = Home::new();
    let _discord = FakeDiscord::in_folder(&home.path("run"));
    session(&home);
    let settings = fs::read_to_string(home.config()).unwrap();
    home.settings(&format!("{settings}[privacy]\nproject = true\nbranch = true\n"));
    let commands = |home: &Home| {
        for command in ["status", "preview", "doctor", "config show", "status --json"] {
            let ended = home.run(command);
            assert_eq!(ended.code.map(|code| code < 2), Some(true), "{command}: {ended:?}");
            check_ended(command, &ended);
        }
        for arguments in ["replay", "replay --json"] {
            let sessions = home.codex().join("sessions");
            let ended = home.run(&format!("{arguments} {}", sessions.display()));
            assert_eq!(ended.code, Some(0), "{ended:?}");
            check_ended(arguments, &ended);
        }
    };
    commands(&home);
    let status = home.status();
    assert_eq!(status["sessions"][0]["project"], hostile("project"), "JSON keeps its value");

    let daemon = home.start("run --dry-run");
    daemon.wait_for_output("│ ");
    commands(&home);
    let lines = home.start("watch --json");
    lines.wait_for_output("\"restored\":true");
    let ended = daemon.terminate();
    check_ended("run --dry-run", &ended);
    check("watch --json", &lines.output());
}

#[test]
fn names_of_files_and_arguments_steer_no_terminal() {
    let home = Home::new();
    let folder = hostile_folder(&home);
    let config = folder.join("config.toml");
    fs::write(&config, format!("[discord]\nclients = {}\n[nonsense", json!([hostile("/run/")]))).unwrap();
    let run = |arguments: &[&str], code: i32| {
        let output = home.command("").args(arguments).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {out} {err}");
        check(&format!("{arguments:?}"), &(out + &err));
    };
    let (config, folder) = (config.to_str().unwrap(), folder.to_str().unwrap());
    run(&["status", "--config", config], 0);
    run(&["status", "--json", "--config", config], 0);
    run(&["config", "check", "--config", config], 1);
    run(&["config", "show", "--config", config], 0);
    run(&["doctor", "--config", config], 1);
    run(&["replay", folder], 1);
    run(&["replay", &format!("{folder}/missing")], 1);
    run(&[&hostile("command")], 2);
    run(&["status", &hostile("--option")], 2);
    run(&["tap", "--agent", &hostile("agent")], 2);
    run(&["pause", "--for", &hostile("soon")], 2);
}

#[test]
fn a_settings_file_that_is_named_by_others_forges_no_line_of_the_log() {
    let mut home = Home::new();
    let folder = hostile_folder(&home);
    let config = folder.join("config.toml");
    fs::write(&config, "[discord]\nclient = 1\n").unwrap();
    home.set("AGENT_PRESENCE_CONFIG", config.to_str().unwrap());
    home.session().turn().tokens(4_500);
    let daemon = home.start("run --dry-run");
    daemon.wait_for_output("│ ");
    let ended = daemon.terminate();
    check_ended("run --dry-run", &ended);
    assert!(ended.err.contains("did you mean") && !ended.err.contains("\nhint: "), "{}", ended.err);
    let is_log = |path: &Path| path.extension().is_some_and(|end| end == "log");
    let files = fs::read_dir(home.state()).unwrap().map(|entry| entry.unwrap().path());
    let logs: Vec<String> =
        files.filter(|path| is_log(path)).map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(logs.concat().contains("started"), "{logs:?}");
    check("the log", &logs.concat());
}

#[test]
fn names_steer_no_dashboard() {
    let report = json!({
        "schema": 1, "version": "0.1.0", "now": "2026-11-20T10:00:00Z",
        "daemon": {"state": "running", "pid": 1, "version": "0.1.0", "started_at": "2026-11-20T08:12:00Z",
            "paused_until": null, "sink": "discord"},
        "card": {"name": HOSTILE, "details": HOSTILE, "state": HOSTILE, "large_text": HOSTILE, "small_text": null,
            "started_at": "2026-11-20T09:47:00Z", "member_list": HOSTILE, "session": HOSTILE},
        "sessions": [{
            "id": HOSTILE, "agent": Agent::CODEX.word(), "surface": "cli", "shown": true, "project": HOSTILE,
            "branch": HOSTILE, "model": HOSTILE, "effort": HOSTILE, "activity": "running",
            "started_at": "2026-11-20T09:00:00Z", "last_event_at": "2026-11-20T09:59:30Z", "last_usage_at": null,
            "restored": false, "counting": false, "parent": null,
            "tokens": {"delta": 1, "last": 2, "total": 3},
            "usage": {"delta": null, "last": null, "total": null}, "context": null,
        }],
        "limits": [{
            "agent": "codex", "home": HOSTILE, "family": HOSTILE, "name": HOSTILE, "plan": HOSTILE,
            "observed_at": "2026-11-20T09:59:30Z", "stale": false, "source_session": null,
            "windows": [{"label": HOSTILE, "minutes": null, "used_percent": 36.0, "remaining_percent": 64,
                "resets_at": null, "state": "current", "capped_by": null}],
        }],
        "links": [{"endpoint": HOSTILE, "client": HOSTILE, "state": "waiting", "last_ack_at": null, "last_error": HOSTILE}],
        "config": {"path": HOSTILE, "issues": [HOSTILE]},
        "skipped": {"unreadable_lines": 0, "oversized_lines": 0, "unknown_types": 0},
    });
    let report = serde_json::from_value(report).unwrap();
    let view = View { report: Some(report), ..View::new(jiff::tz::TimeZone::UTC, true) };
    for (width, height) in [(40, 10), (60, 20), (80, 24), (200, 60)] {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        view.render(area, &mut buffer);
        let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        check("the dashboard", &text);
    }
}
