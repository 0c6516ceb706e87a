//! Reads one recorded file line by line with the time of each, and holds no more than a chunk of it.

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::file::{RowReader, SessionFile, UsageRow};
use crate::core::lines::{Finder, Line, LineBuffer};
use crate::core::source::database::{Row, Value};
use crate::core::source::{self, Agent, Fact, Parsed, Parser, read_line};
use crate::io::database::cursor::Cursors;
use crate::io::database::{Database, ListedSession, RowSink};
use crate::io::intake::{LARGEST_DOCUMENT, databases_in, noted_folder};
use crate::io::unpacked::Unpacked;

use super::files::{Recorded, home_folder};

const CHUNK: usize = 256 << 10;

/// A recorded session at its next line, record or row.
#[derive(Debug)]
pub(super) struct Feed {
    /// The time of the next one, never before the one before.
    pub(super) at: Timestamp,
    pub(super) file: SessionFile,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A file, and database rows that add to it.
    Lines(Box<Lines>, VecDeque<StoredRow>),
    /// The records of documents or rows that are not taken yet, in order.
    Records(VecDeque<Parsed>),
}

/// A row of a database that adds to a file.
#[derive(Debug)]
struct StoredRow {
    at: Option<Timestamp>,
    table: &'static str,
    key: String,
    values: Vec<Value>,
}

/// A file that is read line by line.
#[derive(Debug)]
struct Lines {
    agent: Agent,
    reader: Unpacked,
    buffer: Vec<u8>,
    /// The part of the buffer that is not taken yet.
    from: usize,
    to: usize,
    /// Where the next line ends in it, once that was found.
    end: Option<usize>,
    over: bool,
}

impl Feed {
    /// Opens a recording; `None` if nothing in it has a time.
    pub(super) fn open(recorded: &Recorded) -> std::io::Result<Option<Self>> {
        let Recorded { path, agent, home, documents, listed, .. } = recorded;
        let mut file = SessionFile::new(*agent, Arc::clone(home), Timestamp::MIN);
        file.locate(path);
        noted_folder(*agent, path).iter().for_each(|folder| file.works_in(folder));
        let source = if let Some(listed) = listed {
            Source::Records(records_of_session(path, listed, *agent)?.into())
        } else if documents.is_empty() {
            let rows = recorded.head.as_ref().map(|head| rows_beside(path, &head.id, *agent));
            Source::Lines(Box::new(Lines::open(path, *agent)?), rows.unwrap_or_default())
        } else {
            Source::Records(records(documents, *agent)?.into())
        };
        let mut feed = Self { at: Timestamp::MIN, file, source };
        let any = feed.look()?;
        Ok(any.then_some(feed))
    }

    /// Feeds the next line, record or row to the session and finds the one after it; false at the end.
    pub(super) fn step(&mut self) -> std::io::Result<bool> {
        let more = match &mut self.source {
            Source::Lines(lines, rows) if rows.is_empty() => lines.step(&mut self.file)?,
            Source::Lines(lines, rows) => {
                let (any, at) = lines.look()?;
                // A row without a time comes with the line before it.
                let is_due =
                    |row: &mut StoredRow| !any || at.is_some_and(|at| row.at.is_none_or(|row| row <= at));
                match rows.pop_front_if(is_due) {
                    Some(row) => {
                        row.feed(&mut self.file);
                        any || !rows.is_empty()
                    }
                    None => lines.step(&mut self.file)? || !rows.is_empty(),
                }
            }
            Source::Records(records) => {
                records.pop_front().into_iter().for_each(|parsed| self.file.take(parsed));
                true
            }
        };
        if more { self.look() } else { Ok(false) }
    }

    /// Finds the time of the next one. A line without a time, or a torn one, has the time of the line before it.
    fn look(&mut self) -> std::io::Result<bool> {
        let (any, time) = match &mut self.source {
            Source::Lines(lines, rows) => {
                let (any, time) = lines.look()?;
                let row = rows.front().and_then(|row| row.at);
                (any || !rows.is_empty(), if any { [time, row].into_iter().flatten().min() } else { row })
            }
            Source::Records(records) => (!records.is_empty(), records.front().and_then(Parsed::at)),
        };
        self.at = time.map_or(self.at, |time| self.at.max(time));
        Ok(any)
    }
}

impl StoredRow {
    fn feed(&self, file: &mut SessionFile) {
        let cells: Vec<_> = self.values.iter().map(Value::cell).collect();
        file.row(&Row { table: self.table, key: &self.key, cells: &cells, at: self.at });
    }
}

/// Collects rows for later.
#[derive(Debug, Default)]
struct RowBuffer(Vec<StoredRow>);

impl RowSink for RowBuffer {
    fn row(&mut self, row: &Row<'_>) {
        let values = row.cells.iter().map(|cell| Value::from(*cell)).collect();
        self.0.push(StoredRow { at: row.at, table: row.table, key: row.key.to_owned(), values });
    }

