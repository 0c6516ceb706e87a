//! When a remote's command is started, stopped and given up, and what is reported about it.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::super::*;
use super::{Desk, now};

#[test]
fn a_remote_without_a_hello_is_refused_with_a_clear_message() {
    let mut desk = Desk::new("");
    let command = desk.activity("s", "running");
    let report = desk.link.report();
    assert_eq!((command, report.state), (Some(Command::Stop), RemoteState::Rejected));
    assert_eq!(desk.known().len(), 0);
    let why = report.last_error.unwrap();
    assert!(
        why.contains(concat!("agent-presence ", env!("CARGO_PKG_VERSION"), " or later is needed there")),
        "{why}"
    );
    for (more, words) in
        [(json!({"version": "99.0.0"}), "99.0.0"), (json!({"schema": 2}), "one major version")]
    {
        let mut desk = Desk::new("");
        assert_eq!(desk.hello(more), Some(Command::Stop));
        let report = desk.link.report();
        assert_eq!(report.state, RemoteState::Rejected);
        assert!(report.last_error.unwrap().contains(words));
    }
    // A shell's first lines are ignored.
    let mut desk = Desk::new("");
    assert_eq!(desk.raw(b"Welcome to devbox"), None);
    assert_eq!(desk.hello(json!({})), None);
    assert_eq!(desk.link.report().state, RemoteState::Connected);
}

#[test]
fn an_unreachable_remote_is_retried_with_growing_waits() {
    let mut desk = Desk::new("");
    let mut waits = Vec::new();
    let mut second = 0;
    for _ in 0..11 {
        desk.link.ended(
            now(second),
            &Ending { code: Some(255), last_line: "no route to host".to_owned(), ..Ending::default() },
        );
        assert_eq!(desk.link.report().last_error.as_deref(), Some("no route to host"));
        let due = desk.link.deadline().as_secs();
        waits.push(due - second);
        second = due;
        assert_eq!(desk.link.tick(now(second)), Some(Command::Start(None)));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    desk.link.ended(now(second), &Ending::default());
    desk.link.hurry(now(second + 1));
    assert_eq!(desk.link.tick(now(second + 1)), Some(Command::Start(None)), "other settings may help");
    desk.link.ended(now(second + 1), &Ending::default());
    assert_eq!(desk.link.woke(now(second + 1)), None);
    assert_eq!(desk.link.tick(now(second + 1)), Some(Command::Start(None)), "so may sleep");
    assert_eq!(desk.link.woke(now(second + 2)), Some(Command::Stop), "it may be half open");
}

#[test]
fn an_error_that_needs_the_user_is_rejected_and_retried_seldom() {
    let ending = |code: i32, last_line: &str| Ending {
        code: Some(code),
        last_line: last_line.to_owned(),
        not_started: None,
    };
    let missing = Ending { not_started: Some("no such program".to_owned()), ..Ending::default() };
    for (ending, words) in [
        (ending(127, "sh: 1: agent-presence: not found"), "not found"),
        (ending(255, "git@devbox: Permission denied (publickey)."), "Permission denied"),
        (ending(255, "Host key verification failed."), "Host key"),
        (ending(2, "error: unexpected argument '--alive' found"), "or later is needed"),
        (ending(126, "\u{1b}[31mOCI runtime exec failed\u{7}"), "OCI runtime"),
        (missing, "could not start the command: no such program"),
    ] {
        let mut desk = Desk::new("");
        desk.link.ended(now(0), &ending);
        let report = desk.link.report();
        assert_eq!(report.state, RemoteState::Rejected, "{ending:?}");
        let why = report.last_error.unwrap();
        assert!(why.contains(words) && !why.chars().any(char::is_control), "{why:?}");
        assert_eq!(desk.link.deadline(), Duration::from_secs(300));
    }
}

#[test]
fn a_half_open_link_is_found_by_the_missing_sign_of_life() {
    let command = ["ssh", "devbox", "agent-presence watch --json --alive 10s"].map(str::to_owned);
    let mut link = Link::new("devbox", &command, 0);
    assert_eq!(link.tick(now(0)), Some(Command::Start(None)));
    assert_eq!(link.deadline(), Duration::from_secs(25), "as the command says");
    let mut desk = Desk::connected("", SignedDuration::ZERO);
    assert_eq!(desk.link.deadline(), Duration::from_secs(150));
    desk.hello(json!({"alive": 2.0}));
    desk.second = 3;
    desk.alive();
    assert_eq!(desk.link.deadline(), Duration::from_secs(8), "as it says itself");
    assert_eq!(desk.link.tick(now(7)), None);
    assert_eq!(desk.link.tick(now(8)), Some(Command::Stop));
    assert_eq!(desk.link.report().last_error.as_deref(), Some("nothing arrived for 5 s"));
}
