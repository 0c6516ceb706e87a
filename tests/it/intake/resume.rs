//! Going on where an earlier reading left off.

use agent_presence::core::source_event::{FileIdentity, ReadTo, Standing};
use agent_presence::intake::IntakeConfig;

use super::bench::{Bench, Event, Running, append, id, meta, say, updated, used, write};

/// What was said last, and what it is.
fn seen(events: &[Event]) -> Vec<(Standing, Option<String>)> {
    let seen = |event: &Event| match event {
        Event::Updated { standing, .. } => Some((*standing, updated(event.clone()).1.last)),
        _ => None,
    };
    events.iter().filter_map(seen).collect()
}

fn said(standing: Standing, text: &str) -> (Standing, Option<String>) {
    (standing, Some(text.to_owned()))
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
fn what_was_told_is_resumed_and_the_rest_is_news() {
    let bench = Bench::new();
    let line = say("whole");
    let (half, rest) = line.split_at(line.len() - 10);
    write(&bench.session(1), &[&meta(1), &say("first"), &used(bench.at(1), 10), half].concat());
    let first = bench.start();
    let read = read_to(&first.until_caught_up());
    assert_eq!(first.stop(), []);
    assert_eq!(read.len(), 1);

    assert_eq!(seen(&resumed(&bench, &read)), [said(Standing::Resumed, "first")], "nothing is new");
    append(&bench.session(1), &format!("{rest}{}", used(bench.at(2), 20)));
    write(&bench.session(2), &(meta(2) + &say("other")));
    let events = resumed(&bench, &read);
    let mut seen = seen(&events);
    // Which file comes first is not the point.
    seen.sort_by_key(|(standing, _)| *standing == Standing::Restored);
    let expected = [(Standing::Resumed, "first"), (Standing::News, "whole"), (Standing::Restored, "other")];
    assert_eq!(seen, expected.map(|(standing, text)| said(standing, text)));
    let is_news = |event: &&Event| matches!(event, Event::Updated { standing: Standing::News, .. });
    let (_, news, _) = updated(events.iter().find(is_news).unwrap().clone());
    assert_eq!((news.id, news.usage, news.said), (id(1), vec![bench.at(2)], 2));
}

#[test]
fn a_file_that_is_not_what_was_read_is_restored() {
    let bench = Bench::new();
    write(&bench.session(1), &[meta(1), say("short"), say("more")].concat());
    let first = bench.start();
    let read = read_to(&first.until_caught_up());
    assert_eq!(first.stop(), []);

    write(&bench.session(1), &(meta(1) + &say("short")));
    assert_eq!(seen(&resumed(&bench, &read)), [said(Standing::Restored, "short")], "it is shorter");
    let other = [ReadTo { file: FileIdentity(0, 0), ..read[0] }];
    assert_eq!(seen(&resumed(&bench, &other)), [said(Standing::Restored, "short")], "it is another one");
}

#[test]
fn a_last_line_without_its_end_is_told_once_also_by_the_next_one() {
    let bench = Bench::new();
    let open = |second: u32| used(bench.at(second.into()), u64::from(second) * 10).trim_end().to_owned();
    let totals = |events: &[Event]| {
        let seen = events.iter().filter_map(|event| match event {
            Event::Updated { standing, .. } => Some((*standing, updated(event.clone()).1.total)),
            _ => None,
        });
        seen.collect::<Vec<_>>()
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
    assert_eq!(totals(&events), [(Standing::Resumed, Some(20))]);
    append(&bench.session(1), "\n");
    let events = resumed(&bench, &read);
    assert_eq!(totals(&events), [(Standing::Resumed, Some(20)), (Standing::News, Some(30))]);
}
