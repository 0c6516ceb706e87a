//! Databases in every state: being written, left by a killed program, locked, damaged, not a database, with other
//! tables.

use std::fs;
use std::path::PathBuf;

use super::open::{BUSY, LONGEST};
use super::*;
use crate::core::fingerprint;

static TALKS: Databases = Databases {
    is_one: |name| name == "talks.db",
    schemas: &[
        Schema { versions: "2", sessions: Some(talks("talk2")), rows: &[said("said2")] },
        Schema { versions: "1", sessions: Some(talks("talk")), rows: &[said("said"), PART] },
    ],
};

const fn talks(name: &'static str) -> Table {
    Table {
        name,
        key: "id",
        of: "id",
        written: NewRowColumn::Time("updated"),
        order: &["updated"],
        over: Some("over"),
        is_asked: false,
        at: 1,
        columns: &["id", "updated"],
    }
}

const fn said(name: &'static str) -> Table {
    Table {
        name,
        key: "id",
        of: "talk",
        written: NewRowColumn::Time("updated"),
        order: &["id"],
        over: None,
        is_asked: false,
        at: 1,
        columns: &["text", "updated", "later"],
    }
}

const PART: Table = Table { of: "said", is_asked: true, ..said("part") };

const TABLES: &str = "CREATE TABLE talk(id text PRIMARY KEY, updated integer, over integer);
    CREATE TABLE said(id text PRIMARY KEY, talk text, updated integer, text text);
    CREATE TABLE part(id text PRIMARY KEY, said text, updated integer, text text);
    INSERT INTO talk VALUES('t1', 1000, NULL), ('t2', 2000, NULL), ('t3', 3000, 1);
    INSERT INTO said VALUES('a', 't1', 1000, 'one'), ('b', 't1', 1000, 'two'), ('c', 't2', 2000, 'three');
    INSERT INTO part VALUES('p', 'a', 900, 'of a'), ('q', 'b', 900, 'of b');";

struct Bench {
    folder: tempfile::TempDir,
    writer: Connection,
}

impl Bench {
    fn new(journal: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = Connection::open(folder.path().join("talks.db")).unwrap();
        writer.execute_batch(&format!("PRAGMA journal_mode = {journal}; {TABLES}")).unwrap();
        Self { folder, writer }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("talks.db")
    }

    fn files(&self) -> Vec<(String, u64)> {
        files(self.folder.path())
    }

    fn open(&self) -> Database {
        Database::open(&self.path(), &TALKS).unwrap().unwrap()
    }
}

/// The files of a folder with their hashes, without a `-shm`, which readers of one process write to.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        let bytes = if name.ends_with("-shm") { Vec::new() } else { fs::read(entry.path()).unwrap() };
        (name, fingerprint::short(&bytes))
    };
    let mut files: Vec<_> = entries.map(file).collect();
    files.sort();
    files
}

/// Collects rows as text; asks for the parts of every row with the text `two`.
#[derive(Default)]
struct Heard(Vec<String>, Vec<String>);

impl RowSink for Heard {
    fn row(&mut self, row: &Row<'_>) {
        let text = row.cell(0).text().unwrap_or("-");
        assert_eq!(row.cell(2), Cell::Null, "a column that is not there is null");
        self.0.push(format!("{} {}", row.table, text));
        if text == "two" {
            self.1.push(row.key.to_owned());
        }
    }

    fn asks(&mut self) -> Vec<String> {
        self.1.clone()
    }
}

fn read(database: &Database, session: &str, cursors: &mut Cursors) -> Vec<String> {
    let schema = database.schema_of(session).unwrap().unwrap();
    let mut heard = Heard::default();
    database.read(&ListedSession { id: session.to_owned(), schema }, cursors, &mut heard).unwrap();
    heard.0
}

fn ids(listed: &[ListedSession]) -> Vec<&str> {
    listed.iter().map(|listed| listed.id.as_str()).collect()
}

#[test]
fn each_row_is_passed_on_once_and_again_after_a_change() {
    let bench = Bench::new("wal");
    let mut cursors = Cursors::default();
    let first = read(&bench.open(), "t1", &mut cursors);
    assert_eq!(first, ["talk t1", "said one", "said two", "part of b"]);
    assert_eq!(read(&bench.open(), "t1", &mut cursors), [""; 0]);
    bench.writer.execute_batch("UPDATE said SET text = 'ONE' WHERE id = 'a'").unwrap();
    assert_eq!(read(&bench.open(), "t1", &mut cursors), ["said ONE"], "in the same millisecond");
    bench.writer.execute_batch("INSERT INTO said VALUES('0', 't1', 1001, 'zero')").unwrap();
    assert_eq!(read(&bench.open(), "t1", &mut cursors), ["said zero"]);
}

