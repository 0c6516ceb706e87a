//! Folders on other machines: `devbox:/srv/app` is the remote's name and its path on the remote.
//!
//! A name has at least two letters, unlike a drive, and is not the scheme of a URL.

use std::sync::Arc;

/// The longest name of a remote, in bytes.
pub const LONGEST_NAME: usize = 64;

/// Whether a text is a valid name for a remote.
pub fn is_name(text: &str) -> bool {
    (2..=LONGEST_NAME).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// A path on a remote, with the remote's name.
pub fn named(name: &str, path: &str) -> Arc<str> {
    format!("{name}:{path}").into()
}

/// The remote's name, if the path has one, and the path on it.
pub fn parts(path: &str) -> (Option<&str>, &str) {
    match path.split_once(':') {
        Some((name, rest)) if is_name(name) && !rest.starts_with("//") => (Some(name), rest),
        _ => (None, path),
    }
}

/// Whether a path is on a remote; this machine cannot resolve such a path.
pub fn is_far(path: &str) -> bool {
    parts(path).0.is_some()
}

/// Whether a path begins with a drive letter of Windows.
pub fn is_drive(path: &str) -> bool {
    let mut characters = path.chars();
    characters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
        && characters.next() == Some(':')
        && characters.next().is_some_and(|slash| matches!(slash, '/' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_or_a_url_is_on_no_remote() {
        for path in
            ["C:/x", r"C:\x", "/srv/a:b", "file:///x", "vscode-remote://wsl/x", "app", "", ":x", "-a:/x"]
        {
            assert_eq!(parts(path), (None, path));
        }
        for (name, path) in [("devbox", "/srv/app"), ("win.1", r"C:\x"), ("devbox", ""), ("d_b", "C:/x")] {
            assert_eq!(parts(&named(name, path)), (Some(name), path));
        }
    }
}
