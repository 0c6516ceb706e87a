//! The daemon and the floor side by side on the same home: how soon, and at what cost.

use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::corpus::Corpus;
use crate::discord::Discord;
use crate::home::{Home, Program};
use crate::process::{Calls, cpu, memory};
use crate::table::{Goal, Row};
use crate::{Programs, percentile};

/// Between two appends: Discord shows four changes in twenty seconds, and the daemon sends no more.
const PACE: Duration = Duration::from_millis(5300);

/// How long nothing may have come before it counts as quiet.
const QUIET: Duration = Duration::from_secs(2);

/// When the daemon looks around by itself, counted from its start.
const RESCAN: Duration = Duration::from_secs(300);

/// Lines that each session grows by in a second.
const LINES: u32 = 20;

/// Both programs at work on one home.
struct Pair {
    home: Home,
    discords: [Discord; 2],
    running: [Program; 2],
    began: Instant,
}

impl Pair {
    fn start(programs: &Programs, corpus: &mut Corpus, old: usize, live: usize) -> Self {
        let mut home = Home::new();
        home.add_old(corpus, old, 4000);
        for _ in 0..live {
            home.add_live(corpus, 100_000);
        }
        let discords = ["daemon.sock", "floor.sock"].map(|name| Discord::listen(home.path(name)));
        let began = Instant::now();
        let [for_daemon, for_floor] = &discords;
        let running =
            [home.daemon(&programs.daemon, for_daemon.path()), home.floor(&programs.floor, for_floor.path())];
        for discord in &discords {
            discord.settle(QUIET);
        }
        Self { home, discords, running, began }
    }

    fn cpu(&self) -> [Duration; 2] {
        self.running.each_ref().map(|program| cpu(program.pid()))
    }
}

/// From the write of a usage line to the frame that it leads to.
pub(crate) fn latency(programs: &Programs, appends: usize, print: &mut dyn FnMut(Row)) {
    let mut corpus = Corpus::new(1);
    let mut pair = Pair::start(programs, &mut corpus, 1000, 1);
    let here = Home::new();
    let far_discord = Discord::listen(here.path("listener.sock"));
    let _listener = here.listener(&programs.daemon, far_discord.path(), &pair.home);
    far_discord.settle(QUIET);
    let mut took = [Vec::new(), Vec::new()];
    let mut took_there = Vec::new();
    for _ in 0..appends {
        sleep(PACE);
        pair.discords.iter().chain([&far_discord]).for_each(Discord::forget);
        let began = Instant::now();
        pair.home.live()[0].append_usage(&mut corpus);
        for (took, discord) in took.iter_mut().zip(&pair.discords) {
            took.push(discord.next().duration_since(began));
        }
        took_there.push(far_discord.next().duration_since(began));
    }
    let [ours, floor] = took.each_ref().map(|took| milliseconds(percentile(took, 50)));
    let there = milliseconds(percentile(&took_there, 50));
    print(Row::new("append on a remote to frame here, median", "ms", there, Some(ours)));
    print(Row::new("append to frame, median", "ms", ours, Some(floor)).goal(Goal::TimesFloor(3.0)));
    let [ours, floor] = took.each_ref().map(|took| milliseconds(percentile(took, 95)));
    print(Row::new("append to frame, 95th percentile", "ms", ours, Some(floor)));
}

