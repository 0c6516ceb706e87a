//! `[sources]`: which agents' session files are read, and from which folders.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::source::Agent;

/// The settings of every agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sources(BTreeMap<Agent, Source>);

/// The settings of one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Whether its sessions are read.
    pub is_read: bool,
    /// Its homes; empty for the usual ones.
    pub homes: Vec<PathBuf>,
    /// The names that the user gave to some of them.
    pub names: BTreeMap<PathBuf, String>,
    /// Whether its own server is used.
    pub is_live: bool,
}

static USUAL: Source = Source { is_read: true, homes: Vec::new(), names: BTreeMap::new(), is_live: false };

impl Default for Sources {
    fn default() -> Self {
        Self(Agent::ALL.map(|agent| (agent, USUAL.clone())).into())
    }
}

impl Sources {
    /// The settings of each agent, in the agents' order.
    pub fn iter(&self) -> impl Iterator<Item = (Agent, &Source)> {
        self.0.iter().map(|(agent, source)| (*agent, source))
    }

    /// The settings of an agent.
    pub fn of(&self, agent: Agent) -> &Source {
        self.0.get(&agent).unwrap_or(&USUAL)
    }

    /// The settings of an agent, to be changed.
    pub fn of_mut(&mut self, agent: Agent) -> &mut Source {
        self.0.entry(agent).or_insert_with(|| USUAL.clone())
    }

    /// The name that the user gave to a home of an agent.
    pub fn name_of(&self, agent: Agent, home: &str) -> Option<&str> {
        let mut names = self.of(agent).names.iter();
        names.find(|(path, _)| path.to_string_lossy() == home).map(|(_, name)| name.as_str())
    }

    /// Changes the settings of the agent that has this key.
    pub(crate) fn of_key(&mut self, key: &str, set: impl FnOnce(&mut Source)) {
        let is_it = |(agent, _): &(&Agent, &mut Source)| {
            [agent.word(), agent.spec().homes.key].contains(&key) || agent.live_key() == Some(key)
        };
        if let Some((_, source)) = self.0.iter_mut().find(is_it) {
            set(source);
        }
    }

    /// What both read.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.iter().map(|(agent, source)| (agent, source.and(other.of(agent)))).collect())
    }
}

impl Source {
    fn and(&self, other: &Self) -> Self {
        let Self { is_read, homes, names, is_live } = self;
        let common = homes.iter().filter(|home| other.homes.contains(home)).cloned();
        // An empty list means the usual homes, and their paths are not known here.
        let common =
            Some(common.collect()).filter(|common: &Vec<_>| homes == &other.homes || !common.is_empty());
        Self {
            is_read: *is_read && other.is_read && common.is_some(),
            homes: common.unwrap_or_else(|| homes.clone()),
            names: names.clone(),
            is_live: *is_live && other.is_live,
        }
    }
}

fn names_key(agent: Agent) -> String {
    format!("{}_names", agent.spec().homes.key)
}

/// The form for a handover between daemons: the keys of the settings file.
impl Serialize for Sources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Value<'a> {
            Flag(bool),
            Homes(&'a [PathBuf]),
            Names(&'a BTreeMap<PathBuf, String>),
        }

        serializer.collect_map(self.iter().flat_map(|(agent, source)| {
            let live = agent.live_key().map(|key| (key.to_owned(), Value::Flag(source.is_live)));
            // A key of its own, because an earlier version does not read names.
            let names = Some((names_key(agent), Value::Names(&source.names)));
            let usual = [
                (agent.word().to_owned(), Value::Flag(source.is_read)),
                (agent.spec().homes.key.to_owned(), Value::Homes(&source.homes)),
            ];
            usual.into_iter().chain(names.filter(|_| !source.names.is_empty())).chain(live)
        }))
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
        let mut sources = Self::default();
        for (&agent, source) in &mut sources.0 {
            if let Some(value) = values.remove(agent.word()) {
                source.is_read = serde_json::from_value(value).map_err(D::Error::custom)?;
            }
            if let Some(value) = values.remove(agent.spec().homes.key) {
                source.homes = serde_json::from_value(value).map_err(D::Error::custom)?;
            }
            if let Some(value) = values.remove(&names_key(agent)) {
                source.names = serde_json::from_value(value).map_err(D::Error::custom)?;
            }
            if let Some(value) = agent.live_key().and_then(|key| values.remove(key)) {
                source.is_live = serde_json::from_value(value).map_err(D::Error::custom)?;
            }
        }
        Ok(sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handover_form_has_the_keys_of_the_settings_file() {
        let text = r#"{"codex":false,"codex_home":["/a"],"codex_home_names":{"/a":"work"},"codex_live":true,"claude":true,"claude_home":[]}"#;
        let sources: Sources = serde_json::from_str(text).unwrap();
        let mut expected = Sources::default();
        *expected.of_mut(Agent::CODEX) = Source {
            is_read: false,
            homes: vec!["/a".into()],
            names: [("/a".into(), "work".to_owned())].into(),
            is_live: true,
        };
        assert_eq!(sources, expected);
        assert!(serde_json::to_string(&sources).unwrap().starts_with(text.trim_end_matches('}')));
        // Of another version.
        let read = |text| serde_json::from_str::<Sources>(text).ok();
        assert_eq!(
            read(r#"{"codex":false,"another":{"a":[1]},"codex_home":["/a"],"codex_live":true}"#),
            Some({
                expected.of_mut(Agent::CODEX).names.clear();
                expected
            }),
            "without names"
        );
        assert_eq!(read("{}"), Some(Sources::default()));
        assert_eq!(
            read(r#"{"claude":"no"}"#),
            None,
            "a switch that cannot be read must not turn a source on"
        );
    }
}
