//! The database beside the session files: the tokens of each call, one per row, since about 1.0.83.
//!
//! A session still has its file, which alone shows its folder and its activity.

use crate::fingerprint;
use crate::source::database::{Cell, Databases, NewRowColumn, Row, Schema, Table};
use crate::source::{Call, Counters, Fact, Message, Parsed};
use crate::usage::Tokens;

pub(super) const DATABASES: Databases = Databases {
    is_one: |name| name == "session-store.db",
    schemas: &[Schema { versions: "1.0.83 and later", sessions: None, rows: &[CALLS] }],
};

const CALLS: Table = Table {
    name: "assistant_usage_events",
    key: "id",
    of: "session_id",
    written: NewRowColumn::Number("id"),
    order: &["id"],
    at: 0,
    columns: &[
        "created_at",
        "model",
        "finish_reason",
        "agent_id",
        "initiator",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
    ],
    over: None,
    is_asked: false,
};

/// The tokens in a row. A provider may give no figures, which is not the same as zeros.
pub(super) fn call(row: &Row<'_>) -> Parsed {
    let [at, model, finish_reason, agent, initiator] = [0, 1, 2, 3, 4].map(|place| row.cell(place));
    let [input, output, cached_input, cache_write, reasoning] =
        [5, 6, 7, 8, 9].map(|place| row.cell(place).number());
    let counters = input.zip(output).map(|(input, output)| Counters {
        input,
        cached_input: cached_input.unwrap_or(0),
        cache_write: cache_write.unwrap_or(0),
        output,
        reasoning: reasoning.unwrap_or(0).min(output),
        total: 0,
    });
    // Another database at the same path numbers its rows again from the start.
    let key = format!("{}\n{:?}\n{counters:?}", row.key, at.bytes());
    let is_main = agent == Cell::Null && initiator.text() != Some("compaction");
    let tokens = counters.map_or(Tokens::ZERO, |counters| counters.tokens());
    let owned = |cell: Cell<'_>| cell.text().map(str::to_owned);
    let call = Call { model: owned(model), finish_reason: owned(finish_reason) };
    let message = Message {
        main: is_main,
        context: input.filter(|_| is_main),
        call: call.known(),
        ..Message::of(fingerprint::long(key.as_bytes()), tokens)
    };
    Parsed::of(row.at, vec![Fact::Stored(Box::new(message))])
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Cell<'static> = Cell::Text(b"2026-10-01T09:00:03.000Z");

    fn message(key: &str, cells: &[Cell<'_>]) -> Message {
        let row = Row { table: CALLS.name, key, cells, at: AT.time() };
        match call(&row) {
            Parsed::Line { fact: Fact::Stored(message), .. } => *message,
            other => panic!("{other:?}"),
        }
    }

    fn row(figures: [Cell<'static>; 5], agent: Cell<'static>) -> Vec<Cell<'static>> {
        let about = [AT, Cell::Text(b"m-mini"), Cell::Text(b"stop"), agent, Cell::Text(b"user")];
        about.into_iter().chain(figures).collect()
    }

    #[test]
    fn a_row_gives_one_call() {
        let figures = [400, 20, 150, 200, 8].map(Cell::Integer);
        let main = message("1", &row(figures, Cell::Null));
        let expected = Tokens { input: 50, cached_input: 150, cache_write: 200, output: 20, reasoning: 8 };
        assert_eq!((main.tokens, main.context), (expected, Some(400)));
        assert_eq!(main.call.and_then(|call| call.model).as_deref(), Some("m-mini"));
        let helpers = message("1", &row(figures, Cell::Text(b"a-1")));
        assert_eq!((helpers.tokens, helpers.context), (expected, None));
    }

    #[test]
    fn rows_of_two_databases_are_different() {
        let [one, other] = [400, 401].map(|input| row([input, 20, 0, 0, 0].map(Cell::Integer), Cell::Null));
        assert_eq!(message("1", &one).id, message("1", &one).id);
        assert_ne!(message("1", &one).id, message("2", &one).id);
        assert_ne!(message("1", &one).id, message("1", &other).id);
    }

    #[test]
    fn absent_figures_are_not_zeros() {
        let none = row([Cell::Null; 5], Cell::Null);
        assert_eq!((message("1", &none).tokens, message("1", &none).context), (Tokens::ZERO, None));
        let half = row([Cell::Integer(400), Cell::Null, Cell::Null, Cell::Null, Cell::Null], Cell::Null);
        assert_eq!(message("1", &half).tokens, Tokens::ZERO);
        let reasoning = [Cell::Integer(400), Cell::Integer(20), Cell::Null, Cell::Null, Cell::Null];
        assert_eq!(message("1", &row(reasoning, Cell::Null)).tokens.blended(), 420);
        let foreign = [Cell::Text(b"400"), Cell::Real(2.0), Cell::Null, Cell::Null, Cell::Null];
        assert_eq!(message("1", &row(foreign, Cell::Null)).tokens, Tokens::ZERO);
        assert_eq!(message("1", &[]).tokens, Tokens::ZERO);
    }
}
