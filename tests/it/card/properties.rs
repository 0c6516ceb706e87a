//! Promise 7: a card outside Discord's limits cannot be made from any facts.

use agent_presence::core::activity::Activity;
use agent_presence::core::card::{Card, CardFacts, CardWindow};
use agent_presence::core::names::{model_name, neutralise, visible};
use agent_presence::core::privacy::{Allowed, Policy};
use agent_presence::core::report::CardReport;
use agent_presence::core::settings::{MemberList, Privacy, PrivacyRule, Settings, Show};
use agent_presence::core::source::Agent;
use agent_presence::core::template::{Template, Word};
use agent_presence::core::time::Now;
use agent_presence::core::usage::{Tokens, Triplet};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use unicode_segmentation::UnicodeSegmentation as _;

/// Names as people and attackers choose them: pieces that matter together, and any Unicode.
fn name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-z0-9._/@:<>()\\[\\]#-]{1,12}",
        prop::sample::select(vec![
            "👨‍👩‍👧‍👦",
            "👩🏽‍❤️‍💋‍👨🏽",
            "🇩🇪",
            "1️⃣",
            "e\u{301}",
            "क्ष",
            "한",
            "か\u{3099}",
            "\u{600}",
            "\u{200D}",
            "\u{FE0F}",
            "\u{1F3FD}",
            "\u{20E3}",
            "\u{202E}",
            "\u{200B}",
            "\u{2028}",
            "\u{301}",
            "\u{1F1E9}",
            "\r\n",
            "\t",
            "\u{0}",
            " ",
            "https://",
            "discord.gg/",
            "www.",
            "@everyone",
            "<@1>",
            "[x](y)",
            "…",
            "·",
            "猫",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec((piece, prop_oneof![4 => Just(1), 1 => 2..70_usize]), 0..10)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, times)| piece.repeat(times)).collect())
}

fn template() -> impl Strategy<Value = Template> {
    let piece = prop_oneof![
        prop::sample::select(Word::ALL.to_vec()).prop_map(|word| format!("{{{}}}", word.word())),
        name().prop_map(|text| text.replace('{', "{{").replace('}', "}}")),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| Template::parse(&pieces.concat()).unwrap())
}

