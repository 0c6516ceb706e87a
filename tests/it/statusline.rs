//! `statusline` as Claude Code runs it, what the daemon makes of it, and the entry in Claude Code's settings.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};

use agent_presence::io::clock;
use serde_json::{Value, json};

use crate::support::SECRET;
use crate::support::home::Home;

/// What Claude Code tells in one terminal; windows that end in three hours and in three days.
fn input(home: &Home, session: &str, five_hours: f64, weekly: f64) -> String {
    let now = clock::now().wall.as_second();
    json!({
        "session_id": session,
        "transcript_path": home.claude().join(format!("projects/-{SECRET}/{session}.jsonl")),
        "cwd": format!("/home/{SECRET}"),
        "model": {"id": "claude-opus-5[1m]", "display_name": "Opus 5"},
        "context_window": {"context_window_size": 200_000, "current_usage": {"input_tokens": 16_000, "output_tokens": 5}},
        "rate_limits": {
            "five_hour": {"used_percentage": five_hours, "resets_at": now + 3 * 3600},
            "seven_day": {"used_percentage": weekly, "resets_at": now + 3 * 86400},
        },
    })
    .to_string()
}

fn begin(home: &Home, input: &[u8]) -> Child {
    let mut command = home.command("statusline");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that has heard enough closes its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child
}

/// What the command prints, which must succeed.
#[track_caller]
fn call(home: &Home, input: &[u8]) -> String {
    let Output { status, stdout, stderr } = begin(home, input).wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(0), ""));
    String::from_utf8(stdout).unwrap()
}

/// What is left of Claude Code's windows.
fn left(status: &Value) -> Vec<(String, u64)> {
    let limits = status["limits"].as_array().unwrap();
    let windows = limits.iter().filter(|limits| limits["agent"] == "claude").flat_map(|limits| {
        limits["windows"].as_array().unwrap().iter().map(|window| {
            (window["label"].as_str().unwrap().to_owned(), window["remaining_percent"].as_u64().unwrap())
        })
    });
    windows.collect()
}

fn windows(five_hours: u64, weekly: u64) -> Vec<(String, u64)> {
    vec![("5h".to_owned(), five_hours), ("weekly".to_owned(), weekly)]
}

