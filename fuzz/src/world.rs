//! A world for the whole engine: files, clocks, a terminal or two Discord clients. It is also the oracle: with every step
//! it checks what the engine promises.
//!
//! The same ideas as in `tests/it/sim` and `tests/it/publish`, for both agents, with lines that come torn, and with
//! figures counted anew by the [writers](crate::writers).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use agent_presence::core::activity::Activity;
use agent_presence::core::source::Agent;
use agent_presence::core::card::Card;
use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::engine::{Engine, Input, Output};
use agent_presence::core::file::SessionFile;
use agent_presence::core::limits::{Snapshot, WindowState};
use agent_presence::core::publish::{Budget, Endpoint, LinkCommand, LinkEvent, Loss, Payload, Publisher};
use agent_presence::core::report::{ConfigReport, DaemonReport, EventKind};
use agent_presence::core::settings::{Settings, Show};
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::time::Now;
use agent_presence::daemon::discord::activity::set_activity;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::writers::{SECRET, Writer};

/// Deadlines at one moment; more than this would be a loop.
const AT_ONCE: usize = 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What a Discord does with a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    NobodyListens,
    ReadyAfter(u64),
    NeverReady,
    RejectsId,
    HangsUp,
}

/// What a Discord does with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    AcksAfter(u64),
    Refuses(i64),
    Never,
}

/// A card, and whether it came without its picture.
type Face = (Arc<Card>, bool);

struct Discord {
    welcome: Welcome,
    answer: Answer,
    bridge: bool,
    connected: bool,
    ready: bool,
    connection: u64,
    /// What friends see.
    visible: Option<Face>,
    /// What Discord said it took.
    accepted: Option<Face>,
    unanswered: Vec<u64>,
    answered_until: Duration,
    last_frame_at: Duration,
    woke: bool,
    opened: Vec<Duration>,
    /// When frames changed what friends see.
    changes: Vec<Duration>,
}

