//! Any bytes as the rows of OpenCode's databases, and as its documents: no panic, and rows that come again add nothing.
#![no_main]

use agent_presence::core::file::SessionFile;
use agent_presence::core::source::Agent;
use agent_presence::core::source::database::{Cell, Row};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = SessionFile::new(Agent::OPENCODE, "home".into(), Timestamp::MIN);
    let began = [Cell::Null, Cell::Null, Cell::Text(b"/a"), Cell::Integer(1_770_000_000_000), Cell::Null];
    file.row(&Row { table: "session", key: "ses_1", cells: &began, at: None });
    let mut totals = Vec::new();
    for _ in 0..2 {
        for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
            let (kind, json) = line.split_at(line.len().min(1));
            let kind = kind.first().copied().unwrap_or_default();
            let at = 1_770_000_000_000 + i64::try_from(number).unwrap_or(0) * i64::from(kind >> 4);
            let key = format!("msg_{}", number % 7);
            let word: &[u8] = if kind & 4 == 0 { b"assistant" } else { b"idle" };
            let table = ["message", "part", "session_message", "session_v2"][usize::from(kind & 3)];
            let cells = match table {
                "part" => vec![Cell::Integer(at), Cell::Integer(at), Cell::Text(json), Cell::Text(b"msg_1")],
                "session_message" => vec![
                    Cell::Integer(at),
                    Cell::Real(at as f64),
                    Cell::Text(json),
                    Cell::Text(word),
                    Cell::Integer(i64::try_from(number).unwrap_or(0)),
                ],
                "session_v2" => vec![Cell::Text(json); 5],
                _ => vec![Cell::Integer(at), Cell::Integer(at), Cell::Text(json)],
            };
            file.row(&Row { table, key: &key, cells: &cells, at: None });
            file.replace(&key, json);
            let _asked = file.asks();
        }
        file.settle();
        file.caught_up();
        if file.lineage_wanted().is_some() {
            file.set_lineage(&[]);
        }
        totals.extend(file.take_update().map(|update| update.session.usage.session_total_tokens));
    }
    // The second time every row is as it was last.
    assert!(totals.len() < 2 || totals[0].is_none() || totals[1].is_some());
});
