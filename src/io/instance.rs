//! One daemon per state folder: the lock that makes it so, and the record that says who holds it.
//!
//! The lock on `instance.lock` is the truth. It is held for the daemon's life and goes with the process; the file
//! is never deleted, because a deleted one could be locked twice. `instance.json` beside it is written after
//! locking and says nothing without the lock: a crash or an earlier boot may have left it.
//!
//! fs2's functions are called in full: std has methods of the same names with other results. Ending another
//! process is not done here. Read next: [`crate::cmd::daemon::takeover`].

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::core::takeover::LockRecord;
use crate::error::{Exit, Failure};
use crate::io::files;
use crate::io::folder::{Folder, Use};
use crate::io::paths::StateDir;
use crate::io::process;

/// The lock file's name.
pub(crate) const LOCK: &str = "instance.lock";
const RECORD: &str = "instance.json";

/// Larger files are no records.
const LARGEST_RECORD: u64 = 64 * 1024;

/// A held lock is tried this often, because a `status` holds it for an instant while it looks.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(30);

impl LockRecord {
    /// This process.
    pub fn own() -> Self {
        let pid = std::process::id();
        // What others will see when they look, as far as the system tells.
        let seen = process::look(pid).unwrap_or_default();
        Self {
            pid,
            start_time: seen.start_time,
            exe: seen.exe.filter(|exe| exe.is_absolute()).or_else(|| std::env::current_exe().ok()),
            exe_file: own_executable(),
            uid: own_user(),
            sid: seen.sid,
            boot_id: boot_id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            token: token(),
        }
    }

    /// The record in this folder, of any writer: valid only while the lock is known to be held.
    /// One that cannot be read counts as absent.
    pub fn read(state: &Path) -> Option<Self> {
        serde_json::from_slice(&files::read(&state.join(RECORD), LARGEST_RECORD).ok()?).ok()
    }

    /// The same where it is proof of who wrote it: this user did, in a folder that nobody else may write to.
    pub fn read_own(folder: &Folder) -> Option<Self> {
        let record = folder.is_private().then(|| folder.file(RECORD, Use::Read))?.ok()?;
        if !is_own(&record.metadata().ok()?) {
            return None;
        }
        serde_json::from_slice(&files::read_all(&record, LARGEST_RECORD).ok()?).ok()
    }
}

/// The lock, held until this is dropped or the process ends.
#[derive(Debug)]
pub struct Instance {
    /// This process, as recorded.
    pub record: LockRecord,
    /// Another file once the folder was removed and made again.
    lock: RefCell<File>,
    /// Whether the record is written.
    signed: Cell<bool>,
}

/// Why the lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Another instance has it.
    #[error("another instance keeps the lock")]
    Held {
        /// Who says to hold it, if anyone.
        record: Option<Box<LockRecord>>,
    },
    /// The lock could not be made.
    #[error("could not {what} {}: {cause}", path.display())]
    Unavailable {
        /// `open` or `lock`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's word.
        cause: io::Error,
    },
}

impl From<AcquireError> for Failure {
    fn from(error: AcquireError) -> Self {
        match &error {
            AcquireError::Held { record } => {
                let holder =
                    record.as_ref().map(|record| format!(" (process {})", record.pid)).unwrap_or_default();
                Self::new(format!("could not start: another instance is running{holder}"))
                    .hint("see `agent-presence status`")
                    .exit(Exit::Held)
            }
            AcquireError::Unavailable { .. } => Self::new(error.to_string())
                .hint("check the state folder, or set AGENT_PRESENCE_STATE_DIR to another one"),
        }
    }
}

impl Instance {
    /// Takes the lock, waiting up to 0.3 s for one who only looks, and writes the record.
    ///
    /// # Errors
    /// [`AcquireError::Held`] when another instance has it, which is told apart from every other trouble.
    pub fn acquire(state: &StateDir) -> Result<Self, AcquireError> {
        for _ in 1..TRIES {
            match Self::try_acquire(state) {
                Err(AcquireError::Held { .. }) => std::thread::sleep(BETWEEN_TRIES),
                result => return result,
            }
        }
        Self::try_acquire(state)
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`Instance::acquire`].
    pub fn try_acquire(state: &StateDir) -> Result<Self, AcquireError> {
        Self::try_acquire_as(state, LockRecord::own)
    }

    /// The same for a process that knows its record already.
    ///
    /// # Errors
    /// As [`Instance::acquire`].
    pub fn try_acquire_as(state: &StateDir, own: impl FnOnce() -> LockRecord) -> Result<Self, AcquireError> {
        let lock = locked(state)?;
        let instance = Self { record: own(), lock: RefCell::new(lock), signed: Cell::new(false) };
        // Without it too this is the one instance. The next `run` tries again and says why it fails.
        let _ = instance.sign(state);
        Ok(instance)
    }

    /// Whether the record is written.
    pub fn is_signed(&self) -> bool {
        self.signed.get()
    }

