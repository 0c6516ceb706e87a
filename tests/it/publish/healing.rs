//! What Discord lost without a word is sent again, and nothing else is.

use agent_presence::core::publish::{LinkState, Urgency};

use super::sim::*;

#[test]
fn a_shown_card_is_sent_again_every_5_minutes_and_every_minute_over_a_bridge() {
    let mut world = World::new(settings());
    world.start_discord("a");
    world.start_discord("b").bridge = true;
    world.show(card(1, 0));
    world.run_for(s(910));
    assert_eq!(world.discord("a").frames.len(), 1 + 3);
    assert_eq!(world.discord("b").frames.len(), 1 + 15);
    world.wish(None, Urgency::Usual);
    world.run_for(s(3600));
    assert_eq!(world.discord("a").frames.len(), 1 + 3 + 1, "a cleared card is not cleared again");
}

#[test]
fn a_card_that_discord_took_but_lost_is_sent_again() {
    let mut world = World::connected(settings());
    world.discord("a").answer = Answer::Forgets;
    world.show(card(1, 0));
    world.run_for(s(60));
    assert_eq!(world.visible("a"), None);
    world.discord("a").answer = Answer::AcksAfter(ms(20));
    world.run_for(s(300));
    assert_eq!(world.visible("a"), Some((card(1, 0), false)));
    assert_eq!(world.frames(), ["0.56 card 1.0", "300.56 card 1.0"]);
}

#[test]
fn after_sleep_the_card_is_sent_again_and_connections_are_tried() {
    let mut world = World::connected(settings());
    world.start_discord("b").welcome = Welcome::Down;
    world.show(card(1, 0));
    world.run_for(s(200));
    world.frames();
    world.discord("b").welcome = Welcome::ReadyAfter(ms(100));
    world.woke();
    assert_eq!(world.frames(), ["200.50 card 1.0"]);
    world.run_for(ms(200));
    assert_eq!(world.state("b"), LinkState::Connected);
    for _ in 0..10 {
        world.woke();
        world.run_for(s(1));
    }
    assert!(world.frames().len() <= 2, "a clock that jumps all the time is no reason to flood Discord");
}

#[test]
fn without_a_card_no_timer_is_due() {
    let mut world = World::connected(settings());
    assert_eq!(world.publisher.deadline(), None);
    world.wakeups = 0;
    world.run_for(s(86_400));
    assert_eq!(world.wakeups, 0);
}

#[test]
fn a_card_that_waits_to_be_cleared_is_not_sent_again() {
    let mut world = busy(600, 600, 0);
    world.show(card(1, 0));
    world.run_for(s(1));
    world.wish(None, Urgency::Usual);
    world.run_for(s(700));
    assert_eq!(world.frames(), ["0.50 card 1.0", "600.50 clear"]);
}
