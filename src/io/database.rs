//! Reads databases of agents, for some milliseconds each time; never writes.
//!
//! It depends on SQLite but on no agent: tables and columns are [data](Databases). Three rules protect the database:
//!
//! - A reader leaves no files and delays no writer: it opens the file, reads in one transaction and closes it.
//! - If SQLite's usual way of reading would create or change files, another way is used: see `Access`.
//! - A locked, damaged, missing or too slow database is an error of that reading; what was read before stays.
//!
//! Read next: `intake::databases`, which decides when to look; [`cursor`], the progress of reading.

pub mod cursor;
mod open;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};

use crate::core::source::database::{Cell, Databases, NewRowColumn, Row, Schema, Table};
use crate::core::time::Now;
use crate::io::clock;
use cursor::{Cursor, Cursors};
use open::{error_of, invalid};

/// Longer values are not read, in bytes.
pub const LARGEST_VALUE: u64 = 32 << 20;

/// How many of the newest rows are checked for sessions that continue, independently of the sessions' own times.
const NEWEST: i64 = 1_000;

/// Receives the rows of one session.
pub trait RowSink {
    /// A row that is new or was changed.
    fn row(&mut self, row: &Row<'_>);

    /// The keys of other rows whose rows are to be read as well.
    fn asks(&mut self) -> Vec<String>;
}

/// An open database, for one reading.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    schemas: &'static [Schema],
    /// The readable part of each schema.
    readable: Vec<Readable>,
    now: Now,
}

/// The part of a schema that this database has.
#[derive(Debug, Default)]
struct Readable {
    /// Whether its table of sessions exists, or is not needed.
    any: bool,
    /// Whether it has a column for archived sessions.
    has_over: bool,
    /// The query of each table; `None` for missing tables.
    sessions: Option<String>,
    rows: Vec<Option<String>>,
    /// Why it cannot be read, if it exists.
    refused: Option<String>,
}

/// A session of a database's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// The session's id.
    pub id: String,
    /// The number of the schema that it is read with.
    pub schema: usize,
}

