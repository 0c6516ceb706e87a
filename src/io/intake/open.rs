//! Opens, identifies and streams one file. Files are open only while they are read.
//!
//! A file is identified by its device and inode, never by its times: Codex's paginated migration replaces a file and
//! keeps its modification time.
//! Read next: `tail`.

use std::fs::Metadata;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::inbox::Inbox;
use crate::core::fingerprint;
use crate::core::source_event::FileIdentity;
use crate::io::files;
use crate::io::unpacked::Unpacked;

/// An open file and its stamp at opening.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Unpacked,
    pub(super) stamp: Stamp,
}

/// The state of a path, which differs after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) identity: FileIdentity,
    pub(super) len: u64,
    pub(super) modified: Timestamp,
}

impl Opened {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = files::open(path)?;
        let metadata = file.metadata()?;
        Ok(Self { stamp: Stamp::of(path, &metadata)?, file: Unpacked::new(file)? })
    }
}

impl Stamp {
    /// The state of `path`, from a handle on it: on Windows a folder's listing is stale while a writer has the file
    /// open.
    pub(super) fn look(path: &Path) -> io::Result<Self> {
        Self::of(path, &std::fs::metadata(path)?)
    }

    fn of(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        let identity = identity(path, metadata)?;
        Ok(Self { identity, len: metadata.len(), modified: modified(metadata) })
    }
}

/// When the file was last changed; the epoch if the system does not report it.
pub(super) fn modified(metadata: &Metadata) -> Timestamp {
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    modified.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The identity of a file. If the system has none it is the name, because agents keep a file's name when they move it;
/// its content shows the rest. Creation times are not used: shares and Linux homes invent them.
fn identity(path: &Path, metadata: &Metadata) -> io::Result<FileIdentity> {
    let name = || path.file_name().unwrap_or_default().to_string_lossy();
    let found = files::identity_at(path, metadata)?;
    let (device, inode) = found.unwrap_or_else(|| (fingerprint::short(name().as_bytes()), 0));
    Ok(FileIdentity(device, inode))
}

/// The one buffer for all reading.
#[derive(Debug)]
pub(super) struct Chunks {
    buffer: Vec<u8>,
    inbox: Arc<Inbox>,
}

impl Chunks {
    pub(super) fn new(size: usize, inbox: Arc<Inbox>) -> Self {
        Self { buffer: vec![0; size], inbox }
    }

    /// Passes the bytes of `file` from `from` on to `take`, up to `limit` of them or to the end; returns their number.
    /// If the intake is to stop it returns an error, so that half a file is not taken for a whole one.
    pub(super) fn stream(
        &mut self,
        file: &mut Unpacked,
        from: u64,
        limit: u64,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<u64> {
        file.go_to(from)?;
        let mut passed = 0;
        while passed < limit {
            if self.inbox.stopping() {
                return Err(io::Error::other("the intake is stopping"));
            }
            let room = usize::try_from(limit - passed).unwrap_or(usize::MAX).min(self.buffer.len());
            let Some(space) = self.buffer.get_mut(..room) else { break };
            self.inbox.stall.go_on();
            match file.read(space) {
                Ok(0) => break,
                Ok(count) => {
                    take(space.get(..count).unwrap_or_default());
                    passed += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_identified_by_its_inode_and_not_by_its_name() {
        let temporary = tempfile::tempdir().unwrap();
        let [one, other, moved] = ["one", "other", "moved"].map(|folder| {
            std::fs::create_dir(temporary.path().join(folder)).unwrap();
            temporary.path().join(folder).join("session.jsonl")
        });
        let identity = |path: &Path| Stamp::look(path).unwrap().identity;
        std::fs::write(&one, "{}\n").unwrap();
        std::fs::copy(&one, &other).unwrap();
        let known = identity(&one);
        assert_ne!(identity(&other), known, "a copy is another file");
        assert_ne!(identity(one.parent().unwrap()), identity(other.parent().unwrap()));
        std::fs::rename(&one, &moved).unwrap();
        assert_eq!(identity(&moved), known);
        assert_eq!(Opened::open(&moved).unwrap().stamp.identity, known);
        std::fs::rename(&other, &moved).unwrap();
        assert_ne!(identity(&moved), known, "another one took its place");
    }
}
