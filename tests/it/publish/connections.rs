//! When a connection is made, and what is said about it.

use agent_presence::core::publish::{LinkEvent, LinkState, Loss};
use agent_presence::core::settings::{Clients, Settings};

use super::sim::*;

#[test]
fn without_an_application_id_there_are_no_links() {
    let mut world = World::new(Settings::default());
    world.start_discord("a");
    world.show(card(1, 0));
    world.run_for(s(600));
    assert_eq!(world.publisher.links(world.clock()).count(), 0);
    assert_eq!(world.publisher.deadline(), None);
    world.set_settings(settings());
    world.run_for(s(1));
    assert_eq!(world.state("a"), LinkState::Connected);
    assert_eq!(world.visible("a"), Some((card(1, 0), false)));
}

#[test]
fn another_application_id_reconnects_under_it() {
    let mut world = World::connected(settings());
    world.show(card(1, 0));
    world.run_for(s(60));
    let mut other = settings();
    other.discord.application_id = "223456789012345678".to_owned();
    world.set_settings(other);
    assert_eq!(world.visible("a"), None);
    world.run_for(s(6));
    assert_eq!(world.visible("a"), Some((card(1, 0), false)));
    assert_eq!(world.notices().len(), 2, "a reconnection of one's own is no loss");
    world.set_settings(Settings::default());
    world.run_for(s(1));
    assert_eq!(world.publisher.links(world.clock()).count(), 0);
    assert_eq!(world.visible("a"), None);
}

#[test]
fn only_the_clients_that_the_user_chose_get_the_card() {
    let mut world = World::connected(settings());
    world.start_discord("b");
    world.show(card(1, 0));
    world.run_for(s(1));
    let mut chosen = settings();
    chosen.discord.clients = Clients::Only(vec!["b".to_owned()]);
    world.set_settings(chosen);
    world.run_for(s(1));
    assert_eq!(world.visible("a"), None);
    assert_eq!(world.visible("b"), Some((card(1, 0), false)));
    assert_eq!(world.publisher.links(world.clock()).map(|link| link.endpoint).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn discord_may_be_absent_appear_and_die() {
    let mut world = World::new(settings());
    world.start_discord("a").welcome = Welcome::Down;
    world.show(card(1, 0));
    world.run_for(s(3600));
    assert!(world.wakeups < 200, "waits grow: {}", world.wakeups);
    assert_eq!(world.state("a"), LinkState::Waiting);
    assert_eq!(world.status("a").last_error.as_deref(), Some("connection refused"));

    world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
    world.publisher.endpoint_renewed(world.clock(), endpoint("a"), "Discord".to_owned());
    world.run_for(ms(200));
    assert_eq!(world.frames(), ["3600.10 card 1.0"]);
    assert_eq!(world.status("a").last_error, None);

    world.run_for(s(40));
    world.kill_discord("a");
    world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
    world.run_for(s(2));
    assert_eq!(world.visible("a"), Some((card(1, 0), false)), "again after a reconnect, though equal");
    let expected = [
        "could not connect to Discord at a: connection refused",
        "connected to Discord at a",
        "lost the connection to Discord at a: Discord went away",
        "connected to Discord at a",
    ];
    assert_eq!(world.notices(), expected);
}

#[test]
fn a_discord_that_never_answers_is_left_and_retried() {
    let mut world = busy(5, 15, 0);
    world.discord("a").answer = Answer::Never;
    world.show(card(1, 0));
    world.run_for(s(11));
    assert_eq!(world.publisher.shown(), None);
    assert_eq!(world.status("a").last_error.as_deref(), Some("no answer in time (reply)"));
    world.discord("a").answer = Answer::AcksAfter(ms(20));
    world.run_for(s(61));
    assert_eq!(world.publisher.shown().map(|card| **card), Some(card(1, 0)));
}

#[test]
fn a_socket_file_that_vanishes_does_not_end_a_live_connection() {
    let mut world = World::connected(settings());
    world.publisher.endpoint_gone(world.clock(), &endpoint("a"));
    world.show(card(1, 0));
    world.run_for(s(1));
    assert_eq!(world.state("a"), LinkState::Connected);
    assert_eq!(world.visible("a"), Some((card(1, 0), false)));
    world.kill_discord("a");
    world.run_for(s(1));
    assert_eq!(world.publisher.links(world.clock()).count(), 0);
    assert_eq!(world.publisher.deadline(), None);
}

#[test]
fn a_new_socket_seen_before_the_old_connection_ends_is_tried_at_once() {
    let mut world = World::connected(settings());
    for _ in 0..3 {
        world.discord("a").welcome = Welcome::HangsUp;
        world.run_for(s(100));
    }
    world.publisher.endpoint_renewed(world.clock(), endpoint("a"), "Discord".to_owned());
    world.kill_discord("a");
    world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
    world.run_for(ms(200));
    assert_eq!(world.state("a"), LinkState::Connected);
}

#[test]
fn finding_an_endpoint_again_does_not_shorten_its_wait() {
    let mut world = World::new(settings());
    world.start_discord("a").welcome = Welcome::Down;
    for _ in 0..3600 {
        world.run_for(s(1));
        world.start_discord("a");
    }
    assert!(world.wakeups < 200, "{}", world.wakeups);
}

#[test]
fn ready_delayed_by_40_s_takes_one_connection() {
    let mut world = World::new(settings());
    world.start_discord("a").welcome = Welcome::ReadyAfter(s(40));
    world.show(card(1, 0));
    world.run_for(s(4));
    assert_eq!(world.state("a"), LinkState::Connecting);
    world.run_for(s(2));
    assert_eq!(world.state("a"), LinkState::Waiting);
    world.run_for(s(300));
    assert_eq!(world.discord("a").opened.len(), 1);
    assert_eq!(world.frames(), ["40.00 card 1.0"]);
}

#[test]
fn a_flapping_discord_gets_2_connections_a_minute_at_most() {
    let mut world = World::new(settings());
    world.start_discord("a");
    world.show(card(1, 0));
    for _ in 0..600 {
        world.run_for(s(1));
        world.kill_discord("a");
        world.run_for(ms(5));
        world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
        world.publisher.endpoint_renewed(world.clock(), endpoint("a"), "Discord".to_owned());
    }
    // World::connect checks every minute; this is about the whole.
    let opened = world.discord("a").opened.len();
    assert!((15..=21).contains(&opened), "{opened} in 10 minutes");
}

/// What Discord counts, it counts in its own process.
#[test]
fn a_discord_of_another_process_has_a_budget_of_its_own() {
    for is_other_process in [true, false] {
        let mut world = World::new(settings());
        world.start_discord("a");
        world.show(card(1, 0));
        for _ in 0..2 {
            world.run_for(s(2));
            assert_eq!(world.publisher.next_unknown_peer(world.clock()), None, "nothing is held back");
            world.kill_discord("a");
            world.run_for(ms(5));
            let discord = world.discord("a");
            discord.welcome = Welcome::ReadyAfter(ms(100));
            if is_other_process {
                (discord.opened, discord.changes) = (Vec::new(), Vec::new());
            }
            world.publisher.endpoint_renewed(world.clock(), endpoint("a"), "Discord".to_owned());
        }
        assert_eq!(world.publisher.next_unknown_peer(world.clock()), Some(endpoint("a")));
        assert_eq!(world.publisher.next_unknown_peer(world.clock()), None, "it is asked once");
        if is_other_process {
            world.publisher.link_event(world.clock(), &endpoint("a"), LinkEvent::Restarted);
        }
        world.run_for(s(1));
        let shown = is_other_process.then_some((card(1, 0), false));
        assert_eq!(world.visible("a"), shown);
    }
}

#[test]
fn a_card_need_not_wait_for_what_another_process_was_sent() {
    let mut world = busy(5000, 5000, 0);
    for number in 0..5 {
        world.show(card(number, 0));
        world.run_for(s(5));
    }
    world.kill_discord("a");
    world.run_for(ms(5));
    let discord = world.discord("a");
    discord.welcome = Welcome::ReadyAfter(ms(100));
    (discord.opened, discord.changes) = (Vec::new(), Vec::new());
    world.publisher.endpoint_renewed(world.clock(), endpoint("a"), "Discord".to_owned());
    // The link says so when it is connected, before its handshake.
    world.publisher.link_event(world.clock(), &endpoint("a"), LinkEvent::Restarted);
    world.run_for(s(1));
    assert_eq!(world.visible("a"), Some((card(4, 0), false)));
}

#[test]
fn close_4000_is_no_storm_and_no_end() {
    let mut world = World::new(settings());
    world.start_discord("a").welcome = Welcome::Rejects;
    world.show(card(1, 0));
    world.run_for(s(3600));
    assert_eq!(world.state("a"), LinkState::Rejected);
    let opened = world.discord("a").opened.len();
    assert!((7..=11).contains(&opened), "{opened} in an hour");
    let notices = world.publisher.take_notices();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].hint().is_some());
    let error = world.status("a").last_error.unwrap();
    assert_eq!(error, "the application id is wrong, or Discord could not look it up (Invalid Client ID)");

    // It was the network: the slow retry finds out.
    world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
    world.run_for(s(760));
    assert_eq!(world.state("a"), LinkState::Connected);
}

