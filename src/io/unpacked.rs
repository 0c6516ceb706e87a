//! Reads a session file, also a compressed one: Codex can compress files that are a week old to `.jsonl.zst`.
//!
//! The first bytes show whether a file is compressed, not its name. No more than a chunk of it is in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use ruzstd::decoding::StreamingDecoder;

use crate::io::files;

/// The first bytes of a Zstandard frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A file that unpacks to more than this many times its size was made to fill the disk or memory.
const MOST_RATIO: u64 = 1000;

/// The size, in bytes, that any file may unpack to.
const ALWAYS_ALLOWED: u64 = 256 << 20;

/// An open file, read as its uncompressed content.
pub struct Unpacked {
    file: File,
    packed: Option<Packed>,
}

struct Packed {
    decoder: StreamingDecoder<BufReader<File>, ruzstd::decoding::FrameDecoder>,
    /// How many bytes have been read.
    at: u64,
    most: u64,
}

impl std::fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacked").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Unpacked {
    /// Opens a file.
    ///
    /// # Errors
    /// The system's error, or the file is compressed and damaged.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(files::open(path)?)
    }

    /// Reads a file that was just opened.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn new(mut file: File) -> io::Result<Self> {
        let mut first = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut first)?;
        file.rewind()?;
        let packed = if first == MAGIC { Some(Packed::new(&file)?) } else { None };
        Ok(Self { file, packed })
    }

    /// Whether the file is compressed, so that its size does not count.
    pub fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Moves to a byte of the content; reads a compressed file from the start again if it was read further.
    ///
    /// # Errors
    /// As for reading.
    pub fn go_to(&mut self, at: u64) -> io::Result<()> {
        let Some(packed) = &mut self.packed else {
            return self.file.seek(SeekFrom::Start(at)).map(drop);
        };
        if at < packed.at {
            *packed = Packed::new(&self.file)?;
        }
        let ahead = at - packed.at;
        io::copy(&mut packed.take(ahead), &mut io::sink()).map(drop)
    }
}

impl Packed {
    fn new(file: &File) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        let most = file.metadata()?.len().saturating_mul(MOST_RATIO).saturating_add(ALWAYS_ALLOWED);
        let decoder = StreamingDecoder::new(BufReader::new(file)).map_err(|_| damaged())?;
        Ok(Self { decoder, at: 0, most })
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is compressed, and damaged")
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer).map_err(|_| damaged())?;
        self.at += count as u64;
        if self.at > self.most {
            let error = "it is compressed, and unpacks to more than a session file holds";
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(count)
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.packed {
            Some(packed) => packed.read(buffer),
            None => self.file.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of so many blocks, each of which is 128 KB of one byte.
    fn frame(blocks: usize) -> Vec<u8> {
        let header = [&MAGIC[..], &[0x00, 0x38]].concat();
        let block = |number| [if number == blocks { 0x03 } else { 0x02 }, 0x00, 0x10, b'x'];
        [header, (1..=blocks).flat_map(block).collect()].concat()
    }

    fn opened(bytes: &[u8]) -> Unpacked {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.jsonl.zst");
        std::fs::write(&path, bytes).unwrap();
        Unpacked::open(&path).unwrap()
    }

    #[test]
    fn every_position_can_be_reached() {
        let mut file = opened(&frame(2));
        assert!(file.is_packed());
        for (at, left) in [(0, 262_144), (262_140, 4), (10, 262_134), (262_144, 0)] {
            file.go_to(at).unwrap();
            assert_eq!(io::copy(&mut file, &mut io::sink()).unwrap(), left, "from {at}");
        }
        let mut plain = opened(b"{}\n");
        assert!(!plain.is_packed());
        plain.go_to(1).unwrap();
        assert_eq!(io::copy(&mut plain, &mut io::sink()).unwrap(), 2);
    }

    #[test]
    fn a_file_that_unpacks_to_too_much_is_refused() {
        let blocks = 20_000;
        let error = io::copy(&mut opened(&frame(blocks)), &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("more than a session file holds"), "{error}");
    }
}
