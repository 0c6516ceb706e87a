//! Finds the files that a session file may have copied from, for
//! [`Relatives`](crate::core::source::relatives::Relatives).
//!
//! Only the usage rows of these files are read. A row that one followed file counts is not counted by another.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Home;
use super::file_path::FilePath;
use super::first_lines::FirstLines;
use super::open::{Chunks, Opened, Stamp};
use super::reader::Reader;
use super::tail::{Tail, located};
use crate::core::file::{Head, RowReader, SessionFile, UsageRow};
use crate::core::lines::Finder;
use crate::core::source::Agent;
use crate::core::source::layout::{Layout, Name};
use crate::core::source::relatives::Neighbours;
use crate::core::source_event::FileId;

/// The most files that are opened to find related ones.
pub(super) const MOST_HEADS: usize = 256;
/// How many files an index takes in until it is made again.
const MOST_LATER: usize = 256;
/// How much more is read of the original, in bytes: a copy's lines may be shorter than the original's.
const MARGIN: u64 = 1024 * 1024;
/// The size of the pieces in which a beginning is read until it names its session, in bytes.
const STEP: u64 = 64 * 1024;

/// Facts about files that other files need.
#[derive(Debug, Default)]
pub(super) struct Relations {
    /// How many unknown files have appeared.
    pub(super) met: u32,
    pub(super) index: Option<Index>,
}

impl Relations {
    /// An unknown file has appeared. The index takes in a few of its agent, because making it again lists all files.
    pub(super) fn meet(&mut self, agent: Agent, path: &Path) {
        let of_now = self.index.as_mut().filter(|index| index.met == self.met);
        self.met = self.met.saturating_add(1);
        let Some(index) = of_now else { return };
        if index.agent != agent {
            index.met = self.met;
        } else if index.files.len() - index.sorted < MOST_LATER {
            index.met = self.met;
            index.files.push(FilePath::new(path));
            let place = index.files.len() - 1;
            if let (Some(lines), Some(folder)) = (&mut index.lines, path.parent()) {
                lines.listed(place, folder);
            }
        }
    }

    /// Drops the index while there is no work.
    pub(super) fn rest(&mut self) {
        self.index = None;
    }
}

/// The session files of one agent, sorted by the conversation id in their names: current ids mostly begin with a time,
/// so the newest are last. Made when it is needed and dropped when the intake has no more work.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) agent: Agent,
    /// The number of files that had appeared when this was made or last took one in.
    met: u32,
    pub(super) files: Vec<FilePath>,
    /// So many of them are sorted; those behind them appeared later.
    sorted: usize,
    /// The heads of files that are not followed.
    heads: BTreeMap<PathBuf, Head>,
    /// Rows that were read; a conversation's helpers all ask for the same.
    rows: BTreeMap<PathBuf, (Stamp, Vec<UsageRow>)>,
    /// Made on demand.
    pub(super) lines: Option<FirstLines>,
}

