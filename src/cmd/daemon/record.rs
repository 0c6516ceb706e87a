//! Appends each usage event to the month's file in the state folder, if record.enabled is set.
//!
//! All lines of one turn of the loop are one write. A part that a full disk left is cut off at once, a part that a
//! killed daemon left is cut off at the next opening; no line is repeated. No failure ends the daemon: while the files
//! cannot be written, `status` says so, the next event tries again, and then one restored line per session covers the
//! gap.
//! Read next: [`crate::core::record`], which decides.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use jiff::Timestamp;

use crate::control::line;
use crate::core::record::{RecordIndex, ends_at, file_name, is_too_old};
use crate::core::report::{Event, EventKind, UsageReport};
use crate::core::settings;
use crate::io::files;
use crate::io::folder::{Folder, OpenMode};
use crate::io::paths::StateDir;

/// The folder of the files in the state folder.
const FOLDER: &str = "record";

/// How much of the newest two files is read to learn the last figures of each session, in bytes: some thousand events.
const READ: u64 = 4 << 20;

/// The record, on or off.
#[derive(Debug)]
pub struct Recorder {
    state: StateDir,
    settings: settings::Record,
    open: Option<Open>,
    recorded: RecordIndex,
    /// Whether the sessions' figures are still to be compared with the record.
    to_compare: bool,
    /// The events since the last write.
    events: Vec<(Timestamp, UsageReport)>,
    /// The last event of each session with a gap in the record.
    missed: BTreeMap<String, UsageReport>,
    problem: Option<String>,
}

/// A month's file.
#[derive(Debug)]
struct Open {
    folder: Folder,
    name: String,
    file: File,
    identity: Option<(u64, u64)>,
}

impl Recorder {
    /// A record in the state folder `state`.
    pub fn new(state: &StateDir, settings: &settings::Record, now: Timestamp) -> Self {
        let mut this = Self {
            state: state.clone(),
            settings: settings.clone(),
            open: None,
            recorded: RecordIndex::default(),
            to_compare: false,
            events: Vec::new(),
            missed: BTreeMap::new(),
            problem: None,
        };
        this.begin(now);
        this
    }

    /// Takes new settings. If they switch the record on, it begins with `live`, the figures of the live sessions.
    pub fn set(&mut self, settings: &settings::Record, live: impl FnOnce() -> Vec<Event>, now: Timestamp) {
        if *settings == self.settings {
            return;
        }
        let was_on = std::mem::replace(&mut self.settings, settings.clone()).enabled;
        if !settings.enabled {
            (self.open, self.problem) = (None, None);
            self.recorded = RecordIndex::default();
            self.events.clear();
            self.missed.clear();
        } else if was_on {
            self.prune(now);
        } else {
            self.begin(now);
            live().iter().for_each(|event| self.push(event));
        }
    }

    /// Takes an event; only usage is recorded.
    pub fn push(&mut self, event: &Event) {
        if let EventKind::Usage(usage) = &event.kind
            && self.settings.enabled
        {
            self.events.push((event.at, usage.clone()));
        }
    }

    /// All sessions have been found. The last daemon may have had no record, or one that it could not write, so the
    /// sessions' figures are compared with the record.
    pub fn caught_up(&mut self) {
        self.to_compare = self.settings.enabled;
    }

    /// Writes the events since the last time, and those figures of `live`, the live sessions, that the record lacks.
    pub fn write(&mut self, live: impl FnOnce() -> Vec<Event>, now: Timestamp) {
        if std::mem::take(&mut self.to_compare) {
            live().iter().for_each(|event| self.push(event));
        }
        self.write_events(now);
    }

    fn write_events(&mut self, now: Timestamp) {
        if self.events.is_empty() {
            return;
        }
        let missed = std::mem::take(&mut self.missed).into_values();
        let missed = missed.map(|usage| (now, UsageReport { restored: true, ..usage }));
        let events: Vec<_> = missed.chain(std::mem::take(&mut self.events)).collect();
        // One turn of the loop may have events of two months.
        for month in events.chunk_by(|one, next| file_name(one.0) == file_name(next.0)) {
            let Some(name) = month.first().map(|(at, _)| file_name(*at)) else { continue };
            let appended = self.append(&name, month, now);
            if appended.is_err() {
                let usage = month.iter().map(|(_, usage)| (usage.session.clone(), usage.clone()));
                self.missed.extend(usage);
            }
            self.note_result(&name, appended);
        }
    }

    /// Tries once more to write what could not be written.
    pub fn finish(&mut self, now: Timestamp) {
        let missed = std::mem::take(&mut self.missed).into_values();
        self.events.extend(missed.map(|usage| (now, UsageReport { restored: true, ..usage })));
        self.write_events(now);
    }

