//! A database of an agent: how soon a row leads to a frame, and what a large one costs.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::corpus::Corpus;
use crate::discord::Discord;
use crate::home::Home;
use crate::process::{bytes_read, memory};
use crate::table::{Goal, Row};
use crate::{Programs, percentile};

/// Between two changes: Discord shows four in twenty seconds, and the daemon sends no more.
const PACE: Duration = Duration::from_millis(5300);
const QUIET: Duration = Duration::from_secs(2);

/// The tables of OpenCode 1.18, with its indexes, as far as they are read or large.
const TABLES: &str = "
    CREATE TABLE session(id text PRIMARY KEY, project_id text NOT NULL, parent_id text, slug text NOT NULL,
        directory text NOT NULL, title text NOT NULL, version text NOT NULL, time_created integer NOT NULL,
        time_updated integer NOT NULL, time_archived integer, agent text, model text);
    CREATE TABLE message(id text PRIMARY KEY, session_id text NOT NULL, time_created integer NOT NULL,
        time_updated integer NOT NULL, data text NOT NULL);
    CREATE TABLE part(id text PRIMARY KEY, message_id text NOT NULL, session_id text NOT NULL,
        time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL);
    CREATE TABLE event(id text PRIMARY KEY, aggregate_id text NOT NULL, seq integer NOT NULL, type text NOT NULL,
        data text NOT NULL);
    CREATE INDEX message_session_idx ON message(session_id);
    CREATE INDEX part_message_idx ON part(message_id);
    CREATE INDEX part_session_idx ON part(session_id);";

/// Old sessions with their messages, and texts and events of so many bytes each.
const OLD: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO session SELECT 'ses_old' || i, 'global', NULL, 's', '/home/ada/app', 't', '1.18.33', ?2 - i * 1000,
        ?2 - i * 1000, NULL, 'build', NULL FROM n";
const OLD_MESSAGES: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO message SELECT 'msg_old' || i, 'ses_old' || (1 + i / 100), ?2 - i * 10, ?2 - i * 10,
        '{\"role\":\"assistant\",\"finish\":\"stop\",\"tokens\":{\"input\":1,\"output\":1,\"reasoning\":0,\"cache\":{\"read\":0,\"write\":0}}}'
        FROM n";
const OLD_TEXTS: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO part SELECT 'prt_old' || i, 'msg_old' || i, 'ses_old' || (1 + i / 100), ?2, ?2, zeroblob(100000) FROM n";
const OLD_EVENTS: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO event SELECT 'evt_old' || i, 'ses_old' || (1 + i / 100), ?2 + i, 'text', zeroblob(100000) FROM n";

/// An agent that writes its database as OpenCode does: one row for a response, updated in place.
struct Writer {
    connection: Connection,
    output: u64,
}

impl Writer {
    /// A database of about so many bytes, half of them events, and a live session with an open turn.
    fn create(path: &Path, bytes: u64) -> Self {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let connection = Connection::open(path).expect("a database");
        let fill = |sql: &str, count: u64| {
            let long_ago = Timestamp::now().as_millisecond() - 100 * 86_400_000;
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            connection.execute(sql, params![count, long_ago]).expect("old rows");
        };
        connection
            .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            .expect("a quick beginning");
        connection.execute_batch(TABLES).expect("tables");
        fill(OLD, 10_000);
        fill(OLD_MESSAGES, 1_000_000);
        fill(OLD_TEXTS, bytes / 200_000);
        fill(OLD_EVENTS, bytes / 200_000);
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").expect("a log");
        let now = Timestamp::now().as_millisecond();
        let session = "INSERT INTO session VALUES('ses_live', 'global', NULL, 's', '/home/ada/app', 't', '1.18.33', ?1, ?1, NULL, 'build', NULL)";
        connection.execute(session, [now]).expect("a session");
        let message = "INSERT INTO message VALUES(?1, 'ses_live', ?2, ?2, ?3)";
        let prompt = format!(r#"{{"role":"user","time":{{"created":{now}}}}}"#);
        connection.execute(message, params!["msg_1", now, prompt]).expect("a prompt");
        let mut writer = Self { connection, output: 0 };
        let answer = writer.answer(now);
        writer.connection.execute(message, params!["msg_2", now + 1, answer]).expect("a response");
        writer
    }

    fn answer(&mut self, now: i64) -> String {
        self.output += 100;
        let (output, created) = (self.output, now + 1);
        format!(
            r#"{{"role":"assistant","parentID":"msg_1","modelID":"m-large","providerID":"acme","time":{{"created":{created}}},"tokens":{{"input":1000,"output":{output},"reasoning":0,"cache":{{"read":0,"write":0}}}}}}"#
        )
    }

    /// The response has grown.
    fn grow(&mut self) {
        let now = Timestamp::now().as_millisecond();
        let answer = self.answer(now);
        let update = "UPDATE message SET data = ?1, time_updated = ?2 WHERE id = 'msg_2'";
        self.connection.execute(update, params![answer, now]).expect("a response that grows");
    }
}

/// A database of so many megabytes: the first card, what is read for it, and from the write of a row to the frame that it
/// leads to, beside the same of a line of Codex.
pub(crate) fn database(programs: &Programs, megabytes: u64, changes: usize, print: &mut dyn FnMut(Row)) {
    let mut corpus = Corpus::new(6);
    let (mut lines, rows) = (Home::new(), Home::new());
    lines.add_live(&mut corpus, 100_000);
    let mut writer = Writer::create(&rows.path(".local/share/opencode/opencode.db"), megabytes * 1_000_000);
    let discords = [&lines, &rows].map(|home| Discord::listen(home.path("daemon.sock")));
    let codex = lines.daemon(&programs.daemon, discords[0].path());
    discords[0].settle(QUIET);
    let began = Instant::now();
    let daemon = rows.daemon(&programs.daemon, discords[1].path());
    let first = discords[1].next().duration_since(began);
    discords[1].settle(QUIET);
    let size = format!("a database of {megabytes} MB");
    print(
        Row::new(format!("first card, {size}"), "ms", first.as_secs_f64() * 1000.0, None)
            .goal(Goal::Most(250.0)),
    );
    print(
        Row::new(format!("read for it, {size}"), "MB", bytes_read(daemon.pid()) / 1e6, None)
            .goal(Goal::Most(8.0)),
    );
    print(
        Row::new(format!("most resident, {size}"), "MB", memory(daemon.pid())[1], None)
            .goal(Goal::Most(16.0)),
    );
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..changes {
        sleep(PACE);
        discords.iter().for_each(Discord::forget);
        let began = Instant::now();
        lines.live()[0].append_usage(&mut corpus);
        took[0].push(discords[0].next().duration_since(began));
        let began = Instant::now();
        writer.grow();
        took[1].push(discords[1].next().duration_since(began));
    }
    let [line, row] = took.map(|took| percentile(&took, 50).as_secs_f64() * 1000.0);
    print(Row::new(format!("row to frame, {size}, beside a line"), "ms", row, Some(line)));
    drop(codex);
}
