//! Sessions that are rows of a database, and rows that add to sessions in files.
//!
//! An event reports only that the database was written; a query shows which sessions have changed. Programs write many
//! times a second, so the writes of a moment are one reading, and a slow reading is followed by a longer pause.
//! Read next: [`crate::io::database`], the reading itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Home;
use super::notice::LIVE_FOR;
use super::open::Stamp;
use super::outbox::updated;
use super::reader::Reader;
use crate::core::file::SessionFile;
use crate::core::source::Agent;
use crate::core::source::database::Row;
use crate::core::source_event::{FileId, FileIdentity, SourceEvent};
use crate::core::time::earlier;
use crate::io::database::cursor::Cursors;
use crate::io::database::{Database, ListedSession, Newest, RowSink};

/// Writes within this time are read together.
const GATHERED: Duration = Duration::from_millis(10);

/// The shortest pause between two readings,
const PAUSE: Duration = Duration::from_millis(100);

/// which is also at least so many times as long as the first one took.
const SHARE: u32 = 10;

/// When a database is read again after its last event. SQLite writes its log, waits for the disk, and then makes the rows
/// visible in shared memory, of which there is no event.
const AFTERWARDS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(8)];

/// The followed databases.
#[derive(Debug, Default)]
pub(super) struct Databases {
    files: BTreeMap<PathBuf, Followed>,
}

/// A followed database.
#[derive(Debug)]
struct Followed {
    home: Arc<Home>,
    identity: Option<FileIdentity>,
    sessions: BTreeMap<String, DatabaseSession>,
    newest: Newest,
    /// When to read it.
    due: Option<Duration>,
    /// It is not read before this time.
    ready_at: Duration,
    /// How many times it was read since its last event.
    readings: usize,
}

impl Followed {
    /// Is to be read soon.
    fn set_due(&mut self, mono: Duration) {
        let due = self.ready_at.max(mono.saturating_add(GATHERED));
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Was read from `began` to `now`.
    fn was_read(&mut self, began: Duration, now: Duration) {
        let pause = now.saturating_sub(began).saturating_mul(SHARE).max(PAUSE);
        self.ready_at = now.saturating_add(pause);
        self.due = AFTERWARDS.get(self.readings).map(|after| now.saturating_add(*after).max(self.ready_at));
        self.readings += 1;
    }
}

/// A session of a database.
#[derive(Debug)]
struct DatabaseSession {
    id: FileId,
    schema: usize,
    fold: SessionFile,
    cursors: Cursors,
    grown_at: Duration,
}

impl RowSink for SessionFile {
    fn row(&mut self, row: &Row<'_>) {
        self.row(row);
    }

    fn asks(&mut self) -> Vec<String> {
        self.asks()
    }
}

impl Databases {
    /// When the next reading is due.
    pub(super) fn due_at(&self) -> Option<Duration> {
        self.files.values().filter_map(|followed| followed.due).min()
    }

    /// The home of each database, and when a session in it last grew.
    pub(super) fn grown(&self) -> impl Iterator<Item = (&Arc<Home>, Duration)> {
        let sessions = |followed: &Followed| followed.sessions.values().map(|kept| kept.grown_at).max();
        self.files.values().filter_map(move |followed| Some((&followed.home, sessions(followed)?)))
    }

    /// Whether a home has a database with sessions.
    pub(super) fn are_in(&self, home: &Arc<Home>) -> bool {
        self.files.values().any(|followed| Arc::ptr_eq(&followed.home, home) && followed.identity.is_some())
    }
}

impl Reader<'_> {
    /// The database at `path` was written to, or may be gone.
    pub(super) fn look_at_database(&mut self, home: &Arc<Home>, path: PathBuf) {
        let mono = self.now().mono;
        let followed = self.databases.files.entry(path).or_insert_with(|| Followed {
            home: Arc::clone(home),
            identity: None,
            sessions: BTreeMap::new(),
            newest: Newest::default(),
            due: Some(mono),
            ready_at: mono,
            readings: 0,
        });
        followed.readings = 0;
        followed.set_due(mono);
    }

    /// Whether a reading is due.
    pub(super) fn has_database_to_read(&self) -> bool {
        self.databases.due_at().is_some_and(|due| due <= self.now().mono)
    }

