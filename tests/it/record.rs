//! The record of usage events: it has each event once, whole, through crashes of the daemon and faults of the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{BufReader, Write};
use std::path::PathBuf;

use agent_presence::io::clock;
use serde_json::{Value, json};

use crate::support::codex_session::CodexSession;
use crate::support::control::{Stream, connect, hear, request, say};
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::process::Process;

const ON: &str = "[record]\nenabled = true\n";

/// A user who wants a record.
fn recording() -> Home {
    let home = Home::new();
    home.settings(ON);
    home
}

fn folder(home: &Home) -> PathBuf {
    home.state().join("record")
}

/// The file of this month.
fn file(home: &Home) -> PathBuf {
    folder(home).join(clock::now().wall.strftime("%Y-%m.jsonl").to_string())
}

/// A daemon that has read every session there is.
fn started(home: &Home) -> Process {
    let daemon = home.start("run --dry-run");
    home.wait_for_status("the daemon", |status| {
        status["daemon"]["pid"] == daemon.pid() && !status["sessions"].as_array().unwrap().is_empty()
    });
    daemon
}

/// Waits until the daemon knows this total of a session; what it told before is then written.
fn wait_for_total(home: &Home, session: &str, total: u64) {
    home.wait_for_status("the total", |status| {
        let sessions = status["sessions"].as_array().unwrap();
        sessions.iter().any(|known| known["id"] == session && known["tokens"]["total"] == total)
    });
}

