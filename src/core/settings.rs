//! The effective settings: every value present, checked and in the core's types.
//!
//! [`crate::config`] reads them from the settings file and has the list of tables, keys and defaults. A daemon
//! hands them to its successor as JSON.

mod sources;
mod stricter;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::remote::far;
use crate::template::Template;
use crate::usage::Count;

pub use sources::{Source, Sources};

/// All settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `[discord]`
    pub discord: Discord,
    /// `[card]`
    pub card: Card,
    /// `[tokens]`
    pub tokens: Tokens,
    /// `[sources]`
    pub sources: Sources,
    /// `[[remote]]`
    pub remotes: Vec<Remote>,
    /// `[privacy]`
    pub privacy: Privacy,
    /// `[publish]`
    pub publish: Publish,
    /// `[record]`
    pub record: Record,
    /// `[log]`
    pub log: Log,
    /// Whether nothing may be shown, because a part that may hide something is not understood.
    pub withheld: bool,
}

/// `[discord]`: where cards go.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Discord {
    /// 17 to 20 digits, or empty when there is none.
    pub application_id: String,
    /// Which Discord clients get the card.
    pub clients: Clients,
    /// Asset key or https URL; empty: no image.
    pub large_image: String,
    /// Which text the member list shows.
    pub member_list: MemberList,
}

impl Settings {
    /// The card's large image; Discord shows no hover text without one.
    pub fn large_image(&self) -> Option<&str> {
        let logo = self.card.icons.then_some("logo");
        Some(self.discord.large_image.as_str()).filter(|image| is_image(image)).or(logo)
    }
}

/// The longest image that Discord takes, in bytes (`assets.large_image`; the limit of its proxy for URLs).
pub const LONGEST_IMAGE: usize = 256;

/// Whether Discord accepts the text as an image: an asset key or an https URL.
pub fn is_image(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_url = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    is_plain && (1..=LONGEST_IMAGE).contains(&text.len()) && (is_url || !text.contains("://"))
}

/// `discord.clients`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clients {
    /// Every client found.
    #[default]
    All,
    /// Only these endpoints: socket paths or pipe names.
    Only(Vec<String>),
}

/// `discord.member_list`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberList {
    /// The agent's name.
    Name,
    /// The card's second line.
    #[default]
    State,
    /// The card's first line.
    Details,
}

/// `[card]`: the content of the card, and when it is cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// The first line.
    pub details: Template,
    /// The second line.
    pub state: Template,
    /// How long after the last activity the card is cleared.
    pub idle_after: Duration,
    /// Whether the application has images for the card and for what the agent is doing.
    pub icons: bool,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            details: Template::default_details(),
            state: Template::default_state(),
            idle_after: Duration::from_secs(15 * 60),
            icons: false,
        }
    }
}

/// `[tokens]`: what the triplet counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// With or without cached input.
    pub count: Count,
}

/// `[privacy]`: what may be on a card beyond agent, activity, model, tokens and limits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Privacy {
    /// The folder's name.
    pub project: bool,
    /// The git branch.
    pub branch: bool,
    /// The name of the current file.
    pub file: bool,
    /// Exceptions per path.
    pub rules: Vec<PrivacyRule>,
}

impl Privacy {
    /// The rules that do not name a remote.
    pub fn rules_here(&self) -> impl Iterator<Item = &PrivacyRule> {
        self.rules.iter().filter(|rule| !far::is_far(&rule.path))
    }
}

/// One `[[privacy.rule]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyRule {
    /// A path glob with `~` already replaced: `*` within a folder name, `**` across folders, `?` one character.
    pub path: String,
    /// What a session in a matching folder shows.
    pub show: Show,
}

/// One `[[remote]]`: another machine whose sessions are shown as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Its name in these settings.
    pub name: String,
    /// The program that connects to it, and its arguments.
    pub command: Vec<String>,
    /// Whether it is used.
    pub enabled: bool,
}

/// What a card may show of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// No card at all.
    Hide,
    /// Agent, activity, model, tokens and limits, even if `[privacy]` allows more.
    Generic,
    /// Project, branch and file as well.
    #[default]
    Full,
}

/// `[publish]`: how often a card may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Publish {
    /// The interval between two visible changes; at least one second.
    pub min_interval: Duration,
    /// The interval between two changes in which only numbers moved.
    pub tokens_interval: Duration,
    /// How long to wait for a burst of lines to end, from its first line.
    pub settle: Duration,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_secs(5),
            tokens_interval: Duration::from_secs(15),
            settle: Duration::from_millis(60),
        }
    }
}

/// `[record]`: usage events kept on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Whether they are kept.
    pub enabled: bool,
    /// For how long they are kept.
    pub keep: Duration,
}

impl Default for Record {
    fn default() -> Self {
        Self { enabled: false, keep: Duration::from_secs(365 * 24 * 3600) }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter in `RUST_LOG`'s syntax.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

/// The settings of a file without mistakes, with an application id.
#[cfg(test)]
pub(super) fn of_text(text: &str) -> Settings {
    use crate::config::{ConfigContext, Effective};

    let id = Some("123456789012345678".to_owned());
    let context = ConfigContext { environment_application_id: id, ..ConfigContext::default() };
    let read = Effective::read(text, &context);
    assert_eq!(read.issues, [], "{text}");
    read.settings
}