/// What doing nothing costs, with so many old sessions: for a while, and in a rescan. Tells when everything has been
/// made that it takes: from then on it disturbs no other row.
pub(crate) fn idle(
    programs: &Programs,
    sessions: &[usize],
    window: Duration,
    rescan: bool,
    ready: &mpsc::Sender<()>,
    print: &mut dyn FnMut(Row),
) {
    let mut corpus = Corpus::new(2);
    let pairs: Vec<Pair> = sessions.iter().map(|old| Pair::start(programs, &mut corpus, *old, 1)).collect();
    let _nobody_waits = ready.send(());
    let measure = |window: Duration| -> Vec<([Duration; 2], [Option<f64>; 2])> {
        let before: Vec<_> = pairs.iter().map(Pair::cpu).collect();
        let calls: Vec<_> = pairs
            .iter()
            .map(|pair| pair.running.each_ref().map(|program| Calls::of(program.pid())))
            .collect();
        sleep(window);
        let calls = calls.into_iter().map(|calls| calls.map(|calls| calls.map(Calls::finish)));
        let costs = pairs.iter().zip(before).zip(calls);
        let spent = |now: [Duration; 2], then: [Duration; 2]| [now[0] - then[0], now[1] - then[1]];
        costs.map(|((pair, before), calls)| (spent(pair.cpu(), before), calls)).collect()
    };
    let seconds = window.as_secs();
    for (old, (spent, calls)) in sessions.iter().zip(measure(window)) {
        if let [Some(ours), Some(floor)] = calls {
            let what = format!("system calls in {seconds} idle s, {old} old sessions");
            print(Row::new(what, "", ours, Some(floor)).goal(Goal::Most(0.0)));
        }
        let [ours, floor] = spent.map(milliseconds);
        print(Row::new(format!("CPU time in {seconds} idle s, {old} old sessions"), "ms", ours, Some(floor)));
    }
    for (old, pair) in sessions.iter().zip(&pairs) {
        let [ours, floor] = pair.running.each_ref().map(|program| memory(program.pid())[0]);
        let row = Row::new(format!("resident while idle, {old} old sessions"), "MB", ours, Some(floor));
        print(row.goal(Goal::Most(8.0)));
    }
    if !rescan {
        return;
    }
    let last = pairs.iter().map(|pair| pair.began).max().unwrap_or_else(Instant::now);
    let first = pairs.iter().map(|pair| pair.began).min().unwrap_or_else(Instant::now);
    sleep((first + RESCAN).saturating_duration_since(Instant::now() + Duration::from_secs(2)));
    let window = (last + RESCAN).saturating_duration_since(Instant::now()) + Duration::from_secs(5);
    for (old, (spent, calls)) in sessions.iter().zip(measure(window)) {
        if let Some(calls) = calls[0] {
            print(Row::new(format!("system calls in a rescan, {old} old sessions"), "", calls, None));
        }
        print(Row::new(
            format!("CPU time of a rescan (traced), {old} old"),
            "ms",
            milliseconds(spent[0]),
            None,
        ));
    }
}

/// What following costs while sessions grow, in percent of a core.
pub(crate) fn growth(programs: &Programs, sessions: &[usize], window: Duration, print: &mut dyn FnMut(Row)) {
    for live in sessions {
        let mut corpus = Corpus::new(3);
        let mut pair = Pair::start(programs, &mut corpus, 0, *live);
        let count = u32::try_from(*live).unwrap_or(u32::MAX) * LINES;
        let step = Duration::from_secs(1) / count;
        // As sessions are written: each line by itself, and none at the same time as another.
        let mut grow = |pair: &mut Pair, window: Duration| {
            let began = Instant::now();
            let mut due = began;
            for number in 0.. {
                if began.elapsed() >= window {
                    return began.elapsed();
                }
                let live = pair.home.live();
                let which = number % live.len();
                live[which].append(&mut corpus);
                due += step;
                sleep(due.saturating_duration_since(Instant::now()));
            }
            window
        };
        grow(&mut pair, Duration::from_secs(2));
        let before = pair.cpu();
        let took = grow(&mut pair, window);
        let after = pair.cpu();
        let percent =
            |number: usize| (after[number] - before[number]).as_secs_f64() / took.as_secs_f64() * 100.0;
        let row = Row::new(
            format!("CPU, {live} sessions at {LINES} lines/s each"),
            "%",
            percent(0),
            Some(percent(1)),
        );
        print(if *live == 100 { row.goal(Goal::Most(3.0)) } else { row });
        let most = pair.running.each_ref().map(|program| memory(program.pid())[1]);
        print(Row::new(format!("most resident, {live} growing sessions"), "MB", most[0], Some(most[1])));
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
