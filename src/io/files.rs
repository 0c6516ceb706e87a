//! Files: written so that neither a reader nor a crash leaves half of one, and read without blocking on pipes or
//! devices.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::io::clock;
use crate::io::real_path::real;

/// The pause between two reads of a pipe.
const LOOK: Duration = Duration::from_millis(5);

/// Replaces the file at `path` with `bytes`: writes a temporary file in the same folder, syncs it, then renames it.
///
/// A new file is for its owner alone (0600); a replaced one keeps its permissions. A symbolic link stays: its target is
/// replaced.
///
/// # Errors
/// The system's error; the old file is then unchanged and the temporary one removed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = put(path, bytes, File::sync_all)?;
    sync_folder_of(&target);
    Ok(())
}

/// [`write_atomically`] without waiting for the disk, for a loop that must not wait: readers never see half a file, but
/// after a power cut it may be the old one, or damaged on some file systems.
///
/// # Errors
/// As for [`write_atomically`].
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, bytes, |_| Ok(())).map(drop)
}

/// The identity of a file: device and inode. Windows' std has none.
#[cfg(unix)]
pub(crate) fn identity(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(crate) fn identity(_: &fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// The identity of the file at `path` with this metadata. On Windows it is volume and file index, for which the file is
/// opened; `None` if the file system has no index, or the path is longer than Windows' usual 260 characters.
///
/// # Errors
/// On Windows: the file is gone, or another system error.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "on Windows it may have gone meanwhile")]
pub(crate) fn identity_at(_: &Path, metadata: &fs::Metadata) -> io::Result<Option<(u64, u64)>> {
    Ok(identity(metadata))
}

#[cfg(windows)]
pub(crate) fn identity_at(path: &Path, _: &fs::Metadata) -> io::Result<Option<(u64, u64)>> {
    use winsafe::{HFILE, co};

    const LONGEST: usize = 259;
    let Some(path) = path.to_str().filter(|path| path.len() <= LONGEST) else { return Ok(None) };
    // Nothing is read, so no writer is blocked.
    let (file, _) = HFILE::CreateFile(
        path,
        co::GENERIC::default(),
        Some(co::FILE_SHARE::READ | co::FILE_SHARE::WRITE | co::FILE_SHARE::DELETE),
        None,
        co::DISPOSITION::OPEN_EXISTING,
        co::FILE_ATTRIBUTE::NORMAL,
        // or folders are not opened
        Some(co::FILE_FLAG::BACKUP_SEMANTICS),
        None,
        None,
    )
    .map_err(io_error)?;
    let found = file.GetFileInformationByHandle().map_err(io_error)?;
    Ok((found.nFileIndex() != 0).then(|| (found.dwVolumeSerialNumber.into(), found.nFileIndex())))
}

/// Windows' error as std's.
#[cfg(windows)]
pub(crate) fn io_error(error: winsafe::co::ERROR) -> io::Error {
    i32::try_from(error.raw()).map_or_else(|_| io::ErrorKind::Other.into(), io::Error::from_raw_os_error)
}

/// Returns the path that was written, with links resolved.
fn put(path: &Path, bytes: &[u8], finish: fn(&File) -> io::Result<()>) -> io::Result<PathBuf> {
    let target = real(path);
    let temporary = temporary_beside(&target)?;
    let written = fill(&temporary, &target, bytes)
        .and_then(|file| finish(&file))
        .and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| target)
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// The system's error, or it is not a file, or larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_all(&open(path)?, most)
}

/// [`read`] of a file that may be a pipe, as a shell makes one for `<(…)`: waits up to `patience` for its writer. The
/// null device is an empty file.
///
/// # Errors
/// The system's error, or nothing was written in time, or it is larger.
pub fn read_or_await(path: &Path, most: u64, patience: Duration) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(path)?.file_type();
    if check_kind(kind).is_ok() || !is_stream(kind) {
        return read(path, most);
    }
    let mut file = open_without_waiting(path)?;
    if file.is_terminal() {
        return check_kind(kind).map(|()| Vec::new());
    }
    let end = clock::now().mono.saturating_add(patience);
    let mut bytes = Vec::new();
    loop {
        match (&mut file).take(most + 1 - bytes.len() as u64).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > most => return Err(too_large(most)),
            // A pipe without a writer yet has an end, too.
            Ok(_) if !bytes.is_empty() || !is_pipe(kind) => return Ok(bytes),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ if clock::now().mono >= end => {
                let what = "it is a named pipe, and no process wrote to it";
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            _ => std::thread::sleep(LOOK),
        }
    }
}

