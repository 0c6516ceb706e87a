//! Every way in which a message's line is written again.

use std::num::NonZeroU64;

use super::*;

fn message(id: u128, input: u64, output: u64) -> Message {
    let tokens = Tokens { input, output, ..Tokens::ZERO };
    Message::of(id, tokens)
}

fn ledger() -> Messages {
    let mut ledger = Messages::default();
    ledger.inherit(std::iter::empty());
    ledger
}

fn triplet(ledger: &Messages) -> [Option<u64>; 3] {
    let usage = ledger.usage();
    let parts = [usage.session_delta_tokens, usage.last_turn_tokens, usage.session_total_tokens];
    parts.map(|tokens| tokens.map(|tokens| tokens.blended()))
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

#[test]
fn the_line_with_the_greatest_output_counts_for_its_message() {
    let mut ledger = ledger();
    for output in [1, 1, 187, 187, 5] {
        ledger.message(NOW, &message(1, 3, output));
    }
    assert_eq!(triplet(&ledger), [Some(186), Some(190), Some(190)]);
    assert_eq!(ledger.take_changes().len(), 2);
}

#[test]
fn a_later_line_takes_the_whole_usage_of_an_earlier_one() {
    let mut ledger = ledger();
    ledger.message(NOW, &message(1, 100, 1));
    ledger.message(NOW, &message(1, 40, 10));
    assert_eq!(triplet(&ledger), [Some(9), Some(50), Some(50)]);
}

fn of(response: Response, output: u64) -> Message {
    Message { response, ..message(1, response.input, output) }
}

#[test]
fn responses_with_one_id_are_distinguished_by_their_requests() {
    let of = |request: u64, step, output| {
        of(Response { request: NonZeroU64::new(request), input: 10, step }, output)
    };
    let mut ledger = ledger();
    for (request, step, output) in [(7, 1, 1), (7, 1, 20), (8, 1, 5), (8, 2, 30), (9, 2, 40), (7, 3, 20)] {
        ledger.message(NOW, &of(request, step, output));
    }
    assert_eq!(ledger.usage().session_total_tokens.map(|total| total.blended()), Some(30 + 40 + 50));
}

#[test]
fn responses_with_one_id_and_no_request_are_distinguished_by_input_and_step() {
    let of = |input, step, output| of(Response { request: None, input, step }, output);
    let mut ledger = ledger();
    let lines = [(10, 1, 1), (10, 1, 20), (10, 2, 20), (30, 3, 2), (30, 3, 4), (50, 4, 5)];
    for steps in [0, 5] {
        for (input, step, output) in lines {
            ledger.message(NOW, &of(input, step + steps, output));
        }
        // Repeated lines are recognised by their input.
        let total = ledger.usage().session_total_tokens.map(|total| total.blended());
        assert_eq!(total, Some(30 + 34 + 55));
    }
    ledger.message(NOW, &of(51, 9, 6));
    let total = ledger.usage().session_total_tokens.map(|total| total.blended());
    assert_eq!(total, Some(30 + 34 + 57), "without another step it is the same response");
}

#[test]
fn only_responses_in_the_other_file_are_inherited() {
    let mut ledger = Messages::default();
    for (request, input) in [(7, 10), (8, 20), (9, 30)] {
        let response = Response { request: NonZeroU64::new(request), input, step: 0 };
        ledger.message(NOW, &of(response, 1));
    }
    ledger.inherit([(1, 7), (1, 20)].into_iter());
    assert_eq!(ledger.usage().session_total_tokens.map(|total| total.blended()), Some(31));
}

#[test]
fn a_helpers_copy_never_counts_for_the_conversation() {
    for order in [[true, false], [false, true]] {
        let mut ledger = ledger();
        for main in order {
            let output = if main { 10 } else { 500 };
            ledger.message(NOW, &Message { main, ..message(1, 1, output) });
        }
        assert_eq!(ledger.usage().session_total_tokens.map(|tokens| tokens.output), Some(10));
    }
}

#[test]
fn a_message_belongs_to_the_turn_in_which_it_was_first_seen() {
    let mut ledger = ledger();
    ledger.turn_started(Some("a"));
    ledger.message(NOW, &message(1, 10, 1));
    ledger.turn_started(Some("b"));
    ledger.message(NOW, &message(1, 10, 5));
    assert_eq!(triplet(&ledger), [Some(4), Some(0), Some(15)]);
    ledger.message(NOW, &message(2, 10, 5));
    assert_eq!(triplet(&ledger), [Some(15), Some(15), Some(30)]);
}

#[test]
fn nothing_counts_before_inherited_messages_are_known() {
    let mut ledger = Messages::default();
    assert!(!ledger.wants_lineage());
    ledger.message(NOW, &message(1, 10, 5));
    ledger.message(NOW, &message(2, 20, 5));
    assert!(ledger.wants_lineage());
    assert_eq!(triplet(&ledger), [None; 3]);
    ledger.inherit([(1, 10)].into_iter());
    ledger.message(NOW, &message(1, 10, 50));
    assert_eq!(triplet(&ledger), [Some(25), Some(25), Some(25)]);
}

#[test]
fn a_copy_without_its_original_begins_with_history() {
    let mut ledger = Messages::default();
    ledger.message(NOW, &Message { copied: true, ..message(1, 10, 5) });
    ledger.message(NOW, &message(2, 20, 5));
    ledger.inherit(std::iter::empty());
    ledger.message(NOW, &Message { copied: true, ..message(3, 1, 1) });
    ledger.message(NOW, &message(4, 30, 5));
    assert_eq!(triplet(&ledger), [Some(35), Some(77), Some(77)]);
    let events = ledger.take_changes();
    let live = events
        .iter()
        .filter(|change| matches!(change, Change::Usage(event) if event.added.is_some()))
        .count();
    assert_eq!((events.len(), live), (4, 1));
}

#[test]
fn bytes_left_out_make_the_total_unknown() {
    let mut ledger = Messages::default();
    ledger.message(NOW, &message(1, 10, 5));
    ledger.jump();
    ledger.message(NOW, &message(2, 10, 5));
    assert_eq!(triplet(&ledger), [Some(15), None, None]);
    ledger.turn_started(None);
    ledger.message(NOW, &message(3, 10, 5));
    assert_eq!(triplet(&ledger), [Some(15), Some(15), None]);
}

#[test]
fn a_figure_that_grows_in_time_is_a_lower_bound_until_it_has() {
    let mut ledger = ledger();
    ledger.message(NOW, &Message { at_least: true, ..message(1, 10, 5) });
    assert!(ledger.is_lower_bound());
    ledger.message(NOW, &message(1, 10, 50));
    assert!(!ledger.is_lower_bound());
}
