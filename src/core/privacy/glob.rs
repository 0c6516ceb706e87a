//! Patterns for folders: `*` within a name, `**` across folders, `?` for one character.
//!
//! A glob is matched as a state machine without backtracking: a match takes at most pattern length times path length
//! steps.

use super::spelling::Spelling;

/// A pattern, as written and with folded case.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    exact: Glob,
    folded: Glob,
    ignores_case: bool,
    machine: Machine,
}

/// The machines for which a pattern holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Machine {
    Any,
    This,
    Remote(String),
}

impl Pattern {
    /// A pattern for a folder; without a wildcard it also matches everything below the folder.
    pub(super) fn new(pattern: &str) -> Self {
        let mut spelling = Spelling::new(pattern);
        if !spelling.text.contains(['*', '?']) {
            spelling.text.push_str("/**");
        }
        let machine = spelling.host.take().map_or(Machine::Any, Machine::Remote);
        Self::of(&spelling, machine)
    }

    /// A pattern for exactly this folder on this machine.
    pub(super) fn exactly(pattern: &str) -> Self {
        Self::of(&Spelling::here(pattern), Machine::This)
    }

    fn of(spelling: &Spelling, machine: Machine) -> Self {
        Self {
            machine,
            exact: Glob::new(&spelling.text),
            folded: Glob::new(&spelling.folded()),
            ignores_case: spelling.ignores_case,
        }
    }

    /// The number of literal characters.
    pub(super) fn literals(&self) -> usize {
        match &self.machine {
            Machine::Any | Machine::This => self.exact.literals,
            // Of two equal patterns, the one that names the machine is more specific.
            Machine::Remote(name) => self.exact.literals + name.len() + 1,
        }
    }

    /// Whether it matches every folder.
    pub(super) fn is_everything(&self) -> bool {
        self.machine == Machine::Any
            && self.exact.literals == 0
            && matches!(
                *self.exact.steps,
                [Step::Across] | [Step::Optional, Step::Literal('/'), Step::Across]
            )
    }

    pub(super) fn matches(&self, folder: &Folder) -> bool {
        let holds_there = match &self.machine {
            Machine::Any => true,
            Machine::This => folder.host.is_none(),
            Machine::Remote(name) => folder.host.as_ref() == Some(name),
        };
        holds_there
            && folder.spellings.iter().any(|spelling| {
                if self.ignores_case || spelling.ignores_case {
                    self.folded.matches(&spelling.folded)
                } else {
                    self.exact.matches(&spelling.text)
                }
            })
    }
}

/// One path of a folder, prepared for comparison with patterns.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    host: Option<String>,
    spellings: Vec<Compared>,
}

#[derive(Debug, Clone)]
struct Compared {
    text: String,
    folded: String,
    ignores_case: bool,
}

impl Folder {
    pub(super) fn new(spelling: Spelling) -> Self {
        let twin = spelling.twin();
        let compared = |spelling: Spelling| Compared {
            folded: spelling.folded(),
            ignores_case: spelling.ignores_case,
            text: spelling.text,
        };
        let host = spelling.host.clone();
        Self { host, spellings: std::iter::once(spelling).chain(twin).map(compared).collect() }
    }
}

#[derive(Debug, Clone)]
struct Glob {
    /// The literal text at the beginning of every match.
    prefix: String,
    steps: Vec<Step>,
    literals: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// This character.
    Literal(char),
    /// `?`
    One,
    /// `*`
    Within,
    /// `**`
    Across,
    /// The next two steps are optional: a folder glob also matches no folder.
    Optional,
}

impl Glob {
    fn new(pattern: &str) -> Self {
        let mut pattern = pattern.to_owned();
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
        let own = steps.iter().map_while(|step| match step {
            Step::Literal(literal) => Some(*literal),
            _ => None,
        });
        Self { prefix: own.collect(), steps, literals }
    }

