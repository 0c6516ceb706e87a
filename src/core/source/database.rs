//! Describes what is read of an agent's databases: tables, columns and their order.
//!
//! A row is passed to the parser of its session in its present state, again after each change. Nothing else of a
//! database is read.
//! Read next: [`Parser::row`](super::Parser::row); the shell that reads the rows, which is the same for all agents.

use jiff::Timestamp;

use super::lenient::Scalar;
use super::value;

/// Databases of an agent.
#[derive(Debug)]
pub struct Databases {
    /// Whether a file in a home is a database, by its name.
    pub is_one: fn(&str) -> bool,
    /// The schemas, newest first: if a session is in several, only the first counts.
    pub schemas: &'static [Schema],
}

/// The tables of some versions of an agent.
#[derive(Debug)]
pub struct Schema {
    /// Those versions, as text.
    pub versions: &'static str,
    /// The sessions, one per row, with the session's id as key. `None` if sessions have their own files, to which
    /// rows add.
    pub sessions: Option<Table>,
    /// The rows of a session, in the order for its parser.
    pub rows: &'static [Table],
}

/// The parts of a table that are read.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The column that identifies a row.
    pub key: &'static str,
    /// The column that names the session of a row, or the requested id.
    pub of: &'static str,
    /// The column that never decreases in a row that was written later.
    pub written: NewRowColumn,
    /// The order of the rows of one session.
    pub order: &'static [&'static str],
    /// The index of the column with the time of the row's event.
    pub at: usize,
    /// The columns that are read. A missing column is null in every row.
    pub columns: &'static [&'static str],
    /// The column that is not null in archived sessions.
    pub over: Option<&'static str>,
    /// Whether only those rows are read that the parser [asks for](super::Parser::asks).
    pub is_asked: bool,
}

/// The column that shows which rows are new.
#[derive(Debug, Clone, Copy)]
pub enum NewRowColumn {
    /// A time in milliseconds: rows are rewritten in place.
    Time(&'static str),
    /// A number that rises from row to row: rows do not change.
    Number(&'static str),
}

impl NewRowColumn {
    /// The column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Time(column) | Self::Number(column) => column,
        }
    }
}

/// The database of a file, by its name: itself, or the database whose log it is.
pub fn written_on(name: &str) -> &str {
    name.strip_suffix("-wal").unwrap_or(name)
}

impl Databases {
    /// The database to which a file in a home belongs, by its name.
    pub fn main<'a>(&self, name: &'a str) -> Option<&'a str> {
        let main = written_on(name);
        (self.is_one)(main).then_some(main)
    }
}

/// One value of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Cell<'a> {
    /// Null, or not available.
    #[default]
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// A text, or bytes.
    Text(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// A complete text that is not empty.
    pub fn text(self) -> Option<&'a str> {
        let Self::Text(bytes) = self else { return None };
        std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
    }

    /// Its bytes.
    pub fn bytes(self) -> &'a [u8] {
        if let Self::Text(bytes) = self { bytes } else { &[] }
    }

    /// A count; 0 for a negative number.
    pub fn number(self) -> Option<u64> {
        self.scalar().number()
    }

    /// A time: RFC 3339, or epoch seconds or milliseconds.
    pub fn time(self) -> Option<Timestamp> {
        match self {
            Self::Text(_) => value::parse_time(self.text()?),
            _ => self.scalar().time(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "of a negative number nothing but its sign is of use")]
    fn scalar(self) -> Scalar<'static> {
        match self {
            Self::Integer(number) => {
                u64::try_from(number).map_or(Scalar::Float(number as f64), Scalar::Whole)
            }
            Self::Real(number) => Scalar::Float(number),
            Self::Null | Self::Text(_) => Scalar::Absent,
        }
    }
}

/// An owned value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null, or not available.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// A text, or bytes.
    Text(Vec<u8>),
}

impl Value {
    /// The value as a cell.
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(number) => Cell::Integer(*number),
            Self::Real(number) => Cell::Real(*number),
            Self::Text(bytes) => Cell::Text(bytes),
        }
    }
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(number) => Self::Integer(number),
            Cell::Real(number) => Self::Real(number),
            Cell::Text(bytes) => Self::Text(bytes.to_vec()),
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The name of its table.
    pub table: &'static str,
    /// Its key in the table.
    pub key: &'a str,
    /// The values of the table's columns, in their order.
    pub cells: &'a [Cell<'a>],
    /// The time of its event.
    pub at: Option<Timestamp>,
}

impl<'a> Row<'a> {
    /// The value at an index of the columns.
    pub fn cell(&self, place: usize) -> Cell<'a> {
        self.cells.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_unexpected_types_are_ignored() {
        let time = Cell::Integer(1_770_000_000_000).time();
        assert_eq!(time.map(Timestamp::as_second), Some(1_770_000_000));
        assert_eq!(Cell::Real(1.77e12).time(), time);
        assert_eq!(Cell::Text(b"2026-02-02T02:40:00.000Z").time(), time);
        assert_eq!(Cell::Text(b"soon").time(), None);
        assert_eq!(Cell::Integer(i64::MAX).time(), None);
        assert_eq!(Cell::Integer(-3).number(), Some(0));
        assert_eq!(Cell::Real(1e300).number(), Some(u64::MAX));
        assert_eq!(Cell::Text(b"7").number(), None);
        assert_eq!(Cell::Text(b"\xff").text(), None);
    }

    #[test]
    fn the_log_of_a_database_belongs_to_it() {
        let databases = Databases { is_one: |name| name == "a.db", schemas: &[] };
        assert_eq!(databases.main("a.db-wal"), Some("a.db"));
        assert_eq!(databases.main("a.db"), Some("a.db"));
        for other in ["a.db-shm", "a.db-journal", "b.db", "a.db-wal-wal"] {
            assert_eq!(databases.main(other), None, "{other}");
        }
    }
}
