//! The intake on real files.
//!
//! Longer than other files because every way in which a file can change is one short test here.

mod bench;
mod resume;

use std::fs;

use agent_presence::intake::{self, Ends, IntakeConfig, Sizes};

use bench::{Bench, Event, Lines, Running, append, id, name, often, set_modified, snapshot, updated, write};

/// The first line of a session.
fn meta(number: u32) -> String {
    format!("meta {}\n", id(number))
}

#[test]
fn the_freshest_session_comes_first_and_then_it_is_said_that_this_was_all() {
    let bench = Bench::new();
    for number in [1, 2, 3] {
        write(&bench.session(number), &meta(number));
        set_modified(&bench.session(number), bench.at(-60 * i64::from((number + 1) % 3)));
    }
    write(&bench.path("home/sessions/2026/11/20/notes.txt"), "meta x\n");
    write(&bench.path("home/sessions/2026/11/20/rollout-x.jsonl"), "meta x\n");
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
    for number in 0..50 {
        append(&path, "say ");
        append(&path, &format!("{number}\n"));
        let (_, text, restored) = running.until_line(&format!("say {number}"));
        assert_eq!(text.lines.len(), number + 2);
        assert!(!restored);
    }
    assert_eq!(bench.work().bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(bench.work().folds, 1);
    assert_eq!(running.stop(), []);
}

/// A writer may never come to write the end.
#[test]
fn a_last_line_that_is_whole_counts_when_the_file_rests() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &format!("{}say {{first}}", meta(1)));
    let running = bench.start();
    let there: Vec<usize> =
        running.until_caught_up().into_iter().map(|event| updated(event).1.lines.len()).collect();
    assert_eq!(there, [2]);
    append(&path, "\nsay {second}");
    append(&path, "\nsay {third}");
    let (_, text, _) = running.update(1);
    assert!(text.lines.len() < 4, "it may still go on: {text:?}");
    // Whether one event told of both is not the point.
    let told = |last: &str| running.until_line(last).1.lines;
    let before = if text.lines.len() < 3 { told("say {second}") } else { text.lines };
    assert_eq!(before.last().map(String::as_str), Some("say {second}"));
    bench.pass_seconds(3);
    running.handle.verify();
    assert_eq!(told("say {third}").len(), 4);
    append(&path, "\nsay fourth\n");
    assert_eq!(told("say fourth").len(), 5);
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
    write(&path, &format!("{}use {}\nsay old\n", meta(1), bench.at(1)));
    let running = bench.start();
    let (file, text, _) = updated(running.until_caught_up().remove(0));
    assert_eq!(text.usage, [bench.at(1)]);

    // Cut and rewritten longer than before, so that its length alone does not tell.
    fs::write(&path, format!("{}use {}\nuse {}\nsay new\n", meta(1), bench.at(1), bench.at(2))).unwrap();
    let (same, text, restored) = running.until_line("say new");
    assert_eq!((same, text.lines.len()), (file, 4));
    assert!(restored);
    assert_eq!(text.usage, [bench.at(2)], "what was announced is not announced again");
}

