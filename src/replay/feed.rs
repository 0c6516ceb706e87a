//! One recorded file, handed out line by line with the time of each, without holding more than a chunk of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::activity::Agent;
use crate::core::file::{RowReader, SessionFile, UsageRow};
use crate::core::source::codex;

const CHUNK: usize = 256 << 10;

/// How much of a line is looked at for its time.
const GLANCE: usize = 4 << 10;

/// A recorded file at its next line.
#[derive(Debug)]
pub(super) struct Feed {
    reader: File,
    buffer: Vec<u8>,
    from: usize,
    over: bool,
    /// The time of the line that comes next, never before that of the line before it.
    pub(super) at: Timestamp,
    pub(super) file: SessionFile,
}

impl Feed {
    /// Opens a file; `None` when it has no line with a time.
    pub(super) fn open(path: &Path, agent: Agent, home: Arc<str>) -> std::io::Result<Option<Self>> {
        let mut feed = Self {
            reader: File::open(path)?,
            buffer: Vec::with_capacity(CHUNK),
            from: 0,
            over: false,
            at: Timestamp::MIN,
            file: SessionFile::new(agent, home, Timestamp::MIN),
        };
        let any = feed.look()?;
        Ok(any.then_some(feed))
    }

    /// Feeds the next line to the file's session and looks at the one after it; false at the end.
    pub(super) fn step(&mut self) -> std::io::Result<bool> {
        loop {
            let rest = self.buffer.get(self.from..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                self.file.push(rest.get(..=end).unwrap_or_default());
                self.from += end + 1;
                return self.look();
            }
            self.file.push(rest);
            self.from = self.buffer.len();
            if self.over {
                return Ok(false);
            }
            self.fill()?;
        }
    }

    /// Finds the time of the next line. A line without one, or torn, happens with the line before it.
    fn look(&mut self) -> std::io::Result<bool> {
        while !self.over && self.buffer.len() - self.from < GLANCE {
            self.fill()?;
        }
        let next = self.buffer.get(self.from..).unwrap_or_default();
        let next = next.get(..next.len().min(GLANCE)).unwrap_or_default();
        if let Some(at) = codex::line_time(next) {
            self.at = self.at.max(at);
        }
        Ok(!next.is_empty())
    }

    fn fill(&mut self) -> std::io::Result<()> {
        self.buffer.drain(..self.from);
        self.from = 0;
        let have = self.buffer.len();
        self.buffer.resize(have + CHUNK, 0);
        let read = self.reader.read(self.buffer.get_mut(have..).unwrap_or_default())?;
        self.buffer.truncate(have + read);
        self.over = read == 0;
        Ok(())
    }
}

/// The usage rows of a whole file.
pub(super) fn rows(path: &Path) -> std::io::Result<Vec<UsageRow>> {
    let mut reader = RowReader::default();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(reader.finish());
        }
        reader.push(chunk.get(..read).unwrap_or_default());
    }
}
