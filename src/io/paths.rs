//! The paths of the settings file and the state folder.
//!
//! The environment is read once, at the start ([`Environment::of_process`]), and passed on, so that nothing else
//! depends on the machine. Empty variables and relative folders count as not set. Only [`ensure_state_dir`] writes to
//! the disk.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::config::Variables;
use crate::error::Failure;
use crate::io::folder::Folder;

/// The name of this program's folder in the platform's config and state folders.
const NAME: &str = "agent-presence";

/// The platform's folders of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// The home folder.
    pub home: PathBuf,
    /// Linux: `$XDG_CONFIG_HOME` or `~/.config`; macOS: `~/Library/Application Support`; Windows: `%APPDATA%`.
    pub config: PathBuf,
    /// Linux: `$XDG_STATE_HOME` or `~/.local/state`; macOS: `~/Library/Application Support`; Windows: `%LOCALAPPDATA%`.
    pub state: PathBuf,
}

impl Folders {
    fn of_process() -> Option<Self> {
        #[cfg(unix)]
        if std::env::var_os("HOME").is_some_and(|home| !home.is_empty() && !Path::new(&home).is_absolute()) {
            return Self::of_user();
        }
        let base = directories::BaseDirs::new()?;
        let state = base.state_dir().unwrap_or_else(|| base.data_local_dir());
        base.home_dir().is_absolute().then(|| Self {
            home: base.home_dir().to_owned(),
            config: base.config_dir().to_owned(),
            state: state.to_owned(),
        })
    }
}

#[cfg(unix)]
impl Folders {
    /// The folders for an unusable `HOME`: in the user's home folder from `/etc/passwd`.
    fn of_user() -> Option<Self> {
        let user = rustix::process::getuid().as_raw();
        let home = home_in_passwd(&fs::read_to_string("/etc/passwd").ok()?, user)?;
        let variable =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        if cfg!(target_os = "macos") {
            let support = home.join("Library/Application Support");
            return Some(Self { home, config: support.clone(), state: support });
        }
        let config = variable("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let state = variable("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state"));
        Some(Self { home, config, state })
    }
}

/// `ada:x:1000:1000:Ada:/home/ada:/bin/sh`
#[cfg(unix)]
fn home_in_passwd(passwd: &str, user: u32) -> Option<PathBuf> {
    let home = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let is_it = fields.next()?.parse() == Ok(user);
        let home = PathBuf::from(fields.nth(2)?);
        (is_it && home.is_absolute()).then_some(home)
    };
    passwd.lines().find_map(home)
}

/// The environment variables and the user's folders, read once.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    folders: Option<Folders>,
}

impl Environment {
    /// The process's environment.
    pub fn of_process() -> Self {
        Self { variables: std::env::vars_os().collect(), folders: Folders::of_process() }
    }

    /// A made-up environment, for tests.
    pub fn new<K: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
        folders: Option<Folders>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, folders }
    }

    /// A variable as text; `None` if it is unset, empty or not Unicode.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(std::ffi::OsStr::new(name))?.to_str().filter(|text| !text.is_empty())
    }

    /// All variables that are text.
    pub fn texts(&self) -> Variables {
        let text = |(name, value): (&OsString, &OsString)| {
            Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
        };
        Variables(self.variables.iter().filter_map(text).collect())
    }

    /// A variable as an absolute path; anything else counts as not set.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variables.get(std::ffi::OsStr::new(name))?);
        path.is_absolute().then_some(path)
    }

    /// The home folder, if there is one.
    pub fn home(&self) -> Option<&Path> {
        self.folders.as_ref().map(|folders| folders.home.as_path())
    }

    pub(crate) fn folders(&self, instead: &str) -> Result<&Folders, Failure> {
        self.folders.as_ref().ok_or_else(|| {
            Failure::new("could not find your home folder: HOME is not set to an absolute path")
                .hint(format!("set HOME, or {instead}"))
        })
    }
}

impl std::fmt::Debug for Environment {
    /// Leaves out the variables: an environment has secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("folders", &self.folders).finish_non_exhaustive()
    }
}

/// The settings file that `AGENT_PRESENCE_CONFIG` names. A relative path counts too: another file instead could show
/// more.
pub fn named_config(environment: &Environment) -> Option<PathBuf> {
    const CONFIG: &str = "AGENT_PRESENCE_CONFIG";
    let relative = || {
        let path = environment.text(CONFIG)?;
        Some(std::path::absolute(path).unwrap_or_else(|_| path.into()))
    };
    environment.path(CONFIG).or_else(relative)
}

