//! Opens a database without any effect on it, its folder or its writers.
//!
//! Read next: `Access`, the ways to open it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::io::clock;
use crate::io::files;
use crate::io::intake::is_on_network;

/// How long to wait for a writer's lock.
pub(super) const BUSY: Duration = Duration::from_millis(250);

/// The longest time of one reading.
pub(super) const LONGEST: Duration = Duration::from_secs(2);

/// How many steps of SQLite's virtual machine run between two checks of the clock.
const STEPS: i32 = 10_000;

/// How a database is opened, so that it and its folder stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// With a reader's locks, and the writers' index of the `-wal` as it is.
    Shared,
    /// No writer with a `-wal` has it open: SQLite would create one.
    Still,
    /// There is a `-wal` without an index, so no writer has it open: SQLite would create the index.
    Unindexed,
}

/// Opens the database at `path`; `None` if it is empty.
pub(super) fn open(path: &Path) -> io::Result<Option<Connection>> {
    let real = if cfg!(windows) { std::path::absolute(path)? } else { fs::canonicalize(path)? };
    if is_on_network(&real) {
        return Err(invalid(
            "the database is on a network file system, where it cannot be read while others write it; \
             hint: run agent-presence on the machine where the agent runs",
        ));
    }
    access(&real)?.map(|access| connect(&real, access)).transpose()
}

/// How to read a database without leaving files; `None` if it is empty.
fn access(path: &Path) -> io::Result<Option<Access>> {
    /// The position in the header of the journal mode, and its value for a `-wal`.
    const JOURNAL_MODE: usize = 18;
    const WAL: u8 = 2;
    let mut header = Vec::new();
    files::open(path)?.take(100).read_to_end(&mut header)?;
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::symlink_metadata(name).is_ok()
    };
    if header.is_empty() && !beside("-wal") {
        return Ok(None);
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(invalid("it is not an SQLite database"));
    }
    Ok(Some(match (header.get(JOURNAL_MODE) == Some(&WAL), beside("-wal")) {
        (true, false) => Access::Still,
        (true, true) if !beside("-shm") => Access::Unindexed,
        _ => Access::Shared,
    }))
}

fn connect(path: &Path, access: Access) -> io::Result<Connection> {
    let options = match access {
        Access::Shared => "readonly_shm=1",
        Access::Still => "immutable=1",
        Access::Unindexed if cfg!(windows) => "vfs=win32-none",
        Access::Unindexed => "vfs=unix-none",
    };
    let address = format!("{}?mode=ro&{options}", address(path));
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let mut connection = Connection::open_with_flags(address, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        let until = clock::now().mono.saturating_add(LONGEST);
        connection.progress_handler(STEPS, Some(move || clock::now().mono >= until))?;
        if access == Access::Unindexed {
            // This keeps the index in memory.
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
        }
        // Sorting stays in memory, so that no row gets into a temporary file.
        connection.execute_batch("PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; BEGIN")?;
        Ok(connection)
    };
    open().map_err(error_of)
}

/// A path in SQLite's form with options after it.
fn address(path: &Path) -> String {
    let mut address = String::from("file:");
    if cfg!(windows) {
        address.push('/');
    }
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' if cfg!(windows) => address.push('/'),
            b'/' | b'.' | b'-' | b'_' | b':' => address.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
            byte => {
                let _ = write!(address, "%{byte:02X}");
            }
        }
    }
    address
}

pub(super) fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// SQLite's error, without any content of the database.
pub(super) fn error_of(error: rusqlite::Error) -> io::Error {
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            io::Error::new(io::ErrorKind::WouldBlock, "the database is locked by another program")
        }
        Some(ErrorCode::OperationInterrupted) => {
            io::Error::new(io::ErrorKind::TimedOut, "the database takes too long to be read")
        }
        Some(ErrorCode::NotADatabase) => invalid("it is not an SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => {
            io::Error::new(io::ErrorKind::InvalidData, "the database is damaged")
        }
        _ => io::Error::other(
            error
                .sqlite_error()
                .map_or_else(|| "the database could not be read".to_owned(), ToString::to_string),
        ),
    }
}
