//! Handover, shutdown, and the sink that is no Discord.

use std::sync::Arc;

use agent_presence::core::publish::{
    Endpoint, LinkCommand, LinkEvent, LinkState, Payload, Publisher, Urgency,
};
use agent_presence::core::settings::Settings;

use super::sim::*;

#[test]
fn the_next_daemon_goes_on_with_the_budget() {
    let mut world = busy(1, 1, 0);
    for topic in 0..4 {
        world.show(card(topic, 0));
        world.run_for(s(1));
    }
    world.hand_over();
    world.run_for(s(10));
    assert_eq!(world.frames().len(), 4, "four changes were spent before");
    world.run_for(s(10));
    assert_eq!(world.frames(), ["21.50 card 3.0"]);
    world.hand_over();
    world.run_for(s(30));
    assert_eq!(world.state("a"), LinkState::Waiting, "two connections were made within a minute");
    world.run_for(s(40));
    assert_eq!(world.state("a"), LinkState::Connected);
}

#[test]
fn shutdown_clears_every_link_and_disconnects_when_that_is_confirmed() {
    let mut world = World::connected(settings());
    world.start_discord("b");
    world.start_discord("c").welcome = Welcome::NeverReady;
    world.start_discord("d").welcome = Welcome::Down;
    world.show(card(1, 0));
    world.run_for(s(2));
    world.discord("b").answer = Answer::Never;
    world.wish = None;
    world.frames();
    world.publisher.shut_down(world.clock());
    assert!(!world.publisher.is_finished());
    world.run_for(ms(500));
    assert_eq!(world.frames(), ["2.50 clear"]);
    assert_eq!(world.visible("b"), None);
    assert!(!world.publisher.is_finished(), "b did not confirm yet");
    world.run_for(ms(500));
    assert!(world.publisher.is_finished());
    world.show(card(2, 0));
    world.start_discord("e");
    world.run_for(s(60));
    assert_eq!(world.frames(), Vec::<String>::new());
    assert_eq!(world.publisher.deadline(), None);
}

#[test]
fn a_shutdown_with_nothing_shown_takes_no_time() {
    let mut world = World::connected(settings());
    world.publisher.shut_down(world.clock());
    world.run_for(ms(0));
    assert!(world.publisher.is_finished());
    assert_eq!(world.frames(), Vec::<String>::new());
}

#[test]
fn the_terminal_needs_no_application_id_and_keeps_the_pace() {
    let mut world = World::new(Settings::default());
    let mut publisher = Publisher::<TestCard>::new(1, &world.settings).with_terminal(world.clock());
    let mut lines = vec![];
    for number in 0..100_u32 {
        let now = world.clock();
        publisher.wish(now, Some(Arc::new(card(number, 0))), Urgency::Usual);
        while let Some(LinkCommand::Send { endpoint, nonce, payload }) = publisher.poll(now) {
            lines.push(payload);
            publisher.link_event(now, &endpoint, LinkEvent::Acked { nonce });
        }
        world.now += ms(100);
    }
    assert_eq!(lines.len(), 2, "10 s, one change every 5 s");
    assert_eq!(publisher.links(world.clock()).count(), 0, "a terminal is no link to a Discord");
    assert!(publisher.shown().is_some());
    world.now += s(3600);
    while publisher.poll(world.clock()).is_some() {}
    let now = world.clock();
    publisher.link_event(now, &Endpoint::terminal(), LinkEvent::Acked { nonce: 3 });
    assert_eq!(publisher.deadline(), None, "nothing is lost in a terminal");
    publisher.shut_down(now);
    let end = publisher.poll(now);
    assert!(matches!(end, Some(LinkCommand::Send { payload: Payload::Clear, nonce: 4, .. })), "{end:?}");
    publisher.link_event(now, &Endpoint::terminal(), LinkEvent::Acked { nonce: 4 });
    assert_eq!(publisher.poll(now), None);
    assert!(publisher.is_finished());
}
