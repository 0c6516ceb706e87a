//! `run --demo`: plays a recorded session through the real engine, in accelerated time.
//!
//! Session time runs faster than real time. Publishing does not, so that Discord's rate limit holds. No file of the
//! user is read, no lock is taken and no state is stored.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cmd::show;
use crate::core::engine::{Engine, Input, Output};
use crate::core::file::SessionFile;
use crate::core::publish::Publisher;
use crate::core::report::{CardReport, ConfigReport, DaemonReport, EventKind};
use crate::core::settings::Settings;
use crate::core::source::Agent;
use crate::core::source_event::{FileId, SourceEvent};
use crate::core::time::{Now, elapsed, later};
use crate::error::{Exit, Failure};
use crate::host::drive::{Drive, Folders};
use crate::host::until;
use crate::io::clock;
use crate::io::discord::Links;
use crate::io::discord::endpoints::{self, EndpointDirs};
use crate::io::paths::Environment;
use crate::io::printed::{self, TerminalWriter};

/// The agent of the recorded session.
const AGENT: Agent = Agent::CODEX;

/// An invented session.
const RECORDING: &[u8] = include_bytes!("demo/recording.jsonl");

/// How long the demo takes.
const LENGTH: Duration = Duration::from_secs(55);

/// How long the last card is shown.
const CODA: Duration = Duration::from_secs(6);

/// How long connections may take to clear their cards at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Plays the recording once; cards go to standard output, with `discord` to every Discord client as well.
///
/// # Errors
/// With `discord`, when there is no application id.
pub async fn run(
    discord: bool,
    settings: Settings,
    zone: TimeZone,
    environment: &Environment,
) -> Result<Exit, Failure> {
    if discord && settings.discord.application_id.is_empty() {
        return Err(Failure::new("could not show the demo in Discord: there is no application id")
            .hint("set discord.application_id in the settings file, or AGENT_PRESENCE_APPLICATION_ID"));
    }
    let mut player = Player::new(discord, settings, zone);
    if discord {
        let places = EndpointDirs::new(|name| environment.path(name).map(Into::into));
        for found in endpoints::discover(&places, &player.drive.engine.settings().discord.clients.clone()) {
            player.input(Input::Found(found.endpoint, found.client));
        }
    }
    player.play().await;
    printed::written(player.printed)
}

/// The recording's last card with these settings, and the time at its end. `setup` shows it if there is no session.
pub fn last_card(settings: Settings, zone: TimeZone) -> Option<(CardReport, Timestamp)> {
    let mut file = SessionFile::new(AGENT, "demo".into(), Timestamp::MIN);
    lines().for_each(|line| {
        file.push(line);
        file.push(b"\n");
    });
    let end = lines().filter_map(AGENT.spec().line_time).last()?;
    let now = Now { mono: Duration::ZERO, wall: end };
    let publisher = Publisher::new(0, &settings);
    let mut drive = Drive::new(Engine::new(settings, zone, publisher), Folders::AsWritten);
    let update = Box::new(file.take_update()?);
    let event = SourceEvent::Updated { file: FileId::new(0), update, read: None };
    drive.take(now, [Input::Source(event)]);
    while drive.poll(now).is_some() {}
    let config = ConfigReport { path: None, issues: Vec::new() };
    Some((drive.status(now, DaemonReport::not_running(), config).card?, end))
}

struct Player {
    drive: Drive,
    links: Links,
    started: Now,
    from: Timestamp,
    timer_from: Timestamp,
    /// How many seconds of the recording pass in one second.
    speed: u32,
    /// The result of printing cards; after an error no more are printed.
    printed: std::io::Result<()>,
}

impl Player {
    fn new(discord: bool, settings: Settings, zone: TimeZone) -> Self {
        let started = clock::now();
        let publisher = Publisher::new(0, &settings);
        let publisher = if discord { publisher } else { publisher.with_terminal(started) };
        let times: Vec<Timestamp> = lines().filter_map(AGENT.spec().line_time).collect();
        let from = times.first().copied().unwrap_or(started.wall);
        let length = elapsed(from, times.last().copied().unwrap_or(from));
        let speed = u32::try_from(length.as_secs().div_ceil(LENGTH.as_secs())).unwrap_or(1).max(1);
        Self {
            drive: Drive::new(Engine::new(settings, zone, publisher), Folders::AsWritten),
            links: Links::default(),
            started,
            from,
            // Discord's timer counts in real time.
            timer_from: if discord { started.wall } else { from },
            speed,
            printed: Ok(()),
        }
    }

    /// Session time runs fast; the monotonic time, which publishing uses, does not.
    fn now(&self) -> Now {
        let mono = clock::now().mono;
        let passed = mono.saturating_sub(self.started.mono).saturating_mul(self.speed);
        Now { mono, wall: later(self.from, passed) }
    }

    async fn play(&mut self) {
        let mut file = SessionFile::new(AGENT, "demo".into(), Timestamp::MIN);
        for line in lines() {
            let at = (AGENT.spec().line_time)(line).unwrap_or(self.from);
            self.wait(elapsed(self.from, at) / self.speed).await;
            file.push(line);
            file.push(b"\n");
            // The first card is shown when the agent is active.
            let begun = file.is_at_work() || self.drive.engine.card().is_some();
            if let Some(mut update) = begun.then(|| file.take_update()).flatten() {
                update.session.timer_from = Some(self.timer_from);
                let event =
                    SourceEvent::Updated { file: FileId::new(0), update: Box::new(update), read: None };
                self.input(Input::Source(event));
            }
        }
        let end = clock::now().mono.saturating_sub(self.started.mono) + CODA;
        self.wait(end).await;
        self.input(Input::ShutDown);
        while !self.drive.engine.is_finished() {
            self.step(FAREWELL).await;
        }
        self.links.close_all(FAREWELL).await;
    }

    /// Handles inputs until `since_start` after the start.
    async fn wait(&mut self, since_start: Duration) {
        loop {
            let passed = clock::now().mono.saturating_sub(self.started.mono);
            if passed >= since_start {
                return;
            }
            self.step(since_start - passed).await;
        }
    }

    async fn step(&mut self, at_most: Duration) {
        let due = self.drive.engine.poll_deadline().map(|(at, _)| at);
        let input = tokio::select! {
            (endpoint, event) = self.links.next() => Input::Link(endpoint, event),
            () = until(due) => Input::Tick,
            () = tokio::time::sleep(at_most) => Input::Tick,
        };
        self.input(input);
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        self.drive.take(now, [input]);
        while let Some(output) = self.drive.poll(now) {
            match output {
                Output::Link(command) => self.links.carry_out(command),
                Output::Event(event) => {
                    if let EventKind::Card { card: Some(card) } = &event.kind {
                        self.print(&show::card(card, now.wall));
                    }
                }
                Output::Notice(notice) => tracing::info!("{notice}"),
                _ => {}
            }
        }
    }

    fn print(&mut self, text: &str) {
        let mut out = TerminalWriter::new(std::io::stdout().lock());
        // A failure stops only the printing.
        if self.printed.is_ok() {
            self.printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}

fn lines() -> impl Iterator<Item = &'static [u8]> {
    RECORDING.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}
