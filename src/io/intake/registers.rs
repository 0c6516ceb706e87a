//! The agents' registers of running processes: read when they change, and compared with the running processes.
//!
//! A killed process leaves its entry, so an entry counts only if its process was found. Another program that does not
//! see the process may remove its entry, so a session is open as long as its process runs. That is checked when the
//! system reports an end (see `exits`), at every event of a register, at rescans, and when the daemon is awake anyway.
//! Only where ends are not reported and an entry is gone, a timer checks for a while. There are secrets beside the
//! entries: only files with an entry's name are opened.
//! Read next: [`crate::core::register`], which uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Home;
use super::exits::Exits;
use super::open::Stamp;
use super::trees::Root;
use crate::core::register::{self, OpenSession, ProcessEntry, Register};
use crate::core::source::layout::Layout;
use crate::core::source_event::SourceEvent;
use crate::core::time::Now;
use crate::io::files;
use crate::io::process::{NamedProcess, counts_in, start_time};

/// Larger files are not entries, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The most entries that are read: a folder with more is not an agent's.
const MOST: usize = 1_000;

/// The shortest time between two checks of processes without events: macOS starts a program for each.
const VERIFY_EVERY: Duration =
    Duration::from_secs(if cfg!(any(target_os = "linux", windows)) { 0 } else { 10 });

/// Where ends are not reported: when processes whose entries are gone are first checked, and when for the last time
/// except at rescans. Usually a program removes its entry just before it ends.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(64)];

/// A register at its last reading.
#[derive(Debug)]
struct RegisterState {
    home: Arc<Home>,
    /// By process, and whether that is of another machine, which may use the same ids.
    entries: BTreeMap<(u32, bool), ProcessFile>,
    sent: Option<Register>,
    verified_at: Duration,
    /// When to check processes whose entries are gone, and the pause before that.
    again: Option<(Duration, Duration)>,
    /// Whether it has changed since it was sent.
    changed: bool,
}

/// The file of one process; without content if it could not be parsed. A process on another machine or in another
/// namespace cannot be checked from here.
#[derive(Debug, Default)]
struct ProcessFile {
    content: Option<ProcessEntry>,
    /// Whether its process was running at the last check; `None` if it is to be checked.
    runs: Option<bool>,
    /// The file is gone, which means nothing while the process runs.
    gone: bool,
}

/// All registers, by their folders.
pub(super) struct Registers {
    read: BTreeMap<PathBuf, RegisterState>,
    /// Their content at the end of an earlier reading.
    earlier: Vec<register::RegisterHandover>,
    /// Reports ends; `None` for a single reading.
    exits: Option<Exits>,
}

impl Registers {
    pub(super) fn new(earlier: Vec<register::RegisterHandover>, exits: Option<Exits>) -> Self {
        Self { read: BTreeMap::new(), earlier, exits }
    }

    /// Reads a register.
    pub(super) fn read(&mut self, root: &Root) {
        let earlier = self.earlier.iter().find(|left| left.home == root.home.label);
        let register = self.read.entry(root.path.clone()).or_insert_with(|| RegisterState {
            home: Arc::clone(&root.home),
            entries: earlier.into_iter().flat_map(|left| &left.open).map(inherited).collect(),
            sent: None,
            verified_at: Duration::ZERO,
            again: None,
            changed: true,
        });
        register.read(&root.path);
    }

    /// Handles an entry that was added, changed or removed.
    pub(super) fn entry_changed(&mut self, path: &Path, now: Now) {
        if let Some(register) = path.parent().and_then(|folder| self.read.get_mut(folder)) {
            register.read_entry(path);
        }
        self.verify(now);
    }

    /// Reads the registers of the `wanted` homes, whose events may be missing.
    pub(super) fn check(&mut self, wanted: impl Fn(&Arc<Home>) -> bool) {
        for (folder, register) in self.read.iter_mut().filter(|(_, register)| wanted(&register.home)) {
            register.read(folder);
        }
    }

    /// Plans a check of all processes, unless one was made just now.
    pub(super) fn verify(&mut self, now: Now) {
        for register in self.read.values_mut() {
            if now.mono >= register.verified_at.saturating_add(VERIFY_EVERY) {
                register.doubt(|_| true);
            }
        }
    }

    /// Plans a check of these processes, which have ended as the system reports.
    pub(super) fn ended(&mut self, pids: &BTreeSet<u32>) {
        self.read.values_mut().for_each(|register| register.doubt(|pid| pids.contains(&pid)));
    }

    /// Plans a check of the processes whose entries are gone, if it is time.
    pub(super) fn look_again(&mut self, mono: Duration) {
        for register in self.read.values_mut().filter(|register| register.is_time(mono)) {
            register.changed = true;
            for entry in register.entries.values_mut().filter(|entry| entry.gone) {
                entry.runs = None;
            }
        }
    }

    /// When the next such check is due.
    pub(super) fn look_again_at(&self) -> Option<Duration> {
        self.read.values().filter_map(|register| register.again).map(|(at, _)| at).min()
    }

