//! Random lives: sessions, settings, clocks, Discord and the daemon itself do what they like. The world checks what must
//! always hold; in the end the last wish is shown, and after it silence takes the card away and nothing is due.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use crate::sim::codex::{About, Codex, Counters, Limits, Source, Tool, Window};
use crate::sim::world::World;
use crate::world::discords::{Welcome, ms};

#[derive(Debug, Clone)]
enum Op {
    Line(usize, Line),
    Delete(usize),
    Set(&'static str),
    Discord(Welcome),
    Sleep(u64),
    Clock(i64),
    Restart,
}

#[derive(Debug, Clone)]
enum Line {
    Turn,
    End,
    Thinks,
    Runs,
    Edits,
    Done,
    Uses(u64, u64),
    Repeats,
    Restarts,
    Limits { used: u8, weekly: u8, resets_after: u64, late: u64 },
    Moves(&'static str),
}

/// The third is a sub-agent of the first.
const NAMES: [&str; 3] = ["s1", "s2", "s3"];

fn any_line() -> impl Strategy<Value = Line> {
    prop_oneof![
        4 => Just(Line::Turn),
        2 => Just(Line::End),
        2 => Just(Line::Thinks),
        3 => Just(Line::Runs),
        2 => Just(Line::Edits),
        3 => Just(Line::Done),
        6 => (0..100_000_u64, 0..10_000_u64).prop_map(|(input, output)| Line::Uses(input, output)),
        1 => Just(Line::Repeats),
        1 => Just(Line::Restarts),
        2 => (0..=100_u8, 0..=100_u8, 1..20_000_u64, 0..600_u64)
            .prop_map(|(used, weekly, resets_after, late)| Line::Limits { used, weekly, resets_after, late }),
        1 => prop::sample::select(vec!["/home/u/app", "/home/u/clients/acme"]).prop_map(Line::Moves),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let settings = vec![
        "privacy.rule = []",
        "privacy.rule = [{path = \"/home/u/clients/**\", show = \"hide\"}]",
        "privacy.project = true",
        "privacy.project = false",
        "publish.min_interval = \"1s\"",
        "publish.min_interval = \"5s\"",
        "publish.settle = \"0ms\"",
        "card.idle_after = \"1m\"",
        "card.idle_after = \"15m\"",
        "discord.application_id = \"\"",
        "discord.application_id = \"123456789012345678\"",
    ];
    let manners = vec![
        Welcome::ReadyAfter(ms(100)),
        Welcome::ReadyAfter(ms(100)),
        Welcome::NobodyListens,
        Welcome::Rejects,
    ];
    prop_oneof![
        30 => (0..NAMES.len(), any_line()).prop_map(|(session, line)| Op::Line(session, line)),
        1 => (0..NAMES.len()).prop_map(Op::Delete),
        3 => prop::sample::select(settings).prop_map(Op::Set),
        2 => prop::sample::select(manners).prop_map(Op::Discord),
        1 => (1..20_000_u64).prop_map(Op::Sleep),
        1 => (-20_000..20_000_i64).prop_map(Op::Clock),
        1 => Just(Op::Restart),
    ]
}

fn any_pause() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..300_u64, 4 => 300..6_000_u64, 2 => 6_000..90_000_u64, 1 => 90_000..2_500_000_u64]
}

fn write(world: &mut World, name: &'static str, line: &Line) {
    let now = world.now().wall;
    if !world.files.contains_key(name) {
        let source = if name == "s3" { Source::SubAgentOf("s1".to_owned()) } else { Source::Cli };
        let (id, cwd) = (name.to_owned(), "/home/u/app".to_owned());
        let codex = Codex::new(About { id, cwd, branch: "main".to_owned(), source });
        let first = codex.meta(now) + &codex.context(now, "gpt-5.6-sol");
        world.create(name, codex, "home", "gpt-5.6-sol");
        world.append(name, &first);
    }
    let codex = &mut world.files.get_mut(name).unwrap().codex;
    let line = match *line {
        Line::Turn => codex.turn(now),
        Line::End => codex.end(now),
        Line::Thinks => codex.reasoning(now),
        Line::Runs => codex.call(now, &Tool::Command("cargo test".to_owned())),
        Line::Edits => codex.call(now, &Tool::Patch("src/main.rs".to_owned())),
        Line::Done => codex.done(now).unwrap_or_default(),
        Line::Uses(input, output) => {
            codex.usage(now, Counters { input, cached: 10, output, reasoning: 0 }, None)
        }
        Line::Repeats => codex.count(now, Some(Counters::default()), None),
        Line::Restarts => {
            codex.total = Counters::default();
            String::new()
        }
        Line::Limits { used, weekly, resets_after, late } => {
            let resets_at = Some(now + Duration::from_secs(resets_after));
            let windows = vec![
                Window { minutes: 300, used: f64::from(used), resets_at },
                Window { minutes: 10_080, used: f64::from(weekly), resets_at },
            ];
            let limits = Limits { windows, ..Limits::default() };
            codex.count(now - Duration::from_secs(late), None, Some(&limits))
        }
        Line::Moves(cwd) => {
            cwd.clone_into(&mut codex.about.cwd);
            codex.context(now, "gpt-5.6-sol")
        }
    };
    if !line.is_empty() {
        world.append(name, &line);
    }
}

fn run(world: &mut World, op: &Op) {
    match op {
        Op::Line(session, line) => write(world, NAMES[*session], line),
        Op::Delete(session) => {
            world.delete(NAMES[*session]);
        }
        Op::Set(assignment) => world.set(assignment),
        Op::Discord(manner) => world.discord("discord", *manner),
        Op::Sleep(seconds) => world.suspend(Duration::from_secs(*seconds)),
        Op::Clock(seconds) => world.set_clock(SignedDuration::from_secs(*seconds)),
        Op::Restart => {
            // A daemon that starts among lines from the future takes them for news, once more.
            world.set_clock_right();
            world.kill_daemon();
            world.start_daemon();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn whatever_happens_the_last_wish_is_shown_and_silence_ends_it(
        terminal in any::<bool>(),
        script in prop::collection::vec((any_pause(), any_op()), 1..80),
    ) {
        let mut world = World::new(terminal);
        world.discord("discord", Welcome::ReadyAfter(ms(100)));
        world.start_daemon();
        for (pause, op) in &script {
            run(&mut world, op);
            world.run_for(Duration::from_millis(*pause));
        }
        world.set("discord.application_id = \"123456789012345678\"");
        world.set("privacy.rule = []");
        world.discord("discord", Welcome::ReadyAfter(ms(100)));
        // Longer than the longest wait for a connection, shorter than any silence.
        for _ in 0..13 {
            write(&mut world, "s1", &Line::Turn);
            world.run_for(Duration::from_secs(60));
        }
        let card = |world: &World| world.engine().unwrap().card().cloned();
        let mut wished = card(&world);
        prop_assert!(wished.is_some(), "a session at work has a card");
        // A limit may just have been reset; the card that says so is on its way.
        for _ in 0..8 {
            world.run_for(Duration::from_secs(21));
            let before = std::mem::replace(&mut wished, card(&world));
            if before == wished {
                break;
            }
        }
        let sink = if terminal { "terminal" } else { "discord" };
        prop_assert_eq!(world.visible(sink), wished.as_ref());

        // The longest that anything may be silent and still count: a call, then `idle_after`.
        world.run_for(Duration::from_secs(46 * 60));
        prop_assert_eq!(world.visible(sink), None);
        prop_assert_eq!(world.engine().unwrap().poll_deadline(), None);
        let present: Vec<_> = world.present().collect();
        prop_assert!(present.is_empty(), "{:?} never ended", present);
    }
}
