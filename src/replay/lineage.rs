//! Whose history a recorded file has copied: the rows of those files, wherever they are.

use std::path::{Path, PathBuf};

use super::feed::{has_text, rows};
use super::files::{Recorded, collect};
use crate::core::file::{LineageRequest, UsageRow};
use crate::core::source::Agent;
use crate::core::source::relatives::Relative;
use crate::intake::helper_files;

/// The rows that answer what `child` has asked for. A file that cannot be read has none to offer.
pub(super) fn answer(all: &[Recorded], child: &Recorded, wanted: &LineageRequest) -> Vec<Vec<UsageRow>> {
    if child.agent == Agent::CLAUDE {
        return claude_relatives(all, child, wanted);
    }
    let agent = child.agent;
    let files = codex_relatives(all, child, wanted);
    files.iter().filter_map(|path| rows(agent, path).ok()).collect()
}

/// The rows of the files of a session's helpers, which lie beside it.
pub(super) fn helpers(agent: Agent, session: &Path) -> Vec<Vec<UsageRow>> {
    helper_files(session).iter().filter_map(|path| rows(agent, path).ok()).collect()
}

/// The files of the session that is named as the parent: one that was given, else one that lies where Claude Code has it.
fn claude_parents(all: &[Recorded], child: &Recorded, parent: &str) -> Vec<PathBuf> {
    if parent.is_empty() {
        return Vec::new();
    }
    let given = all.iter().filter(|file| file.agent == Agent::CLAUDE && file.id.as_deref() == Some(parent));
    let given: Vec<PathBuf> = given.map(|file| file.path.clone()).collect();
    if !given.is_empty() {
        return given;
    }
    let name = format!("{parent}.jsonl");
    let around = child.path.ancestors().skip(1).take(5);
    let root = around.clone().find(|folder| folder.file_name().is_some_and(|name| name == "projects"));
    let projects = root.and_then(|root| std::fs::read_dir(root).ok()).into_iter().flatten().flatten();
    let folders = around.map(Path::to_owned).chain(projects.map(|entry| entry.path()));
    folders.map(|folder| folder.join(&name)).find(|file| file.is_file()).into_iter().collect()
}

/// The rows of what belongs to other files than `child`, whether or not it names them.
fn claude_relatives(all: &[Recorded], child: &Recorded, wanted: &LineageRequest) -> Vec<Vec<UsageRow>> {
    let agent = child.agent;
    let parents = claude_parents(all, child, &wanted.parent);
    let others = || all.iter().filter(|file| file.agent == Agent::CLAUDE && file.path != child.path);
    let is_kin = |file: &Recorded| child.subagent || !file.subagent;
    let first_line = wanted.first_line.as_deref();
    let begins_alike =
        |file: &Recorded| first_line.is_some() && file.first_line.as_deref() == first_line && is_kin(file);
    let is_named = |file: &Recorded| wanted.only_named && parents.contains(&file.path);
    let searches = parents.is_empty() || wanted.only_named;
    let may_precede = others()
        .filter(|file| file.id == child.id || is_named(file) || searches && begins_alike(file))
        .map(|file| (file.path.as_path(), file.id.clone(), file.copy));
    // One that is only named may lie beside those that were given.
    let beside =
        parents.iter().filter(|path| wanted.only_named && !all.iter().any(|file| file.path == **path));
    let beside = beside.map(|path| (path.as_path(), Some(wanted.parent.clone()), false));
    let mut found = preceding(child, may_precede.chain(beside));
    if !wanted.only_named {
        found.extend(parents.iter().filter_map(|path| rows(agent, path).ok()));
    }
    if let Some(first_line) = first_line.filter(|_| searches && wanted.midway) {
        let longer = others()
            .filter(|file| file.id != child.id && is_kin(file) && !begins_alike(file))
            .filter(|file| has_text(&file.path, first_line).unwrap_or(false));
        found.extend(longer.filter_map(|file| rows(agent, &file.path).ok()));
    }
    found
}

/// Of files that have lines in common with `child`, the rows of those that were there before.
fn preceding<'a>(
    child: &Recorded,
    others: impl Iterator<Item = (&'a Path, Option<String>, bool)>,
) -> Vec<Vec<UsageRow>> {
    let agent = child.agent;
    let mut others = others.peekable();
    let Some(own) = others.peek().and_then(|_| rows(agent, &child.path).ok()) else { return Vec::new() };
    let id = child.id.clone().unwrap_or_default();
    let own = Relative { id: &id, forked: child.copy, path: &child.path, rows: &own };
    let precedes = |(path, id, forked): (&Path, Option<String>, bool)| {
        let (rows, id) = (rows(agent, path).ok()?, id.unwrap_or_default());
        Relative { id: &id, forked, path, rows: &rows }.precedes(&own).then_some(rows)
    };
    others.filter_map(precedes).collect()
}

/// The files whose rows tell what of `child` is copied history: its parent's, else its siblings'.
fn codex_relatives(all: &[Recorded], child: &Recorded, wanted: &LineageRequest) -> Vec<PathBuf> {
    let parent = wanted.parent.as_str();
    let others = || all.iter().filter(|file| file.path != child.path);
    let mut related: Vec<PathBuf> =
        others().filter(|file| file.id.as_deref() == Some(parent)).map(|file| file.path.clone()).collect();
    if related.is_empty() {
        related = beside(&child.path, parent);
    }
    if related.is_empty() && !wanted.whole {
        let siblings =
            others().filter(|file| file.parent.is_some() && file.parent.as_deref() == Some(parent));
        related = siblings.map(|file| file.path.clone()).collect();
    }
    related
}

/// A parent that was not given, by its name in the same agent's home.
fn beside(child: &Path, parent: &str) -> Vec<PathBuf> {
    let roots = ["sessions", "archived_sessions"];
    let Some(root) = child
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| roots.iter().any(|root| name == *root)))
    else {
        return Vec::new();
    };
    if parent.is_empty() {
        return Vec::new();
    }
    let mut files = Vec::new();
    let mut ignored = Vec::new();
    for folder in roots.iter().filter_map(|name| Some(root.parent()?.join(name))) {
        // A folder that cannot be read has no parent to offer.
        let _ = collect(&folder, &mut files, &mut ignored);
    }
    files.retain(|file| {
        file != child && file.file_name().is_some_and(|name| name.to_string_lossy().contains(parent))
    });
    files
}
