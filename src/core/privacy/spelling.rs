//! Makes different texts for one folder comparable, without reading the file system.
//!
//! Only texts are compared here. A shell finds links and worktrees and hands them in as further paths of a folder.
//! Read next: [`super::glob`], which compares.

use unicode_normalization::UnicodeNormalization;

use crate::remote::far;
use crate::source::Agent;

/// Systems that ignore case in every path.
const IGNORES_CASE_HERE: bool = cfg!(any(windows, target_os = "macos"));

/// The text of a folder or a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelling {
    /// The remote that the folder is on.
    pub(super) host: Option<String>,
    /// Names separated by `/`, none at the end, without `.`, `..` and doubled separators, composed.
    pub(super) text: String,
    /// Whether its system ignores case.
    pub(super) ignores_case: bool,
}

impl Spelling {
    /// A path that may name a remote.
    pub(super) fn new(path: &str) -> Self {
        let (host, path) = far::parts(path);
        Self { host: host.map(str::to_owned), ..Self::here(path) }
    }

    /// A path on this machine.
    pub(super) fn here(path: &str) -> Self {
        let composed: String = path.nfc().map(|c| if c == '\\' { '/' } else { c }).collect();
        let text = joined(without_prefix(&composed));
        let is_windows = path.contains('\\') || path.starts_with("//") || drive(&text).is_some();
        let is_macos = ["/users/", "/volumes/"].iter().any(|root| begins(&text, root));
        let ignores_case = IGNORES_CASE_HERE || is_windows || is_macos || wsl_drive(&text).is_some();
        Self { host: None, text, ignores_case }
    }

    /// The text for comparison without case. Windows also ignores dots and blanks at the end of a name.
    pub(super) fn folded(&self) -> String {
        let folded = self.text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc();
        let folded: String = folded.collect();
        let names = folded.split('/').map(|name| name.trim_end_matches(['.', ' ']));
        names.collect::<Vec<_>>().join("/")
    }

    /// The text in decomposed form, as systems write it that keep letters and accents apart.
    pub(super) fn decomposed(&self) -> String {
        self.text.nfd().collect()
    }

    /// Whether the path is absolute.
    pub(super) fn is_absolute(&self) -> bool {
        self.text.is_empty() || self.text.starts_with('/') || drive(&self.text).is_some()
    }

    /// The same folder in WSL's form if this is Windows' form, and the reverse; `None` if there is only one form.
    pub(super) fn twin(&self) -> Option<Self> {
        let text = match (drive(&self.text), wsl_drive(&self.text)) {
            (Some((letter, rest)), _) => format!("/mnt/{}{rest}", letter.to_ascii_lowercase()),
            (None, Some((letter, rest))) => format!("{letter}:{rest}"),
            (None, None) => return None,
        };
        Some(Self { host: self.host.clone(), text, ignores_case: true })
    }

    /// The matching folder of the repository, if this is in a worktree that an agent made.
    pub(super) fn original(&self) -> Option<Self> {
        let mut worktrees = Agent::ALL.into_iter().filter_map(|agent| agent.spec().worktrees);
        let (repository, rest) = worktrees.find_map(|worktrees| self.text.split_once(worktrees))?;
        let below = rest.split_once('/').map(|(_, below)| format!("/{below}")).unwrap_or_default();
        Some(Self { text: format!("{repository}{below}"), ..self.clone() })
    }
}

/// The path without its prefix: `\\?\C:\x`, `\\?\UNC\server\share`, `\\.\C:\x` and `file:///C:/x`. A folder of a WSL
/// system becomes that system's own path. Separators are `/` already.
fn without_prefix(path: &str) -> &str {
    let path = path.strip_prefix("file://").unwrap_or(path);
    let path = match path.strip_prefix("//?/").or_else(|| path.strip_prefix("//./")) {
        Some(bare) if begins(bare, "unc/") => bare.get(3..).unwrap_or(bare),
        Some(bare) => bare,
        None => path,
    };
    // In a URL the drive follows the root.
    let path = path.strip_prefix('/').filter(|rest| drive(rest).is_some()).unwrap_or(path);
    for system in ["//wsl.localhost/", "//wsl$/", "/wsl.localhost/", "/wsl$/"] {
        if begins(path, system) {
            let inside =
                path.get(system.len()..).and_then(|rest| rest.find('/').and_then(|at| rest.get(at..)));
            return inside.unwrap_or("/");
        }
    }
    path
}

