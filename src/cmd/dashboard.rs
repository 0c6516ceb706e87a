//! The dashboard: what `watch` is on a terminal.
//!
//! One task shows one report at a time, newest first, and decides nothing that the daemon decides. It waits for keys,
//! for events and for the next moment at which something shown changes by itself; when nothing of that comes, it does
//! nothing at all. Read next: [`view`], which is pure; `screen`, the terminal; [`crate::cmd::watch::feed`], where the
//! events come from.

pub mod view;

mod card;
mod head;
mod help;
mod keys;
mod limits;
mod paint;
pub mod screen;
mod sessions;
mod stack;
mod text;

use std::time::Duration;

use ratatui::crossterm::event::Event as Typed;
use tokio::sync::mpsc;

use self::keys::Wish;
use self::screen::{Defects, Screen};
use self::view::{Standing, UsageEntry, View};
use crate::cmd::watch::feed::Update;
use crate::cmd::watch::lines::{Form, Lines};
use crate::cmd::watch::reader;
use crate::cmd::watch::reports::{News, Pending, Reports, pending};
use crate::control::client::{self, AskError, block_on};
use crate::control::transport::Address;
use crate::control::{Reply, Verb};
use crate::core::report::StatusReport;
use crate::error::{Exit, Failure};
use crate::host::{Places, until};
use crate::io::clock;
use crate::io::signals::Signals;

/// How long a notice stays.
const NOTICE: Duration = Duration::from_secs(4);

/// Shows the dashboard until the user has seen enough.
///
/// # Errors
/// The terminal cannot be used, or the system refused something basic.
pub fn run(places: Places, colour: bool) -> Result<Exit, Failure> {
    block_on(async {
        let failed = |error| Failure::new(format!("could not use the terminal: {error}"));
        let mut signals = Signals::new().map_err(failed)?;
        let mut defects = Defects::notice();
        let mut screen = Screen::open(colour).map_err(failed)?;
        let mut keys = keys::read().map_err(failed)?;
        let mut stopped = screen::Stopped::new().map_err(failed)?;
        let place = Address::of(&places.state, &places.environment);
        let mut shown = Board {
            view: View::new(places.zone.clone(), colour),
            lines: Lines::new(Form::Bare, places.zone.clone()),
            news: Vec::new(),
            place,
            telling: None,
            notice_until: None,
            is_old: true,
        };
        let gone = reader::gone();
        tokio::pin!(gone);
        let mut reports = Reports::start(places);
        loop {
            shown.draw(&mut screen).map_err(failed)?;
            tokio::select! {
                () = signals.next() => break,
                () = &mut gone => break,
                () = defects.next() => return Err(Failure::new("the dashboard ended by an internal error")),
                () = stopped.continued() => {
                    screen.reopen().map_err(failed)?;
                    shown.is_old = true;
                }
                typed = keys.recv() => match typed {
                    Some(typed) => {
                        if shown.typed(typed, &mut keys, &mut screen).map_err(failed)? {
                            break;
                        }
                    }
                    // The terminal is gone.
                    None => break,
                },
                news = reports.next() => match news {
                    News::Update(update) => shown.updated(update),
                    News::Report(report) => shown.reported(report.map(|report| *report)),
                },
                told = pending(&mut shown.telling) => {
                    shown.told(told);
                    reports.ask_in(Duration::ZERO);
                }
                () = until(shown.notice_until) => shown.unsay(),
            }
        }
        Ok(Exit::Done)
    })?
}

/// What is on the screen, and what is on its way there.
struct Board {
    view: View,
    lines: Lines,
    /// Usage lines that wait for the report that goes with them.
    news: Vec<UsageEntry>,
    place: Address,
    telling: Pending<Result<Reply, AskError>>,
    notice_until: Option<Duration>,
    /// Whether the screen shows something else.
    is_old: bool,
}

impl Board {
    fn draw(&mut self, screen: &mut Screen) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_old) {
            self.view.scroll = screen.draw(&self.view)?;
        }
        Ok(())
    }

    fn updated(&mut self, update: Update) {
        match update {
            Update::Event(event, _) => {
                let text = self.lines.line(&event);
                self.news.extend(text.and_then(|text| UsageEntry::of(&event, text.trim_end())));
            }
            Update::Attached { .. } => self.stand(Standing::Attached),
            Update::Lost => self.stand(Standing::Lost),
            Update::Alone { cause, .. } => {
                self.stand(Standing::Alone);
                self.view.cause = cause;
            }
        }
    }

    fn stand(&mut self, standing: Standing) {
        self.view.standing = standing;
        self.is_old = true;
    }

    fn reported(&mut self, report: Option<StatusReport>) {
        match report {
            Some(report) => {
                if self.view.standing == Standing::Silent {
                    self.stand(Standing::Attached);
                }
                self.is_old = true;
                self.view.report = Some(report);
                for entry in self.news.drain(..) {
                    self.view.keep(entry);
                }
            }
            None if self.view.standing == Standing::Attached && self.view.report.is_some() => {
                self.stand(Standing::Silent);
            }
            None => {}
        }
    }

    /// Does what was typed; true when that is to end.
    fn typed(
        &mut self,
        typed: Typed,
        more: &mut mpsc::Receiver<Typed>,
        screen: &mut Screen,
    ) -> std::io::Result<bool> {
        self.is_old = true;
        let mut next = Some(typed);
        while let Some(typed) = next {
            match keys::wish(&typed, self.view.help) {
                Wish::Nothing => {}
                Wish::Quit => return Ok(true),
                Wish::Help(open) => self.view.help = open,
                Wish::Pause => self.pause(),
                Wish::Scroll(by) => self.view.scroll = self.view.scroll.saturating_add_signed(by),
                Wish::Resized => screen.forget(),
                Wish::Suspend => screen.suspend()?,
            }
            next = more.try_recv().ok();
        }
        Ok(false)
    }

    fn pause(&mut self) {
        let daemon = self.view.report.as_ref().map(|report| &report.daemon);
        let Some(daemon) = daemon.filter(|_| self.view.standing == Standing::Attached) else {
            return self.say("no daemon is there to be paused".to_owned());
        };
        if self.telling.is_some() {
            return;
        }
        let verb = if daemon.paused_until.is_some() { Verb::Resume } else { Verb::Pause { until: None } };
        let place = self.place.clone();
        self.telling = Some(Box::pin(async move { client::ask(&place, verb).await }));
    }

    fn told(&mut self, told: Result<Reply, AskError>) {
        let notice = match told {
            Ok(Reply { ok: true, paused_until: Some(_), .. }) => "paused: friends see no card".to_owned(),
            Ok(Reply { ok: true, .. }) => "resumed".to_owned(),
            Ok(Reply { error, .. }) => error.map_or_else(|| "it refused".to_owned(), |error| error.message),
            Err(error) => error.to_string(),
        };
        self.say(notice);
    }

    fn say(&mut self, notice: String) {
        self.is_old = true;
        self.view.notice = Some(notice);
        self.notice_until = Some(clock::now().mono.saturating_add(NOTICE));
    }

    fn unsay(&mut self) {
        self.notice_until = None;
        self.view.notice = None;
        self.is_old = true;
    }
}
