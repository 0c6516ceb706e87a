//! Decides what a card may show of a session, by its folder and the user's settings.
//!
//! It never sees a card. Paths are only matched and never returned. A shell finds other ways to write a folder on
//! this machine (links, worktrees): it answers a [`FolderQuestion`].
//! Read next: `spelling`, which makes paths comparable; [`crate::card`], which uses [`Allowed`].

mod glob;
mod spelling;

use std::collections::BTreeMap;

use crate::settings::{Privacy, PrivacyRule, Show};
use glob::{Folder, Pattern};
use spelling::Spelling;

/// Which names a card may show beyond agent, activity, model, tokens and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// The project's folder name.
    pub project: bool,
    /// The git branch.
    pub branch: bool,
    /// The name of the current file.
    pub file: bool,
}

impl Allowed {
    /// Every name allowed.
    pub const ALL: Self = Self { project: true, branch: true, file: true };

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        Self {
            project: self.project && other.project,
            branch: self.branch && other.branch,
            file: self.file && other.file,
        }
    }
}

/// What may be shown of a session if the rules give `rule`; `None` for no card.
///
/// A rule overrides the switches in both directions; without a rule the switches decide.
pub fn allowed(privacy: &Privacy, rule: Option<Show>) -> Option<Allowed> {
    match rule {
        None => Some(Allowed { project: privacy.project, branch: privacy.branch, file: privacy.file }),
        Some(Show::Hide) => None,
        Some(Show::Generic) => Some(Allowed::default()),
        Some(Show::Full) => Some(Allowed::ALL),
    }
}

/// What a shell has to find out on this machine.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FolderQuestion {
    /// Folders of sessions, of which other paths and the repository of a worktree are wanted.
    pub folders: Vec<String>,
    /// Patterns of rules, of which the targets of links are wanted.
    pub patterns: Vec<String>,
}

/// A shell's answer to a [`FolderQuestion`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FolderAnswer {
    /// Other paths of each folder in the question; `None` if they could not be found out.
    pub folders: BTreeMap<String, Option<Vec<String>>>,
    /// Further patterns of each pattern in the question.
    pub patterns: BTreeMap<String, LinkedPatterns>,
}

/// Further patterns of one pattern.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LinkedPatterns {
    /// Patterns for the same folders.
    pub same: Vec<String>,
    /// Targets of links that lie within the pattern. They may hide, but never show more.
    pub within: Vec<String>,
}

impl std::fmt::Debug for FolderQuestion {
    /// Prints no folder, because the text may get into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FolderQuestion({} folders, {} patterns)", self.folders.len(), self.patterns.len())
    }
}

impl std::fmt::Debug for FolderAnswer {
    /// Prints no folder, because the text may get into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FolderAnswer({} folders, {} patterns)", self.folders.len(), self.patterns.len())
    }
}

impl FolderQuestion {
    /// An answer in which nothing could be found out.
    pub fn unknown(&self) -> FolderAnswer {
        let folders = self.folders.iter().map(|folder| (folder.clone(), None));
        FolderAnswer { folders: folders.collect(), patterns: BTreeMap::new() }
    }

    /// The answer of a machine without links and worktrees.
    pub fn as_written(&self) -> FolderAnswer {
        let folders = self.folders.iter().map(|folder| (folder.clone(), Some(Vec::new())));
        FolderAnswer { folders: folders.collect(), patterns: BTreeMap::new() }
    }
}

/// The pattern for one name.
#[derive(Debug)]
pub struct NamePattern(Pattern);

impl NamePattern {
    /// The part of a pattern between two separators.
    pub fn new(part: &str) -> Self {
        Self(Pattern::exactly(part))
    }

    /// Whether the name of a folder matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(&Folder::new(Spelling::here(name)))
    }
}

/// All ways to write a folder that follow from its text alone. The decomposed form is one of them, because some
/// systems treat it as another name.
pub fn spellings(path: &str) -> Vec<String> {
    let own = Spelling::here(path);
    let twin = own.twin();
    let ways = std::iter::once(own).chain(twin);
    ways.flat_map(|way| [way.decomposed(), way.text]).collect()
}

