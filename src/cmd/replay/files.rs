//! Finds the files of a replay: those named and those in folders named, and the agent of each.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::file::{Head, SessionFile};
use crate::core::names::listed;
use crate::core::source::layout::Purpose;
use crate::core::source::{self, Agent, Parsed, Spec};
use crate::io::database::{Database, ListedSession};
use crate::io::real_path::real;
use crate::io::unpacked::Unpacked;

use super::feed::{records, records_from};

/// How much of a file is read to recognise it, in bytes. First lines are below 64 KB.
const HEAD: u64 = 256 << 10;

fn example() -> String {
    let folder = folders().next().unwrap_or_default();
    format!("a session file is a .jsonl file such as those in {folder}")
}

/// The usual folders of session files.
fn folders() -> impl Iterator<Item = String> {
    Agent::ALL.into_iter().filter_map(|agent| {
        let Spec { homes, layout, .. } = agent.spec();
        let tree = layout.trees.iter().find(|tree| tree.purpose == Purpose::Sessions)?;
        let folder = format!("~/{}/{}", homes.usual.first()?, tree.folder);
        Some(folder.trim_end_matches('/').to_owned())
    })
}

/// A file that can be replayed.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) path: PathBuf,
    /// Its documents, if the session is written as documents; `path` is the first of them.
    pub(super) documents: Vec<PathBuf>,
    /// Its session in the database at `path`, if that is a database.
    pub(super) listed: Option<ListedSession>,
    pub(super) agent: Agent,
    pub(super) home: Arc<str>,
    pub(super) first_at: Timestamp,
    pub(super) head: Option<Head>,
}

/// A path that could not be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path.
    pub path: PathBuf,
    /// Why, for the user.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(path: &Path, error: &std::io::Error) -> Self {
        let is_no_file = error.kind() == std::io::ErrorKind::InvalidInput;
        Self { path: path.to_owned(), reason: error.to_string(), hint: is_no_file.then(example) }
    }
}

/// Finds every file below `paths`. A file named directly is read with any name; in folders session files end in
/// `.jsonl`, or `.jsonl.zst` where they are compressed.
pub(super) fn find(agents: &[Agent], paths: &[PathBuf]) -> (Vec<Recorded>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        let mut files = Vec::new();
        if let Err(error) = collect(agents, path, &mut files, &mut problems) {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let folders = || listed(&folders().collect::<Vec<_>>(), "and");
            let hint = missing.then(|| format!("session files are in {}", folders()));
            problems.push(Problem { hint, ..Problem::new(path, &error) });
        }
        let named = files.first() == Some(path);
        let mut any = named;
        for file in files {
            if !seen.insert(real(&file)) {
                any = true;
                continue;
            }
            match recognise_of(agents, &file) {
                Ok(recorded) if !recorded.is_empty() => {
                    any = true;
                    found.extend(recorded);
                }
                Ok(_) if named => problems.push(Problem {
                    path: file,
                    reason: "not a session file of a known agent".to_owned(),
                    hint: Some(example()),
                }),
                Ok(_) => {}
                Err(error) => problems.push(Problem::new(&file, &error)),
            }
        }
        if !any && std::fs::metadata(path).is_ok() {
            problems.push(Problem {
                path: path.clone(),
                reason: "no session file is in it".to_owned(),
                hint: Some(example()),
            });
        }
    }
    (joined(without_superseded(found)), problems)
}

/// Removes documents whose session is also in the home's database, which copied them.
fn without_superseded(mut found: Vec<Recorded>) -> Vec<Recorded> {
    let of_database = |recorded: &Recorded| Some((recorded.agent, recorded.listed.as_ref()?.id.clone()));
    let listed: BTreeSet<_> = found.iter().filter_map(of_database).collect();
    found.retain(|recorded| {
        let session = recorded.agent.spec().layout.document(&recorded.path);
        let session = session.filter(|_| !recorded.documents.is_empty());
        session.is_none_or(|session| !listed.contains(&(recorded.agent, session)))
    });
    found
}

/// Joins the documents of one session to one recording.
fn joined(found: Vec<Recorded>) -> Vec<Recorded> {
    let mut sessions: BTreeMap<(Agent, Arc<str>, String), usize> = BTreeMap::new();
    let mut all: Vec<Recorded> = Vec::new();
    for recorded in found {
        let session = recorded.agent.spec().layout.document(&recorded.path);
        let session = session.filter(|_| !recorded.documents.is_empty());
        let place = session.map(|session| (recorded.agent, Arc::clone(&recorded.home), session));
        let place = place.map(|session| *sessions.entry(session).or_insert(all.len()));
        match place.and_then(|place| all.get_mut(place)) {
            Some(of) => {
                of.documents.extend(recorded.documents);
                of.first_at = of.first_at.min(recorded.first_at);
            }
            None => all.push(recorded),
        }
    }
    all
}

