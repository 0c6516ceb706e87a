//! One daemon per state folder: its lock, and the record of the process that holds it.
//!
//! Only the lock on `instance.lock` counts. It is held while the daemon runs and ends with the process; the file is
//! never deleted, because a deleted one could be locked twice. `instance.json` beside it is written after locking and
//! means nothing without the lock: a crash or an earlier boot may have left it.
//!
//! fs2's functions are called by their full names: std has methods of the same names with other results. Other
//! processes are not ended here. Read next: [`crate::cmd::daemon::takeover`].

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::takeover::LockRecord;
use crate::error::{Exit, Failure};
use crate::io::files;
use crate::io::folder::{Folder, OpenMode};
use crate::io::paths::StateDir;
use crate::io::process;

/// The lock file's name.
pub(crate) const LOCK: &str = "instance.lock";
const RECORD: &str = "instance.json";

/// Larger files are not records, in bytes.
const LARGEST_RECORD: u64 = 64 * 1024;

/// How often a held lock is tried: a `status` holds it for an instant while it checks.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(30);

/// The record of this process.
pub fn own_record() -> LockRecord {
    let pid = std::process::id();
    // The values that other processes will see, as far as the system reports them.
    let seen = process::look(pid).unwrap_or_default();
    LockRecord {
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
pub fn read_record(state: &Path) -> Option<LockRecord> {
    serde_json::from_slice(&files::read(&state.join(RECORD), LARGEST_RECORD).ok()?).ok()
}

/// The record, if it certainly was written by this user: in this user's file, in a folder that no other user may
/// write to.
pub fn read_own_record(folder: &Folder) -> Option<LockRecord> {
    let record = folder.is_private().then(|| folder.file(RECORD, OpenMode::Read))?.ok()?;
    if !is_own(&record.metadata().ok()?) {
        return None;
    }
    serde_json::from_slice(&files::read_all(&record, LARGEST_RECORD).ok()?).ok()
}

/// The lock, held until this is dropped or the process ends.
#[derive(Debug)]
pub struct Instance {
    /// The record of this process.
    pub record: LockRecord,
    /// Replaced when the folder was removed and made again.
    lock: RefCell<File>,
    /// Whether the record is written.
    signed: Cell<bool>,
}

/// Why the lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Another instance holds it.
    #[error("another instance keeps the lock")]
    Held {
        /// The holder's record, if there is one.
        record: Option<Box<LockRecord>>,
    },
    /// The lock file could not be opened or locked.
    #[error("could not {what} {}: {cause}", path.display())]
    Unavailable {
        /// `open` or `lock`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
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
    /// Takes the lock and writes the record. Waits up to 0.3 s for a command that only checks the lock.
    ///
    /// # Errors
    /// [`AcquireError::Held`] if another instance holds it, [`AcquireError::Unavailable`] for any other reason.
    pub fn acquire(state: &StateDir) -> Result<Self, AcquireError> {
        for _ in 1..TRIES {
            match Self::try_acquire(state) {
                Err(AcquireError::Held { .. }) => std::thread::sleep(BETWEEN_TRIES),
                result => return result,
            }
        }
        Self::try_acquire(state)
    }

    /// [`Instance::acquire`] without waiting.
    ///
    /// # Errors
    /// As [`Instance::acquire`].
    pub fn try_acquire(state: &StateDir) -> Result<Self, AcquireError> {
        Self::try_acquire_as(state, own_record)
    }

    /// [`Instance::try_acquire`] with a record that is known already.
    ///
    /// # Errors
    /// As [`Instance::acquire`].
    pub fn try_acquire_as(state: &StateDir, own: impl FnOnce() -> LockRecord) -> Result<Self, AcquireError> {
        let lock = locked(state)?;
        let instance = Self { record: own(), lock: RefCell::new(lock), signed: Cell::new(false) };
        // The lock counts without the record. The next `run` tries to write it again and reports why that fails.
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
    /// It still cannot be written. Other processes then know the holder only through the control channel.
    pub fn sign(&self, state: &StateDir) -> io::Result<()> {
        if self.is_signed() {
            return Ok(());
        }
        let folder = state.folder();
        let written = folder.put(RECORD, &serde_json::to_vec_pretty(&self.record)?, true);
        if written.is_err() {
            // An old record is another process's; emptying it needs no space.
            let _ = folder.file(RECORD, OpenMode::Cut).and_then(|record| record.set_len(0));
        }
        self.signed.set(written.is_ok());
        written
    }

    /// Whether the lock file is still the held one: the folder may have been removed or moved.
    pub fn is_in_place(&self, state: &StateDir) -> bool {
        match fs::metadata(state.join(LOCK)) {
            Ok(there) => is_same(&there, &self.lock.borrow()),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Takes the lock of a folder that was made again, in place of the lock of the removed folder.
    ///
    /// # Errors
    /// As [`Instance::acquire`]; the old lock is then still held.
    pub fn take_again(&self, state: &StateDir) -> Result<(), AcquireError> {
        let lock = match locked(state) {
            // The old lock file exists after all; the system reported otherwise for a moment.
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
    let lock = state.folder().file(LOCK, OpenMode::Lock).map_err(unavailable("open", &path))?;
    match fs2::FileExt::try_lock_exclusive(&lock) {
        Ok(()) => Ok(lock),
        Err(error) if is_contended(&error) => {
            Err(AcquireError::Held { record: read_record(state.path()).map(Box::new) })
        }
        Err(error) => Err(unavailable("lock", &path)(error)),
    }
}

fn unavailable(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AcquireError + use<> {
    let path = path.to_owned();
    move |cause| AcquireError::Unavailable { what, path, cause }
}

fn is_same(there: &fs::Metadata, held: &File) -> bool {
    // An error does not mean that the file is gone. Where files have no identity, an open file keeps its folder from
    // being removed.
    held.metadata().map_or(true, |held| files::identity(&held) == files::identity(there))
}

impl Drop for Instance {
    /// The record stays: it means nothing without the lock.
    fn drop(&mut self) {
        let _ = fs2::FileExt::unlock(&*self.lock.borrow());
    }
}

/// The state of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// An instance is running.
    Held,
    /// No instance is running.
    Free,
    /// Unknown, e.g. on a file system without locks.
    Unknown,
}

/// Whether an instance holds the lock of this folder. Creates and writes nothing.
pub fn held_by_another(state: &Path) -> LockState {
    let file = match files::open(&state.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return LockState::Free,
        Err(_) => return LockState::Unknown,
    };
    match fs2::FileExt::try_lock_shared(&file) {
        Ok(()) => {
            let _ = fs2::FileExt::unlock(&file);
            LockState::Free
        }
        Err(error) if is_contended(&error) => LockState::Held,
        Err(_) => LockState::Unknown,
    }
}

/// Windows has an error number of its own, which std does not map to `WouldBlock`.
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

/// The identity of the program's file; on Linux of the running file, which may no longer be at its path.
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

/// A random id of this instance. It is not a secret, so hashing with random keys is good enough without `/dev/urandom`.
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
    fn the_own_record_is_complete_and_stable() {
        let (one, two) = (own_record(), own_record());
        assert!(one.start_time.is_some() && one.exe_file.is_some() && one.boot_id.is_some());
        assert_eq!((one.start_time, one.exe_file), (two.start_time, two.exe_file));
    }
}
