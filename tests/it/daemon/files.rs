//! What happens to session files and folders while the daemon runs.

use std::fs;

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

#[test]
fn a_session_in_folders_that_did_not_exist_at_the_start_is_found() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let daemon = home.start("run");
    discord.wait_for_ready(1);
    assert!(!home.codex().exists());
    let mut session = home.session();
    session.turn().tokens(4_500);
    let card = discord.wait_for_presence("the session", |card| card["state"] == "+4.5K | 4.5K | 4.5K tokens");
    assert_eq!(card["timestamps"]["start"], session.timer());
    drop(daemon);
}

#[test]
fn a_session_whose_file_goes_has_ended() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    discord.activity(1);
    session.delete();
    discord.wait_for_no_presence();
    let ended = daemon.terminate();
    assert_eq!(ended.code, Some(0));
    let last = ended.err.lines().rfind(|line| line.contains("Token usage")).unwrap();
    assert!(last.contains("Token usage: total=4,500 input=4,050 (+ 10,000 cached) output=450 "), "{last}");
}

#[test]
fn a_session_that_ends_without_numbers_says_so_once() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn();
    let daemon = home.start("run");
    discord.activity(1);
    session.delete();
    discord.wait_for_no_presence();
    let ended = daemon.terminate();
    assert_eq!(ended.err.matches("Token usage: unknown").count(), 1, "{}", ended.err);
}

#[test]
fn a_file_that_is_cut_down_begins_anew() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    discord.activity(1);
    let whole = fs::read(&session.path).unwrap();
    session.truncate().raw(&whole).tokens(500);
    discord.wait_for_presence("the file's new end", |card| card["state"] == "+500 | 5K | 5K tokens");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn an_archived_session_is_the_same_session() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    discord.activity(1);
    session.archive(&home.codex()).tokens(500);
    let card = discord.wait_for_presence("the growing file", |card| card["state"] == "+500 | 5K | 5K tokens");
    assert_eq!(card["timestamps"]["start"], session.timer());
    let ended = daemon.terminate();
    let cleared = discord.seen(|seen| seen.payloads().iter().filter(|card| card.is_null()).count());
    assert_eq!(cleared, 1, "only by the end of the daemon");
    assert_eq!(ended.err.matches("restored=true").count(), 1, "{}", ended.err);
}

#[test]
fn torn_broken_and_foreign_lines_cost_only_themselves() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().raw(b"\xff\xfe not UTF-8\n").raw(b"{\"type\":\n").tokens(4_500);
    session.raw(b"{\"timestamp\":\"2026-11-20T10:00:00.000Z\",\"type\":\"event");
    let daemon = home.start("run");
    assert_eq!(discord.activity(1).unwrap()["state"], "+4.5K | 4.5K | 4.5K tokens");
    session.raw(b"_msg\",\"payload\":{\"type\":\"new_in_the_future\"}}\n").tokens(500);
    discord.wait_for_presence("the line behind", |card| card["state"] == "+500 | 5K | 5K tokens");
    let status = home.status();
    assert_eq!(status["skipped"]["unreadable_lines"], 2, "{status:#}");
    assert_eq!(status["skipped"]["unknown_types"], 1, "{status:#}");
    assert_eq!(daemon.terminate().code, Some(0));
}

/// A file of more than 64 MB is announced from its end, and counted after that.
#[test]
fn a_large_session_is_announced_once_although_its_count_comes_later() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(1_000);
    // Lines of no kind are skipped quickly, also by a build for tests.
    let line = format!("{}\n", "x".repeat(1 << 20));
    for _ in 0..65 {
        session.raw(line.as_bytes());
    }
    session.tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for_presence("the exact total", |card| card["state"] == "+4.5K | 5.5K | 5.5K tokens");
    session.tokens(500);
    discord.wait_for_presence("the line behind", |card| card["state"] == "+500 | 6K | 6K tokens");
    let ended = daemon.terminate();
    let told: Vec<_> = ended.err.lines().filter(|line| line.contains("restored=true")).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("total=5,500 "), "{told:#?}");
}
