//! The rows of a session in a database, as its writer has left them.

use agent_presence::core::file::SessionFile;
use agent_presence::core::source::database::{Cell, Row};
use jiff::Timestamp;

/// A session's rows, by the tables of OpenCode's 1.x.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    table: &'static str,
    key: String,
    /// The message that a part is of.
    of: String,
    created: i64,
    written: i64,
    data: String,
}

impl Rows {
    /// `session`, `message KEY JSON` or `part KEY MESSAGE JSON`, written at this time; `@` in the JSON is the time in
    /// milliseconds.
    pub(crate) fn write(&mut self, words: &str, at: Timestamp) {
        let at = at.as_millisecond();
        let (table, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (key, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (table, of, data) = match table {
            "session" => ("session", "", ""),
            "message" => ("message", "", rest),
            "part" => {
                let (of, data) = rest.split_once(' ').unwrap();
                ("part", of, data)
            }
            _ => panic!("not understood: {words}"),
        };
        let known = self.0.iter().position(|row| row.table == table && row.key == key);
        let created = known.map_or(at, |place| self.0.remove(place).created);
        let (key, of, data) = (key.to_owned(), of.to_owned(), data.replace('@', &at.to_string()));
        self.0.push(Kept { table, key, of, created, written: at, data });
    }

    /// Hands out those rows that were written last.
    pub(crate) fn newest(&self, id: &str, to: &mut SessionFile) {
        self.0.last().into_iter().for_each(|row| row.tell(id, to));
        to.settle();
    }

    /// Hands out all of them, in the order of a look.
    pub(crate) fn all(&self, id: &str, to: &mut SessionFile) {
        for table in ["session", "message", "part"] {
            let mut rows: Vec<_> = self.0.iter().filter(|row| row.table == table).collect();
            rows.sort_by_key(|row| (row.created, row.key.as_str()));
            rows.iter().for_each(|row| row.tell(id, to));
        }
        to.settle();
    }
}

impl Kept {
    fn tell(&self, id: &str, to: &mut SessionFile) {
        let (created, written) = (Cell::Integer(self.created), Cell::Integer(self.written));
        let (data, of) = (Cell::Text(self.data.as_bytes()), Cell::Text(self.of.as_bytes()));
        let cells = match self.table {
            "session" => vec![Cell::Null, Cell::Null, Cell::Text(b"/home/u/app"), created, Cell::Null],
            _ => vec![created, written, data, of],
        };
        let key = if self.table == "session" { id } else { self.key.as_str() };
        to.row(&Row { table: self.table, key, cells: &cells, at: None });
    }
}
