//! How fast session files are counted: against looking for line ends alone, against parsing usage lines alone, and
//! against other programs on the same files.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use agent_presence::core::file::SessionFile;
use agent_presence::core::source::Agent;
use jiff::{Timestamp, ToSpan};
use memchr::memmem;

use crate::Programs;
use crate::corpus::Corpus;
use crate::floor;
use crate::home::Home;
use crate::table::{Goal, Row};

/// The reading buffer, as large as the daemon's.
const CHUNK: usize = 256 << 10;

/// The fastest of so many rounds counts: everything slower is the machine's other work.
const ROUNDS: usize = 5;

/// Of about this size are sessions.
const SESSION: usize = 2_000_000;

struct Files {
    agent: Agent,
    folder: PathBuf,
    paths: Vec<PathBuf>,
    bytes: u64,
    /// What is in them, as the one who wrote them knows.
    tokens: u64,
}

/// Files of so many megabytes of each agent.
pub(crate) fn counting(programs: &Programs, megabytes: usize, print: &mut dyn FnMut(Row)) {
    let home = Home::new();
    let mut corpus = Corpus::new(6);
    for agent in [Agent::CODEX, Agent::CLAUDE] {
        let files = write(&home, &mut corpus, agent, megabytes);
        let gigabytes = |seconds: f64| files.bytes as f64 / 1e9 / seconds;
        let name = if agent == Agent::CODEX { "Codex" } else { "Claude" };
        let (mut ours, mut lines, mut typed, mut replayed) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            // In turns, so that a busy minute is one for all of them.
            lines = lines.min(seconds(|| line_ends(&files.paths)));
            typed =
                typed.min(seconds(|| assert_eq!(typed_tokens(&files), files.tokens, "the floor's total")));
            let count = || assert_eq!(counted(files.agent, &files.paths), files.tokens, "our total");
            ours = ours.min(seconds(count));
        }
        for _ in 0..2 {
            let mut replay = home.command(&programs.daemon);
            replay.args(["replay", "--json"]).arg(&files.folder).stdout(Stdio::null());
            replayed =
                replayed.min(seconds(|| assert!(replay.status().is_ok_and(|status| status.success()))));
        }
        let row = |what: &str, seconds, floor| {
            Row::new(format!("{name}, {what}"), "GB/s", gigabytes(seconds), Some(gigabytes(floor)))
        };
        print(row("counting against line ends alone", ours, lines));
        let goal = if agent == Agent::CODEX { 0.6 } else { 0.5 };
        print(row("counting against typed usage lines", ours, typed).goal(Goal::OfFloor(goal)));
        print(row("replay --json against counting", replayed, ours).goal(Goal::OfFloor(0.5)));
        let Some(ccusage) = &programs.ccusage else { continue };
        let (mut theirs, mut together) = (f64::MAX, f64::MAX);
        let mut total = 0;
        for _ in 0..ROUNDS {
            let mut command = home.command(ccusage);
            let word = if agent == Agent::CODEX { "codex" } else { "claude" };
            command.args([word, "daily", "--json", "--offline"]).stderr(Stdio::null());
            let began = Instant::now();
            let output = command.output().map(|output| output.stdout).unwrap_or_default();
            theirs = theirs.min(began.elapsed().as_secs_f64());
            total = total_of(&output);
            together =
                together.min(seconds(|| assert_eq!(counted_by_all(&files), files.tokens, "our total")));
        }
        print(row("counting on all cores against ccusage", together, theirs).goal(Goal::OfFloor(2.0)));
        print(row("counting on one core against ccusage on all", ours, theirs));
        print(Row::new(
            format!("{name}, tokens that ccusage counts otherwise"),
            "",
            total.abs_diff(files.tokens) as f64,
            None,
        ));
    }
}

fn write(home: &Home, corpus: &mut Corpus, agent: Agent, megabytes: usize) -> Files {
    let count = (megabytes * 1_000_000 / SESSION).max(1);
    let mut files = Files {
        agent,
        folder: home.path(if agent == Agent::CODEX { "codex" } else { "claude" }),
        paths: Vec::new(),
        bytes: 0,
        tokens: 0,
    };
    for number in 0..count {
        let began = Timestamp::now() - (i64::try_from(count - number).unwrap_or(1) * 2).hours();
        let id = format!("019a0000-0000-4000-8000-{number:012x}");
        let mut bytes = Vec::new();
        let (folder, used) = match agent.word() {
            "codex" => {
                let folder = began.strftime("sessions/%Y/%m/%d").to_string();
                (folder, corpus.codex(&id, began, SESSION, &mut bytes))
            }
            _ => ("projects/-home-ada-app".to_owned(), corpus.claude(&id, began, SESSION, &mut bytes)),
        };
        let folder = files.folder.join(folder);
        fs::create_dir_all(&folder).expect("a session folder");
        let name = match agent.word() {
            "codex" => format!("rollout-{}-{id}.jsonl", began.strftime("%Y-%m-%dT%H-%M-%S")),
            _ => format!("{id}.jsonl"),
        };
        let path = folder.join(name);
        fs::write(&path, &bytes).expect("a session file");
        files.bytes += bytes.len() as u64;
        files.tokens += used.all();
        files.paths.push(path);
    }
    files
}

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64()
}

