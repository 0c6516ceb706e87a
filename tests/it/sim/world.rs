//! A world for the real [`Engine`]: session files as bytes, clocks, a terminal or Discord clients, all simulated.
//!
//! No clock is read and no file opened. It is also the oracle: whatever a script does, [`World`] checks with every step
//! what must always hold, and it writes down what happens.
//! Longer than other files, because a world that is half in another file explains nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_presence::core::activity::Activity;
use agent_presence::core::card::Card;
use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::engine::{Engine, Input, Output};
use agent_presence::core::file::{FileUpdate, RowReader, SessionFile};
use agent_presence::core::limits::{Snapshot, main_family};
use agent_presence::core::privacy::Policy;
use agent_presence::core::publish::{Endpoint, LinkCommand, LinkEvent, Loss, Payload, Publisher};
use agent_presence::core::register::{Open, Register, Status};
use agent_presence::core::report::{Event, EventKind, LimitsReport};
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::time::Now;
use agent_presence::core::usage::Triplet;
use agent_presence::host::drive::{Drive, Folders};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::claude::Claude;
use super::codex::Codex;

/// Files silent for longer are not followed.
const LIVE_FOR: Duration = Duration::from_secs(24 * 3600);

/// Deadlines at one moment; more than this would be a loop.
const AT_ONCE: usize = 20;

/// When every script begins.
pub(crate) const BEGIN: &str = "2026-11-20T10:00:00Z";

/// What a Discord does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes connections and cards.
    Well,
    /// Nobody listens.
    Down,
    /// Closes with 4000.
    RejectsId,
}

#[derive(Debug)]
struct Discord {
    manner: Manner,
    connected: bool,
    connection: u64,
    /// What friends see.
    visible: Option<Arc<Card>>,
    /// What was sent last on this connection.
    sent: Option<Arc<Card>>,
    /// Frames without an answer yet, by their nonce.
    unanswered: BTreeMap<u64, Option<Arc<Card>>>,
    /// What it said that it shows.
    confirmed: Option<Arc<Card>>,
    /// When frames changed what friends see.
    changes: Vec<Duration>,
    answered_until: Duration,
}

/// One session file and its writer.
#[derive(Debug)]
pub(crate) struct File {
    /// Its writer; for another one, who the session is.
    pub(crate) codex: Codex,
    /// Its writer, where that is Claude Code.
    pub(crate) claude: Option<Claude>,
    pub(crate) home: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) model: String,
    /// Where lines begin.
    lines: Vec<usize>,
    modified: Duration,
    /// Whether only its ends are read at first.
    pub(crate) large: bool,
    followed: Option<Followed>,
}

#[derive(Debug)]
struct Followed {
    id: FileId,
    fold: SessionFile,
}

/// What the outside has been told of a session.
#[derive(Debug, Default)]
struct Told {
    present: bool,
    activity: Option<Activity>,
    total: Option<u64>,
}

pub(crate) struct World {
    drive: Option<Drive>,
    /// Time since the beginning.
    pub(crate) elapsed: Duration,
    asleep: Duration,
    clock_offset: SignedDuration,
    furthest_offset: SignedDuration,
    settings: Vec<(String, String)>,
    terminal: bool,
    pub(crate) files: BTreeMap<String, File>,
    discords: BTreeMap<Endpoint, Discord>,
    underway: BTreeMap<(Duration, u64), (Endpoint, u64, LinkEvent)>,
    sequence: u64,
    next_file: u64,
    live_since: Timestamp,
    remembered: Vec<Snapshot>,
    told: BTreeMap<String, Told>,
    /// How often the daemon woke up by itself.
    pub(crate) wakeups: u32,
    pub(crate) trace: Vec<String>,
    /// Whether hover texts are written down as well.
    pub(crate) hover: bool,
}

