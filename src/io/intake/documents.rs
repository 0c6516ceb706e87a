//! Sessions that are written as one or many documents.
//!
//! All documents of a session are parsed into one session. A document that is rewritten at each change is read whole
//! again, and replaces its former content. A document that grows line by line is read on from the last position. A
//! removed document takes no figures back; when all are removed, the session is over.
//! Read next: [`crate::core::source::Parser::document`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Home;
use super::notice::LIVE_FOR;
use super::open::{Chunks, Opened, Stamp};
use super::outbox::updated;
use super::reader::Reader;
use super::tail::Position;
use crate::core::file::SessionFile;
use crate::core::lines::LineBuffer;
use crate::core::source::Agent;
use crate::core::source::layout;
use crate::core::source_event::{FileId, SourceEvent};
use crate::core::time::earlier;
use crate::io::files;

/// The largest document that is read, in bytes.
pub const LARGEST_DOCUMENT: u64 = 32 << 20;

/// The followed sessions in documents.
#[derive(Debug, Default)]
pub(super) struct Documents {
    sessions: BTreeMap<Key, DocumentSession>,
}

/// The label of the session's home, and its id there.
type Key = (Arc<str>, String);

/// A followed session in documents.
#[derive(Debug)]
pub(super) struct DocumentSession {
    id: FileId,
    home: Arc<Home>,
    fold: SessionFile,
    files: BTreeMap<PathBuf, Part>,
    /// When the newest of its documents was written, also of removed ones.
    modified: Timestamp,
    /// Whether its working folder is known, for documents that do not have it.
    is_placed: bool,
    grown_at: Duration,
}

/// One of its documents, and how far it was read.
#[derive(Debug)]
struct Part {
    stamp: Stamp,
    position: Position,
    lines: LineBuffer,
}

impl DocumentSession {
    pub(super) fn is_of(&self, home: &Arc<Home>) -> bool {
        Arc::ptr_eq(&self.home, home)
    }

    /// When the newest of its documents was written.
    pub(super) fn modified(&self) -> Timestamp {
        self.modified
    }

    /// Reads a document that was just opened; `known` is its state before.
    fn read(
        &mut self,
        (path, grows): (&Path, bool),
        known: Option<Part>,
        opened: &mut Opened,
        chunks: &mut Chunks,
    ) -> io::Result<Part> {
        let stamp = opened.stamp;
        let known = known.filter(|known| grows && known.stamp.identity == stamp.identity);
        let mut part = match known {
            Some(known) if known.position.holds(opened)? => Part { stamp, ..known },
            _ => Part { stamp, position: Position::default(), lines: LineBuffer::default() },
        };
        if grows {
            let Part { position, lines, .. } = &mut part;
            chunks.stream(&mut opened.file, position.offset, u64::MAX, |bytes| {
                self.fold.grow(lines, bytes);
                position.pass(bytes);
            })?;
        } else {
            let mut bytes = Vec::new();
            (&mut opened.file).take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
            self.fold.replace(&path.to_string_lossy(), &bytes);
        }
        Ok(part)
    }
}

impl Documents {
    /// The home of each session, and when it grew.
    pub(super) fn grown(&self) -> impl Iterator<Item = (&Arc<Home>, Duration)> {
        self.sessions.values().map(|session| (&session.home, session.grown_at))
    }
}

