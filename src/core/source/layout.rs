//! The shape of the trees that agents keep their session files in: which folders, how deep, which names.
//!
//! Read next: each agent's `layout`, and the intake, which finds a path's place in these trees.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::database::Databases;
use crate::core::register::ProcessEntry;

/// The trees of one agent's home folder.
#[derive(Debug)]
pub struct Layout {
    /// Its folders.
    pub trees: &'static [Tree],
    /// The conversation that a session file's name says it belongs to; `None` for other files.
    pub thread: fn(&str) -> Option<&str>,
    /// Files of which a session may have many that say the same, where there are such.
    pub documents: Option<Documents>,
    /// Databases that its sessions are in, or figures of them, where there are such.
    pub databases: Option<Databases>,
    /// Files of sessions that are not read, by their names in a home.
    pub unread: &'static [Unread],
    /// Its own settings, where they may name a folder for sessions.
    pub elsewhere: Option<Elsewhere>,
    /// The files of its register, where it has one.
    pub register: Option<Entries>,
    /// Whether a session file with such a name may go on from another one of its conversation.
    pub goes_on: fn(&str) -> bool,
    /// The folder beside a session's file that has those of its sub-agents. It lies in a folder named like the file.
    pub helpers: Option<Tree>,
}

/// Files of which a session may have many. What one says another one may say again, newer or older. One that is called like its session says what that
/// is, and comes before the others.
#[derive(Debug)]
pub struct Documents {
    /// The session that a document is of, by its path; `None` for every other file. All of a session's lie in one folder.
    pub session: fn(&Path) -> Option<String>,
    /// Whether a file is one, by its beginning.
    pub is_one: fn(&[u8]) -> bool,
    /// Whether a document grows line by line. The others are written whole each time they change.
    pub grows: fn(&Path) -> bool,
    /// The file that names the folder in which the session of a document works.
    pub note: fn(&Path) -> Option<PathBuf>,
    /// The tree in whose subfolders those that are called like their sessions lie, where it is another one.
    pub heads: Option<&'static str>,
}

impl Documents {
    /// None at all; others are written whole, and tell themselves where their session works.
    pub const USUAL: Self =
        Self { session: |_| None, is_one: |_| false, grows: |_| false, note: |_| None, heads: None };
}

/// A file of sessions that is not read.
#[derive(Debug)]
pub struct Unread {
    /// Its name in a home.
    pub file: &'static str,
    /// What it is, and what to do for sessions that are read: `…; hint: …`.
    pub why: &'static str,
}

/// An agent's own settings.
#[derive(Debug)]
pub struct Elsewhere {
    /// The file's name in a home.
    pub file: &'static str,
    /// The folder that they name for sessions, which is read like a home.
    pub folder: fn(&[u8]) -> Option<String>,
}

/// The home folders of an agent, as far as the settings name none.
#[derive(Debug)]
pub struct Homes {
    /// Their key in the settings.
    pub key: &'static str,
    /// The environment variables that name one, of which the first that is set counts.
    pub variables: &'static [&'static str],
    /// Where they are below the folder that such a variable names; none: that folder is one.
    pub below: &'static [&'static str],
    /// The environment variables that name a database, wherever that is.
    pub files: &'static [&'static str],
    /// Whether other tools let them name several, with commas between them.
    pub has_commas: bool,
    /// Below the user's home folder, where no variable is set.
    pub usual: &'static [&'static str],
}

/// One folder below a home folder, and what is below it.
#[derive(Debug)]
pub struct Tree {
    /// Its path below the home folder.
    pub folder: &'static str,
    /// The subfolders, level by level. Session files may lie on any level.
    pub levels: &'static [Name],
    /// What it is read for.
    pub purpose: Purpose,
}

/// What a tree is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sessions begin here.
    Sessions,
    /// Sessions that began elsewhere are moved here. Not worth a watch while it does not exist.
    Moved,
    /// Sessions of versions before there was a database. Not read where there is one.
    Superseded,
    /// The agent's register of running processes.
    Register,
}

/// The entries of a register: a file for each process.
#[derive(Debug)]
pub struct Entries {
    /// The process that a file is about, by its name; `None` for every other file, which is never opened.
    pub pid_of: fn(&str) -> Option<u32>,
    /// What the file of a process says; `None` when it is not that.
    pub read: fn(u32, &[u8]) -> Option<ProcessEntry>,
}

/// What a subfolder may be called.
#[derive(Debug)]
pub enum Name {
    /// So many digits: a part of a date.
    Digits(usize),
    /// A conversation's id.
    Uuid,
    /// This.
    Exactly(&'static str),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Anything that begins with this.
    BeginsWith(&'static str),
    /// Anything.
    Any,
}

impl Homes {
    /// All variables that say where sessions are.
    pub fn named(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.variables.iter().chain(self.files).copied()
    }
}

impl Layout {
    /// No files at all.
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

    /// The session that a document is of; `None` for every other file.
    pub fn document(&self, path: &Path) -> Option<String> {
        self.documents.as_ref().and_then(|documents| (documents.session)(path))
    }

    /// The database that a file belongs to, by its path; `None` for every other file.
    pub fn database(&self, path: &Path) -> Option<PathBuf> {
        let main = self.databases.as_ref()?.main(path.file_name()?.to_str()?)?;
        Some(path.with_file_name(main))
    }

    /// Whether a document says what its session is.
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

    /// Whether a file of this name is read for sessions.
    pub fn is_read(&self, name: &str) -> bool {
        let is_database = |databases: &Databases| databases.main(name).is_some();
        self.is_session(name) || self.databases.as_ref().is_some_and(is_database)
    }

    /// The process that a file of the register is about, by its name.
    pub fn pid_of(&self, name: &str) -> Option<u32> {
        (self.register.as_ref()?.pid_of)(name)
    }
}

impl Name {
    /// Whether a subfolder may be called so.
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

/// Whether it is an id such as agents give their conversations.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