#[test]
fn a_file_replaced_in_place_with_the_same_time_starts_over() {
    let bench = Bench::new();
    let (path, staged) = (bench.session(1), bench.path("home/staged"));
    write(&path, &format!("{}use {}\n", meta(1), bench.at(1)));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;

    let before = fs::metadata(&path).unwrap();
    write(&staged, &format!("{}say migrated\nuse {}\n", meta(1), bench.at(1)));
    set_modified(&staged, before.modified().unwrap().try_into().unwrap());
    fs::rename(&staged, &path).unwrap();
    let (same, text, restored) = running.update(1);
    assert!(same == file && restored);
    assert_eq!(text.usage, []);
    append(&path, &format!("use {}\n", bench.at(2)));
    let (same, text, restored) = running.update(1);
    assert!(same == file && !restored);
    assert_eq!(text.usage, [bench.at(2)]);
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
    append(&archived, "say archived\n");
    assert_eq!(running.update(1).0, file);
    fs::rename(&archived, &path).unwrap();
    append(&path, "say back\n");
    let (same, text, restored) = running.update(1);
    assert_eq!((same, text.lines.len(), restored), (file, 3, false));
    assert_eq!(bench.work().bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(running.stop(), []);
}

#[test]
fn a_deleted_file_is_gone_and_nothing_is_announced_twice_when_it_comes_back() {
    let bench = Bench::new();
    let path = bench.session(1);
    let text = format!("{}use {}\n", meta(1), bench.at(1));
    write(&path, &text);
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    fs::remove_file(&path).unwrap();
    assert_eq!(running.next(), Event::Gone { file });
    write(&path, &format!("{text}use {}\n", bench.at(2)));
    let (other, text, _) = running.until_line(&format!("use {}", bench.at(2)));
    assert!(other != file);
    assert_eq!(text.usage, [bench.at(2)]);
}

#[test]
fn another_session_that_gets_a_deleted_files_number_is_another_session() {
    let bench = Bench::new();
    write(&bench.session(1), &format!("{}use {}\n", meta(1), bench.at(9)));
    let running = bench.start();
    let file = updated(running.until_caught_up().remove(0)).0;
    fs::remove_file(bench.session(1)).unwrap();
    write(&bench.session(2), &format!("{}use {}\n", meta(2), bench.at(5)));
    let events = running.until(|event| matches!(event, Event::Updated { .. }));
    let (other, text, _) = updated(events.last().unwrap().clone());
    assert!(other != file);
    assert_eq!((text.id, text.lines.len()), (id(2), 2));
}

#[test]
fn old_files_are_opened_for_limits_only_and_no_more_than_needed() {
    let bench = Bench::new();
    for number in 0..1000 {
        let limits = if number % 7 == 0 { format!("limits {number}\n") } else { String::new() };
        write(&bench.session(number), &format!("{}{limits}", meta(number)));
        set_modified(&bench.session(number), bench.at(-100_000 - i64::from(number % 10) * 1000 - 1));
    }
    set_modified(&bench.session(4), bench.at(-90_000));
    set_modified(&bench.session(5), bench.at(-91_000));
    set_modified(&bench.session(7), bench.at(-92_000));
    let running = bench.start();
    let limits = snapshot(&bench.home("home").label, "7");
    assert_eq!(running.until_caught_up(), [Event::limits(limits)]);
    assert_eq!(bench.work().folds, 3);

    // An old file that grows is live, and all it told before is not new.
    append(&bench.session(6), &format!("use {}\nuse {}\n", bench.at(-100_000), bench.at(1)));
    let (_, text, restored) = running.until_line(&format!("use {}", bench.at(1)));
    assert_eq!((text.usage, restored), (vec![bench.at(1)], true));
    assert_eq!(running.stop(), []);
}

#[test]
fn limits_of_a_live_file_spare_the_search() {
    let bench = Bench::new();
    write(&bench.session(1), &format!("{}limits 1\n", meta(1)));
    write(&bench.session(2), &format!("{}limits 2\n", meta(2)));
    set_modified(&bench.session(2), bench.at(-100_000));
    let running = bench.start();
    assert_eq!(running.until_caught_up().len(), 1);
    assert_eq!(bench.work().folds, 1);
}

#[test]
fn no_more_than_fifty_old_files_are_looked_at() {
    let bench = Bench::new();
    for number in 0..80 {
        write(&bench.session(number), &meta(number));
        set_modified(&bench.session(number), bench.at(-100_000 - i64::from(number)));
    }
    let running = bench.start();
    assert_eq!(running.until_caught_up(), []);
    assert_eq!(bench.work().folds, 50);
}

/// Everything small, so that small files are large ones.
fn small(config: IntakeConfig) -> IntakeConfig {
    let sizes = Sizes {
        whole: 2000,
        ends: Ends { head: 100, tail: 50, most: 1000 },
        slice: 64,
        chunk: 16,
        ..Sizes::default()
    };
    IntakeConfig { sizes, ..config }
}

fn large(bench: &Bench) -> String {
    let text: String = (0..1000).map(|number| format!("say {number}\n")).collect();
    format!("{}use {}\n{text}use {}\nsay the end of it, after a while\n", meta(1), bench.at(-5), bench.at(-4))
}

#[test]
fn a_large_file_is_announced_from_its_ends_and_then_exactly() {
    let bench = Bench::new();
    write(&bench.session(1), &large(&bench));
    let running = Running::new(small(bench.config()), 4);
    let (file, text, restored) = running.update(1);
    assert!(text.provisional && restored);
    assert!(text.lines.len() < 200 && text.lines.contains(&format!("use {}", bench.at(-4))));
    assert_eq!(running.next(), Event::CaughtUp);
    let (same, text, restored) = running.update(1);
    assert!(!text.provisional && restored);
    assert_eq!((same, text.lines.len()), (file, 1004));
    assert_eq!(running.stop(), []);
}

#[test]
fn a_large_file_that_grows_while_it_is_counted_loses_and_repeats_nothing() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &large(&bench));
    // The intake waits at each event until it is taken.
    let running = Running::new(small(bench.config()), 0);
    let (_, text, _) = running.update(1);
    let mut usage = text.usage;
    append(&path, &format!("use {}\n", bench.at(1)));
    let mut appended = 1;
    loop {
        match running.next() {
            Event::CaughtUp => {
                append(&path, &format!("use {}\n", bench.at(2)));
                appended += 1;
            }
            event => {
                let (_, text, _) = updated(event);
                usage.extend(text.usage);
                if !text.provisional && appended == 2 && text.lines.len() == 1006 {
                    break;
                }
            }
        }
    }
    assert_eq!(usage, [bench.at(1), bench.at(2)]);
    append(&path, "say more\n");
    assert_eq!(running.update(1).1.lines.len(), 1007);
    assert_eq!(running.stop(), []);
}