    fn matches(&self, text: &str) -> bool {
        // A quick check, because most rules do not match a folder.
        if !text.starts_with(&self.prefix) {
            return false;
        }
        let mut places = GlobStates::new(self.steps.len());
        places.enter(0);
        self.pass_over(&mut places);
        for character in text.chars() {
            let mut next = GlobStates::new(self.steps.len());
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

    /// Enters every state that is reached without a character. All these transitions lead forwards, so one pass is
    /// enough.
    fn pass_over(&self, places: &mut GlobStates) {
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

/// The set of steps that a match has reached.
struct GlobStates(Vec<bool>);

impl GlobStates {
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
        Pattern::new(pattern).matches(&Folder::new(Spelling::new(path)))
    }

    #[test]
    fn patterns_match_within_and_across_folders() {
        for (pattern, path, expected) in [
            ("/home/u/clients/**", "/home/u/clients", true),
            ("/home/u/clients/**", "/home/u/clients/", true),
            ("/home/u/clients/**", "/home/u/clients/acme/app", true),
            ("/home/u/clients/**/", "/home/u/clients/acme", true),
            ("/home/u/clients/**", "/home/u/clients2", false),
            ("/home/u/clients/**", "/home/u", false),
            ("/home/u/clients", "/home/u/clients", true),
            ("/home/u/clients", "/home/u/clients/acme", true),
            ("/home/u/clients/", "/home/u/clients/acme", true),
            ("/home/u/clients", "/home/u/clients2", false),
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
            (r"C:\Users\u\clients\**", r"C:\Users\u\clients\acme", true),
            ("C:/Users/u/clients/**", r"C:\Users\u\clients", true),
            ("/home//u/", "/home/u", true),
            ("/home/ü/?", "/home/ü/猫", true),
            ("/", "/", true),
            ("/", "/home/u", true),
            ("/**", "/home", true),
            ("**", "/home/u", true),
            ("/home/**/**", "/home", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_folder_matches_in_every_form() {
        for (pattern, path) in [
            ("/home/u/./clients/../clients", "/home//u/clients/acme/"),
            ("/home/u/clients", "/home/u/app/../clients/acme"),
            ("c:/work/**", r"C:\Work\Acme"),
            (r"C:\Work", r"\\?\c:\WORK\acme"),
            (r"C:\work", "/mnt/c/Work/acme"),
            ("/mnt/c/work", r"C:\Work\acme"),
            ("/mnt/*/work/*", r"D:\Work\acme"),
            (r"\\server\share\work", r"\\?\UNC\Server\Share\Work\acme"),
            (r"\\wsl.localhost\Ubuntu\home\u\work", "/home/u/work/acme"),
            ("/home/u/work", r"\\wsl$\Ubuntu\home\u\work\acme"),
            (r"C:\work", r"\\wsl.localhost\Ubuntu\mnt\c\work\x"),
            ("/Users/Ada/Clients", "/users/ada/clients/acme"),
            ("/Users/ada/CAFE\u{301}", "/Users/ada/caf\u{e9}/x"),
            ("/home/u/caf\u{e9}", "/home/u/cafe\u{301}/x"),
            (r"C:\work", r"C:\work. \acme"),
            ("**/secret/**", r"C:\x\SECRET\y"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("/home/u/Work", "/home/u/work"), ("/home/u/work", "/mnt/c/work"), ("/srv", "/sr")]
        {
            let expected = cfg!(any(windows, target_os = "macos")) && pattern == "/home/u/Work";
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn matching_takes_bounded_time() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(2_000).replace("aaaa", "aaab")));
        assert!(!matches(&"**/a".repeat(200), &("a/".repeat(1_000) + "b")));
    }

    #[test]
    fn a_pattern_for_every_folder_is_recognised() {
        for (pattern, expected) in [("**", true), ("/**", true), ("/", true), ("/a", false), ("*", false)] {
            assert_eq!(Pattern::new(pattern).is_everything(), expected, "{pattern}");
        }
    }
}
