//! When a change goes, and when it does not.

use std::sync::Arc;

use agent_presence::core::publish::{LinkCommand, LinkEvent, Payload, Publisher, Urgency};
use agent_presence::core::timer::Timer;

use super::sim::*;

#[test]
fn the_first_change_goes_when_its_burst_has_settled() {
    let mut world = World::connected(settings());
    world.show(card(1, 0));
    world.run_for(ms(50));
    world.show(card(1, 1));
    world.run_for(ms(50));
    world.show(card(1, 2));
    world.run_for(s(60));
    assert_eq!(world.frames(), ["0.56 card 1.1", "15.56 card 1.2"], "the burst is not extended");
}

#[test]
fn without_settling_a_change_goes_at_once() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    assert_eq!(world.frames(), ["0.50 card 1.0"]);
}

#[test]
fn another_activity_keeps_the_short_distance_and_numbers_the_long_one() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    world.run_for(s(1));
    world.show(card(2, 0));
    world.run_for(s(5));
    world.show(card(2, 1));
    world.run_for(s(30));
    assert_eq!(world.frames(), ["0.50 card 1.0", "5.50 card 2.0", "20.50 card 2.1"]);
}

#[test]
fn numbers_that_wait_go_with_the_next_activity() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    world.run_for(s(2));
    world.show(card(1, 1));
    world.run_for(s(6));
    world.show(card(2, 1));
    world.run_for(s(60));
    assert_eq!(world.frames(), ["0.50 card 1.0", "8.50 card 2.1"]);
}

#[test]
fn a_card_that_returns_to_the_shown_one_sends_nothing() {
    let mut world = World::connected(settings());
    world.show(card(1, 0));
    world.run_for(s(10));
    world.show(card(2, 0));
    world.run_for(ms(20));
    world.show(card(1, 0));
    world.run_for(s(100));
    assert_eq!(world.frames(), ["0.56 card 1.0"]);
    assert_eq!(world.publisher.deadline().map(|(_, reason)| reason), Some(Timer::Reassert));
}

#[test]
fn the_usual_clear_keeps_its_distance_too() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    world.run_for(s(1));
    world.wish(None, Urgency::Usual);
    world.run_for(s(60));
    assert_eq!(world.frames(), ["0.50 card 1.0", "5.50 clear"]);
    assert_eq!(world.publisher.deadline(), None);
}

#[test]
fn four_changes_are_all_that_21_seconds_hold() {
    let mut world = busy(1, 1, 0);
    for topic in 0..30 {
        world.show(card(topic, 0));
        world.run_for(s(1));
    }
    let frames = world.frames();
    assert_eq!(
        frames[..5],
        ["0.50 card 0.0", "1.50 card 1.0", "2.50 card 2.0", "3.50 card 3.0", "21.50 card 20.0"]
    );
}

#[test]
fn at_once_waits_for_no_interval_but_a_card_for_the_budget() {
    let mut world = busy(5, 15, 60);
    for topic in 0..6 {
        world.wish(Some(card(topic, 0)), Urgency::AtOnce);
        world.run_for(s(1));
    }
    world.run_for(s(30));
    let expected = ["0.50 card 0.0", "1.50 card 1.0", "2.50 card 2.0", "3.50 card 3.0", "21.50 card 5.0"];
    assert_eq!(world.frames(), expected);
}

#[test]
fn a_clear_at_once_waits_for_nothing_and_counts() {
    let mut world = busy(1, 1, 0);
    world.discord("a").answer = Answer::AcksAfter(s(3));
    for topic in 0..4 {
        world.show(card(topic, 0));
        world.run_for(s(4));
    }
    world.run_for(s(4));
    world.frames();
    world.show(card(7, 0));
    world.run_for(s(2));
    world.wish(None, Urgency::AtOnce);
    assert_eq!(world.frames(), ["21.50 card 7.0", "22.50 clear"], "the card before it was not yet answered");
    world.show(card(8, 0));
    world.run_for(s(60));
    assert_eq!(world.frames(), ["29.50 card 8.0"], "the fifth back is the one at 8.50");
}

#[test]
fn while_a_card_is_unanswered_only_the_newest_one_waits() {
    let mut world = busy(1, 1, 0);
    world.discord("a").answer = Answer::AcksAfter(s(8));
    for topic in 0..5 {
        world.show(card(topic, 0));
        world.run_for(s(1));
    }
    world.run_for(s(60));
    assert_eq!(world.frames(), ["0.50 card 0.0", "8.50 card 4.0"]);
}

#[test]
fn a_card_confirmed_after_the_clear_is_cleared_again() {
    // Discord looks images up before it shows a card, so a clear may overtake it.
    let mut publisher = Publisher::<TestCard>::new(1, &settings());
    let mut world = World::new(settings());
    let (now, place) = (world.clock(), endpoint("a"));
    publisher.endpoint_found(now, place.clone(), String::new());
    publisher.poll(now);
    publisher.link_event(now, &place, LinkEvent::Opened);
    publisher.link_event(now, &place, LinkEvent::Ready { client: "Discord".to_owned(), bridge: false });
    publisher.wish(now, Some(Arc::new(card(1, 0))), Urgency::AtOnce);
    let Some(LinkCommand::Send { nonce: shown, .. }) = publisher.poll(now) else { panic!() };
    publisher.wish(now, None, Urgency::AtOnce);
    let Some(LinkCommand::Send { nonce: cleared, .. }) = publisher.poll(now) else { panic!() };
    assert_eq!(publisher.poll(now), None);

    world.now += s(1);
    let now = world.clock();
    publisher.link_event(now, &place, LinkEvent::Acked { nonce: cleared });
    assert_eq!(publisher.poll(now), None);
    publisher.link_event(now, &place, LinkEvent::Acked { nonce: shown });
    let again = publisher.poll(now);
    assert!(matches!(again, Some(LinkCommand::Send { payload: Payload::Clear, .. })), "{again:?}");
    assert_eq!(publisher.poll(now), None);
}

#[test]
fn what_is_shown_is_what_was_confirmed() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    assert_eq!(world.publisher.shown(), None);
    world.run_for(ms(20));
    assert_eq!(world.publisher.shown().map(|card| **card), Some(card(1, 0)));
    assert_eq!(world.status("a").last_ack_at, Some(world.clock().wall));
    world.kill_discord("a");
    world.run_for(ms(20));
    assert_eq!(world.publisher.shown(), None);
}

#[test]
fn the_same_card_again_sends_nothing() {
    let mut world = World::connected(settings());
    for _ in 0..100 {
        world.show(card(1, 0));
        world.run_for(s(1));
    }
    assert_eq!(world.frames(), ["0.56 card 1.0"]);
}

#[test]
fn a_hundred_events_in_a_second_are_at_most_4_frames_in_20_s_and_the_last_lands() {
    let mut world = World::connected(settings());
    for number in 0..100 {
        world.show(card(number % 7, number));
        world.run_for(ms(10));
    }
    world.run_for(s(20));
    let frames = world.frames();
    assert!(frames.len() <= 4, "{frames:?}");
    assert_eq!(world.visible("a"), Some((card(99 % 7, 99), false)));
}
