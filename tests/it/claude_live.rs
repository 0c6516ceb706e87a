//! Claude Code's sessions as they are written, with the real program and with the intake alone.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use agent_presence::core::source::Agent;
use agent_presence::core::source_event::SourceEvent;
use agent_presence::io::clock;
use agent_presence::io::homes::Home as AgentHome;
use agent_presence::io::intake::{self, IntakeConfig};
use serde_json::{Value, json};

use crate::support::fake_discord::FakeDiscord;
use crate::support::fixtures::root;
use crate::support::home::Home;

/// The entry of a session in `status --json`.
fn session<'a>(status: &'a Value, id: &str) -> &'a Value {
    let sessions = status["sessions"].as_array().unwrap();
    sessions.iter().find(|session| session["id"] == id).unwrap_or(&Value::Null)
}

/// Whether the daemon itself says so: until it answers, `status` reads the files on its own.
fn is_told(status: &Value) -> bool {
    status["daemon"]["state"] == "running"
}

fn total(status: &Value, id: &str) -> Value {
    session(status, id)["tokens"]["total"].clone()
}

#[test]
fn status_shows_a_session_without_a_daemon() {
    let home = Home::new();
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let status = home.status();
    let shown = session(&status, &claude.id);
    for (key, expected) in
        [("agent", json!("claude")), ("surface", json!("cli")), ("activity", json!("running"))]
    {
        assert_eq!(shown[key], expected, "{key}");
    }
    assert_eq!(shown["tokens"], json!({"delta": 4_500, "last": 4_500, "total": 4_500}));
    assert_eq!(status["card"]["name"], "Claude Code");
    assert_eq!(status["card"]["details"], "Running a command · Opus 5");
    assert_eq!(status["card"]["state"], "+4.5K | 4.5K | 4.5K tokens");
    assert_eq!(status["limits"], json!([]), "absent, not invented");
}

#[test]
fn a_source_that_is_switched_off_is_not_read() {
    let home = Home::new();
    home.claude_session().turn().call(4_500);
    home.settings("[sources]\nclaude = false\n");
    assert_eq!(home.status()["sessions"], json!([]));
}

#[test]
fn the_card_follows_a_growing_session() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    home.wait_for_status("the daemon", |status| status["daemon"]["state"] == "running");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    daemon.wait_for_output("Claude Code");
    daemon.wait_for_output("Running a command · Opus 5");
    claude.call_done().end(1_500);
    let status =
        home.wait_for_status("the end", |status| is_told(status) && total(status, &claude.id) == 6_000);
    let tokens = &session(&status, &claude.id)["tokens"];
    assert_eq!(*tokens, json!({"delta": 1_500, "last": 6_000, "total": 6_000}));
    daemon.wait_for_output("Waiting for input · Opus 5");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn helpers_have_their_own_tokens_and_are_never_shown() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let mut helpers = ["subagents", "subagents/workflows/wf_0a1b", ".."].map(|folder| claude.helper(folder));
    for helper in &mut helpers {
        helper.turn().call(700);
    }
    let all_there = |status: &Value| helpers.iter().all(|helper| total(status, &helper.id) == 700);
    let status = home.wait_for_status("the helpers", |status| is_told(status) && all_there(status));
    assert_eq!(total(&status, &claude.id), 4_500);
    for helper in &helpers {
        assert_eq!(session(&status, &helper.id)["parent"], claude.id.as_str());
        assert_eq!(session(&status, &helper.id)["shown"], false);
    }
    assert_eq!(status["card"]["session"], claude.id.as_str());
    daemon.terminate();
}

#[test]
fn what_a_copy_has_from_its_original_counts_once() {
    for says_so in [true, false] {
        let home = Home::new();
        let daemon = home.start("run --dry-run");
        let mut original = home.claude_session();
        original.turn().call(4_500).call_done().end(500);
        home.wait_for_status("the original", |status| {
            is_told(status) && total(status, &original.id) == 5_000
        });
        let mut copy = original.fork(says_so);
        copy.turn().call(700);
        let status =
            home.wait_for_status("the copy", |status| is_told(status) && total(status, &copy.id) == 700);
        assert_eq!(total(&status, &original.id), 5_000);
        assert!(!daemon.terminate().err.contains("+5,000"));
        let status = home.status();
        assert_eq!((total(&status, &original.id), total(&status, &copy.id)), (json!(5_000), json!(700)));
    }
}

