//! The intake on real files.
//!
//! Longer than other files because every way in which a file can change is one short test here.

mod bench;
mod resume;

use std::collections::BTreeMap;
use std::fs;

use agent_presence::io::intake::{self, Ends, IntakeConfig, Sizes};

use bench::{
    Bench, Event, Running, append, fork, id, limits, meta, name, often, percent, replace, say, set_modified,
    updated, used, write,
};

#[test]
fn the_freshest_session_comes_first_and_caught_up_last() {
    let bench = Bench::new();
    for number in [1, 2, 3] {
        write(&bench.session(number), &meta(number));
        set_modified(&bench.session(number), bench.at(-60 * i64::from((number + 1) % 3)));
    }
    write(&bench.path("home/sessions/2026/11/20/notes.txt"), "x\n");
    write(&bench.path("home/sessions/2026/11/20/rollout-x.jsonl"), "x\n");
    let running = bench.start();
    let order: Vec<_> = running.until_caught_up().into_iter().map(updated).collect();
    let ids: Vec<_> = order.iter().map(|(_, text, _)| text.id.clone()).collect();
    assert_eq!(ids, [id(2), id(3), id(1)]);
    assert!(order.iter().all(|(_, _, restored)| *restored));
    assert_eq!(running.stop(), []);
}

#[test]
fn sessions_are_found_on_every_level_and_in_the_archive() {
    let bench = Bench::new();
    write(&bench.path("home/sessions").join(name(1)), &meta(1));
    write(&bench.path("home/sessions/2025/01/02").join(name(2)), &meta(2));
    write(&bench.path("home/archived_sessions").join(name(3)), &meta(3));
    write(&bench.path("home/archived_sessions/2025").join(name(4)), &meta(4));
    write(&bench.path("home/sessions/old/01").join(name(5)), &meta(5));
    let running = bench.start();
    let mut ids: Vec<_> = running.until_caught_up().into_iter().map(|event| updated(event).1.id).collect();
    ids.sort();
    assert_eq!(ids, [id(1), id(2), id(3)]);
}

#[test]
fn appended_bytes_are_read_once_and_torn_lines_wait_for_their_end() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &meta(1));
    let running = bench.start();
    running.until_caught_up();
    for number in 1..=50 {
        let line = say(&number.to_string());
        let (begin, end) = line.split_at(line.len() - 10);
        append(&path, begin);
        append(&path, end);
        let (_, text, restored) = running.until_said(&number.to_string());
        assert_eq!(text.said, number, "each once");
        assert!(!restored);
    }
    assert_eq!(running.stop(), []);
}

/// A writer may never come to write the end.
#[test]
fn a_last_line_that_is_whole_counts_when_the_file_rests() {
    let bench = Bench::new();
    let path = bench.session(1);
    let open = |text: &str| say(text).trim_end().to_owned();
    write(&path, &format!("{}{}", meta(1), open("first")));
    let running = bench.start();
    let there: Vec<_> =
        running.until_caught_up().into_iter().map(|event| updated(event).1.last.unwrap()).collect();
    assert_eq!(there, ["first"]);
    append(&path, &format!("\n{}", open("second")));
    append(&path, &format!("\n{}", open("third")));
    // One event may stand for both lines; the last line may still go on.
    let text = running.until_text(|text| text.said >= 2).1;
    let text = if text.last.as_deref() == Some("first") { running.update(1).1 } else { text };
    assert_eq!(text.last.as_deref(), Some("second"));
    bench.pass_seconds(3);
    running.handle.verify();
    assert_eq!(running.until_said("third").1.said, 3);
    append(&path, &format!("\n{}", say("fourth")));
    assert_eq!(running.until_said("fourth").1.said, 4);
    assert_eq!(running.stop(), []);
}

