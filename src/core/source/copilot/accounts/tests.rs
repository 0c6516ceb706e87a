//! One session's calls in every possible order of arrival.

use super::*;
use crate::fingerprint;

/// One arrival, at a second.
#[derive(Clone, Copy)]
enum Heard {
    Run,
    Turn,
    /// A line of a call: its input and output.
    Line(u64, u64),
    /// A row of a call, whose time is at most a few milliseconds off.
    Row(u64, u64),
    /// A row without figures.
    EmptyRow,
    /// A message with only its output.
    Message(u64),
    /// The sum of all ends by then.
    End(u64, u64),
}
use Heard::{EmptyRow, End, Line, Message as Says, Row, Run as Begins, Turn as Asks};

/// The triplet, blended, and the sum of the events' additions.
type Figures = (Option<u64>, Option<u64>, Option<u64>, u64);

fn accounts(heard: &[(i64, Heard)]) -> Accounts {
    let mut accounts = Accounts::default();
    for (place, (second, heard)) in heard.iter().enumerate() {
        let mut at = Timestamp::from_second(*second).unwrap();
        let message = |input: u64, output: u64, key: &str| {
            let tokens = Tokens { input, output, cached_input: 7, ..Tokens::ZERO };
            let key = format!("{key} {second} {input}");
            Box::new(Message::of(fingerprint::long(key.as_bytes()), tokens))
        };
        let mut fact = match *heard {
            Begins => Fact::Run,
            Asks => {
                let turn = Some(place.to_string());
                Fact::TurnStarted { turn, started_at: None, window: None }
            }
            Line(input, output) => Fact::Message(message(input, output, "line")),
            Row(input, output) => {
                at = Timestamp::from_millisecond(second * 1_000 + 3).unwrap();
                Fact::Stored(message(input, output, "row"))
            }
            EmptyRow => {
                let nothing = Tokens::ZERO;
                Fact::Stored(Box::new(Message::of(fingerprint::long(b"empty"), nothing)))
            }
            Says(output) => Fact::Untold(output),
            End(input, output) => Fact::Spent(Tokens { input, output, ..Tokens::ZERO }),
        };
        accounts.fact(at, None, &mut fact);
    }
    accounts
}

fn figures(heard: &[(i64, Heard)]) -> Figures {
    let mut accounts = accounts(heard);
    let usage = accounts.usage();
    let blended = |tokens: Option<Tokens>| tokens.map(|tokens| tokens.blended());
    let added = |change| match change {
        Change::Usage(event) => event.added.unwrap_or_default().blended(),
        _ => 0,
    };
    (
        blended(usage.session_delta_tokens),
        blended(usage.last_turn_tokens),
        blended(usage.session_total_tokens),
        accounts.take_changes().into_iter().map(added).sum(),
    )
}

const NOTHING: Figures = (None, None, None, 0);

#[test]
fn lines_without_ends_or_rows_count() {
    let heard = [(0, Begins), (1, Asks), (2, Line(100, 27)), (3, Line(102, 29)), (4, Line(103, 31))];
    assert_eq!(figures(&heard), (Some(134), Some(392), Some(392), 392));
}

#[test]
fn an_end_after_its_lines_adds_nothing() {
    let heard = [(0, Begins), (1, Asks), (2, Line(100, 27)), (3, End(100, 27))];
    assert_eq!(figures(&heard), (Some(127), Some(127), Some(127), 127));
    let without_a_compaction =
        [(0, Begins), (1, Asks), (2, Line(100, 27)), (3, Line(40, 9)), (4, End(100, 27))];
    assert_eq!(figures(&without_a_compaction).2, Some(176));
}

/// Two processes that had the session open: the end of the first does not include the other's calls.
#[test]
fn an_end_adds_nothing_if_lines_contain_every_call() {
    let heard = [
        (0, Begins),
        (1, Asks),
        (2, Begins),
        (3, Asks),
        (4, Line(100, 27)),
        (5, End(100, 27)),
        (6, End(400, 90)),
    ];
    assert_eq!(figures(&heard), (Some(127), Some(127), Some(127), 127));
}

