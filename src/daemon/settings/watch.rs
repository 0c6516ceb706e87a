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

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::config_file::ConfigFile;
use crate::core::config::{ConfigContext, Effective};
use crate::intake::is_without_instance;

/// How long the file has to be left alone before it is read: one that is being written is half of one.
const QUIET: Duration = Duration::from_millis(150);

/// A file that is not left alone is read after this time all the same.
const AT_MOST: Duration = Duration::from_millis(600);

/// How often the file is looked at where the system does not tell of changes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// As many symbolic links on one way as Linux follows.
const MOST_LINKS: usize = 40;

/// Reads the settings file again whenever it has changed. Belongs inside a tokio runtime with time.
#[derive(Debug)]
pub struct SettingsWatch {
    file: ConfigFile,
    context: ConfigContext,
    /// What was read last.
    read: Effective,
    /// `None` where there is nothing to be had from the system: then the file is looked at now and then.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    shared: Arc<Shared>,
    /// When the changes began that are waiting to be read.
    stirred: Option<Instant>,
    /// When to read.
    due: Option<Instant>,
    blind: bool,
}

/// What the system's callback and the watch tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// The names whose change matters.
    places: Mutex<BTreeSet<PathBuf>>,
    ping: Notify,
}

impl SettingsWatch {
    /// Watches `file`, of which `read` is known already. A change between that reading and now is noticed.
    pub fn new(file: ConfigFile, context: ConfigContext, read: Effective) -> Self {
        let shared = Arc::new(Shared::default());
        let callback = Arc::clone(&shared);
        let watcher = match notify::recommended_watcher(move |event| callback.hear(event)) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                let hint = is_without_instance(&error).then_some("raise fs.inotify.max_user_instances");
                tracing::warn!(%error, hint, "could not watch the settings file; looking at it every {LOOK_EVERY:?}");
                None
            }
        };
        Self {
            file,
            context,
            read,
            blind: watcher.is_none(),
            watcher,
            watched: BTreeSet::new(),
            shared,
            stirred: None,
            due: Some(Instant::now()),
        }
    }

    /// Which file this is about.
    pub fn file(&self) -> &ConfigFile {
        &self.file
    }

    /// Waits until the file gives something else than before, and returns it. Nothing is lost when the wait is given
    /// up.
    pub async fn next(&mut self) -> Effective {
        loop {
            self.wait().await;
            if let Some(read) = self.look() {
                return read;
            }
        }
    }

    async fn wait(&mut self) {
        loop {
            tokio::select! {
                () = self.shared.ping.notified() => {
                    let now = Instant::now();
                    let stirred = *self.stirred.get_or_insert(now);
                    self.due = Some((now + QUIET).min(stirred + AT_MOST));
                }
                () = sleep_until(self.due.unwrap_or_else(Instant::now)), if self.due.is_some() => return,
            }
        }
    }

    /// Reads the file, after the watches are where they should be: a change is then either seen or heard of.
    fn look(&mut self) -> Option<Effective> {
        self.watch_again();
        self.stirred = None;
        self.due = self.blind.then(|| Instant::now() + LOOK_EVERY);
        // What is neither file nor folder, such as a pipe, was read at the start and can be read only once.
        let can_be_read = |metadata: std::fs::Metadata| metadata.is_file() || metadata.is_dir();
        if std::fs::metadata(&self.file.path).is_ok_and(|metadata| !can_be_read(metadata)) {
            return None;
        }
        let read = self.file.read(&self.context);
        // What is wrong with the file and not with its text may pass without a word from the system.
        if read.issues.iter().any(|issue| issue.line.is_none() && issue.key.is_none()) {
            self.due = Some(Instant::now() + LOOK_EVERY);
        }
        (read != self.read).then(|| self.read.clone_from(&read)).map(|()| read)
    }

    /// Sets every watch anew. A watch may have gone with its folder, of which another one may have taken the place,
    /// and settings change so seldom that it is not worth knowing which.
    fn watch_again(&mut self) {
        /// Folders inside folders, appearing while they are looked for.
        const ROUNDS: usize = 6;
        let Some(watcher) = &mut self.watcher else { return };
        for folder in std::mem::take(&mut self.watched) {
            // A watch that went with its folder cannot be removed a second time.
            let _ = watcher.unwatch(&folder);
        }
        let mut refused = None;
        for _ in 0..ROUNDS {
            let places = places_on_the_way(&self.file.path);
            self.shared.set_places(places.clone());
            let before = self.watched.len();
            refused = None;
            // Nobody changes what is in the root folder, and a watch on it would see everything on some systems.
            let folders = places.iter().filter_map(|place| place.parent()).filter(|it| it.parent().is_some());
            for folder in folders {
                if self.watched.contains(folder) {
                    continue;
                }
                match watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Ok(()) => drop(self.watched.insert(folder.to_owned())),
                    Err(error) => refused = Some((folder.to_owned(), error)),
                }
            }
            // What was refused may have gone at that moment, and come again.
            if self.watched.len() == before && refused.is_none() {
                break;
            }
        }
        let was_blind = std::mem::replace(&mut self.blind, refused.is_some());
        if let Some((folder, error)) = refused
            && !was_blind
        {
            let folder = folder.display();
            tracing::warn!(%error, "could not watch {folder}; looking at the settings file every {LOOK_EVERY:?}");
        }
    }
}