/// All figures, the extreme ones often.
fn figure() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..2_000_u64, 999_000..1_001_000_u64, Just(u64::MAX), Just(0)]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    (first..=last).prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn facts() -> impl Strategy<Value = CardFacts> {
    let activities = vec![
        Activity::Thinking,
        Activity::Running,
        Activity::Editing,
        Activity::Reading,
        Activity::Waiting,
        Activity::LimitReached,
    ];
    let tokens = [figure(), figure(), figure(), figure(), figure()].prop_map(
        |[input, cached_input, cache_write, output, reasoning]| Tokens {
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
        },
    );
    let label = prop_oneof![Just("5h".to_owned()), Just("weekly".to_owned()), name()];
    let window =
        (label, any::<u8>(), option::of(moment())).prop_map(|(label, remaining_percent, resets_at)| {
            CardWindow { label, remaining_percent, resets_at, pace: None }
        });
    let who =
        (prop::sample::select(vec![Agent::CODEX, Agent::CLAUDE]), name(), prop::sample::select(activities));
    let names = [name(), name(), name(), name(), name(), name()].map(option::of);
    let triplet = [option::of(figure()), option::of(figure()), option::of(figure())];
    let figures = (triplet, any::<bool>(), option::of(tokens), option::of(any::<u8>()));
    let limits = (prop::collection::vec(window, 0..5), option::of(moment()), moment());
    (who, names, figures, limits).prop_map(|(who, names, figures, limits)| {
        let (agent, session, activity) = who;
        let [file, project, branch, model, effort, home] = names;
        let ([delta, last, total_figure], counting, total, context_remaining_percent) = figures;
        let (windows, limits_as_of, started_at) = limits;
        CardFacts {
            agent,
            session,
            activity,
            file,
            project,
            branch,
            model,
            effort,
            home,
            triplet: Triplet { delta, last, total: total_figure },
            counting,
            total,
            context_remaining_percent,
            windows,
            limits_as_of,
            started_at,
        }
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let member_lists = vec![MemberList::Name, MemberList::State, MemberList::Details];
    (template(), template(), prop::sample::select(member_lists), name()).prop_map(
        |(details, state, member_list, large_image)| {
            let mut settings = Settings::default();
            settings.card.details = details;
            settings.card.state = state;
            settings.discord.member_list = member_list;
            settings.discord.large_image = large_image;
            settings
        },
    )
}

fn is_pictograph(character: Option<&char>) -> bool {
    let parts = |text: String| text.graphemes(true).count();
    character.is_some_and(|c| !c.is_ascii() && parts(format!("{c}\u{200D}❤")) == 1)
}

/// No character that is not seen, except inside an emoji; single spaces, none at an end.
fn assert_visible(text: &str) {
    assert_eq!(text.trim(), text);
    assert!(!text.contains("  "), "{text:?}");
    let characters: Vec<char> = text.chars().collect();
    for (index, character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| characters.get(index));
        let after = characters.get(index + 1);
        let fine = match character {
            ' ' => true,
            '\u{200D}' => is_pictograph(after) && before.is_some(),
            '\u{FE0F}' => is_pictograph(before) || after == Some(&'\u{20E3}'),
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => false,
            '\u{FEFF}' | '\u{AD}' | '\u{61C}' | '\u{E0000}'..='\u{E0FFF}' | '\u{FE00}'..='\u{FE0E}' => false,
            other => !other.is_control() && !other.is_whitespace(),
        };
        assert!(fine, "{character:?} in {text:?}");
    }
}

/// Nothing that a client could take for a mention or a link.
fn assert_harmless(text: &str) {
    for sign in ["@", "<", ">", "](", "://", "discord.gg/", "www.", "WWW."] {
        assert!(!text.contains(sign), "{sign} in {text:?}");
    }
}

fn assert_line(line: Option<&str>) {
    let Some(line) = line else { return };
    let units = line.encode_utf16().count();
    assert!((2..=128).contains(&units), "{units} units in {line:?}");
    assert_visible(line);
}

fn card(facts: &CardFacts, settings: &Settings, wall: Timestamp) -> Card {
    let now = Now { mono: Duration::ZERO, wall };
    Card::build(facts, settings, Allowed::ALL, &TimeZone::UTC, now).unwrap()
}

proptest! {
    #[test]
    fn every_card_is_valid(facts in facts(), settings in settings(), wall in moment()) {
        let card = card(&facts, &settings, wall);
        for line in [card.details(), card.state(), card.large_text(), Some(card.name()), Some(card.member_list_text())] {
            assert_line(line);
        }
        prop_assert_eq!(card.small_text(), None);
        prop_assert!(card.started_at().as_millisecond() >= 1);
        if let Some(image) = card.large_image() {
            prop_assert!((1..=256).contains(&image.encode_utf16().count()));
            prop_assert!(!image.contains("://") || image.starts_with("https://"));
        }
    }

    #[test]
    fn the_same_facts_give_the_same_card(facts in facts(), settings in settings(), wall in moment()) {
        let (first, second) = (card(&facts, &settings, wall), card(&facts.clone(), &settings, wall));
        prop_assert_eq!(CardReport::from(&first), CardReport::from(&second));
        prop_assert!(first == second && !first.only_numbers_moved(&second));
    }

    #[test]
    fn only_figures_differ_where_only_numbers_moved(facts in facts(), settings in settings(), other in figure(), wall in moment()) {
        let moved = CardFacts { triplet: Triplet { delta: Some(other), last: None, total: Some(other) }, ..facts.clone() };
        let (before, after) = (card(&facts, &settings, wall), card(&moved, &settings, wall));
        prop_assert_eq!(before.only_numbers_moved(&after), before != after);
    }

    #[test]
    fn cutting_splits_no_grapheme(name in name()) {
        let facts = CardFacts { branch: Some(name.clone()), ..super::facts() };
        let mut settings = Settings::default();
        settings.card.details = Template::parse("{branch}").unwrap();
        let whole = neutralise(&name);
        let card = card(&facts, &settings, super::now().wall);
        let line = card.details().unwrap_or_default();
        if whole.encode_utf16().count() <= 128 {
            prop_assert_eq!(line.strip_suffix('.').filter(|_| line != whole).unwrap_or(line), whole);
        } else {
            let kept = line.strip_suffix('…').unwrap();
            prop_assert!(whole.starts_with(kept));
            prop_assert!(whole.grapheme_indices(true).any(|(start, _)| start == kept.len()), "{:?}", kept);
        }
    }

    #[test]
    fn neutralised_names_are_visible_and_harmless(name in name()) {
        let once = neutralise(&name);
        assert_visible(&once);
        assert_harmless(&once);
        prop_assert_eq!(neutralise(&once), once.clone());
        prop_assert_eq!(visible(&once), once);
        let seen = visible(&name);
        prop_assert_eq!(visible(&seen), seen);
        assert_harmless(&model_name(&name));
    }

    #[test]
    fn templates_never_panic(source in ".{0,80}", word in "[{}a-z ]{0,40}") {
        for source in [source, word] {
            if let Ok(template) = Template::parse(&source) {
                prop_assert_eq!(template.source(), source.as_str());
                template.render(|word| Some(word.word().to_owned()));
                prop_assert_eq!(template.clone(), Template::parse(&source).unwrap());
            } else {
                prop_assert_eq!(Template::parse(&source).unwrap_err().lines().count(), 1);
            }
        }
    }

    #[test]
    fn rules_match_any_path_without_panic(pattern in "[a-c/*?\\\\]{0,20}", path in "[a-c/\\\\]{0,20}") {
        let rules = vec![PrivacyRule { path: format!("/{path}"), show: Show::Hide }, PrivacyRule { path: pattern, show: Show::Hide }];
        let privacy = Privacy { rules, ..Privacy::default() };
        let policy = Policy::new([&privacy], &BTreeMap::new());
        prop_assert_eq!(policy.allows(&format!("/{path}"), &[]), None, "a path matches itself");
    }
}
