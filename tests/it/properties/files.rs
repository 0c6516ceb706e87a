//! Reading never fails, chunking does not matter, and replay, following and restoring end at the same figures.
//!
//! Longer than other files because every way of reading a file is held against every other.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use agent_presence::core::file::{FileUpdate, RowReader, SessionFile, UsageRow};
use agent_presence::core::limits::LimitsBook;
use agent_presence::core::session::{Session, UsageEvent};
use agent_presence::core::source;
use agent_presence::core::source::Agent;
use agent_presence::core::usage::Tokens;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::codex;
use crate::sim::codex::{About, Codex, Counters, Source};

/// A fixture with what its neighbours offer.
struct Fixture {
    path: PathBuf,
    bytes: Vec<u8>,
    lineage: Vec<Vec<UsageRow>>,
}

static FIXTURES: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let mut file = SessionFile::new(Agent::CODEX, "home".into(), Timestamp::MIN);
        file.push(&bytes);
        let parent = file.head().and_then(|head| head.parent).unwrap_or_default();
        Fixture { lineage: codex::lineage(&path, &parent), bytes, path }
    };
    codex::fixtures().into_iter().map(read).collect()
});

impl Fixture {
    fn name(&self) -> &Path {
        self.path.strip_prefix(codex::root()).unwrap()
    }

    /// Where its lines end.
    fn line_ends(&self) -> Vec<usize> {
        let ends = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        ends.map(|(at, _)| at + 1).collect()
    }

    fn file(&self, live_since: Timestamp) -> Reading<'_> {
        let file = SessionFile::new(Agent::CODEX, "home".into(), live_since);
        Reading { fixture: self, file, seen: Seen::default() }
    }

    fn whole(&self) -> Seen {
        let mut reading = self.file(Timestamp::MIN);
        reading.push(&self.bytes);
        reading.rest();
        reading.seen
    }
}

/// A file being read as the daemon reads it.
struct Reading<'a> {
    fixture: &'a Fixture,
    file: SessionFile,
    seen: Seen,
}

/// All that came of a file.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    session: Option<Session>,
    usage: Vec<UsageEvent>,
    limits: LimitsBook,
    unusable: u64,
}

impl Reading<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.file.push(bytes);
    }

    /// The end of all.
    fn rest(&mut self) {
        self.file.rest();
        self.look();
    }

    /// The end of the file: all that is known by then is taken.
    fn look(&mut self) {
        self.file.caught_up();
        if self.file.lineage_wanted().is_some() {
            self.file.set_lineage(&self.fixture.lineage);
        }
        let Some(FileUpdate { session, usage, limits, skipped, .. }) = self.file.take_update() else {
            return;
        };
        for event in usage {
            check_event(self.seen.usage.last(), &event);
            self.seen.usage.push(event);
        }
        self.seen.session = Some(session);
        self.seen.limits.learn(limits);
        self.seen.unusable = skipped.unreadable_lines + skipped.oversized_lines + skipped.unknown_types;
    }
}

impl Seen {
    /// Without what tells how the file was read: which figures were there before.
    fn timeless(mut self) -> Self {
        self.usage.clear();
        self
    }
}

/// The total grows by what each event says that it added, and by nothing else.
fn check_event(before: Option<&UsageEvent>, event: &UsageEvent) {
    let total = event.usage.session_total_tokens;
    if let (Some(added), Some(total)) = (event.added, total) {
        assert_eq!(event.usage.session_delta_tokens, Some(added));
        match before.and_then(|before| before.usage.session_total_tokens) {
            Some(before) => assert_eq!(total, before.plus(&added), "{event:?}"),
            None => assert_eq!(total.minus(&added).plus(&added), total, "{event:?}"),
        }
        let last = event.usage.last_turn_tokens.unwrap_or(added);
        assert_eq!(last.minus(&total), Tokens::ZERO, "a turn is part of its session: {event:?}");
    }
}

#[test]
fn following_line_by_line_is_reading_at_once() {
    for fixture in FIXTURES.iter() {
        let mut reading = fixture.file(Timestamp::MIN);
        for line in fixture.bytes.split_inclusive(|byte| *byte == b'\n') {
            reading.push(line);
            reading.look();
        }
        reading.rest();
        let (whole, mut followed) = (fixture.whole(), reading.seen);
        if fixture.lineage.is_empty() {
            assert_eq!(followed, whole, "{}", fixture.name().display());
        } else {
            // How much of the parent was copied may show only later; where it ends is the same.
            followed.usage.clone_from(&whole.usage);
            assert_eq!(followed.timeless(), whole.timeless(), "{}", fixture.name().display());
        }
    }
}