    /// The problem and a hint, for `status`.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Opens this month's file, so that a problem with it is known before the first event.
    fn begin(&mut self, now: Timestamp) {
        if self.settings.enabled {
            let name = file_name(now);
            let opened = self.open(&name, now).map(drop);
            self.note_result(&name, opened);
        }
    }

    fn append(&mut self, name: &str, events: &[(Timestamp, UsageReport)], now: Timestamp) -> io::Result<()> {
        self.open(name, now)?;
        let mut lines = Vec::new();
        for (at, usage) in events {
            if self.recorded.lacks(usage) {
                self.recorded.note(usage);
                lines.append(&mut line(&Event { at: *at, kind: EventKind::Usage(usage.clone()) }));
            }
        }
        let written = self.open.as_mut().map_or(Ok(()), |open| open.append(&lines));
        if written.is_err() {
            // Opening it again also reads again what is in it.
            self.open = None;
        }
        written
    }

    /// Makes sure that the file of that name is open and still there.
    fn open(&mut self, name: &str, now: Timestamp) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.name == name && open.is_there()) {
            return Ok(());
        }
        self.open = None;
        let folder = self.state.folder().subfolder(FOLDER)?;
        let open = Open::new(folder.clone(), name)?;
        self.prune(now);
        self.recorded = read(&folder);
        self.open = Some(open);
        Ok(())
    }

    /// Removes months that are too old, and never anything else.
    fn prune(&self, now: Timestamp) {
        let Ok(folder) = self.state.folder().subfolder(FOLDER) else { return };
        for name in months(&folder) {
            if is_too_old(&name, self.settings.keep, now)
                && let Err(error) = folder.remove_file(&name)
            {
                tracing::warn!("could not remove {}: {error}", folder.path().join(&name).display());
            }
        }
    }

    /// Logs a failure once, and its end once.
    fn note_result(&mut self, name: &str, result: io::Result<()>) {
        let path = self.state.join(FOLDER).join(name);
        let path = path.display();
        match result {
            Ok(()) => {
                if self.problem.take().is_some() {
                    tracing::info!("{path} can be written again");
                }
            }
            Err(error) => {
                let hint = match error.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                        "make room; the next usage event is recorded again"
                    }
                    _ => "make its folder writable, or set record.enabled = false",
                };
                let problem = format!("could not write {path}: {error}");
                let before = self.problem.replace(format!("{problem}\nhint: {hint}"));
                if before.is_none() {
                    tracing::warn!(hint, "{problem}; usage events are not recorded until that works");
                }
            }
        }
    }
}

impl Open {
    /// Opens or creates the file, and cuts off an incomplete last line.
    fn new(folder: Folder, name: &str) -> io::Result<Self> {
        let mut file = folder.file(name, OpenMode::Append)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
        }
        let whole = end_of_last_line(&mut file, metadata.len())?;
        if whole < metadata.len() {
            cut(&folder, name, whole)?;
        }
        Ok(Self { identity: files::identity(&metadata), name: name.to_owned(), folder, file })
    }

    /// Whether the name still leads to this file: lines written to a removed file are lost.
    fn is_there(&self) -> bool {
        let there =
            self.folder.check().and_then(|()| self.folder.file(&self.name, OpenMode::Read)?.metadata());
        there.is_ok_and(|metadata| metadata.is_file() && files::identity(&metadata) == self.identity)
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(lines);
        if written.is_err() {
            // If that fails too, the rest is cut off at the next opening.
            let _ = cut(&self.folder, &self.name, before);
        }
        written
    }
}

/// On Windows a handle opened for appending cannot set the length.
fn cut(folder: &Folder, name: &str, length: u64) -> io::Result<()> {
    folder.file(name, OpenMode::Cut)?.set_len(length)
}

/// The position behind the last line break, searched from the end of the file.
fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let from = end.saturating_sub(READ);
        let bytes = part(file, from, end)?;
        if let Some(at) = memchr::memrchr(b'\n', &bytes) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

fn part(file: &mut File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the ends of the newest two files record of each session; nothing for a file that cannot be read.
fn read(folder: &Folder) -> RecordIndex {
    let mut left = READ;
    let mut ends = Vec::new();
    for name in months(folder).into_iter().rev().take(2) {
        let end = folder.file(&name, OpenMode::Read).and_then(|mut file| {
            let length = file.metadata()?.len();
            part(&mut file, length.saturating_sub(left), length)
        });
        let end = end.unwrap_or_default();
        left = left.saturating_sub(end.len() as u64);
        ends.push(end);
    }
    let mut recorded = RecordIndex::default();
    ends.iter().rev().for_each(|lines| recorded.read(lines));
    recorded
}

/// The names of the files in the folder, the oldest first.
fn months(folder: &Folder) -> Vec<String> {
    let names = folder.names().into_iter();
    let mut months: Vec<String> = names.filter(|name| ends_at(name).is_some()).collect();
    months.sort();
    months
}
