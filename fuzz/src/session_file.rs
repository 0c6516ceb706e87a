//! Any bytes as a session file of an agent: no panic, and the same session, events and limits at any split.

use std::time::Duration;

use agent_presence::core::source::Agent;
use agent_presence::core::engine::{Engine, Input};
use agent_presence::core::file::{FileUpdate, RowReader, SessionFile};
use agent_presence::core::publish::Publisher;
use agent_presence::core::settings::Settings;
use agent_presence::core::source;
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::time::Now;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The first four bytes are the sizes of the pieces that the rest arrives in.
pub fn check(agent: Agent, data: &[u8]) {
    let Some((sizes, bytes)) = data.split_first_chunk::<4>() else { return };
    let whole = read(agent, [bytes].into_iter());
    let split = read(agent, pieces(bytes, sizes));
    assert_eq!(whole, split);
    source::recognise(bytes);
    source::first_time(agent, bytes);

    // Read from the middle on, as very large files are.
    let mut file = file(agent);
    let (before, after) = bytes.split_at(bytes.len() / 2);
    file.push(before);
    file.jump();
    file.push(after);
    file.tail_suffices();
    show(file.take_update());

    // A file that copied its history from one that looks just like it.
    let mut rows = RowReader::new(agent);
    pieces(bytes, sizes).for_each(|piece| rows.push(piece));
    let rows = rows.finish();
    let mut file = self::file(agent);
    for piece in pieces(bytes, sizes) {
        file.push(piece);
        if file.lineage_wanted().is_some() {
            file.set_lineage(std::slice::from_ref(&rows));
        }
    }
    show(file.take_update());

    // A session whose history no other file has.
    let mut file = self::file(agent);
    for piece in pieces(bytes, sizes) {
        file.push(piece);
        file.caught_up();
        if file.lineage_wanted().is_some() {
            file.set_lineage(&[]);
        }
        show(file.take_update());
    }
    show(whole);
}

fn file(agent: Agent) -> SessionFile {
    SessionFile::new(agent, "home".into(), Timestamp::UNIX_EPOCH)
}

fn read<'a>(agent: Agent, pieces: impl Iterator<Item = &'a [u8]>) -> Option<FileUpdate> {
    let mut file = file(agent);
    pieces.for_each(|piece| file.push(piece));
    file.take_update()
}

/// The bytes in pieces of these sizes, over and over.
pub fn pieces<'a>(mut bytes: &'a [u8], sizes: &'a [u8; 4]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = usize::from(*sizes.next()?) + 1;
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Everything that is made of a session: card, reports, events.
fn show(update: Option<FileUpdate>) {
    let Some(update) = update else { return };
    let wall = update.session.last_event_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let now = Now { mono: Duration::ZERO, wall };
    let settings = Settings::default();
    let publisher = Publisher::new(0, &settings).with_terminal(now);
    let mut engine = Engine::new(settings, TimeZone::UTC, publisher);
    let file = FileId::new(0);
    engine.handle(
        now,
        Input::Source(SourceEvent::Updated {
            file,
            update: Box::new(update),
            read: None,
        }),
    );
    while engine.poll_output(now).is_some() {}
    engine.sessions_report(now);
    engine.limits_report(now);
    engine.poll_deadline();
}
