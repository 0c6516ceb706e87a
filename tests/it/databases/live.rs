//! Rows that are written as OpenCode writes them, or as others may.

use std::fs;

use agent_presence::core::activity::Activity;
use agent_presence::core::source_event::SourceEvent;

use super::{Bench, Watch, done, home, is_gone, open, usage, user, write_message};
use crate::agents::opencode::writer;

#[test]
fn a_response_counts_when_its_row_is_filled_and_once() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now - 50_000, now - 50_000, &user(now - 50_000));
    bench.message(
        "msg_2",
        "ses_1",
        now - 49_000,
        now - 40_000,
        &done(now - 49_000, now - 40_000, "tool-calls", 100),
    );
    let watch = bench.watch();
    let restored: Vec<_> =
        watch.until_caught_up().into_iter().filter_map(|event| usage(event, "ses_1")).flatten().collect();
    assert_eq!(restored, [(None, 100)]);
    bench.message("msg_3", "ses_1", now, now, &open(now));
    bench.message("msg_3", "ses_1", now, now + 1, &done(now, now + 1, "tool-calls", 20));
    assert_eq!(watch.added_until("ses_1", 120), [Some(20)]);
    bench.message("msg_3", "ses_1", now, now + 1, &done(now, now + 1, "tool-calls", 25));
    assert_eq!(watch.added_until("ses_1", 125), [Some(5)], "in the same millisecond");
    bench.message(
        "msg_2",
        "ses_1",
        now - 49_000,
        now + 2,
        &done(now - 49_000, now - 40_000, "tool-calls", 101),
    );
    assert_eq!(watch.added_until("ses_1", 126), [Some(1)], "an older row");
    // Two responses in one transaction are two events.
    bench.writer.execute_batch("BEGIN").unwrap();
    bench.message("msg_4", "ses_1", now + 3, now + 4, &done(now + 3, now + 4, "tool-calls", 1_000));
    bench.message("msg_5", "ses_1", now + 4, now + 5, &done(now + 4, now + 5, "stop", 2_000));
    bench.writer.execute_batch("COMMIT").unwrap();
    assert_eq!(watch.added_until("ses_1", 3_126), [Some(1_000), Some(2_000)]);
    // What falls takes away what it counted before, and is no event.
    bench.message("msg_5", "ses_1", now + 4, now + 6, &done(now + 4, now + 5, "stop", 1_500));
    let total = watch.until(|event| match event {
        SourceEvent::Updated { update, .. } => update.session.usage.session_total_tokens,
        _ => None,
    });
    assert_eq!(total.all(), 2_626);
    bench.message("msg_6", "ses_1", now + 7, now + 8, &done(now + 7, now + 8, "stop", 1));
    assert_eq!(watch.added_until("ses_1", 2_627), [Some(1)]);
    assert!(watch.handle.stop());
}

/// The clock was set back by an hour.
#[test]
fn rows_that_are_older_than_those_before_them_count() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    let later = now + 3_600_000;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", later, later, &done(later, later, "stop", 100));
    let watch = bench.watch();
    watch.until_caught_up();
    bench.message("msg_2", "ses_1", now, now, &done(now, now, "stop", 20));
    assert_eq!(watch.added_until("ses_1", 120), [Some(20)]);
}

#[test]
fn the_parts_of_an_open_response_tell_which_tool_runs() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &user(now));
    bench.message("msg_2", "ses_1", now + 1, now + 1, &open(now + 1));
    let watch = bench.watch();
    let activity = |wanted: Activity| {
        watch.until(|event| match event {
            SourceEvent::Updated { update, .. } => {
                let last = update.session.last_event_at.unwrap();
                let is = update.session.activity(last, std::time::Duration::from_secs(900)) == wanted;
                is.then_some(())
            }
            _ => None,
        });
    };
    activity(Activity::Thinking);
    let part = |status: &str, at: i64| {
        let data =
            serde_json::json!({"type": "tool", "tool": "grep", "callID": "c", "state": {"status": status}});
        bench
            .writer
            .execute(
                "INSERT INTO part VALUES('prt_1', 'msg_2', 'ses_1', ?1, ?1, ?2)
                ON CONFLICT(id) DO UPDATE SET time_updated = excluded.time_updated, data = excluded.data",
                rusqlite::params![at, data.to_string()],
            )
            .unwrap();
    };
    part("pending", now + 2);
    activity(Activity::Searching);
    part("completed", now + 3);
    activity(Activity::Thinking);
    bench.message("msg_2", "ses_1", now + 1, now + 4, &done(now + 1, now + 4, "stop", 1));
    activity(Activity::Waiting);
}

