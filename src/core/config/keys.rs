//! The table of all settings: key, default, meaning, and where the value is stored.
//!
//! The reader, `config init`, `config show` and the table of `docs/settings.md` are made from it. The defaults are
//! here as text and in [`crate::settings`] as values; a test compares the two.

use std::sync::LazyLock;

use crate::names::listed;
use crate::settings::{MemberList, Settings};
use crate::source::Agent;
use crate::source::layout::Homes;
use crate::source::listener::Live;
use crate::usage::Count;

use super::Complaint;
use super::value::GivenValue;

/// One setting.
#[derive(Clone)]
pub struct Key {
    /// Its table.
    pub table: &'static str,
    /// Its name in the table.
    pub name: &'static str,
    /// Its default, in TOML.
    pub default: &'static str,
    /// Its effect, as one sentence without a full stop.
    pub doc: &'static str,
    /// Checks a value and stores it in the settings.
    pub(super) apply: fn(&mut Settings, &GivenValue<'_>) -> Result<(), Complaint>,
}

impl Key {
    /// `card.idle_after`
    pub fn path(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    /// Whether a lost value may show more than the user wants, because the key can hide what its default shows.
    pub fn protects(&self) -> bool {
        let is_source = self.table == SOURCES && self.default != "false";
        is_source || (self.table, self.name) == (DISCORD, "clients")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.table, self.name) == (other.table, other.name)
    }
}

impl Eq for Key {}

/// The tables that can hide something.
pub(super) const PRIVACY: &str = "privacy";
const SOURCES: &str = "sources";
const DISCORD: &str = "discord";

/// The rules within [`PRIVACY`], which may occur more than once.
pub(super) const RULE: &str = "rule";

/// The key with this name in this table.
pub fn find(table: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| (key.table, key.name) == (table, name))
}

/// The keys of one table, in their order.
pub fn in_table(table: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table == table)
}

/// The tables, in their order.
pub fn tables() -> impl Iterator<Item = &'static str> {
    KEYS.iter().enumerate().filter_map(|(index, key)| {
        let previous = index.checked_sub(1).and_then(|previous| KEYS.get(previous));
        previous.is_none_or(|previous| previous.table != key.table).then_some(key.table)
    })
}

/// All settings, table by table, except `[[privacy.rule]]`, which may occur more than once.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let live = Agent::ALL.into_iter().filter_map(|agent| agent.spec().live.as_ref()).map(live);
    let sources = Agent::ALL.map(switch).into_iter().chain(Agent::ALL.map(homes)).chain(live);
    [BEFORE_SOURCES, &sources.collect::<Vec<_>>(), AFTER_SOURCES].concat()
});

fn switch(agent: Agent) -> Key {
    Key {
        table: SOURCES,
        name: agent.word(),
        default: "true",
        doc: format!("read {} sessions", agent.card_name()).leak(),
        apply: |settings, given| {
            given.flag().map(|flag| settings.sources.of_key(given.name, |source| source.is_read = flag))
        },
    }
}

fn homes(agent: Agent) -> Key {
    let Homes { key, variables, below, files, usual, .. } = &agent.spec().homes;
    let usual: Vec<String> = usual.iter().map(|folder| format!("~/{folder}")).collect();
    let named: Vec<String> = variables
        .iter()
        .map(|variable| match below {
            [] => (*variable).to_owned(),
            below => {
                listed(&below.iter().map(|below| format!("${variable}/{below}")).collect::<Vec<_>>(), "and")
            }
        })
        .collect();
    let beside =
        if files.is_empty() { String::new() } else { format!("; and what {} name", listed(files, "and")) };
    let (name, usual) = (agent.card_name(), listed(&usual, "and"));
    Key {
        table: SOURCES,
        name: key,
        default: "[]",
        doc: format!("{name}'s home folders; empty: {}, else {usual}{beside}", named.join(", else ")).leak(),
        apply: |settings, given| {
            given.homes().map(|homes| {
                settings.sources.of_key(given.name, |source| {
                    source.homes = homes.iter().map(|(path, _)| path.clone()).collect();
                    source.names = homes.into_iter().filter_map(|(path, name)| Some((path, name?))).collect();
                });
            })
        },
    }
}

fn live(live: &'static Live) -> Key {
    Key {
        table: SOURCES,
        name: live.key,
        default: "false",
        doc: live.doc,
        apply: |settings, given| {
            given.flag().map(|flag| settings.sources.of_key(given.name, |source| source.is_live = flag))
        },
    }
}

