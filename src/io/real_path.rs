//! Looks up folders in the file system: the targets of links, and the repository of a worktree.
//!
//! Answers the core's [`FolderQuestion`]s and changes nothing. Every lookup is bounded, but a file system that does not
//! answer blocks it: callers that must not wait use a thread of their own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::core::privacy::{FolderAnswer, FolderQuestion, LinkedPatterns, NamePattern, spellings};
use crate::io::clock;

/// The largest `.git` file, in bytes; it names one folder.
const LONGEST_GIT_FILE: u64 = 4096;

/// The most folder entries that are read for all patterns of a question.
const ENTRIES: usize = 100_000;

/// After this time no more folders are read.
const LONG: Duration = Duration::from_secs(1);

/// How deep links are searched below a folder, if a pattern means everything below it.
const DEPTH: usize = 3;

/// Answers the whole question.
pub fn locate(question: &FolderQuestion) -> FolderAnswer {
    let mut answer = FolderAnswer::default();
    locate_in_parts(question, |learn| learn(&mut answer));
    answer
}

/// Answers the question, and passes on each part as soon as it is known.
pub fn locate_in_parts(
    question: &FolderQuestion,
    mut pass_on: impl FnMut(&mut dyn FnMut(&mut FolderAnswer)),
) {
    let mut lookup = Lookup { entries: ENTRIES, until: clock::now().mono.saturating_add(LONG) };
    for pattern in &question.patterns {
        let found = lookup.patterns(pattern);
        pass_on(&mut |answer| drop(answer.patterns.insert(pattern.clone(), found.clone())));
    }
    for folder in &question.folders {
        let found = others(folder);
        pass_on(&mut |answer| drop(answer.folders.insert(folder.clone(), Some(found.clone()))));
    }
}

/// Other paths of a folder: its real path, and both of its repository, if it is in a worktree.
fn others(folder: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for path in spellings_here(folder) {
        let real = real(&path);
        for original in [&path, &real].into_iter().flat_map(|path| originals(path)) {
            found.insert(self::real(&original));
            found.insert(original);
        }
        found.insert(real);
    }
    let found = found.into_iter().filter_map(|path| path.into_os_string().into_string().ok());
    found.filter(|other| other != folder).collect()
}

/// The spellings of a path or a pattern that this system accepts.
fn spellings_here(path: &str) -> Vec<PathBuf> {
    let mut ways: BTreeSet<PathBuf> = spellings(path).into_iter().map(PathBuf::from).collect();
    // The original spelling may mean another folder: `..` behind a link is not the folder above its name.
    ways.insert(PathBuf::from(path));
    ways.into_iter().filter(|way| way.is_absolute()).collect()
}

/// The path with every link followed, as far as it exists.
pub fn real(path: &Path) -> PathBuf {
    // Whether something is there is one call, where it really is one for each folder on the way.
    for known in path.ancestors().filter(|known| known.exists()) {
        if let Ok(real) = fs::canonicalize(known) {
            let rest = path.strip_prefix(known).unwrap_or(Path::new(""));
            return below(real, rest.components());
        }
    }
    path.to_owned()
}

