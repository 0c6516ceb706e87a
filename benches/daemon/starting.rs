//! From the start of the process to its first card, and the memory that it takes.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::corpus::Corpus;
use crate::discord::Discord;
use crate::home::{Home, Program};
use crate::process::{cpu, memory};
use crate::table::{Goal, Row};
use crate::{Programs, percentile};

/// Of about this size are sessions.
const SESSION: usize = 2_000_000;

/// So many megabytes are written at most.
const MOST_WRITTEN: usize = 2000;

/// When CPU time stands still for so long, everything has been read.
const QUIET: Duration = Duration::from_millis(500);

/// With so many megabytes of old sessions, one live one and twenty.
pub(crate) fn starts(programs: &Programs, megabytes: &[usize], starts: usize, print: &mut dyn FnMut(Row)) {
    let mut corpus = Corpus::new(4);
    let mut home = Home::new();
    let discords = ["daemon.sock", "floor.sock"].map(|name| Discord::listen(home.path(name)));
    let measure = |home: &Home, live: usize, size: usize, print: &mut dyn FnMut(Row)| {
        let mut took = [Vec::new(), Vec::new()];
        let mut most = [0.0_f64; 2];
        for _ in 0..starts {
            let [for_daemon, for_floor] = &discords;
            let ours = start(for_daemon, |socket| home.daemon(&programs.daemon, socket));
            let floor = start(for_floor, |socket| home.floor(&programs.floor, socket));
            took[0].push(ours.first);
            took[1].push(floor.first);
            most = [most[0].max(ours.peak), most[1].max(floor.peak)];
        }
        let [ours, floor] = took.map(|took| percentile(&took, 50).as_secs_f64() * 1000.0);
        let row = Row::new(format!("first card, {size} MB old, {live} live"), "ms", ours, Some(floor));
        print(if live == 1 { row.goal(Goal::TimesFloor(2.0)) } else { row });
        print(Row::new(format!("most resident, {size} MB old, {live} live"), "MB", most[0], Some(most[1])));
    };
    let mut there = 0;
    for size in megabytes {
        // Beyond what is written the same bytes have more names, which are read like any others.
        while there > 0 && there * 2 <= *size && there >= MOST_WRITTEN {
            home.link_old();
            there *= 2;
        }
        home.add_old(&mut corpus, size.saturating_sub(there) * 1_000_000 / SESSION, SESSION);
        there = there.max(*size);
        for live in [1, 20] {
            while home.live().len() < live {
                home.add_live(&mut corpus, SESSION);
            }
            measure(&home, live, *size, print);
        }
        home.remove_live();
    }
}

/// One live session of so many gigabytes, and one with a line of 64 MB.
pub(crate) fn single(programs: &Programs, gigabytes: usize, print: &mut dyn FnMut(Row)) {
    let mut corpus = Corpus::new(5);
    for case in [format!("one file of {gigabytes} GB"), "a line of 64 MB".to_owned()] {
        let mut home = Home::new();
        home.add_live(&mut corpus, 16_000_000);
        if case.starts_with("one") {
            home.live()[0].repeat(gigabytes * 1_000_000_000);
        } else {
            home.live()[0].append_output(64_000_000);
        }
        home.live()[0].append_usage(&mut corpus);
        let discord = Discord::listen(home.path("daemon.sock"));
        let began = Instant::now();
        let program = home.daemon(&programs.daemon, discord.path());
        let first = discord.next().duration_since(began);
        let counted = finished(&program).saturating_duration_since(began);
        let most = memory(program.pid())[1];
        print(
            Row::new(format!("first card, {case}"), "ms", first.as_secs_f64() * 1000.0, None)
                .goal(Goal::Most(250.0)),
        );
        print(Row::new(format!("counted to the end, {case}"), "s", counted.as_secs_f64(), None));
        print(Row::new(format!("most resident, {case}"), "MB", most, None).goal(Goal::Most(32.0)));
    }
}

/// A start with so many small old sessions and one live one.
pub(crate) fn names(programs: &Programs, files: usize, print: &mut dyn FnMut(Row)) {
    let mut corpus = Corpus::new(6);
    let mut home = Home::new();
    home.add_old(&mut corpus, files, 0);
    home.add_live(&mut corpus, SESSION);
    let [for_daemon, for_floor] = ["daemon.sock", "floor.sock"].map(|name| Discord::listen(home.path(name)));
    let ours = start(&for_daemon, |socket| home.daemon(&programs.daemon, socket));
    let floor = start(&for_floor, |socket| home.floor(&programs.floor, socket));
    let mut row = |what: &str, unit, figure: fn(&Start) -> f64| {
        print(Row::new(format!("{what}, {files} old sessions"), unit, figure(&ours), Some(figure(&floor))));
    };
    row("first card", "ms", |start| start.first.as_secs_f64() * 1000.0);
    row("all read", "ms", |start| start.rest.as_secs_f64() * 1000.0);
    row("CPU of a start", "ms", |start| start.cpu.as_secs_f64() * 1000.0);
    row("most resident", "MB", |start| start.peak);
}

/// How a start went.
struct Start {
    /// To the first card.
    first: Duration,
    /// To rest.
    rest: Duration,
    cpu: Duration,
    /// The most memory, in megabytes.
    peak: f64,
}

fn start(discord: &Discord, start: impl Fn(&Path) -> Program) -> Start {
    let began = Instant::now();
    let program = start(discord.path());
    let first = discord.next().duration_since(began);
    let rest = finished(&program).saturating_duration_since(began).max(first);
    let (cpu, [_, peak]) = (cpu(program.pid()), memory(program.pid()));
    drop(program);
    discord.settle(Duration::from_millis(100));
    Start { first, rest, cpu, peak }
}

/// When a program came to rest.
fn finished(program: &Program) -> Instant {
    let (mut spent, mut since) = (cpu(program.pid()), Instant::now());
    while since.elapsed() < QUIET {
        sleep(Duration::from_millis(20));
        let now = cpu(program.pid());
        if now > spent + Duration::from_millis(1) {
            (spent, since) = (now, Instant::now());
        }
    }
    since
}
