//! What is read of the databases that an agent keeps: which tables, which columns, and in which order.
//!
//! A row comes to the parser of its session as it is now, again each time it was written. Nothing else of a database is
//! read than what is named here.
//! Read next: [`Parser::row`](super::Parser::row); the shell that reads them, which knows no agent.

use jiff::Timestamp;

use super::lenient::Scalar;
use super::value;

/// Databases of an agent.
#[derive(Debug)]
pub struct Databases {
    /// Whether a file in a home is one, by its name.
    pub is_one: fn(&str) -> bool,
    /// What is read of them, the newest schema first: of a session that is in several only the first counts.
    pub schemas: &'static [Schema],
}

/// One way in which versions of an agent have their tables.
#[derive(Debug)]
pub struct Schema {
    /// Those versions, for people.
    pub versions: &'static str,
    /// The sessions, one a row: its key is the session's id. `None` where sessions have files of their own, to which rows
    /// add.
    pub sessions: Option<Table>,
    /// The rows of a session, in the order in which its parser gets them.
    pub rows: &'static [Table],
}

/// A table, or what is read of it.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The column that identifies a row.
    pub key: &'static str,
    /// The column that says what a row is of: its session; where rows are asked for, what is asked for.
    pub of: &'static str,
    /// The column that is never lower in a row that was written later.
    pub written: Written,
    /// In which order the rows of one session are told.
    pub order: &'static [&'static str],
    /// When what a row tells happened, by its place among what is told.
    pub at: usize,
    /// The columns whose values a row is told with. One that the table does not have is null in every row.
    pub columns: &'static [&'static str],
    /// The column that is not null in sessions that were put away.
    pub over: Option<&'static str>,
    /// Whether only those rows are read that the parser [asks for](super::Parser::asks).
    pub is_asked: bool,
}

/// What tells which rows are new.
#[derive(Debug, Clone, Copy)]
pub enum Written {
    /// A time in milliseconds: rows are written again in place.
    Time(&'static str),
    /// A number that rises from row to row: rows stay as they are.
    Number(&'static str),
}

impl Written {
    /// The column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Time(column) | Self::Number(column) => column,
        }
    }
}

/// The database that a file may belong to, by its name: itself, or the file beside it in which it is written on.
pub fn written_on(name: &str) -> &str {
    name.strip_suffix("-wal").unwrap_or(name)
}

impl Databases {
    /// The database that a file in a home belongs to, by its name.
    pub fn main<'a>(&self, name: &'a str) -> Option<&'a str> {
        let main = written_on(name);
        (self.is_one)(main).then_some(main)
    }
}

/// One value of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Cell<'a> {
    /// Null, or not to be had.
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
    /// A text that is not empty, in full.
    pub fn text(self) -> Option<&'a str> {
        let Self::Text(bytes) = self else { return None };
        std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
    }

    /// Its bytes.
    pub fn bytes(self) -> &'a [u8] {
        if let Self::Text(bytes) = self { bytes } else { &[] }
    }

    /// A count; negative ones are 0.
    pub fn number(self) -> Option<u64> {
        self.scalar().number()
    }

    /// A time: RFC 3339, or in epoch seconds or milliseconds.
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

/// A value that is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null, or not to be had.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// A text, or bytes.
    Text(Vec<u8>),
}

impl Value {
    /// To be told.
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
    /// What identifies it there.
    pub key: &'a str,
    /// The values of the table's columns, in their order.
    pub cells: &'a [Cell<'a>],
    /// When what it tells happened.
    pub at: Option<Timestamp>,
}

impl<'a> Row<'a> {
    /// A value by its place among the columns.
    pub fn cell(&self, place: usize) -> Cell<'a> {
        self.cells.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_other_types_than_expected_cost_nothing() {
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
    fn what_a_database_is_written_on_in_belongs_to_it() {
        let databases = Databases { is_one: |name| name == "a.db", schemas: &[] };
        assert_eq!(databases.main("a.db-wal"), Some("a.db"));
        assert_eq!(databases.main("a.db"), Some("a.db"));
        for other in ["a.db-shm", "a.db-journal", "b.db", "a.db-wal-wal"] {
            assert_eq!(databases.main(other), None, "{other}");
        }
    }
}