    /// The registers that have changed.
    pub(super) fn tell(&mut self, now: Now) -> Vec<SourceEvent> {
        let mut news = Vec::new();
        let mut any_changed = false;
        for (folder, register) in &mut self.read {
            if std::mem::take(&mut register.changed) {
                any_changed = true;
                let latest = register.verified(folder, now);
                if register.sent.as_ref() != Some(&latest) {
                    register.sent = Some(latest.clone());
                    let home = Arc::clone(&register.home.label);
                    news.push(SourceEvent::Register { home, register: Some(latest) });
                }
            }
        }
        if any_changed {
            self.watch_for_ends(now.mono);
        }
        news
    }

    fn watch_for_ends(&mut self, mono: Duration) {
        let Some(exits) = &mut self.exits else { return };
        let running = |register: &RegisterState| register.running().collect::<Vec<_>>();
        let pids: BTreeSet<u32> = self.read.values().flat_map(running).collect();
        let sent = exits.watch(&pids);
        for register in self.read.values_mut() {
            register.wait_for_ends(mono, sent);
        }
    }

    /// Removes the registers in `folder`.
    pub(super) fn lose(&mut self, folder: &Path) -> Vec<SourceEvent> {
        let lost = self.read.extract_if(.., |path, _| path.starts_with(folder));
        let lost = lost.map(|(_, register)| Arc::clone(&register.home.label));
        lost.map(|home| SourceEvent::Register { home, register: None }).collect()
    }
}

impl RegisterState {
    fn layout(&self) -> &'static Layout {
        &self.home.agent.spec().layout
    }

    fn pid_of(&self, path: &Path) -> Option<u32> {
        self.layout().pid_of(path.file_name()?.to_str()?)
    }

    /// Reads every entry in `folder`.
    fn read(&mut self, folder: &Path) {
        self.changed = true;
        // A removed folder is handled elsewhere.
        let Ok(listing) = fs::read_dir(folder) else { return };
        let names = listing.flatten().map(|entry| entry.file_name());
        let paths = names.map(|name| folder.join(name)).filter(|path| self.pid_of(path).is_some());
        let paths: Vec<PathBuf> = paths.take(MOST).collect();
        let there: BTreeSet<u32> = paths.iter().filter_map(|path| self.pid_of(path)).collect();
        let gone: Vec<u32> =
            self.entries.keys().map(|(pid, _)| *pid).filter(|pid| !there.contains(pid)).collect();
        gone.into_iter().for_each(|pid| self.entry_gone(pid));
        paths.iter().for_each(|path| self.read_entry(path));
    }

    fn read_entry(&mut self, path: &Path) {
        let Some((pid, form)) = self.pid_of(path).zip(self.layout().register.as_ref()) else { return };
        self.changed = true;
        match files::read(path, LARGEST) {
            Ok(bytes) => {
                let content = (form.read)(pid, &bytes);
                // An incomplete entry keeps its last content until it is complete.
                let Some(content) = content else { return };
                let foreign = content.pid_domain.as_deref().is_some_and(|domain| !counts_in(domain));
                self.replaced((pid, !foreign));
                let entry = self.entries.entry((pid, foreign)).or_default();
                entry.gone = false;
                let start = entry.content.as_ref().map(|known| &known.process_start);
                if start != Some(&content.process_start) {
                    entry.runs = None;
                }
                entry.content = Some(content);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.entry_gone(pid);
            }
            // The next event or rescan tries again.
            Err(_) => {}
        }
    }

    /// Notes that the file of `pid` is gone.
    fn entry_gone(&mut self, pid: u32) {
        self.replaced((pid, false));
        self.replaced((pid, true));
    }

    /// Notes that an entry is gone, and plans a check of its process.
    fn replaced(&mut self, key: (u32, bool)) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if !std::mem::replace(&mut entry.gone, true) {
            self.again = None;
        }
        if entry.runs == Some(true) {
            entry.runs = None;
        }
    }

    fn is_time(&self, mono: Duration) -> bool {
        self.again.is_some_and(|(at, _)| mono >= at)
    }

    /// The register of the entries whose processes run.
    fn verified(&mut self, folder: &Path, now: Now) -> Register {
        self.look_up(now.mono);
        let mut register = Register::default();
        for ((pid, foreign), entry) in &self.entries {
            let Some(content) = &entry.content else { continue };
            if *foreign {
                register.unseen.insert(content.session.clone());
            } else if entry.runs == Some(true) {
                let status = content.status.filter(|_| !entry.gone);
                let open = OpenSession { status, since: content.updated_at, process: Some(*pid) };
                let known = register.open.entry(content.session.clone()).or_insert(open);
                if open.since > known.since {
                    *known = open;
                }
            } else {
                register.left.insert(content.session.clone());
            }
        }
        // A removed entry counts until its process has ended and that was sent.
        self.entries.retain(|_, entry| !entry.gone || entry.runs == Some(true));
        register.left.retain(|session| !register.open.contains_key(session));
        // Processes that cannot be checked may run.
        if register.unseen.is_empty() && self.running().next().is_none() {
            register.empty_since = Some(self.empty_since(folder, now.wall));
        }
        register
    }

    /// Plans a check of these processes.
    fn doubt(&mut self, which: impl Fn(u32) -> bool) {
        for ((pid, _), entry) in &mut self.entries {
            self.changed |= entry.runs.take_if(|runs| *runs && which(*pid)).is_some();
        }
    }

    /// The running processes.
    fn running(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().filter(|(_, entry)| entry.runs == Some(true)).map(|((pid, _), _)| *pid)
    }

    /// Sets the timer for processes whose entries are gone, unless their ends are `told`.
    fn wait_for_ends(&mut self, mono: Duration, sent: bool) {
        let [first, last] = AGAIN;
        let any_gone = self.entries.values().any(|entry| entry.gone);
        self.again = match self.again {
            _ if sent || !any_gone => None,
            None => Some((mono.saturating_add(first), first)),
            Some((at, _)) if mono < at => self.again,
            // After that, rescans suffice.
            Some((_, waited)) if waited >= last => Some((Duration::MAX, waited)),
            Some((_, waited)) => Some((mono.saturating_add(waited * 2), waited * 2)),
        };
    }

    /// Checks the processes whose state is unknown.
    fn look_up(&mut self, mono: Duration) {
        let unknown =
            self.entries.iter_mut().filter(|((_, foreign), entry)| !foreign && entry.runs.is_none());
        for ((pid, _), entry) in unknown {
            let content = entry.content.as_ref();
            let named = NamedProcess {
                pid: *pid,
                start: content.and_then(|content| content.process_start.as_deref()),
                seen_at: content.and_then(|content| content.started_at),
            };
            entry.runs = Some(named.runs());
            self.verified_at = mono;
        }
    }

    /// Since when no process runs, as far as that is known: if one ran just now, since now; else since the folder's
    /// last change, when an entry was removed.
    fn empty_since(&self, folder: &Path, wall: Timestamp) -> Timestamp {
        match &self.sent {
            Some(sent) if sent.empty_since.is_none() => wall,
            sent => {
                let changed_at = Stamp::look(folder).map_or(Timestamp::MIN, |stamp| stamp.modified);
                let known = sent.as_ref().and_then(|sent| sent.empty_since);
                Some(changed_at.min(wall)).max(known).unwrap_or(wall)
            }
        }
    }
}