/// Whether both paths lead to the same file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// A folder below another one; parts that do not exist have no links.
fn below<'a>(mut folder: PathBuf, names: impl IntoIterator<Item = Component<'a>>) -> PathBuf {
    for name in names {
        match name {
            Component::ParentDir => drop(folder.pop()),
            Component::Normal(name) => folder.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    folder
}

/// The folders of repositories that correspond to this one. A worktree may contain repositories of its own, such as
/// submodules, so the search goes on above the first `.git`.
fn originals(folder: &Path) -> impl Iterator<Item = PathBuf> {
    folder.ancestors().filter_map(|root| original(folder, root))
}

/// The folder of the repository that corresponds to this one, if `root` is a worktree: its `.git` is a file that names
/// its folder in the repository's `.git`, and `commondir` there leads to the repository.
fn original(folder: &Path, root: &Path) -> Option<PathBuf> {
    let named = read(&root.join(".git"))?;
    let named = root.join(native(named.strip_prefix("gitdir:")?.trim()));
    let common = match read(&named.join("commondir")) {
        Some(common) => named.join(native(common.trim())),
        // The worktree was removed from the repository, but not from the disk.
        None => {
            let worktrees =
                named.parent().filter(|parent| parent.file_name() == Some(OsStr::new("worktrees")))?;
            worktrees.parent()?.to_owned()
        }
    };
    let common = real(&common);
    let repository = match common.file_name() {
        Some(name) if name == ".git" => common.parent()?.to_owned(),
        _ => common,
    };
    Some(below(repository, folder.strip_prefix(root).ok()?.components()))
}

/// A path that another system may have written, in the spelling that exists here.
fn native(path: &str) -> PathBuf {
    let mut ways = spellings_here(path);
    let there = ways.iter().position(|way| way.exists()).unwrap_or_default();
    if ways.is_empty() { PathBuf::from(path) } else { ways.swap_remove(there) }
}

fn read(path: &Path) -> Option<String> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(LONGEST_GIT_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The remaining limits of a lookup.
struct Lookup {
    entries: usize,
    until: Duration,
}

impl Lookup {
    /// Other patterns for the same folders: with the links before its wildcards followed, and for each link that the
    /// pattern matches, with its target.
    fn patterns(&mut self, pattern: &str) -> LinkedPatterns {
        let (mut same, mut within) = (BTreeSet::new(), BTreeSet::new());
        for way in spellings_here(pattern) {
            let names: Vec<Component<'_>> = way.components().collect();
            let is_plain = |name: &&Component<'_>| !name.as_os_str().to_string_lossy().contains(['*', '?']);
            let plain = names.iter().take_while(is_plain).count();
            let (plain, rest) = names.split_at_checked(plain).unwrap_or_default();
            let start = real(&plain.iter().collect::<PathBuf>());
            let rest: Vec<&str> = rest.iter().filter_map(|name| name.as_os_str().to_str()).collect();
            let rest: &[&str] = if rest.is_empty() { &["**"] } else { &rest };
            // This matches every folder anyway.
            if start.parent().is_none() && *rest == ["**"] {
                continue;
            }
            same.extend(joined(&start, rest));
            self.links(&start, rest, DEPTH, &mut |target, names| {
                // A link to a folder above would make the rule match everything below that.
                if !start.starts_with(target) {
                    within.extend(joined(target, names));
                }
            });
        }
        same.remove(pattern);
        LinkedPatterns { same: same.into_iter().collect(), within: within.into_iter().collect() }
    }

    /// Calls `lead` for each link that the pattern matches, with its target and the rest of the pattern.
    fn links(&mut self, folder: &Path, names: &[&str], depth: usize, lead: &mut dyn FnMut(&Path, &[&str])) {
        let Some((first, rest)) = names.split_first() else { return };
        let is_across = *first == "**";
        if is_across && !rest.is_empty() {
            self.links(folder, rest, depth, lead);
        }
        if clock::now().mono > self.until {
            return;
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        let wanted = NamePattern::new(first);
        for entry in entries.flatten() {
            let Some(left) = self.entries.checked_sub(1) else { return };
            self.entries = left;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if !is_across && !wanted.matches(name) {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            let ahead = if is_across { names } else { rest };
            if kind.is_symlink() {
                if path.is_dir() {
                    lead(&real(&path), ahead);
                }
            } else if kind.is_dir() && !(is_across && (depth == 0 || name.starts_with('.'))) {
                self.links(&path, ahead, depth.saturating_sub(usize::from(is_across)), lead);
            }
        }
    }
}

/// A folder and the rest of a pattern as one pattern.
fn joined(folder: &Path, names: &[&str]) -> Option<String> {
    let folder = folder.to_str()?.trim_end_matches(['/', '\\']);
    Some(std::iter::once(folder).chain(names.iter().copied()).collect::<Vec<_>>().join("/"))
}
