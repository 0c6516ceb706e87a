//! What becomes of a card that Discord refuses.

use agent_presence::core::publish::Urgency;

use super::sim::*;

#[test]
fn a_refused_picture_leaves_the_texts() {
    let mut world = busy(5, 15, 0);
    world.show(TestCard { topic: 1, number: 0, picture: BAD_PICTURE });
    world.run_for(s(60));
    world.show(TestCard { topic: 1, number: 1, picture: 0 });
    world.run_for(s(60));
    let expected = ["0.50 card 1.0", "0.52 reduced 1.0", "60.50 reduced 1.1"];
    assert_eq!(world.frames(), expected, "what was wrong is taken to be there still");
    assert_eq!(
        world.notices()[1..],
        ["could not show the card in Discord at a: Discord refused it (4000: no)"]
    );
    assert!(world.status("a").last_error.is_some(), "the user may want to know why there is no picture");

    world.set_settings(settings());
    world.run_for(s(60));
    assert_eq!(world.frames(), ["120.56 card 1.1"], "other settings deserve another try");
    assert_eq!(world.status("a").last_error, None);
}

#[test]
fn a_card_refused_in_both_forms_waits_for_another() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    world.run_for(s(10));
    world.show(TestCard { topic: BAD_TOPIC, number: 0, picture: 0 });
    world.run_for(s(60));
    world.show(TestCard { topic: BAD_TOPIC, number: 0, picture: 5 });
    world.run_for(s(200));
    assert_eq!(world.frames(), ["0.50 card 1.0", "10.50 card 9.0", "10.52 reduced 9.0"]);
    assert_eq!(
        world.publisher.shown().map(|card| **card),
        Some(card(1, 0)),
        "what was shown before still is"
    );
    world.show(card(2, 0));
    world.run_for(s(10));
    assert_eq!(world.frames(), ["270.50 card 2.0"]);
}

#[test]
fn an_error_of_discords_own_is_retried_ever_more_slowly() {
    let mut world = busy(5, 15, 0);
    world.discord("a").answer = Answer::Refuses(5011);
    world.show(card(1, 0));
    world.run_for(s(600));
    let frames = world.frames().len();
    assert!((10..=15).contains(&frames), "{frames}");
    assert_eq!(world.notices().len(), 2, "connected, then one refusal");
    world.discord("a").answer = Answer::AcksAfter(ms(20));
    world.show(card(2, 0));
    world.run_for(s(76));
    assert_eq!(world.visible("a"), Some((card(2, 0), false)), "the newest wish is what is retried");
}

#[test]
fn other_settings_count_even_while_the_reduced_card_is_unanswered() {
    let mut world = busy(5, 15, 0);
    world.discord("a").answer = Answer::AcksAfter(s(3));
    world.show(TestCard { topic: 1, number: 0, picture: BAD_PICTURE });
    world.run_for(s(1));
    assert_eq!(world.frames(), ["0.50 card 1.0", "0.52 reduced 1.0"]);
    world.set_settings(world.settings.clone());
    world.show(TestCard { topic: 1, number: 0, picture: 0 });
    world.run_for(s(30));
    assert_eq!(world.frames(), ["5.52 card 1.0"]);
}

#[test]
fn a_clear_at_once_does_not_wait_for_the_retry_of_a_card() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    world.run_for(s(10));
    world.discord("a").answer = Answer::Refuses(5011);
    world.show(card(2, 0));
    world.run_for(s(200));
    world.discord("a").answer = Answer::AcksAfter(ms(20));
    world.frames();
    world.wish(None, Urgency::AtOnce);
    assert_eq!(world.frames(), ["210.50 clear"]);
}

/// The engine wishes for it at every turn for as long as a hidden session's card is seen.
#[test]
fn a_refused_clear_is_retried_ever_more_slowly_however_often_it_is_repeated() {
    let mut world = busy(5, 15, 0);
    world.show(card(1, 0));
    world.run_for(s(10));
    world.frames();
    world.discord("a").answer = Answer::Refuses(5011);
    for _ in 0..600 {
        world.wish(None, Urgency::AtOnce);
        world.run_for(ms(100));
    }
    let frames = world.frames();
    assert!(
        (2..=8).contains(&frames.len()) && frames.iter().all(|frame| frame.ends_with("clear")),
        "{frames:?}"
    );
    world.discord("a").answer = Answer::AcksAfter(ms(20));
    world.run_for(s(76));
    assert_eq!(world.visible("a"), None);
}
