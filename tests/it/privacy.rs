//! Promise 8: nothing of a conversation, no credential and no path out of a session file reaches any output. `MARKER-SECRET`
//! stands in every fixture where real files hold private text.

#[cfg(unix)]
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;
#[cfg(unix)]
use std::process::Stdio;

use agent_presence::cmd::{replay, show};
use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::report::{Event, EventKind};
use agent_presence::core::settings::Settings;
use agent_presence::io::clock;
use jiff::tz::TimeZone;

use crate::codex;
use crate::sim::codex::{About, Codex, Counters, Source, Tool};
use crate::support::program::{Home, text};

/// Everything that may be shown, and a place for each.
const OPEN: &str = r#"
[card]
details = "{agent} {activity} {project} {branch} {file} {model} {effort}"
state = "{tokens} {limits} {context}"
[privacy]
project = true
branch = true
file = true
[[privacy.rule]]
path = "**"
show = "full"
"#;

fn open() -> Settings {
    let effective = Effective::read(OPEN, &ConfigContext::default());
    assert_eq!(effective.issues, []);
    effective.settings
}

/// Paths as they stand in the fixtures, and what of them may be in no output. File names and projects may.
const SECRETS: [&str; 5] = ["MARKER-SECRET", "/home/", "C:\\\\", "C:\\", "file://"];

#[track_caller]
fn check(output: &str, what: &str) {
    for secret in SECRETS {
        let line = output.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} in {what}");
    }
}

/// Where its own home is, the user may know.
fn without(home: &Home, output: &str) -> String {
    let own = home.path().to_string_lossy();
    output.replace(&*own, "~").replace(&own.replace('\\', "\\\\"), "~")
}

/// Without the user's own home folder, which limits are reported with.
fn without_home(mut event: Event) -> Event {
    if let EventKind::Limits(limits) = &mut event.kind {
        limits.home.clear();
    }
    event
}

#[test]
fn no_event_of_any_fixture_contains_a_secret() {
    let zone = TimeZone::UTC;
    let mut cards = 0;
    for path in codex::fixtures() {
        let problems = replay::replay(std::slice::from_ref(&path), open(), zone.clone(), &mut |event| {
            let event = without_home(event);
            cards += usize::from(matches!(event.kind, EventKind::Card { card: Some(_) }));
            let what = path.display().to_string();
            check(&serde_json::to_string(&event).unwrap(), &what);
            check(&show::event(&event, &zone).unwrap_or_default(), &what);
            check(&format!("{event:?}"), &what);
        });
        for problem in problems {
            check(&problem.reason, "a problem");
        }
    }
    assert!(cards > 100, "the fixtures give cards: {cards}");
}

/// A session at work, so that there is a card.
fn write_live_session(day: &Path) {
    let now = clock::now().wall;
    let about = About {
        id: "01a158c0-e900-7148-88f8-ffffffffffff".to_owned(),
        cwd: "/home/MARKER-SECRET/app".to_owned(),
        branch: "main".to_owned(),
        source: Source::Cli,
    };
    let mut codex = Codex::new(about);
    let lines = [
        codex.meta(now),
        codex.context(now, "gpt-5.6-sol"),
        codex.turn(now),
        codex.usage(now, Counters { input: 1000, cached: 0, output: 200, reasoning: 0 }, None),
        codex.call(now, &Tool::Patch("/home/MARKER-SECRET/app/main.rs".to_owned())),
        codex.call(now, &Tool::Command("echo MARKER-SECRET".to_owned())),
        "MARKER-SECRET is no line\n".to_owned(),
    ];
    let name = "rollout-2026-11-20T10-00-00-01a158c0-e900-7148-88f8-ffffffffffff.jsonl";
    std::fs::write(day.join(name), lines.concat()).unwrap();
}

/// All fixtures, and one live session, as the sessions of one home, and the settings that show everything.
fn home_with_fixtures() -> Home {
    let home = Home::new();
    let day = home.path().join(".codex/sessions/2026/11/20");
    std::fs::create_dir_all(&day).unwrap();
    for (number, path) in codex::fixtures().iter().enumerate() {
        let name = format!("rollout-2026-11-20T10-00-00-01a158c0-e900-7148-88f8-{number:012x}.jsonl");
        std::fs::copy(path, day.join(name)).unwrap();
    }
    write_live_session(&day);
    let config = home.path().join("config/agent-presence");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), OPEN).unwrap();
    home
}

