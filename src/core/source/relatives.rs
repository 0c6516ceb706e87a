//! Finds the files that show which part of a file was copied into it, and which of two files with common messages is
//! the copy.
//!
//! If a copy names its original, or an original the session that continues it, this is certain. Older versions of
//! agents that write messages resumed a session by copying it into a new file without a reference. Such a file begins
//! with the same line, or, after a compaction, with one from the middle of its original. `Relative::precedes` decides
//! which of two files is the original, with the same result for both, so that every message is counted in exactly one
//! file.
//! Read next: [`crate::source::ledger`], which compares the rows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::ledger::messages::{Mark, Row};
use super::ledger::{UsageRow, session_key};

/// The maximum number of files with the same parent that are read.
const MOST_SIBLINGS: usize = 64;

/// The files that may contain the original of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relatives {
    /// The files of the session that it names; if they are gone, others that name the same one.
    Named,
    /// The files of the session that it names, others of its own session, and those with its first line.
    Alike,
}

/// A request for the usage rows that show which part of a forked file is copied history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineageRequest {
    /// The session id of the parent, which is in its file's name. Empty if the file names none.
    pub parent: String,
    /// The first line's own id, which copies keep.
    pub first_line: Option<String>,
    /// Whether the parent is only a name inside the file, so that either file may be the copy.
    pub only_named: bool,
    /// Whether the first line continues another one, so that any file with that line is of use.
    pub midway: bool,
    /// Whether rows anywhere in the parent's files matter, not only as many as the requesting file could have copied.
    /// Then no other files are used.
    pub whole: bool,
}

/// The facts about relations in the beginning of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The session it belongs to.
    pub id: String,
    /// The session that it was copied from or started by.
    pub parent: Option<String>,
    /// Whether it shows that it begins with another file's lines, or belongs to another session.
    pub copy: bool,
    /// The first line's own id, which copies keep.
    pub first_line: Option<String>,
    /// Whether another session started it.
    pub subagent: bool,
}

/// The files around the requesting one, of the same agent.
pub trait Neighbours {
    /// The files of the session with this id.
    fn of_session(&mut self, id: &str) -> Vec<PathBuf>;
    /// The other files of the requesting file's own session.
    fn twins(&mut self) -> Vec<PathBuf>;
    /// All other files that may be relatives, the nearest first. Files that begin with another line than `first_line`
    /// may be left out.
    fn others(&mut self, first_line: Option<&str>) -> Vec<PathBuf>;
    /// Reads the beginning of a file.
    fn head(&mut self, path: &Path) -> Option<Head>;
    /// A file's rows: `all` of them, or at least as many as the requesting file could have copied.
    fn rows(&mut self, path: &Path, all: bool) -> Option<Vec<UsageRow>>;
    /// The rows that a file counts, if that is decided: no other file counts them.
    fn counted(&mut self, _path: &Path) -> Option<Vec<UsageRow>> {
        None
    }
    /// Whether a file contains this text.
    fn has_text(&mut self, path: &Path, text: &str) -> bool;
}

impl Relatives {
    /// The rows that may belong to files other than `own`, file by file.
    pub fn answer(
        self,
        own: &Path,
        request: &LineageRequest,
        files: &mut dyn Neighbours,
    ) -> Vec<Vec<UsageRow>> {
        let mut named = match request.parent.as_str() {
            "" => Vec::new(),
            parent => files.of_session(parent),
        };
        named.retain(|path| path != own);
        match self {
            Self::Named => {
                // Other copies of the same history do not show which part of it is repeated.
                if named.is_empty() && !request.whole {
                    let others = files.others(None).into_iter();
                    let parent = |head: Head| head.parent;
                    let is_sibling =
                        |path: &PathBuf| files.head(path).and_then(parent).as_ref() == Some(&request.parent);
                    named = others.filter(is_sibling).take(MOST_SIBLINGS).collect();
                }
                named.iter().filter_map(|path| files.rows(path, request.whole)).collect()
            }
            Self::Alike => alike(own, request, named, files),
        }
    }
}

fn alike(
    own: &Path,
    request: &LineageRequest,
    named: Vec<PathBuf>,
    files: &mut dyn Neighbours,
) -> Vec<Vec<UsageRow>> {
    let Some(head) = files.head(own) else { return Vec::new() };
    let searches = named.is_empty() || request.only_named;
    // Either of two files may be the copy, unless one of them shows it.
    let (mut doubtful, mut originals) = (files.twins(), Vec::new());
    if request.only_named { &mut doubtful } else { &mut originals }.extend(named);
    if let Some(first_line) = request.first_line.as_ref().filter(|_| searches) {
        for path in files.others(Some(first_line.as_str()).filter(|_| !request.midway)) {
            let Some(other) = files.head(&path) else { continue };
            if other.id == head.id || other.subagent && !head.subagent || doubtful.contains(&path) {
                continue;
            }
            if other.first_line.as_ref() == Some(first_line) {
                doubtful.push(path);
            } else if request.midway && files.has_text(&path, first_line) {
                originals.push(path);
            }
        }
    }
    // A sub-agent may repeat any message of a parent that is much larger than itself.
    let mut rows: Vec<_> = originals.iter().filter_map(|path| files.rows(path, true)).collect();
    let mut own_rows = None;
    for path in doubtful {
        if let Some(counted) = files.counted(&path) {
            rows.push(counted);
            continue;
        }
        if own_rows.is_none() {
            own_rows = files.rows(own, true);
        }
        if let (Some(own_rows), Some(other), Some(theirs)) =
            (&own_rows, files.head(&path), files.rows(&path, true))
            && Relative::new(&other, &path, &theirs).precedes(&Relative::new(&head, own, own_rows))
        {
            rows.push(theirs);
        }
    }
    rows
}