    fn asks(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// The rows that the databases of its home add to a session's file, in the order of their times; none if a database
/// cannot be read.
fn rows_beside(path: &Path, session: &str, agent: Agent) -> VecDeque<StoredRow> {
    let layout = &agent.spec().layout;
    let (Some(databases), Some(home)) = (layout.databases.as_ref(), home_folder(agent, path)) else {
        return VecDeque::new();
    };
    let mut rows = RowBuffer::default();
    for path in databases_in(agent, home) {
        let Ok(Some(database)) = Database::open(&path, databases) else { continue };
        if let Some(schema) = database.schema_beside_files() {
            let listed = ListedSession { id: session.to_owned(), schema };
            let _without_it = database.read(&listed, &mut Cursors::default(), &mut rows);
        }
    }
    rows.0.sort_by_key(|row| row.at);
    rows.0.into()
}

/// Collects what a parser makes of rows.
#[derive(Debug)]
struct Collector {
    parser: Box<dyn Parser>,
    records: Vec<Parsed>,
}

impl RowSink for Collector {
    fn row(&mut self, row: &Row<'_>) {
        let Self { parser, records } = self;
        parser.row(row, &mut |parsed| records.push(parsed));
    }

    fn asks(&mut self) -> Vec<String> {
        self.parser.asks()
    }
}

/// The records of a session's rows, in the order of their times.
fn records_of_session(path: &Path, listed: &ListedSession, agent: Agent) -> std::io::Result<Vec<Parsed>> {
    let Some(databases) = agent.spec().layout.databases.as_ref() else { return Ok(Vec::new()) };
    Database::open(path, databases)?
        .map_or_else(|| Ok(Vec::new()), |database| records_from(&database, listed, agent))
}

/// [`records_of_session`] with an open database.
pub(super) fn records_from(
    database: &Database,
    listed: &ListedSession,
    agent: Agent,
) -> std::io::Result<Vec<Parsed>> {
    let mut collector = Collector { parser: (agent.spec().parser)(), records: Vec::new() };
    database.read(listed, &mut Cursors::default(), &mut collector)?;
    let held = collector.parser.settle();
    if !matches!(held, Parsed::Line { fact: Fact::Alive, .. }) {
        collector.records.push(held);
    }
    Ok(in_order(collector.records))
}

impl Lines {
    fn open(path: &Path, agent: Agent) -> std::io::Result<Self> {
        let reader = Unpacked::open(path)?;
        Ok(Self { agent, reader, buffer: vec![0; CHUNK], from: 0, to: 0, end: None, over: false })
    }

    /// Feeds the next line to the session; false at the end.
    fn step(&mut self, file: &mut SessionFile) -> std::io::Result<bool> {
        loop {
            if let Some(end) = self.end.take().or_else(|| self.line_end()) {
                file.push(self.buffer.get(self.from..end).unwrap_or_default());
                self.from = end;
                return Ok(true);
            }
            let rest = self.buffer.get(self.from..self.to).unwrap_or_default();
            file.push(rest);
            self.from = self.to;
            if self.over {
                file.end_line();
                return Ok(false);
            }
            self.fill()?;
        }
    }

    /// Whether there is a next line, and its time.
    fn look(&mut self) -> std::io::Result<(bool, Option<Timestamp>)> {
        let agent = self.agent;
        let next = self.ahead(agent.spec().time_within)?;
        Ok((!next.is_empty(), source::line_time(agent, next)))
    }

    /// The next line with its line break; of a long line at least the first `most` bytes.
    fn ahead(&mut self, most: usize) -> std::io::Result<&[u8]> {
        loop {
            self.end = self.line_end();
            if self.over || self.end.is_some() || self.to - self.from >= most {
                return Ok(self.buffer.get(self.from..self.end.unwrap_or(self.to)).unwrap_or_default());
            }
            self.fill()?;
        }
    }

    fn line_end(&self) -> Option<usize> {
        let rest = self.buffer.get(self.from..self.to).unwrap_or_default();
        memchr::memchr(b'\n', rest).map(|end| self.from + end + 1)
    }

    fn fill(&mut self) -> std::io::Result<()> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.buffer.len() - self.to < CHUNK {
            self.buffer.resize(self.to + CHUNK, 0);
        }
        let read = self.reader.read(self.buffer.get_mut(self.to..).unwrap_or_default())?;
        self.to += read;
        self.over = read == 0;
        Ok(())
    }
}

/// The records of all documents of a session, in the order of their times.
pub(super) fn records(documents: &[PathBuf], agent: Agent) -> std::io::Result<Vec<Parsed>> {
    let mut parser = (agent.spec().parser)();
    let mut records = Vec::new();
    let (heads, others): (Vec<_>, Vec<_>) =
        documents.iter().partition(|path| agent.spec().layout.is_head(path));
    for path in heads.into_iter().chain(others) {
        parser.located(path);
        if agent.spec().layout.documents.as_ref().is_some_and(|documents| (documents.grows)(path)) {
            let mut lines = LineBuffer::default();
            let mut line = |line: Line<'_>| {
                read_line(agent, parser.as_mut(), line, |_, parsed| records.push(parsed));
            };
            each_chunk(path, |bytes| lines.push(bytes, &mut line))?;
            lines.end(line);
            continue;
        }
        let mut bytes = Vec::new();
        Unpacked::open(path)?.take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
        parser.document(&path.to_string_lossy(), &bytes, &mut |parsed| records.push(parsed));
    }
    Ok(in_order(records))
}

/// Sorts records by time. A record without a time has that of the record before it.
fn in_order(records: Vec<Parsed>) -> Vec<Parsed> {
    let mut at = Timestamp::MIN;
    let mut timed: Vec<_> = records
        .into_iter()
        .map(|parsed| {
            at = parsed.at().unwrap_or(at);
            (at, parsed)
        })
        .collect();
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, parsed)| parsed).collect()
}

/// The usage rows of a whole file.
pub(super) fn rows(agent: Agent, path: &Path) -> std::io::Result<Vec<UsageRow>> {
    let mut reader = RowReader::new(agent);
    each_chunk(path, |bytes| reader.push(bytes))?;
    Ok(reader.finish())
}

/// Whether a file has this text anywhere.
pub(super) fn has_text(path: &Path, text: &str) -> std::io::Result<bool> {
    let mut finder = Finder::new(text.as_bytes());
    each_chunk(path, |bytes| finder.push(bytes))?;
    Ok(finder.has_found())
}

fn each_chunk(path: &Path, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
    let mut file = Unpacked::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        take(chunk.get(..read).unwrap_or_default());
    }
}