#[test]
fn restoring_at_any_line_and_following_ends_at_the_same_figures() {
    for fixture in FIXTURES.iter() {
        for end in fixture.line_ends() {
            let (before, after) = fixture.bytes.split_at(end);
            let mut reading = fixture.file(Timestamp::MAX);
            reading.push(before);
            reading.look();
            let restored = reading.seen.usage.len();
            assert!(restored <= 1, "restored figures are one event");
            assert!(reading.seen.usage.iter().all(|event| event.added.is_none()));
            for line in after.split_inclusive(|byte| *byte == b'\n') {
                reading.push(line);
                reading.look();
            }
            reading.rest();
            let events = reading.seen.usage.iter().skip(restored);
            assert!(events.clone().all(|event| event.added.is_some()), "what comes later is news");
            let at = format!("{} at {end}", fixture.name().display());
            assert_eq!(reading.seen.timeless(), fixture.whole().timeless(), "{at}");
        }
    }
}

#[test]
fn every_events_increase_is_part_of_the_total() {
    for fixture in FIXTURES.iter() {
        let whole = fixture.whole();
        let Some(total) = whole.session.as_ref().and_then(|session| session.usage.session_total_tokens)
        else {
            continue;
        };
        let Some(first) = whole.usage.first() else { continue };
        let unseen = first.usage.session_total_tokens.unwrap().minus(&first.added.unwrap());
        let sum = whole.usage.iter().fold(unseen, |sum, event| sum.plus(&event.added.unwrap()));
        assert_eq!(sum, total, "{}", fixture.name().display());
    }
}

#[test]
fn a_jump_gives_the_figures_of_a_whole_reading() {
    for fixture in FIXTURES.iter() {
        let ends = fixture.line_ends();
        let Some(head) = ends.first() else { continue };
        let whole = fixture.whole();
        for from in ends.iter().skip(1).map(|end| end - 1) {
            let mut reading = fixture.file(Timestamp::MIN);
            reading.push(&fixture.bytes[..*head]);
            reading.file.jump();
            reading.push(&fixture.bytes[from..]);
            reading.look();
            let (Some(session), Some(counted)) = (&reading.seen.session, &whole.session) else { continue };
            let at = format!("{} from {from}", fixture.name().display());
            assert!(session.counting, "{at}");
            if counted.parent.is_some() {
                assert_eq!(
                    session.usage.session_total_tokens, None,
                    "a share of copied history is not known: {at}"
                );
            }
            if reading.file.tail_suffices() {
                assert_eq!(session.model.name, counted.model.name, "{at}");
                assert_eq!(session.work, counted.work, "{at}");
            }
            // The count, which takes its place.
            let mut count = fixture.file(Timestamp::MIN);
            for slice in fixture.bytes.chunks(100) {
                count.push(slice);
            }
            count.rest();
            assert_eq!(count.seen, whole, "{at}");
        }
    }
}

/// The clock was set back between two readings: within one reading a later event never has a smaller total.
#[test]
fn after_the_first_news_every_event_is_news() {
    let at = |seconds: i64| Timestamp::constant(1_795_168_800, 0) + jiff::SignedDuration::from_secs(seconds);
    let about =
        About { id: "s1".to_owned(), cwd: "/x".to_owned(), branch: "main".to_owned(), source: Source::Cli };
    let mut codex = Codex::new(about);
    let used = Counters { input: 100, cached: 0, output: 10, reasoning: 0 };
    let lines =
        [codex.meta(at(0)), codex.usage(at(60), used, None), codex.usage(at(-3600), used, None)].concat();
    let mut file = SessionFile::new(Agent::CODEX, "home".into(), at(30));
    file.push(lines.as_bytes());
    file.caught_up();
    let update = file.take_update().unwrap();
    let totals = update.usage.iter().map(|event| event.usage.session_total_tokens.unwrap().blended());
    assert_eq!(totals.collect::<Vec<_>>(), [110, 220]);
    assert!(update.usage.iter().all(|event| event.added.is_some()));
}

