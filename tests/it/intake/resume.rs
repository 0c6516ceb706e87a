//! Going on where an earlier reading left off.

use agent_presence::core::source_event::{FileIdentity, ReadTo, Standing};
use agent_presence::intake::IntakeConfig;

use super::bench::{Bench, Event, Running, append, id, write};
use super::meta;

/// What was read, of whom, and what it is.
fn seen(events: &[Event]) -> Vec<(Standing, usize)> {
    let seen = |event: &Event| match event {
        Event::Updated { update, standing, .. } => Some((*standing, update.lines.len())),
        _ => None,
    };
    events.iter().filter_map(seen).collect()
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
    write(&bench.session(1), &format!("{}use {}\nsay half", meta(1), bench.at(1)));
    let first = bench.start();
    let read = read_to(&first.until_caught_up());
    assert_eq!(first.stop(), []);
    assert_eq!(read.len(), 1);

    assert_eq!(seen(&resumed(&bench, &read)), [(Standing::Resumed, 2)], "nothing is new");
    append(&bench.session(1), &format!(" a line\nuse {}\n", bench.at(2)));
    write(&bench.session(2), &meta(2));
    let events = resumed(&bench, &read);
    let mut seen = seen(&events);
    // Which file comes first is not the point.
    seen.sort_by_key(|(standing, lines)| (*standing == Standing::Restored, *lines));
    assert_eq!(seen, [(Standing::Resumed, 2), (Standing::News, 4), (Standing::Restored, 1)]);
    let news = events.iter().find_map(|event| match event {
        Event::Updated { update, standing: Standing::News, .. } => Some(update),
        _ => None,
    });
    let news = news.unwrap();
    assert_eq!((&news.id, &news.usage), (&id(1), &vec![bench.at(2)]));
    assert!(news.lines.contains(&"say half a line".to_owned()), "{news:?}");
}

#[test]
fn a_file_that_is_not_what_was_read_is_restored() {
    let bench = Bench::new();
    write(&bench.session(1), &format!("{}say more\n", meta(1)));
    let first = bench.start();
    let read = read_to(&first.until_caught_up());
    assert_eq!(first.stop(), []);

    write(&bench.session(1), &meta(1));
    assert_eq!(seen(&resumed(&bench, &read)), [(Standing::Restored, 1)], "it is shorter");
    let other = [ReadTo { file: FileIdentity(0, 0), ..read[0] }];
    assert_eq!(seen(&resumed(&bench, &other)), [(Standing::Restored, 1)], "it is another one");
}

#[test]
fn a_last_line_without_its_end_is_told_once_also_by_the_next_one() {
    let bench = Bench::new();
    write(&bench.session(1), &format!("{}use {} {{}}", meta(1), bench.at(1)));
    let first = bench.start();
    let mut read = read_to(&first.until_caught_up());
    append(&bench.session(1), &format!("\nuse {} {{}}", bench.at(2)));
    append(&bench.session(1), &format!("\nuse {} {{}}", bench.at(3)));
    let last = format!("use {} {{}}", bench.at(2));
    read.extend(read_to(&first.until(
        |event| matches!(event, Event::Updated { update, .. } if update.lines.last() == Some(&last)),
    )));
    assert_eq!(first.stop(), []);
    let read = [*read.last().unwrap()];

    // The line that had not rested is news, and the one that had is not.
    let events = resumed(&bench, &read);
    assert_eq!(seen(&events), [(Standing::Resumed, 3)]);
    append(&bench.session(1), "\n");
    let events = resumed(&bench, &read);
    assert_eq!(seen(&events), [(Standing::Resumed, 3), (Standing::News, 4)]);
}
