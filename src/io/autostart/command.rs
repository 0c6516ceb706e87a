//! The command of a login entry: the path of this program to write down, and its arguments.

use std::path::{Component, Path, PathBuf};

use crate::error::Failure;
use crate::io::real_path::is_same;

/// A program and its arguments, before they get a system's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginCommand {
    /// The program's absolute path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl LoginCommand {
    /// `program run`, with `--config` if there is one; if `agent-presencew.exe` is beside the program, that is used
    /// instead.
    ///
    /// # Errors
    /// A path that no entry can hold: not Unicode, or with control characters.
    pub fn new(program: &Path, config: Option<&Path>) -> Result<Self, Failure> {
        let launcher = program.with_file_name("agent-presencew.exe");
        let launcher = (program.extension().is_some_and(|end| end == "exe") && launcher.is_file())
            .then_some(launcher.as_path());
        // The launcher adds `run` itself.
        let mut arguments: Vec<String> = launcher.is_none().then(|| "run".to_owned()).into_iter().collect();
        if let Some(config) = config {
            arguments.extend(["--config".to_owned(), text(config)?]);
        }
        Ok(Self { program: text(launcher.unwrap_or(program))?, arguments })
    }

    /// The program, then its arguments.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.program.as_str()).chain(self.arguments.iter().map(String::as_str))
    }
}

impl std::fmt::Display for LoginCommand {
    /// For people: words with spaces in quotes, nothing escaped.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, word) in self.words().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let quote = if word.contains(char::is_whitespace) { "\"" } else { "" };
            write!(f, "{space}{quote}{word}{quote}")?;
        }
        Ok(())
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.map(str::to_owned).ok_or_else(|| {
        Failure::new(format!(
            "could not register {}: its path is not Unicode or has control characters",
            path.display()
        ))
        .hint("move it to another folder")
    })
}

/// The path to write down for the program at `own`, which was called as `called`: the called path, if it is a link to
/// the program. An update changes the target of a package manager's link and keeps the link.
pub fn stable_path(own: &Path, called: Option<&Path>, search: &[PathBuf]) -> PathBuf {
    let Some(called) = called else { return own.to_owned() };
    let is_name = called.components().count() == 1 && called.file_name().is_some();
    let by_search = || search.iter().map(|folder| folder.join(called)).find(|path| path.is_file());
    // `./name` has one more component than `name`, which the shell searched for.
    let candidate = if is_name { by_search() } else { std::path::absolute(called).ok() };
    candidate
        .filter(|path| path.is_absolute() && !path.components().any(|part| part == Component::ParentDir))
        .filter(|path| is_same(path, own))
        .unwrap_or_else(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_command_has_run_and_the_settings_file() {
        let command =
            LoginCommand::new(Path::new("/a b/agent-presence"), Some(Path::new("/c/d.toml"))).unwrap();
        assert_eq!(
            command.words().collect::<Vec<_>>(),
            ["/a b/agent-presence", "run", "--config", "/c/d.toml"]
        );
        assert_eq!(command.to_string(), "\"/a b/agent-presence\" run --config /c/d.toml");
        let failure = LoginCommand::new(Path::new("/a\nb"), None).unwrap_err();
        assert!(failure.message.starts_with("could not register /a\nb: its path"), "{failure}");
    }

    #[test]
    fn the_launcher_replaces_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("agent-presence.exe");
        let alone = LoginCommand::new(&program, None).unwrap();
        assert_eq!(
            (alone.program.as_str(), alone.arguments),
            (program.to_str().unwrap(), vec!["run".to_owned()])
        );
        let launcher = folder.path().join("agent-presencew.exe");
        fs::write(&launcher, b"").unwrap();
        let beside = LoginCommand::new(&program, None).unwrap();
        assert_eq!((beside.program.as_str(), beside.arguments.len()), (launcher.to_str().unwrap(), 0));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_program_is_preferred() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let (cellar, bin) = (root.join("cellar/1.0"), root.join("bin"));
        fs::create_dir_all(&cellar).unwrap();
        fs::create_dir_all(&bin).unwrap();
        let (own, link, other) = (cellar.join("program"), bin.join("program"), bin.join("other"));
        fs::write(&own, b"").unwrap();
        fs::write(&other, b"").unwrap();
        std::os::unix::fs::symlink(&own, &link).unwrap();
        let search = [root.join("nothing here"), bin];

        let check = |called: &Path, expected: &Path| {
            assert_eq!(stable_path(&own, Some(called), &search), expected, "{called:?}");
        };
        check(&link, &link);
        check(Path::new("program"), &link);
        check(&own, &own);
        check(&root.join("bin/../bin/program"), &own);
        check(&other, &own);
        check(Path::new("other"), &own);
        check(Path::new("not found"), &own);
        check(Path::new(""), &own);
        assert_eq!(stable_path(&own, None, &search), own);
    }
}
