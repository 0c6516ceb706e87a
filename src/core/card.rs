//! The card: what friends see, valid against every rule of Discord by construction.
//!
//! A card is made only by [`Card::build`]: it applies privacy, neutralises names, fits lines to Discord's lengths and
//! leaves out what Discord would refuse (`facts`: discord-rpc 2, one bad field loses the whole update).
//! Read next: [`crate::values`] for the words, [`crate::publish`] for when a card is sent.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::activity::Activity;
use crate::fit;
use crate::limits::{Pace, WindowView};
use crate::privacy::Allowed;
use crate::settings::{MemberList, Settings};
use crate::source::Agent;
use crate::time::Now;
use crate::usage::{Tokens, Triplet};
use crate::values::{Names, Values};

/// Everything that a card may show, before privacy. The caller has chosen the session.
#[derive(Debug, Clone, PartialEq)]
pub struct CardFacts {
    /// The agent shown.
    pub agent: Agent,
    /// The session shown, by the agent's own id.
    pub session: String,
    /// What it is doing.
    pub activity: Activity,
    /// Name of the file being edited or read, without its folder.
    pub file: Option<String>,
    /// Name of the project's folder.
    pub project: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
    /// The model as the agent names it, e.g. `gpt-5.6-sol`.
    pub model: Option<String>,
    /// The reasoning effort as the agent names it.
    pub effort: Option<String>,
    /// The name that the user gave to the agent's home.
    pub home: Option<String>,
    /// The triplet, counted as the settings say.
    pub triplet: Triplet,
    /// Whether the total is still being counted.
    pub counting: bool,
    /// The session's total by kind, for the hover text.
    pub total: Option<Tokens>,
    /// How much of the context window is left, 0 to 100.
    pub context_remaining_percent: Option<u8>,
    /// The windows that may be shown now, shortest first.
    pub windows: Vec<CardWindow>,
    /// When the windows were observed, if that is long enough ago to be shown.
    pub limits_as_of: Option<Timestamp>,
    /// The start of the timer.
    pub started_at: Timestamp,
}

/// One remaining-limit window as the card shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardWindow {
    /// `5h`, `daily`, `weekly`, …
    pub label: String,
    /// What is left, 0 to 100.
    pub remaining_percent: u8,
    /// When the window resets.
    pub resets_at: Option<Timestamp>,
    /// Whether the window lasts until its reset.
    pub pace: Option<Pace>,
}

impl CardWindow {
    /// What a card shows of a window; `None` after its reset.
    pub fn of(view: &WindowView) -> Option<Self> {
        let remaining_percent = view.remaining_percent?;
        Some(Self {
            label: view.label.clone(),
            remaining_percent,
            resets_at: view.resets_at,
            pace: view.pace,
        })
    }
}

/// A card within Discord's limits.
///
/// Two cards are equal when they show the same session and look the same to friends. Equal cards are equal to the
/// byte on the wire.
#[derive(Debug, Clone)]
pub struct Card {
    session: String,
    agent: Agent,
    activity: Activity,
    allowed: Allowed,
    /// The names that the lines show; figures are not part of it.
    names: Names,
    seen: VisibleCard,
}

/// The texts and images of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
struct VisibleCard {
    name: &'static str,
    details: Option<String>,
    state: Option<String>,
    large_text: Option<String>,
    large_image: Option<String>,
    /// What the agent is doing, as an image with its hover text.
    small_image: Option<Activity>,
    started_at: Timestamp,
    /// As set, because a line that comes and goes with its figures must not look like a change of the setting.
    member_list: MemberList,
}

impl VisibleCard {
    /// Everything but the lines and the hover text.
    fn frame(&self) -> (&str, Option<&str>, Option<Activity>, Timestamp, MemberList) {
        (self.name, self.large_image.as_deref(), self.small_image, self.started_at, self.member_list)
    }
}