/// Every file below a folder.
#[cfg(unix)]
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_program_prints_no_secret() {
    let home = home_with_fixtures();
    let sessions = ".codex/sessions";
    for arguments in [
        vec!["replay", "--json", sessions],
        vec!["replay", sessions],
        vec!["status", "--json"],
        vec!["status"],
        vec!["preview"],
    ] {
        let output = home.command(&arguments).env("RUST_LOG", "trace").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        check(&without(&home, &text(&output.stdout)), &arguments.join(" "));
        check(&without(&home, &text(&output.stderr)), &arguments.join(" "));
        assert!(text(&output.stdout).contains("Running a command"), "{arguments:?} shows the live session");
    }
}

/// A hidden folder's name, in a session that goes on elsewhere, in a rule that hides it and in one that is mistyped.
#[cfg(unix)]
#[test]
fn a_hidden_folder_is_named_nowhere() {
    use crate::support::home::Home;

    let home = Home::new();
    let rule = "[[privacy.rule]]\npath = \"/home/u/MARKER-HIDDEN-client/**\"\nshow = \"hide\"\n";
    let open = "[privacy]\nproject = true\nbranch = true\nfile = true\n";
    home.settings(&format!("{open}{rule}"));
    let day = home.codex().join("sessions/2026/11/20");
    std::fs::create_dir_all(&day).unwrap();
    let now = clock::now().wall;
    let about = |number: u8, folder: &str| About {
        id: format!("01a158c0-e900-7148-88f8-{number:012}"),
        cwd: folder.to_owned(),
        branch: "MARKER-HIDDEN-branch".to_owned(),
        source: Source::Cli,
    };
    let mut hidden = Codex::new(about(1, "/home/u/MARKER-HIDDEN-client/app"));
    let mut lines = hidden.meta(now) + &hidden.context(now, "gpt-5.6-sol") + &hidden.turn(now);
    lines += &hidden.call(now, &Tool::Patch("MARKER-HIDDEN.rs".to_owned()));
    "/home/u/MARKER-HIDDEN-elsewhere".clone_into(&mut hidden.about.cwd);
    lines += &hidden.context(now, "gpt-5.6-sol");
    lines += &hidden.usage(now, Counters { input: 4000, cached: 0, output: 500, reasoning: 0 }, None);
    std::fs::write(day.join("rollout-2026-11-20T10-00-00-01a158c0-e900-7148-88f8-000000000001.jsonl"), lines)
        .unwrap();
    let mut command = home.command("run --dry-run");
    let daemon = crate::support::process::Process::start(command.env("RUST_LOG", "trace"));
    home.wait_for_status("the session", |status| status["no_card"] == "hidden");
    let mistyped = rule.replace("/**", "/{a,b}").replace("privacy.rule", "privacy.rules");
    for settings in [mistyped, rule.replace("/**", "/{a,b}"), rule.replace("/home", "home"), String::new()] {
        home.settings(&format!("{open}{settings}"));
        let is_mistaken = !settings.is_empty();
        home.wait_for_status("the mistake", |status| (status["no_card"] == "settings") == is_mistaken);
        if !is_mistaken {
            break;
        }
        home.settings(&format!("{open}{rule}"));
        home.wait_for_status("no mistake", |status| {
            status["config"]["issues"].as_array().unwrap().is_empty()
        });
    }
    let ended = daemon.terminate();
    assert!(ended.err.contains("Token usage: total=4,500"), "{}", ended.err);
    for (what, text) in [("cards", &ended.out), ("the log", &ended.err)] {
        let line = text.lines().find(|line| line.contains("MARKER-HIDDEN"));
        assert_eq!(line, None, "{what}");
    }
    for path in files(&home.state()) {
        let kept = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&kept).contains("MARKER-HIDDEN"), "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn the_daemon_logs_no_secret_at_the_highest_level() {
    let home = home_with_fixtures();
    let mut command = home.command(&["run", "--dry-run"]);
    let mut child =
        command.env("RUST_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        err.read_to_string(&mut log).map(|_| log).unwrap()
    });
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut shown = String::new();
    while !shown.contains("elapsed") {
        assert_ne!(out.read_line(&mut shown).unwrap(), 0, "it ended: {shown}");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    out.read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success());
    let log = log.join().unwrap();
    assert!(shown.contains("Running a command app main"), "{shown}");
    assert!(log.contains("Token usage: total=1,200"), "{log}");

    check(&without(&home, &shown), "cards");
    check(&without(&home, &log), "the log");
    for path in files(&home.path().join("agent-presence")) {
        let kept = std::fs::read(&path).unwrap();
        check(&without(&home, &String::from_utf8_lossy(&kept)), &path.to_string_lossy());
    }
}