#[test]
fn another_application_id_is_tried_at_once_after_a_rejection() {
    let mut world = World::new(settings());
    world.start_discord("a").welcome = Welcome::Rejects;
    world.run_for(s(5));
    assert_eq!(world.state("a"), LinkState::Rejected);
    world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
    let mut other = settings();
    other.discord.application_id = "223456789012345678".to_owned();
    world.set_settings(other);
    world.run_for(ms(200));
    assert_eq!(world.state("a"), LinkState::Connected);
}

#[test]
fn only_a_link_that_lived_starts_the_waits_over() {
    for (lived, longest_wait) in [(20, 75), (62, 2)] {
        let mut world = World::new(settings());
        world.start_discord("a").welcome = Welcome::HangsUp;
        world.run_for(s(1000));
        world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
        while world.state("a") != LinkState::Connected {
            world.run_for(ms(100));
        }
        world.run_for(s(lived));
        world.kill_discord("a");
        world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
        let (lost_at, before) = (world.now, world.discord("a").opened.len());
        while world.discord("a").opened.len() == before {
            world.run_for(ms(100));
        }
        let wait = world.now - lost_at;
        assert!(wait <= s(longest_wait) && wait > s(longest_wait / 2), "{wait:?} after {lived} s");
    }
}

#[test]
fn events_of_unknown_links_are_ignored() {
    let mut world = World::connected(settings());
    let (now, place) = (world.clock(), endpoint("a"));
    for event in [
        LinkEvent::Acked { nonce: 999 },
        LinkEvent::Refused { nonce: 999, code: 4000, message: String::new() },
        LinkEvent::Ready { client: "Other".to_owned(), bridge: true },
    ] {
        world.publisher.link_event(now, &place, event.clone());
        world.publisher.link_event(now, &endpoint("unknown"), event);
    }
    world.publisher.link_event(now, &endpoint("unknown"), LinkEvent::Lost(Loss::Eof));
    assert_eq!(world.status("a").client, "Discord");
    assert_eq!(world.status("a").last_error, None);
    assert_eq!(world.publisher.deadline(), None);
}
