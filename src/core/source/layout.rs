//! Describes the folders of agents' session files: which folders, how deep, which names.
//!
//! Read next: each agent's `layout`, and the intake, which matches paths with these trees.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::database::Databases;
use crate::register::ProcessEntry;

/// The trees of one agent's home folder.
#[derive(Debug)]
pub struct Layout {
    /// Its folders.
    pub trees: &'static [Tree],
    /// The conversation in a session file's name; `None` for other files.
    pub thread: fn(&str) -> Option<&str>,
    /// Files of which a session may have many with the same content, if the agent has them.
    pub documents: Option<Documents>,
    /// Databases with sessions, or with figures of them, if the agent has them.
    pub databases: Option<Databases>,
    /// Session files that are not read, by their names in a home.
    pub unread: &'static [Unread],
    /// The agent's own settings, if they may name a folder for sessions.
    pub elsewhere: Option<Elsewhere>,
    /// The files of its register, if it has one.
    pub register: Option<Entries>,
    /// Whether a session file with this name may continue another file of its conversation.
    pub goes_on: fn(&str) -> bool,
    /// The folder beside a session's file with those of its sub-agents. It is in a folder named like the file.
    pub helpers: Option<Tree>,
}

/// Files of which a session may have many. Their contents may overlap, in any order of age. The document that is
/// named like its session describes the session, and comes before the others.
#[derive(Debug)]
pub struct Documents {
    /// The session of a document, by its path; `None` for other files. All documents of a session are in one folder.
    pub session: fn(&Path) -> Option<String>,
    /// Whether a file is a document, by its beginning.
    pub is_one: fn(&[u8]) -> bool,
    /// Whether a document grows line by line. Others are rewritten whole at each change.
    pub grows: fn(&Path) -> bool,
    /// The file that names the working folder of a document's session.
    pub note: fn(&Path) -> Option<PathBuf>,
    /// The tree whose subfolders have the documents named like their sessions, if it is another one.
    pub heads: Option<&'static str>,
}

impl Documents {
    /// No documents; others are rewritten whole, and contain their session's folder.
    pub const USUAL: Self =
        Self { session: |_| None, is_one: |_| false, grows: |_| false, note: |_| None, heads: None };
}

/// A session file that is not read.
#[derive(Debug)]
pub struct Unread {
    /// Its name in a home.
    pub file: &'static str,
    /// What it is, and what the user can do: `…; hint: …`.
    pub why: &'static str,
}

/// An agent's own settings.
#[derive(Debug)]
pub struct Elsewhere {
    /// The file's name in a home.
    pub file: &'static str,
    /// The folder for sessions in the settings, which is read like a home.
    pub folder: fn(&[u8]) -> Option<String>,
}

/// The home folders of an agent, unless the settings name them.
#[derive(Debug)]
pub struct Homes {
    /// Their key in the settings.
    pub key: &'static str,
    /// The environment variables that name a home; the first that is set counts.
    pub variables: &'static [&'static str],
    /// The folders below the one that a variable names; empty if that one is the home.
    pub below: &'static [&'static str],
    /// The environment variables that name a database, at any path.
    pub files: &'static [&'static str],
    /// Whether a variable may contain several folders, separated by commas, as other tools allow.
    pub has_commas: bool,
    /// Below the user's home folder, if no variable is set.
    pub usual: &'static [&'static str],
}

/// One folder below a home folder, and its subfolders.
#[derive(Debug)]
pub struct Tree {
    /// Its path below the home folder.
    pub folder: &'static str,
    /// The subfolders, level by level. Session files may be on any level.
    pub levels: &'static [Name],
    /// Its purpose.
    pub purpose: Purpose,
}

/// The purpose of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sessions begin here.
    Sessions,
    /// Sessions from other trees are moved here. It is not watched while it does not exist.
    Moved,
    /// Sessions of versions before the database. Not read if there is a database.
    Superseded,
    /// The agent's register of running processes.
    Register,
}

/// The entries of a register: a file for each process.
#[derive(Debug)]
pub struct Entries {
    /// The process of a register file, by its name; `None` for other files, which are never opened.
    pub pid_of: fn(&str) -> Option<u32>,
    /// Reads the register file of a process; `None` if it is not valid.
    pub read: fn(u32, &[u8]) -> Option<ProcessEntry>,
}

/// The allowed names of a subfolder.
#[derive(Debug)]
pub enum Name {
    /// This many digits: a part of a date.
    Digits(usize),
    /// A conversation's id.
    Uuid,
    /// This name.
    Exactly(&'static str),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Any name that begins with this.
    BeginsWith(&'static str),
    /// Any name.
    Any,
}

impl Homes {
    /// All variables that name homes.
    pub fn named(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.variables.iter().chain(self.files).copied()
    }
}

impl Layout {
    /// No files.
    pub const USUAL: Self = Self {
        trees: &[],
        thread: |_| None,
        documents: None,
        databases: None,
        unread: &[],
        elsewhere: None,
        register: None,
        goes_on: |_| false,
        helpers: None,
    };

    /// The session of a document; `None` for other files.
    pub fn document(&self, path: &Path) -> Option<String> {
        self.documents.as_ref().and_then(|documents| (documents.session)(path))
    }

    /// The database of a file, by its path; `None` for other files.
    pub fn database(&self, path: &Path) -> Option<PathBuf> {
        let main = self.databases.as_ref()?.main(path.file_name()?.to_str()?)?;
        Some(path.with_file_name(main))
    }

    /// Whether a document describes its session.
    pub fn is_head(&self, path: &Path) -> bool {
        self.document(path).is_some_and(|session| path.file_stem() == Some(OsStr::new(&session)))
    }

    /// The trees with session files.
    pub fn sessions(&self) -> impl Iterator<Item = &Tree> + use<'_> {
        self.trees.iter().filter(|tree| tree.purpose != Purpose::Register)
    }

    /// Whether a file's name is that of a session file.
    pub fn is_session(&self, name: &str) -> bool {
        (self.thread)(name).is_some()
    }

    /// Whether a file with this name is read for sessions.
    pub fn is_read(&self, name: &str) -> bool {
        let is_database = |databases: &Databases| databases.main(name).is_some();
        self.is_session(name) || self.databases.as_ref().is_some_and(is_database)
    }

    /// The process of a register file, by its name.
    pub fn pid_of(&self, name: &str) -> Option<u32> {
        (self.register.as_ref()?.pid_of)(name)
    }
}

impl Name {
    /// Whether a subfolder may have this name.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Digits(count) => name.len() == *count && name.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Uuid => is_uuid(name),
            Self::Exactly(expected) => name == *expected,
            Self::OneOf(expected) => expected.contains(&name),
            Self::BeginsWith(prefix) => name.starts_with(prefix),
            Self::Any => true,
        }
    }
}

/// Whether a text is a UUID, as agents use them for conversations.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