#[test]
fn a_home_that_appears_later_is_found_and_no_file_in_a_new_folder_is_missed() {
    let bench = Bench::new();
    let running = bench.start();
    running.until_caught_up();
    for day in 1..=28 {
        for month in 1..=4 {
            let number = month * 100 + day;
            let folder = bench.path(&format!("home/sessions/2026/{month:02}/{day:02}"));
            write(&folder.join(name(number)), &meta(number));
        }
    }
    let mut ids: Vec<_> = (0..28 * 4).map(|_| updated(running.next()).1.id).collect();
    ids.sort();
    let mut expected: Vec<_> =
        (1..=4).flat_map(|month| (1..=28).map(move |day| id(month * 100 + day))).collect();
    expected.sort();
    assert_eq!(ids, expected);
    assert_eq!(running.stop(), []);
}

/// Not on Windows: a watched folder is really gone there only when its watch has ended.
#[cfg(not(windows))]
#[test]
fn a_home_that_vanishes_is_waited_for_again() {
    let bench = Bench::new();
    write(&bench.session(1), &meta(1));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    for number in 2..6 {
        fs::remove_dir_all(bench.path("home")).unwrap();
        assert!(matches!(running.next(), Event::Gone { .. }));
        write(&bench.session(number), &meta(number));
        assert_ne!(running.update(number).0, file);
    }
}

#[test]
fn a_truncated_file_starts_over() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &[meta(1), used(bench.at(1), 10), say("old")].concat());
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    assert_eq!(running.heard(), [10]);

    // Cut and rewritten longer than before, so that its length alone does not tell.
    let text = [meta(1), used(bench.at(1), 10), used(bench.at(2), 20), say("new")].concat();
    fs::write(&path, text).unwrap();
    let (same, text, restored) = running.until_said("new");
    assert_eq!((same, text.said, text.total), (file, 1, Some(20)));
    assert!(restored);
    assert_eq!(running.heard(), [20], "what was told is not told again");
}

#[test]
fn a_file_replaced_in_place_with_the_same_time_starts_over() {
    let bench = Bench::new();
    let (path, staged) = (bench.session(1), bench.path("home/staged"));
    write(&path, &format!("{}{}", meta(1), used(bench.at(1), 10)));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;

    let before = fs::metadata(&path).unwrap();
    write(&staged, &[meta(1), say("migrated"), used(bench.at(1), 10)].concat());
    set_modified(&staged, before.modified().unwrap().try_into().unwrap());
    replace(&staged, &path);
    let (same, _, restored) = running.update(1);
    assert!(same == file && restored);
    assert_eq!(running.heard(), [10], "once");
    append(&path, &used(bench.at(2), 20));
    let (same, _, restored) = running.update(1);
    assert!(same == file && !restored);
    assert_eq!(running.heard(), [20]);
}

#[test]
fn a_file_moved_to_the_archive_and_back_is_the_same_file() {
    let bench = Bench::new();
    let (path, archive) = (bench.session(1), bench.path("home/archived_sessions"));
    write(&path, &meta(1));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;

    fs::create_dir(&archive).unwrap();
    let archived = archive.join(name(1));
    fs::rename(&path, &archived).unwrap();
    append(&archived, &say("archived"));
    assert_eq!(running.update(1).0, file);
    fs::rename(&archived, &path).unwrap();
    append(&path, &say("back"));
    let (same, text, restored) = running.update(1);
    assert_eq!((same, text.said, restored), (file, 2, false), "nothing is read again");
    assert_eq!(running.stop(), []);
}

#[test]
fn a_file_that_is_moved_over_another_one_takes_its_place() {
    for to_archive in [true, false] {
        let bench = Bench::new();
        let (path, archived) = (bench.session(1), bench.path("home/archived_sessions").join(name(1)));
        let (from, to) = if to_archive { (path, archived) } else { (archived, path) };
        write(&from, &meta(1));
        write(&to, &meta(2));
        let running = bench.start();
        let there = running.until_caught_up().into_iter().map(updated);
        let there = there.map(|(file, text, _)| (text.id, file)).collect::<BTreeMap<_, _>>();
        replace(&from, &to);
        assert_eq!(running.next(), Event::Gone { file: there[&id(2)] });
        append(&to, &say("moved"));
        assert_eq!(running.update(1).0, there[&id(1)]);
        assert_eq!(running.stop(), []);
    }
}

