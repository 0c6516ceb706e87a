//! Linux' events: one inotify and one thread for all watchers of the program.
//!
//! A watch is set on the calling thread, so that a folder on a hanging disk delays no other one. Opening and closing
//! files is not reported, because this program's own reading would wake it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{CreateKind, DataChange, Flag, MetadataKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecursiveMode};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::{Callback, WatchError};

/// The events of a folder and of its direct entries.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// The size of one read, in bytes. It must hold the longest name; events that stay in the system's queue can still be
/// merged.
const BUFFER: usize = 4 << 10;

/// The pause after an unexpected error.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// The watched paths of one part of the program.
pub(super) struct Watcher {
    system: Arc<System>,
    callback: Callback,
    watches: BTreeMap<Arc<Path>, i32>,
}

/// The inotify of the program.
struct System {
    queue: OwnedFd,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// By inotify's watch number: several paths may lead to the same folder, and several watchers may watch it.
    listeners: BTreeMap<i32, Arc<Vec<Listener>>>,
    /// How many numbers were removed.
    removed: u64,
}

#[derive(Clone)]
struct Listener {
    callback: Callback,
    path: Arc<Path>,
}

impl Watcher {
    pub(super) fn new(callback: &Callback) -> Result<Self, WatchError> {
        let system = System::shared().map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::MFILE.raw_os_error() => WatchError::Instances,
            _ => WatchError::from(notify::Error::io(error)),
        })?;
        Ok(Self { system, callback: Arc::clone(callback), watches: BTreeMap::new() })
    }

    /// Reports only direct entries of a folder, in any mode.
    pub(super) fn watch(&mut self, path: &Path, _: RecursiveMode) -> Result<(), WatchError> {
        let path: Arc<Path> = Arc::from(path);
        let number = self.system.add(&self.callback, &path)?;
        self.watches.insert(path, number);
        Ok(())
    }

    pub(super) fn unwatch(&mut self, path: &Path) {
        if let Some((path, number)) = self.watches.remove_entry(path) {
            self.system.remove(&self.callback, &path, number);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for (path, number) in std::mem::take(&mut self.watches) {
            self.system.remove(&self.callback, &path, number);
        }
    }
}

impl System {
    /// Created with the first watcher, and never closed: an idle thread costs nothing.
    fn shared() -> std::io::Result<Arc<Self>> {
        static SHARED: Mutex<Option<Arc<System>>> = Mutex::new(None);
        let mut shared = lock(&SHARED);
        if let Some(system) = &*shared {
            return Ok(Arc::clone(system));
        }
        let queue = inotify::init(CreateFlags::CLOEXEC)?;
        let system = Arc::new(Self { queue, table: Mutex::default() });
        let listening = Arc::clone(&system);
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || listening.listen())?;
        Ok(Arc::clone(shared.insert(system)))
    }

    /// Watches `path`, and returns its number. The system's path lookup may take long, so nothing is locked meanwhile;
    /// afterwards it is checked whether another watcher removed the number.
    fn add(&self, callback: &Callback, path: &Arc<Path>) -> Result<i32, WatchError> {
        loop {
            let removed = lock(&self.table).removed;
            let number = inotify::add_watch(&self.queue, &**path, EVENTS)
                .map_err(|error| WatchError::from(notify::Error::io(error.into())))?;
            let mut table = lock(&self.table);
            if table.removed == removed {
                let listeners = Arc::make_mut(table.listeners.entry(number).or_default());
                if !listeners.iter().any(|listener| listener.is(callback, path)) {
                    listeners.push(Listener { callback: Arc::clone(callback), path: Arc::clone(path) });
                }
                return Ok(number);
            }
        }
    }

    fn remove(&self, callback: &Callback, path: &Path, number: i32) {
        let mut table = lock(&self.table);
        let Some(listeners) = table.listeners.get_mut(&number) else { return };
        let left = Arc::make_mut(listeners);
        left.retain(|listener| !listener.is(callback, path));
        if left.is_empty() {
            table.listeners.remove(&number);
            table.removed += 1;
            // The watch may have ended with its file.
            let _gone_already = inotify::remove_watch(&self.queue, number);
        }
    }

    fn listen(&self) {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut events = inotify::Reader::new(&self.queue, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => self.report_gap(),
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    self.report(event.wd(), event.events(), name);
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.report_gap();
                    std::thread::sleep(AFTER_ERROR);
                }
            }
        }
    }

    /// Nothing is locked during a callback, which may take long.
    fn report(&self, number: i32, what: ReadFlags, name: Option<&OsStr>) {
        let listeners = if what.contains(ReadFlags::IGNORED) {
            let _over = lock(&self.table).listeners.remove(&number);
            return;
        } else {
            lock(&self.table).listeners.get(&number).cloned()
        };
        for listener in listeners.iter().flat_map(|listeners| listeners.iter()) {
            for kind in kinds(what) {
                let path = name.map_or_else(|| listener.path.to_path_buf(), |name| listener.path.join(name));
                listener.call(Event::new(kind).add_path(path));
            }
        }
    }

    /// Reports to every watcher that events were missed.
    fn report_gap(&self) {
        let mut reported: Vec<Listener> = Vec::new();
        for listener in lock(&self.table).listeners.values().flat_map(|listeners| listeners.iter()) {
            if !reported.iter().any(|other| Arc::ptr_eq(&other.callback, &listener.callback)) {
                reported.push(listener.clone());
            }
        }
        reported
            .iter()
            .for_each(|listener| listener.call(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}

impl Listener {
    fn is(&self, callback: &Callback, path: &Path) -> bool {
        Arc::ptr_eq(&self.callback, callback) && *self.path == *path
    }

    fn call(&self, event: Event) {
        lock(&self.callback)(event);
    }
}

/// The kinds of an event; the system may report several at once.
fn kinds(what: ReadFlags) -> impl Iterator<Item = EventKind> {
    let name = |mode| EventKind::Modify(ModifyKind::Name(mode));
    let gone = ReadFlags::DELETE | ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT;
    [
        (ReadFlags::MOVED_FROM | ReadFlags::MOVE_SELF, name(RenameMode::From)),
        (ReadFlags::MOVED_TO, name(RenameMode::To)),
        (ReadFlags::CREATE, EventKind::Create(CreateKind::Any)),
        (gone, EventKind::Remove(RemoveKind::Any)),
        (ReadFlags::MODIFY, EventKind::Modify(ModifyKind::Data(DataChange::Any))),
        (ReadFlags::ATTRIB, EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any))),
    ]
    .into_iter()
    .filter(move |(flags, _)| what.intersects(*flags))
    .map(|(_, kind)| kind)
}

