//! A session file's bytes, also of one that Codex compressed: with a feature of its switched on, files that are a week
//! old become `.jsonl.zst`.
//!
//! Whether a file is compressed is told by its first bytes, not by its name. No more of it than a chunk is held.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use ruzstd::decoding::StreamingDecoder;

use crate::io::files;

/// How a Zstandard frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What is larger than so many times its compressed size was made to be large.
const MOST_TIMES: u64 = 1000;

/// So much may come of any file.
const ANYHOW: u64 = 256 << 20;

/// An open file, read as what was written into it.
pub struct Unpacked {
    file: File,
    packed: Option<Packed>,
}

struct Packed {
    decoder: StreamingDecoder<BufReader<File>, ruzstd::decoding::FrameDecoder>,
    /// How many bytes have come of it.
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
    /// The system's, or that it is compressed and damaged.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(files::open(path)?)
    }

    /// Takes a file that was just opened.
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

    /// Whether the file is compressed, so that its size says nothing.
    pub fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Goes to a byte of what was written; from the start again where a compressed file was read further.
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
        let most = file.metadata()?.len().saturating_mul(MOST_TIMES).saturating_add(ANYHOW);
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
    fn any_byte_can_be_gone_to() {
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
    fn a_file_that_was_made_to_be_huge_is_not_read_to_its_end() {
        let blocks = 20_000;
        let error = io::copy(&mut opened(&frame(blocks)), &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("more than a session file holds"), "{error}");
    }
}