/// Every line of every month; each must be whole and JSON.
fn lines(home: &Home) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(folder(home)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let text: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn line: {text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Session, total and whether restored.
fn figures(home: &Home) -> Vec<(String, u64, bool)> {
    let figures = lines(home).into_iter().map(|line| {
        let total = line["tokens"]["total"].as_u64().unwrap();
        (line["session"].as_str().unwrap().to_owned(), total, line["restored"].as_bool().unwrap())
    });
    figures.collect()
}

fn totals(home: &Home) -> Vec<(u64, bool)> {
    figures(home).into_iter().map(|(_, total, restored)| (total, restored)).collect()
}

fn subscribe(home: &Home) -> BufReader<Stream> {
    let mut stream = connect(home);
    say(&mut stream, &request("subscribe", json!({})));
    assert_eq!(hear(&mut stream).unwrap()["ok"], true);
    stream
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_record_has_the_events_that_listeners_hear() {
    let home = recording();
    let mut session = home.session();
    session.turn().tokens(1_000);
    let _daemon = started(&home);
    wait_for_total(&home, &session.id, 1_000);
    let mut listener = subscribe(&home);
    let mut other = home.claude_session();
    other.turn().call(700).call_done().call(50);
    for _ in 0..20 {
        session.call().tokens(10).call_done();
    }
    wait_for_total(&home, &session.id, 1_200);
    wait_for_total(&home, &other.id, 750);

    let recorded = lines(&home);
    // What a new listener is told first is told to it alone.
    let restored = hear(&mut listener).unwrap()["event"].clone();
    assert_eq!((&restored["restored"], &restored["tokens"]["total"]), (&json!(true), &json!(1_000)));
    let mut told = Vec::new();
    while told.len() + 1 < recorded.len() {
        let event = hear(&mut listener).unwrap()["event"].clone();
        told.extend((event["event"] == "usage").then_some(event));
    }
    assert_eq!(recorded[1..], told, "after the restored line of the start");
    assert_eq!(recorded[0]["restored"], true);
    let sum = |id: &str| -> u64 {
        let of_session = recorded.iter().filter(|line| line["session"] == id && line["restored"] == false);
        of_session.map(|line| line["tokens"]["delta"].as_u64().unwrap()).sum()
    };
    assert_eq!((sum(&session.id), sum(&other.id)), (200, 750));
    #[cfg(unix)]
    assert_eq!((mode(&folder(&home)), mode(&file(&home))), (0o700, 0o600));
}

#[test]
fn there_is_no_record_unless_the_settings_ask_for_it() {
    let home = Home::new();
    home.session().turn().tokens(1_000);
    let daemon = started(&home);
    daemon.wait_for_log("restored=true");
    home.status();
    daemon.terminate();
    assert!(!folder(&home).exists());
}

#[test]
fn a_restart_adds_only_what_is_missing() {
    let home = recording();
    let (mut one, mut two) = (home.session(), home.session());
    one.turn().tokens(1_000);
    two.turn().tokens(300);
    for _ in 0..3 {
        let daemon = started(&home);
        wait_for_total(&home, &one.id, 1_000);
        wait_for_total(&home, &two.id, 300);
        daemon.terminate();
    }
    let mut before = figures(&home);
    before.sort();
    let mut expected = [(one.id.clone(), 1_000, true), (two.id.clone(), 300, true)];
    expected.sort();
    assert_eq!(before, expected);

    // Two events while no daemon runs: one line says where the session stands.
    two.tokens(20).tokens(3);
    let daemon = started(&home);
    wait_for_total(&home, &two.id, 323);
    two.tokens(7);
    wait_for_total(&home, &two.id, 330);
    daemon.kill();
    let _daemon = started(&home);
    wait_for_total(&home, &two.id, 330);
    let added = figures(&home).split_off(2);
    assert_eq!(added, [(two.id.clone(), 323, true), (two.id.clone(), 330, false)]);
}

#[test]
fn a_torn_line_is_cut_off() {
    let home = recording();
    let mut session = home.session();
    session.turn().tokens(1_000);
    let daemon = started(&home);
    session.tokens(50);
    wait_for_total(&home, &session.id, 1_050);
    daemon.kill();
    let whole = fs::read(file(&home)).unwrap();
    // The last event was written in part, and the disk put nothing after it.
    let half = whole.len() - 100;
    fs::write(file(&home), [&whole[..half], b"\0\0\0\0"].concat()).unwrap();
    let _daemon = started(&home);
    wait_for_total(&home, &session.id, 1_050);
    assert_eq!(totals(&home), [(1_000, true), (1_050, true)]);
}

#[test]
fn it_is_switched_on_and_off_while_the_daemon_runs() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(1_000);
    let daemon = started(&home);
    wait_for_total(&home, &session.id, 1_000);
    session.tokens(5);
    wait_for_total(&home, &session.id, 1_005);

    home.settings(ON);
    daemon.wait_for_log("record.enabled = true");
    session.tokens(10);
    wait_for_total(&home, &session.id, 1_015);
    home.settings("[record]\nenabled = false\n");
    daemon.wait_for_log("record.enabled = false");
    session.tokens(20);
    wait_for_total(&home, &session.id, 1_035);
    home.settings("[record]\nenabled = true\nkeep = \"2 months\"\n");
    daemon.wait_for_log("record.keep");
    session.tokens(40);
    wait_for_total(&home, &session.id, 1_075);
    let expected = [(1_005, true), (1_015, false), (1_035, true), (1_075, false)];
    assert_eq!(totals(&home), expected);
}

#[test]
fn old_months_go_and_nothing_else() {
    let home = recording();
    home.session().turn().tokens(1_000);
    fs::create_dir_all(folder(&home)).unwrap();
    let months_ago = |months: i64| {
        let day = clock::now().wall.as_second() - months * 31 * 86_400;
        let at = jiff::Timestamp::from_second(day).unwrap();
        at.strftime("%Y-%m.jsonl").to_string()
    };
    let strange = ["2001-01.jsonl.bak", "2001-1.jsonl", "2001-01-01.jsonl", "notes.txt"].map(str::to_owned);
    let ours = [months_ago(14), months_ago(5), months_ago(2)];
    for name in strange.iter().chain(&ours) {
        fs::write(folder(&home).join(name), "").unwrap();
    }
    let daemon = started(&home);
    let left =
        |names: &[String]| names.iter().map(|name| folder(&home).join(name).exists()).collect::<Vec<_>>();
    assert_eq!(left(&ours), [false, true, true]);
    home.settings("[record]\nenabled = true\nkeep = \"3 months\"\n");
    daemon.wait_for_log("changed=\"record.keep = ");
    home.status();
    assert_eq!(left(&ours), [false, false, true]);
    assert_eq!(left(&strange), [true; 4]);
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_record_alone() {
    let home = recording();
    let mut session = home.session();
    session.turn().tokens(1_000);
    fs::create_dir_all(home.state()).unwrap();
    // The superuser may write to any folder, but this is none.
    fs::write(folder(&home), "").unwrap();
    let daemon = started(&home);
    session.tokens(10);
    session.tokens(20);
    wait_for_total(&home, &session.id, 1_030);
    let issues = home.status()["config"]["issues"].clone();
    let issue = issues[0].as_str().unwrap();
    assert!(issue.starts_with(&format!("could not write {}: ", file(&home).display())), "{issue}");
    assert!(issue.ends_with("\nhint: make its folder writable, or set record.enabled = false"), "{issue}");
    assert_eq!(daemon.log().matches("could not write").count(), 1, "{}", daemon.log());

    fs::remove_file(folder(&home)).unwrap();
    session.tokens(40);
    wait_for_total(&home, &session.id, 1_070);
    assert_eq!(totals(&home), [(1_030, true), (1_070, false)], "one restored line covers the gap");
    assert_eq!(home.status()["config"]["issues"], json!([]));
    daemon.wait_for_log(" can be written again");
}

#[test]
fn a_folder_that_was_removed_is_made_anew() {
    let home = recording();
    let mut session = home.session();
    session.turn().tokens(1_000);
    let daemon = started(&home);
    wait_for_total(&home, &session.id, 1_000);
    fs::remove_dir_all(folder(&home)).unwrap();
    session.tokens(10);
    wait_for_total(&home, &session.id, 1_010);
    assert_eq!(totals(&home), [(1_010, false)]);
    assert!(!daemon.log().contains("could not"), "{}", daemon.log());
}

/// The limit on the size of files is a disk that is full in the middle of a line.
#[cfg(target_os = "linux")]
#[cfg(unix)]
#[test]
fn a_full_disk_tears_no_line() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let home = recording();
    let mut session = home.session();
    session.turn().tokens(1_000);
    let program = home.command("");
    // What goes beyond the limit is then an error and no deadly signal.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" run --dry-run"]).arg(program.get_program());
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let daemon = Process::start(&mut command);
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    wait_for_total(&home, &session.id, 1_000);

    let room = |bytes: Option<u64>| {
        let pid = Pid::from_raw(daemon.pid().try_into().unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    let length = fs::metadata(file(&home)).unwrap().len();
    room(Some(length + 100));
    session.tokens(10);
    session.tokens(20);
    wait_for_total(&home, &session.id, 1_030);
    assert_eq!(totals(&home), [(1_000, true)]);
    let issues = home.status()["config"]["issues"].clone();
    let issue = issues[0].as_str().unwrap();
    assert!(issue.ends_with("\nhint: make room; the next usage event is recorded again"), "{issue}");
    assert_eq!(daemon.log().matches("could not write").count(), 1, "{}", daemon.log());

    room(None);
    session.tokens(40);
    wait_for_total(&home, &session.id, 1_070);
    assert_eq!(totals(&home), [(1_000, true), (1_030, true), (1_070, false)]);
    assert_eq!(home.status()["config"]["issues"], json!([]));
}

#[test]
fn one_daemon_goes_on_where_the_other_handed_over() {
    let home = recording();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.settings(&format!("{ON}[discord]\nclients = {:?}\n", [home.discord()]));
    let mut session = home.session();
    session.turn().tokens(1_000);
    let mut daemon = home.start("run");
    discord.wait_for_presence("a card", |_| true);
    for round in 1..=3 {
        session.tokens(10);
        wait_for_total(&home, &session.id, 1_000 + round * 10);
        let next = home.start("run");
        home.wait_for_status("the next one", |status| status["daemon"]["pid"] == next.pid());
        wait_for_total(&home, &session.id, 1_000 + round * 10);
        assert_eq!(std::mem::replace(&mut daemon, next).wait_for_end().code, Some(0));
    }
    session.tokens(10);
    wait_for_total(&home, &session.id, 1_040);
    assert_eq!(
        totals(&home),
        [(1_000, true), (1_010, false), (1_020, false), (1_030, false), (1_040, false)]
    );
}

/// `tests/soak/record.py` does the same at more moments.
#[test]
fn killed_at_any_moment_it_has_no_torn_and_no_repeated_line() {
    let home = recording();
    let mut sessions: Vec<CodexSession> = (0..3).map(|_| home.session()).collect();
    sessions.iter_mut().for_each(|session| {
        session.turn().tokens(100);
    });
    for kill in 0..10 {
        let daemon = started(&home);
        let length = || fs::metadata(file(&home)).map_or(0, |metadata| metadata.len());
        // Killed while it writes, after a few bytes more each time.
        let until = length() + kill * 331;
        let mut lines = 0..200;
        let start = clock::now().mono;
        while length() < until && clock::now().mono < start + crate::support::PATIENCE {
            match lines.next() {
                Some(line) => _ = sessions[line % 3].tokens(1),
                None => std::thread::yield_now(),
            }
        }
        daemon.kill();
        let torn = OpenOptions::new().append(true).open(file(&home));
        if kill % 2 == 0 {
            torn.unwrap().write_all(b"{\"at\":\"20").unwrap();
        }
    }
    let _daemon = started(&home);
    let mut truth = BTreeMap::new();
    for session in &sessions {
        let events = home.output(&format!("replay --json {}", session.path.display()));
        let usage = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let total = usage.rev().find(|event| event["event"] == "usage").unwrap()["tokens"]["total"].clone();
        truth.insert(session.id.clone(), total.as_u64().unwrap());
        wait_for_total(&home, &session.id, total.as_u64().unwrap());
    }
    let recorded = figures(&home);
    let last: BTreeMap<String, u64> = recorded.iter().map(|(id, total, _)| (id.clone(), *total)).collect();
    assert_eq!(last, truth);
    let mut seen = BTreeSet::new();
    for (id, total, _) in &recorded {
        assert!(seen.insert((id, total)), "{total} of {id} twice");
    }
}