/// A thread that panicked leaves a valid table.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use super::*;

    /// Watches `folder`, and sends the names of new files.
    fn names_in(folder: &Path) -> (Watcher, mpsc::Receiver<String>) {
        let (sender, names) = mpsc::channel();
        let callback: Callback = Arc::new(Mutex::new(Box::new(move |event: Event| {
            if event.kind.is_create() {
                let names = event.paths.iter().map(|path| path.file_name().unwrap().to_string_lossy());
                names.for_each(|name| _ = sender.send(name.into_owned()));
            }
        })));
        let mut watcher = Watcher::new(&callback).unwrap();
        watcher.watch(folder, RecursiveMode::NonRecursive).unwrap();
        (watcher, names)
    }

    #[test]
    fn a_folder_is_watched_until_the_last_of_its_watchers_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (one, names_of_one) = names_in(folder.path());
        let (mut other, names_of_other) = names_in(folder.path());
        assert!(Arc::ptr_eq(&one.system, &other.system), "they share one inotify");
        let number = other.watches[folder.path()];
        fs::write(folder.path().join("first"), "").unwrap();
        assert_eq!(names_of_one.recv().unwrap(), "first");
        assert_eq!(names_of_other.recv().unwrap(), "first");

        drop(one);
        fs::write(folder.path().join("second"), "").unwrap();
        assert_eq!(names_of_other.recv().unwrap(), "second");
        assert_eq!(names_of_one.try_recv(), Err(mpsc::TryRecvError::Disconnected));

        other.unwatch(folder.path());
        assert!(!lock(&other.system.table).listeners.contains_key(&number));
    }

    #[test]
    fn a_folder_that_is_made_again_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let (mut watcher, names) = names_in(&folder);
        fs::rename(&folder, parent.path().join("elsewhere")).unwrap();
        fs::create_dir(&folder).unwrap();
        watcher.unwatch(&folder);
        watcher.watch(&folder, RecursiveMode::NonRecursive).unwrap();
        fs::write(parent.path().join("elsewhere/old"), "").unwrap();
        fs::write(folder.join("new"), "").unwrap();
        assert_eq!(names.recv().unwrap(), "new");
        let missing = watcher.watch(&parent.path().join("missing"), RecursiveMode::NonRecursive);
        assert_eq!(missing, Err(WatchError::Missing));
    }

    #[test]
    fn each_watcher_gets_missed_events_reported_once() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (sender, gaps) = mpsc::channel();
        let callback: Callback = Arc::new(Mutex::new(Box::new(move |event: Event| {
            if event.need_rescan() {
                _ = sender.send(());
            }
        })));
        let mut watcher = Watcher::new(&callback).unwrap();
        for folder in [&one, &other] {
            watcher.watch(folder.path(), RecursiveMode::NonRecursive).unwrap();
        }
        watcher.system.report_gap();
        assert_eq!(gaps.try_iter().count(), 1);
    }
}
