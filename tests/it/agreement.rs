//! One input, every place that tells its totals: `status --json`, the record, the log, `watch --json` and `replay --json`
//! agree to the token.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use agent_presence::core::numbers::separated;
use agent_presence::core::source::Agent;
use agent_presence::io::clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::fixtures;
use crate::support::home::Home;

/// The length of a time such as `2026-11-20T10:00:00.000Z`.
const STAMP: usize = 24;

/// A fixture on its way into a home, as if it were written just now.
struct Growing {
    path: PathBuf,
    lines: Vec<Vec<u8>>,
}

impl Growing {
    /// `None` where others have the session's id already, or there is none.
    fn new(fixture: &Path, agent: Agent, home: &Home, ids: &mut BTreeSet<String>) -> Option<Self> {
        let bytes = fs::read(fixture).unwrap();
        let id = id(agent, &bytes).filter(|id| ids.insert(id.clone()))?;
        let path = match agent.word() {
            "codex" => {
                home.codex().join(format!("sessions/2026/11/20/rollout-2026-11-20T10-00-00-{id}.jsonl"))
            }
            _ => home.claude().join(format!("projects/-home-app/{id}.jsonl")),
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let lines = up_to_date(bytes).split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        Some(Self { path, lines })
    }

    /// Appends this many lines, and says whether there are more.
    fn grow(&mut self, lines: usize) -> bool {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        let now = self.lines.drain(..lines.min(self.lines.len())).flatten().collect::<Vec<u8>>();
        file.write_all(&now).unwrap();
        !self.lines.is_empty()
    }
}

fn id(agent: Agent, bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let line: Value = serde_json::from_slice(line).ok()?;
        let id = match agent.word() {
            "codex" => &line["payload"]["id"],
            _ => &line["sessionId"],
        };
        id.as_str().map(str::to_owned)
    })
}

/// Moves every time so that the last one is now; all else stays to the byte.
fn up_to_date(mut bytes: Vec<u8>) -> Vec<u8> {
    let stamp =
        |bytes: &[u8]| str::from_utf8(bytes).ok()?.parse::<Timestamp>().ok().filter(|_| bytes[19] == b'.');
    let places =
        (0..bytes.len().saturating_sub(STAMP)).filter_map(|at| Some((at, stamp(&bytes[at..at + STAMP])?)));
    let places: Vec<(usize, Timestamp)> = places.collect();
    let last = places.iter().map(|(_, at)| *at).max().unwrap_or(Timestamp::UNIX_EPOCH);
    let by: SignedDuration = clock::now().wall.duration_since(last);
    for (place, at) in places {
        let moved = at.checked_add(by).unwrap().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        bytes[place..place + STAMP].copy_from_slice(moved.as_bytes());
    }
    bytes
}

/// Every fixture that needs no other file.
fn all(home: &Home) -> Vec<Growing> {
    let mut ids = BTreeSet::new();
    let mut growing = Vec::new();
    for agent in [Agent::CODEX, Agent::CLAUDE] {
        let root = fixtures::root(agent);
        let alone = fixtures::all(agent).into_iter().filter(|path| path.ancestors().nth(2) == Some(&root));
        growing.extend(alone.filter_map(|path| Growing::new(&path, agent, home, &mut ids)));
    }
    growing
}

fn events(text: &str) -> Vec<Value> {
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "usage").collect()
}

fn total(event: &Value) -> u64 {
    event["tokens"]["total"].as_u64().unwrap()
}

/// The last total of each session.
fn totals(events: &[Value]) -> BTreeMap<String, u64> {
    events.iter().map(|event| (event["session"].as_str().unwrap().to_owned(), total(event))).collect()
}

/// Agent, short id, total, what was added and whether restored, as a line of the log shows them.
fn logged(event: &Value) -> (String, String, bool) {
    let short = agent_presence::cmd::show::short_id(event["session"].as_str().unwrap());
    let delta = event["tokens"]["delta"].as_u64().unwrap_or_default();
    let restored = event["restored"].as_bool().unwrap();
    let added = if restored || delta == 0 { String::new() } else { format!(" (+{})", separated(delta)) };
    let agent = event["agent"].as_str().unwrap();
    (format!("{agent} {short}"), format!("{}{added}", separated(total(event))), restored)
}

fn log_line(line: &str) -> Option<(String, String, bool)> {
    let field =
        |name: &str| Some(line.split_once(&format!(" {name}="))?.1.split(' ').next()?.trim_matches('"'));
    let restored = field("restored")? == "true";
    let (_, figures) = line.split_once("Token usage: total=")?;
    let (total, _) = figures.split_once(" input=")?;
    Some((format!("{} {}", field("agent")?, field("session")?), total.to_owned(), restored))
}

#[test]
fn every_command_shows_the_same_totals() {
    let home = Home::new();
    home.settings("[record]\nenabled = true\n");
    let mut growing = all(&home);
    assert!(growing.len() > 100, "{} fixtures", growing.len());
    // Some lines are there before the daemon is, the rest comes while it runs, a few lines of each file in turn.
    for file in &mut growing {
        file.grow(file.lines.len() / 3);
    }
    let daemon = home.start("run --dry-run");
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    let watch = home.start("watch --json");
    watch.wait_for_output("\"restored\":true");
    for round in 1.. {
        growing.retain_mut(|file| file.grow(1 + round % 3));
        if growing.is_empty() {
            break;
        }
    }

    let folders = [home.codex(), home.claude()].map(|folder| folder.display().to_string());
    let replayed = totals(&events(&home.output(&format!("replay --json {}", folders.join(" ")))));
    assert!(replayed.len() > 100, "{} sessions with figures", replayed.len());
    home.wait_for_status("the totals of `replay`", |status| {
        let sessions = status["sessions"].as_array().unwrap().iter();
        let known = sessions.filter_map(|session| {
            Some((session["id"].as_str()?.to_owned(), session["tokens"]["total"].as_u64()?))
        });
        known.collect::<BTreeMap<_, _>>() == replayed
    });
    let month = clock::now().wall.strftime("record/%Y-%m.jsonl").to_string();
    let recorded = events(&fs::read_to_string(home.state().join(month)).unwrap());
    assert_eq!(totals(&recorded), replayed);
    let is_news = |event: &Value| event["event"] == "usage" && event["restored"] == false;
    let news: Vec<&Value> = recorded.iter().filter(|event| is_news(event)).collect();
    let parsed = |line: &str| serde_json::from_str::<Value>(line).ok().filter(is_news);
    watch.wait_for_line("the last event", |line| parsed(line).filter(|event| event == news[news.len() - 1]));
    let watched: Vec<Value> = watch.output().lines().filter_map(parsed).collect();
    assert_eq!(watched.iter().collect::<Vec<_>>(), news);
    let log = daemon.terminate().err;
    let told: Vec<_> = log.lines().filter_map(log_line).collect();
    assert_eq!(told, recorded.iter().map(logged).collect::<Vec<_>>());

    // From any line to the next one of the same session the total rises by what the event says that it added.
    let mut before: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &recorded {
        let known = before.insert(event["session"].as_str().unwrap(), total(event)).unwrap_or_default();
        let added = event["tokens"]["delta"].as_u64().unwrap();
        assert!(event["restored"] == true || known + added == total(event), "{known} before {event}");
    }
}
