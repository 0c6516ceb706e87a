//! A prior instance that answers.

use std::time::Duration;

use agent_presence::core::takeover::LockRecord;
use agent_presence::io::instance;
use serde_json::{Value, json};

use super::{hands_over, stays_with};
#[cfg(unix)]
use crate::support::control::{Held, Scripted, socket};
use crate::support::control::{ask, connect, hear, request, say};
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::process::Process;

fn started(home: &Home) -> Process {
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    daemon
}

/// A newcomer that started after everybody else.
fn newcomer(change: impl FnOnce(&mut LockRecord)) -> Value {
    let mut record = instance::own_record();
    record.start_time = Some(u64::MAX);
    change(&mut record);
    serde_json::to_value(record).unwrap()
}

#[test]
fn the_first_hands_over_and_the_card_stays_the_same() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let first = home.start("run");
    let card = discord.wait_for_presence("the first card", |_| true);

    let second = home.start("run");
    hands_over(first, &second);
    discord.wait_for_ready(2);
    let again = discord.wait_for("the second card", |seen| seen.presences.get(&1).cloned());
    for same in ["details", "state", "timestamps", "assets"] {
        assert_eq!(again[same], card[same], "{same}");
    }
    assert_eq!(again["timestamps"]["start"], session.timer());

    stays_with(&home, &discord, second);
}

/// Five daemons one after the other count their connections as one would.
#[test]
fn the_connection_budget_is_handed_over() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    let mut daemon = home.start("run");
    discord.wait_for_ready(1);
    for _ in 0..5 {
        let next = home.start("run");
        assert_eq!(daemon.wait_for_end().code, Some(0));
        home.wait_for_status("the next", |status| {
            status["daemon"]["pid"] == next.pid() && !status["card"].is_null()
        });
        daemon = next;
    }
    discord.wait_for_end(2);
    let status = home.status();
    assert_eq!(status["links"][0]["state"], "waiting", "{status:#}");
    assert!(discord.most_connections_within(Duration::from_secs(60)) <= 2);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_pause_is_handed_over() {
    let home = Home::new();
    let first = started(&home);
    home.output("pause --for 2h");
    let until = home.status()["daemon"]["paused_until"].clone();
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    let status = home.wait_for_status("the second", |status| status["daemon"]["pid"] == second.pid());
    assert_eq!(status["daemon"]["paused_until"], until);
}

#[test]
fn no_takeover_and_a_dry_run_leave_a_healthy_one_alone() {
    let home = Home::new();
    let first = started(&home);
    for arguments in ["run --no-takeover", "run --dry-run"] {
        let second = home.run(arguments);
        assert_eq!(second.code, Some(4), "{second:?}");
        let pid = first.pid();
        let expected = format!(
            "error: could not start: another instance is running (process {pid})\nhint: see `agent-presence status`\n"
        );
        assert_eq!(second.err, expected);
    }
    assert_eq!(home.run("run --no-takeover --replace").code, Some(2));
    assert_eq!(first.terminate().code, Some(0));
}

#[test]
fn a_dry_run_gives_way_as_well() {
    let home = Home::new();
    let first = home.start("run --dry-run");
    home.wait_for_status("the dry run", |status| status["daemon"]["sink"] == "terminal");
    let second = started(&home);
    assert_eq!(first.wait_for_end().code, Some(0));
    assert_eq!(second.terminate().code, Some(0));
}

#[test]
fn an_instance_that_started_earlier_takes_nothing_over() {
    let home = Home::new();
    let daemon = started(&home);
    let early = newcomer(|record| record.start_time = Some(0));
    let answer = ask(&home, &request("handover", json!({"newcomer": early})));
    assert_eq!(answer["error"]["code"], "started_later", "{answer}");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn an_older_version_takes_nothing_over_unless_told_to() {
    let home = Home::new();
    let daemon = started(&home);
    let older = newcomer(|record| record.version = "0.0.9".to_owned());
    let answer = ask(&home, &request("handover", json!({"newcomer": older})));
    assert_eq!(answer["error"]["code"], "newer_version", "{answer}");
    let answer = ask(&home, &request("handover", json!({"newcomer": older, "replace": true})));
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_successor_that_goes_away_takes_nothing_over() {
    let home = Home::new();
    let daemon = started(&home);
    for farewell in ["", "{}", "take"] {
        let mut stream = connect(&home);
        say(&mut stream, &request("handover", json!({"newcomer": newcomer(|_| ())})));
        let answer = hear(&mut stream).unwrap();
        assert_eq!(answer["handover"]["pid"], daemon.pid(), "{answer}");
        let other = ask(&home, &request("handover", json!({"newcomer": newcomer(|_| ())})));
        assert_eq!(other["error"]["code"], "busy", "one at a time");
        if !farewell.is_empty() {
            say(&mut stream, farewell);
        }
        drop(stream);
        // It is busy until it has noticed.
        home.wait_for_status("an answer", |status| status["daemon"]["pid"] == daemon.pid());
        while ask(
            &home,
            &request("handover", json!({"newcomer": newcomer(|record| record.start_time = Some(0))})),
        )["error"]["code"]
            == "busy"
        {}
    }
    assert!(daemon.log().contains("the instance that was to take over went away; staying"));
    assert_eq!(daemon.terminate().code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_newer_version_is_left_alone_unless_told_to_replace_it() {
    let home = Home::new();
    let record = json!({"pid": 1, "start_time": 1, "exe": "/x", "uid": 1, "boot_id": "b", "version": "9.0.0", "token": "t"});
    let _held = Held::new(&home, Some(&record.to_string()));
    let error = json!({"code": "newer_version", "message": ""});
    let answer = json!({"protocol": 7, "version": "9.0.0", "ok": false, "error": error});
    let scripted = Scripted::listen(&socket(&home), Some(answer), |_| ());
    let ended = home.run("run");
    assert_eq!(ended.code, Some(4));
    let expected = format!(
        "error: could not start: a newer version is running (9.0.0, process 1; this is {})\n\
         hint: `agent-presence run --replace` takes over from it all the same\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(ended.err, expected);
    let asked = &scripted.requests()[0];
    assert_eq!((&asked["verb"], &asked["replace"]), (&json!("handover"), &json!(false)));
}

/// Any version can take over from any other: the holder here knows nothing but the form that never changes.
#[cfg(unix)]
#[test]
fn a_stranger_version_hands_over_in_the_form_that_never_changes() {
    let home = Home::new();
    let held = Held::new(&home, None);
    let answer = json!({"protocol": 7, "version": "9.0.0", "ok": true, "handover": {"pid": 1, "token": "t"}});
    let scripted = Scripted::listen(&socket(&home), Some(answer), move |mut stream| {
        assert_eq!(hear(&mut stream).unwrap()["verb"], "take");
        held.release();
    });
    let daemon = home.start("run --replace");
    daemon.wait_for_log("started");
    home.wait_for_status("the newcomer", |status| status["daemon"]["pid"] == daemon.pid());
    assert_eq!(scripted.requests()[0]["replace"], true);
    assert_eq!(daemon.terminate().code, Some(0));
}
