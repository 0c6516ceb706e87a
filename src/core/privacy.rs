//! What a card may tell about a session, by its folder and the user's switches.
//!
//! Only decides; it never sees a card. A path comes in to be matched and does not go out again.
//! Read next: [`crate::core::card`], which asks [`allowed`].

use crate::core::settings::{Privacy, PrivacyRule, Show};

/// Which names a card may show beyond agent, activity, model, tokens and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// The project's folder name.
    pub project: bool,
    /// The git branch.
    pub branch: bool,
    /// The name of the file at hand.
    pub file: bool,
}

/// What may be shown where `rule` came out of [`rule_for`]; `None` when there is to be no card at all.
///
/// A rule wins over the switches in both directions; without one the switches decide.
pub fn allowed(privacy: &Privacy, rule: Option<Show>) -> Option<Allowed> {
    match rule {
        None => Some(Allowed { project: privacy.project, branch: privacy.branch, file: privacy.file }),
        Some(Show::Hide) => None,
        Some(Show::Generic) => Some(Allowed::default()),
        Some(Show::Full) => Some(Allowed { project: true, branch: true, file: true }),
    }
}

/// What the most specific rule that matches `cwd` says; `None` when no rule does.
///
/// In a pattern `*` stands for any characters within one folder name, `**` for any across folders and `?`
/// for one character; `/a/**` matches `/a` itself, too. `\` and `/` are the same, trailing and doubled ones
/// do not count, case does. The rule with the most literal characters is the most specific; of equals the later.
pub fn rule_for(rules: &[PrivacyRule], cwd: &str) -> Option<Show> {
    let folder = normal(cwd);
    rules
        .iter()
        .map(|rule| (Glob::new(&rule.path), rule.show))
        .filter(|(glob, _)| glob.matches(&folder))
        // `max_by_key` takes the last of equals.
        .max_by_key(|(glob, _)| glob.literals)
        .map(|(_, show)| show)
}

/// The path with `/` alone between its folders and none at its end.
fn normal(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    for character in path.chars() {
        let character = if character == '\\' { '/' } else { character };
        if character != '/' || !normal.ends_with('/') {
            normal.push(character);
        }
    }
    if normal.ends_with('/') {
        normal.pop();
    }
    normal
}

/// A pattern as a machine that is in several places at once, so that no pattern makes it go back:
/// matching takes at most pattern length times path length steps.
struct Glob {
    steps: Vec<Step>,
    literals: usize,
}

#[derive(Clone, Copy)]
enum Step {
    /// This character.
    Literal(char),
    /// `?`
    One,
    /// `*`
    Within,
    /// `**`
    Across,
    /// The next two steps may be left out: a folder glob also stands for no folder.
    Optional,
}

impl Glob {
    fn new(pattern: &str) -> Self {
        let mut pattern = normal(pattern);
        while pattern.contains("/**/**") {
            pattern = pattern.replace("/**/**", "/**");
        }
        let mut steps = Vec::new();
        let mut literals = 0;
        let mut rest = pattern.as_str();
        while !rest.is_empty() {
            let at_folder_start = matches!(steps.last(), None | Some(Step::Literal('/')));
            if rest == "/**" {
                steps.extend([Step::Optional, Step::Literal('/'), Step::Across]);
                rest = "";
            } else if let Some(after) = rest.strip_prefix("**/").filter(|_| at_folder_start) {
                steps.extend([Step::Optional, Step::Across, Step::Literal('/')]);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("**") {
                steps.push(Step::Across);
                rest = after;
            } else {
                let mut characters = rest.chars();
                match characters.next() {
                    Some('*') => steps.push(Step::Within),
                    Some('?') => steps.push(Step::One),
                    Some(literal) => {
                        steps.push(Step::Literal(literal));
                        literals += 1;
                    }
                    None => {}
                }
                rest = characters.as_str();
            }
        }
        Self { steps, literals }
    }

    fn matches(&self, text: &str) -> bool {
        let mut places = Places::new(self.steps.len());
        places.enter(0);
        self.pass_over(&mut places);
        for character in text.chars() {
            let mut next = Places::new(self.steps.len());
            for (place, step) in self.steps.iter().enumerate().filter(|(place, _)| places.holds(*place)) {
                match step {
                    Step::Literal(literal) if *literal == character => next.enter(place + 1),
                    Step::One if character != '/' => next.enter(place + 1),
                    Step::Within if character != '/' => next.enter(place),
                    Step::Across => next.enter(place),
                    _ => {}
                }
            }
            self.pass_over(&mut next);
            places = next;
        }
        places.holds(self.steps.len())
    }

    /// Enters every place that can be reached without a character. All such ways lead forwards, so one pass will do.
    fn pass_over(&self, places: &mut Places) {
        for (place, step) in self.steps.iter().enumerate() {
            if !places.holds(place) {
                continue;
            }
            match step {
                Step::Within | Step::Across => places.enter(place + 1),
                Step::Optional => {
                    places.enter(place + 1);
                    places.enter(place + 3);
                }
                Step::Literal(_) | Step::One => {}
            }
        }
    }
}

/// Where in its steps a glob may be.
struct Places(Vec<bool>);

impl Places {
    fn new(steps: usize) -> Self {
        Self(vec![false; steps + 1])
    }