#[test]
fn a_deleted_file_is_gone_and_nothing_is_announced_twice_when_it_comes_back() {
    let bench = Bench::new();
    let path = bench.session(1);
    let text = format!("{}{}", meta(1), used(bench.at(1), 10));
    write(&path, &text);
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    fs::remove_file(&path).unwrap();
    assert_eq!(running.next(), Event::Gone { file });
    write(&path, &format!("{text}{}", used(bench.at(2), 20)));
    let (other, ..) = running.until_used(bench.at(2));
    assert!(other != file);
    assert_eq!(running.heard(), [10, 20]);
}

#[test]
fn another_session_that_gets_a_deleted_files_number_is_another_session() {
    let bench = Bench::new();
    write(&bench.session(1), &format!("{}{}", meta(1), used(bench.at(9), 10)));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    fs::remove_file(bench.session(1)).unwrap();
    write(&bench.session(2), &format!("{}{}", meta(2), used(bench.at(5), 10)));
    let events = running.until(|event| matches!(event, Event::Updated { .. }));
    let (other, text, _) = updated(events.last().unwrap().clone());
    assert!(other != file);
    assert_eq!((text.id, text.total), (id(2), Some(10)));
    assert_eq!(running.heard(), [10, 10]);
}

#[test]
fn old_files_are_opened_for_limits_only_and_no_more_than_needed() {
    let bench = Bench::new();
    for number in 0..1000 {
        let limits = if number % 7 == 0 { limits(number % 100) } else { String::new() };
        write(&bench.session(number), &format!("{}{limits}", meta(number)));
        set_modified(&bench.session(number), bench.at(-100_000 - i64::from(number % 10) * 1000 - 1));
    }
    set_modified(&bench.session(4), bench.at(-90_000));
    set_modified(&bench.session(5), bench.at(-91_000));
    set_modified(&bench.session(7), bench.at(-92_000));
    let running = bench.start();
    let told = running.until_caught_up();
    assert_eq!(told.iter().map(percent).collect::<Vec<_>>(), [Some(7.0)], "the newest, and none behind it");

    // An old file that grows is live, and all it told before is not new.
    append(&bench.session(6), &(used(bench.at(-100_000), 10) + &used(bench.at(1), 20)));
    let (_, _, restored) = running.until_used(bench.at(1));
    assert_eq!((running.heard(), restored), (vec![20], true));
    assert_eq!(running.stop(), []);
}

#[test]
fn limits_of_a_live_file_spare_the_search() {
    let bench = Bench::new();
    write(&bench.session(1), &format!("{}{}", meta(1), limits(1)));
    write(&bench.session(2), &format!("{}{}", meta(2), limits(2)));
    set_modified(&bench.session(2), bench.at(-100_000));
    let running = bench.start();
    assert_eq!(running.until_caught_up().len(), 1);
}

#[test]
fn no_more_than_fifty_old_files_are_looked_at() {
    let bench = Bench::new();
    for number in 0..80 {
        let limits = if number < 50 { String::new() } else { limits(number) };
        write(&bench.session(number), &format!("{}{limits}", meta(number)));
        set_modified(&bench.session(number), bench.at(-100_000 - i64::from(number)));
    }
    let running = bench.start();
    assert_eq!(running.until_caught_up(), []);
    assert_eq!(running.stop(), []);
    write(&bench.session(49), &format!("{}{}", meta(49), limits(49)));
    set_modified(&bench.session(49), bench.at(-100_049));
    let told = bench.start().until_caught_up();
    assert_eq!(told.iter().map(percent).collect::<Vec<_>>(), [Some(49.0)]);
}

/// Everything small, so that small files are large ones.
fn small(config: IntakeConfig) -> IntakeConfig {
    let sizes = Sizes {
        whole: 20_000,
        ends: Ends { head: 1000, tail: 500, most: 10_000 },
        slice: 640,
        chunk: 160,
        ..Sizes::default()
    };
    IntakeConfig { sizes, ..config }
}