/// The settings file's path without `--config`: `AGENT_PRESENCE_CONFIG`, else in the platform's folder.
///
/// # Errors
/// There is no home folder.
pub fn config_file(environment: &Environment) -> Result<PathBuf, Failure> {
    if let Some(path) = named_config(environment) {
        return Ok(path);
    }
    let folders = environment.folders("AGENT_PRESENCE_CONFIG, or use --config")?;
    Ok(folders.config.join(NAME).join("config.toml"))
}

/// The state folder's path, whether or not it exists: `AGENT_PRESENCE_STATE_DIR`, else in the platform's folder.
///
/// # Errors
/// There is no home folder.
pub fn state_dir(environment: &Environment) -> Result<PathBuf, Failure> {
    if let Some(path) = environment.path("AGENT_PRESENCE_STATE_DIR") {
        return Ok(path);
    }
    Ok(environment.folders("AGENT_PRESENCE_STATE_DIR")?.state.join(NAME))
}

/// A state folder that exists, belongs to this user and is writable; made by [`ensure_state_dir`] only.
///
/// It is opened once and used by its [handle](crate::io::folder), which all its clones share.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    folder: Arc<Mutex<Folder>>,
}

impl StateDir {
    /// Its path, for messages and for reading.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it, for messages and for reading.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder, for writing.
    pub fn folder(&self) -> Folder {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the folder by one that was made again at the same path, for all clones.
    pub fn renew(&self, made: &Self) {
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = made.folder();
    }
}

/// Creates the state folder for its owner alone (0700), or checks an existing one. The permissions of an existing
/// folder are not changed: the variable may name any folder.
///
/// # Errors
/// The problem with the folder and a hint, for the user.
pub fn ensure_state_dir(path: &Path) -> Result<StateDir, Failure> {
    spare_others("the state folder ", path)?;
    let hint = "make it writable, or set AGENT_PRESENCE_STATE_DIR to another folder";
    create_private(path).map_err(|error| {
        let cause = if path.exists() { "it is not a folder".to_owned() } else { error.to_string() };
        Failure::new(format!("could not create the state folder {}: {cause}", path.display())).hint(hint)
    })?;
    let unusable =
        |cause: &str| Failure::new(format!("could not use the state folder {}: {cause}", path.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path).map_err(|error| unusable(&error.to_string()).hint(hint))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(
                unusable("it belongs to another user").hint("set AGENT_PRESENCE_STATE_DIR to another folder")
            );
        }
        if metadata.mode() & 0o002 != 0 {
            return Err(unusable("every user may write to it").hint(format!("chmod 700 {}", path.display())));
        }
        rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
            .map_err(|error| unusable(&std::io::Error::from(error).to_string()).hint(hint))?;
    }
    #[cfg(not(unix))]
    if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly()) {
        return Err(unusable("it is read-only").hint(hint));
    }
    let folder = Folder::open(path).map_err(|error| unusable(&error.to_string()).hint(hint))?;
    Ok(StateDir { path: path.to_owned(), folder: Arc::new(Mutex::new(folder)) })
}

/// Keeps a superuser with another user's environment (`sudo -E`) from leaving files that the user could not write to.
///
/// # Errors
/// The file, or the folder in which it would be made, belongs to another user.
#[cfg(unix)]
pub(crate) fn spare_others(what: &str, path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let there = path.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?)));
    match there {
        Some((folder, metadata)) if metadata.uid() != 0 => Err(Failure::new(format!(
            "could not use {what}{}: {} belongs to another user, who could not write to what root leaves there",
            path.display(),
            folder.display()
        ))
        .hint("run it as that user, without `sudo`")),
        _ => Ok(()),
    }
}

/// This system has no such superuser.
#[cfg(not(unix))]
pub(crate) fn spare_others(_: &str, _: &Path) -> Result<(), Failure> {
    Ok(())
}

/// Creates a folder for its owner alone (0700), and those above it.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_read_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nodd\nada:x:1000:1000:Ada L:/home/ada:/bin/zsh\nnobody:x:7:7::rel:/x\n";
        assert_eq!(home_in_passwd(passwd, 1000), Some("/home/ada".into()));
        assert_eq!(home_in_passwd(passwd, 7), None, "a relative one is none");
        assert_eq!(home_in_passwd(passwd, 8), None);
    }
}