    fn enter(&mut self, place: usize) {
        if let Some(held) = self.0.get_mut(place) {
            *held = true;
        }
    }

    fn holds(&self, place: usize) -> bool {
        self.0.get(place).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::new(pattern).matches(&normal(path))
    }

    fn rule(path: &str, show: Show) -> PrivacyRule {
        PrivacyRule { path: path.to_owned(), show }
    }

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("/home/u/clients/**", "/home/u/clients", true),
            ("/home/u/clients/**", "/home/u/clients/", true),
            ("/home/u/clients/**", "/home/u/clients/acme/app", true),
            ("/home/u/clients/**/", "/home/u/clients/acme", true),
            ("/home/u/clients/**", "/home/u/clients2", false),
            ("/home/u/clients/**", "/home/u", false),
            ("/home/u/clients", "/home/u/clients", true),
            ("/home/u/clients", "/home/u/clients/acme", false),
            ("/home/u/*", "/home/u/app", true),
            ("/home/u/*", "/home/u/app/src", false),
            ("/home/u/*", "/home/u", false),
            ("/home/*/app", "/home/u/app", true),
            ("/home/*/app", "/home/u/x/app", false),
            ("/home/**/app", "/home/app", true),
            ("/home/**/app", "/home/u/x/app", true),
            ("/home/**/app", "/home/u/myapp", false),
            ("**/secret", "/home/u/secret", true),
            ("**/secret", "secret", true),
            ("**/secret/**", "/home/secret/x", true),
            ("/home/u/clients**", "/home/u/clients-old/acme", true),
            ("/home/u/app?", "/home/u/app1", true),
            ("/home/u/app?", "/home/u/app", false),
            ("/home/u/app?", "/home/u/app/", false),
            ("/home/u/a*b*c", "/home/u/aXbYc", true),
            ("/home/u/a*b*c", "/home/u/aXc", false),
            ("/home/u/App", "/home/u/app", false),
            (r"C:\Users\u\clients\**", r"C:\Users\u\clients\acme", true),
            ("C:/Users/u/clients/**", r"C:\Users\u\clients", true),
            ("/home//u/", "/home/u", true),
            ("/home/ü/?", "/home/ü/猫", true),
            ("/", "/", true),
            ("/**", "/home", true),
            ("**", "/home/u", true),
            ("/home/**/**", "/home", true),
            ("", "/home/u", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_cannot_take_long() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(2_000).replace("aaaa", "aaab")));
        assert!(!matches(&"**/a".repeat(200), &("a/".repeat(1_000) + "b")));
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let rules = [
            rule("/home/u/clients/acme/**", Show::Full),
            rule("/home/u/**", Show::Generic),
            rule("/home/u/clients/**", Show::Hide),
        ];
        assert_eq!(rule_for(&rules, "/home/u/clients/acme/app"), Some(Show::Full));
        assert_eq!(rule_for(&rules, "/home/u/clients/other"), Some(Show::Hide));
        assert_eq!(rule_for(&rules, "/home/u/app"), Some(Show::Generic));
        assert_eq!(rule_for(&rules, "/srv/app"), None);
        assert_eq!(rule_for(&[], "/srv/app"), None);
    }

    #[test]
    fn of_equally_specific_rules_the_later_wins() {
        let rules =
            [rule("/home/u/*", Show::Full), rule("/home/?/*", Show::Generic), rule("/home/u/*", Show::Hide)];
        assert_eq!(rule_for(&rules, "/home/u/app"), Some(Show::Hide));
    }

    #[test]
    fn a_rule_beats_the_switches_both_ways() {
        let open = Privacy { project: true, branch: true, file: true, rules: Vec::new() };
        let closed = Privacy::default();
        let all = Allowed { project: true, branch: true, file: true };
        assert_eq!(allowed(&open, None), Some(all));
        assert_eq!(allowed(&closed, None), Some(Allowed::default()));
        assert_eq!(allowed(&open, Some(Show::Generic)), Some(Allowed::default()));
        assert_eq!(allowed(&closed, Some(Show::Full)), Some(all));
        assert_eq!(allowed(&open, Some(Show::Hide)), None);
    }
}