/// The entry of a process of an earlier reading, as if its file were gone; an existing file replaces it.
fn inherited((session, process): (&String, &u32)) -> ((u32, bool), ProcessFile) {
    let content = ProcessEntry {
        pid: *process,
        process_start: start_time(*process).map(|start| start.to_string()),
        pid_domain: None,
        session: session.clone(),
        started_at: None,
        status: None,
        updated_at: None,
    };
    ((*process, false), ProcessFile { content: Some(content), runs: None, gone: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::source::Agent;

    /// A register of processes that ran until just now and whose entries are gone, each in a session with its number.
    fn register(pids: &[u32]) -> RegisterState {
        let ran = |(key, entry)| (key, ProcessFile { runs: Some(true), ..entry });
        RegisterState {
            home: Arc::new(Home { agent: Agent::CLAUDE, path: "/h".into(), label: "/h".into() }),
            entries: pids.iter().map(|pid| ran(inherited((&pid.to_string(), pid)))).collect(),
            sent: None,
            verified_at: Duration::ZERO,
            again: None,
            changed: false,
        }
    }

    #[test]
    fn unreported_ends_are_checked_for_at_growing_intervals() {
        let mut register = register(&[7]);
        let mut looked_at = Vec::new();
        for second in 0..1_000 {
            let mono = Duration::from_secs(second);
            if register.again.is_none() || register.is_time(mono) {
                looked_at.push(second);
                register.wait_for_ends(mono, false);
            }
        }
        assert_eq!(looked_at, [0, 1, 3, 7, 15, 31, 63, 127]);
        register.wait_for_ends(Duration::from_secs(1_000), true);
        assert_eq!(register.again, None, "an event will tell");
        register.entries.clear();
        register.wait_for_ends(Duration::from_secs(1_001), false);
        assert_eq!(register.again, None, "nothing to look for");
    }

    #[test]
    fn a_reported_end_is_checked_at_once() {
        const UNUSED: u32 = u32::MAX - 3;
        let mut registers = Registers::new(Vec::new(), None);
        registers.read.insert("/h".into(), register(&[UNUSED - 4, UNUSED]));
        registers.ended(&[UNUSED].into());
        let sent = registers.tell(Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH });
        let [SourceEvent::Register { register: Some(sent), .. }] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(sent.left, [UNUSED.to_string()].into());
        assert!(sent.open.contains_key(&(UNUSED - 4).to_string()), "nothing is sent of it");
    }
}
