//! Going on where an earlier reading left off.

use agent_presence::core::source_event::{FileIdentity, ReadTo};
use agent_presence::io::intake::IntakeConfig;

use super::bench::{Bench, Event, Running, append, id, meta, say, updated, used, write};

/// What was said last, and whether the file was read from its start for it.
fn seen(events: &[Event]) -> Vec<(bool, String)> {
    let updates = events.iter().filter(|event| matches!(event, Event::Updated { .. }));
    updates.map(|event| updated(event.clone())).map(|(_, text, first)| (first, text.last.unwrap())).collect()
}

fn said(first: bool, text: &str) -> (bool, String) {
    (first, text.to_owned())
}

fn read_to(events: &[Event]) -> Vec<ReadTo> {
    let read = |event: &Event| match event {
        Event::Updated { read, .. } => *read,
        _ => None,
    };
    events.iter().filter_map(read).collect()
}

/// Reads `bench` as one who was told how far `read` is.
fn resumed(bench: &Bench, read: &[ReadTo]) -> Vec<Event> {
    let resume = read.iter().map(|read| (read.file, read.offset)).collect();
    let running = Running::new(IntakeConfig { resume, ..bench.config() }, 100);
    let events = running.until_caught_up();
    assert_eq!(running.stop(), []);
    events
}

#[test]
fn known_bytes_are_resumed_and_the_rest_is_news() {
    let bench = Bench::new();
    let line = say("whole");
    let (half, rest) = line.split_at(line.len() - 10);
    write(&bench.session(1), &[&meta(1), &say("first"), &used(bench.at(1), 10), half].concat());
    let first = bench.start();
    let read = read_to(&first.until_caught_up());
    assert_eq!(first.stop(), []);
    assert_eq!(read.len(), 1);

    let again = resumed(&bench, &read);
    assert_eq!((seen(&again), read_to(&again)), (vec![said(true, "first")], read.clone()), "nothing is new");
    append(&bench.session(1), &format!("{rest}{}", used(bench.at(2), 20)));
    write(&bench.session(2), &(meta(2) + &say("other")));
    let events = resumed(&bench, &read);
    assert!(read_to(&events).contains(&read[0]), "what was told is told apart from the rest");
    let mut seen = seen(&events);
    // Which file comes first is not the point.
    seen.sort_by_key(|(_, text)| text == "other");
    assert_eq!(seen, [said(true, "first"), said(false, "whole"), said(true, "other")]);
    let is_news = |event: &&Event| matches!(event, Event::Updated { update, .. } if !update.first);
    let (_, news, _) = updated(events.iter().find(is_news).unwrap().clone());
    assert_eq!((news.id, news.usage, news.said), (id(1), vec![bench.at(2)], 2));
}

#[test]
fn a_file_that_changed_meanwhile_is_restored() {
    let bench = Bench::new();
    write(&bench.session(1), &[meta(1), say("short"), say("more")].concat());
    let first = bench.start();
    let read = read_to(&first.until_caught_up());
    assert_eq!(first.stop(), []);

    write(&bench.session(1), &(meta(1) + &say("short")));
    let again = resumed(&bench, &read);
    assert_eq!(seen(&again), [said(true, "short")]);
    assert_ne!(read_to(&again), read, "it is shorter");
    let other = [ReadTo { file: FileIdentity(0, 0), ..read[0] }];
    assert_eq!(seen(&resumed(&bench, &other)), [said(true, "short")], "it is another one");
}

#[test]
fn a_last_line_without_its_end_counts_once_over_a_takeover() {
    let bench = Bench::new();
    let open = |second: u32| used(bench.at(second.into()), u64::from(second) * 10).trim_end().to_owned();
    let totals = |events: &[Event]| {
        let updates = events.iter().filter(|event| matches!(event, Event::Updated { .. }));
        updates.map(|event| updated(event.clone()).1.total.unwrap()).collect::<Vec<_>>()
    };
    write(&bench.session(1), &format!("{}{}", meta(1), open(1)));
    let first = bench.start();
    let mut read = read_to(&first.until_caught_up());
    append(&bench.session(1), &format!("\n{}", open(2)));
    append(&bench.session(1), &format!("\n{}", open(3)));
    read.extend(read_to(&first.until(|event| {
        matches!(event, Event::Updated { .. }) && updated(event.clone()).1.used_at == Some(bench.at(2))
    })));
    assert_eq!(first.stop(), []);
    let read = [*read.last().unwrap()];

    // The line that had not rested is news, and the one that had is not.
    let events = resumed(&bench, &read);
    assert_eq!(totals(&events), [20]);
    append(&bench.session(1), "\n");
    let events = resumed(&bench, &read);
    assert_eq!(totals(&events), [20, 30]);
}
