//! `replay`: recorded session files through the same engine, in the files' own time.
//!
//! No daemon, no Discord, no state folder: only the files given are read, and those that they name as their parents.
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

/// Signs of life reach the engine at least this often, so that silence is told from work.
const LIFE_SIGN: Duration = Duration::from_secs(60);

/// Replays the files and folders given; what could not be read goes to `err`, and the exit code tells of it.
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

/// Replays files and folders; calls `out` for every event in order, and returns what could not be read.
pub fn replay(
    paths: &[PathBuf],
    settings: Settings,
    zone: TimeZone,
    out: &mut dyn FnMut(Event),
) -> Vec<Problem> {
    replay_of(&Agent::ALL, paths, settings, zone, out)
}

/// The same of these agents.
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
    let mut told: Vec<Timestamp> = vec![Timestamp::MIN; recorded.len()];
    while let Some(Reverse((at, number))) = queue.pop() {
        let (Some(file), Some(slot), Some(told)) =
            (recorded.get(number), feeds.get_mut(number), told.get_mut(number))
        else {
            continue;
        };
        let next = step(file, slot, &mut lineage).unwrap_or_else(|error| {
            problems.push(Problem::new(&file.path, &error));
            None
        });
        let Some(feed) = slot else { continue };
        if feed.file.has_news() || elapsed(*told, at) >= LIFE_SIGN || next.is_none() {
            *told = at;
            if let Some(update) = feed.file.take_update() {
                stage.advance(at, out);
                let file = FileId::new(number as u64);
                let event = SourceEvent::Updated { file, update: Box::new(update), read: None };
                stage.input(Input::Source(event), out);
            }
        }
        match next {
            Some(next) => queue.push(Reverse((next, number))),
            // Thousands of files that follow each other need few handles.
            None => *slot = None,
        }
    }
    stage.finish(out);
    problems
}

/// Feeds one line; returns the time of the one after it. The file is opened for its first line.
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
        // What a database has of other sessions, its rows tell themselves.
        let rows = if file.listed.is_some() { Vec::new() } else { lineage.answer(file, &wanted) };
        feed.file.set_lineage(&rows);
    }
    if feed.file.helpers_wanted(!more) {
        feed.file.set_helpers(&lineage::helpers(file), !more);
    }
    Ok(more.then_some(feed.at))
}