fn large(bench: &Bench) -> String {
    let text: String = (0..1000).map(|number| say(&number.to_string())).collect();
    [meta(1), used(bench.at(-5), 10), text, used(bench.at(-4), 20), say("the end")].concat()
}

#[test]
fn a_large_file_is_announced_from_its_ends_and_then_exactly() {
    let bench = Bench::new();
    write(&bench.session(1), &large(&bench));
    let running = Running::new(small(bench.config()), 4);
    let (file, text, restored) = running.update(1);
    assert!(text.provisional && restored);
    assert!(text.said < 200 && text.used_at == Some(bench.at(-4)), "{text:?}");
    assert_eq!(running.next(), Event::CaughtUp);
    let (same, text, restored) = running.update(1);
    assert!(!text.provisional && restored);
    assert_eq!((same, text.said), (file, 1001));
    assert_eq!(running.stop(), []);
}

#[test]
fn a_large_file_that_grows_while_it_is_counted_loses_and_repeats_nothing() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &large(&bench));
    // The intake waits at each event until it is taken.
    let running = Running::new(small(bench.config()), 0);
    running.update(1);
    append(&path, &used(bench.at(1), 30));
    let mut appended = 1;
    loop {
        match running.next() {
            Event::CaughtUp => {
                append(&path, &used(bench.at(2), 40));
                appended += 1;
            }
            event => {
                let (_, text, _) = updated(event);
                if !text.provisional && appended == 2 && text.total == Some(40) {
                    break;
                }
            }
        }
    }
    assert_eq!(running.heard(), [30, 40]);
    append(&path, &say("more"));
    assert_eq!(running.update(1).1.said, 1002);
    assert_eq!(running.stop(), []);
}

#[test]
fn a_large_file_replaced_while_it_is_counted_starts_over() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &large(&bench));
    let running = Running::new(small(bench.config()), 0);
    assert!(running.update(1).1.provisional);
    write(&bench.path("home/staged"), &format!("{}{}", meta(1), say("short")));
    replace(&bench.path("home/staged"), &path);
    let (_, text, restored) = running.until_said("short");
    assert!(restored && text.said == 1 && !text.provisional);
}

#[cfg(unix)]
#[test]
fn counting_a_huge_file_delays_no_other_session() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &meta(1));
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    std::io::Write::write_all(&mut file, format!("\n{}", used(bench.at(-4), 10)).as_bytes()).unwrap();
    let running = Running::new(bench.config(), 0);
    assert!(running.update(1).1.provisional);
    assert_eq!(running.next(), Event::CaughtUp);
    write(&bench.session(2), &meta(2));
    running.update(2);
    append(&path, &say("more"));
    assert!(running.until_said("more").1.provisional);
    assert_eq!(running.stop(), []);
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_reported_once_and_read_when_it_can_be() {
    let bench = Bench::new();
    let path = bench.session(1);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let running = bench.start();
    let events = running.until_caught_up();
    let [Event::Problem { key: "unreadable-session", message: Some(message), .. }] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert!(!message.contains("rollout"), "{message}");
    running.handle.woke();
    fs::remove_file(&path).unwrap();
    assert!(matches!(running.next(), Event::Problem { key: "unreadable-session", message: None, .. }));
    write(&path, &meta(1));
    running.update(1);
    assert_eq!(running.stop(), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_with_a_sessions_name_stops_no_reading() {
    let bench = Bench::new();
    write(&bench.session(2), &meta(2));
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.session(1), rustix::fs::Mode::RWXU).unwrap();
    let running = bench.start();
    let events = running.until_caught_up();
    assert!(events.iter().any(|event| matches!(event, Event::Updated { .. })), "{events:?}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    let bench = Bench::new();
    let real = bench.path("elsewhere/2026/11/20");
    write(&real.join(name(1)), &meta(1));
    fs::create_dir(bench.path("home")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere"), bench.path("home/sessions")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere"), bench.path("elsewhere/2025")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere/2026"), bench.path("elsewhere/2026/12")).unwrap();
    let running = bench.start();
    assert_eq!(running.until_caught_up().len(), 1);
    append(&real.join(name(1)), &say("more"));
    running.update(1);
    assert_eq!(running.stop(), []);
}

#[test]
fn without_watches_the_newest_folders_and_the_files_in_use_are_polled() {
    let bench = Bench::new();
    write(&bench.session(1), &meta(1));
    let config = IntakeConfig { pace: often(), most_watches: 0, ..bench.config() };
    let running = Running::new(config, 4);
    assert!(matches!(running.next(), Event::Problem { key: "watch-limit", message: Some(_), .. }));
    running.update(1);
    assert_eq!(running.next(), Event::CaughtUp);
    append(&bench.session(1), &say("more"));
    running.update(1);
    write(&bench.path("home/sessions/2026/11/21").join(name(2)), &meta(2));
    running.update(2);
    fs::remove_file(bench.session(1)).unwrap();
    assert!(matches!(running.next(), Event::Gone { .. }));
}

#[test]
fn a_file_silent_for_a_day_is_dropped_and_live_again_when_it_grows() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &format!("{}{}", meta(1), used(bench.at(1), 10)));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    bench.pass(25);
    running.handle.woke();
    assert_eq!(running.next(), Event::Gone { file });
    append(&path, &used(bench.at(25 * 3600), 20));
    set_modified(&path, bench.at(25 * 3600));
    running.until_used(bench.at(25 * 3600));
    assert_eq!(running.heard(), [10, 20]);
    assert_eq!(running.stop(), []);
}

