//! Random scripts: in any order of events the world's own checks hold, and in the end every
//! healthy Discord shows what was wished last.

use agent_presence::core::publish::{Showable as _, Urgency};
use proptest::prelude::*;

use super::sim::*;

#[derive(Debug, Clone)]
enum Op {
    Wish(Option<TestCard>, Urgency),
    Kill(bool),
    Start(bool),
    Welcome(Welcome),
    Answer(Answer),
    Woke,
    ApplicationId(&'static str),
    Publish { min: u64, tokens: u64, settle: u64 },
    HandOver,
    SecondDiscord,
}

fn any_card() -> impl Strategy<Value = TestCard> {
    let topic = prop_oneof![9 => 0..3_u32, 1 => Just(BAD_TOPIC)];
    let picture = prop_oneof![4 => Just(0_u32), 1 => Just(BAD_PICTURE)];
    (topic, 0..4_u32, picture).prop_map(|(topic, number, picture)| TestCard { topic, number, picture })
}

fn any_urgency() -> impl Strategy<Value = Urgency> {
    prop_oneof![4 => Just(Urgency::Usual), 1 => Just(Urgency::AtOnce)]
}

fn any_op() -> impl Strategy<Value = Op> {
    let welcome = prop_oneof![
        1 => Just(Welcome::Down),
        4 => Just(Welcome::ReadyAfter(ms(100))),
        1 => Just(Welcome::ReadyAfter(s(40))),
        1 => Just(Welcome::NeverReady),
        1 => Just(Welcome::Rejects),
        1 => Just(Welcome::HangsUp),
    ];
    let answer = prop_oneof![
        4 => Just(Answer::AcksAfter(ms(20))),
        2 => Just(Answer::AcksAfter(s(3))),
        1 => Just(Answer::Refuses(5011)),
        1 => Just(Answer::Never),
    ];
    prop_oneof![
        24 => (proptest::option::weighted(0.85, any_card()), any_urgency())
            .prop_map(|(card, urgency)| Op::Wish(card, urgency)),
        3 => any::<bool>().prop_map(Op::Kill),
        4 => any::<bool>().prop_map(Op::Start),
        2 => welcome.prop_map(Op::Welcome),
        3 => answer.prop_map(Op::Answer),
        1 => Just(Op::Woke),
        1 => prop::sample::select(vec!["", "123456789012345678", "223456789012345678"]).prop_map(Op::ApplicationId),
        1 => (1..10_u64, 1..30_u64, 0..200_u64)
            .prop_map(|(min, tokens, settle)| Op::Publish { min, tokens, settle }),
        1 => Just(Op::HandOver),
        1 => Just(Op::SecondDiscord),
    ]
}

fn any_pause() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..300_u64, 4 => 300..6_000_u64, 1 => 6_000..90_000_u64]
}

fn run(world: &mut World, op: Op) {
    match op {
        Op::Wish(card, urgency) => world.wish(card, urgency),
        Op::Kill(file_goes) => {
            world.kill_discord("a");
            if file_goes {
                world.publisher.endpoint_gone(world.clock(), &endpoint("a"));
            }
        }
        Op::Start(noticed) => {
            world.discord("a").welcome = Welcome::ReadyAfter(ms(100));
            if noticed {
                world.publisher.endpoint_renewed(world.clock(), endpoint("a"), "Discord".to_owned());
            }
        }
        Op::Welcome(welcome) => world.discord("a").welcome = welcome,
        Op::Answer(answer) => world.discord("a").answer = answer,
        Op::Woke => world.woke(),
        Op::ApplicationId(application_id) => {
            let mut settings = world.settings.clone();
            settings.discord.application_id = application_id.to_owned();
            world.set_settings(settings);
        }
        Op::Publish { min, tokens, settle } => {
            let mut settings = world.settings.clone();
            settings.publish.min_interval = s(min);
            settings.publish.tokens_interval = s(tokens);
            settings.publish.settle = ms(settle);
            world.set_settings(settings);
        }
        Op::HandOver => world.hand_over(),
        Op::SecondDiscord => {
            world.start_discord("b");
        }
    }
}

/// Everything is well again, and stays so long enough for the longest wait.
fn heal(world: &mut World) {
    let mut healed = settings();
    healed.publish = world.settings.publish.clone();
    world.set_settings(healed);
    for name in ["a", "b"] {
        let discord = world.start_discord(name);
        discord.welcome = Welcome::ReadyAfter(ms(100));
        discord.answer = Answer::AcksAfter(ms(20));
    }
    world.run_for(s(1000));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn after_any_events_the_last_card_wins(
        bridge in any::<bool>(),
        script in prop::collection::vec((any_pause(), any_op()), 1..60),
    ) {
        let mut world = World::new(settings());
        world.start_discord("a").bridge = bridge;
        for (pause, op) in script {
            run(&mut world, op);
            world.run_for(ms(pause));
        }
        heal(&mut world);
        for name in ["a", "b"] {
            let (wish, visible) = (world.wish, world.visible(name));
            match wish {
                // What Discord takes in no form cannot be shown; what was shown before stays.
                Some(card) if card.topic == BAD_TOPIC => {}
                // A link on which a picture was refused goes on without pictures.
                Some(card) => match visible {
                    Some((visible, true)) => assert!(visible.reduced_eq(&card)),
                    whole => assert_eq!(whole, Some((card, false))),
                },
                None => assert_eq!(visible, None),
            }
        }

        // From here on nothing but the re-assertion of a shown card is due.
        world.notices();
        world.wakeups = 0;
        world.run_for(s(3600));
        assert!(world.wakeups <= if world.wish.is_none() { 0 } else { 2 * (60 + 12) });
        assert_eq!(world.notices(), Vec::<String>::new());

        world.publisher.shut_down(world.clock());
        world.wish = None;
        world.run_for(s(2));
        assert!(world.publisher.is_finished());
        assert_eq!(world.publisher.deadline().map(|(_, reason)| reason), None);
    }

    #[test]
    fn a_healthy_link_keeps_its_distances_and_its_promises(
        wishes in prop::collection::vec((any_pause(), proptest::option::weighted(0.9, (0..3_u32, 0..4_u32))), 1..80),
    ) {
        let mut world = World::connected(settings());
        for (pause, wish) in wishes {
            world.wish(wish.map(|(topic, number)| card(topic, number)), Urgency::Usual);
            world.run_for(ms(pause));
        }
        for pair in world.discord("a").changes.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            let both = before.to.as_ref().zip(after.to.as_ref());
            let only_numbers = both.is_some_and(|((old, _), (new, _))| new.only_numbers_moved(old));
            let distance = after.at - before.at;
            assert!(distance >= if only_numbers { s(15) } else { s(5) }, "{distance:?}: {pair:?}");
        }
        // The longest that the newest wish can wait: the tokens interval or the budget, whichever is longer.
        world.run_for(s(21) + ms(60));
        assert_eq!(world.visible("a").map(|(card, _)| card), world.wish);
    }
}
