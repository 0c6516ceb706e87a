//! The link to one remote: when its command is started and stopped, and its state.
//!
//! A shell starts and stops the command, hands in its lines with the time, and calls again at [`Link::deadline`].
//! Read next: `fold` for the meaning of the lines; `ending` for the end of the command.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::alive::{self, Hello, SCHEMA};
use super::ending::{Ending, TOO_OLD};
use super::fold::{Fold, LineKind, is_hello};
use super::{RemoteReport, RemoteState};
use crate::backoff::Backoff;
use crate::event_log::Position;
use crate::names::{shortened, visible};
use crate::source_event::SourceEvent;
use crate::takeover::is_same_major;
use crate::time::Now;

/// The waits between attempts.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A link that was up this long counts as working.
const HELD: Duration = Duration::from_secs(30);

/// This many lines of a shell's banner are accepted before the hello.
const BANNER: u32 = 200;
/// The same for invalid lines after it.
const GARBAGE: u32 = 100;

/// Longer than any valid line, in bytes; a longer one is endless.
pub const LONGEST_LINE: u64 = 128 << 10;

/// The maximum length of a reported error, in characters.
const LONGEST_ERROR: usize = 200;

/// What the shell has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Start the command, and continue after this event.
    Start(Option<Position>),
    /// Stop it in any case.
    Stop,
}

/// The link to one remote.
#[derive(Debug)]
pub struct Link {
    /// The state that its lines have given.
    pub fold: Fold,
    name: Arc<str>,
    state: State,
    /// The longest interval between its lines.
    alive: Duration,
    backoff: Backoff,
    version: Option<String>,
    last_heard_at: Option<Timestamp>,
    last_error: Option<String>,
}

/// Times are monotonic.
#[derive(Debug)]
enum State {
    /// Not tried before `until`.
    Down { until: Duration, rejected: bool },
    /// It has not sent a hello.
    Starting { heard: Duration, lines: u32 },
    /// It sends events.
    Up { heard: Duration, since: Duration, garbage: u32 },
}

impl Link {
    /// A link that is due to start. `command` may set the interval of signs of life.
    pub fn new(name: &str, command: &[String], first_file: u64) -> Self {
        let name: Arc<str> = name.into();
        Self {
            fold: Fold::new(Arc::clone(&name), first_file),
            name,
            state: State::Down { until: Duration::ZERO, rejected: false },
            alive: every(command).unwrap_or(alive::USUAL),
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            version: None,
            last_heard_at: None,
            last_error: None,
        }
    }

    /// Its state, for `status`.
    pub fn report(&self) -> RemoteReport {
        RemoteReport {
            name: self.name.to_string(),
            state: match self.state {
                // It is due.
                State::Down { rejected: false, .. } if self.last_error.is_none() => RemoteState::Connecting,
                State::Down { rejected: false, .. } => RemoteState::Waiting,
                State::Down { rejected: true, .. } => RemoteState::Rejected,
                State::Starting { .. } => RemoteState::Connecting,
                State::Up { .. } => RemoteState::Connected,
            },
            version: self.version.clone(),
            last_heard_at: self.last_heard_at,
            last_error: self.last_error.clone(),
        }
    }

    /// When to call again if no line arrives.
    pub fn deadline(&self) -> Duration {
        match self.state {
            State::Down { until, .. } => until,
            State::Starting { heard, .. } | State::Up { heard, .. } => heard.saturating_add(self.patience()),
        }
    }

    /// After this time without a line the link is lost.
    fn patience(&self) -> Duration {
        self.alive.saturating_mul(5) / 2
    }

    /// Checks the deadlines.
    pub fn tick(&mut self, now: Now) -> Option<Command> {
        if now.mono < self.deadline() {
            return None;
        }
        if matches!(self.state, State::Down { .. }) {
            self.state = State::Starting { heard: now.mono, lines: 0 };
            return Some(Command::Start(self.fold.position()));
        }
        let seconds = self.patience().as_secs_f64();
        self.down(now, false, &format!("nothing arrived for {seconds} s"));
        Some(Command::Stop)
    }

    /// The machine slept, or a clock was set: the connection may be dead without a report, and the clocks have to be
    /// compared again.
    pub fn woke(&mut self, now: Now) -> Option<Command> {
        let was_up = !matches!(self.state, State::Down { .. });
        self.fold.lost();
        self.retry(now);
        was_up.then_some(Command::Stop)
    }

    /// A change that may help: a waiting link is tried at once.
    pub fn hurry(&mut self, now: Now) {
        if matches!(self.state, State::Down { .. }) {
            self.retry(now);
        }
    }

