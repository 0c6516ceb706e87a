//! The program itself beside a writer: from a row to the frame that Discord gets.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{done, now, open, user, write_message};
use crate::agents::opencode::writer;
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

fn begin(home: &Home) -> Connection {
    let database = writer(&home.path("home/.local/share/opencode/opencode.db"), "1.18");
    let began = now() - 60_000;
    let sql =
        "INSERT INTO session(id, project_id, slug, directory, title, version, time_created, time_updated)
        VALUES('ses_live0001', 'global', 's', '/home/ada/shop', 'MARKER-SECRET', '1.18.33', ?1, ?1)";
    database.execute(sql, [began]).unwrap();
    write(&database, "msg_1", began + 1, &user(began + 1));
    write(&database, "msg_2", began + 2, &done(began + 2, began + 9, "stop", 1_000));
    database
}

fn write(database: &Connection, id: &str, at: i64, data: &Value) {
    write_message(database, id, "ses_live0001", at, now(), data);
}

fn part(database: &Connection, status: &str) {
    let data = json!({"type": "tool", "tool": "bash", "callID": "c",
        "state": {"status": status, "input": {"command": "cargo test MARKER-SECRET"}}});
    let sql = "INSERT INTO part VALUES('prt_1', 'msg_4', 'ses_live0001', ?1, ?1, ?2)
        ON CONFLICT(id) DO UPDATE SET time_updated = excluded.time_updated, data = excluded.data";
    database.execute(sql, rusqlite::params![now(), data.to_string()]).unwrap();
}

#[test]
fn the_card_follows_the_rows() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let database = begin(&home);
    let daemon = home.start("run");
    let first = discord.activity(1).unwrap();
    assert_eq!(first["name"], "OpenCode");
    assert_eq!(first["details"], "Waiting for input · m-large");
    assert_eq!(first["state"], "+1K | 1K | 1K tokens");
    let at = now();
    write(&database, "msg_3", at, &user(at));
    write(&database, "msg_4", at + 1, &open(at + 1));
    part(&database, "running");
    let details = |wanted: &'static str| {
        discord.wait_for_presence(wanted, move |card| card["details"] == wanted);
    };
    details("Running a command · m-large");
    part(&database, "completed");
    write(&database, "msg_4", at + 1, &done(at + 1, at + 2, "stop", 250));
    discord.wait_for_presence("the figures", |card| card["state"] == "+250 | 250 | 1.25K tokens");
    details("Waiting for input · m-large");
    let status = home.status();
    let session = &status["sessions"][0];
    assert_eq!((&session["agent"], &session["project"]), (&json!("opencode"), &json!("shop")));
    assert_eq!(status["limits"], json!([]));
    let log = daemon.terminate().err;
    assert!(!log.contains("MARKER-SECRET"), "{log}");
    assert_eq!(log.matches("restored=false").count(), 1, "{log}");
}

/// One daemon takes over from another: what the first has told the second does not tell again.
#[test]
fn a_takeover_repeats_no_event() {
    let home = Home::new();
    let _discord = FakeDiscord::in_folder(&home.path("run"));
    let database = begin(&home);
    let first = home.start("run");
    first.wait_for_log("restored=true");
    let at = now();
    write(&database, "msg_3", at, &done(at, at + 1, "tool-calls", 20));
    first.wait_for_log("restored=false");
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    second.wait_for_log("took over");
    // What was there is read before anything new is.
    while home.status()["sessions"][0]["tokens"]["total"] != 1_020 {}
    let at = now();
    write(&database, "msg_4", at, &done(at, at + 1, "stop", 3));
    second.wait_for_log("total=1,023 (+3)");
    let log = second.terminate().err;
    assert_eq!(log.matches("Token usage").count(), 1, "{log}");
}

/// Without a daemon `status` reads a database once, and `doctor` says what is in it.
#[test]
fn commands_without_a_daemon_read_databases_as_well() {
    let home = Home::new();
    let database = begin(&home);
    let status = home.status();
    assert_eq!(status["sessions"][0]["tokens"]["total"], 1_000);
    let doctor = home.run("doctor").out;
    assert!(doctor.contains("OpenCode: 1 session in "), "{doctor}");
    assert!(doctor.contains("OpenCode: opencode.db has the tables of 1.2 to 1.18"), "{doctor}");
    database.execute_batch("ALTER TABLE message RENAME COLUMN time_updated TO changed").unwrap();
    let doctor = home.run("doctor").out;
    let expected =
        "OpenCode: could not read opencode.db: the database's table message has no column time_updated";
    assert!(doctor.contains(expected), "{doctor}");
}