/// It may not have been written to for long, and lie in another project's folder than its copies.
#[test]
fn copied_usage_of_an_old_original_is_not_counted() {
    let home = Home::new();
    let mut original = home.claude_session();
    original.turn().call(4_500).call_done().end(500);
    let (mut one, mut two) = (original.fork(false), original.fork(false));
    one.turn().end(700);
    original.relocate();
    let old = std::time::SystemTime::from(clock::now().wall) - std::time::Duration::from_secs(3 * 24 * 3600);
    fs::File::options().append(true).open(&original.path).unwrap().set_modified(old).unwrap();
    assert_eq!(total(&home.status(), &one.id), 700, "without a daemon");
    let daemon = home.start("run --dry-run");
    home.wait_for_status("the first copy", |status| is_told(status) && total(status, &one.id) == 700);
    two.turn().end(20);
    let status =
        home.wait_for_status("the second copy", |status| is_told(status) && total(status, &two.id) == 20);
    assert_eq!(total(&status, &one.id), 700);
    daemon.terminate();
}

/// Whichever of the two gets a line first counts it, and neither the order of reading nor a restart changes the sum.
#[test]
fn a_session_in_two_folders_has_one_total_that_goes_on() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    let mut original = home.claude_session();
    original.turn().call(4_500).call_done().end(500);
    let id = original.id.clone();
    let is = |expected: u64| {
        let told = home.wait_for_status(&format!("a total of {expected}"), |status| {
            is_told(status) && total(status, &id) == expected
        });
        assert_eq!(told["sessions"].as_array().unwrap().len(), 1, "{told:#}");
    };
    is(5_000);
    let mut copy = original.copied();
    copy.turn().call(700).call_done();
    is(5_700);
    original.turn().end(100);
    is(5_800);
    // A mirror brings the line of the one to the other.
    let lines = fs::read_to_string(&original.path).unwrap();
    let newest = lines.lines().last().unwrap();
    fs::write(&copy.path, fs::read_to_string(&copy.path).unwrap() + newest + "\n").unwrap();
    copy.end(30);
    is(5_830);
    let err = daemon.terminate().err;
    assert!(err.contains("+700") && err.contains("(+30)") && !err.contains("+5,000"), "{err}");
    assert_eq!(total(&home.status(), &id), 5_830, "without a daemon");
    // The original may be as old as it likes.
    let old = std::time::SystemTime::from(clock::now().wall) - std::time::Duration::from_secs(3 * 24 * 3600);
    fs::File::options().append(true).open(&original.path).unwrap().set_modified(old).unwrap();
    assert_eq!(total(&home.status(), &id), 5_830);
    let again = home.start("run --dry-run");
    is(5_830);
    again.terminate();
}

/// As when the whole of a home is copied to where another version of the agent looks for it.
#[test]
fn a_session_in_two_homes_counts_once() {
    let home = Home::new();
    let homes = [home.path("home/.claude"), home.path("home/.config/claude")];
    home.settings(&format!("[sources]\nclaude_home = {homes:?}\n"));
    let daemon = home.start("run --dry-run");
    let mut original = home.claude_session();
    original.turn().call(4_500).call_done().end(500);
    let id = original.id.clone();
    let is = |expected: u64| {
        home.wait_for_status(&format!("a total of {expected}"), |status| {
            is_told(status) && total(status, &id) == expected
        });
    };
    is(5_000);
    let mut copy = original.copied_to(&homes[1].join("projects/-home-app"));
    copy.turn().call(700);
    is(5_700);
    original.turn().end(100);
    is(5_800);
    assert!(!daemon.terminate().err.contains("+5,000"));
    assert_eq!(total(&home.status(), &id), 5_800, "without a daemon");
}

/// Leaving a plan, and resuming in some versions.
#[test]
fn a_file_whose_lines_name_another_session_is_a_session_of_its_own() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    let mut named = home.claude_session();
    named.turn().call(4_500).call_done().end(500);
    home.wait_for_status("the first", |status| is_told(status) && total(status, &named.id) == 5_000);
    let mut other = named.under_another_name();
    other.turn().call(700);
    let totals = |status: &Value| (total(status, &named.id), total(status, &other.id));
    let expected = (json!(5_000), json!(700));
    home.wait_for_status("both", |status| is_told(status) && totals(status) == expected);
    assert!(!daemon.terminate().err.contains("+5,000"));
    assert_eq!(totals(&home.status()), expected, "without a daemon");
}