/// The rules and switches of one or more settings. A name is shown only if all of them allow it.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    switches: Privacy,
    rules: Vec<Rule>,
}

/// One rule with all patterns for it.
#[derive(Debug, Clone)]
struct Rule {
    patterns: Vec<Pattern>,
    show: Show,
}

impl Policy {
    /// The policy of these settings; `others` has further patterns for those of the rules.
    pub fn new<'a>(
        privacy: impl IntoIterator<Item = &'a Privacy>,
        others: &BTreeMap<String, LinkedPatterns>,
    ) -> Self {
        let rule = |rule: &PrivacyRule| {
            let leads = others.get(&rule.path).into_iter();
            let others = leads.flat_map(|leads| {
                let within = leads.within.iter().filter(|_| rule.show != Show::Full);
                leads.same.iter().chain(within)
            });
            let others = others.map(|other| Pattern::exactly(other));
            let patterns = std::iter::once(Pattern::new(&rule.path)).chain(others);
            Rule { patterns: patterns.collect(), show: rule.show }
        };
        let layer = |privacy: &Privacy| Layer {
            switches: Privacy { rules: Vec::new(), ..privacy.clone() },
            rules: privacy.rules.iter().map(rule).collect(),
        };
        Self { layers: privacy.into_iter().map(layer).collect() }
    }

    /// Whether the result depends on folders.
    pub fn has_rules(&self) -> bool {
        self.layers.iter().any(|layer| !layer.rules.is_empty())
    }

    /// What may be shown of a session in `folder`; `others` are other paths of it. `None` for no card.
    pub fn allows(&self, folder: &str, others: &[String]) -> Option<Allowed> {
        if !self.has_rules() {
            return self.all(|_| None);
        }
        let own = Spelling::new(folder);
        if !own.is_absolute() {
            return self.allows_unknown();
        }
        let ways = std::iter::once(own).chain(others.iter().map(|other| Spelling::here(other)));
        let ways: Vec<Folder> = ways
            .flat_map(|way| {
                let original = way.original();
                std::iter::once(way).chain(original)
            })
            .map(Folder::new)
            .collect();
        self.all(|layer| ways.iter().filter_map(|way| layer.allows(way)).min_by_key(strictness))
    }

    /// What may be shown of a session whose folder is not known: every rule that hides applies.
    pub fn allows_unknown(&self) -> Option<Allowed> {
        self.all(|layer| {
            let any = |show: Show| layer.rules.iter().any(|rule| rule.show == show);
            let everywhere = layer.rules.iter().rev().find(|rule| rule.is_everything());
            match everywhere.map(|rule| rule.show) {
                _ if any(Show::Hide) => Some(Show::Hide),
                _ if any(Show::Generic) => Some(Show::Generic),
                everywhere => everywhere,
            }
        })
    }

    fn all(&self, says: impl Fn(&Layer) -> Option<Show>) -> Option<Allowed> {
        let mut together = Allowed::ALL;
        for layer in &self.layers {
            together = together.and(allowed(&layer.switches, says(layer))?);
        }
        Some(together)
    }
}

impl Layer {
    /// What the most specific rule that matches the folder allows; `None` if no rule matches.
    ///
    /// The pattern with the most literal characters is the most specific; of equal ones the later wins.
    fn allows(&self, way: &Folder) -> Option<Show> {
        let specific = |rule: &Rule| {
            let matching = rule.patterns.iter().filter(|pattern| pattern.matches(way));
            matching.map(Pattern::literals).max()
        };
        let matching = self.rules.iter().filter_map(|rule| Some((specific(rule)?, rule.show)));
        // `max_by_key` returns the last of equals.
        matching.max_by_key(|(literals, _)| *literals).map(|(_, show)| show)
    }
}

