//! The agents' registers of running processes: read when they change, and held against the processes that run.
//!
//! A killed process leaves its entry behind, so no entry counts before its process has been found. That is looked up
//! again at every event of a register, at rescans, and when the daemon is awake anyway; no timer of its own asks.
//! Beside the entries lie secrets: only files with an entry's name are opened.
//! Read next: [`crate::core::register`], for what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Home;
use super::fold::Fold;
use super::open::{Opened, Stamp};
use super::places::Root;
use super::reader::Reader;
use crate::core::register::{Open, Register};
use crate::core::source::claude::registry;
use crate::core::source_event::SourceEvent;
use crate::core::time::Now;
use crate::process::Named;

/// Larger files are no entries.
const LARGEST: u64 = 64 * 1024;

/// More entries than this are not read: a folder with so many is none of an agent's.
const MOST: usize = 1_000;

/// How often processes are looked up at most: macOS starts a program for each.
const VERIFY_EVERY: Duration =
    Duration::from_secs(if cfg!(any(target_os = "linux", windows)) { 0 } else { 10 });

/// One register as it was read last.
#[derive(Debug)]
pub(super) struct Registered {
    home: Arc<Home>,
    entries: BTreeMap<u32, Entry>,
    told: Option<Register>,
    verified_at: Duration,
    /// Something changed since it was told.
    changed: bool,
}

/// The file of one process; without content where that could not be understood.
#[derive(Debug)]
struct Entry {
    content: Option<registry::Registered>,
    /// Whether its process was running when that was looked up last; `None` when it is to be looked up.
    runs: Option<bool>,
}

impl<F: Fold> Reader<'_, F> {
    /// Reads a register anew.
    pub(super) fn read_register(&mut self, root: &Root) -> ControlFlow<()> {
        let register = self.registers.entry(root.path.clone()).or_insert_with(|| Registered {
            home: Arc::clone(&root.home),
            entries: BTreeMap::new(),
            told: None,
            verified_at: Duration::ZERO,
            changed: true,
        });
        register.read(&root.path);
        self.tell_registers()
    }

    /// An entry came, changed or went.
    pub(super) fn entry_changed(&mut self, path: &Path) {
        if let Some(register) = path.parent().and_then(|folder| self.registers.get_mut(folder)) {
            register.read_entry(path);
        }
        self.verify_registers();
    }

    /// Reads the registers of the homes that are `wanted`, whose changes nobody may have told.
    pub(super) fn check_registers(&mut self, wanted: impl Fn(&Arc<Home>) -> bool) -> ControlFlow<()> {
        for (folder, register) in &mut self.registers {
            if wanted(&register.home) {
                register.read(folder);
            }
        }
        self.tell_registers()
    }

    /// Looks whether the processes still run, unless that was done just now; tells nothing yet.
    pub(super) fn verify_registers(&mut self) {
        let mono = self.now().mono;
        for register in self.registers.values_mut() {
            if mono < register.verified_at.saturating_add(VERIFY_EVERY) {
                continue;
            }
            for entry in register.entries.values_mut().filter(|entry| entry.runs == Some(true)) {
                entry.runs = None;
                register.changed = true;
            }
        }
    }

    /// Tells what has changed.
    pub(super) fn tell_registers(&mut self) -> ControlFlow<()> {
        let now = self.now();
        let mut news = Vec::new();
        for (folder, register) in &mut self.registers {
            if std::mem::take(&mut register.changed) {
                let latest = register.verified(folder, now);
                if register.told.as_ref() != Some(&latest) {
                    register.told = Some(latest.clone());
                    news.push((Arc::clone(&register.home.label), latest));
                }
            }
        }
        news.into_iter().try_for_each(|(home, register)| {
            self.send(SourceEvent::Register { home, register: Some(register) })
        })
    }

    /// The registers in `folder` are gone or of no interest any more.
    pub(super) fn lose_registers(&mut self, folder: &Path) -> ControlFlow<()> {
        let lost: Vec<_> = self.registers.extract_if(.., |path, _| path.starts_with(folder)).collect();
        lost.into_iter().try_for_each(|(_, register)| {
            let home = Arc::clone(&register.home.label);
            self.send(SourceEvent::Register { home, register: None })
        })
    }
}

impl Registered {
    /// Reads every entry in `folder`.
    fn read(&mut self, folder: &Path) {
        self.changed = true;
        // A folder that went away is noticed elsewhere.
        let Ok(listing) = fs::read_dir(folder) else { return };
        let names = listing.flatten().map(|entry| entry.file_name());
        let is_entry = |name: &std::ffi::OsString| name.to_str().and_then(registry::pid_of).is_some();
        let paths: Vec<PathBuf> = names.filter(is_entry).take(MOST).map(|name| folder.join(name)).collect();
        let there: BTreeSet<u32> = paths.iter().filter_map(|path| pid_of(path)).collect();
        self.entries.retain(|pid, _| there.contains(pid));
        paths.iter().for_each(|path| self.read_entry(path));
    }

    fn read_entry(&mut self, path: &Path) {
        let Some(pid) = pid_of(path) else { return };
        self.changed = true;
        match read_file(path) {
            Ok(bytes) => {
                let content = registry::read(pid, &bytes);
                let entry = self.entries.entry(pid).or_insert(Entry { content: None, runs: None });
                let start = |content: &Option<registry::Registered>| {
                    content.as_ref().map(|content| content.process_start.clone())
                };
                if start(&content) != start(&entry.content) {
                    entry.runs = None;
                }
                // One that is just being written is what it was until it is whole again.
                entry.content = content.or(entry.content.take());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.entries.remove(&pid);
            }
            // It is tried again at the next event or rescan.
            Err(_) => {}
        }
    }

    /// What the entries say, of processes that run.
    fn verified(&mut self, folder: &Path, now: Now) -> Register {
        self.look_up(now.mono);
        let mut register = Register::default();
        for entry in self.entries.values() {
            let Some(content) = &entry.content else { continue };
            if entry.runs == Some(true) {
                let open = Open { status: content.status, since: content.updated_at };
                let known = register.open.entry(content.session.clone()).or_insert(open);
                if open.since > known.since {
                    *known = open;
                }
            } else {
                register.left.insert(content.session.clone());
            }
        }
        register.left.retain(|session| !register.open.contains_key(session));
        if !self.entries.values().any(|entry| entry.runs == Some(true)) {
            register.empty_since = Some(self.empty_since(folder, now.wall));
        }
        register
    }

    /// Looks up the processes of which it is not known whether they run.
    fn look_up(&mut self, mono: Duration) {
        for (pid, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.runs.is_none()) {
            let content = entry.content.as_ref();
            let named = Named {
                pid: *pid,
                start: content.and_then(|content| content.process_start.as_deref()),
                seen_at: content.and_then(|content| content.started_at),
            };
            entry.runs = Some(named.runs());
            self.verified_at = mono;
        }
    }

    /// Since when nothing runs, as far as that is known: what was open just now is closed now, and before that an entry
    /// was taken away last when the folder changed.
    fn empty_since(&self, folder: &Path, wall: Timestamp) -> Timestamp {
        match &self.told {
            Some(told) if told.empty_since.is_none() => wall,
            told => {
                let changed_at = Stamp::look(folder).map_or(Timestamp::MIN, |stamp| stamp.modified);
                let known = told.as_ref().and_then(|told| told.empty_since);
                Some(changed_at.min(wall)).max(known).unwrap_or(wall)
            }
        }
    }
}

fn pid_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str().and_then(registry::pid_of)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let opened = Opened::open(path)?;
    let mut bytes = Vec::new();
    opened.file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