impl Card {
    /// Builds the card of one session.
    ///
    /// `allowed` is what privacy allows beyond what every card shows. `zone` is the user's time zone for clock times
    /// on the card; `now.wall` decides which times are of today.
    ///
    /// There is no card for an idle session.
    pub fn build(
        facts: &CardFacts,
        settings: &Settings,
        allowed: Allowed,
        zone: &TimeZone,
        now: Now,
    ) -> Option<Self> {
        if facts.activity == Activity::Idle {
            return None;
        }
        let lines = [&settings.card.details, &settings.card.state];
        let names = Names::new(facts, allowed, lines);
        let values = Values { facts, names: &names, zone, now: now.wall };
        let [details, state] =
            lines.map(|line| fit::line(|level| line.render(|word| values.of(word, level))));
        let seen = VisibleCard {
            name: facts.agent.card_name(),
            details,
            state,
            large_text: fit::line(|level| values.hover(level)),
            large_image: settings.large_image().map(str::to_owned),
            small_image: settings.card.icons.then_some(facts.activity),
            started_at: valid_start(facts.started_at),
            member_list: settings.discord.member_list,
        };
        Some(Self {
            session: facts.session.clone(),
            agent: facts.agent,
            activity: facts.activity,
            allowed,
            names,
            seen,
        })
    }

    /// The first line, in place of the application's name; 1 to 128 UTF-16 units.
    pub fn name(&self) -> &str {
        self.seen.name
    }

    /// The second line; 2 to 128 UTF-16 units.
    pub fn details(&self) -> Option<&str> {
        self.seen.details.as_deref()
    }

    /// The third line; 2 to 128 UTF-16 units.
    pub fn state(&self) -> Option<&str> {
        self.seen.state.as_deref()
    }

    /// The hover text of the large image; 2 to 128 UTF-16 units. Discord shows it only with an image.
    pub fn large_text(&self) -> Option<&str> {
        self.seen.large_text.as_deref()
    }

    /// The large image: an https URL of at most 256 ASCII characters or an asset key.
    pub fn large_image(&self) -> Option<&str> {
        self.seen.large_image.as_deref()
    }

    /// The small image: an asset key.
    pub fn small_image(&self) -> Option<&str> {
        self.seen.small_image.map(Activity::icon)
    }

    /// The hover text of the small image.
    pub fn small_text(&self) -> Option<&str> {
        self.seen.small_image.map(Activity::verb)
    }

    /// The start of the timer, in whole milliseconds after 1970.
    pub fn started_at(&self) -> Timestamp {
        self.seen.started_at
    }

    /// The text that the member list shows: as set, or the name if that line is not on the card.
    pub fn member_list(&self) -> MemberList {
        match self.seen.member_list {
            MemberList::State if self.state().is_some() => MemberList::State,
            MemberList::Details if self.details().is_some() => MemberList::Details,
            _ => MemberList::Name,
        }
    }

    /// The text that the member list shows.
    pub fn member_list_text(&self) -> &str {
        match self.member_list() {
            MemberList::Name => None,
            MemberList::State => self.state(),
            MemberList::Details => self.details(),
        }
        .unwrap_or(self.seen.name)
    }

    /// The session shown, by the agent's own id. Not on the wire.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The agent shown.
    pub fn agent(&self) -> Agent {
        self.agent
    }

    /// Whether this card may show names of its session that `other`, a newer card, may not show.
    pub fn may_show_more_than(&self, other: &Self) -> bool {
        (self.agent, &self.session) == (other.agent, &other.session)
            && self.allowed.and(other.allowed) != self.allowed
    }

    /// What the agent is doing, even if no line shows it.
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// Whether `other` differs from this card in figures alone: session, activity, names, image, timer and the member
    /// list's choice are the same.
    pub fn only_numbers_moved(&self, other: &Self) -> bool {
        self.session == other.session
            && self.names == other.names
            && self.seen.frame() == other.seen.frame()
            && self.seen != other.seen
    }
}

impl PartialEq for Card {
    fn eq(&self, other: &Self) -> bool {
        self.session == other.session && self.seen == other.seen
    }
}

impl Eq for Card {}

/// Discord counts in milliseconds and refuses a start before the first millisecond of 1970.
fn valid_start(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond().max(1)).unwrap_or(at)
}