/// A file that may share messages with another.
#[derive(Debug, Clone, Copy)]
struct Relative<'a> {
    /// The session it belongs to.
    id: &'a str,
    /// Whether it names a session that it was copied from.
    forked: bool,
    /// Its path, which decides between two equal files of one session.
    path: &'a Path,
    /// All its usage rows.
    rows: &'a [UsageRow],
}

impl<'a> Relative<'a> {
    fn new(head: &'a Head, path: &'a Path, rows: &'a [UsageRow]) -> Self {
        Self { id: &head.id, forked: head.copy, path, rows }
    }

    /// Whether `self` is the original of what both files have. Exactly one of two files precedes the other.
    ///
    /// A file whose messages are all in the other was copied into it. If both continue after the common part, the one
    /// that continued first is the original.
    fn precedes(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.marks(), other.marks());
        if ours.is_disjoint(&theirs) {
            return false;
        }
        // A file without its own messages has nothing that the other could have copied.
        let own_part = |of: &Self, others: &BTreeSet<Mark>| {
            let is_own = |row: &Row| !row.marks().any(|mark| others.contains(&mark));
            let own = of.rows.iter().filter_map(UsageRow::message).filter(is_own);
            own.map(|row| row.at).min().unwrap_or(Timestamp::MIN)
        };
        let rank = |of: &Self, others: &BTreeSet<Mark>, from: &Self| {
            (of.forked, from.went_on_in(of), own_part(of, others), of.id.to_owned(), of.path.to_owned())
        };
        rank(self, &theirs, other) < rank(other, &ours, self)
    }

    fn went_on_in(&self, other: &Self) -> bool {
        self.rows.contains(&UsageRow::ContinuedIn(session_key(other.id)))
    }

    fn marks(&self) -> BTreeSet<Mark> {
        self.rows.iter().filter_map(UsageRow::message).flat_map(|row| row.marks()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Response;
    use crate::usage::Tokens;

    fn rows(messages: &[(u128, i64)]) -> Vec<UsageRow> {
        let row = |(message, at): &(u128, i64)| Row {
            message: *message,
            response: Response::default(),
            at: Timestamp::from_second(*at).unwrap(),
            tokens: Tokens::ZERO,
            at_least: false,
        };
        messages.iter().map(row).map(UsageRow::Message).collect()
    }

    fn check(original: (&str, bool, &[(u128, i64)]), copy: (&str, bool, &[(u128, i64)])) {
        let (ours, theirs) = (rows(original.2), rows(copy.2));
        let original = Relative { id: original.0, forked: original.1, path: Path::new("1"), rows: &ours };
        let copy = Relative { id: copy.0, forked: copy.1, path: Path::new("2"), rows: &theirs };
        assert!(original.precedes(&copy) && !copy.precedes(&original));
    }

    /// Files by path, each with its head and rows, and the number of reads.
    struct Table(Vec<(&'static str, Head, Vec<UsageRow>)>, usize);

    impl Table {
        fn paths(&self, wanted: impl Fn(&Head) -> bool) -> Vec<PathBuf> {
            self.0.iter().filter(|(_, head, _)| wanted(head)).map(|(path, ..)| path.into()).collect()
        }
    }

    impl Neighbours for Table {
        fn of_session(&mut self, id: &str) -> Vec<PathBuf> {
            self.paths(|head| head.id == id)
        }

        fn twins(&mut self) -> Vec<PathBuf> {
            Vec::new()
        }

        fn others(&mut self, first_line: Option<&str>) -> Vec<PathBuf> {
            let is_wanted =
                |head: &Head| first_line.is_none_or(|line| head.first_line.as_deref() == Some(line));
            self.paths(|head| head.id != "own" && is_wanted(head))
        }

        fn head(&mut self, path: &Path) -> Option<Head> {
            self.1 += 1;
            self.0.iter().find(|(known, ..)| Path::new(known) == path).map(|(_, head, _)| head.clone())
        }

        fn rows(&mut self, path: &Path, _all: bool) -> Option<Vec<UsageRow>> {
            self.0.iter().find(|(known, ..)| Path::new(known) == path).map(|(.., rows)| rows.clone())
        }

        fn has_text(&mut self, path: &Path, _text: &str) -> bool {
            path == Path::new("longer")
        }
    }

    fn file(
        id: &'static str,
        parent: Option<&str>,
        line: &str,
        messages: &[(u128, i64)],
    ) -> (&'static str, Head, Vec<UsageRow>) {
        let (parent, first_line) = (parent.map(str::to_owned), Some(line.to_owned()));
        (id, Head { id: id.to_owned(), parent, copy: false, first_line, subagent: false }, rows(messages))
    }

    fn answers(
        rule: Relatives,
        request: &LineageRequest,
        others: &[(&'static str, Head, Vec<UsageRow>)],
    ) -> Vec<Vec<UsageRow>> {
        let own = file("own", Some("parent"), "1", &[(1, 1), (9, 9)]);
        let mut table = Table(others.iter().cloned().chain([own]).collect(), 0);
        rule.answer(Path::new("own"), request, &mut table)
    }

    #[test]
    fn siblings_are_used_if_the_parent_is_gone() {
        let request = LineageRequest { parent: "parent".to_owned(), ..LineageRequest::default() };
        let (parent, sibling) =
            (file("parent", None, "1", &[(1, 1)]), file("sibling", Some("parent"), "1", &[(1, 5)]));
        let stranger = file("stranger", Some("other"), "1", &[(1, 7)]);
        let all = [parent, sibling, stranger];
        assert_eq!(answers(Relatives::Named, &request, &all), [rows(&[(1, 1)])]);
        assert_eq!(answers(Relatives::Named, &request, &all[1..]), [rows(&[(1, 5)])]);
        let request = LineageRequest { whole: true, ..request };
        assert!(
            answers(Relatives::Named, &request, &all[1..]).is_empty(),
            "what a sibling made of it says nothing"
        );
    }

    #[test]
    fn files_without_a_parent_are_matched_by_their_first_line() {
        let request =
            LineageRequest { first_line: Some("1".to_owned()), midway: true, ..LineageRequest::default() };
        let (earlier, later) =
            (file("earlier", None, "1", &[(1, 1), (2, 2)]), file("later", None, "1", &[(1, 1), (3, 10)]));
        let (longer, stranger) =
            (file("longer", None, "2", &[(4, 1)]), file("stranger", None, "3", &[(1, 1)]));
        let found = answers(Relatives::Alike, &request, &[later, stranger, earlier, longer]);
        assert_eq!(found, [rows(&[(4, 1)]), rows(&[(1, 1), (2, 2)])]);
    }

    #[test]
    fn a_file_with_its_own_first_line_reads_no_other() {
        let request = LineageRequest { first_line: Some("1".to_owned()), ..LineageRequest::default() };
        let own = file("own", None, "1", &[(1, 1)]);
        let others = ["2", "3", "4"].map(|line| file("stranger", None, line, &[(1, 0)]));
        let mut table = Table(others.into_iter().chain([own]).collect(), 0);
        assert!(Relatives::Alike.answer(Path::new("own"), &request, &mut table).is_empty());
        assert_eq!(table.1, 1, "but at itself");
    }

    #[test]
    fn one_of_two_files_is_the_original() {
        check(("b", false, &[(1, 1), (2, 2)]), ("a", false, &[(1, 1), (2, 2), (3, 9)]));
        check(("b", false, &[(1, 1), (2, 5)]), ("a", false, &[(1, 1), (3, 9)]));
        check(("b", false, &[(1, 1), (2, 9)]), ("a", true, &[(1, 1)]));
        check(("a", false, &[(1, 1)]), ("b", false, &[(1, 1)]));
        check(("a", false, &[(1, 1)]), ("a", false, &[(1, 1)]));
    }

    /// The original may have continued later than the copy, or neither has continued.
    #[test]
    fn a_file_that_names_its_continuation_is_the_original() {
        for (ours, theirs) in [(&[(1, 1), (2, 9)][..], &[(1, 1), (3, 5)][..]), (&[(1, 1)], &[(1, 1)])] {
            let (mut ours, theirs) = (rows(ours), rows(theirs));
            ours.push(UsageRow::ContinuedIn(session_key("a")));
            let original = Relative { id: "b", forked: false, path: Path::new("2"), rows: &ours };
            let copy = Relative { id: "a", forked: false, path: Path::new("1"), rows: &theirs };
            assert!(original.precedes(&copy) && !copy.precedes(&original));
        }
    }

    #[test]
    fn unrelated_files_precede_no_other() {
        let (ours, theirs) = (rows(&[(1, 1)]), rows(&[(2, 2)]));
        let one = Relative { id: "a", forked: false, path: Path::new("1"), rows: &ours };
        let other = Relative { id: "b", forked: false, path: Path::new("2"), rows: &theirs };
        assert!(!one.precedes(&other) && !other.precedes(&one));
    }
}
