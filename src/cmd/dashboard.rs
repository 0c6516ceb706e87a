//! The dashboard: `watch` on a terminal.
//!
//! One task shows the newest report and decides nothing that the daemon decides. It waits for keys, for events, and for
//! the next moment at which something shown changes by itself; otherwise it does nothing.

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

use self::keys::Action;
use self::screen::{Panics, Screen};
use self::view::{Source, UsageEntry, View};
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

/// How long a notice is shown.
const NOTICE: Duration = Duration::from_secs(4);

/// Shows the dashboard until the user quits.
///
/// # Errors
/// The terminal cannot be used, or the system refused something basic.
pub fn run(places: Places, colour: bool) -> Result<Exit, Failure> {
    block_on(async {
        let failed = |error| Failure::new(format!("could not use the terminal: {error}"));
        let mut signals = Signals::new().map_err(failed)?;
        let mut panics = Panics::watch();
        let mut screen = Screen::open(colour).map_err(failed)?;
        let mut keys = keys::read().map_err(failed)?;
        let mut stopped = screen::Stopped::new().map_err(failed)?;
        let place = Address::of(&places.state, &places.environment);
        let mut shown = Board {
            view: View::new(places.zone.clone(), colour),
            lines: Lines::new(Form::Bare, places.zone.clone()),
            news: Vec::new(),
            place,
            answer: None,
            notice_until: None,
            is_dirty: true,
        };
        let gone = reader::gone();
        tokio::pin!(gone);
        let mut reports = Reports::start(places);
        loop {
            shown.draw(&mut screen).map_err(failed)?;
            tokio::select! {
                () = signals.next() => break,
                () = &mut gone => break,
                () = panics.next() => return Err(Failure::new("the dashboard ended by an internal error")),
                () = stopped.continued() => {
                    screen.reopen().map_err(failed)?;
                    shown.is_dirty = true;
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
                    News::Update(update) => shown.apply_update(update),
                    News::Report(report) => shown.apply_report(report.map(|report| *report)),
                },
                answered = pending(&mut shown.answer) => {
                    shown.answered(answered);
                    reports.ask_in(Duration::ZERO);
                }
                () = until(shown.notice_until) => shown.hide_notice(),
            }
        }
        Ok(Exit::Done)
    })?
}

/// The state of the dashboard.
struct Board {
    view: View,
    lines: Lines,
    /// Usage lines that wait for the report that belongs to them.
    news: Vec<UsageEntry>,
    place: Address,
    answer: Pending<Result<Reply, AskError>>,
    notice_until: Option<Duration>,
    /// Whether the screen has to be drawn again.
    is_dirty: bool,
}

impl Board {
    fn draw(&mut self, screen: &mut Screen) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_dirty) {
            self.view.scroll = screen.draw(&self.view)?;
        }
        Ok(())
    }

    fn apply_update(&mut self, update: Update) {
        match update {
            Update::Event(event, _) => {
                let text = self.lines.line(&event);
                self.news.extend(text.and_then(|text| UsageEntry::of(&event, text.trim_end())));
            }
            Update::Attached { .. } => self.set_source(Source::Attached),
            Update::Lost => self.set_source(Source::Lost),
            Update::Alone { cause, .. } => {
                self.set_source(Source::Alone);
                self.view.cause = cause;
            }
        }
    }

    fn set_source(&mut self, source: Source) {
        self.view.source = source;
        self.is_dirty = true;
    }

    fn apply_report(&mut self, report: Option<StatusReport>) {
        match report {
            Some(report) => {
                if self.view.source == Source::Silent {
                    self.set_source(Source::Attached);
                }
                self.is_dirty = true;
                self.view.report = Some(report);
                for entry in self.news.drain(..) {
                    self.view.push(entry);
                }
            }
            None if self.view.source == Source::Attached && self.view.report.is_some() => {
                self.set_source(Source::Silent);
            }
            None => {}
        }
    }

    /// Handles keys; true if the dashboard ends.
    fn typed(
        &mut self,
        typed: Typed,
        more: &mut mpsc::Receiver<Typed>,
        screen: &mut Screen,
    ) -> std::io::Result<bool> {
        self.is_dirty = true;
        let mut next = Some(typed);
        while let Some(typed) = next {
            match keys::action(&typed, self.view.help) {
                Action::Nothing => {}
                Action::Quit => return Ok(true),
                Action::Help(open) => self.view.help = open,
                Action::Pause => self.pause(),
                Action::Scroll(by) => self.view.scroll = self.view.scroll.saturating_add_signed(by),
                Action::Resized => screen.forget(),
                Action::Suspend => screen.suspend()?,
            }
            next = more.try_recv().ok();
        }
        Ok(false)
    }

    fn pause(&mut self) {
        let daemon = self.view.report.as_ref().map(|report| &report.daemon);
        let Some(daemon) = daemon.filter(|_| self.view.source == Source::Attached) else {
            return self.show_notice("no daemon is running, so there is nothing to pause".to_owned());
        };
        if self.answer.is_some() {
            return;
        }
        let verb = if daemon.paused_until.is_some() { Verb::Resume } else { Verb::Pause { until: None } };
        let place = self.place.clone();
        self.answer = Some(Box::pin(async move { client::ask(&place, verb).await }));
    }

    fn answered(&mut self, answered: Result<Reply, AskError>) {
        let notice = match answered {
            Ok(Reply { ok: true, paused_until: Some(_), .. }) => "paused: friends see no card".to_owned(),
            Ok(Reply { ok: true, .. }) => "resumed".to_owned(),
            Ok(Reply { error, .. }) => {
                error.map_or_else(|| "the daemon refused".to_owned(), |error| error.message)
            }
            Err(error) => error.to_string(),
        };
        self.show_notice(notice);
    }

    fn show_notice(&mut self, notice: String) {
        self.is_dirty = true;
        self.view.notice = Some(notice);
        self.notice_until = Some(clock::now().mono.saturating_add(NOTICE));
    }

    fn hide_notice(&mut self) {
        self.notice_until = None;
        self.view.notice = None;
        self.is_dirty = true;
    }
}