/// The names on the way to `path` whose change can change what is read there: each symbolic link, and the file itself
/// or the first folder that is missing. There are no links in front of them, so this is what the system calls them.
fn places_on_the_way(path: &Path) -> BTreeSet<PathBuf> {
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

impl Shared {
    /// Called by the system's watcher, on its thread, for everything that happens in the folders watched.
    fn hear(&self, event: notify::Result<Event>) {
        // An error means that something was missed, which a look makes up for.
        let event = event.unwrap_or_else(|_| Event::new(EventKind::Other));
        // Our own reading is an access.
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        let missed = event.need_rescan() || event.paths.is_empty();
        if missed || event.paths.iter().any(|path| self.matters(path)) {
            self.ping.notify_one();
        }
    }

    /// Whether `path` is one of the places or a folder above one. Where systems spell folders in several ways, the
    /// name alone decides; a look too many costs nothing.
    fn matters(&self, path: &Path) -> bool {
        let same_name = |place: &Path| match (place.file_name(), path.file_name()) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        };
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().any(|place| place.starts_with(path) || same_name(place))
    }

    fn set_places(&self, places: BTreeSet<PathBuf>) {
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{create_dir, write};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_link_and_the_end_of_the_way_are_watched() {
        let temporary = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(temporary.path()).unwrap();
        let check = |start: &str, expected: &[&str]| {
            let expected: BTreeSet<_> = expected.iter().map(|name| root.join(name)).collect();
            let mut found = places_on_the_way(&root.join(start));
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
    fn our_own_reading_is_no_event() {
        use notify::event::{AccessKind, AccessMode, ModifyKind};
        let shared = Shared::default();
        shared.set_places([PathBuf::from("/home/ada/config/agent-presence/config.toml")].into());
        let is_heard = |kind: EventKind, path: &str| {
            shared.hear(Ok(Event::new(kind).add_path(path.into())));
            let mut ping = std::pin::pin!(shared.ping.notified());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            std::future::Future::poll(ping.as_mut(), &mut context).is_ready()
        };
        let change = EventKind::Modify(ModifyKind::Any);
        let file = "/home/ada/config/agent-presence/config.toml";
        assert!(is_heard(change, file));
        assert!(is_heard(change, "/home/ada/config/agent-presence"));
        assert!(is_heard(change, "/HOME~1/config/agent-presence/Config.toml"));
        assert!(!is_heard(change, "/home/ada/config/agent-presence/config.toml.swp"));
        assert!(!is_heard(EventKind::Access(AccessKind::Open(AccessMode::Any)), file));
        assert!(!is_heard(EventKind::Access(AccessKind::Close(AccessMode::Read)), file));
    }
}
