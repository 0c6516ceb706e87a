//! Disks, folders and file descriptors that are not there when they are needed: said in `status`, and over by itself.

use std::fs;

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

/// The issues of `status` that hold these words.
fn issues(status: &serde_json::Value, words: &str) -> Vec<String> {
    let issues = status["config"]["issues"].as_array().unwrap().iter();
    issues
        .filter_map(|issue| issue.as_str())
        .filter(|issue| issue.contains(words))
        .map(str::to_owned)
        .collect()
}

/// A folder where a file should go stands for a full disk and for one that is read-only: it also stops a superuser.
#[test]
fn a_state_folder_that_cannot_be_written_is_reported_and_written_once_it_can_be() {
    let home = Home::new();
    let in_the_way = home.state().join("limits.json");
    fs::create_dir_all(in_the_way.join("something")).unwrap();
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");
    let words = "could not write to the state folder";
    let status = home.wait_for_status("the trouble", |status| !issues(status, words).is_empty());
    let told = issues(&status, words);
    assert!(told.len() == 1 && told[0].contains("; hint: "), "{told:?}");
    assert_eq!(status["sessions"][0]["tokens"]["total"], 4_500, "the work goes on");
    assert_eq!(home.run("pause").code, Some(0));

    fs::remove_dir_all(&in_the_way).unwrap();
    home.wait_for_status("the end of the trouble", |status| issues(status, words).is_empty());
    let kept = fs::read_to_string(&in_the_way).unwrap();
    assert!(kept.contains("\"used_percent\": 36.0"), "{kept}");
    assert!(home.state().join("pause.json").is_file());
    let ended = daemon.terminate();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.err.matches(words).count(), 1, "{}", ended.err);
    assert!(ended.err.contains("can be written again"), "{}", ended.err);
}

/// The lock is what makes an instance; the record beside it may come later.
#[test]
fn a_daemon_that_has_no_room_for_its_record_runs_and_writes_it_once_it_can() {
    let home = Home::new();
    let record = home.state().join("instance.json");
    fs::create_dir_all(record.join("something")).unwrap();
    let words = "could not write to the state folder";
    let first = home.start("run");
    home.wait_for_status("the trouble", |status| !issues(status, words).is_empty());
    let second = home.start("run");
    let status = home.wait_for_status("the second daemon", |status| {
        status["daemon"]["pid"] == second.pid() && !issues(status, words).is_empty()
    });
    assert_eq!(status["daemon"]["state"], "running");
    assert_eq!(first.wait_for_end().code, Some(0));

    fs::remove_dir_all(&record).unwrap();
    home.wait_for_status("the end of the trouble", |status| issues(status, words).is_empty());
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    assert_eq!(written["pid"], second.pid());
    assert_eq!(second.terminate().code, Some(0));
}

/// On Windows open files keep the folder from going.
#[cfg(unix)]
#[test]
fn a_state_folder_that_is_removed_is_made_again_with_all_its_files() {
    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["state"] == "running");
    assert_eq!(home.run("pause").code, Some(0));
    for _ in 0..2 {
        let _ = fs::remove_dir_all(home.state());
        let status = home.wait_for_status("the daemon", |status| status["daemon"]["state"] == "running");
        assert_eq!(status["daemon"]["pid"], daemon.pid());
        assert!(status["daemon"]["paused_until"].is_string());
    }
    daemon.wait_for_log("was removed; it is made again");
    assert_eq!(home.run("run --no-takeover").code, Some(4), "the lock is held as before");
    for name in ["limits.json", "pause.json", "instance.json"] {
        assert!(home.state().join(name).is_file(), "{name}");
    }
    // The next one takes over as ever.
    let next = home.start("run");
    assert_eq!(daemon.wait_for_end().code, Some(0));
    home.wait_for_status("the next", |status| status["daemon"]["pid"] == next.pid());
    assert_eq!(next.terminate().code, Some(0));
}

#[test]
fn sessions_whose_folder_vanishes_are_there_again_with_it() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for_presence("the session", |card| card["state"] == "+4.5K | 4.5K | 4.5K tokens");
    fs::rename(home.codex(), home.path("away")).unwrap();
    discord.wait_for_no_presence();
    fs::rename(home.path("away"), home.codex()).unwrap();
    session.tokens(500);
    discord.wait_for_presence("the same session", |card| card["state"] == "+500 | 5K | 5K tokens");
    assert_eq!(daemon.terminate().code, Some(0));
}