    fn retry(&mut self, now: Now) {
        self.backoff.reset();
        self.state = State::Down { until: now.mono, rejected: false };
    }

    /// Takes a line of the command; the resulting updates go to `tell`.
    pub fn line(&mut self, now: Now, line: &[u8], tell: &mut impl FnMut(SourceEvent)) -> Option<Command> {
        match &mut self.state {
            State::Down { .. } => return None,
            State::Starting { lines, .. } if !line.starts_with(b"{") => {
                *lines += 1;
                let is_endless = *lines > BANNER;
                return is_endless.then(|| self.refuse(now, "its output is not a stream of agent-presence"));
            }
            State::Starting { .. } if !is_hello(line) => return Some(self.refuse(now, TOO_OLD)),
            State::Starting { heard, .. } | State::Up { heard, .. } => *heard = now.mono,
        }
        self.last_heard_at = Some(now.wall);
        match (self.fold.line(now, line, tell), &mut self.state) {
            (LineKind::Hello(hello), _) => self.hello(now, hello),
            (LineKind::Garbage, State::Up { garbage, .. }) => {
                *garbage += 1;
                let is_too_much = *garbage > GARBAGE;
                self.last_error = Some("some of its lines cannot be read".to_owned());
                is_too_much.then(|| self.stop(now, "its lines cannot be read"))
            }
            (LineKind::Event(Some(odd)), _) => {
                self.last_error = Some(odd.to_owned());
                None
            }
            _ => None,
        }
    }

    fn hello(&mut self, now: Now, hello: Hello) -> Option<Command> {
        let own = env!("CARGO_PKG_VERSION");
        let version = shortened(&visible(&hello.version), 40);
        self.version = Some(version.clone());
        if hello.schema != SCHEMA || !is_same_major(&hello.version, own) {
            let why = format!(
                "agent-presence {version} runs there, and this is {own}; both have to be of one major version"
            );
            return Some(self.refuse(now, &why));
        }
        if let Some(seconds) = hello.alive
            && let Ok(every) = Duration::try_from_secs_f64(seconds)
        {
            self.alive = every.clamp(alive::SHORTEST, alive::LONGEST);
        }
        if !matches!(self.state, State::Up { .. }) {
            self.state = State::Up { heard: now.mono, since: now.mono, garbage: 0 };
            self.last_error = None;
        }
        None
    }

    /// Notes that the remote sends implausibly fast, and is read slowly.
    pub fn slowed(&mut self) {
        self.last_error = Some("it sends implausibly much, and is read slowly".to_owned());
    }

    /// Stops a remote that sends an endless line.
    pub fn endless(&mut self, now: Now) -> Command {
        self.stop(now, &format!("a line of it is longer than {} KB", LONGEST_LINE >> 10))
    }

    /// The command has ended, or could not be started.
    pub fn ended(&mut self, now: Now, ending: &Ending) {
        match self.state {
            State::Down { .. } => {}
            State::Starting { .. } => self.down(now, ending.needs_a_fix(), &ending.text()),
            State::Up { .. } => self.down(now, false, &ending.text()),
        }
    }

    fn stop(&mut self, now: Now, why: &str) -> Command {
        self.down(now, false, why);
        Command::Stop
    }

    fn refuse(&mut self, now: Now, why: &str) -> Command {
        self.down(now, true, why);
        Command::Stop
    }

    fn down(&mut self, now: Now, rejected: bool, why: &str) {
        if let State::Up { since, .. } = self.state
            && now.mono.saturating_sub(since) >= HELD
        {
            self.backoff.reset();
        }
        let wait = self.backoff.fail();
        let wait = if rejected { LONGEST_WAIT } else { wait };
        self.state = State::Down { until: now.mono.saturating_add(wait), rejected };
        self.last_error = Some(shortened(&visible(why), LONGEST_ERROR));
        self.fold.lost();
    }
}

/// The interval of signs of life that the command sets.
fn every(command: &[String]) -> Option<Duration> {
    let words: Vec<&str> = command.iter().flat_map(|argument| argument.split_whitespace()).collect();
    let at = words.iter().position(|word| word.starts_with("--alive"))?;
    let time = match words.get(at)?.strip_prefix("--alive=") {
        Some(time) => time,
        None => words.get(at + 1)?,
    };
    let time = crate::duration::parse(time).ok()?;
    Some(time.clamp(alive::SHORTEST, alive::LONGEST))
}

/// Whether arguments can be appended to the command for the remote program.
pub fn takes_arguments(command: &[String]) -> bool {
    command.iter().any(|argument| argument.split_whitespace().any(|word| word.starts_with("--alive")))
}
