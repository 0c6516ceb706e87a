//! The control channel: what it answers, and that no client can hold up the daemon.

#[cfg(unix)]
mod abuse;
mod operating;

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::control::socket;
use crate::support::control::{ask, connect, hear, request, say};
use crate::support::home::Home;

#[cfg(unix)]
#[test]
fn it_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let daemon = home.start("run");
    daemon.wait_for_log("started");
    home.wait_for_status("an answer", |status| status["daemon"]["state"] == "running");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.state()), 0o700);
    assert_eq!(mode(socket(&home)), 0o600);
    assert_eq!(daemon.terminate().code, Some(0));
    assert!(!socket(&home).exists(), "the socket goes with the daemon");
}

#[test]
fn every_request_is_answered() {
    let home = Home::new();
    let _daemon = home.start("run");
    home.wait_for_status("an answer", |status| status["daemon"]["state"] == "running");
    for (line, code) in [
        ("hello", "malformed"),
        ("{}", "malformed"),
        ("[1, 2]", "malformed"),
        ("\"status\"", "malformed"),
        (r#"{"protocol":1,"version":"0.1.0","verb":"dance"}"#, "unknown_verb"),
        (r#"{"protocol":1,"version":"0.1.0","verb":"take"}"#, "malformed"),
        (r#"{"protocol":9,"version":"9.0.0","verb":"status"}"#, "unknown_protocol"),
        (r#"{"protocol":1,"version":"0.1.0","verb":"handover"}"#, "malformed"),
        (r#"{"protocol":1,"version":"0.1.0","verb":"pause","until":"2000-01-01T00:00:00Z"}"#, "malformed"),
    ] {
        let answer = ask(&home, line);
        assert_eq!(answer["ok"], false, "{line}: {answer}");
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        assert_eq!(answer["protocol"], 1);
        assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
    }
    let status = ask(&home, &request("status", Value::Null));
    assert_eq!((&status["ok"], &status["status"]["schema"]), (&json!(true), &json!(1)));
}

#[test]
fn status_shows_the_daemons_state() {
    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let without = home.status();
    assert_eq!(without["daemon"]["state"], "not_running");
    let daemon = home.start("run");
    let with = home.wait_for_status("the session", |status| {
        status["daemon"]["state"] == "running" && !status["card"].is_null()
    });
    assert_eq!(with["daemon"]["pid"], daemon.pid());
    for same in ["schema", "version", "card", "sessions", "limits", "config", "skipped"] {
        assert_eq!(with[same], without[same], "{same}");
    }
    assert_eq!(with["links"][0]["state"], "waiting");
    let text = home.output("status");
    assert!(text.starts_with(&format!("daemon running (pid {}", daemon.pid())), "{text}");
}

#[test]
fn a_subscriber_hears_the_sessions_and_then_each_event() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    home.wait_for_status("the session", |status| {
        status["daemon"]["state"] == "running" && !status["sessions"][0].is_null()
    });
    let mut subscriber = connect(&home);
    say(&mut subscriber, &request("subscribe", Value::Null));
    assert_eq!(hear(&mut subscriber).unwrap()["ok"], true);
    let restored = hear(&mut subscriber).unwrap();
    assert_eq!(restored["protocol"], 1);
    let usage = &restored["event"];
    assert_eq!((&usage["event"], &usage["restored"]), (&json!("usage"), &json!(true)));
    assert_eq!((&usage["session"], &usage["tokens"]["total"]), (&json!(session.id), &json!(4_500)));

    session.tokens(1_000);
    let event = loop {
        let told = hear(&mut subscriber).unwrap();
        if told["event"]["event"] == "usage" {
            break told;
        }
    };
    assert_eq!(event["event"]["restored"], false);
    assert_eq!(event["event"]["tokens"], json!({"delta": 1_000, "last": 5_500, "total": 5_500}));
    assert_eq!(daemon.terminate().code, Some(0));
    while hear(&mut subscriber).is_some() {}
}

/// Where the state folder's path is too long for a socket there is a short one.
#[cfg(unix)]
#[test]
fn a_long_path_gets_a_short_socket() {
    let mut home = Home::new();
    let state = home.path(&"long/".repeat(30));
    home.set("AGENT_PRESENCE_STATE_DIR", state.to_str().unwrap());
    let daemon = home.start("run");
    home.wait_for_status("an answer", |status| status["daemon"]["state"] == "running");
    assert!(!state.join("control.sock").exists());
    assert_eq!(home.run("stop").code, Some(0));
    assert_eq!(daemon.wait_for_end().code, Some(0));
    assert_eq!(std::fs::read_dir(home.path("run/agent-presence")).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_file_in_its_place_costs_neither_the_channel_nor_the_daemon() {
    let home = Home::new();
    std::fs::create_dir_all(home.state()).unwrap();
    std::fs::write(socket(&home), "precious").unwrap();
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(std::fs::read_to_string(socket(&home)).unwrap(), "precious");
}