impl Discord {
    fn new() -> Self {
        Self {
            welcome: Welcome::ReadyAfter(100),
            answer: Answer::AcksAfter(20),
            bridge: false,
            connected: false,
            ready: false,
            connection: 0,
            visible: None,
            accepted: None,
            unanswered: Vec::new(),
            answered_until: Duration::ZERO,
            last_frame_at: Duration::ZERO,
            woke: false,
            opened: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn hang_up(&mut self) {
        self.connection += 1;
        self.connected = false;
        self.ready = false;
        self.visible = None;
        self.accepted = None;
        self.unanswered.clear();
        self.answered_until = Duration::ZERO;
    }
}

/// One session file, its writer, and how far it was read.
pub struct File {
    pub writer: Writer,
    bytes: Vec<u8>,
    last_at: Timestamp,
    fold: SessionFile,
    id: FileId,
    read: usize,
    announced: bool,
    /// Only its end was read so far.
    torn: bool,
}

#[derive(Default)]
struct Told {
    present: bool,
    activity: Option<Activity>,
    total: u64,
}

pub struct World {
    engine: Engine,
    terminal: bool,
    pub elapsed: Duration,
    origin: Duration,
    asleep: Duration,
    offset: SignedDuration,
    furthest: SignedDuration,
    settings: BTreeMap<String, String>,
    hides: bool,
    pub files: BTreeMap<usize, File>,
    next_id: u64,
    live_since: Timestamp,
    discords: BTreeMap<Endpoint, Discord>,
    underway: BTreeMap<(Duration, u64), (Endpoint, u64, LinkEvent)>,
    sequence: u64,
    told: BTreeMap<String, Told>,
    remembered: Vec<Snapshot>,
    stopping: bool,
    /// Whether everything is printed, for whoever looks into a finding.
    talks: bool,
    trace: DefaultHasher,
}

impl World {
    pub fn new(terminal: bool) -> Self {
        let settings = Settings::default();
        let publisher = Publisher::new(1, &settings);
        let mut world = Self {
            engine: Engine::new(settings, TimeZone::UTC, publisher),
            terminal,
            elapsed: Duration::ZERO,
            origin: Duration::ZERO,
            asleep: Duration::ZERO,
            offset: SignedDuration::ZERO,
            furthest: SignedDuration::ZERO,
            settings: BTreeMap::new(),
            hides: false,
            files: BTreeMap::new(),
            next_id: 0,
            live_since: Timestamp::MIN,
            discords: BTreeMap::new(),
            underway: BTreeMap::new(),
            sequence: 0,
            told: BTreeMap::new(),
            remembered: Vec::new(),
            stopping: false,
            talks: std::env::var_os("FUZZ_TRACE").is_some(),
            trace: DefaultHasher::new(),
        };
        let sinks = if terminal {
            vec![Endpoint::terminal()]
        } else {
            vec![Endpoint("a".to_owned()), Endpoint("b".to_owned())]
        };
        world.discords = sinks.into_iter().map(|endpoint| (endpoint, Discord::new())).collect();
        let id = "discord.application_id".to_owned();
        world.settings.insert(id.clone(), format!("{id} = \"123456789012345678\""));
        world.start(None);
        world
    }

    pub fn now(&self) -> Now {
        let begin = Timestamp::constant(1_795_168_800, 0);
        let wall = begin.checked_add(self.elapsed).ok().and_then(|at| at.checked_add(self.offset).ok());
        let mono = s(1000) + self.elapsed - self.asleep - self.origin;
        Now { mono, wall: wall.unwrap_or(Timestamp::MAX) }
    }

    /// What all outputs so far amount to.
    pub fn trace(&self) -> u64 {
        self.trace.finish()
    }

    // The daemon.

    fn start(&mut self, budget: Option<&Budget>) {
        let settings = self.read_settings();
        self.origin = self.elapsed - self.asleep;
        let now = self.now();
        let mut publisher = Publisher::new(1, &settings);
        if let Some(budget) = budget {
            publisher = publisher.with_budget(now, budget);
        }
        if self.terminal {
            publisher = publisher.with_terminal(now);
        }
        self.engine = Engine::new(settings, TimeZone::UTC, publisher);
        (self.stopping, self.live_since) = (false, now.wall);
        self.told.clear();
        self.underway.clear();
        for discord in self.discords.values_mut() {
            discord.hang_up();
            discord.ready = self.terminal;
            discord.connected = self.terminal;
            if self.terminal {
                // Each daemon has a terminal of its own.
                discord.changes.clear();
            }
        }
        let remembered = std::mem::take(&mut self.remembered);
        self.input(Input::Remembered(remembered));
        self.forget_files();
        for slot in self.slots() {
            self.read_anew(slot, false);
        }
        self.input(Input::Source(SourceEvent::CaughtUp));
        if !self.terminal {
            let endpoints: Vec<Endpoint> = self.discords.keys().cloned().collect();
            for endpoint in endpoints {
                self.input(Input::Found(endpoint, "Discord".to_owned()));
            }
        }
    }

    /// Another daemon takes over: it knows what the first has spent, and nothing else but limits.
    pub fn hand_over(&mut self) {
        self.run_for(ms(1));
        self.set_clock_right();
        let budget = serde_json::to_string(&self.engine.budget(self.now())).unwrap();
        self.remembered = self.engine.limits().cloned().collect();
        self.start(Some(&serde_json::from_str(&budget).unwrap()));
    }

    /// It is told to end, ends within a second, and is started again much later.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.input(Input::ShutDown);
        self.run_for(s(2));
        assert!(self.engine.is_finished(), "the end takes too long");
        for discord in self.discords.values() {
            assert!(!self.terminal || discord.visible.is_none());
        }
        self.remembered = self.engine.limits().cloned().collect();
        self.run_for(s(70));
        self.set_clock_right();
        self.start(None);
    }

    // Clocks.

    pub fn sleep(&mut self, time: Duration) {
        self.elapsed += time;
        self.asleep += time;
        for discord in self.discords.values_mut() {
            discord.woke = true;
        }
        self.input(Input::Woke);
    }

    pub fn set_clock(&mut self, by: SignedDuration) {
        self.offset += by;
        self.furthest = self.furthest.max(self.offset);
        for discord in self.discords.values_mut() {
            discord.woke = true;
        }
        self.input(Input::Woke);
    }

    /// A daemon that starts among lines from the future takes them for news once more; that is no fault of its own.
    fn set_clock_right(&mut self) {
        if self.offset != self.furthest {
            self.set_clock(self.furthest - self.offset);
        }
    }

    // Settings.

    /// Sets one key, in TOML; what would break the file is left out.
    pub fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key} = {value}");
        if Effective::read(&line, &ConfigContext::default()).is_broken() {
            return;
        }
        self.settings.insert(key.to_owned(), line);
        let settings = self.read_settings();
        self.input(Input::Settings(Box::new(settings)));
    }

    fn read_settings(&mut self) -> Settings {
        let text: Vec<&str> = self.settings.values().map(String::as_str).collect();
        let settings = Effective::read(&text.join("\n"), &ConfigContext::default()).settings;
        self.hides = settings.privacy.rules.iter().any(|rule| rule.show == Show::Hide);
        settings
    }

    // Session files.

    fn slots(&self) -> Vec<usize> {
        self.files.keys().copied().collect()
    }

    pub fn create(&mut self, slot: usize, writer: Writer) {
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
    pub fn append(&mut self, slot: usize, line: &[u8]) {
        let now = self.now().wall;
        let Some(file) = self.files.get_mut(&slot) else { return };
        file.bytes.extend_from_slice(line);
        // What is no line of an agent's tells no time.
        if line.starts_with(b"{") {
            file.last_at = now;
        }
    }

    /// The daemon reads this much more of a file.
    pub fn look(&mut self, slot: usize, most: usize) {
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
    pub fn read_anew(&mut self, slot: usize, torn: bool) {
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

    pub fn delete(&mut self, slot: usize) {
        let Some(file) = self.files.remove(&slot) else { return };
        self.input(Input::Source(SourceEvent::Gone { file: file.id }));
        self.told.remove(&file.writer.id);
    }

    /// Homes changed: everything is read anew.
    pub fn lose_sources(&mut self) {
        self.input(Input::SourcesLost);
        self.told.clear();
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
        let restored = !std::mem::replace(&mut file.announced, true);
        let restores = update.usage.iter().filter(|event| event.added.is_none()).count();
        assert!(restores <= usize::from(restored), "restored figures twice: {update:?}");
        let id = file.id;
        if restored && let Some(told) = self.told.get_mut(&file.writer.id) {
            // A provisional total may be anything.
            told.total = 0;
        }
        let update = Box::new(update);
        self.input(Input::Source(SourceEvent::Updated { file: id, update, read: None }));
        self.recount();
    }

    /// Every session that was read to its end has the figures that its writer knows of.
    fn recount(&self) {
        let now = self.now();
        let sessions = self.engine.sessions_report(now);
        let count = self.engine.settings().tokens.count;
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
        for limits in self.engine.limits_report(now) {
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
        let report = self.engine.status(self.now(), daemon, ConfigReport { path: None, issues: Vec::new() });
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains(SECRET), "content in status: {text}");
    }

    // Discord.

    pub fn welcome(&mut self, name: &str, welcome: Welcome, noticed: bool) {
        let endpoint = Endpoint(name.to_owned());
        let Some(discord) = self.discords.get_mut(&endpoint) else { return };
        discord.welcome = welcome;
        if welcome == Welcome::NobodyListens {
            self.end_connection(&endpoint);
            if noticed {
                self.input(Input::Vanished(endpoint));
            }
        } else if noticed {
            self.input(Input::Renewed(endpoint, "Discord".to_owned()));
        }
    }

    pub fn answer(&mut self, name: &str, answer: Answer) {
        if let Some(discord) = self.discords.get_mut(&Endpoint(name.to_owned())) {
            discord.answer = answer;
        }
    }

    pub fn bridge(&mut self, name: &str) {
        if let Some(discord) = self.discords.get_mut(&Endpoint(name.to_owned())) {
            discord.bridge = true;
        }
    }

    fn end_connection(&mut self, endpoint: &Endpoint) {
        let discord = self.discords.get_mut(endpoint).unwrap();
        if discord.connected && !self.terminal {
            discord.hang_up();
            let connection = discord.connection;
            let kept = |one: &Endpoint, event: &LinkEvent| one != endpoint || *event == LinkEvent::Opened;
            self.underway.retain(|_, (one, _, event)| kept(one, event));
            self.schedule(ms(1), endpoint, connection, LinkEvent::Lost(Loss::Eof));
        }
    }

    fn schedule(&mut self, after: Duration, endpoint: &Endpoint, connection: u64, event: LinkEvent) {
        self.sequence += 1;
        self.underway.insert((self.elapsed + after, self.sequence), (endpoint.clone(), connection, event));
    }

    // The driver.

    pub fn run_for(&mut self, time: Duration) {
        let end = self.elapsed + time;
        let mut at_once = 0;
        loop {
            let mono_now = self.now().mono;
            let deadline = self.engine.poll_deadline();
            let deadline = deadline.map(|(at, _)| self.elapsed.saturating_add(at.saturating_sub(mono_now)));
            let event = self.underway.keys().next().map(|(at, _)| *at);
            let Some(next) = [deadline, event].into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            at_once = if next > self.elapsed { 0 } else { at_once + 1 };
            assert!(at_once < AT_ONCE, "a deadline that is never met: {:?}", self.engine.poll_deadline());
            self.elapsed = self.elapsed.max(next);
            if event.is_some_and(|at| at <= self.elapsed) { self.deliver() } else { self.input(Input::Tick) }
        }
        self.elapsed = end;
    }

    fn deliver(&mut self) {
        let Some((_, (endpoint, connection, event))) = self.underway.pop_first() else { return };
        let discord = self.discords.get_mut(&endpoint).unwrap();
        let current = discord.connection == connection;
        match &event {
            LinkEvent::Opened | LinkEvent::Restarted => {}
            LinkEvent::Ready { .. } if current => discord.ready = true,
            LinkEvent::Acked { nonce } | LinkEvent::Refused { nonce, .. } if current => {
                discord.unanswered.retain(|open| open != nonce);
            }
            LinkEvent::Lost(_) | LinkEvent::Unreachable { .. } => {
                if current && discord.connected {
                    discord.hang_up();
                    self.underway.retain(|_, (one, _, _)| *one != endpoint);
                }
            }
            _ => return,
        }
        self.input(Input::Link(endpoint, event));
    }

    pub fn input(&mut self, input: Input) {
        let now = self.now();
        // A clock that was set back takes what is ahead of it with it, and does not give it back; what was old for a moment
        // may be forgotten.
        for file in self.files.values_mut() {
            file.last_at = file.last_at.min(now.wall);
            if now.since(file.last_at) > DAY - s(3600) {
                file.last_at = Timestamp::MIN;
            }
        }
        if self.talks {
            eprintln!("{:?} < {input:?}", self.elapsed);
        }
        self.engine.handle(now, input);
        let mut outputs = 0;
        while let Some(output) = self.engine.poll_output(now) {
            outputs += 1;
            assert!(outputs < 1000, "outputs never end: {output:?}");
            let text = format!("{:?} {output:?}", self.elapsed);
            assert!(!text.contains(SECRET), "content in an output: {text}");
            if self.talks {
                eprintln!("> {text}");
            }
            text.hash(&mut self.trace);
            match output {
                Output::Link(command) => self.obey(command),
                Output::Event(event) => {
                    assert_eq!(event.at, now.wall);
                    self.tell(&event.kind);
                }
                Output::Notice(_) | Output::Settings(_) | Output::Problem { .. } | Output::CaughtUp | Output::Register => {}
                Output::Locate(question) => self.engine.handle(now, Input::Located(question.as_written())),
            }
        }
    }

    fn obey(&mut self, command: LinkCommand) {
        match command {
            LinkCommand::Connect { endpoint, application_id } => {
                assert_eq!(application_id, self.engine.settings().discord.application_id);
                self.connect(&endpoint);
            }
            LinkCommand::Send { endpoint, nonce, payload } => self.receive(&endpoint, nonce, &payload),
            LinkCommand::Disconnect { endpoint } => self.end_connection(&endpoint),
        }
    }

    fn connect(&mut self, endpoint: &Endpoint) {
        let elapsed = self.elapsed;
        let discord = self.discords.get_mut(endpoint).unwrap();
        assert!(!discord.connected, "a second connection to {endpoint}");
        discord.hang_up();
        let (connection, bridge) = (discord.connection, discord.bridge);
        if discord.welcome == Welcome::NobodyListens {
            let reason = "connection refused".to_owned();
            return self.schedule(ms(1), endpoint, connection, LinkEvent::Unreachable { reason });
        }
        discord.connected = true;
        discord.opened.retain(|at| *at + s(60) > elapsed);
        discord.opened.push(elapsed);
        assert!(discord.opened.len() <= 2, "connections within a minute: {:?}", discord.opened);
        let (after, event) = match discord.welcome {
            Welcome::ReadyAfter(after) => {
                (ms(after), LinkEvent::Ready { client: "Discord".to_owned(), bridge })
            }
            Welcome::RejectsId => {
                let message = "Invalid Client ID".to_owned();
                (ms(100), LinkEvent::Lost(Loss::Closed { code: 4000, message }))
            }
            Welcome::HangsUp => (ms(10), LinkEvent::Lost(Loss::Eof)),
            Welcome::NeverReady | Welcome::NobodyListens => (s(65), LinkEvent::Lost(Loss::Timeout("ready"))),
        };
        self.schedule(ms(1), endpoint, connection, LinkEvent::Opened);
        self.schedule(after, endpoint, connection, event);
    }

    fn receive(&mut self, endpoint: &Endpoint, nonce: u64, payload: &Payload) {
        check_payload(nonce, payload);
        let face = match payload {
            Payload::Card(card) => Some((Arc::clone(card), false)),
            Payload::Reduced(card) => Some((Arc::clone(card), true)),
            Payload::Clear => None,
        };
        let wished = self.engine.card().cloned();
        let (elapsed, terminal) = (self.elapsed, self.terminal);
        let at_once = self.stopping || self.hides || self.engine.paused_until().is_some();
        let discord = self.discords.get_mut(endpoint).unwrap();
        if !discord.connected {
            // It just went away, and the news of it is on its way.
            return;
        }
        assert!(discord.ready, "a frame before READY is lost");
        match &face {
            None => assert!(wished.is_none() || at_once, "cleared only to be set again"),
            Some((card, _)) => {
                assert!(discord.unanswered.is_empty(), "a second card before the answer to the first");
                let again = discord.accepted == face;
                let time = discord.woke || discord.last_frame_at + s(60) <= elapsed;
                assert!(!again || time, "an equal card again after {:?}", elapsed - discord.last_frame_at);
                assert!(again || wished.as_ref() == Some(card), "not what was wished last");
            }
        }
        (discord.woke, discord.last_frame_at) = (false, elapsed);
        let (after, event) = match discord.answer {
            _ if terminal => (Duration::ZERO, LinkEvent::Acked { nonce }),
            Answer::AcksAfter(after) => (ms(after), LinkEvent::Acked { nonce }),
            Answer::Refuses(code) => (ms(20), LinkEvent::Refused { nonce, code, message: "no".to_owned() }),
            Answer::Never => (s(10), LinkEvent::Lost(Loss::Timeout("reply"))),
        };
        if !matches!(event, LinkEvent::Refused { .. }) && discord.visible != face {
            discord.changes.retain(|at| *at + s(20) > elapsed);
            discord.changes.push(elapsed);
            // Only a clear that must not wait may be the fifth.
            let most = if face.is_none() && at_once { 5 } else { 4 };
            assert!(discord.changes.len() <= most, "{:?} within 20 s", discord.changes);
            discord.visible.clone_from(&face);
        }
        if matches!(event, LinkEvent::Acked { .. }) {
            discord.accepted = face;
        }
        if terminal {
            return;
        }
        discord.unanswered.push(nonce);
        discord.answered_until = discord.answered_until.max(elapsed + after);
        let (after, connection) = (discord.answered_until - elapsed, discord.connection);
        self.schedule(after, endpoint, connection, event);
    }

    fn tell(&mut self, event: &EventKind) {
        match event {
            EventKind::Usage(usage) => {
                let told = self.told.entry(usage.session.clone()).or_default();
                assert!(
                    usage.tokens.total.is_none() || usage.tokens.delta <= usage.tokens.total,
                    "{usage:?}"
                );
                let total = usage.usage.session_total_tokens.map_or(0, |total| total.all());
                assert!(
                    told.total <= total,
                    "{}: the total fell from {}: {usage:?}",
                    usage.session,
                    told.total
                );
                told.total = total;
            }
            EventKind::Activity { session, activity, .. } => {
                let told = self.told.entry(session.clone()).or_default();
                assert_ne!(told.activity.replace(*activity), Some(*activity), "{session} again");
            }
            EventKind::Session { ended, session } => {
                let told = self.told.entry(session.id.clone()).or_default();
                assert!(told.present || !*ended, "{} ends without having been there", session.id);
                told.present = !*ended;
                told.activity = told.activity.filter(|_| !*ended);
            }
            EventKind::Limits(_) | EventKind::Status | EventKind::Card { .. } => {}
        }
    }

    // The end.

    /// Everything is well again; whatever is wished then is shown, and after it silence takes it away.
    pub fn heal(&mut self, mut write: impl FnMut(&mut Self)) {
        for name in ["a", "b"] {
            self.answer(name, Answer::AcksAfter(20));
        }
        // Whatever is still refused is refused before the settings give every card another chance.
        self.run_for(s(15));
        self.set("discord.application_id", "\"123456789012345678\"");
        self.set("discord.clients", "\"all\"");
        self.set("privacy.rule", "[]");
        self.input(Input::Resume);
        for name in ["a", "b"] {
            self.welcome(name, Welcome::ReadyAfter(100), true);
        }
        // Longer than the longest wait for a connection, shorter than any silence.
        for _ in 0..17 {
            write(self);
            self.run_for(s(60));
        }
        let mut wished = self.engine.card().cloned();
        assert!(wished.is_some(), "a session at work has a card");
        // A limit may just have been reset; the card that says so is on its way.
        for _ in 0..8 {
            self.run_for(s(21));
            let before = std::mem::replace(&mut wished, self.engine.card().cloned());
            if before == wished {
                break;
            }
        }
        for (endpoint, discord) in &self.discords {
            let links = self.engine.links(self.now());
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
        assert!(self.engine.card().is_none());
        assert!(self.discords.values().all(|discord| discord.visible.is_none()));
        assert_eq!(self.engine.poll_deadline(), None);
        let present = self.told.iter().find(|(_, told)| told.present);
        assert_eq!(present.map(|(id, _)| id), None, "it never ended");
    }
}

/// Discord would take it.
fn check_payload(nonce: u64, payload: &Payload) {
    set_activity(nonce, payload, 1).unwrap();
    let (Payload::Card(card) | Payload::Reduced(card)) = payload else { return };
    let lines = [card.details(), card.state(), card.large_text(), card.small_text()];
    for line in lines.into_iter().flatten().chain([card.name(), card.member_list_text()]) {
        assert!((2..=128).contains(&line.encode_utf16().count()), "{line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    assert!(card.started_at().as_millisecond() > 0);
    assert!(card.activity() != Activity::Idle);
    assert!(Agent::ALL.contains(&card.agent()));
}