/// What may befall the bytes of a file.
#[derive(Debug, Clone)]
enum Damage {
    Byte(Index, u8),
    Cut(Index, u16),
    Repeat(Index, u16),
    Insert(Index, Vec<u8>),
    /// A number becomes this.
    Number(Index, &'static str),
    SwapLines(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let numbers = vec![
        "-1",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
        "null",
        "\"x\"",
        "[]",
        "0.5",
        "{}",
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (any::<Index>(), any::<u16>()).prop_map(|(at, length)| Damage::Cut(at, length)),
        (any::<Index>(), any::<u16>()).prop_map(|(at, length)| Damage::Repeat(at, length)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), prop::sample::select(numbers)).prop_map(|(at, number)| Damage::Number(at, number)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Damage::SwapLines(one, other)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let range = |at: usize, length: u16| at..(at + usize::from(length) % 400).min(bytes.len());
    match damage {
        Damage::Byte(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Damage::Cut(at, length) => {
            bytes.drain(range(at.index(bytes.len()), *length));
        }
        Damage::Repeat(at, length) => {
            let range = range(at.index(bytes.len()), *length);
            let (to, copy) = (range.end, bytes[range].to_vec());
            bytes.splice(to..to, copy);
        }
        Damage::Insert(at, more) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
        Damage::Number(at, number) => {
            let is_digit = |at: &usize| bytes[*at].is_ascii_digit();
            let starts: Vec<usize> =
                (1..bytes.len()).filter(|at| is_digit(at) && bytes[at - 1] == b':').collect();
            if !starts.is_empty() {
                let start = *at.get(&starts);
                let end = (start..bytes.len()).find(|at| !is_digit(at)).unwrap_or(bytes.len());
                bytes.splice(start..end, number.bytes());
            }
        }
        Damage::SwapLines(one, other) => {
            let mut lines: Vec<Vec<u8>> =
                bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
            *bytes = lines.concat();
        }
    }
}

/// Reads in pieces that end at `cuts`, looking after each.
fn read_in_pieces(fixture: &Fixture, bytes: &[u8], cuts: &[Index], looks: bool) -> Seen {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let (mut reading, mut from) = (fixture.file(Timestamp::MIN), 0);
    for end in ends {
        reading.push(&bytes[from..end]);
        from = end;
        if looks {
            reading.look();
        }
    }
    reading.rest();
    reading.seen
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_split_of_a_fixture_gives_the_same(fixture in any::<Index>(), cuts in prop::collection::vec(any::<Index>(), 0..12)) {
        let fixture = fixture.get(&FIXTURES);
        let whole = fixture.whole();
        prop_assert_eq!(&read_in_pieces(fixture, &fixture.bytes, &cuts, false), &whole, "{}", fixture.name().display());
        let looked = read_in_pieces(fixture, &fixture.bytes, &cuts, true);
        if fixture.lineage.is_empty() {
            prop_assert_eq!(looked, whole, "{}", fixture.name().display());
        } else {
            prop_assert_eq!(looked.timeless(), whole.timeless(), "{}", fixture.name().display());
        }
    }

    #[test]
    fn any_damage_to_a_file_is_read(
        fixture in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..6),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let fixture = fixture.get(&FIXTURES);
        let mut bytes = fixture.bytes.clone();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        // Without the neighbours' rows, whose share depends on when they are asked for.
        let alone = Fixture { path: fixture.path.clone(), bytes: bytes.clone(), lineage: Vec::new() };
        let whole = alone.whole();
        prop_assert_eq!(&read_in_pieces(&alone, &bytes, &cuts, false), &whole);
        let mut rows = RowReader::new(Agent::CODEX);
        rows.push(&bytes);
        let rows = rows.finish();
        prop_assert!(rows.len() <= bytes.split(|byte| *byte == b'\n').count());
        source::recognise(&bytes);
        if let Some(session) = whole.session {
            let now = session.last_event_at.unwrap_or(Timestamp::UNIX_EPOCH);
            let doing = session.doing(now, std::time::Duration::from_secs(900));
            prop_assert!(doing.file.is_none_or(|file| !file.contains(['/', '\\'])));
        }
    }

    #[test]
    fn random_bytes_are_read(
        bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b'{'), 1 => Just(b'"')], 0..600),
        after_meta in any::<bool>(),
    ) {
        let fixture = &FIXTURES[0];
        let mut all = Vec::new();
        if after_meta {
            all.extend_from_slice(&fixture.bytes[..fixture.line_ends()[0]]);
        }
        all.extend_from_slice(&bytes);
        let mut reading = fixture.file(Timestamp::MIN);
        reading.push(&all);
        reading.look();
        let mut rows = RowReader::new(Agent::CODEX);
        rows.push(&bytes);
        prop_assert!(rows.finish().is_empty());
        source::recognise(&bytes);
    }
}
