//! Many daemons at once, and newcomers that die in the middle.

use std::time::Duration;

use crate::support::home::Home;
use crate::support::process::Process;

#[track_caller]
fn one_is_left(home: &Home, daemons: Vec<Process>) {
    let status = home.wait_for_status("a daemon", |status| status["daemon"]["state"] == "running");
    let mut alive = Vec::new();
    // Those that lost end by themselves; the one that has the lock is asked to.
    let last = home.wait_for_status("the last one", |status| status["daemon"]["pid"].is_u64());
    assert_eq!(home.run("stop").code, Some(0), "{status:#} {last:#}");
    for daemon in daemons {
        let ended = daemon.wait_for_end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        if ended.err.contains("asked to stop") {
            alive.push(ended);
        }
    }
    assert_eq!(alive.len(), 1, "{alive:#?}");
    assert_eq!(home.status()["daemon"]["state"], "not_running");
}

/// Waits until no instance starts, waits or hands over any more: one holds the lock, and is the only one.
fn settle(home: &Home, daemons: &[Process]) {
    home.wait_for_status("the dust to settle", |status| {
        let holder = status["daemon"]["pid"].as_u64();
        let alive = daemons.iter().filter(|daemon| daemon.is_running());
        alive.map(|daemon| u64::from(daemon.pid())).collect::<Vec<_>>() == Vec::from_iter(holder)
    });
}

#[test]
fn twenty_at_once_settle_on_one() {
    let home = Home::new();
    let daemons: Vec<_> = (0..20).map(|_| home.start("run")).collect();
    settle(&home, &daemons);
    one_is_left(&home, daemons);
}

#[test]
fn two_login_entries_settle_on_one() {
    for _ in 0..5 {
        let home = Home::new();
        let daemons = vec![home.start("run -q"), home.start("run")];
        settle(&home, &daemons);
        one_is_left(&home, daemons);
    }
}

/// A successor may be killed at any point of the takeover: the old instance lives, or the lock is free.
#[test]
fn a_successor_may_be_killed_at_any_moment() {
    let home = Home::new();
    let mut daemons = vec![home.start("run")];
    home.wait_for_status("the daemon", |status| status["daemon"]["state"] == "running");
    for step in 0..30 {
        let newcomer = home.start("run");
        std::thread::sleep(Duration::from_micros(step * 700));
        newcomer.kill();
        let survivor = home.start("run");
        home.wait_for_status("a survivor", |status| status["daemon"]["pid"] == survivor.pid());
        daemons.push(survivor);
    }
    let last = daemons.pop().unwrap();
    for daemon in daemons {
        assert_eq!(daemon.wait_for_end().code, Some(0));
    }
    assert_eq!(last.terminate().code, Some(0));
}