/// 2.x copies a session at its first start, and goes on with the copy; what is written into the old tables later does not count.
#[test]
fn a_session_that_moves_to_other_tables_goes_on_and_counts_once() {
    let bench = Bench::new("2.0");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now - 50_000, now - 50_000, &user(now - 50_000));
    bench.message(
        "msg_2",
        "ses_1",
        now - 49_000,
        now - 40_000,
        &done(now - 49_000, now - 40_000, "stop", 100),
    );
    let watch = bench.watch();
    watch.until_caught_up();
    let entry = |id: &str, kind: &str, seq: i64, at: i64, data: &serde_json::Value| {
        let params = rusqlite::params![id, kind, seq, at, data.to_string()];
        let sql = "INSERT INTO session_message VALUES(?1, 'ses_1', ?2, ?3, ?4, ?4, ?5)";
        bench.writer.execute(sql, params).unwrap();
    };
    bench.writer.execute_batch("BEGIN").unwrap();
    let copy = "INSERT INTO session_v2(id, project_id, slug, directory, version, time_created, time_updated)
        SELECT id, project_id, slug, directory, version, time_created, time_updated FROM session";
    bench.writer.execute_batch(copy).unwrap();
    entry("msg_1", "user", 0, now - 50_000, &user(now - 50_000));
    entry("msg_2", "assistant", 1, now - 40_000, &done(now - 49_000, now - 40_000, "stop", 100));
    bench.writer.execute_batch("COMMIT").unwrap();
    entry("msg_3", "user", 4, now + 1, &user(now + 1));
    entry("msg_4", "assistant", 5, now + 2, &done(now + 2, now + 2, "stop", 20));
    let added = watch.added_until("ses_1", 120);
    assert_eq!(added.into_iter().flatten().sum::<u64>(), 20, "the rest was there");
    bench.message("msg_9", "ses_1", now + 3, now + 3, &done(now + 3, now + 3, "stop", 5_000));
    entry("msg_5", "assistant", 6, now + 4, &done(now + 4, now + 4, "stop", 3));
    assert_eq!(watch.added_until("ses_1", 123), [Some(3)]);
}

#[test]
fn a_session_that_was_put_away_or_deleted_is_gone() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    for (session, message) in [("ses_1", "msg_1"), ("ses_2", "msg_2")] {
        bench.session(session, now - 60_000);
        bench.message(message, session, now, now, &done(now, now, "stop", 10));
    }
    let watch = bench.watch();
    assert_eq!(watch.until_caught_up().len(), 2);
    bench.writer.execute_batch("UPDATE session SET time_archived = 1 WHERE id = 'ses_1'").unwrap();
    watch.until(is_gone);
    bench.writer.execute_batch("DELETE FROM session WHERE id = 'ses_2'").unwrap();
    watch.until(is_gone);
    bench.writer.execute_batch("UPDATE session SET time_archived = NULL WHERE id = 'ses_1'").unwrap();
    assert_eq!(watch.added_until("ses_1", 10).len(), 1, "it is back");
}

/// Neither is listed by its own time: rows that come tell of them.
#[test]
fn an_old_session_that_goes_on_and_a_fork_of_it_are_live() {
    const DAY: i64 = 24 * 3_600_000;
    let bench = Bench::new("1.18");
    let now = bench.now;
    let old = now - 3 * DAY;
    bench.session("ses_1", old);
    bench.message("msg_1", "ses_1", old, old, &done(old, old, "stop", 10));
    let watch = bench.watch();
    assert_eq!(watch.until_caught_up().len(), 0);
    let now = super::now();
    bench.session("ses_2", now);
    bench.message("msg_2", "ses_2", old, now, &done(old, old, "stop", 10));
    bench.message("msg_3", "ses_2", now, now, &done(now, now, "stop", 7));
    assert_eq!(watch.added_until("ses_2", 7), [Some(7)]);
    bench.message("msg_4", "ses_1", now, now, &done(now, now, "stop", 5));
    assert_eq!(watch.added_until("ses_1", 15).last(), Some(&Some(5)));
}