/// Reads a file through the one buffer that everybody reads through.
fn chunks(path: &Path, buffer: &mut [u8], mut each: impl FnMut(&[u8])) {
    let mut file = File::open(path).expect("a session file");
    while let Ok(read @ 1..) = file.read(buffer) {
        each(&buffer[..read]);
    }
}

/// The same on as many threads as ccusage uses; the daemon has one, because it is never in a hurry.
fn counted_by_all(files: &Files) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = files.paths.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts = files.paths.chunks(share).map(|part| scope.spawn(move || counted(files.agent, part)));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap_or_default()).sum()
    })
}

/// The daemon's own counting pass.
fn counted(agent: Agent, paths: &[PathBuf]) -> u64 {
    let mut buffer = vec![0; CHUNK];
    let count = |path: &PathBuf| {
        let mut file = SessionFile::new(agent, "".into(), Timestamp::MAX);
        chunks(path, &mut buffer, |bytes| file.push(bytes));
        file.caught_up();
        if file.lineage_wanted().is_some() {
            file.set_lineage(&[]);
        }
        let total = file.take_update().and_then(|update| update.session.usage.session_total_tokens);
        total.map_or(0, |total| total.all())
    };
    paths.iter().map(count).sum()
}

fn line_ends(paths: &[PathBuf]) -> u64 {
    let (mut lines, mut buffer) = (0, vec![0; CHUNK]);
    for path in paths {
        chunks(path, &mut buffer, |bytes| lines += memchr::memchr_iter(b'\n', bytes).count() as u64);
    }
    lines
}

/// The floor: whole lines are cut out around the words of lines that count, and only those are parsed, into what their
/// counting needs and nothing else.
fn typed_tokens(files: &Files) -> u64 {
    let is_codex = files.agent == Agent::CODEX;
    // Each agent writes what it used in lines of two kinds.
    let words: &[(&str, &[&str])] = if is_codex {
        &[("\"token_", &["count\"", "usage_record\""])]
    } else {
        &[("\"usage\":{", &[""]), ("\"cost-state\"", &[""])]
    };
    let words: Vec<_> = words.iter().map(|(word, ends)| (memmem::Finder::new(*word), *ends)).collect();
    let mut buffer = vec![0; CHUNK];
    let count = |path: &PathBuf| {
        let mut rest: Vec<u8> = Vec::with_capacity(2 * CHUNK);
        let (mut codex, mut claude) = (floor::Codex::default(), floor::Claude::default());
        let mut each = |line: &[u8]| if is_codex { codex.line(line) } else { claude.line(line) };
        chunks(path, &mut buffer, |chunk| {
            let Some(end) = memchr::memrchr(b'\n', chunk) else { return rest.extend_from_slice(chunk) };
            let mut whole = &chunk[..=end];
            if !rest.is_empty() {
                let first = memchr::memchr(b'\n', whole).map_or(0, |end| end + 1);
                rest.extend_from_slice(&whole[..first]);
                words.iter().for_each(|word| hits(&rest, word, &mut each));
                whole = &whole[first..];
                rest.clear();
            }
            words.iter().for_each(|word| hits(whole, word, &mut each));
            rest.extend_from_slice(&chunk[end + 1..]);
        });
        codex.total + claude.total
    };
    files.paths.iter().map(count).sum()
}

fn hits(bytes: &[u8], (word, ends): &(memmem::Finder<'_>, &[&str]), each: &mut impl FnMut(&[u8])) {
    let mut from = 0;
    while let Some(at) = word.find(&bytes[from..]).map(|at| from + at) {
        from = at + word.needle().len();
        // In texts a quote is written differently.
        if ends.iter().any(|end| bytes[from..].starts_with(end.as_bytes())) {
            let begin = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1);
            from = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end);
            each(&bytes[begin..from]);
        }
    }
}

fn total_of(report: &[u8]) -> u64 {
    let report: serde_json::Value = serde_json::from_slice(report).unwrap_or_default();
    report["totals"]["totalTokens"].as_u64().unwrap_or(0)
}

/// The native binary of ccusage, where one is named; without it its rows are left out.
pub(crate) fn ccusage() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("CCUSAGE").filter(|path| !path.is_empty())?);
    let runs = Command::new(&path).arg("--version").stdout(Stdio::null()).status();
    runs.is_ok_and(|status| status.success()).then_some(path)
}
