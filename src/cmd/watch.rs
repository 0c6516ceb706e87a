//! `watch` off a terminal: prints a line for each event. The events of `bar` and the dashboard have the same source.
//!
//! The daemon sends the events; without one, the session files are followed here by the same engine. Nothing is
//! published or written.
//! Read next: [`feed`], the source of the events; [`lines`], their form; [`alive`], the form for another machine;
//! [`reports`], the status reports; [`reader`], when to stop.

pub mod alive;
mod due;
pub mod feed;
pub mod lines;
pub mod reader;
pub mod reports;

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::cmd::cli::Watch;
use crate::cmd::watch::alive::Alive;
use crate::cmd::watch::feed::{Feed, Listener, Update};
use crate::cmd::watch::lines::{Form, Lines};
use crate::control::client::block_on;
use crate::error::{Exit, Failure};
use crate::host::Places;
use crate::io::clock;

/// Prints events until the reader has gone.
///
/// # Errors
/// The output could not be written, or the system refused something basic.
pub fn run(
    command: &Watch,
    places: Places,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let form = match command {
        Watch { json: true, .. } => Form::Json,
        Watch { bare: true, .. } => Form::Bare,
        Watch { .. } => Form::Lines,
    };
    block_on(async {
        let lines = Lines::new(form, places.zone.clone());
        let listener = Listener { after: command.since.clone(), is_far: command.alive.is_some() };
        let feed = Feed::start(places, listener);
        match command.alive {
            Some(every) => tokio::select! {
                biased;
                () = reader::gone() => Ok(Exit::Done),
                () = reader::input_ended() => Ok(Exit::Done),
                result = tell(feed, every, out) => super::written(result),
            },
            None => tokio::select! {
                biased;
                () = reader::gone() => Ok(Exit::Done),
                result = print(feed, lines, out, err) => super::written(result),
            },
        }
    })?
}

async fn print(
    mut feed: Feed,
    mut lines: Lines,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<()> {
    let mut is_alone = false;
    loop {
        let mut text = String::new();
        let mut next = Some(feed.next().await);
        // Updates that are waiting are written together.
        while let Some(update) = next {
            match update {
                Update::Event(event, _) => text.extend(lines.line(&event)),
                Update::Alone { cause, .. } => {
                    is_alone = true;
                    super::note(err, format_args!("{cause}; reading the session files without it\n"));
                }
                Update::Attached { .. } => {
                    if std::mem::take(&mut is_alone) {
                        super::note(err, "a daemon is running; its events follow\n");
                    }
                }
                Update::Lost => {}
            }
            next = feed.try_next();
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
}

/// Prints events for another machine, and a keep-alive line after `every` without one.
async fn tell(mut feed: Feed, every: Duration, out: &mut dyn Write) -> std::io::Result<()> {
    let mut alive = Alive::new(every);
    let mut due = Instant::now() + every;
    loop {
        let mut text = String::new();
        match timeout_at(due, feed.next()).await {
            Ok(first) => {
                let mut next = Some(first);
                while let Some(update) = next {
                    text += &alive.lines(clock::now(), &update);
                    next = feed.try_next();
                }
            }
            Err(_) => {
                text = alive.keep_alive(clock::now());
                due = Instant::now() + every;
            }
        }
        if !text.is_empty() {
            out.write_all(text.as_bytes())?;
            out.flush()?;
            due = Instant::now() + every;
        }
    }
}