#[test]
fn a_large_file_replaced_while_it_is_counted_starts_over() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &large(&bench));
    let running = Running::new(small(bench.config()), 0);
    assert!(running.update(1).1.provisional);
    write(&bench.path("home/staged"), &format!("{}say short\n", meta(1)));
    fs::rename(bench.path("home/staged"), &path).unwrap();
    let (_, text, restored) = running.until_line("say short");
    assert!(restored && text.lines.len() == 2);
}

#[cfg(unix)]
#[test]
fn counting_a_huge_file_keeps_nobody_waiting() {
    let bench = Bench::new();
    let path = bench.session(1);
    write(&path, &meta(1));
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    std::io::Write::write_all(&mut file, format!("\nuse {}\n", bench.at(-4)).as_bytes()).unwrap();
    let running = Running::new(bench.config(), 0);
    assert!(running.update(1).1.provisional);
    assert_eq!(running.next(), Event::CaughtUp);
    write(&bench.session(2), &meta(2));
    running.update(2);
    append(&path, "say more\n");
    assert!(running.until_line("say more").1.provisional);
    assert_eq!(running.stop(), []);
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_told_of_once_and_read_when_it_can_be() {
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
fn a_pipe_with_a_sessions_name_stops_nobody() {
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
    append(&real.join(name(1)), "say more\n");
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
    append(&bench.session(1), "say more\n");
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
    write(&path, &format!("{}use {}\n", meta(1), bench.at(1)));
    let running = bench.start();
    let (file, text, _) = updated(running.until_caught_up().remove(0));
    assert_eq!(text.usage, [bench.at(1)]);
    bench.pass(25);
    running.handle.woke();
    assert_eq!(running.next(), Event::Gone { file });
    append(&path, &format!("use {}\n", bench.at(25 * 3600)));
    set_modified(&path, bench.at(25 * 3600));
    let (_, text, _) = running.until_line(&format!("use {}", bench.at(25 * 3600)));
    assert_eq!(text.usage, [bench.at(25 * 3600)]);
    assert_eq!(running.stop(), []);
}

#[test]
fn a_fork_is_given_its_parents_rows_else_its_siblings() {
    let bench = Bench::new();
    write(&bench.session(1), &meta(1));
    set_modified(&bench.session(1), bench.at(-100_000));
    let fork = |number: u32, parent: u32| format!("meta {} {}\n", id(number), id(parent));
    write(&bench.session(2), &fork(2, 1));
    let running = bench.start();
    let (_, text, _) = updated(running.until_caught_up().remove(0));
    assert_eq!(text.lineage, [1], "the parent's");

    write(&bench.session(3), &fork(3, 9));
    assert_eq!(running.update(3).1.lineage, [0], "nobody has that parent");
    write(&bench.session(4), &fork(4, 9));
    assert_eq!(running.update(4).1.lineage, [1], "its sibling's");
    append(&bench.session(3), "say more\n");
    assert_eq!(running.update(3).1.lineage, [0, 1], "asked again: a sibling has appeared");
    append(&bench.session(3), "say more\n");
    assert_eq!(running.update(3).1.lineage, [0, 1]);
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
    append(&bench.session(1), "say more\n");
    running.update(1);
    assert_eq!(running.stop(), []);
}

#[test]
fn reading_once_reads_everything_to_the_end() {
    let bench = Bench::new();
    write(&bench.session(1), &large(&bench));
    write(&bench.session(2), &format!("{}limits 5\n", meta(2)));
    set_modified(&bench.session(2), bench.at(-100_000));
    let mut events = Vec::new();
    intake::read_once::<Lines>(small(bench.config()), |event| {
        events.push(event);
        std::ops::ControlFlow::Continue(())
    });
    let [first, limits, Event::CaughtUp, exact] = events.as_slice() else { panic!("{events:?}") };
    assert!(updated(first.clone()).1.provisional);
    assert!(matches!(limits, Event::Limits(_)));
    assert_eq!(updated(exact.clone()).1.lines.len(), 1004);
}
