//! A machine with session files for the whole engine, for both agents, with lines that come torn, and with figures counted
//! anew by the `writers`. It is also the oracle: with every step it checks what the engine promises.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use agent_presence::core::card::Card;
use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::engine::{Engine, Input};
use agent_presence::core::file::SessionFile;
use agent_presence::core::limits::WindowState;
use agent_presence::core::publish::{Budget, Endpoint};
use agent_presence::core::report::{ConfigReport, DaemonReport};
use agent_presence::core::source_event::{FileId, SourceEvent};
use jiff::{SignedDuration, Timestamp};

use super::discords::{Answer, Discord, Welcome, ms, s};
use super::machine::{Machine, Outcome};
use super::writers::{SECRET, Writer};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// One session file, its writer, and how far it was read.
pub(crate) struct File {
    pub(crate) writer: Writer,
    bytes: Vec<u8>,
    last_at: Timestamp,
    fold: SessionFile,
    id: FileId,
    read: usize,
    announced: bool,
    /// Only its end was read so far.
    torn: bool,
}

pub(crate) struct World {
    machine: Machine,
    pub(crate) files: BTreeMap<usize, File>,
    next_id: u64,
    /// Whether every step is printed, to look into a finding.
    talks: bool,
    trace: DefaultHasher,
}

impl Deref for World {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

impl World {
    pub(crate) fn new(is_terminal: bool) -> Self {
        let clients: &[&str] = if is_terminal { &[] } else { &["a", "b"] };
        let mut world = Self {
            machine: Machine::new(is_terminal, clients),
            files: BTreeMap::new(),
            next_id: 0,
            talks: std::env::var_os("FUZZ_TRACE").is_some(),
            trace: DefaultHasher::new(),
        };
        world.start(None);
        world
    }

    fn engine(&self) -> &Engine {
        self.machine.engine().unwrap()
    }

    /// What all outputs so far amount to.
    pub(crate) fn trace(&mut self) -> u64 {
        self.look_at_outputs();
        self.trace.finish()
    }

    /// Nothing of a conversation comes out.
    fn look_at_outputs(&mut self) {
        for Outcome { at, output, .. } in std::mem::take(&mut self.machine.outcomes) {
            let text = format!("{at:?} {output:?}");
            assert!(!text.contains(SECRET), "content in an output: {text}");
            if self.talks {
                eprintln!("> {text}");
            }
            text.hash(&mut self.trace);
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        if self.talks {
            eprintln!("{:?} < {input:?}", self.elapsed);
        }
        self.machine.input(input);
        self.clock_was_set();
        self.look_at_outputs();
    }

    /// A clock that was set back takes what is ahead of it with it, and does not give it back; what was old for a moment
    /// may be forgotten.
    fn clock_was_set(&mut self) {
        let now = self.now();
        for file in self.files.values_mut() {
            file.last_at = file.last_at.min(now.wall);
            if now.since(file.last_at) > DAY - s(3600) {
                file.last_at = Timestamp::MIN;
            }
        }
    }

    pub(crate) fn set_clock(&mut self, by: SignedDuration) {
        self.machine.set_clock(by);
        self.clock_was_set();
    }

    pub(crate) fn suspend(&mut self, time: Duration) {
        self.machine.suspend(time);
        self.clock_was_set();
    }

    fn set_clock_right(&mut self) {
        self.machine.set_clock_right();
        self.clock_was_set();
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.machine.run_for(time);
        self.clock_was_set();
        self.look_at_outputs();
    }

    // The daemon.

    fn start(&mut self, budget: Option<&Budget>) {
        self.machine.start(budget);
        self.forget_files();
        for slot in self.slots() {
            self.read_anew(slot, false);
        }
        self.caught_up(|_| true);
    }

    /// Another daemon takes over: it knows what the first has spent, and nothing else but limits.
    pub(crate) fn hand_over(&mut self) {
        self.run_for(ms(1));
        self.set_clock_right();
        let now = self.now();
        let budget = serde_json::to_string(&self.kill().budget(now)).unwrap();
        self.start(Some(&serde_json::from_str(&budget).unwrap()));
    }

    /// It is told to end, ends within a second, and is started again much later.
    pub(crate) fn stop(&mut self) {
        self.machine.stop();
        self.run_for(s(2));
        assert!(self.engine().is_finished(), "the end takes too long");
        for (endpoint, discord) in &self.discords.all {
            assert!(*endpoint != Endpoint::terminal() || discord.visible.is_none());
        }
        self.run_for(s(70));
        self.set_clock_right();
        self.kill();
        self.start(None);
    }

    /// Sets one key, in TOML; what would break the file is left out.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key} = {value}");
        if !Effective::read(&line, &ConfigContext::default()).is_broken() {
            self.machine.set(&line);
        }
    }