#[test]
fn a_fork_is_given_its_parents_rows_else_its_siblings() {
    let bench = Bench::new();
    let copied = |parent: u32| [meta(parent), used(bench.at(-9), 10), used(bench.at(-8), 20)].concat();
    write(&bench.session(1), &copied(1));
    set_modified(&bench.session(1), bench.at(-100_000));
    let forked = |number: u32, parent: u32, total: u64| {
        [fork(number, parent, bench.at(-10)), copied(parent), used(bench.at(-1), total)].concat()
    };
    write(&bench.session(2), &forked(2, 1, 30));
    let running = bench.start();
    let (_, text, _) = updated(running.until_caught_up().remove(0));
    assert_eq!(text.total, Some(10), "without the parent's");

    write(&bench.session(3), &forked(3, 9, 30));
    assert_eq!(running.update(3).1.total, Some(30), "no other session has the copied part");
    write(&bench.session(4), &forked(4, 9, 31));
    assert_eq!(running.update(4).1.total, Some(10), "without its sibling's");
}

#[test]
fn homes_can_change() {
    let bench = Bench::new();
    write(&bench.session(1), &meta(1));
    write(&bench.path("other/sessions").join(name(2)), &meta(2));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    running.handle.set_homes(vec![bench.home("other")]);
    assert_eq!(running.next(), Event::Gone { file });
    running.update(2);
    assert_eq!(running.next(), Event::CaughtUp);
    running.handle.set_homes(vec![bench.home("other"), bench.home("home")]);
    assert_ne!(running.update(1).0, file);
    assert_eq!(running.next(), Event::CaughtUp);
    append(&bench.session(1), &say("more"));
    running.update(1);
    assert_eq!(running.stop(), []);
}

#[test]
fn reading_once_reads_everything_to_the_end() {
    let bench = Bench::new();
    write(&bench.session(1), &large(&bench));
    write(&bench.session(2), &format!("{}{}", meta(2), limits(5)));
    set_modified(&bench.session(2), bench.at(-100_000));
    let mut events = Vec::new();
    intake::read_once(small(bench.config()), |event| {
        events.push(event);
        std::ops::ControlFlow::Continue(())
    });
    let [first, limits, Event::CaughtUp, exact] = events.as_slice() else { panic!("{events:?}") };
    assert!(updated(first.clone()).1.provisional);
    assert!(matches!(limits, Event::Limits(_)));
    assert_eq!(updated(exact.clone()).1.said, 1001);
}