#[test]
fn a_database_that_is_replaced_is_read_anew() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let watch = bench.watch();
    assert_eq!(watch.until_caught_up().len(), 1);
    let other = tempfile::tempdir_in(bench.folder.path()).unwrap();
    let other_path = other.path().join("other.db");
    let other_writer = writer(&other_path, "1.18");
    other_writer
        .execute(
            "INSERT INTO session(id, project_id, slug, directory, title, version, time_created, time_updated)
            VALUES('ses_2', 'global', 's', '/a', 't', '1', ?1, ?1)",
            [now],
        )
        .unwrap();
    write_message(&other_writer, "msg_2", "ses_2", now, now, &done(now, now, "stop", 30));
    other_writer.close().unwrap();
    let path = bench.database();
    let Bench { folder, writer, .. } = bench;
    writer.close().unwrap();
    fs::rename(&other_path, &path).unwrap();
    assert_eq!(watch.added_until("ses_2", 30).len(), 1);
    drop(folder);
}

#[test]
fn documents_give_way_to_the_database_that_they_were_copied_into() {
    let home_folder = tempfile::tempdir().unwrap();
    let path = home_folder.path();
    let now = agent_presence::io::clock::now().wall.as_millisecond();
    let write = |below: &str, data: &serde_json::Value| {
        let file = path.join("storage").join(below);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, data.to_string()).unwrap();
    };
    let parent = serde_json::json!({"id": "ses_1", "directory": "/a", "parentID": "ses_0", "time": {"created": now - 9_000}});
    write("session/global/ses_1.json", &parent);
    let message = |input| {
        let mut message = done(now, now, "stop", input);
        message["id"] = "msg_1".into();
        message["sessionID"] = "ses_1".into();
        message
    };
    write("message/ses_1/msg_1.json", &message(640));
    let watch = Watch::new(vec![home(path)]);
    let there = watch.until_caught_up();
    let is_helper = |event: &SourceEvent| match event {
        SourceEvent::Updated { update, .. } => update.session.parent.is_some(),
        _ => false,
    };
    assert!(there.iter().all(is_helper), "what a session is comes before its messages");
    assert_eq!(
        there.into_iter().filter_map(|event| usage(event, "ses_1")).flatten().last(),
        Some((None, 640))
    );
    write("message/ses_1/msg_1.json", &message(650));
    assert_eq!(watch.added_until("ses_1", 650), [Some(10)]);
    let database = writer(&path.join("opencode.db"), "1.18");
    database
        .execute(
            "INSERT INTO session(id, project_id, slug, directory, title, version, time_created, time_updated)
            VALUES('ses_1', 'global', 's', '/a', 't', '1', ?1, ?1)",
            [now - 9_000],
        )
        .unwrap();
    watch.until(is_gone);
    write_message(&database, "msg_1", "ses_1", now, now, &done(now, now, "stop", 650));
    assert_eq!(watch.added_until("ses_1", 650).len(), 1);
    write("message/ses_1/msg_1.json", &message(9_000));
    write_message(&database, "msg_2", "ses_1", now + 1, now + 1, &done(now + 1, now + 1, "stop", 1));
    assert_eq!(watch.added_until("ses_1", 651), [Some(1)]);
}

/// As a home, and named by its variable.
#[test]
fn a_database_of_any_name_is_a_home() {
    let bench = Bench::new("1.18");
    let now = bench.now;
    bench.session("ses_1", now - 60_000);
    bench.message("msg_1", "ses_1", now, now, &done(now, now, "stop", 10));
    let other = bench.folder.path().join("elsewhere").join("state.sqlite");
    let _open = writer(&other, "1.18");
    for path in [bench.database(), other] {
        let watch = Watch::new(vec![home(&path)]);
        let there = watch.until_caught_up();
        assert_eq!(there.is_empty(), path != bench.database());
        let now = super::now();
        let database = rusqlite::Connection::open(&path).unwrap();
        let session = "INSERT OR IGNORE INTO session(id, project_id, slug, directory, title, version, time_created, time_updated)
            VALUES('ses_1', 'global', 's', '/a', 't', '1', ?1, ?1)";
        database.execute(session, [now - 60_000]).unwrap();
        write_message(&database, "msg_9", "ses_1", now + 1, now + 1, &done(now + 1, now + 1, "stop", 3));
        let total = if path == bench.database() { 13 } else { 3 };
        assert_eq!(watch.added_until("ses_1", total).last(), Some(&Some(3)));
    }
}
