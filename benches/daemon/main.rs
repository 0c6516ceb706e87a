//! What the program costs, beside the least that the same work takes: see README.md in the folder above.
//!
//! Each row can be had alone. What is compared runs at once or in turns, so that a busy machine is busy for both.
#![cfg_attr(
    unix,
    expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "a benchmark measures time, and has nothing to do when it cannot begin"
    )
)]

#[cfg(unix)]
mod corpus;
#[cfg(unix)]
mod counting;
#[cfg(unix)]
mod database;
#[cfg(unix)]
mod discord;
#[cfg(unix)]
mod floor;
#[cfg(unix)]
mod following;
#[cfg(unix)]
mod home;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod starting;
#[cfg(unix)]
mod table;

#[cfg(unix)]
use std::path::PathBuf;
#[cfg(unix)]
use std::time::Duration;

/// What is measured.
#[cfg(unix)]
struct Programs {
    daemon: PathBuf,
    floor: PathBuf,
    ccusage: Option<PathBuf>,
}

/// So many old sessions are more than anybody has.
#[cfg(unix)]
const CROWD: usize = 200_000;

#[cfg(unix)]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts benchmarks as well, without this.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let quick = has("--quick");
    const ALL: [&str; 7] = ["latency", "idle", "growth", "start", "counting", "single", "database"];
    // What takes long to make is measured only when it is named.
    let crowd = has("crowd");
    let wanted = |name: &str| has(name) || !crowd && !ALL.iter().any(|name| has(name));
    let daemon = PathBuf::from(env!("CARGO_BIN_EXE_agent-presence"));
    let floor = daemon.with_file_name("examples").join("floor");
    let programs = Programs { daemon, floor, ccusage: counting::ccusage() };
    if wanted("counting") && programs.ccusage.is_none() {
        println!("no ccusage: set CCUSAGE to its native binary to compare with it\n");
    }
    table::Row::print_head();
    let mut print = |row: table::Row| row.print();
    let seconds = Duration::from_secs;
    std::thread::scope(|scope| {
        // The idle rows take long and disturb no other row, once their files are made.
        let (ready, prepared) = std::sync::mpsc::channel();
        let idle = (wanted("idle") || crowd).then(|| {
            let programs = &programs;
            scope.spawn(move || {
                let (sessions, window): (&[usize], _) = match (crowd, quick) {
                    (_, true) => (&[0, 100], seconds(5)),
                    (true, false) => (&[CROWD], seconds(60)),
                    (false, false) => (&[0, 1000, 10_000], seconds(60)),
                };
                let mut rows = Vec::new();
                following::idle(programs, sessions, window, !quick, &ready, &mut |row| rows.push(row));
                rows
            })
        });
        if idle.is_some() {
            let _broke_off = prepared.recv();
        }
        if wanted("counting") {
            counting::counting(&programs, if quick { 20 } else { 1000 }, &mut print);
        }
        if wanted("growth") {
            let (sessions, window): (&[usize], _) =
                if quick { (&[1, 10], seconds(3)) } else { (&[1, 10, 100], seconds(30)) };
            following::growth(&programs, sessions, window, &mut print);
        }
        if wanted("latency") {
            following::latency(&programs, if quick { 3 } else { 20 }, &mut print);
        }
        if wanted("start") {
            let sizes: &[usize] = if quick { &[10, 20] } else { &[100, 2000, 8000] };
            starting::starts(&programs, sizes, if quick { 1 } else { 3 }, &mut print);
        }
        if crowd {
            starting::names(&programs, if quick { 100 } else { CROWD }, &mut print);
        }
        if wanted("single") {
            starting::single(&programs, if quick { 1 } else { 5 }, &mut print);
        }
        if wanted("database") {
            let (megabytes, changes) = if quick { (200, 3) } else { (8000, 20) };
            database::database(&programs, megabytes, changes, &mut print);
        }
        let rows = idle.map(std::thread::ScopedJoinHandle::join);
        rows.into_iter().flatten().flatten().for_each(print);
    });
}

#[cfg(unix)]
fn percentile(durations: &[Duration], percent: usize) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(not(unix))]
fn main() {
    println!("the benchmark needs Unix sockets");
}
