//! Notices changes of the settings file without polling.
//!
//! The path is resolved name by name, as the system does it. Each name whose change can change the content is watched
//! through its folder: the file, every symbolic link on the path, and the first folder that is missing. A replaced
//! file, a link with another target and a folder that is made later are then the same event: a name that changed. A new
//! reading counts only if it differs from the last one.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::core::config::{ConfigContext, Effective};
use crate::io::config_file::ConfigFile;
use crate::io::fs_watch::{Pace, Watch};

/// The pause lets an editor finish writing the file.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(150),
    at_most: Duration::from_millis(600),
    look_every: Duration::from_secs(5),
};

/// How many folders above a name are watched. On Windows only the folder above reports that another folder has taken
/// one's place.
const LEVELS: usize = if cfg!(windows) { 2 } else { 1 };

/// The most symbolic links on one path, as on Linux.
const MOST_LINKS: usize = 40;

/// Reads the settings file again after each change. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct SettingsWatch {
    file: ConfigFile,
    context: ConfigContext,
    /// What was read last.
    read: Effective,
    watch: Watch,
    /// The names whose change matters.
    names: Names,
}

/// Shared with the system's callback.
type Names = Arc<Mutex<BTreeSet<PathBuf>>>;

impl SettingsWatch {
    /// Watches `file`, last read as `read`. A change between that reading and now is noticed.
    pub fn new(file: ConfigFile, context: ConfigContext, read: Effective) -> Self {
        let names = Names::default();
        let known = Arc::clone(&names);
        let mut watch = Watch::new("changes of the settings file", PACE, move |event| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            event.paths.iter().any(|path| matters(&known, path))
        });
        watch.look_by(Instant::now());
        Self { file, context, read, watch, names }
    }

    /// Which file this is about.
    pub fn file(&self) -> &ConfigFile {
        &self.file
    }

    /// Waits until the file's content differs from before, and returns it. Cancel safe.
    pub async fn next(&mut self) -> Effective {
        loop {
            self.watch.wait().await;
            if let Some(read) = self.look() {
                return read;
            }
        }
    }

    /// Reads the file after the watches are set: a change is then either read or reported.
    fn look(&mut self) -> Option<Effective> {
        if !self.watch_again() {
            self.watch.look_later();
        }
        // A pipe or device was read at the start and can be read only once.
        let can_be_read = |metadata: std::fs::Metadata| metadata.is_file() || metadata.is_dir();
        if std::fs::metadata(&self.file.path).is_ok_and(|metadata| !can_be_read(metadata)) {
            return None;
        }
        let read = self.file.read(&self.context);
        // A problem with the file and not with its text, such as its permissions, may end without a report from the
        // system.
        if read.issues.iter().any(|issue| issue.line.is_none() && issue.key.is_none()) {
            self.watch.look_later();
        }
        (read != self.read).then(|| self.read.clone_from(&read)).map(|()| read)
    }

    /// Sets every watch anew; false if one could not be set. A watch may have been lost with its folder; settings
    /// change so seldom that all are set again.
    fn watch_again(&mut self) -> bool {
        self.watch.forget_all();
        self.watch.follow(|| {
            let names = watched_names(&self.file.path);
            let folders = names.iter().flat_map(|name| name.ancestors().skip(1).take(LEVELS));
            // The root folder is left out: it does not change, and on some systems a watch on it reports everything.
            let folders = folders.filter(|folder| folder.parent().is_some()).map(Path::to_owned).collect();
            *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
            folders
        })
    }
}

/// The names on `path` whose change can change its content: each symbolic link, and the file itself or the first folder
/// that is missing. The names have no links before them, so the system reports them by these paths.
fn watched_names(path: &Path) -> BTreeSet<PathBuf> {
    let names = |path: &Path| -> Vec<OsString> {
        path.components().map(|component| component.as_os_str().to_owned()).collect()
    };
    let mut places = BTreeSet::new();
    let mut links = 0;
    let mut folder = PathBuf::new();
    let mut ahead: VecDeque<OsString> = names(path).into();
    while let Some(name) = ahead.pop_front() {
        match Path::new(&name).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                folder.pop();
                continue;
            }
            // A root replaces everything before it.
            _ => {
                folder.push(name);
                continue;
            }
        }
        let place = folder.join(name);
        let found = std::fs::symlink_metadata(&place);
        if found.as_ref().is_ok_and(|found| found.is_dir() && !ahead.is_empty()) {
            folder = place;
            continue;
        }
        let target = std::fs::read_link(&place);
        places.insert(place);
        let Ok(target) = target else { break };
        links += 1;
        if links > MOST_LINKS {
            break;
        }
        for name in names(&target).into_iter().rev() {
            ahead.push_front(name);
        }
    }
    places
}

/// Whether `path` is one of the names or a folder above one. Some systems spell folders in several ways, so the last
/// part alone decides; a needless look costs nothing.
fn matters(names: &BTreeSet<PathBuf>, path: &Path) -> bool {
    let is_alike = |name: &Path| match (name.file_name(), path.file_name()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    names.iter().any(|name| name.starts_with(path) || is_alike(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn each_link_and_the_end_of_the_path_are_watched() {
        use std::fs::{create_dir, write};
        use std::os::unix::fs::symlink;

        let temporary = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(temporary.path()).unwrap();
        let check = |start: &str, expected: &[&str]| {
            let expected: BTreeSet<_> = expected.iter().map(|name| root.join(name)).collect();
            let mut found = watched_names(&root.join(start));
            found.retain(|place| place.starts_with(&root));
            assert_eq!(found, expected, "{start}");
        };
        create_dir(root.join("real")).unwrap();
        write(root.join("real/file"), "").unwrap();
        symlink("real", root.join("folder")).unwrap();
        symlink("../real/./file", root.join("real/link")).unwrap();
        symlink(root.join("folder/link"), root.join("chain")).unwrap();
        symlink("round", root.join("round")).unwrap();
        symlink("missing/target", root.join("dangling")).unwrap();

        check("real/file", &["real/file"]);
        check("real/missing", &["real/missing"]);
        check("missing/folder/file", &["missing"]);
        check("folder/file", &["folder", "real/file"]);
        check("folder/../real/file", &["folder", "real/file"]);
        check("real/link", &["real/link", "real/file"]);
        check("chain", &["chain", "folder", "real/link", "real/file"]);
        check("dangling", &["dangling", "missing"]);
        check("round", &["round"]);
        check("real/file/below", &["real/file"]);
    }

    #[test]
    fn the_file_and_the_folders_above_it_matter() {
        let file = "/home/ada/config/agent-presence/config.toml";
        let names = [PathBuf::from(file)].into();
        let matters = |path: &str| matters(&names, Path::new(path));
        assert!(matters(file));
        assert!(matters("/home/ada/config/agent-presence"));
        assert!(matters("/HOME~1/config/agent-presence/Config.toml"));
        assert!(!matters("/home/ada/config/agent-presence/config.toml.swp"));
    }
}
