//! Tables that may occur more than once: `[[privacy.rule]]`, `[[remote]]`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::value::{self, GivenValue};
use super::{Complaint, DocumentReader, Severity};

/// One kind of repeated table.
pub(super) struct Tables {
    /// The key of the tables.
    pub(super) key: &'static str,
    /// The word for one table.
    pub(super) word: &'static str,
    /// An example of one, as a hint.
    pub(super) example: &'static str,
    /// The hint if this key is missing.
    pub(super) without: fn(&str) -> String,
    /// Whether nothing is shown while one table is not understood.
    pub(super) withholds: bool,
}

impl DocumentReader<'_> {
    /// Calls `read` for each table, with its byte offset.
    pub(super) fn each_table(
        &mut self,
        kind: &Tables,
        given: &Spanned<DeValue<'_>>,
        take: fn(&mut Self, usize, &DeTable<'_>),
    ) {
        match given.get_ref() {
            DeValue::Array(list) => {
                for item in list {
                    match item.get_ref() {
                        DeValue::Table(table) => take(self, item.span().start, table),
                        other => self.no_table(kind, item.span().start, other),
                    }
                }
            }
            other => self.no_table(kind, given.span().start, other),
        }
    }

    fn no_table(&mut self, kind: &Tables, at: usize, found: &DeValue<'_>) {
        let Tables { key, word, .. } = kind;
        let complaint = Complaint::new(format!("expected a list of {word}s, found {}", value::found(found)))
            .with_hint(format!("begin each {word} with [[{key}]]"));
        self.refuse(kind, at, key, complaint);
    }

    /// The value of a required key; `None` if it is missing or not understood.
    pub(super) fn part<T>(
        &mut self,
        kind: &Tables,
        (at, table): (usize, &DeTable<'_>),
        name: &'static str,
        read: impl Fn(&GivenValue<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let key = format!("{}.{name}", kind.key);
        let Some(value) = table.get(name) else {
            let complaint = Complaint::new(format!("a {} needs `{name}`", kind.word));
            self.refuse(kind, at, &key, complaint.with_hint((kind.without)(name)));
            return None;
        };
        let given = GivenValue { value: value.get_ref(), name, context: self.context };
        match read(&given) {
            Ok(part) => Some(part),
            Err(mut complaint) => {
                complaint.hint.get_or_insert_with(|| kind.example.to_owned());
                self.refuse(kind, value.span().start, &key, complaint);
                None
            }
        }
    }

    fn refuse(&mut self, kind: &Tables, at: usize, key: &str, complaint: Complaint) {
        let complaint = if kind.withholds { complaint.withholding() } else { complaint };
        self.complain(at, key, Severity::Error, complaint);
    }
}