fn collect(
    agents: &[Agent],
    path: &Path,
    files: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links are not followed, so that no folder is walked in a circle.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if let Err(error) = collect(agents, &path, files, problems) {
                problems.push(Problem::new(&path, &error));
            }
        } else if kind.is_file() && is_session(agents, &path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_session(agents: &[Agent], path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    [".jsonl", ".jsonl.zst"].iter().any(|ending| name.ends_with(ending))
        || agents.iter().any(|agent| {
            let layout = &agent.spec().layout;
            layout.document(path).is_some() || layout.database(path).is_some_and(|main| main == path)
        })
}

pub(super) fn recognise(path: &Path) -> std::io::Result<Option<Recorded>> {
    recognise_of(&Agent::ALL, path).map(|recorded| recorded.into_iter().next())
}

fn recognise_of(agents: &[Agent], path: &Path) -> std::io::Result<Vec<Recorded>> {
    let mut start = Vec::new();
    Unpacked::open(path)?.take(HEAD).read_to_end(&mut start)?;
    if start.starts_with(b"SQLite format 3\0") {
        return sessions_in(agents, path);
    }
    recognise_file(agents, path, &start).map(|recorded| recorded.into_iter().collect())
}

/// The sessions in a database of any of the agents.
fn sessions_in(agents: &[Agent], path: &Path) -> std::io::Result<Vec<Recorded>> {
    let mut refused = None;
    for agent in agents.iter().copied() {
        let Some(databases) = agent.spec().layout.databases.as_ref() else { continue };
        let database = match Database::open(path, databases) {
            Ok(Some(database)) if !database.versions().is_empty() => database,
            Ok(_) => continue,
            Err(error) => {
                refused = Some(error);
                continue;
            }
        };
        let mut found = Vec::new();
        for listed in database.sessions(i64::MIN, true)? {
            let records = records_from(&database, &listed, agent)?;
            let first_at = records.first().and_then(Parsed::at).unwrap_or(Timestamp::MIN);
            let home = path.parent().unwrap_or(path).to_string_lossy().into();
            let (path, documents) = (path.to_owned(), Vec::new());
            found.push(Recorded { path, documents, listed: Some(listed), agent, home, first_at, head: None });
        }
        return Ok(found);
    }
    refused.map_or_else(|| Ok(Vec::new()), Err)
}

fn recognise_file(agents: &[Agent], path: &Path, start: &[u8]) -> std::io::Result<Option<Recorded>> {
    let is_one = |agent: &Agent| {
        let layout = &agent.spec().layout;
        layout.document(path).is_some() && layout.documents.as_ref().is_some_and(|of| (of.is_one)(start))
    };
    if let Some(agent) = agents.iter().copied().find(is_one) {
        let documents = vec![path.to_owned()];
        let first_at = records(&documents, agent)?.first().and_then(Parsed::at).unwrap_or(Timestamp::MIN);
        let (path, home) = (path.to_owned(), home_of(agent, path));
        return Ok(Some(Recorded { path, documents, listed: None, agent, home, first_at, head: None }));
    }
    let Some(agent) = source::recognise_of(agents, start) else { return Ok(None) };
    let home = home_of(agent, path);
    let mut file = SessionFile::new(agent, home.clone(), Timestamp::MIN);
    file.locate(path);
    file.push(start);
    file.end_line();
    let first_at = source::first_time(agent, start).unwrap_or(Timestamp::MIN);
    let (path, documents) = (path.to_owned(), Vec::new());
    Ok(Some(Recorded { path, documents, listed: None, agent, home, first_at, head: file.head() }))
}

/// The agent's home that a session file is in; without one, the file's folder.
fn home_of(agent: Agent, path: &Path) -> Arc<str> {
    let home = home_folder(agent, path).or_else(|| path.parent()).unwrap_or(path);
    home.to_string_lossy().into()
}

/// The agent's home that a session file is in.
pub(super) fn home_folder(agent: Agent, path: &Path) -> Option<&Path> {
    let trees = || agent.spec().layout.sessions();
    let is_root =
        |folder: &&Path| trees().any(|tree| !tree.folder.is_empty() && folder.ends_with(tree.folder));
    let above = || trees().any(|tree| tree.folder.is_empty()).then(|| path.parent()).flatten();
    path.ancestors().find(is_root).map_or_else(above, Path::parent)
}
