//! A Codex thread that several files tell: it went on in another one, or a file was copied.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use agent_presence::io::clock;
use serde_json::{Value, json};

use crate::codex;
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

const FOLDER: &str = "0.160/thread-in-two-files";
const BEGUN: &str = "rollout-2026-10-06T10-00-00-01a110a7-e100-7a01-8a01-00be00000a01.jsonl";
const GOES_ON: &str = "rollout-2026-10-06T10-20-00-01a110a7-e100-7a01-8a01-00be00000a01_01a110ba-3080-7a02-8a02-00be00000a02.jsonl";
const FORK: &str = "rollout-2026-10-06T10-40-00-01a110cc-8000-7a03-8a03-00be00000a03.jsonl";

/// A home with these fixtures, each below this folder.
fn home_with(files: &[(&str, &str)]) -> Home {
    let home = Home::new();
    for (name, folder) in files {
        let folder = home.codex().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(codex::root().join(FOLDER).join(name), folder.join(name)).unwrap();
    }
    home
}

fn replayed(home: &Home, paths: &[&str]) -> Vec<Value> {
    let paths: Vec<String> =
        paths.iter().map(|path| home.codex().join(path).to_string_lossy().into_owned()).collect();
    let output = home.output(&format!("replay --json {}", paths.join(" ")));
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The totals of a session in the order in which they were told, and the last word on it: tokens and start.
fn told(events: &[Value], id: &str) -> (Vec<u64>, Value) {
    let is_of = |event: &&Value| event["session"].as_str().is_some_and(|session| session.ends_with(id));
    let usage = events.iter().filter(|event| event["event"] == "usage").filter(is_of);
    let totals = usage.map(|event| event["tokens"]["total"].as_u64().unwrap()).collect();
    let is_end = |event: &&Value| {
        event["ended"] == true && event["session"]["id"].as_str().is_some_and(|session| session.ends_with(id))
    };
    let ends: Vec<_> = events.iter().filter(is_end).collect();
    let session = &ends.last().unwrap()["session"];
    (totals, json!([session["tokens"], session["started_at"]]))
}

fn tokens(delta: u64, last: u64, total: u64) -> Value {
    json!([{"delta": delta, "last": last, "total": total}, "2026-10-06T10:00:00Z"])
}

#[test]
fn the_total_and_the_timer_go_on_in_another_file() {
    let home = home_with(&[(BEGUN, "sessions/2026/10/06"), (GOES_ON, "sessions/2026/10/06")]);
    let paths = [format!("sessions/2026/10/06/{BEGUN}"), format!("sessions/2026/10/06/{GOES_ON}")];
    let [one, other] = paths.each_ref().map(String::as_str);
    for given in [["sessions"].as_slice(), &[one, other], &[other, one]] {
        let (totals, end) = told(&replayed(&home, given), "0a01");
        assert_eq!((totals, end), (vec![4500, 7800, 13_500], tokens(5700, 5700, 13_500)), "{given:?}");
    }
    // Whichever files are there: what the counters of the later one start from is the thread's own.
    assert_eq!(told(&replayed(&home, &[one]), "0a01"), (vec![4500, 7800], tokens(3300, 3300, 7800)));
    assert_eq!(told(&replayed(&home, &[other]), "0a01"), (vec![10_200], tokens(5700, 5700, 10_200)));
}

#[test]
fn a_copy_of_a_file_counts_once() {
    let day = "sessions/2026/10/06";
    let home =
        home_with(&[(BEGUN, day), (GOES_ON, day), (BEGUN, "archived_sessions"), (GOES_ON, "elsewhere")]);
    let (totals, end) = told(&replayed(&home, &[""]), "0a01");
    assert_eq!((totals, end), (vec![4500, 7800, 13_500], tokens(5700, 5700, 13_500)));
}

#[test]
fn a_fork_of_a_thread_in_two_files_counts_its_own() {
    let day = "sessions/2026/10/06";
    for files in [
        [(FORK, day)].as_slice(),
        &[(FORK, day), (GOES_ON, day)],
        &[(FORK, day), (BEGUN, day), (GOES_ON, "archived_sessions")],
    ] {
        let home = home_with(files);
        let (totals, _) = told(&replayed(&home, &[""]), "0a03");
        assert_eq!(totals, [4600, 6000], "{files:?}");
    }
}

/// As after a request that failed, before anything was used.
#[test]
fn totals_that_are_repeated_in_the_next_file_count_once() {
    let home = Home::new();
    let folder = home.codex().join("sessions/2026/10/07");
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(codex::root().join("0.171/thread-repeats-its-totals")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let events = replayed(&home, &["sessions"]);
    let (totals, end) = told(&events, "0b0c");
    assert_eq!((totals, &end[0]["total"]), (vec![4500, 7800, 13_500], &json!(13_500)));
    assert_eq!(told(&events, "0b0f").0, [4600, 6000], "a fork");
}

/// Puts the thread's first file, as Codex compresses it, into this folder of a home.
fn compressed(home: &Home, folder: &str) -> PathBuf {
    let name = format!("{BEGUN}.zst");
    let folder = home.codex().join(folder);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(codex::root().join("0.160/compressed").join(&name), folder.join(&name)).unwrap();
    folder.join(name)
}

#[test]
fn a_compressed_file_is_read_like_any() {
    let home = home_with(&[(GOES_ON, "sessions/2026/10/06")]);
    let path = compressed(&home, "archived_sessions");
    let (totals, end) = told(&replayed(&home, &[""]), "0a01");
    assert_eq!((totals, end), (vec![4500, 7800, 13_500], tokens(5700, 5700, 13_500)));
    let alone = format!("archived_sessions/{BEGUN}.zst");
    assert_eq!(told(&replayed(&home, &[&alone]), "0a01").0, [4500, 7800]);

    // Beside it the file that it was made of, as after a crash.
    fs::copy(codex::root().join(FOLDER).join(BEGUN), path.with_file_name(BEGUN)).unwrap();
    assert_eq!(told(&replayed(&home, &[""]), "0a01").0, [4500, 7800, 13_500]);
}

#[test]
fn a_damaged_compressed_file_is_reported_in_one_line() {
    let home = Home::new();
    let path = compressed(&home, "sessions/2026/10/06");
    let whole = fs::read(&path).unwrap();
    let torn = whole.get(..whole.len() / 2).unwrap().to_vec();
    let mut changed = whole.clone();
    changed.iter_mut().skip(40).take(200).for_each(|byte| *byte ^= 0x55);
    for damaged in [torn, changed, whole.get(..6).unwrap().to_vec()] {
        fs::write(&path, damaged).unwrap();
        let ended = home.run(&format!("replay --json {}", path.display()));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
        assert!(ended.err.contains("it is compressed, and damaged"), "{ended:?}");
    }
}

/// Sets the files' lines into the present.
fn now(path: &Path, ago: i64) {
    let text = fs::read_to_string(path).unwrap();
    let now = clock::now().wall.as_second() - ago;
    let mut moved = String::new();
    for (number, line) in text.lines().enumerate() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let at = jiff::Timestamp::from_second(now + i64::try_from(number).unwrap()).unwrap();
        line["timestamp"] = json!(at.to_string());
        moved += &format!("{line}\n");
    }
    fs::write(path, moved).unwrap();
}

/// The file that a thread began in may be older than any that are followed.
#[test]
fn an_old_file_counts_as_long_as_its_thread_goes_on_in_another() {
    for is_compressed in [false, true] {
        old_file_counts(is_compressed);
    }
}

fn old_file_counts(is_compressed: bool) {
    let day = "sessions/2026/10/06";
    let home = home_with(&[(GOES_ON, day)]);
    let begun = if is_compressed {
        compressed(&home, "archived_sessions")
    } else {
        let folder = home.codex().join("archived_sessions");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(codex::root().join(FOLDER).join(BEGUN), folder.join(BEGUN)).unwrap();
        folder.join(BEGUN)
    };
    let old = SystemTime::from(clock::now().wall) - Duration::from_secs(3 * 24 * 3600);
    File::options().append(true).open(begun).unwrap().set_modified(old).unwrap();
    now(&home.codex().join(day).join(GOES_ON), 10);
    let figures = |status: &Value| {
        let sessions = status["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions[0]["tokens"].clone()
    };
    let expected = json!({"delta": 5700, "last": 5700, "total": 13_500});
    assert_eq!(figures(&home.status()), expected, "without a daemon");

    let discord = FakeDiscord::in_folder(&home.path("run"));
    let first = home.start("run");
    discord.wait_for_presence("the total", |card| card["state"] == "+5.7K | 5.7K | 13.5K tokens");
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    let status = home.wait_for_status("the second", |status| {
        status["daemon"]["pid"] == second.pid() && status["sessions"][0].is_object()
    });
    assert_eq!(figures(&status), expected, "over a takeover");
}

#[test]
fn a_file_that_appears_takes_no_figure_away() {
    let day = "sessions/2026/10/06";
    let home = home_with(&[(BEGUN, day)]);
    now(&home.codex().join(day).join(BEGUN), 60);
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let daemon = home.start("run");
    discord.wait_for_presence("the first", |card| card["state"] == "+3.3K | 3.3K | 7.8K tokens");

    let source = home.codex().join("later");
    fs::create_dir_all(&source).unwrap();
    let whole = source.join(GOES_ON);
    fs::copy(codex::root().join(FOLDER).join(GOES_ON), &whole).unwrap();
    now(&whole, 5);
    let lines = fs::read_to_string(&whole).unwrap();
    let first = lines.split_inclusive('\n').next().unwrap();
    let path = home.codex().join(day).join(GOES_ON);
    fs::write(&path, first).unwrap();
    let status = home.wait_for_status("the second file", |status| {
        status["skipped"]["unknown_types"] == 0 && status["sessions"][0]["last_event_at"] == last_at(first)
    });
    assert_eq!(status["sessions"][0]["tokens"], json!({"delta": 3300, "last": 3300, "total": 7800}));
    fs::write(&path, &lines).unwrap();
    discord.wait_for_presence("the second", |card| card["state"] == "+5.7K | 5.7K | 13.5K tokens");
    discord.seen(|seen| {
        for card in seen.activities.iter().flatten() {
            let state = card["state"].as_str().unwrap();
            assert!(state.ends_with("7.8K tokens") || state.ends_with("13.5K tokens"), "{state}");
        }
    });
    // Nothing of it is told twice, and what was used stays used.
    fs::remove_file(home.codex().join(day).join(BEGUN)).unwrap();
    home.wait_for_status("the end of the first file", |status| {
        status["sessions"][0]["tokens"]["total"] == 13_500
    });
    let log = daemon.terminate().err;
    let news = log.lines().filter(|line| line.contains("restored=false")).count();
    assert_eq!(news, 1, "{log}");
}

/// The stamp of the last line.
fn last_at(lines: &str) -> Value {
    let line: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    line["timestamp"].clone()
}