impl Reader<'_> {
    /// Checks a document of `session`: a new one, one that may have changed, or one that may be gone.
    pub(super) fn look_at_document(
        &mut self,
        home: &Arc<Home>,
        session: String,
        path: &Path,
    ) -> io::Result<ControlFlow<()>> {
        if self.databases.are_in(home) {
            // The database has the session as well.
            return Ok(ControlFlow::Continue(()));
        }
        let key = (Arc::clone(&home.label), session);
        let Some(stamp) = present(path)? else {
            if let Some(session) = self.documents.sessions.get_mut(&key) {
                session.files.remove(path);
                session.fold.set_over(session.files.is_empty());
            }
            return Ok(self.announce_documents(&key));
        };
        let now = self.now();
        if !self.documents.sessions.contains_key(&key) {
            if stamp.modified < earlier(now.wall, LIVE_FOR) {
                return Ok(ControlFlow::Continue(()));
            }
            let live_since = self.config.live_since.max(earlier(now.wall, LIVE_FOR));
            let session = DocumentSession {
                id: self.files.next_id(),
                home: Arc::clone(home),
                fold: SessionFile::new(home.agent, Arc::clone(&home.label), live_since),
                files: BTreeMap::new(),
                modified: Timestamp::UNIX_EPOCH,
                is_placed: false,
                grown_at: now.mono.saturating_sub(now.since(stamp.modified)),
            };
            self.documents.sessions.insert(key.clone(), session);
            // Older documents belong to it as well.
            for sibling in siblings(home, &key.1, path) {
                self.read_document(&key, &sibling)?;
            }
        }
        if self.read_document(&key, path)? {
            let mono = self.now().mono;
            self.documents.sessions.entry(key.clone()).and_modify(|session| session.grown_at = mono);
        }
        Ok(self.announce_documents(&key))
    }

    /// Parses a document into its session; false if it has not changed.
    fn read_document(&mut self, key: &Key, path: &Path) -> io::Result<bool> {
        let Some(session) = self.documents.sessions.get_mut(key) else { return Ok(false) };
        let mut opened = Opened::open(path)?;
        let Stamp { len, modified, .. } = opened.stamp;
        let grows = documents_of(session.home.agent).is_some_and(|documents| (documents.grows)(path));
        if session.files.get(path).is_some_and(|known| known.stamp == opened.stamp)
            || !grows && len > LARGEST_DOCUMENT
        {
            return Ok(false);
        }
        if session.files.is_empty() {
            session.fold.locate(path);
        }
        if !session.is_placed
            && let Some(folder) = noted_folder(session.home.agent, path)
        {
            session.fold.works_in(&folder);
            session.is_placed = true;
        }
        let known = session.files.remove(path);
        let part = session.read((path, grows), known, &mut opened, &mut self.chunks)?;
        session.fold.set_over(false);
        session.modified = session.modified.max(modified);
        session.files.insert(path.to_owned(), part);
        Ok(true)
    }

    fn announce_documents(&mut self, key: &Key) -> ControlFlow<()> {
        let Some(session) = self.documents.sessions.get_mut(key) else { return ControlFlow::Continue(()) };
        let Some((update, read)) = updated(&mut session.fold, &key.0, &key.1) else {
            return ControlFlow::Continue(());
        };
        let (file, home) = (session.id, Arc::clone(&session.home));
        self.homes.limits_found(&home, &update.limits);
        self.out.send([SourceEvent::Updated { file, update, read }])
    }

    /// Stops following sessions that are not `wanted` any more.
    pub(super) fn drop_documents(&mut self, wanted: impl Fn(&DocumentSession) -> bool) -> ControlFlow<()> {
        let dropped: Vec<FileId> = self
            .documents
            .sessions
            .extract_if(.., |_, session| !wanted(session))
            .map(|(_, session)| session.id)
            .collect();
        self.out.send(dropped.into_iter().map(|file| SourceEvent::Gone { file }))
    }

    /// Checks the followed documents whose events may be missing.
    pub(super) fn check_documents(&mut self, wanted: impl Fn(&Arc<Home>) -> bool) -> ControlFlow<()> {
        let sessions = self.documents.sessions.values().filter(|session| wanted(&session.home));
        let sessions = sessions.inspect(|session| self.inbox.turn_to(&session.home));
        let changed = sessions.flat_map(|session| &session.files);
        let changed = changed.filter(|(path, part)| Stamp::look(path).ok() != Some(part.stamp));
        let changed: Vec<PathBuf> = changed.map(|(path, _)| path.clone()).collect();
        changed.iter().try_for_each(|path| self.look_at(path))
    }
}

fn documents_of(agent: Agent) -> Option<&'static layout::Documents> {
    agent.spec().layout.documents.as_ref()
}

/// The working folder of a document's session, from the note file beside it.
pub(crate) fn noted_folder(agent: Agent, document: &Path) -> Option<String> {
    /// Longer notes are not paths, in bytes.
    const MOST: u64 = 8 << 10;
    let note = (documents_of(agent)?.note)(document)?;
    let noted = String::from_utf8(files::read(&note, MOST).ok()?).ok()?;
    let folder = noted.trim_end_matches(['\r', '\n']);
    let is_whole = folder.starts_with(['/', '\\']) || folder.get(1..2) == Some(":");
    is_whole.then(|| folder.to_owned())
}

/// The stamp of a path; `None` if it does not exist.
fn present(path: &Path) -> io::Result<Option<Stamp>> {
    match Stamp::look(path) {
        Ok(stamp) => Ok(Some(stamp)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The other documents of a session, beside one and in the folders with the session's name, sorted by name, after the
/// one that describes the session.
fn siblings(home: &Home, session: &str, path: &Path) -> Vec<PathBuf> {
    let layout = &home.agent.spec().layout;
    let called = layout.sessions().map(|tree| home.path.join(tree.folder).join(session));
    let folders: BTreeSet<_> = called.chain(path.parent().map(Path::to_owned)).collect();
    let entries = folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut siblings: Vec<_> =
        paths.filter(|path| layout.document(path).as_deref() == Some(session)).collect();
    siblings.sort_by_key(|path| (!layout.is_head(path), path.clone()));
    let heads = layout.documents.as_ref().and_then(|documents| documents.heads);
    let head = heads.and_then(|tree| {
        let folders = fs::read_dir(home.path.join(tree)).into_iter().flatten().flatten();
        let heads = folders.map(|folder| folder.path().join(format!("{session}.json")));
        heads.into_iter().find(|path| layout.is_head(path) && path.is_file())
    });
    head.into_iter().chain(siblings).collect()
}
