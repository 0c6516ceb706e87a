//! The tables and columns of OpenCode's databases that are read. The table `event` and the texts of a conversation
//! are not.

use crate::source::database::{Databases, NewRowColumn, Schema, Table};

pub(super) const DATABASES: Databases = Databases {
    is_one,
    schemas: &[
        Schema { versions: "2.x", sessions: Some(sessions("session_v2")), rows: &[ENTRIES] },
        Schema { versions: "1.2 to 1.18", sessions: Some(sessions("session")), rows: &[MESSAGES, PARTS] },
    ],
};

/// Indexes of the columns.
pub(super) mod session {
    pub(in super::super) const PARENT: usize = 0;
    pub(in super::super) const FORKED_FROM: usize = 1;
    pub(in super::super) const FOLDER: usize = 2;
    pub(in super::super) const CREATED: usize = 3;
    pub(in super::super) const IDLE: usize = 4;
}

const fn sessions(name: &'static str) -> Table {
    Table {
        name,
        key: "id",
        of: "id",
        written: NewRowColumn::Time("time_updated"),
        order: &["id"],
        over: Some("time_archived"),
        is_asked: false,
        at: session::CREATED,
        columns: &["parent_id", "fork_session_id", "directory", "time_created", "time_idle"],
    }
}

pub(super) mod message {
    pub(in super::super) const CREATED: usize = 0;
    pub(in super::super) const UPDATED: usize = 1;
    pub(in super::super) const DATA: usize = 2;
}

const MESSAGES: Table = Table {
    name: "message",
    key: "id",
    of: "session_id",
    written: NewRowColumn::Time("time_updated"),
    order: &["time_created", "id"],
    over: None,
    is_asked: false,
    at: message::CREATED,
    columns: &["time_created", "time_updated", "data"],
};

pub(super) mod part {
    pub(in super::super) const MESSAGE: usize = 3;
}

/// The parts of messages that lack data themselves.
const PARTS: Table = Table {
    name: "part",
    of: "message_id",
    is_asked: true,
    columns: &["time_created", "time_updated", "data", "message_id"],
    ..MESSAGES
};

pub(super) mod entry {
    pub(in super::super) const TYPE: usize = 3;
    pub(in super::super) const NUMBER: usize = 4;
}

const ENTRIES: Table = Table {
    name: "session_message",
    order: &["seq", "id"],
    columns: &["time_created", "time_updated", "data", "type", "seq"],
    ..MESSAGES
};

/// `opencode.db`, and `opencode-<channel>.db` of other release channels.
fn is_one(name: &str) -> bool {
    const STEMS: [&str; 4] = ["opencode", "kilo", "mimocode", "mimo"];
    let Some(stem) = name.strip_suffix(".db") else { return false };
    STEMS
        .iter()
        .any(|known| stem.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_recognised_by_their_names() {
        assert!(["opencode.db", "opencode-local.db", "kilo.db", "mimocode.db"].into_iter().all(is_one));
        assert!(!["opencode.db.bak", "opencodes.db", "auth.json", "x-opencode.db"].into_iter().any(is_one));
    }
}
