//! Combines two settings into what both allow, and compares which shows more.
//!
//! Every field is listed, so a new one cannot be forgotten here.
//! Read next: the engine's `in_force`, which keeps the stricter settings for a while.

use super::{Card, Clients, Discord, Privacy, Settings};
use crate::template::Template;

impl Settings {
    /// These settings, restricted to what `other` also shows. Values that show neither more nor less stay, and so do
    /// rules: whether a rule shows more depends on the folder.
    pub fn and(&self, other: &Self) -> Self {
        let Self { discord, card, tokens, sources, remotes, privacy, publish, record, log, withheld } = self;
        Self {
            discord: discord.and(&other.discord),
            card: card.and(&other.card),
            tokens: tokens.clone(),
            sources: sources.and(&other.sources),
            remotes: common(remotes, &other.remotes),
            privacy: privacy.and(&other.privacy),
            publish: publish.clone(),
            record: record.clone(),
            log: log.clone(),
            withheld: *withheld || other.withheld,
        }
    }

    /// Whether these show more than `other` does, in any respect.
    pub fn show_more_than(&self, other: &Self) -> bool {
        self.and(other) != *self || self.privacy.rules != other.privacy.rules
    }
}

impl Discord {
    fn and(&self, other: &Self) -> Self {
        let Self { application_id, clients, large_image, member_list } = self;
        let is_nowhere = other.application_id.is_empty();
        Self {
            application_id: if is_nowhere { String::new() } else { application_id.clone() },
            clients: match (clients, &other.clients) {
                (Clients::All, clients) | (clients, Clients::All) => clients.clone(),
                (Clients::Only(own), Clients::Only(others)) => Clients::Only(common(own, others)),
            },
            large_image: large_image.clone(),
            member_list: *member_list,
        }
    }
}

impl Card {
    fn and(&self, other: &Self) -> Self {
        let Self { details, state, idle_after, icons } = self;
        let words = |card: &Self| -> Vec<_> {
            [&card.details, &card.state].into_iter().flat_map(Template::words).collect()
        };
        let others = words(other);
        let shows_more = words(self).into_iter().any(|word| !others.contains(&word));
        let lines = if shows_more { other } else { self };
        Self {
            details: if shows_more { lines.details.clone() } else { details.clone() },
            state: if shows_more { lines.state.clone() } else { state.clone() },
            idle_after: (*idle_after).min(other.idle_after),
            // Icons show the activity, even if the lines do not.
            icons: *icons && other.icons,
        }
    }
}

impl Privacy {
    fn and(&self, other: &Self) -> Self {
        let Self { project, branch, file, rules } = self;
        Self {
            project: *project && other.project,
            branch: *branch && other.branch,
            file: *file && other.file,
            rules: rules.clone(),
        }
    }
}

fn common<T: Clone + PartialEq>(own: &[T], others: &[T]) -> Vec<T> {
    own.iter().filter(|one| others.contains(one)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::{Source, of_text as settings};
    use crate::source::Agent;

    /// Asserts that `more` shows more than `less`, and that both together allow `less`.
    #[track_caller]
    fn check(less: &str, more: &str) {
        let (less, more) = (settings(less), settings(more));
        assert!(more.show_more_than(&less), "{more:?}");
        assert!(!less.show_more_than(&less));
        if more.privacy.rules == less.privacy.rules {
            assert!(!less.show_more_than(&more), "{less:?}");
            assert_eq!(more.and(&less), less);
            assert_eq!(less.and(&more), less);
        }
    }

    #[test]
    fn settings_that_show_more_are_recognised() {
        check("", "[privacy]\nproject = true");
        check("[privacy]\nbranch = true", "[privacy]\nbranch = true\nfile = true");
        check("[card]\nstate = \"{tokens}\"", "");
        check("[card]\nidle_after = \"1m\"", "");
        check("[discord]\nclients = [\"/a\"]", "");
        check("[discord]\nclients = [\"/a\"]", "[discord]\nclients = [\"/a\", \"/b\"]");
        check("[sources]\ncodex = false", "");
        check("", "[[remote]]\nname = \"devbox\"\ncommand = [\"ssh\", \"devbox\"]");
        check("[sources]\nclaude_home = [\"/a\"]", "[sources]\nclaude_home = [\"/a\", \"/b\"]");
        check("[[privacy.rule]]\npath = \"/a\"\nshow = \"hide\"", "");
    }

    #[test]
    fn changes_that_show_neither_more_nor_less_apply_at_once() {
        let before = settings("");
        for text in [
            "[publish]\nmin_interval = \"1s\"",
            "[log]\nlevel = \"debug\"",
            "[tokens]\ncount = \"all\"",
            "[card]\ndetails = \"{model} at work\"",
        ] {
            assert!(!settings(text).show_more_than(&before), "{text}");
            assert_eq!(settings(text).and(&before), settings(text), "{text}");
        }
    }

    #[test]
    fn no_home_is_read_that_only_one_of_both_names() {
        let both = settings("[sources]\ncodex_home = [\"/a\"]").and(&settings("")).sources;
        assert!(!both.of(Agent::CODEX).is_read && both.of(Agent::CLAUDE).is_read);
        let both = settings("[sources]\ncodex_home = [\"/a\", \"/b\"]")
            .and(&settings("[sources]\ncodex_home = [\"/b\", \"/c\"]"));
        let both = both.sources.of(Agent::CODEX).clone();
        assert_eq!(
            both,
            Source { homes: vec!["/b".into()], ..settings("").sources.of(Agent::CODEX).clone() }
        );
    }

    #[test]
    fn settings_that_show_nothing_show_less_than_any() {
        let nowhere = Settings { discord: Discord::default(), ..settings("") };
        assert!(settings("").show_more_than(&nowhere));
        let withheld = Settings { withheld: true, ..settings("") };
        assert!(settings("").show_more_than(&withheld) && settings("").and(&withheld).withheld);
        let longer = Card { idle_after: Duration::from_secs(3600), ..Card::default() };
        assert_eq!(longer.and(&Card::default()), Card::default());
    }
}
