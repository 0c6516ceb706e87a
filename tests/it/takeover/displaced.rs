//! A prior instance whose lock file is gone is asked over every address at which it may listen.

use std::fs;

use rustix::process::Signal;

use super::{hands_over, stays_with};
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::process::Process;

/// A daemon that shows a card, and whose folder is then treated by `remove`.
fn displaced(home: &Home, discord: &FakeDiscord, remove: impl FnOnce(&Home)) -> Process {
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let first = home.start("run");
    discord.wait_for_presence("the first card", |_| true);
    remove(home);
    first
}

/// The second takes over from the first, and friends never see two cards or none.
#[track_caller]
fn takes_over(home: &Home, discord: &FakeDiscord, first: Process) {
    let second = home.start("run");
    hands_over(first, &second);
    discord.wait_for("the second card", |seen| seen.presences.get(&1).cloned());
    stays_with(home, discord, second);
}

#[test]
fn without_its_lock_file_it_hands_over() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let first =
        displaced(&home, &discord, |home| fs::remove_file(home.state().join("instance.lock")).unwrap());
    takes_over(&home, &discord, first);
}

#[test]
fn without_its_state_folder_it_hands_over() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let first = displaced(&home, &discord, |home| {
        // The daemon may be faster than the removal, and make it again.
        while fs::remove_dir_all(home.state()).is_err() {}
    });
    takes_over(&home, &discord, first);
}

#[test]
fn with_its_state_folder_moved_away_it_hands_over() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let first = displaced(&home, &discord, |home| fs::rename(home.state(), home.path("away")).unwrap());
    takes_over(&home, &discord, first);
}

/// Nothing but the system's word tells these two of each other.
#[test]
fn of_two_instances_that_cannot_reach_each_other_one_stays() {
    let mut home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let first = displaced(&home, &discord, |home| while fs::remove_dir_all(home.state()).is_err() {});
    let elsewhere = home.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    home.set("XDG_RUNTIME_DIR", elsewhere.to_str().unwrap());
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    home.wait_for_status("the second", |status| status["daemon"]["pid"] == second.pid());
    assert_eq!(second.terminate().code, Some(0));
}

#[test]
fn a_lock_file_that_is_removed_is_made_again_and_held() {
    let home = Home::new();
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["state"] == "running");
    for name in ["instance.lock", "control.sock"] {
        fs::remove_file(home.state().join(name)).unwrap();
        home.wait_for_status("the file", |status| {
            assert_eq!(status["daemon"]["pid"], daemon.pid());
            home.state().join(name).exists()
        });
    }
    for other in ["run --no-takeover", "run --dry-run"] {
        assert_eq!(home.run(other).code, Some(4), "{other}");
    }
    assert_eq!(home.run("stop").code, Some(0));
    assert_eq!(daemon.wait_for_end().code, Some(0));
}

#[test]
fn a_stopped_instance_without_its_lock_file_is_ended_first() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let first = displaced(&home, &discord, |_| ());
    first.signal(Signal::STOP);
    fs::remove_file(home.state().join("instance.lock")).unwrap();
    assert_eq!(home.run("run --dry-run").code, Some(4));
    let second = home.start("run");
    second.wait_for_log(&format!("took over from={}", first.pid()));
    assert_eq!(first.wait_for_end().code, Some(0), "the lock was free all the time");
    discord.wait_for("the second card", |seen| seen.presences.get(&1).cloned());
    assert_eq!(second.terminate().code, Some(0));
}