impl World {
    pub(crate) fn new(terminal: bool) -> Self {
        let application_id = "discord.application_id".to_owned();
        Self {
            drive: None,
            elapsed: Duration::ZERO,
            asleep: Duration::ZERO,
            clock_offset: SignedDuration::ZERO,
            furthest_offset: SignedDuration::ZERO,
            settings: vec![(application_id.clone(), format!("{application_id} = \"123456789012345678\""))],
            terminal,
            files: BTreeMap::new(),
            discords: BTreeMap::new(),
            underway: BTreeMap::new(),
            sequence: 0,
            next_file: 0,
            live_since: Timestamp::MIN,
            remembered: Vec::new(),
            told: BTreeMap::new(),
            wakeups: 0,
            trace: Vec::new(),
            hover: false,
        }
    }

    pub(crate) fn now(&self) -> Now {
        // The clock does not begin at zero: a daemon starts at any time after the machine did.
        let mono = Duration::from_secs(1000) + self.elapsed - self.asleep;
        let begin: Timestamp = BEGIN.parse().unwrap();
        Now { mono, wall: begin + self.elapsed + self.clock_offset }
    }

    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.drive.as_ref().map(|drive| &drive.engine)
    }

    fn note(&mut self, text: &str) {
        let at = offset(self.elapsed);
        self.trace.push(format!("{at:<12} {text}"));
    }

    // What the user, the machine and Discord do.

    /// Sets one key of the settings file.
    pub(crate) fn set(&mut self, assignment: &str) {
        let key = assignment.split('=').next().unwrap().trim().to_owned();
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, assignment.to_owned()));
        let settings = Box::new(self.read_settings());
        if self.drive.is_some() {
            self.input(Input::Settings(settings));
        }
    }

    fn read_settings(&self) -> Settings {
        let text: Vec<&str> = self.settings.iter().map(|(_, line)| line.as_str()).collect();
        let effective = Effective::read(&text.join("\n"), &ConfigContext::default());
        assert_eq!(effective.issues, [], "{text:?}");
        effective.settings
    }

    pub(crate) fn start_daemon(&mut self) {
        assert!(self.drive.is_none(), "a daemon is running");
        let now = self.now();
        let settings = self.read_settings();
        let publisher = Publisher::new(1, &settings);
        let publisher = if self.terminal { publisher.with_terminal(now) } else { publisher };
        if self.terminal {
            self.discords.insert(Endpoint::terminal(), Discord::new(Manner::Well));
        }
        let engine = Engine::new(settings, TimeZone::UTC, publisher);
        self.drive = Some(Drive::new(engine, Folders::AsWritten));
        self.told.clear();
        self.live_since = now.wall;
        let remembered = std::mem::take(&mut self.remembered);
        self.input(Input::Remembered(remembered));
        for name in self.files.keys().cloned().collect::<Vec<_>>() {
            self.look_first(&name);
        }
        self.input(Input::Source(SourceEvent::CaughtUp));
        let there: Vec<Endpoint> = self
            .discords
            .iter()
            .filter(|(at, one)| **at != Endpoint::terminal() && one.manner != Manner::Down)
            .map(|(endpoint, _)| endpoint.clone())
            .collect();
        for endpoint in there {
            self.input(Input::Found(endpoint, "Discord".to_owned()));
        }
    }

    /// The daemon's process is gone; what it kept on disk is not.
    pub(crate) fn kill_daemon(&mut self) {
        let Drive { engine, .. } = self.drive.take().unwrap();
        self.remembered = engine.limits().cloned().collect();
        for file in self.files.values_mut() {
            file.followed = None;
        }
        for discord in self.discords.values_mut() {
            discord.hang_up();
            discord.changes.clear();
        }
        self.underway.clear();
    }

    /// The machine sleeps: only the calendar clock goes on.
    pub(crate) fn suspend(&mut self, time: Duration) {
        self.elapsed += time;
        self.asleep += time;
        self.input(Input::Woke);
    }

    /// Somebody sets the calendar clock.
    pub(crate) fn set_clock(&mut self, by: SignedDuration) {
        self.clock_offset += by;
        self.furthest_offset = self.furthest_offset.max(self.clock_offset);
        self.input(Input::Woke);
    }

    /// The clock is set right, so that no line is from the future.
    pub(crate) fn set_clock_right(&mut self) {
        self.set_clock(self.furthest_offset - self.clock_offset);
    }

    pub(crate) fn stop(&mut self) {
        self.input(Input::ShutDown);
    }

    pub(crate) fn discord(&mut self, name: &str, manner: Manner) {
        let endpoint = Endpoint(name.to_owned());
        let discord = self.discords.entry(endpoint.clone()).or_insert_with(|| Discord::new(Manner::Down));
        let was = std::mem::replace(&mut discord.manner, manner);
        if manner == Manner::Down {
            if discord.connected {
                let connection = discord.connection;
                discord.hang_up();
                self.schedule(Duration::ZERO, &endpoint, connection, LinkEvent::Lost(Loss::Eof));
            }
            if self.drive.is_some() {
                self.input(Input::Vanished(endpoint));
            }
        } else if was == Manner::Down && self.drive.is_some() {
            self.input(Input::Found(endpoint, "Discord".to_owned()));
        }
    }

    // Session files.

    /// Appends to a session file; the daemon hears of it at once.
    pub(crate) fn append(&mut self, name: &str, line: &str) {
        let elapsed = self.elapsed;
        let file = self.files.get_mut(name).unwrap();
        file.lines.push(file.bytes.len());
        file.bytes.extend_from_slice(line.as_bytes());
        file.modified = elapsed;
        if self.drive.is_none() {
            return;
        }
        let Some(followed) = &mut file.followed else { return self.look_first(name) };
        followed.fold.push(line.as_bytes());
        self.announce(name);
    }

    pub(crate) fn create(&mut self, name: &str, codex: Codex, home: &str, model: &str) {
        let file = File {
            codex,
            claude: None,
            home: home.to_owned(),
            bytes: Vec::new(),
            model: model.to_owned(),
            lines: Vec::new(),
            modified: self.elapsed,
            large: false,
            followed: None,
        };
        self.files.insert(name.to_owned(), file);
    }

    pub(crate) fn delete(&mut self, name: &str) {
        if let Some(Followed { id, .. }) = self.files.remove(name).and_then(|file| file.followed) {
            self.input(Input::Source(SourceEvent::Gone { file: id }));
            self.told.remove(name);
        }
    }

    /// The exact count of a large file is done and takes the place of what its ends told.
    pub(crate) fn counted(&mut self, name: &str) {
        let live_since = self.live_since;
        let file = self.files.get_mut(name).unwrap();
        let mut fold = SessionFile::new(file.agent(), file.home.as_str().into(), live_since);
        fold.push(&file.bytes);
        let followed = file.followed.as_mut().unwrap();
        followed.fold = fold;
        self.announce(name);
    }

    /// Claude Code's register says something: `gone`, `nobody`, or who is open and what they do, `NAME=waiting`; `NAME=left`
    /// was killed. `NAME@PROCESS` is a session of a process that has or had another one open.
    pub(crate) fn register(&mut self, words: &str) {
        let now = self.now().wall;
        let mut register = Register::default();
        for (name, status) in words.split_whitespace().filter_map(|word| word.split_once('=')) {
            let (session, process) = name.split_once('@').unwrap_or((name, name));
            let process = process.bytes().fold(0, |sum, byte| sum * 31 + u32::from(byte));
            let status = match status {
                "left" => {
                    register.left.insert(session.to_owned());
                    continue;
                }
                "open" => None,
                "busy" => Some(Status::Busy),
                "idle" => Some(Status::Idle),
                "waiting" => Some(Status::Waiting),
                _ => panic!("not understood: {words}"),
            };
            register.open.insert(session.to_owned(), Open { status, since: Some(now), process });
        }
        register.empty_since = register.open.is_empty().then_some(now);
        let register = (words != "gone").then_some(register);
        self.input(Input::Source(SourceEvent::Register { home: "~/.claude".into(), register }));
    }

    fn look_first(&mut self, name: &str) {
        let (elapsed, live_since, id) = (self.elapsed, self.live_since, FileId::new(self.next_file));
        self.next_file += 1;
        let file = self.files.get_mut(name).unwrap();
        let mut fold = SessionFile::new(file.agent(), file.home.as_str().into(), live_since);
        if file.large {
            let head = file.lines.get(1).copied().unwrap();
            let tail = file.lines[file.lines.len().saturating_sub(4).max(1)];
            fold.push(&file.bytes[..head]);
            fold.jump();
            fold.push(&file.bytes[tail - 1..]);
        } else {
            fold.push(&file.bytes);
        }
        fold.caught_up();
        if elapsed.saturating_sub(file.modified) > LIVE_FOR {
            let limits = fold.take_update().map(|update| update.limits).unwrap_or_default();
            for snapshot in limits.into_iter().filter(|limits| limits.family == main_family(Agent::CODEX)) {
                self.input(Input::Source(SourceEvent::limits(snapshot)));
            }
            return;
        }
        file.followed = Some(Followed { id, fold });
        self.announce(name);
    }

    fn announce(&mut self, name: &str) {
        let Some(followed) = &mut self.files.get_mut(name).unwrap().followed else { return };
        followed.fold.caught_up();
        if let Some(wanted) = followed.fold.lineage_wanted() {
            let parent = self.files.values().find(|file| file.codex.about.id == wanted.parent);
            let rows = parent.map(|parent| {
                let mut reader = RowReader::new(Agent::CODEX);
                reader.push(&parent.bytes);
                reader.finish()
            });
            let followed = self.files.get_mut(name).unwrap().followed.as_mut().unwrap();
            followed.fold.set_lineage(rows.as_slice());
        }
        let Some(followed) = &mut self.files.get_mut(name).unwrap().followed else { return };
        let Some(update) = followed.fold.take_update() else { return };
        let file = followed.id;
        self.check_update(&update);
        self.input(Input::Source(SourceEvent::Updated { file, update: Box::new(update), read: None }));
    }

    fn check_update(&mut self, update: &FileUpdate) {
        let restores = update.usage.iter().filter(|event| event.added.is_none()).count();
        assert!(restores <= usize::from(update.first), "restored figures twice: {update:?}");
        if update.first
            && let Some(told) = self.told.get_mut(&update.session.id)
        {
            // A provisional total may be anything.
            told.total = None;
        }
    }

    // The driver.

    /// Lets time pass as a driver would: from deadline to deadline and event to event.
    pub(crate) fn run_until(&mut self, end: Duration) {
        assert!(end >= self.elapsed, "time goes on, not back");
        let mut at_once = 0;
        loop {
            let deadline = self.engine().and_then(Engine::poll_deadline).map(|(at, _)| self.at(at));
            let event = self.underway.keys().next().map(|(at, _)| *at);
            let next = [deadline, event].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            at_once = if next > self.elapsed { 0 } else { at_once + 1 };
            assert!(
                at_once < AT_ONCE,
                "a deadline that is never met: {:?}",
                self.engine().unwrap().poll_deadline()
            );
            self.elapsed = self.elapsed.max(next);
            if event.is_some_and(|at| at <= self.elapsed) {
                self.deliver();
            } else {
                self.wakeups += 1;
                self.input(Input::Tick);
            }
        }
        self.elapsed = end;
    }

    /// A moment of the monotonic clock, counted from the beginning.
    fn at(&self, mono: Duration) -> Duration {
        (mono + self.asleep).saturating_sub(Duration::from_secs(1000))
    }

    fn deliver(&mut self) {
        let Some(((_, _), (endpoint, connection, event))) = self.underway.pop_first() else { return };
        let discord = self.discords.get_mut(&endpoint).unwrap();
        let ends = matches!(event, LinkEvent::Lost(_) | LinkEvent::Unreachable { .. });
        if discord.connection != connection && !ends {
            return;
        }
        if ends && discord.connection == connection {
            discord.hang_up();
        }
        if let LinkEvent::Acked { nonce } = &event {
            discord.confirmed = discord.unanswered.remove(nonce).unwrap();
        }
        self.input(Input::Link(endpoint, event));
    }

    pub(crate) fn input(&mut self, input: Input) {
        let now = self.now();
        let Some(drive) = &mut self.drive else { return };
        drive.take(now, [input]);
        self.drain();
        self.check();
    }

    fn drain(&mut self) {
        let now = self.now();
        let mut outputs = 0;
        while let Some(output) = self.drive.as_mut().unwrap().poll(now) {
            outputs += 1;
            assert!(outputs < 1000, "outputs never end: {output:?}");
            match output {
                Output::Link(command) => self.obey(command),
                Output::Event(event) => self.tell(&event),
                Output::Notice(notice) => self.note(&format!("log  {notice}")),
                _ => {}
            }
        }
    }

    fn obey(&mut self, command: LinkCommand) {
        match command {
            LinkCommand::Connect { endpoint, .. } => {
                self.note(&format!("{} connect", endpoint.0));
                let discord = self.discords.get_mut(&endpoint).unwrap();
                discord.hang_up();
                discord.connected = discord.manner != Manner::Down;
                let (connection, manner) = (discord.connection, discord.manner);
                let ms = Duration::from_millis;
                match manner {
                    Manner::Down => {
                        let reason = "connection refused".to_owned();
                        self.schedule(ms(1), &endpoint, connection, LinkEvent::Unreachable { reason });
                    }
                    Manner::Well => {
                        self.schedule(ms(1), &endpoint, connection, LinkEvent::Opened);
                        let ready = LinkEvent::Ready { client: "Discord".to_owned(), bridge: false };
                        self.schedule(ms(100), &endpoint, connection, ready);
                    }
                    Manner::RejectsId => {
                        self.schedule(ms(1), &endpoint, connection, LinkEvent::Opened);
                        let message = "Invalid Client ID".to_owned();
                        let loss = LinkEvent::Lost(Loss::Closed { code: 4000, message });
                        self.schedule(ms(100), &endpoint, connection, loss);
                    }
                }
            }
            LinkCommand::Send { endpoint, nonce, payload } => self.receive(&endpoint, nonce, &payload),
            LinkCommand::Disconnect { endpoint } => {
                self.note(&format!("{} disconnect", endpoint.0));
                let discord = self.discords.get_mut(&endpoint).unwrap();
                discord.hang_up();
                let connection = discord.connection;
                self.schedule(Duration::from_millis(1), &endpoint, connection, LinkEvent::Lost(Loss::Eof));
            }
        }
    }

    fn receive(&mut self, endpoint: &Endpoint, nonce: u64, payload: &Payload) {
        valid(nonce, payload);
        let elapsed = self.elapsed;
        let card = match payload {
            Payload::Card(card) | Payload::Reduced(card) => Some(Arc::clone(card)),
            Payload::Clear => None,
        };
        let discord = self.discords.get_mut(endpoint).unwrap();
        let same = card == discord.sent;
        if !same {
            let recent = discord.changes.iter().filter(|at| **at + Duration::from_secs(20) > elapsed).count();
            // A clear that must not wait is not held back, but counts.
            assert!(recent < 4 || card.is_none(), "{} changes within 20 s", recent + 1);
            discord.changes.push(elapsed);
        }
        discord.sent.clone_from(&card);
        let connection = discord.connection;
        let text = match &card {
            None => "no card".to_owned(),
            Some(_) if same => "same card".to_owned(),
            Some(card) => self.describe(card),
        };
        let who = if *endpoint == Endpoint::terminal() { String::new() } else { format!("{} ", endpoint.0) };
        self.note(&format!("{who}{text}"));
        let discord = self.discords.get_mut(endpoint).unwrap();
        discord.visible.clone_from(&card);
        if *endpoint == Endpoint::terminal() {
            discord.confirmed = card;
        } else {
            discord.unanswered.insert(nonce, card);
            discord.answered_until = (elapsed + Duration::from_millis(20)).max(discord.answered_until);
            let after = discord.answered_until - elapsed;
            self.schedule(after, endpoint, connection, LinkEvent::Acked { nonce });
        }
    }

    fn describe(&self, card: &Card) -> String {
        let lines: Vec<&str> = [card.details(), card.state()].into_iter().flatten().collect();
        let since = card.started_at().to_zoned(TimeZone::UTC).strftime("%H:%M:%S");
        let hover = card.large_text().filter(|_| self.hover).map(|text| format!(" // {text}"));
        let name = if card.agent() == Agent::CODEX { String::new() } else { format!("({}) ", card.name()) };
        format!("card {name}{} // since {since}{}", lines.join(" // "), hover.unwrap_or_default())
    }

    fn schedule(&mut self, after: Duration, endpoint: &Endpoint, connection: u64, event: LinkEvent) {
        self.sequence += 1;
        self.underway.insert((self.elapsed + after, self.sequence), (endpoint.clone(), connection, event));
    }

    fn tell(&mut self, event: &Event) {
        assert_eq!(event.at, self.now().wall);
        match &event.kind {
            EventKind::Usage(usage) => {
                let (session, tokens) = (usage.session.clone(), usage.tokens);
                let told = self.told.entry(session.clone()).or_default();
                assert!(tokens.total.is_none() || tokens.delta <= tokens.total, "{usage:?}");
                assert!(told.total <= tokens.total, "{session}: total fell from {:?}: {usage:?}", told.total);
                told.total = tokens.total;
                let mark = if usage.restored { " (restored)" } else { "" };
                self.note(&format!("{session} tokens {}{mark}", triplet(tokens)));
            }
            EventKind::Activity { session, activity, .. } => {
                let told = self.told.entry(session.clone()).or_default();
                assert_ne!(told.activity.replace(*activity), Some(*activity), "{session} again");
                self.note(&format!("{session} is {}", activity.word()));
            }
            EventKind::Session { ended, session } => {
                let told = self.told.entry(session.id.clone()).or_default();
                assert!(told.present || !*ended, "{} ends without having been there", session.id);
                told.present = !*ended;
                told.activity = told.activity.filter(|_| !*ended);
                let what = if *ended { "ends" } else { "appears" };
                self.note(&format!("{} {what} {}", session.id, triplet(session.tokens)));
            }
            EventKind::Limits(limits) => self.note(&format!("limits {}", limits_text(limits))),
            EventKind::Status => {}
            EventKind::Card { card } => {
                let told = card.as_ref().map(|card| card.session.as_str());
                let mut confirmed = self.discords.values().filter_map(|discord| discord.confirmed.as_deref());
                let is_true = match told {
                    Some(told) => confirmed.any(|card| card.session() == told),
                    None => confirmed.next().is_none(),
                };
                assert!(is_true, "the event tells of what is not shown: {event:?}");
            }
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        let Some(engine) = self.engine() else { return };
        for discord in self.discords.values() {
            let Some(card) = &discord.sent else { continue };
            let file = self.files.values().find(|file| file.codex.about.id == card.session());
            let cwd = file.map(|file| file.codex.about.cwd.as_str()).unwrap_or_default();
            let policy = Policy::new([&engine.settings().privacy], &BTreeMap::new());
            assert!(policy.allows(cwd, &[]).is_some(), "a hidden session is seen: {card:?}");
        }
    }

    /// What friends see at this Discord, or at the terminal.
    pub(crate) fn visible(&self, name: &str) -> Option<&Arc<Card>> {
        self.discords.get(&Endpoint(name.to_owned()))?.visible.as_ref()
    }

    /// The sessions whose beginning was told, and not their end.
    pub(crate) fn present(&self) -> impl Iterator<Item = &str> {
        self.told.iter().filter(|(_, told)| told.present).map(|(id, _)| id.as_str())
    }

    // For scripts that look.

    pub(crate) fn report(&mut self) {
        let now = self.now();
        let engine = self.engine().unwrap();
        let mut lines = Vec::new();
        for session in engine.sessions_report(now) {
            let mark = if session.shown { " shown" } else { "" };
            let restored = if session.restored { " restored" } else { "" };
            let about = if session.counting { " counting" } else { "" };
            let (id, activity) = (&session.id, session.activity.word());
            lines.push(format!("status {id} {activity} {}{mark}{restored}{about}", triplet(session.tokens)));
        }
        lines.extend(
            engine.limits_report(now).iter().map(|limits| format!("status limits {}", limits_text(limits))),
        );
        for line in lines {
            self.note(&line);
        }
    }

    pub(crate) fn next(&mut self) {
        let next = self.engine().and_then(Engine::poll_deadline);
        let next = next.map(|(at, why)| format!("{} ({why})", offset(self.at(at))));
        let wakeups = std::mem::take(&mut self.wakeups);
        self.note(&format!("next {}; {wakeups} wake-ups so far", next.as_deref().unwrap_or("nothing")));
    }
}

