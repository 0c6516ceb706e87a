//! The measurements, in the order of the table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::discord::Discord;
use crate::home::{Home, Program};

/// Between two appends: Discord shows four changes in twenty seconds, and the daemon sends no more.
const PACE: Duration = Duration::from_millis(5300);

/// How long system calls are counted for.
const IDLE: Duration = Duration::from_secs(20);

/// How long nothing may have come before it counts as quiet.
const QUIET: Duration = Duration::from_secs(2);

/// How large the measurement is.
struct Size {
    old_sessions: usize,
    appends: usize,
    starts: usize,
}

/// One line of the table: the daemon's figure and the floor's.
struct Row(&'static str, String, String);

pub(crate) fn all() {
    let size = Size {
        old_sessions: option("--old-sessions", 1000),
        appends: option("--appends", 20),
        starts: option("--starts", 5),
    };
    let daemon = PathBuf::from(env!("CARGO_BIN_EXE_agent-presence"));
    let floor = daemon.with_file_name("examples").join("floor");
    println!(
        "{} old sessions, {} appends, {} starts; this takes about {} s\n",
        size.old_sessions,
        size.appends,
        size.starts,
        PACE.as_secs() * size.appends as u64 + IDLE.as_secs() + 20
    );
    let rows = measure(&size, &daemon, &floor);
    println!("{:<40} {:>16} {:>16}", "", "agent-presence", "floor");
    for Row(what, daemon, floor) in rows {
        println!("{what:<40} {daemon:>16} {floor:>16}");
    }
}

fn measure(size: &Size, daemon: &Path, floor: &Path) -> Vec<Row> {
    let mut home = Home::with_old_sessions(size.old_sessions);
    let for_daemon = Discord::listen(home.path("daemon.sock"));
    let for_floor = Discord::listen(home.path("floor.sock"));
    let start_daemon = || home.daemon(daemon, for_daemon.path());
    let start_floor = || home.floor(floor, for_floor.path());
    let starts =
        [starts(size.starts, &for_daemon, start_daemon), starts(size.starts, &for_floor, start_floor)];
    let (daemon, floor) = (start_daemon(), start_floor());
    for_daemon.settle(QUIET);
    for_floor.settle(QUIET);
    let idle = [daemon.pid(), floor.pid()].map(system_calls);
    let latencies = latencies(size.appends, &mut home, [&for_daemon, &for_floor]);
    let memory = [daemon.pid(), floor.pid()].map(memory);

    let mut rows = Vec::new();
    let mut row = |what, [daemon, floor]: [String; 2]| rows.push(Row(what, daemon, floor));
    row("append to frame, median", latencies.each_ref().map(|all| milliseconds(percentile(all, 50))));
    row("append to frame, 95th percentile", latencies.map(|all| milliseconds(percentile(&all, 95))));
    row("start to first frame, median", starts.map(|all| milliseconds(percentile(&all, 50))));
    row("system calls in 20 idle seconds", idle);
    row("memory in use", memory);
    rows
}

/// From starting a program to its first activity.
fn starts(count: usize, discord: &Discord, start: impl Fn() -> Program) -> Vec<Duration> {
    let one = |_| {
        let began = Instant::now();
        let program = start();
        let took = discord.next().duration_since(began);
        drop(program);
        discord.settle(Duration::from_millis(100));
        took
    };
    (0..count).map(one).collect()
}

/// From appending a usage line to the activity that it leads to, of both at once.
fn latencies(count: usize, home: &mut Home, discords: [&Discord; 2]) -> [Vec<Duration>; 2] {
    let mut latencies = [Vec::new(), Vec::new()];
    for _ in 0..count {
        sleep(PACE);
        discords.iter().for_each(|discord| discord.settle(Duration::ZERO));
        let began = Instant::now();
        home.append();
        for (latencies, discord) in latencies.iter_mut().zip(discords) {
            latencies.push(discord.next().duration_since(began));
        }
    }
    latencies
}

/// How many system calls a process and its threads make while nothing happens.
fn system_calls(pid: u32) -> String {
    let trace = tempfile::NamedTempFile::new().expect("a temporary file");
    let strace =
        Command::new("strace").args(["-f", "-qq", "-p", &pid.to_string(), "-o"]).arg(trace.path()).spawn();
    let Ok(mut strace) = strace else { return "no strace".to_owned() };
    sleep(IDLE);
    let id = i32::try_from(strace.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
    }
    let _ = strace.wait();
    let lines = std::fs::read_to_string(trace.path()).unwrap_or_default();
    // A call that was under way at the beginning is resumed, one at the end detached: neither was made meanwhile.
    let calls = lines.lines().filter(|line| !line.contains("resumed") && !line.contains("<detached"));
    calls.filter(|line| line.contains('(')).count().to_string()
}

/// Resident memory, as `ps` knows it everywhere.
fn memory(pid: u32) -> String {
    let output = Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match text.ok().and_then(|text| text.parse::<f64>().ok()) {
        Some(kilobytes) => format!("{:.1} MB", kilobytes / 1024.0),
        None => "no ps".to_owned(),
    }
}

fn percentile(durations: &[Duration], percent: usize) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

/// The number after `name` on the command line.
fn option(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().and_then(|number| number.parse().ok()).unwrap_or(default)
}
