//! `replay`: feeds recorded session files through the same engine, in the files' own time.
//!
//! Needs no daemon, no Discord and no state folder. Only the given files are read, and those that they name as their
//! parents.
//! Read next: [`stage`], the engine in a time of its own.

mod feed;
mod files;
mod lineage;
pub mod stage;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cmd::cli::Replay;
use crate::cmd::show;
use crate::core::engine::Input;
use crate::core::report::Event;
use crate::core::settings::Settings;
use crate::core::source::Agent;
use crate::core::source_event::{FileId, SourceEvent};
use crate::core::time::elapsed;
use crate::error::{Exit, Failure};
use feed::Feed;
use files::Recorded;
use lineage::Lineage;
use stage::Stage;

pub use files::Problem;

/// A file's lines reach the engine at least this often, so that silence is distinguished from work.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Replays files and folders. Prints to `err` what could not be read, and then returns [`Exit::Failed`].
///
/// # Errors
/// The output could not be written.
pub fn run(
    command: &Replay,
    settings: Settings,
    zone: &TimeZone,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut written = Ok(());
    let problems = replay(&command.paths, settings, zone.clone(), &mut |event| {
        if written.is_ok() {
            written = print(&event, command.json, zone, out);
        }
    });
    for problem in &problems {
        let mut failure =
            Failure::new(format!("could not replay {}: {}", problem.path.display(), problem.reason));
        failure.hints.extend(problem.hint.clone());
        super::note(err, format_args!("{failure}\n"));
    }
    super::written(written.and_then(|()| out.flush()))?;
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn print(event: &Event, json: bool, zone: &TimeZone, out: &mut dyn Write) -> std::io::Result<()> {
    if json && !event.is_printed() {
        return Ok(());
    }
    if json {
        serde_json::to_writer(&mut *out, event)?;
        return out.write_all(b"\n");
    }
    show::event(event, zone).map_or(Ok(()), |text| out.write_all(text.as_bytes()))
}

/// Replays files and folders; calls `out` for every event in order, and returns the paths that could not be read.
pub fn replay(
    paths: &[PathBuf],
    settings: Settings,
    zone: TimeZone,
    out: &mut dyn FnMut(Event),
) -> Vec<Problem> {
    replay_of(&Agent::ALL, paths, settings, zone, out)
}

/// [`replay`] of these agents alone.
pub fn replay_of(
    agents: &[Agent],
    paths: &[PathBuf],
    settings: Settings,
    zone: TimeZone,
    out: &mut dyn FnMut(Event),
) -> Vec<Problem> {
    let (recorded, mut problems) = files::find(agents, paths);
    let mut queue: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    for (number, file) in recorded.iter().enumerate() {
        queue.push(Reverse((file.first_at, number)));
    }
    let Some(Reverse((from, _))) = queue.peek().copied() else { return problems };
    let mut stage = Stage::new(settings, zone, from);
    let mut feeds: Vec<Option<Feed>> = recorded.iter().map(|_| None).collect();
    let mut lineage = Lineage::new(&recorded);
    let mut last_update: Vec<Timestamp> = vec![Timestamp::MIN; recorded.len()];
    while let Some(Reverse((at, number))) = queue.pop() {
        let (Some(file), Some(slot), Some(last_update)) =
            (recorded.get(number), feeds.get_mut(number), last_update.get_mut(number))
        else {
            continue;
        };
        let next = step(file, slot, &mut lineage).unwrap_or_else(|error| {
            problems.push(Problem::new(&file.path, &error));
            None
        });
        let Some(feed) = slot else { continue };
        if feed.file.has_news() || elapsed(*last_update, at) >= LONGEST_SILENCE || next.is_none() {
            *last_update = at;
            if let Some(update) = feed.file.take_update() {
                stage.advance(at, out);
                let file = FileId::new(number as u64);
                let event = SourceEvent::Updated { file, update: Box::new(update), read: None };
                stage.input(Input::Source(event), out);
            }
        }
        match next {
            Some(next) => queue.push(Reverse((next, number))),
            // Thousands of files in sequence then need few handles.
            None => *slot = None,
        }
    }
    stage.finish(out);
    problems
}

/// Feeds one line; returns the time of the next one, `None` at the end. The file is opened for its first line.
fn step(
    file: &Recorded,
    slot: &mut Option<Feed>,
    lineage: &mut Lineage<'_>,
) -> std::io::Result<Option<Timestamp>> {
    if slot.is_none() {
        *slot = Feed::open(file)?;
    }
    let Some(feed) = slot else { return Ok(None) };
    let more = feed.step()?;
    if !more {
        feed.file.rest();
    }
    if let Some(wanted) = feed.file.lineage_wanted() {
        // A database's rows have the data of other sessions themselves.
        let rows = if file.listed.is_some() { Vec::new() } else { lineage.answer(file, &wanted) };
        feed.file.set_lineage(&rows);
    }
    if feed.file.helpers_wanted(!more) {
        feed.file.set_helpers(&lineage::helpers(file), !more);
    }
    Ok(more.then_some(feed.at))
}