#[cfg(unix)]
fn is_pipe(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(unix)]
fn is_stream(kind: FileType) -> bool {
    is_pipe(kind) || std::os::unix::fs::FileTypeExt::is_char_device(&kind)
}

#[cfg(not(unix))]
fn is_pipe(_: FileType) -> bool {
    false
}

#[cfg(not(unix))]
fn is_stream(_: FileType) -> bool {
    false
}

/// Opens a file for reading. A pipe, a device or a socket in its place is an error, not something to wait for.
///
/// # Errors
/// The system's error, or it is not a file.
pub fn open(path: &Path) -> io::Result<File> {
    // The kind is checked first, because opening a device can already have an effect.
    check_kind(fs::metadata(path)?.file_type())?;
    let file = open_without_waiting(path)?;
    check_kind(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens a path for reading without waiting for a writer (a named pipe blocks otherwise).
///
/// # Errors
/// The system's error.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            &mut options,
            i32::try_from(flags).unwrap_or_default(),
        );
    }
    options.open(path)
}

/// The rest of `file`, of at most `most` bytes.
///
/// # Errors
/// The system's error, or it is more.
pub fn read_all(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(bytes)
}

/// The error for a file of more than `most` bytes.
pub fn too_large(most: u64) -> io::Error {
    let most = if most < 1 << 20 { format!("{} KB", most >> 10) } else { format!("{} MB", most >> 20) };
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most}"))
}

/// Checks that this is a regular file; the error names its kind.
///
/// # Errors
/// It is not a file.
pub fn check_kind(kind: FileType) -> io::Result<()> {
    #[cfg(unix)]
    use std::os::unix::fs::FileTypeExt as _;
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a folder",
        #[cfg(unix)]
        kind if kind.is_fifo() => "a pipe",
        #[cfg(unix)]
        kind if kind.is_socket() => "a socket",
        #[cfg(unix)]
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is not a file but {what}")))
}

/// Options that create a file for its owner alone, if the system has modes.
pub fn private_options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn fill(temporary: &Path, target: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = private_options().write(true).create_new(true).open(temporary)?;
    if let Ok(replaced) = fs::metadata(target) {
        file.set_permissions(replaced.permissions())?;
    }
    file.write_all(bytes)?;
    Ok(file)
}

fn temporary_beside(target: &Path) -> io::Result<PathBuf> {
    let name = target.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(target.with_file_name(temporary_name(name)))
}

/// A temporary name for the file `name`, which no other process and no other call uses.
pub(crate) fn temporary_name(name: &OsStr) -> OsString {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.{}.tmp", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed)));
    hidden
}

/// Makes the rename survive a power cut, if folders can be synced; the file is complete either way.
fn sync_folder_of(target: &Path) {
    if cfg!(unix)
        && let Some(folder) = target.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_leaves_no_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["state.json"]);
    }

    #[test]
    fn a_failure_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"").unwrap();
        assert!(write_atomically(&path, b"one").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
        assert!(write_atomically(&folder.path().join("no/such/folder"), b"one").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_private_and_a_replaced_one_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

        let path = folder.path().join("new");
        write_atomically(&path, b"").unwrap();
        assert_eq!(mode(&path), 0o600);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_atomically(&link, b"through the link").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"through the link");
        assert_eq!(mode(&path), 0o644);
    }
}