    /// Reads the database that is due first.
    pub(super) fn read_next_database(&mut self) -> ControlFlow<()> {
        let due = |(path, followed): (&PathBuf, &Followed)| Some((followed.due?, path.clone()));
        let Some((_, path)) = self.databases.files.iter().filter_map(due).min() else {
            return ControlFlow::Continue(());
        };
        let began = self.now().mono;
        let Some(mut followed) = self.databases.files.remove(&path) else { return ControlFlow::Continue(()) };
        let home = Arc::clone(&followed.home);
        self.inbox.turn_to(&home);
        let read = self.read_database(&path, &mut followed);
        followed.was_read(began, self.now().mono);
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.out.send(self.homes.readable_again(&path))?;
                self.drop_kept(std::mem::take(&mut followed.sessions).into_values())
            }
            Err(error) => {
                self.databases.files.insert(path.clone(), followed);
                self.unreadable(&home, &path, &error)
            }
            Ok(flow) => {
                self.databases.files.insert(path.clone(), followed);
                self.out.send(self.homes.readable_again(&path))?;
                flow
            }
        }
    }

    fn read_database(&mut self, path: &Path, followed: &mut Followed) -> io::Result<ControlFlow<()>> {
        let home = Arc::clone(&followed.home);
        let Some(databases) = home.agent.spec().layout.databases.as_ref() else {
            return Ok(ControlFlow::Continue(()));
        };
        let identity = Stamp::look(path)?.identity;
        let Some(database) = Database::open(path, databases)? else { return Ok(ControlFlow::Continue(())) };
        if followed.identity != Some(identity) {
            // The database was replaced, or is new.
            let gone = std::mem::take(&mut followed.sessions).into_values();
            (followed.identity, followed.newest) = (Some(identity), Newest::default());
            if self.drop_kept(gone).is_break() || self.supersede(&home).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let oldest = earlier(self.now().wall, LIVE_FOR);
        let since = oldest.as_millisecond();
        let mut live = database.sessions(since, false)?;
        let new = database.sessions_of_new_rows(since, &mut followed.newest)?;
        let mut ids: BTreeSet<String> = live.iter().map(|listed| listed.id.clone()).collect();
        for id in followed.sessions.keys().chain(&new) {
            if !ids.contains(id)
                && let Some(schema) = database.schema_of(id)?
            {
                ids.insert(id.clone());
                live.insert(0, ListedSession { id: id.clone(), schema });
            }
        }
        let gone = followed.sessions.extract_if(.., |id, _| !ids.contains(id));
        let mut flow = self.drop_kept(gone.map(|(_, kept)| kept).collect::<Vec<_>>().into_iter());
        // The newest comes first, so that the freshest session is on the card first.
        for listed in live.iter().rev() {
            if flow.is_break() {
                break;
            }
            flow = self.read_session(&database, &home, followed, listed)?;
        }
        if flow.is_continue() { self.read_beside_files(&database, &home) } else { Ok(flow) }
    }

    /// Reads the new rows of a session.
    fn read_session(
        &mut self,
        database: &Database,
        home: &Arc<Home>,
        followed: &mut Followed,
        listed: &ListedSession,
    ) -> io::Result<ControlFlow<()>> {
        let now = self.now();
        let live_since = self.config.live_since.max(earlier(now.wall, LIVE_FOR));
        let new = || SessionFile::new(home.agent, Arc::clone(&home.label), live_since);
        let is_new = !followed.sessions.contains_key(&listed.id);
        let kept = followed.sessions.entry(listed.id.clone()).or_insert_with(|| DatabaseSession {
            id: self.files.next_id(),
            schema: listed.schema,
            fold: new(),
            cursors: Cursors::default(),
            grown_at: now.mono,
        });
        if kept.schema != listed.schema {
            // The session was copied to other tables, which have all of it.
            (kept.schema, kept.fold, kept.cursors) = (listed.schema, new(), Cursors::default());
        }
        database.read(listed, &mut kept.cursors, &mut kept.fold)?;
        kept.fold.settle();
        let last = kept.fold.last_event_at();
        if is_new {
            kept.grown_at = now.mono.saturating_sub(last.map_or(Duration::ZERO, |last| now.since(last)));
        }
        if last.is_none_or(|last| last < earlier(now.wall, LIVE_FOR)) {
            return Ok(ControlFlow::Continue(()));
        }
        let Some((update, read)) = updated(&mut kept.fold, &home.label, &listed.id) else {
            return Ok(ControlFlow::Continue(()));
        };
        if !is_new {
            kept.grown_at = now.mono;
        }
        let file = kept.id;
        self.homes.limits_found(home, &update.limits);
        Ok(self.out.send([SourceEvent::Updated { file, update, read }]))
    }

    /// Reads the rows that add to sessions in files.
    fn read_beside_files(&mut self, database: &Database, home: &Arc<Home>) -> io::Result<ControlFlow<()>> {
        for id in self.files.ids(|tail| Arc::ptr_eq(&tail.home, home)) {
            if self.add_rows(database, id)? && self.announce(id).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads the rows of its home's databases that add to a file that was just read. Errors are reported by the
    /// database's own reading.
    pub(super) fn read_rows_beside(&mut self, id: FileId) {
        let Some(home) = self.files.get(id).map(|tail| Arc::clone(&tail.home)) else { return };
        let Some(databases) = home.agent.spec().layout.databases.as_ref() else { return };
        for path in databases_in(home.agent, &home.path) {
            if let Ok(Some(database)) = Database::open(&path, databases) {
                let _later = self.add_rows(&database, id);
            }
        }
    }

    /// Adds the rows of a file's session; false if there are none.
    fn add_rows(&mut self, database: &Database, id: FileId) -> io::Result<bool> {
        let Some(tail) = self.files.get_mut(id) else { return Ok(false) };
        let Some(session) = tail.fold.as_ref().and_then(|fold| fold.head()) else { return Ok(false) };
        let Some(schema) = database.schema_beside_files() else { return Ok(false) };
        let Some(fold) = &mut tail.fold else { return Ok(false) };
        let listed = ListedSession { id: session.id, schema };
        database.read(&listed, tail.cursors.get_or_insert_default(), fold.as_mut())?;
        fold.settle();
        Ok(true)
    }

    /// A home has a database now, which has the content of older session files as well.
    fn supersede(&mut self, home: &Arc<Home>) -> ControlFlow<()> {
        self.watched.supersede(home);
        self.drop_documents(|session| !session.is_of(home))
    }

    fn drop_kept(&mut self, kept: impl Iterator<Item = DatabaseSession>) -> ControlFlow<()> {
        self.out.send(kept.map(|kept| SourceEvent::Gone { file: kept.id }))
    }

    /// Stops following the databases of a home.
    pub(super) fn drop_databases(&mut self, home: &Arc<Home>) -> ControlFlow<()> {
        let dropped = self.databases.files.extract_if(.., |_, followed| Arc::ptr_eq(&followed.home, home));
        let dropped: Vec<_> = dropped.flat_map(|(_, followed)| followed.sessions.into_values()).collect();
        self.drop_kept(dropped.into_iter())
    }

    /// Stops following sessions that have been silent for long.
    pub(super) fn drop_silent_rows(&mut self) -> ControlFlow<()> {
        let oldest = earlier(self.now().wall, LIVE_FOR);
        let is_silent = |kept: &DatabaseSession| kept.fold.last_event_at().is_none_or(|last| last < oldest);
        let sessions = self.databases.files.values_mut();
        let dropped: Vec<_> = sessions
            .flat_map(|followed| followed.sessions.extract_if(.., |_, kept| is_silent(kept)))
            .map(|(_, kept)| kept)
            .collect();
        self.drop_kept(dropped.into_iter())
    }

    /// Checks the databases whose events may be missing.
    pub(super) fn check_databases(&mut self, wanted: impl Fn(&Arc<Home>) -> bool) {
        let mono = self.now().mono;
        let followed = self.databases.files.values_mut().filter(|followed| wanted(&followed.home));
        followed.for_each(|followed| followed.set_due(mono));
    }
}

/// The databases in a home.
pub(crate) fn databases_in(agent: Agent, home: &Path) -> Vec<PathBuf> {
    let layout = &agent.spec().layout;
    if layout.databases.is_some() && home.is_file() {
        return vec![home.to_owned()];
    }
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| layout.database(path).as_ref() == Some(path))
        .collect();
    found.sort();
    found
}