/// The newest row of each table, to find newer ones.
#[derive(Debug, Default)]
pub struct Newest(Vec<(&'static str, i64)>);

impl Database {
    /// Opens the database at `path`; `None` if it is empty.
    ///
    /// # Errors
    /// It is missing, not a database, damaged, locked, on a network file system, or has other tables than expected.
    pub fn open(path: &Path, databases: &'static Databases) -> io::Result<Option<Self>> {
        let Some(connection) = open::open(path)? else { return Ok(None) };
        let (schemas, readable) = (databases.schemas, Vec::new());
        let mut database = Self { connection, schemas, readable, now: clock::now() };
        let readable: Result<_, _> =
            databases.schemas.iter().map(|schema| database.readable(schema)).collect();
        database.readable = readable.map_err(error_of)?;
        let refused = || database.readable.iter().find_map(|readable| readable.refused.clone());
        match (database.readable.iter().any(|readable| readable.any), refused()) {
            (false, Some(refused)) => Err(invalid(&refused)),
            _ => Ok(Some(database)),
        }
    }

    /// The readable part of a schema.
    fn readable(&self, schema: &'static Schema) -> rusqlite::Result<Readable> {
        let mut readable = Readable { any: true, ..Readable::default() };
        let first = schema.rows.first();
        for table in schema.sessions.iter().chain(schema.rows) {
            let is_session = schema.sessions.as_ref().is_some_and(|sessions| std::ptr::eq(sessions, table));
            let columns = self.columns(table.name)?;
            let needed = [table.key, table.of, table.written.column()];
            let lacks = needed.iter().chain(table.order).find(|needed| !has(&columns, needed));
            let sql = match lacks {
                _ if columns.is_empty() => None,
                Some(lacks) => {
                    readable.refused =
                        Some(format!("the database's table {} has no column {lacks}", table.name));
                    None
                }
                None => Some(select(table, &columns)),
            };
            // Tables that are read on request only may be missing.
            let is_needed = is_session || first.is_some_and(|first| std::ptr::eq(first, table));
            readable.any &= sql.is_some() || !is_needed;
            if is_session {
                readable.has_over = table.over.is_some_and(|over| has(&columns, over));
                readable.sessions = sql;
            } else {
                readable.rows.push(sql)
            }
        }
        Ok(readable)
    }

    /// The columns of a table; empty if there is no such table.
    fn columns(&self, table: &str) -> rusqlite::Result<Vec<String>> {
        // Views and virtual tables would run foreign code.
        const IS_TABLE: &str =
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND lower(name) = lower(?1)";
        if !self.connection.prepare(IS_TABLE)?.exists([table])? {
            return Ok(Vec::new());
        }
        let mut columns = self.connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        columns.query_map([table], |row| row.get(0))?.collect()
    }

    /// The agent's versions that write the tables in it.
    pub fn versions(&self) -> Vec<&'static str> {
        let known = self.schemas.iter().zip(&self.readable).filter(|(_, readable)| readable.any);
        known.map(|(schema, _)| schema.versions).collect()
    }

    /// Why a schema in it cannot be read, if there is one.
    pub fn refused(&self) -> Option<&str> {
        self.readable.iter().find_map(|readable| readable.refused.as_deref())
    }

    /// The sessions that were written since `since`, in milliseconds, the newest last. `also_over`: archived ones as
    /// well.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn sessions(&self, since: i64, also_over: bool) -> io::Result<Vec<ListedSession>> {
        self.list(since, also_over).map_err(error_of)
    }

    fn list(&self, since: i64, also_over: bool) -> rusqlite::Result<Vec<ListedSession>> {
        let mut found = BTreeMap::new();
        let first = self.known().next().map(|(place, _)| place);
        for (place, (schema, _)) in self.known() {
            let Some(table) = &schema.sessions else { continue };
            let (key, written) = (quoted(table.key), quoted(table.written.column()));
            let sql = format!(
                "SELECT {key}, {written} FROM {} WHERE ({written} IS NULL OR {written} >= ?1)",
                quoted(table.name)
            );
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([since])?;
            while let Some(row) = rows.next()? {
                let Some(id) = text(row.get_ref(0)?) else { continue };
                let counts = Some(place) == first && (also_over || table.over.is_none())
                    || self.counted_in(&id, also_over)? == Some(place);
                if counts {
                    found.entry(id).or_insert((row.get_ref(1)?.as_i64().unwrap_or(i64::MAX), place));
                }
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(_, (written, _))| *written);
        Ok(found.into_iter().map(|(id, (_, schema))| ListedSession { id, schema }).collect())
    }

    /// The number of sessions, and the time of the newest.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn count(&self) -> io::Result<(usize, Option<Timestamp>)> {
        let listed = self.sessions(i64::MIN, true)?;
        let mut newest = None;
        for (_, (schema, _)) in self.known() {
            let Some(table) = &schema.sessions else { continue };
            let sql = format!("SELECT max({}) FROM {}", quoted(table.written.column()), quoted(table.name));
            let written = self
                .connection
                .prepare(&sql)
                .and_then(|mut statement| statement.query_row([], |row| Ok(cell(row.get_ref(0)?).time())));
            newest = newest.max(written.map_err(error_of)?);
        }
        Ok((listed.len(), newest))
    }

    /// The schema that a session is read with; `None` if no schema has it, or it is archived.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn schema_of(&self, id: &str) -> io::Result<Option<usize>> {
        self.counted_in(id, false).map_err(error_of)
    }

    fn counted_in(&self, id: &str, also_over: bool) -> rusqlite::Result<Option<usize>> {
        for (place, (schema, readable)) in self.known() {
            let Some(table) = &schema.sessions else { return Ok(Some(place)) };
            let over = table
                .over
                .filter(|_| !also_over && readable.has_over)
                .map_or_else(|| "0".to_owned(), |over| format!("{} IS NOT NULL", quoted(over)));
            let sql = format!("SELECT {over} FROM {} WHERE {} = ?1", quoted(table.name), quoted(table.key));
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()? {
                let is_over: bool = row.get(0)?;
                return Ok(Some(place).filter(|_| !is_over));
            }
        }
        Ok(None)
    }

    /// The sessions of rows newer than `newest`, which then moves to the newest row. The first call checks the newest
    /// rows written since `since`, in milliseconds.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn sessions_of_new_rows(&self, since: i64, newest: &mut Newest) -> io::Result<Vec<String>> {
        self.new_rows(since, newest).map_err(error_of)
    }

    fn new_rows(&self, since: i64, newest: &mut Newest) -> rusqlite::Result<Vec<String>> {
        let mut found = Vec::new();
        for (_, (schema, readable)) in self.known() {
            for (table, _) in schema.rows.iter().zip(&readable.rows).filter(|(_, sql)| sql.is_some()) {
                if table.is_asked {
                    continue;
                }
                let name = quoted(table.name);
                let last: Option<i64> = self
                    .connection
                    .prepare(&format!("SELECT max(rowid) FROM {name}"))?
                    .query_row([], |row| row.get(0))?;
                let last = last.unwrap_or(0);
                let known = newest.0.iter_mut().find(|(of, _)| *of == table.name);
                let from = match known {
                    // The row numbers were restarted.
                    Some((_, from)) if last < *from => std::mem::replace(from, last).min(last - NEWEST),
                    Some((_, from)) => std::mem::replace(from, last),
                    None => {
                        newest.0.push((table.name, last));
                        last.saturating_sub(NEWEST)
                    }
                };
                if from == last {
                    continue;
                }
                let written = quoted(table.written.column());
                let sql = format!(
                    "SELECT DISTINCT {} FROM {name} NOT INDEXED WHERE rowid > ?1 AND ({written} IS NULL OR {written} >= ?2)",
                    quoted(table.of)
                );
                let mut statement = self.connection.prepare(&sql)?;
                let mut rows = statement.query([from, since])?;
                while let Some(row) = rows.next()? {
                    found.extend(text(row.get_ref(0)?).filter(|id| !found.contains(id)));
                }
            }
        }
        Ok(found)
    }

    /// The schema whose rows add to sessions in files.
    pub fn schema_beside_files(&self) -> Option<usize> {
        self.known().find(|(_, (schema, _))| schema.sessions.is_none()).map(|(place, _)| place)
    }

    fn known(&self) -> impl Iterator<Item = (usize, (&'static Schema, &Readable))> {
        self.schemas.iter().zip(&self.readable).enumerate().filter(|(_, (_, readable))| readable.any)
    }

    /// Passes the rows of a session that are new since `cursors` to `to`, and moves the cursors.
    ///
    /// # Errors
    /// As for [`Database::open`]. Rows that were passed before the error count as read.
    pub fn read(
        &self,
        session: &ListedSession,
        cursors: &mut Cursors,
        to: &mut dyn RowSink,
    ) -> io::Result<()> {
        let Some((schema, readable)) =
            self.schemas.get(session.schema).zip(self.readable.get(session.schema))
        else {
            return Ok(());
        };
        let sessions = schema.sessions.as_ref().zip(readable.sessions.as_ref());
        let rows = schema.rows.iter().zip(&readable.rows);
        let tables = rows.filter_map(|(table, sql)| Some((table, sql.as_ref()?)));
        for (table, sql) in sessions.into_iter().chain(tables) {
            let keys = if table.is_asked { to.asks() } else { vec![session.id.clone()] };
            let read = self.connection.prepare(sql).and_then(|mut statement| {
                for key in &keys {
                    let cursor = cursors.of(table.name, key);
                    rows_of(&mut statement, table, key, cursor, self.now, to)?;
                }
                Ok(())
            });
            read.map_err(error_of)?;
            cursors.keep(table.name, &keys);
        }
        Ok(())
    }
}