#[test]
fn archived_sessions_are_not_listed() {
    let bench = Bench::new("wal");
    assert_eq!(ids(&bench.open().sessions(1001, false).unwrap()), ["t2"]);
    assert_eq!(ids(&bench.open().sessions(i64::MIN, true).unwrap()), ["t1", "t2", "t3"]);
    assert_eq!(bench.open().schema_of("t3").unwrap(), None);
    assert_eq!(bench.open().schema_of("none").unwrap(), None);
    assert_eq!(bench.open().count().unwrap().0, 3);
}

#[test]
fn of_two_schemas_the_newer_one_that_has_the_session_is_read() {
    let bench = Bench::new("wal");
    assert_eq!(bench.open().versions(), ["1"]);
    bench
        .writer
        .execute_batch(
            "CREATE TABLE talk2(id text PRIMARY KEY, updated integer, over integer);
            CREATE TABLE said2(id text PRIMARY KEY, talk text, updated integer, text text);
            INSERT INTO talk2 VALUES('t1', 1, NULL); INSERT INTO said2 VALUES('a', 't1', 1, 'newer');",
        )
        .unwrap();
    let database = bench.open();
    assert_eq!(database.versions(), ["2", "1"]);
    assert_eq!(ids(&database.sessions(500, false).unwrap()), ["t2"], "the newer one says that it is old");
    assert_eq!(ids(&database.sessions(0, false).unwrap()), ["t1", "t2"]);
    assert_eq!(read(&database, "t1", &mut Cursors::default()), ["talk2 t1", "said2 newer"]);
    assert_eq!(read(&database, "t2", &mut Cursors::default()), ["talk t2", "said three"]);
}

#[test]
fn new_rows_name_the_sessions_that_continue() {
    let bench = Bench::new("wal");
    let mut newest = Newest::default();
    assert_eq!(bench.open().sessions_of_new_rows(1500, &mut newest).unwrap(), ["t2"]);
    assert_eq!(bench.open().sessions_of_new_rows(1500, &mut newest).unwrap(), [""; 0]);
    bench.writer.execute_batch("INSERT INTO said VALUES('d', 't1', 5000, 'four')").unwrap();
    assert_eq!(bench.open().sessions_of_new_rows(1500, &mut newest).unwrap(), ["t1"]);
    bench.writer.execute_batch("DELETE FROM said WHERE talk = 't1'; VACUUM").unwrap();
    assert_eq!(bench.open().sessions_of_new_rows(1500, &mut newest).unwrap(), ["t2"], "numbered anew");
}

