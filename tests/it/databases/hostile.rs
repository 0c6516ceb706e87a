//! Databases that are locked, damaged, none, full of rubbish, or not to be read at all.

use std::fs;

use rusqlite::Connection;
use serde_json::json;

use super::{Bench, Watch, done, home, is_fixed, problem, usage};
use crate::support::codex_session::CodexSession;

/// It is said, the figures stay, other agents' sessions are read meanwhile, and when the lock is gone all is read.
#[test]
fn a_locked_database_delays_no_other() {
    let bench = Bench::new("1.18");
    bench.writer.execute_batch("PRAGMA journal_mode = delete").unwrap();
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let codex = bench.folder.path().join("codex");
    let mut session = CodexSession::begin(&codex);
    let mut homes = vec![home(bench.folder.path())];
    homes.push(agent_presence::io::homes::Home {
        agent: agent_presence::core::source::Agent::CODEX,
        label: codex.to_string_lossy().into(),
        path: codex,
    });
    let watch = Watch::new(homes);
    assert_eq!(
        watch
            .until_caught_up()
            .iter()
            .filter(|event| matches!(event, agent_presence::core::source_event::SourceEvent::Updated { .. }))
            .count(),
        2
    );
    bench.writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    bench.message("msg_2", "ses_1", now + 1, now + 1, &done(now + 1, now + 1, "stop", 20));
    let touched = fs::File::options().append(true).open(bench.database()).unwrap();
    touched
        .set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000))
        .unwrap();
    let said = watch.until(problem);
    assert!(said.ends_with("the database is locked by another program"), "{said}");
    for _ in 0..3 {
        session.turn().tokens(100);
        watch.until(|event| usage(event, &session.id).filter(|usage| !usage.is_empty()));
    }
    bench.writer.execute_batch("COMMIT").unwrap();
    assert_eq!(watch.added_until("ses_1", 30), [Some(20)]);
    watch.until(is_fixed);
}

#[test]
fn a_file_that_is_no_database_is_reported_until_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("opencode.db");
    fs::write(&path, "x".repeat(10_000)).unwrap();
    let watch = Watch::new(vec![home(folder.path())]);
    let there = watch.until_caught_up();
    let said = there.into_iter().find_map(problem).unwrap();
    assert!(said.ends_with("it is not an SQLite database"), "{said}");
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let good = bench.database();
    let Bench { folder: _kept, writer, .. } = bench;
    writer.close().unwrap();
    fs::rename(&good, &path).unwrap();
    assert_eq!(watch.added_until("ses_1", 10).len(), 1);
    watch.until(is_fixed);
}

/// What was read stays, through all that may come into its place.
#[test]
fn a_database_that_breaks_keeps_its_figures() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let watch = bench.watch();
    assert_eq!(watch.until_caught_up().into_iter().filter_map(|event| usage(event, "ses_1")).count(), 1);
    bench.writer.execute_batch("ALTER TABLE message RENAME COLUMN time_updated TO changed").unwrap();
    let said = watch.until(problem);
    assert!(said.ends_with("the database's table message has no column time_updated"), "{said}");
    bench.writer.execute_batch("ALTER TABLE message RENAME COLUMN changed TO time_updated").unwrap();
    bench.message("msg_2", "ses_1", now + 1, now + 1, &done(now + 1, now + 1, "stop", 5));
    assert_eq!(watch.added_until("ses_1", 15), [Some(5)]);
}

#[test]
fn odd_values_cost_their_rows_and_nothing_else() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let watch = bench.watch();
    watch.until_caught_up();
    let odd = "INSERT INTO session VALUES('ses_2', x'ff', 7, 1.5, x'00ff', 'x', 'x', 'soon', 'later', NULL, NULL, NULL, 0);
        INSERT INTO session VALUES('ses_3', 'p', NULL, 's', '', 'x', 'x', 9e99, 9223372036854775807, NULL, NULL, NULL, 0);
        INSERT INTO message VALUES('msg_2', 'ses_1', 9223372036854775807, 9223372036854775807, '{');
        INSERT INTO message VALUES('msg_3', 'ses_1', -9223372036854775808, 9e99, x'ff00ff');
        INSERT INTO message VALUES('msg_4', 'ses_2', 'then', 'now', '[1,2]');
        INSERT INTO message VALUES(x'ff', 'ses_1', 1, 'now', '{}');";
    bench.writer.execute_batch(odd).unwrap();
    let deep =
        json!({"role": "assistant", "tokens": {"input": 1e300}, "time": {"created": -1e300}}).to_string();
    let nested = format!("{{\"role\":{}", "[".repeat(100_000));
    for (id, data) in [("msg_5", &deep), ("msg_6", &nested)] {
        let sql = "INSERT INTO message VALUES(?1, 'ses_3', 1, 1, ?2)";
        bench.writer.execute(sql, [id, data]).unwrap();
    }
    bench.message("msg_7", "ses_1", now + 1, now + 2, &done(now + 1, now + 2, "stop", 5));
    assert_eq!(watch.added_until("ses_1", 15), [Some(5)]);
    bench.message("msg_8", "ses_1", now + 3, now + 4, &done(now + 3, now + 4, "stop", 2));
    assert_eq!(watch.added_until("ses_1", 17), [Some(2)], "after a row of the far future");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("opencode.db");
    std::os::unix::fs::symlink(folder.path().join("opencode-other.db"), &path).unwrap();
    std::os::unix::fs::symlink(&path, folder.path().join("opencode-other.db")).unwrap();
    let watch = Watch::new(vec![home(folder.path())]);
    assert!(watch.until_caught_up().into_iter().any(|event| problem(event).is_some()));
}

/// No index, and many rows of others: a look ends, and the next one is later.
#[test]
fn many_rows_of_other_sessions_are_passed_over() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let many = "DROP INDEX message_session_time_created_id_idx;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
        INSERT INTO message SELECT 'old' || i, 'ses_0', i, i, '{\"role\":\"user\"}' FROM n;";
    bench.writer.execute_batch(many).unwrap();
    let watch = bench.watch();
    watch.until_caught_up();
    bench.message("msg_2", "ses_1", now + 1, now + 1, &done(now + 1, now + 1, "stop", 5));
    assert_eq!(watch.added_until("ses_1", 15), [Some(5)]);
}

/// Reading changes nothing in a home.
#[test]
fn a_home_is_left_as_it_is() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let names = || {
        let entries = fs::read_dir(bench.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let watch = bench.watch();
    watch.until_caught_up();
    assert_eq!(names(), before);
    let busy: i64 = bench.writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0);
    let path = bench.database();
    let Bench { folder, writer, .. } = bench;
    writer.close().unwrap();
    let database = Connection::open(&path).unwrap();
    super::write_message(&database, "msg_2", "ses_1", now + 1, now + 1, &done(now + 1, now + 1, "stop", 5));
    assert_eq!(watch.added_until("ses_1", 15), [Some(5)]);
    database.close().unwrap();
    assert!(watch.handle.stop());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "what the last writer leaves");
}