/// Passes the new rows of `of` on.
fn rows_of(
    statement: &mut Statement<'_>,
    table: &Table,
    of: &str,
    cursor: &mut Cursor,
    now: Now,
    to: &mut dyn RowSink,
) -> rusqlite::Result<()> {
    let is_timed = matches!(table.written, NewRowColumn::Time(_));
    let mut reading = cursor.begin(now.wall, is_timed);
    let mut rows = statement.query(rusqlite::params![of, reading.from()])?;
    while let Some(row) = rows.next()? {
        let Some(key) = text(row.get_ref(0)?) else { continue };
        let cells = (0..table.columns.len()).map(|place| row.get_ref(place + 2).map(cell));
        let cells = cells.collect::<rusqlite::Result<Vec<_>>>()?;
        if reading.is_news(&key, row.get_ref(1)?.as_i64().ok(), &cells) {
            let at = cells.get(table.at).and_then(|cell| cell.time());
            to.row(&Row { table: table.name, key: &key, cells: &cells, at });
        }
    }
    reading.end();
    Ok(())
}

/// The query of a table: first the key of a row and its time, then its columns.
fn select(table: &Table, columns: &[String]) -> String {
    let value = |column: &&str| {
        let name = quoted(column);
        let is_there = has(columns, column);
        if is_there {
            format!("CASE WHEN octet_length({name}) <= {LARGEST_VALUE} THEN {name} END")
        } else {
            "NULL".to_owned()
        }
    };
    let values: Vec<_> = table.columns.iter().map(value).collect();
    let order: Vec<_> = table.order.iter().map(|column| quoted(column)).collect();
    let written = quoted(table.written.column());
    format!(
        "SELECT {}, {written}, {} FROM {} WHERE {} = ?1 AND ({written} IS NULL OR {written} >= ?2) ORDER BY {}",
        quoted(table.key),
        values.join(", "),
        quoted(table.name),
        quoted(table.of),
        order.join(", ")
    )
}

fn has(columns: &[String], column: &str) -> bool {
    columns.iter().any(|known| known.eq_ignore_ascii_case(column))
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cell::Text(bytes),
    }
}

/// A row's key as text, also if it is a number.
fn text(value: ValueRef<'_>) -> Option<String> {
    match cell(value) {
        Cell::Integer(number) => Some(number.to_string()),
        cell => cell.text().map(str::to_owned),
    }
}