impl Reader<'_> {
    /// Gives `id` the rows that it asks for. If none were found, it asks again when other files have appeared.
    pub(super) fn ask_lineage(&mut self, id: FileId) {
        self.has_come_to_hand(id);
        let met = self.relations.met;
        let Some(tail) = self.files.get_mut(id) else { return };
        // The ends of a file do not show how much history was copied; the count will ask.
        if tail.count.is_some() || tail.lineage_asked == Some(met) && !tail.shared {
            return;
        }
        let Some(request) = tail.fold.as_ref().and_then(|fold| fold.lineage_wanted()) else { return };
        tail.lineage_asked = Some(met);
        // Another file is read only as far as this one could have copied from it.
        let most = tail.position.offset.saturating_mul(2).saturating_add(MARGIN);
        let (home, own) = (Arc::clone(&tail.home), tail.path.whole());
        self.make_index(home.agent);
        let relatives = home.agent.spec().relatives;
        let mut around = Around { reader: self, home, own: own.clone(), most };
        let rows = relatives.answer(&own, &request, &mut around);
        if let Some(tail) = self.files.get_mut(id)
            && let Some(fold) = &mut tail.fold
        {
            fold.set_lineage(&rows);
        }
    }

    /// Gives `id` the rows of its helpers' files, if it asks for them.
    pub(super) fn ask_helpers(&mut self, id: FileId) {
        let Some(tail) = self.files.get(id).filter(|tail| tail.count.is_none()) else { return };
        if !tail.fold.as_ref().is_some_and(|fold| fold.helpers_wanted(true)) {
            return;
        }
        let agent = tail.home.agent;
        let files = helper_files(agent, &tail.path.whole());
        let rows: Vec<_> =
            files.iter().filter_map(|path| read_rows(agent, path, u64::MAX, &mut self.chunks)).collect();
        if let Some(tail) = self.files.get_mut(id) {
            tail.fold.iter_mut().for_each(|fold| fold.set_helpers(&rows, true));
        }
    }

    /// The files with `thread` in their names.
    pub(super) fn files_of(&self, thread: &str) -> Vec<PathBuf> {
        let Some(index) = &self.relations.index else { return Vec::new() };
        let compared = |file: &FilePath| thread_of(index.agent, file).cmp(&Some(thread));
        let (sorted, later) = index.files.split_at_checked(index.sorted).unwrap_or_default();
        let first = sorted.partition_point(|file| compared(file).is_lt());
        let sorted = sorted.iter().skip(first).take_while(|file| compared(file).is_eq());
        sorted.chain(later.iter().filter(|file| compared(file).is_eq())).map(FilePath::whole).collect()
    }

    /// Whether a file is followed and its content is in memory.
    pub(super) fn is_awake(&self, path: &Path) -> bool {
        self.files.at(path).and_then(|id| self.files.get(id)).is_some_and(|tail| tail.fold.is_some())
    }

    /// The followed file at `path`, with its content in memory.
    fn awake(&mut self, path: &Path) -> Option<&mut Tail> {
        self.turn_to(path);
        let id = self.files.at(path)?;
        let tail = self.files.get_mut(id)?;
        if tail.fold.is_none() {
            let mut opened = Opened::open(path).ok()?;
            tail.wake(&mut opened, &mut self.chunks).ok().filter(|woke| *woke)?;
            self.has_come_to_hand(id);
        }
        self.files.get_mut(id)
    }

    /// The head of a file, from its beginning.
    pub(super) fn head_of(&mut self, home: &Home, path: &Path) -> Option<Head> {
        self.turn_to(path);
        if let Some(fold) =
            self.files.at(path).and_then(|id| self.files.get(id)).and_then(|tail| tail.fold.as_deref())
        {
            return fold.head();
        }
        if let Some(known) = self.relations.index.as_ref().and_then(|index| index.heads.get(path)) {
            return Some(known.clone());
        }
        let mut opened = Opened::open(path).ok()?;
        let mut fold =
            located(SessionFile::new(home.agent, Arc::clone(&home.label), self.config.live_since), path);
        let mut passed = 0;
        while fold.head().is_none() && passed < self.config.sizes.ends.head {
            let count = self.chunks.stream(&mut opened.file, passed, STEP, |bytes| fold.push(bytes)).ok()?;
            if count == 0 {
                break;
            }
            passed += count;
        }
        let head = fold.head()?;
        if let Some(index) = &mut self.relations.index {
            index.heads.insert(path.to_owned(), head.clone());
        }
        Some(head)
    }

    /// Notes that the home of `path` is read now.
    fn turn_to(&self, path: &Path) {
        self.watched.find(path).iter().for_each(|(root, _)| self.inbox.turn_to(&root.home));
    }

    pub(super) fn make_index(&mut self, agent: Agent) {
        let usable = |index: &Index| index.agent == agent && index.met == self.relations.met;
        if !self.relations.index.as_ref().is_some_and(usable) {
            let (heads, rows) = (BTreeMap::new(), BTreeMap::new());
            let (met, files) = (self.relations.met, self.list_threads(agent));
            let sorted = files.len();
            self.relations.index = Some(Index { agent, met, files, sorted, heads, rows, lines: None });
        }
    }

    fn list_threads(&self, agent: Agent) -> Vec<FilePath> {
        let mut files = Vec::new();
        for (folder, _) in self.watched.folders_of(|home| home.agent == agent) {
            self.turn_to(folder);
            let folder = Arc::from(folder.as_path());
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let listed = entries.map(|entry| FilePath::within(&folder, &entry.file_name()));
            files.extend(listed.filter(|file| thread_of(agent, file).is_some()));
        }
        files.sort_unstable_by(|one, other| {
            thread_of(agent, one).cmp(&thread_of(agent, other)).then_with(|| one.cmp(other))
        });
        files
    }
}

/// The conversation in the name of a file.
fn thread_of(agent: Agent, file: &FilePath) -> Option<&str> {
    file.name().and_then(agent.spec().layout.thread)
}

/// The files around `own`, in all homes of its agent: a home may contain copies from another one.
struct Around<'a, 'r> {
    reader: &'a mut Reader<'r>,
    home: Arc<Home>,
    own: PathBuf,
    most: u64,
}

impl Neighbours for Around<'_, '_> {
    fn of_session(&mut self, id: &str) -> Vec<PathBuf> {
        self.reader.files_of(id)
    }

    /// The followed files of the same session. From now on each of them checks for a new message whether another one
    /// has it.
    fn twins(&mut self) -> Vec<PathBuf> {
        let name = self.own.file_name().and_then(OsStr::to_str);
        let session = name.and_then(self.home.agent.spec().layout.thread);
        let mut same = session.map(|session| self.reader.files_of(session)).unwrap_or_default();
        if same.len() < 2 {
            return Vec::new();
        }
        same.retain(|path| self.reader.files.at(path).is_some());
        for path in &same {
            if let Some(tail) = self.reader.awake(path) {
                tail.shared = true;
                tail.fold.iter_mut().for_each(|fold| fold.share());
            }
        }
        same.retain(|path| **path != *self.own);
        same
    }