    // Session files.

    fn slots(&self) -> Vec<usize> {
        self.files.keys().copied().collect()
    }

    pub(crate) fn create(&mut self, slot: usize, writer: Writer) {
        let (now, id) = (self.now().wall, self.file_id());
        let mut writer = writer;
        let first = writer.begin(now);
        let fold = SessionFile::new(writer.agent, "home".into(), self.live_since);
        let file = File {
            writer,
            bytes: first.into_bytes(),
            last_at: now,
            fold,
            id,
            read: 0,
            announced: false,
            torn: false,
        };
        self.files.insert(slot, file);
    }

    fn file_id(&mut self) -> FileId {
        self.next_id += 1;
        FileId::new(self.next_id)
    }

    /// What the writer appended; the daemon has not looked yet.
    pub(crate) fn append(&mut self, slot: usize, line: &[u8]) {
        let now = self.now().wall;
        let Some(file) = self.files.get_mut(&slot) else { return };
        file.bytes.extend_from_slice(line);
        // What is no line of an agent's tells no time.
        if line.starts_with(b"{") {
            file.last_at = now;
        }
    }

    /// The daemon reads this much more of a file.
    pub(crate) fn look(&mut self, slot: usize, most: usize) {
        let Some(file) = self.files.get_mut(&slot) else { return };
        if file.torn {
            return self.read_anew(slot, false);
        }
        let end = file.bytes.len().min(file.read.saturating_add(most));
        file.fold.push(&file.bytes[file.read..end]);
        file.read = end;
        self.announce(slot);
    }

    /// As at the start, or after a replacement; of a very large one the ends come first.
    pub(crate) fn read_anew(&mut self, slot: usize, torn: bool) {
        let live_since = self.live_since;
        let Some(file) = self.files.get_mut(&slot) else { return };
        file.fold = SessionFile::new(file.writer.agent, "home".into(), live_since);
        let first = file.bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if torn && first > 0 {
            file.fold.push(&file.bytes[..first]);
            file.fold.jump();
            file.fold.push(&file.bytes[first + (file.bytes.len() - first) / 2..]);
        } else {
            file.fold.push(&file.bytes);
        }
        file.torn = torn && first > 0;
        (file.read, file.announced) = (file.bytes.len(), false);
        self.announce(slot);
    }

    pub(crate) fn delete(&mut self, slot: usize) {
        let Some(file) = self.files.remove(&slot) else { return };
        self.input(Input::Source(SourceEvent::Gone { file: file.id }));
        self.forget(|session| session == file.writer.id);
        self.folders.remove(&file.writer.id);
    }

    /// Homes changed: everything is read anew.
    pub(crate) fn lose_sources(&mut self) {
        self.input(Input::SourcesLost);
        self.forget(|_| true);
        self.forget_files();
        for slot in self.slots() {
            self.read_anew(slot, false);
        }
    }

    /// The engine knows none of them any more.
    fn forget_files(&mut self) {
        for slot in self.slots() {
            let id = self.file_id();
            let file = self.files.get_mut(&slot).unwrap();
            (file.id, file.announced) = (id, false);
        }
    }

    fn announce(&mut self, slot: usize) {
        let file = self.files.get_mut(&slot).unwrap();
        file.fold.caught_up();
        if file.fold.lineage_wanted().is_some() {
            file.fold.set_lineage(&[]);
        }
        let Some(update) = file.fold.take_update() else { return };
        file.announced = true;
        let id = file.id;
        if file.read == file.bytes.len() && !file.torn {
            let (session, folder) = (file.writer.id.clone(), file.writer.cwd.clone());
            self.machine.folders.insert(session, folder);
        }
        self.read(id, update);
        self.flush();
        self.recount();
    }