/// With and without a writer, and with the files that a killed one leaves, or a copy of some of them.
#[test]
fn a_reader_leaves_no_files_and_reads_every_row() {
    let all = ["talk t1", "said one", "said two", "part of b"];
    for journal in ["wal", "delete"] {
        let bench = Bench::new(journal);
        let before = bench.files();
        assert_eq!(read(&bench.open(), "t1", &mut Cursors::default()), all, "{journal}");
        assert_eq!(bench.files(), before, "{journal}");
        let copied: Vec<_> = before.iter().map(|(name, _)| name.as_str()).collect();
        for left_out in [None, Some("talks.db-shm")] {
            let copy = tempfile::tempdir().unwrap();
            for name in copied.iter().filter(|name| Some(**name) != left_out) {
                fs::copy(bench.folder.path().join(name), copy.path().join(name)).unwrap();
            }
            let before = files(copy.path());
            let database = Database::open(&copy.path().join("talks.db"), &TALKS).unwrap().unwrap();
            assert_eq!(read(&database, "t1", &mut Cursors::default()), all, "{journal} without {left_out:?}");
            drop(database);
            assert_eq!(files(copy.path()), before, "{journal} without {left_out:?}");
        }
        let Bench { folder, writer } = bench;
        writer.close().unwrap();
        let before = files(folder.path());
        assert_eq!(before.len(), 1);
        let database = Database::open(&folder.path().join("talks.db"), &TALKS).unwrap().unwrap();
        assert_eq!(read(&database, "t1", &mut Cursors::default()), all, "{journal}, closed");
        drop(database);
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn a_reader_does_not_delay_a_writer() {
    let bench = Bench::new("wal");
    let database = bench.open();
    bench.writer.execute_batch("INSERT INTO said VALUES('z', 't1', 9000, 'last')").unwrap();
    drop(database);
    let busy: i64 = bench.writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0, "no process has it open");
    assert!(read(&bench.open(), "t1", &mut Cursors::default()).contains(&"said last".to_owned()));
}

fn refusal(bench: &Bench) -> (io::ErrorKind, String) {
    let read = |database: Option<Database>| database.unwrap().sessions(0, false);
    let error = Database::open(&bench.path(), &TALKS).and_then(read).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_locked_database_is_an_error_after_a_short_wait() {
    let bench = Bench::new("delete");
    bench.writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = clock::now().mono;
    let (kind, said) = refusal(&bench);
    assert_eq!(
        (kind, said.as_str()),
        (io::ErrorKind::WouldBlock, "the database is locked by another program")
    );
    assert!(clock::now().mono - began >= BUSY, "it was waited for");
}

#[test]
fn a_file_that_is_not_a_database_is_an_error() {
    let bench = Bench::new("wal");
    bench.writer.execute_batch("ALTER TABLE said RENAME COLUMN updated TO changed").unwrap();
    assert_eq!(refusal(&bench).1, "the database's table said has no column updated");
    bench.writer.execute_batch("DROP TABLE said; CREATE VIEW said AS SELECT * FROM part").unwrap();
    assert_eq!(bench.open().versions(), [""; 0], "a view is no table");
    let Bench { folder, writer } = Bench::new("delete");
    writer.close().unwrap();
    let path = folder.path().join("talks.db");
    let opened = || Database::open(&path, &TALKS);
    let whole = fs::read(&path).unwrap();
    for (bytes, said) in [
        (&b"x".repeat(5000)[..], Some("it is not an SQLite database")),
        (&whole[..4000], None),
        (&[&whole[..100], &[0xff; 8000][..]].concat(), None),
        (b"", None),
    ] {
        fs::write(&path, bytes).unwrap();
        match (opened(), said) {
            (Ok(None), None) => assert!(bytes.is_empty(), "nothing is in it yet"),
            (Err(error), said) => assert!(said.is_none_or(|said| error.to_string() == said), "{error}"),
            (Ok(Some(database)), None) => assert!(database.sessions(0, false).is_err()),
            (opened, said) => panic!("{opened:?} {said:?}"),
        }
    }
    let absent = folder.path().join("absent.db");
    let refused = |path: &Path| Database::open(path, &TALKS).unwrap_err();
    assert_eq!(refused(&absent).kind(), io::ErrorKind::NotFound);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&absent, &absent).unwrap();
        assert_ne!(refused(&absent).kind(), io::ErrorKind::NotFound, "a link to itself");
    }
}

#[test]
fn a_value_that_is_too_long_is_left_out() {
    let bench = Bench::new("wal");
    let sql = format!("UPDATE said SET text = hex(zeroblob({})) WHERE id = 'a'", LARGEST_VALUE);
    bench.writer.execute_batch(&sql).unwrap();
    let all = read(&bench.open(), "t1", &mut Cursors::default());
    assert_eq!(all, ["talk t1", "said -", "said two", "part of b"]);
}

#[test]
fn a_reading_that_takes_too_long_ends() {
    let bench = Bench::new("wal");
    let database = bench.open();
    let began = clock::now().mono;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let error = database.connection.query_row(endless, [], |_| Ok(())).map_err(error_of).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(clock::now().mono - began < LONGEST * 3);
}

#[test]
fn paths_are_written_as_sqlite_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    // Windows has no `?` in names.
    let name = if cfg!(windows) { "a b&mode=rw#%41&ü.db" } else { "a b?mode=rw#%41&ü.db" };
    let odd = folder.path().join(name);
    Connection::open(&odd).unwrap().execute_batch(TABLES).unwrap();
    assert_eq!(Database::open(&odd, &TALKS).unwrap().unwrap().versions(), ["1"]);
}

#[test]
fn sorting_writes_no_file() {
    const MEMORY: i64 = 2;
    let bench = Bench::new("wal");
    let place = bench.open().connection.query_row("PRAGMA temp_store", [], |row| row.get(0));
    assert_eq!(place, Ok(MEMORY));
}