    /// Files in memory, then those of the same folder, because copies are made there, then the newest.
    fn others(&mut self, first_line: Option<&str>) -> Vec<PathBuf> {
        let own = &self.own;
        if let Some(line) = first_line {
            return self.reader.files_with(line, &self.home, own);
        }
        let reader = &self.reader;
        let is_at_hand = |tail: &Tail| tail.fold.is_some() && tail.home.agent == self.home.agent;
        let at_hand = reader.files.iter().filter(|(_, tail)| is_at_hand(tail) && !tail.path.is(own));
        let listed = || reader.relations.index.iter().flat_map(|index| index.files.iter().rev());
        let is_beside = |file: &&FilePath| Some(&**file.folder()) == own.parent();
        let (beside, elsewhere) = (listed().filter(is_beside), listed().filter(|file| !is_beside(file)));
        let old = beside.chain(elsewhere).filter(|file| !file.is(own)).map(FilePath::whole);
        let old = old.filter(|path| !reader.is_awake(path)).take(MOST_HEADS);
        at_hand.map(|(_, tail)| tail.path.whole()).chain(old).collect()
    }

    fn head(&mut self, path: &Path) -> Option<Head> {
        self.reader.head_of(&self.home, path)
    }

    fn rows(&mut self, path: &Path, all: bool) -> Option<Vec<UsageRow>> {
        self.reader.turn_to(path);
        let (agent, chunks) = (self.home.agent, &mut self.reader.chunks);
        if !all {
            return read_rows(agent, path, self.most, chunks);
        }
        let stamp = Stamp::look(path).ok()?;
        let known = self.reader.relations.index.as_ref().and_then(|index| index.rows.get(path));
        if let Some((_, rows)) = known.filter(|(of, _)| *of == stamp) {
            return Some(rows.clone());
        }
        let rows = read_rows(agent, path, u64::MAX, chunks)?;
        if let Some(index) = &mut self.reader.relations.index {
            index.rows.insert(path.to_owned(), (stamp, rows.clone()));
        }
        Some(rows)
    }

    fn counted(&mut self, path: &Path) -> Option<Vec<UsageRow>> {
        let tail = self.reader.awake(path)?;
        tail.fold.as_ref()?.counted().filter(|_| tail.count.is_none())
    }

    fn has_text(&mut self, path: &Path, text: &str) -> bool {
        self.reader.turn_to(path);
        let Ok(mut opened) = Opened::open(path) else { return false };
        let mut finder = Finder::new(text.as_bytes());
        let whole = self.reader.chunks.stream(&mut opened.file, 0, u64::MAX, |bytes| finder.push(bytes));
        whole.is_ok() && finder.has_found()
    }
}

/// The usage rows in the first `most` bytes of a file; `None` if it cannot be read.
fn read_rows(agent: Agent, path: &Path, most: u64, chunks: &mut Chunks) -> Option<Vec<UsageRow>> {
    let mut opened = Opened::open(path).ok()?;
    let mut reader = RowReader::new(agent);
    chunks.stream(&mut opened.file, 0, most, |bytes| reader.push(bytes)).ok()?;
    Some(reader.finish())
}

/// The files of a session's sub-agents.
pub(crate) fn helper_files(agent: Agent, session: &Path) -> Vec<PathBuf> {
    let layout = &agent.spec().layout;
    let folder =
        layout.helpers.as_ref().map(|tree| (session.with_extension("").join(tree.folder), tree.levels));
    let mut files = Vec::new();
    folder.iter().for_each(|(folder, levels)| session_files(layout, folder, levels, &mut files));
    files
}

/// The session files in a folder and in those below it, in order.
pub(crate) fn session_files(layout: &Layout, folder: &Path, levels: &[Name], files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        match levels.split_first() {
            Some((level, below)) if level.fits(name) && entry.file_type().is_ok_and(|kind| kind.is_dir()) => {
                session_files(layout, &entry.path(), below, files);
            }
            _ if layout.is_session(name) => files.push(entry.path()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_takes_in_a_few_files_of_its_agent() {
        let (heads, rows) = (BTreeMap::new(), BTreeMap::new());
        let (agent, files) = (Agent::CLAUDE, Vec::new());
        let index = Index { agent, met: 3, files, sorted: 0, heads, rows, lines: None };
        let mut relations = Relations { met: 3, index: Some(index) };
        let state = |relations: &Relations| {
            let index = relations.index.as_ref().unwrap();
            (index.files.len(), index.met == relations.met)
        };
        relations.meet(Agent::CODEX, Path::new("/codex/a.jsonl"));
        assert_eq!(state(&relations), (0, true), "it has nothing to do with it");
        for number in 0..MOST_LATER {
            relations.meet(Agent::CLAUDE, Path::new(&format!("/claude/{number}.jsonl")));
            assert_eq!(state(&relations), (number + 1, true));
        }
        relations.meet(Agent::CLAUDE, Path::new("/claude/one-more.jsonl"));
        assert_eq!(state(&relations), (MOST_LATER, false), "it has to be made anew");
        relations.meet(Agent::CODEX, Path::new("/codex/b.jsonl"));
        assert!(!state(&relations).1, "what it has missed it never has again");
    }
}