#[test]
fn output_alone_gives_no_total() {
    let running = [(0, Begins), (1, Asks), (2, Says(20)), (3, Says(10))];
    assert_eq!(figures(&running), NOTHING);
    let ended = [&running[..], &[(4, End(300, 30))]].concat();
    assert_eq!(figures(&ended), (Some(330), Some(330), Some(330), 330));
    let resumed = [&ended[..], &[(5, Begins), (6, Asks)]].concat();
    assert_eq!(figures(&resumed), (Some(330), Some(0), Some(330), 330));
    let at_work = [&resumed[..], &[(7, Says(5))]].concat();
    assert_eq!(figures(&at_work), (None, None, None, 330), "what it used is not known yet");
    let again = [&at_work[..], &[(8, End(340, 35))]].concat();
    assert_eq!(figures(&again), (Some(45), Some(45), Some(375), 375));
}

#[test]
fn the_last_turn_is_unknown_if_an_end_covers_several() {
    let heard = [(0, Begins), (1, Asks), (2, Says(20)), (3, Asks), (4, Says(10)), (5, End(300, 30))];
    assert_eq!(figures(&heard), (Some(330), None, Some(330), 330));
}

#[test]
fn an_end_without_figures_is_ignored() {
    let heard = [(0, Begins), (1, Asks), (2, Says(20)), (3, End(0, 0))];
    assert_eq!(figures(&heard), NOTHING);
    let next = [&heard[..], &[(4, Begins), (5, Asks), (6, Says(10)), (7, End(300, 30))]].concat();
    assert_eq!(figures(&next), (Some(330), None, Some(330), 330));
    let without_calls = [(0, Begins), (1, End(0, 0)), (2, Begins), (3, Asks), (4, Line(1, 1))];
    assert_eq!(figures(&without_calls), (Some(2), Some(2), Some(2), 2));
}

#[test]
fn an_end_with_less_output_than_its_messages_is_a_lower_bound() {
    let crashed = [(0, Begins), (1, Asks), (2, Says(20)), (3, Begins), (4, Asks), (5, Says(10))];
    let lost = accounts(&[&crashed[..], &[(6, End(100, 10))]].concat());
    assert!(lost.is_lower_bound());
    let whole = accounts(&[&crashed[..], &[(6, End(300, 30))]].concat());
    assert!(!whole.is_lower_bound());
}

/// Rows and lines of the same calls, each at any time after the calls themselves.
#[test]
fn rows_and_lines_of_the_same_calls_count_once_in_any_order() {
    let lines = [
        (0, Begins),
        (1, Asks),
        (2, Line(100, 27)),
        (3, Line(100, 27)),
        (4, Asks),
        (5, Line(110, 40)),
        (6, End(310, 94)),
        (7, Begins),
        (8, Asks),
        (9, Line(9, 1)),
    ];
    let rows = [(2, Row(100, 27)), (3, Row(100, 27)), (5, Row(110, 40)), (9, Row(9, 1))];
    let expected = (Some(10), Some(10), Some(414), 414);
    let mut placed = [0_usize; 4];
    loop {
        let mut heard = lines.to_vec();
        let last_first = rows.iter().zip(placed).enumerate().rev();
        for (_, (row, place)) in last_first {
            // Rows come in their own order; the first line is always there first.
            heard.insert(1 + place, *row);
        }
        let found = figures(&heard);
        assert_eq!((found.1, found.2, found.3), (expected.1, expected.2, expected.3), "{placed:?}");
        let Some(digit) = (0..4).rev().find(|digit| placed[*digit] < lines.len() - 1) else { break };
        placed[digit] += 1;
        let low = placed[digit];
        placed[digit + 1..].fill(low);
    }
}

#[test]
fn rows_count_without_lines() {
    let heard = [
        (0, Begins),
        (1, Asks),
        (2, Says(0)),
        (2, Row(50, 20)),
        (3, Says(0)),
        (3, Row(50, 10)),
        (4, End(100, 30)),
    ];
    assert_eq!(figures(&heard), (Some(60), Some(130), Some(130), 130));
    // After all lines, as in a reading of the whole file.
    let late = [heard[0], heard[1], heard[2], heard[4], heard[6], heard[3], heard[5]];
    assert_eq!(figures(&late).2, Some(130));
    assert_eq!(figures(&late).1, Some(130));
    let none_yet = [heard[0], heard[1], heard[2]];
    assert_eq!(figures(&none_yet), NOTHING);
}