impl Rule {
    fn is_everything(&self) -> bool {
        self.patterns.iter().any(Pattern::is_everything)
    }
}

/// The lower, the less is shown.
fn strictness(show: &Show) -> u8 {
    match show {
        Show::Hide => 0,
        Show::Generic => 1,
        Show::Full => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[(&str, Show)]) -> Policy {
        linked(rules, &[])
    }

    fn linked(rules: &[(&str, Show)], others: &[(&str, &str)]) -> Policy {
        let rules = rules.iter().map(|(path, show)| PrivacyRule { path: (*path).to_owned(), show: *show });
        let privacy = Privacy { project: true, rules: rules.collect(), ..Privacy::default() };
        let leads =
            |other: &str| LinkedPatterns { same: vec![other.to_owned()], within: vec!["/in".to_owned()] };
        let others = others.iter().map(|(path, other)| ((*path).to_owned(), leads(other)));
        Policy::new([&privacy], &others.collect())
    }

    const SWITCHES: Option<Allowed> = Some(Allowed { project: true, branch: false, file: false });
    const GENERIC: Option<Allowed> = Some(Allowed { project: false, branch: false, file: false });
    const FULL: Option<Allowed> = Some(Allowed::ALL);

    #[test]
    fn the_most_specific_rule_wins() {
        let policy = policy(&[
            ("/home/u/clients/acme/**", Show::Full),
            ("/home/u/**", Show::Generic),
            ("/home/u/clients", Show::Hide),
        ]);
        assert_eq!(policy.allows("/home/u/clients/acme/app", &[]), FULL);
        assert_eq!(policy.allows("/home/u/clients/other", &[]), None);
        assert_eq!(policy.allows("/home/u/app", &[]), GENERIC);
        assert_eq!(policy.allows("/srv/app", &[]), SWITCHES);
    }

    #[test]
    fn of_equally_specific_rules_the_later_wins() {
        let policy =
            policy(&[("/home/u/*", Show::Full), ("/home/?/*", Show::Generic), ("/home/u/*", Show::Hide)]);
        assert_eq!(policy.allows("/home/u/app", &[]), None);
    }

    #[test]
    fn of_two_paths_of_a_folder_the_stricter_counts() {
        let policy =
            policy(&[("/data/acme", Show::Hide), ("/home/u/open", Show::Full), ("/x", Show::Generic)]);
        let others = |others: &[&str]| others.iter().map(|other| (*other).to_owned()).collect::<Vec<_>>();
        assert_eq!(policy.allows("/home/u/open/a", &others(&["/data/acme/a"])), None);
        assert_eq!(policy.allows("/data/acme/a", &others(&["/home/u/open/a"])), None);
        assert_eq!(policy.allows("/home/u/open/a", &others(&["/x/a"])), GENERIC);
        // A path that no rule matches does not count.
        assert_eq!(policy.allows("/home/u/open/a", &others(&["/srv/a"])), FULL);
        assert_eq!(policy.allows("/srv/app/.claude/worktrees/x/a", &others(&["/data/acme"])), None);
    }

    #[test]
    fn a_rule_holds_at_the_targets_of_its_links() {
        let rules = [("/home/u/clients/**", Show::Hide), ("/home/u/clients/open/**", Show::Full)];
        let others = [
            ("/home/u/clients/**", "/data/clients/**"),
            ("/home/u/clients/open/**", "/data/clients/open/**"),
        ];
        let policy = linked(&rules, &others);
        assert_eq!(policy.allows("/data/clients/acme", &[]), None);
        assert_eq!(policy.allows("/in", &[]), None);
        assert_eq!(policy.allows("/data/clients/open/x", &[]), FULL);
        let open = linked(&[("/open", Show::Full)], &[("/open", "/data/open/**")]);
        assert_eq!(open.allows("/data/open/x", &[]), FULL);
        assert_eq!(open.allows("/in", &[]), SWITCHES, "a link opens nothing");
        assert_eq!(policy.allows("/home/u/clients/open", &["/data/clients/open".to_owned()]), FULL);
    }

    #[test]
    fn a_folder_on_a_remote_is_under_its_own_rules_and_under_plain_ones() {
        let rules = [
            ("devbox:/srv/app/**", Show::Hide),
            ("/srv/**", Show::Generic),
            ("/open", Show::Full),
            ("laptop:**", Show::Full),
        ];
        let policy = linked(&rules, &[("/open", "/data/open/**")]);
        assert_eq!(policy.allows("devbox:/srv/app/x", &[]), None);
        assert_eq!(policy.allows("devbox:/srv/other", &[]), GENERIC);
        assert_eq!(policy.allows("/srv/app/x", &[]), GENERIC, "here is no devbox");
        assert_eq!(policy.allows("devbox:/open/x", &[]), FULL, "as written");
        assert_eq!(policy.allows("devbox:/data/open/x", &[]), SWITCHES, "a link here leads nowhere there");
        assert_eq!(policy.allows("/data/open/x", &[]), FULL);
        assert_eq!(policy.allows("laptop:/home/u", &[]), FULL);
        assert_eq!(policy.allows("laptop:app", &[]), None, "a relative folder is not known");
        let same = super::tests::policy(&[("devbox:/a", Show::Full), ("/a", Show::Hide)]);
        assert_eq!(same.allows("devbox:/a/b", &[]), FULL, "the one that names the machine is about less");
        let far_windows = super::tests::policy(&[(r"win:C:\Work", Show::Hide)]);
        assert_eq!(far_windows.allows("win:c:/work/x", &[]), None);
        assert_eq!(far_windows.allows("win:/mnt/c/work/x", &[]), None);
        assert_eq!(far_windows.allows("c:/work/x", &[]), SWITCHES);
    }

    #[test]
    fn a_worktree_of_claude_code_is_under_the_rules_of_its_repository() {
        let policy = policy(&[("/home/u/*", Show::Hide)]);
        assert_eq!(policy.allows("/home/u/app/.claude/worktrees/fluffy-cat", &[]), None);
    }

    #[test]
    fn an_unknown_folder_is_under_every_rule_that_hides() {
        let check = |rules: &[(&str, Show)], expected| {
            assert_eq!(policy(rules).allows_unknown(), expected, "{rules:?}");
            assert_eq!(policy(rules).allows("app", &[]), expected, "a relative folder: {rules:?}");
        };
        check(&[], SWITCHES);
        check(&[("/a/**", Show::Full)], SWITCHES);
        check(&[("**", Show::Full)], FULL);
        check(&[("**", Show::Full), ("/a", Show::Generic)], GENERIC);
        check(&[("**", Show::Full), ("/a", Show::Hide)], None);
        check(&[("**", Show::Hide), ("/a", Show::Full)], None);
    }

    #[test]
    fn all_settings_have_to_allow_it() {
        let of = |project, path: &str, show| Privacy {
            project,
            rules: vec![PrivacyRule { path: path.to_owned(), show }],
            ..Privacy::default()
        };
        let (one, other) = (of(true, "/a", Show::Hide), of(false, "/b", Show::Hide));
        let policy = Policy::new([&one, &other], &BTreeMap::new());
        assert_eq!(policy.allows("/a", &[]), None);
        assert_eq!(policy.allows("/b", &[]), None);
        assert_eq!(policy.allows("/c", &[]), GENERIC);
        assert!(policy.has_rules());
    }

    #[test]
    fn a_rule_beats_the_switches_both_ways() {
        let open = Privacy { project: true, branch: true, file: true, rules: Vec::new() };
        let closed = Privacy::default();
        assert_eq!(allowed(&open, None), FULL);
        assert_eq!(allowed(&closed, None), GENERIC);
        assert_eq!(allowed(&open, Some(Show::Generic)), GENERIC);
        assert_eq!(allowed(&closed, Some(Show::Full)), FULL);
        assert_eq!(allowed(&open, Some(Show::Hide)), None);
    }
}