    /// Every session that was read to its end has the figures that its writer knows of.
    fn recount(&self) {
        let now = self.now();
        let sessions = self.engine().sessions_report(now);
        let count = self.engine().settings().tokens.count;
        for file in
            self.files.values().filter(|file| file.announced && !file.torn && file.read == file.bytes.len())
        {
            let id = &file.writer.id;
            let Some(session) = sessions.iter().find(|session| session.id == *id) else {
                // Limits may be stamped a little before the moment in which they are written.
                assert!(now.since(file.last_at) > DAY - s(3600), "a fresh session is not listed");
                continue;
            };
            assert_eq!(session.agent, file.writer.agent);
            assert!(!session.counting);
            let (total, delta) = (file.writer.total(), file.writer.delta);
            assert_eq!(session.usage.session_total_tokens, total, "total of {id}");
            assert_eq!(session.usage.session_delta_tokens, delta, "delta of {id}");
            assert_eq!(session.tokens.total, total.map(|total| total.counted(count)));
            assert_eq!(session.tokens.delta, delta.map(|delta| delta.counted(count)));
            assert!(session.tokens.last <= session.tokens.total);
        }
        assert!(sessions.iter().filter(|session| session.shown).count() <= 1);
        for limits in self.engine().limits_report(now) {
            for window in limits.windows {
                let over = window.resets_at.is_some_and(|at| at <= now.wall);
                assert!(!over || window.state == WindowState::Reset);
                assert_eq!(window.state == WindowState::Reset, window.remaining_percent.is_none());
                assert!(window.remaining_percent.is_none_or(|left| left <= 100));
            }
        }
    }

    /// Nothing of a conversation is in `status`.
    fn look_for_content(&self) {
        let daemon = DaemonReport::not_running();
        let report =
            self.engine().status(self.now(), daemon, ConfigReport { path: None, issues: Vec::new() });
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains(SECRET), "content in status: {text}");
    }

    pub(crate) fn welcome(&mut self, name: &str, welcome: Welcome, noticed: bool) {
        if self.client(name).is_none() {
            return;
        }
        let notice: fn(Endpoint) -> Input = match welcome {
            Welcome::Down => Input::Vanished,
            _ => |endpoint| Input::Renewed(endpoint, "Discord".to_owned()),
        };
        self.machine.welcome(name, welcome, noticed.then_some(notice));
    }

    /// The client of this name; there is none beside a terminal.
    pub(crate) fn client(&mut self, name: &str) -> Option<&mut Discord<Card>> {
        self.discords.all.get_mut(&Endpoint(name.to_owned()))
    }

    /// All faults end: the wanted card is shown then, and goes when nothing more happens.
    pub(crate) fn heal(&mut self, mut write: impl FnMut(&mut Self)) {
        self.discords.all.values_mut().for_each(|discord| discord.answer = Answer::AcksAfter(ms(20)));
        // What Discord still refuses is refused now, before other settings give every card another chance.
        self.run_for(s(15));
        self.set("publish.settle", "\"61ms\"");
        self.set("discord.application_id", "\"123456789012345678\"");
        self.set("discord.clients", "\"all\"");
        self.set("privacy.rule", "[]");
        self.input(Input::Resume);
        for name in ["a", "b"] {
            self.welcome(name, Welcome::ReadyAfter(ms(100)), true);
        }
        // Longer than the longest wait for a connection, shorter than any silence.
        for _ in 0..17 {
            write(self);
            self.run_for(s(60));
        }
        let mut wished = self.engine().card().cloned();
        assert!(wished.is_some(), "a session at work has a card");
        // A limit may just have been reset; the card that says so is on its way.
        for _ in 0..8 {
            self.run_for(s(21));
            let before = std::mem::replace(&mut wished, self.engine().card().cloned());
            if before == wished {
                break;
            }
        }
        for (endpoint, discord) in &self.discords.all {
            let links = self.engine().links(self.now());
            assert_eq!(
                discord.visible.as_ref().map(|(card, _)| card),
                wished.as_ref(),
                "at {endpoint} of {links:?}"
            );
            assert!(discord.visible.as_ref().is_none_or(|(_, reduced)| !reduced), "at {endpoint}");
        }
        self.recount();
        self.look_for_content();
        // The longest that anything may be silent and still count: a call, then `idle_after`.
        self.run_for(s(46 * 60));
        assert!(self.engine().card().is_none());
        assert!(self.discords.all.values().all(|discord| discord.visible.is_none()));
        assert_eq!(self.engine().poll_deadline(), None);
        assert_eq!(self.present().next(), None, "it never ended");
    }
}