#[test]
fn a_row_before_its_prompt_counts_for_the_prompt_s_turn() {
    let heard = [(0, Begins), (1, Asks), (2, Row(50, 20)), (9, Row(1, 1)), (8, Asks)];
    assert_eq!(figures(&heard), (Some(2), Some(2), Some(72), 72));
}

#[test]
fn a_row_without_figures_adds_nothing() {
    let heard = [(0, Begins), (1, Asks), (2, Says(0)), (2, EmptyRow)];
    assert_eq!(figures(&heard), NOTHING);
    let more = [&heard[..], &[(3, Says(0)), (3, Row(5, 5))]].concat();
    assert_eq!(figures(&more), (Some(10), Some(10), Some(10), 10));
}

#[test]
fn several_versions_in_one_session_count_together() {
    let heard = [
        (0, Begins),
        (1, Asks),
        (2, Says(20)),
        (3, End(300, 30)),
        (4, Begins),
        (5, Asks),
        (6, Says(0)),
        (6, Row(50, 20)),
        (7, End(350, 50)),
        (8, Begins),
        (9, Asks),
        (10, Line(100, 27)),
        (10, Row(100, 27)),
        (11, End(450, 77)),
    ];
    assert_eq!(figures(&heard), (Some(127), Some(127), Some(330 + 70 + 127), 527));
    let without_rows: Vec<_> = heard.into_iter().filter(|(_, heard)| !matches!(heard, Row(..))).collect();
    assert_eq!(figures(&without_rows), (Some(127), Some(127), Some(527), 527));
    // The process in the middle was killed, so it has no end.
    let killed: Vec<_> = heard.into_iter().filter(|(second, _)| *second != 7).collect();
    assert_eq!(figures(&killed), (Some(127), Some(127), Some(527), 527));
}

#[test]
fn a_killed_process_without_figures_leaves_no_total() {
    let heard = [(0, Begins), (1, Asks), (2, Says(20)), (3, Begins), (4, Asks), (5, Line(100, 27))];
    assert_eq!(figures(&heard), NOTHING);
    let ended = [&heard[..], &[(6, End(300, 47))]].concat();
    assert_eq!(figures(&ended).2, Some(347));
}

#[test]
fn repeated_lines_and_rows_add_nothing() {
    let heard = [
        (0, Begins),
        (1, Asks),
        (2, Line(100, 27)),
        (2, Line(100, 27)),
        (2, Row(100, 27)),
        (2, Row(100, 27)),
    ];
    assert_eq!(figures(&heard), (Some(127), Some(127), Some(127), 127));
}

#[test]
fn usage_after_an_end_counts() {
    let heard = [(0, Begins), (1, Asks), (2, Says(20)), (3, End(300, 30)), (4, Asks), (5, Line(100, 27))];
    assert_eq!(figures(&heard), (Some(127), Some(127), Some(457), 457));
}

#[test]
fn rows_are_kept_while_the_session_is_followed() {
    assert!(accounts(&[(0, Begins), (1, Line(1, 1))]).decided().is_some());
    assert!(accounts(&[(0, Begins), (1, Row(1, 1))]).decided().is_none());
}

#[test]
fn bytes_that_were_left_out_hide_the_total() {
    let mut accounts = accounts(&[(0, Begins)]);
    accounts.jump();
    let at = Timestamp::from_second(5).unwrap();
    let tokens = Tokens { output: 5, ..Tokens::ZERO };
    accounts.fact(at, None, &mut Fact::Message(Box::new(Message::of(1, tokens))));
    let usage = accounts.usage();
    assert_eq!((usage.session_total_tokens, usage.last_turn_tokens), (None, None));
    assert_eq!(usage.session_delta_tokens, Some(tokens));
}