impl File {
    fn agent(&self) -> Agent {
        if self.claude.is_some() { Agent::CLAUDE } else { Agent::CODEX }
    }
}

impl Discord {
    fn new(manner: Manner) -> Self {
        Self {
            manner,
            connected: false,
            connection: 0,
            visible: None,
            sent: None,
            unanswered: BTreeMap::new(),
            confirmed: None,
            changes: Vec::new(),
            answered_until: Duration::ZERO,
        }
    }

    fn hang_up(&mut self) {
        self.connected = false;
        self.connection += 1;
        self.visible = None;
        self.sent = None;
        self.unanswered.clear();
        self.confirmed = None;
        self.answered_until = Duration::ZERO;
    }
}

/// Discord takes it, by its own rules.
fn valid(nonce: u64, payload: &Payload) {
    #[cfg(unix)]
    {
        let body = agent_presence::daemon::discord::activity::set_activity(nonce, payload, 1).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(crate::support::discord_rules::validate(&body["args"]), Ok(()), "{body}");
    }
    #[cfg(not(unix))]
    let _ = (nonce, payload);
}

fn triplet(tokens: Triplet) -> String {
    let figure = |figure: Option<u64>| figure.map_or("–".to_owned(), |figure| figure.to_string());
    format!("+{} | {} | {}", figure(tokens.delta), figure(tokens.last), figure(tokens.total))
}

fn limits_text(limits: &LimitsReport) -> String {
    let windows = limits.windows.iter().map(|window| {
        let left = window.remaining_percent.map_or("reset".to_owned(), |left| format!("{left}% left"));
        let capped = window.capped_by.as_ref().map(|by| format!(" capped by {by}")).unwrap_or_default();
        format!("{} {left}{capped}", window.label)
    });
    let family = if limits.family == main_family(Agent::CODEX) {
        String::new()
    } else {
        format!("{} ", limits.family)
    };
    let stale = if limits.stale { ", stale" } else { "" };
    format!("{family}{}{stale}", windows.collect::<Vec<_>>().join(" · "))
}

/// `1:02:03.500`
pub(crate) fn offset(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    let text = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if millis == 0 { text } else { format!("{text}.{millis:03}") }
}