    /// Writes the record if it is not written yet, which a full disk may prevent.
    ///
    /// # Errors
    /// It still cannot be written. Others then learn from the control channel alone who has the lock.
    pub fn sign(&self, state: &StateDir) -> io::Result<()> {
        if self.is_signed() {
            return Ok(());
        }
        let folder = state.folder();
        let written = folder.put(RECORD, &serde_json::to_vec_pretty(&self.record)?, true);
        if written.is_err() {
            // What is there is somebody else's; to empty it takes no room.
            let _ = folder.file(RECORD, Use::Cut).and_then(|record| record.set_len(0));
        }
        self.signed.set(written.is_ok());
        written
    }

    /// Whether the lock that is held is the one that others find: the folder may have been removed or moved away.
    pub fn is_in_place(&self, state: &StateDir) -> bool {
        match fs::metadata(state.join(LOCK)) {
            Ok(there) => is_same(&there, &self.lock.borrow()),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Takes the lock of a folder that was made again, in place of the one that went with the old folder.
    ///
    /// # Errors
    /// As [`Instance::acquire`]; the old lock is then still held.
    pub fn take_again(&self, state: &StateDir) -> Result<(), AcquireError> {
        let lock = match locked(state) {
            // It never went: the system said so for a moment.
            Err(AcquireError::Held { record: Some(record) }) if record.token == self.record.token => {
                return Ok(());
            }
            lock => lock?,
        };
        self.signed.set(false);
        let _ = self.sign(state);
        *self.lock.borrow_mut() = lock;
        Ok(())
    }
}

/// The lock file, locked.
fn locked(state: &StateDir) -> Result<File, AcquireError> {
    let path = state.join(LOCK);
    let lock = state.folder().file(LOCK, Use::Lock).map_err(unavailable("open", &path))?;
    match fs2::FileExt::try_lock_exclusive(&lock) {
        Ok(()) => Ok(lock),
        Err(error) if is_contended(&error) => {
            Err(AcquireError::Held { record: LockRecord::read(state.path()).map(Box::new) })
        }
        Err(error) => Err(unavailable("lock", &path)(error)),
    }
}

fn unavailable(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AcquireError + use<> {
    let path = path.to_owned();
    move |cause| AcquireError::Unavailable { what, path, cause }
}

fn is_same(there: &fs::Metadata, held: &File) -> bool {
    // What cannot be told now is no reason to think that it went. Where files have no identity, one that is open keeps its
    // folder from being removed.
    held.metadata().map_or(true, |held| files::identity(&held) == files::identity(there))
}

impl Drop for Instance {
    /// The record stays: it says nothing without the lock.
    fn drop(&mut self) {
        let _ = fs2::FileExt::unlock(&*self.lock.borrow());
    }
}

/// What a look at the lock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// An instance is running.
    Held,
    /// None is.
    Free,
    /// It cannot be told, e.g. on a file system without locks.
    Unknown,
}

/// Whether an instance holds the lock of this folder. Creates and writes nothing.
pub fn held_by_another(state: &Path) -> Holding {
    let file = match files::open(&state.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Holding::Free,
        Err(_) => return Holding::Unknown,
    };
    match fs2::FileExt::try_lock_shared(&file) {
        Ok(()) => {
            let _ = fs2::FileExt::unlock(&file);
            Holding::Free
        }
        Err(error) if is_contended(&error) => Holding::Held,
        Err(_) => Holding::Unknown,
    }
}

/// Windows has its own number for it, which std does not call `WouldBlock`.
fn is_contended(error: &io::Error) -> bool {
    let contended = fs2::lock_contended_error();
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == contended.raw_os_error()
}

/// Whether this user wrote the file.
#[cfg(unix)]
fn is_own(file: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(file) == crate::io::user::own()
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// On Linux of the running file itself, which may no longer be at its path.
fn own_executable() -> Option<(u64, u64)> {
    let metadata = fs::metadata("/proc/self/exe").or_else(|_| fs::metadata(std::env::current_exe()?)).ok()?;
    files::identity(&metadata)
}

#[cfg(unix)]
fn own_user() -> Option<u32> {
    Some(crate::io::user::own())
}

#[cfg(not(unix))]
fn own_user() -> Option<u32> {
    None
}

/// Tells instances apart; it guards nothing, so hashing with the system's random keys is good enough where there
/// is no `/dev/urandom`.
fn token() -> String {
    let mut bytes = [0; 16];
    let read =
        File::open("/dev/urandom").and_then(|mut random| io::Read::read_exact(&mut random, &mut bytes));
    let bits = match read {
        Ok(()) => u128::from_ne_bytes(bytes),
        Err(_) => {
            let random = || u128::from(RandomState::new().hash_one(std::process::id()));
            (random() << 64) | random()
        }
    };
    format!("{bits:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ() {
        assert_ne!(token(), token());
        assert_eq!(token().len(), 32);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_record_is_complete_and_stable() {
        let (one, two) = (LockRecord::own(), LockRecord::own());
        assert!(one.start_time.is_some() && one.exe_file.is_some() && one.boot_id.is_some());
        assert_eq!((one.start_time, one.exe_file), (two.start_time, two.exe_file));
    }
}