static BEFORE_SOURCES: &[Key] = &[
    Key {
        table: "discord",
        name: "application_id",
        default: r#""""#,
        doc: "your application's id from https://discord.com/developers/applications, 17 to 20 digits; also AGENT_PRESENCE_APPLICATION_ID",
        apply: |settings, given| given.application_id().map(|id| settings.discord.application_id = id),
    },
    Key {
        table: "discord",
        name: "clients",
        default: r#""all""#,
        doc: "every Discord client found, or a list of endpoints (socket paths or pipe names)",
        apply: |settings, given| given.clients().map(|clients| settings.discord.clients = clients),
    },
    Key {
        table: "discord",
        name: "large_image",
        default: r#""""#,
        doc: "the card's image: an asset key of your application or an https URL; without one Discord shows no hover text",
        apply: |settings, given| given.image().map(|image| settings.discord.large_image = image),
    },
    Key {
        table: "discord",
        name: "member_list",
        default: r#""state""#,
        doc: r#"what the member list shows of the card: "name", "state" or "details""#,
        apply: |settings, given| {
            let words =
                [("name", MemberList::Name), ("state", MemberList::State), ("details", MemberList::Details)];
            given.one_of(&words).map(|text| settings.discord.member_list = text)
        },
    },
    Key {
        table: "card",
        name: "details",
        default: r#""{activity} · {model}""#,
        doc: "the card's first line; words: {agent} {activity} {project} {branch} {file} {model} {effort} {tokens} {limits} {context} {pace} {home}",
        apply: |settings, given| given.template().map(|template| settings.card.details = template),
    },
    Key {
        table: "card",
        name: "state",
        default: r#""{limits} · {tokens}""#,
        doc: "the card's second line, of the same words",
        apply: |settings, given| given.template().map(|template| settings.card.state = template),
    },
    Key {
        table: "card",
        name: "idle_after",
        default: r#""15m""#,
        doc: "how long after the last activity the card is cleared, 1m to 24h",
        apply: |settings, given| given.duration("1m", "24h").map(|time| settings.card.idle_after = time),
    },
    Key {
        table: "card",
        name: "icons",
        default: "false",
        doc: "images of your application: `logo`, and beside it `working`, `waiting`, `idle` or `limit`, with the activity as hover text; true with an id that a packager built in",
        apply: |settings, given| given.flag().map(|icons| settings.card.icons = icons),
    },
    Key {
        table: "tokens",
        name: "count",
        default: r#""blended""#,
        doc: r#""blended" counts input that was not cached and output, as Codex does; "all" counts cached input as well"#,
        apply: |settings, given| {
            let words = [("blended", Count::Blended), ("all", Count::All)];
            given.one_of(&words).map(|count| settings.tokens.count = count)
        },
    },
];

static AFTER_SOURCES: &[Key] = &[
    Key {
        table: "privacy",
        name: "project",
        default: "false",
        doc: "show the name of the project's folder",
        apply: |settings, given| given.flag().map(|flag| settings.privacy.project = flag),
    },
    Key {
        table: "privacy",
        name: "branch",
        default: "false",
        doc: "show the git branch",
        apply: |settings, given| given.flag().map(|flag| settings.privacy.branch = flag),
    },
    Key {
        table: "privacy",
        name: "file",
        default: "false",
        doc: "show the name of the file at hand",
        apply: |settings, given| given.flag().map(|flag| settings.privacy.file = flag),
    },
    Key {
        table: "publish",
        name: "min_interval",
        default: r#""5s""#,
        doc: "the least time between two visible changes, 1s to 1h",
        apply: |settings, given| given.duration("1s", "1h").map(|time| settings.publish.min_interval = time),
    },
    Key {
        table: "publish",
        name: "tokens_interval",
        default: r#""15s""#,
        doc: "the least time between two changes when only numbers moved, 1s to 1h",
        apply: |settings, given| {
            given.duration("1s", "1h").map(|time| settings.publish.tokens_interval = time)
        },
    },
    Key {
        table: "publish",
        name: "settle",
        default: r#""60ms""#,
        doc: "how long to wait for a burst of lines to end, from its first line, 0s to 5s",
        apply: |settings, given| given.duration("0s", "5s").map(|time| settings.publish.settle = time),
    },
    Key {
        table: "record",
        name: "enabled",
        default: "false",
        doc: "keep each usage event as a JSON line in the state folder",
        apply: |settings, given| given.flag().map(|flag| settings.record.enabled = flag),
    },
    Key {
        table: "record",
        name: "keep",
        default: r#""12 months""#,
        doc: "for how long, 1d to 100 years",
        apply: |settings, given| given.duration("1d", "100 years").map(|time| settings.record.keep = time),
    },
    Key {
        table: "log",
        name: "level",
        default: r#""info""#,
        doc: r#""error", "warn", "info", "debug", "trace" or "off"; also RUST_LOG, in its form"#,
        apply: |settings, given| given.log_level().map(|level| settings.log.level = level),
    },
];