/// The names of a path joined by `/`. `..` removes the name before it, if there is one.
fn joined(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match (name, names.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => {
                if drive(last).is_none() {
                    names.pop();
                }
            }
            ("..", None) if is_rooted => {}
            (name, _) => names.push(name),
        }
    }
    let root = if is_rooted && !names.is_empty() { "/" } else { "" };
    format!("{root}{}", names.join("/"))
}

/// The letter and the rest of `C:/x`, with its `/`.
fn drive(text: &str) -> Option<(char, &str)> {
    let letter = text.chars().next().filter(char::is_ascii_alphabetic)?;
    let rest = text.get(1..)?.strip_prefix(':')?;
    (rest.is_empty() || rest.starts_with('/')).then_some((letter, rest))
}

/// The letter and the rest of `/mnt/c/x`, WSL's path for a Windows drive.
fn wsl_drive(text: &str) -> Option<(char, &str)> {
    if !begins(text, "/mnt/") {
        return None;
    }
    let text = text.get(5..)?;
    let letter = text.chars().next().filter(char::is_ascii_alphabetic)?;
    let rest = text.get(1..)?;
    (rest.is_empty() || rest.starts_with('/')).then_some((letter, rest))
}

fn begins(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_comparable() {
        for (path, text) in [
            ("/home/u/app", "/home/u/app"),
            ("//home///u/./app/", "/home/u/app"),
            ("/home/u/../v/app/..", "/home/v"),
            ("/../home", "/home"),
            ("/", ""),
            (r"C:\Users\u", "C:/Users/u"),
            (r"C:\..\x", "C:/x"),
            (r"\\?\C:\Users\u", "C:/Users/u"),
            (r"\\.\C:\Users", "C:/Users"),
            ("file:///C:/Users/u", "C:/Users/u"),
            ("file:///home/u", "/home/u"),
            (r"\\server\share\x", "/server/share/x"),
            (r"\\?\UNC\server\share\x", "/server/share/x"),
            (r"\\wsl.localhost\Ubuntu\home\u", "/home/u"),
            (r"\\wsl$\Ubuntu", ""),
            ("/home/u/cafe\u{301}", "/home/u/caf\u{e9}"),
            ("app", "app"),
            ("../app", "../app"),
            ("../../app", "../../app"),
        ] {
            assert_eq!(Spelling::new(path).text, text, "{path}");
        }
    }

    #[test]
    fn windows_and_wsl_paths_of_a_drive_are_one_folder() {
        let twin = |path: &str| Spelling::new(path).twin().map(|twin| twin.text);
        assert_eq!(twin(r"C:\Users\u").as_deref(), Some("/mnt/c/Users/u"));
        assert_eq!(twin("/mnt/c").as_deref(), Some("c:"));
        assert_eq!(twin("/mnt/data/x"), None);
        assert_eq!(twin("/home/u"), None);
    }

    #[test]
    fn case_counts_only_where_the_system_says_so() {
        for path in [r"C:\x", r"\\server\share", "//server/share", "/mnt/d/x", "/Users/ada/x", "/volumes/x/y"]
        {
            assert!(Spelling::new(path).ignores_case, "{path}");
        }
        for path in ["/home/u", "/mnt/data/x", "app"] {
            assert_eq!(Spelling::new(path).ignores_case, IGNORES_CASE_HERE, "{path}");
        }
        assert_eq!(Spelling::new("/Users/\u{dc}BER. /stra\u{df}e").folded(), "/users/\u{fc}ber/strasse");
    }

    #[test]
    fn a_worktree_of_claude_code_stands_for_its_repository() {
        let original = |path: &str| Spelling::new(path).original().map(|original| original.text);
        assert_eq!(original("/home/u/app/.claude/worktrees/fluffy-cat").as_deref(), Some("/home/u/app"));
        assert_eq!(
            original("/home/u/app/.claude/worktrees/fluffy-cat/src").as_deref(),
            Some("/home/u/app/src")
        );
        assert_eq!(original("/home/u/app/.claude/agents"), None);
    }
}
