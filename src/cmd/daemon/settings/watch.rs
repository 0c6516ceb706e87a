//! Notices changes of the settings file, without waking up while nothing happens.
//!
//! The way to the file is walked name by name, as the system does it. Watched is the folder of each name whose change
//! can change what is read: of the file, of every symbolic link on the way, of the first folder that is missing. So a
//! file that is replaced, a link that points elsewhere and a folder that is made later are all the same thing: a name
//! that changed. What is read only counts if it is other than before.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::core::config::{ConfigContext, Effective};
use crate::io::config_file::ConfigFile;
use crate::io::fs_watch::{Pace, Watch};

/// One that is being written is half a file.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(150),
    at_most: Duration::from_millis(600),
    look_every: Duration::from_secs(5),
};

/// How many folders above a name are watched. Windows says in the folder above alone that another folder took one's place.
const LEVELS: usize = if cfg!(windows) { 2 } else { 1 };

/// As many symbolic links on one way as Linux follows.
const MOST_LINKS: usize = 40;

/// Reads the settings file again whenever it has changed. Belongs inside a tokio runtime with time.
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
    /// Watches `file`, of which `read` is known already. A change between that reading and now is noticed.
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

    /// Waits until the file gives something else than before, and returns it. Nothing is lost when the wait is given
    /// up.
    pub async fn next(&mut self) -> Effective {
        loop {
            self.watch.wait().await;
            if let Some(read) = self.look() {
                return read;
            }
        }
    }

    /// Reads the file, after the watches are where they should be: a change is then either seen or heard of.
    fn look(&mut self) -> Option<Effective> {
        if !self.watch_again() {
            self.watch.look_later();
        }
        // What is neither file nor folder, such as a pipe, was read at the start and can be read only once.
        let can_be_read = |metadata: std::fs::Metadata| metadata.is_file() || metadata.is_dir();
        if std::fs::metadata(&self.file.path).is_ok_and(|metadata| !can_be_read(metadata)) {
            return None;
        }
        let read = self.file.read(&self.context);
        // What is wrong with the file and not with its text may pass without a word from the system.
        if read.issues.iter().any(|issue| issue.line.is_none() && issue.key.is_none()) {
            self.watch.look_later();
        }
        (read != self.read).then(|| self.read.clone_from(&read)).map(|()| read)
    }

    /// Sets every watch anew, and says whether all could be set. A watch may have gone with its folder, of which another
    /// one may have taken the place, and settings change so seldom that it is not worth knowing which.
    fn watch_again(&mut self) -> bool {
        self.watch.forget_all();
        self.watch.follow(|| {
            let names = names_on_the_way(&self.file.path);
            let folders = names.iter().flat_map(|name| name.ancestors().skip(1).take(LEVELS));
            // Nobody changes what is in the root folder, and a watch on it would see everything on some systems.
            let folders = folders.filter(|folder| folder.parent().is_some()).map(Path::to_owned).collect();
            *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
            folders
        })
    }
}

/// The names on the way to `path` whose change can change what is read there: each symbolic link, and the file itself
/// or the first folder that is missing. There are no links in front of them, so this is what the system calls them.
fn names_on_the_way(path: &Path) -> BTreeSet<PathBuf> {
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
            // A root takes the place of what was before it.
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

/// Whether `path` is one of the names or a folder above one. Where systems spell folders in several ways, the last part
/// alone decides; a look too many costs nothing.
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
    fn each_link_and_the_end_of_the_way_are_watched() {
        use std::fs::{create_dir, write};
        use std::os::unix::fs::symlink;

        let temporary = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(temporary.path()).unwrap();
        let check = |start: &str, expected: &[&str]| {
            let expected: BTreeSet<_> = expected.iter().map(|name| root.join(name)).collect();
            let mut found = names_on_the_way(&root.join(start));
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