fn kept(home: &Home) -> Vec<String> {
    let folder = fs::read_dir(home.state().join("statusline"));
    let mut names: Vec<_> = folder
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

fn settings(home: &Home) -> PathBuf {
    home.claude().join("settings.json")
}

#[test]
fn prints_a_line_and_keeps_the_limits() {
    let home = Home::new();
    let said = input(&home, "s1", 36.0, 53.4);
    let line = call(&home, said.as_bytes());
    assert_eq!(line, "Opus 5 · context 92% left · 5h 64% left · weekly 47% left\n");
    assert_eq!(kept(&home), ["s1.json"]);
    let path = home.state().join("statusline/s1.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(left(&home.status()), windows(64, 47));
    let home_label = home.claude().to_string_lossy().into_owned();
    assert_eq!(home.status()["limits"][0]["home"], home_label.as_str());

    // The same again is no news, and what is absent takes nothing away.
    let before = fs::read(&path).unwrap();
    call(&home, said.as_bytes());
    assert_eq!(call(&home, br#"{"session_id":"s1","model":{"id":"claude-opus-5"}}"#), "Opus 5\n");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn any_input_is_a_success() {
    let home = Home::new();
    let long = format!(r#"{{"session_id":"s1","x":"{}"}}"#, "x".repeat(300 << 10));
    for input in ["", "null", "garbage", "{", r#"{"session_id":"../../x"}"#, &long] {
        assert_eq!(call(&home, input.as_bytes()), "", "{:.40}", input);
    }
    let padded = input(&home, "s1", 36.0, 53.0).replacen('{', &format!("{{{}", " ".repeat(200 << 10)), 1);
    assert!(call(&home, padded.as_bytes()).starts_with("Opus 5 · "));

    // A state folder that cannot be made.
    let mut home = Home::new();
    fs::write(home.path("file"), "").unwrap();
    home.set("AGENT_PRESENCE_STATE_DIR", home.path("file/state").to_string_lossy());
    assert!(call(&home, input(&home, "s1", 36.0, 53.0).as_bytes()).starts_with("Opus 5 · "));
}

#[test]
fn many_terminals_at_once_lose_nothing() {
    let home = Home::new();
    let calls: Vec<_> = (0..20)
        .map(|number| {
            begin(&home, input(&home, &format!("s{number:02}"), f64::from(number), 50.0).as_bytes())
        })
        .collect();
    for call in calls {
        assert_eq!(call.wait_with_output().unwrap().status.code(), Some(0));
    }
    let expected: Vec<_> = (0..20).map(|number| format!("s{number:02}.json")).collect();
    assert_eq!(kept(&home), expected);
    assert_eq!(left(&home.status()), windows(81, 50), "the one that has heard of the highest use is right");
}

#[test]
fn a_running_daemon_hears_and_puts_it_on_the_card() {
    let home = Home::new();
    home.claude_session().turn().call(4_500);
    let daemon = home.start("run --dry-run");
    daemon.wait_for_output("│ +4.5K | 4.5K | 4.5K tokens");
    call(&home, input(&home, "s1", 36.0, 53.0).as_bytes());
    daemon.wait_for_output("5h 64% · weekly 47% left · +4.5K | 4.5K | 4.5K tokens");
    call(&home, input(&home, "s2", 30.0, 54.0).as_bytes());
    home.wait_for_status("both terminals", |status| left(status) == windows(64, 46));
    fs::remove_dir_all(home.state().join("statusline")).unwrap();
    call(&home, input(&home, "s3", 40.0, 54.0).as_bytes());
    home.wait_for_status("a terminal in a new folder", |status| left(status) == windows(60, 46));
    daemon.terminate();
    assert_eq!(left(&home.status()), windows(60, 46), "the daemon has kept it");
}

#[test]
fn a_terminal_of_a_home_that_is_not_read_says_nothing() {
    let home = Home::new();
    let other = input(&home, "s1", 36.0, 53.0).replace(".claude", ".other");
    call(&home, other.as_bytes());
    assert_eq!(left(&home.status()), []);
}

#[test]
fn set_up_in_settings_that_were_there_and_taken_out_again() {
    let home = Home::new();
    fs::create_dir_all(home.claude()).unwrap();
    let before = "{\n    \"z\": {\"statusLine\": 1},\n    \"model\": \"opus\"\n}\n";
    fs::write(settings(&home), before).unwrap();
    assert!(home.output("statusline install").ends_with("settings.json: set up\n"));
    let text = fs::read_to_string(settings(&home)).unwrap();
    assert!(
        text.starts_with(
            "{\n    \"z\": {\"statusLine\": 1},\n    \"model\": \"opus\",\n    \"statusLine\": "
        )
    );
    let command = serde_json::from_str::<Value>(&text).unwrap()["statusLine"]["command"].clone();
    // The shell that Claude Code runs it with takes slashes everywhere.
    let program = std::path::absolute(env!("CARGO_BIN_EXE_agent-presence")).unwrap();
    assert_eq!(command, format!("{} statusline", program.display()).replace('\\', "/"));
    assert_eq!(
        fs::read_to_string(settings(&home).with_file_name("settings.json.before-agent-presence")).unwrap(),
        before
    );
    assert!(home.output("statusline install").ends_with("is set up already\n"));
    assert_eq!(fs::read_to_string(settings(&home)).unwrap(), text);
    assert!(home.output("statusline uninstall").ends_with("removed\n"));
    assert_eq!(fs::read_to_string(settings(&home)).unwrap(), before);
    assert!(home.output("statusline uninstall").ends_with("is not set up\n"));
}

#[cfg(unix)]
#[test]
fn the_users_own_command_goes_on_running_and_comes_back() {
    let home = Home::new();
    fs::create_dir_all(home.claude()).unwrap();
    let command = "echo \"mine\"; wc -c; echo oops >&2; exit 3";
    let before = json!({"statusLine": {"type": "command", "padding": 0, "command": command}}).to_string();
    fs::write(settings(&home), &before).unwrap();
    assert!(home.output("statusline install").contains("the command that was there runs as before"));
    home.output("statusline install");
    let input = input(&home, "s1", 36.0, 53.0);
    let output = begin(&home, input.as_bytes()).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.split_whitespace().collect::<Vec<_>>(), ["mine", &input.len().to_string()]);
    assert_eq!(left(&home.status()), windows(64, 47), "kept all the same");
    // What is too long for us is not too long for it.
    let long = "x".repeat(300 << 10);
    let output = begin(&home, long.as_bytes()).wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(&long.len().to_string()));
    assert!(home.output("statusline uninstall").ends_with("as it was before\n"));
    assert_eq!(fs::read_to_string(settings(&home)).unwrap(), before);
}

#[test]
fn two_programs_that_call_each_other_end() {
    let home = Home::new();
    fs::create_dir_all(home.claude()).unwrap();
    // A script of the user that calls this program, under any name.
    let script = format!("{} 'statusline'", env!("CARGO_BIN_EXE_agent-presence"));
    fs::write(settings(&home), json!({"statusLine": {"command": script}}).to_string()).unwrap();
    home.output("statusline install");
    assert!(call(&home, input(&home, "s1", 36.0, 53.0).as_bytes()).starts_with("Opus 5 · "));
}

#[test]
fn an_entry_that_was_changed_meanwhile_is_left_alone() {
    let home = Home::new();
    fs::create_dir_all(home.claude()).unwrap();
    home.output("statusline install");
    let other = json!({"statusLine": {"command": "other"}}).to_string();
    fs::write(settings(&home), &other).unwrap();
    assert!(home.output("statusline uninstall").ends_with("is not set up\n"));
    assert_eq!(fs::read_to_string(settings(&home)).unwrap(), other);
}

#[test]
fn broken_settings_are_refused_and_nothing_is_written() {
    let home = Home::new();
    fs::create_dir_all(home.claude()).unwrap();
    fs::write(settings(&home), "{\"a\": 1,}").unwrap();
    for action in ["statusline install", "statusline uninstall"] {
        let ended = home.run(action);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.err.contains("could not change") && ended.err.contains("hint: correct the file"),
            "{ended:?}"
        );
    }
    assert_eq!(fs::read_to_string(settings(&home)).unwrap(), "{\"a\": 1,}");
    let names: Vec<_> =
        fs::read_dir(home.claude()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["settings.json"]);
}

#[test]
fn without_claude_code_there_is_nothing_to_set_up() {
    let home = Home::new();
    let ended = home.run("statusline install");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("could not find Claude Code's folder\nhint: "), "{ended:?}");
}

/// As where a package manager writes them, or a user does not want them changed.
#[test]
fn settings_that_are_read_only_stay_as_they_are_and_the_lines_to_add_are_said() {
    let home = Home::new();
    let path = home.claude().join("settings.json");
    fs::create_dir_all(home.claude()).unwrap();
    fs::write(&path, "{\"model\": \"opus\"}").unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let before = home.snapshot();
    let ended = home.run("statusline install");
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    let (said, hint) = ended.err.split_once("\nhint: add this to it: ").unwrap();
    assert!(said.ends_with("settings.json: it is read-only; nothing was written"), "{said}");
    let entry: Value = serde_json::from_str(&format!("{{{hint}}}")).unwrap();
    assert!(entry["statusLine"]["command"].as_str().unwrap().ends_with(" statusline"), "{entry}");
    assert_eq!(home.snapshot(), before, "nothing is left behind");
}

/// Claude Code's own cache of the limits, fetched so many seconds ago, among private fields.
fn keep(home: &Home, seconds_ago: i64, five_hours: f64, weekly: f64) {
    let now = clock::now().wall;
    let at = |seconds: i64| (now + std::time::Duration::from_secs(seconds.unsigned_abs())).to_string();
    let text = json!({
        "oauthAccount": {"emailAddress": SECRET}, "mcpServers": {"x": {"env": {"TOKEN": SECRET}}},
        "cachedUsageUtilization": {
            "fetchedAtMs": now.as_millisecond() - seconds_ago * 1000, "accountUuid": SECRET,
            "utilization": {
                "five_hour": {"utilization": five_hours, "resets_at": at(3 * 3600)},
                "seven_day": {"utilization": weekly, "resets_at": at(3 * 86400)},
                "seven_day_opus": null,
            },
        },
    });
    // As it is written: beside, then in the place of the old one.
    let path = home.claude().join(".claude.json");
    fs::create_dir_all(home.claude()).unwrap();
    fs::write(path.with_extension("tmp"), text.to_string()).unwrap();
    fs::rename(path.with_extension("tmp"), path).unwrap();
}

#[test]
fn cached_limits_are_shown_with_their_age_until_a_statusline_has_newer_ones() {
    let home = Home::new();
    home.claude_session().turn().call(4_500);
    keep(&home, 3600, 80.0, 53.0);
    let status = home.status();
    assert_eq!(left(&status), windows(20, 47));
    assert_eq!(status["limits"][0]["stale"], true);
    let daemon = home.start("run --dry-run");
    daemon.wait_for_output("5h 20% · weekly 47% left (as of ");
    call(&home, input(&home, "s1", 36.0, 54.0).as_bytes());
    daemon.wait_for_output("5h 64% · weekly 46% left · +4.5K");
    // An older value says nothing against it, however it got there.
    keep(&home, 1800, 90.0, 90.0);
    assert_eq!(left(&home.status()), windows(64, 46));
    daemon.terminate();
    assert_eq!(left(&home.status()), windows(64, 46));
}

#[test]
fn every_command_without_a_daemon_reads_cached_limits() {
    let home = Home::new();
    home.claude_session().turn().call(4_500);
    keep(&home, 3600, 80.0, 53.0);
    assert_eq!(left(&home.status()), windows(20, 47));
    let watch = home.start("watch --json");
    watch.wait_for_line("its limits", |line| {
        let event: Value = serde_json::from_str(line).unwrap();
        (event["event"] == "limits").then(|| {
            let remaining = |index: usize| event["windows"][index]["remaining_percent"].clone();
            assert_eq!((remaining(0), remaining(1)), (json!(20), json!(47)), "{event}");
        })
    });
    watch.kill();
}

#[test]
fn a_cache_of_limits_that_comes_later_is_read() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    home.wait_for_status("the daemon", |status| status["daemon"]["state"] == "running");
    keep(&home, 3600, 80.0, 53.0);
    // Claude Code registers: that is when its file is looked for.
    fs::create_dir(home.claude().join("sessions")).unwrap();
    home.wait_for_status("its limits", |status| {
        status["daemon"]["state"] == "running" && left(status) == windows(20, 47)
    });
    daemon.terminate();
}

#[test]
fn the_statusline_gives_the_size_of_the_context_window() {
    let home = Home::new();
    let mut claude = home.claude_session();
    claude.model = "claude-sonnet-4-6";
    claude.turn().call(4_500);
    let context = |status: &Value| status["sessions"][0]["context"].clone();
    assert_eq!(context(&home.status()), Value::Null);
    call(&home, input(&home, &claude.id, 36.0, 53.0).as_bytes());
    let told = context(&home.status());
    assert_eq!(told, json!({"used_tokens": 14_050, "window": 200_000, "remaining_percent": 93}));
    let daemon = home.start("run --dry-run");
    home.wait_for_status("the daemon's word", |status| {
        status["daemon"]["state"] == "running" && context(status) == told
    });
    // What a model's name tells stands.
    claude.model = "claude-opus-5";
    claude.call_done().call(1_000);
    home.wait_for_status("the other model", |status| context(status)["window"] == 1_000_000);
    daemon.terminate();
}