#[test]
fn a_moved_session_goes_on_and_a_deleted_one_has_ended() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    home.wait_for_status("the session", |status| is_told(status) && total(status, &claude.id) == 4_500);
    claude.relocate().call_done().call(500);
    let status =
        home.wait_for_status("the next call", |status| is_told(status) && total(status, &claude.id) == 5_000);
    assert_eq!(status["sessions"].as_array().unwrap().len(), 1, "{status:#}");
    fs::remove_file(&claude.path).unwrap();
    home.wait_for_status("its end", |status| is_told(status) && status["card"].is_null());
    let ended = daemon.terminate();
    let last = ended.err.lines().rfind(|line| line.contains("Token usage")).unwrap();
    assert!(last.contains("Token usage: total=5,000 input=4,500 (+ 20,000 cached) output=500"), "{last}");
}

/// One card for both agents: it is the shown session's, with its name, and goes to the other when a turn ends.
#[test]
fn the_card_follows_the_agent_in_use_without_flapping() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut codex = home.session();
    codex.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");
    let first = discord.activity(1).unwrap();
    assert_eq!(first["name"], "Codex");
    let mut claude = home.claude_session();
    claude.turn().call(700);
    for _ in 0..5 {
        claude.call_done().call(100);
        codex.tokens(100);
    }
    codex.end();
    let card = discord.wait_for_presence("Claude Code's", |card| card["name"] == "Claude Code");
    assert!(!card["state"].as_str().unwrap().contains("weekly"), "Codex's limits are not its own: {card}");
    let status = home.wait_for_status("both", |status| is_told(status) && total(status, &claude.id) == 1_200);
    let shown: Vec<_> =
        status["sessions"].as_array().unwrap().iter().filter(|session| session["shown"] == true).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["agent"], "claude");
    assert_eq!(total(&status, &codex.id), 5_000);
    daemon.terminate();
    let names: Vec<String> = discord.seen(|seen| {
        let cards = seen.frames.iter().map(|frame| &frame.body["args"]["activity"]["name"]);
        cards.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    });
    let mut changes = names.clone();
    changes.dedup();
    assert_eq!(changes, ["Codex", "Claude Code"], "{names:?}");
}

/// The families of the fixtures, each in a home of its own, read as the daemon reads them.
#[test]
fn the_sessions_of_a_home_add_up_to_one_count() {
    let families = [
        "1.0.17/resumed-copy",
        "2.0.76/agents-beside",
        "2.1.123/branch",
        "2.1.200/side-question",
        "2.1.286/subagents",
    ];
    for family in families {
        let folder = root(Agent::CLAUDE).join(family);
        let home = tempfile::tempdir().unwrap();
        copy(&folder, &home.path().join("projects/-p"));
        let totals = totals(home.path());
        let sum: u64 = totals.values().sum();
        assert_eq!(sum, super::claude::one_count_of(&folder), "{family}: {totals:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            // Not fs::copy: a recording's time would be copied with it.
            fs::write(&target, fs::read(&path).unwrap()).unwrap();
        }
    }
}

/// Each session's total, blended, as the intake reads a home once.
fn totals(home: &Path) -> BTreeMap<String, u64> {
    let label: Arc<str> = home.to_string_lossy().into();
    let homes = vec![AgentHome { agent: Agent::CLAUDE, path: home.to_owned(), label }];
    let totals = Arc::new(Mutex::new(BTreeMap::new()));
    let found = Arc::clone(&totals);
    intake::read_once(IntakeConfig::new(homes, Arc::new(clock::now)), move |event| {
        if let SourceEvent::Updated { update, .. } = event {
            let total = update.session.usage.session_total_tokens;
            let total = total.map_or(0, |total| total.blended());
            found.lock().unwrap().insert(update.session.id, total);
        }
        ControlFlow::Continue(())
    });
    let totals = totals.lock().unwrap();
    totals.clone()
}
