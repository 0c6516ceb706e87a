//! Any templates and any names make a card within Discord's limits, the same one every time.
//!
//! Lines: details, state, project, branch, file, model, effort, hover image; the first byte gives the figures.
#![no_main]

use std::time::Duration;

use agent_presence::core::activity::Activity;
use agent_presence::core::source::Agent;
use agent_presence::core::card::{Card, CardFacts, CardWindow};
use agent_presence::core::privacy::Allowed;
use agent_presence::core::settings::Settings;
use agent_presence::core::template::{Template, Word};
use agent_presence::core::time::Now;
use agent_presence::core::usage::Triplet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((figures, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split('\n');
    let mut template = || Template::parse(lines.next().unwrap_or_default()).ok();
    let (Some(details), Some(state)) = (template(), template()) else { return };
    for template in [&details, &state] {
        assert_eq!(Template::parse(template.source()).as_ref(), Ok(template));
        template.render(|_| None);
        assert!(
            Word::ALL.iter().all(|word| !template.uses(*word) || template.source().contains(word.word()))
        );
    }
    let mut name = || lines.next().filter(|name| !name.is_empty()).map(str::to_owned);
    let figure = |bit: u8| (figures & bit != 0).then(|| u64::from(*figures).pow(u32::from(bit % 8) + 1));
    let percent = figures % 101;
    let facts = CardFacts {
        agent: Agent::CODEX,
        session: "session".to_owned(),
        home: name(),
        activity: Activity::Editing,
        project: name(),
        branch: name(),
        file: name(),
        model: name(),
        effort: name(),
        triplet: Triplet { delta: figure(1), last: figure(2), total: figure(4) },
        counting: figures & 8 != 0,
        total: None,
        context_remaining_percent: (figures & 16 != 0).then_some(percent),
        windows: ["5h", "weekly", "monthly"]
            .map(|label| CardWindow {
                label: label.to_owned(),
                remaining_percent: percent,
                resets_at: None,
                pace: None,
            })
            .to_vec(),
        limits_as_of: (figures & 32 != 0).then_some(Timestamp::UNIX_EPOCH),
        started_at: Timestamp::UNIX_EPOCH,
    };
    let mut settings = Settings::default();
    settings.card.details = details;
    settings.card.state = state;
    settings.discord.large_image = name().unwrap_or_default();
    let now = Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH };
    for allowed in [Allowed::default(), Allowed::ALL] {
        let build = || Card::build(&facts, &settings, allowed, &TimeZone::UTC, now);
        let card = build();
        assert_eq!(card, build());
        let Some(card) = card else { continue };
        let lines = [card.details(), card.state(), card.large_text(), card.small_text()];
        for line in lines.into_iter().flatten().chain([card.name(), card.member_list_text()]) {
            assert!((2..=128).contains(&line.encode_utf16().count()), "{line:?}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
});
