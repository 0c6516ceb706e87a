//! One recorded file, handed out line by line with the time of each, without holding more than a chunk of it.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::file::{RowReader, SessionFile, UsageRow};
use crate::core::lines::Finder;
use crate::core::source;
use crate::core::source::Agent;
use crate::unpacked::Unpacked;

const CHUNK: usize = 256 << 10;

/// A recorded file at its next line.
#[derive(Debug)]
pub(super) struct Feed {
    agent: Agent,
    reader: Unpacked,
    buffer: Vec<u8>,
    /// What is in the buffer and was not taken yet.
    from: usize,
    to: usize,
    over: bool,
    /// The time of the line that comes next, never before that of the line before it.
    pub(super) at: Timestamp,
    pub(super) file: SessionFile,
}

impl Feed {
    /// Opens a file; `None` when it has no line with a time.
    pub(super) fn open(path: &Path, agent: Agent, home: Arc<str>) -> std::io::Result<Option<Self>> {
        let mut feed = Self {
            agent,
            reader: Unpacked::open(path)?,
            buffer: vec![0; CHUNK],
            from: 0,
            to: 0,
            over: false,
            at: Timestamp::MIN,
            file: SessionFile::new(agent, home, Timestamp::MIN),
        };
        feed.file.locate(path);
        let any = feed.look()?;
        Ok(any.then_some(feed))
    }

    /// Feeds the next line to the file's session and looks at the one after it; false at the end.
    pub(super) fn step(&mut self) -> std::io::Result<bool> {
        loop {
            let rest = self.buffer.get(self.from..self.to).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                self.file.push(rest.get(..=end).unwrap_or_default());
                self.from += end + 1;
                return self.look();
            }
            self.file.push(rest);
            self.from = self.to;
            if self.over {
                self.file.end_line();
                return Ok(false);
            }
            self.fill()?;
        }
    }

    /// Finds the time of the next line. A line without one, or torn, happens with the line before it.
    fn look(&mut self) -> std::io::Result<bool> {
        let agent = self.agent;
        let next = self.ahead(agent.spec().time_within)?;
        let (any, time) = (!next.is_empty(), source::line_time(agent, next));
        self.at = time.map_or(self.at, |time| self.at.max(time));
        Ok(any)
    }

    /// The next line with its end; of a long one at least the first `most` bytes.
    fn ahead(&mut self, most: usize) -> std::io::Result<&[u8]> {
        loop {
            let rest = self.buffer.get(self.from..self.to).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
            if self.over || end.is_some() || rest.len() >= most {
                let until = self.from + end.unwrap_or(rest.len());
                return Ok(self.buffer.get(self.from..until).unwrap_or_default());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.buffer.len() - self.to < CHUNK {
            self.buffer.resize(self.to + CHUNK, 0);
        }
        let read = self.reader.read(self.buffer.get_mut(self.to..).unwrap_or_default())?;
        self.to += read;
        self.over = read == 0;
        Ok(())
    }
}

/// The usage rows of a whole file.
pub(super) fn rows(agent: Agent, path: &Path) -> std::io::Result<Vec<UsageRow>> {
    let mut reader = RowReader::new(agent);
    each_chunk(path, |bytes| reader.push(bytes))?;
    Ok(reader.finish())
}

/// Whether a file has this text anywhere.
pub(super) fn has_text(path: &Path, text: &str) -> std::io::Result<bool> {
    let mut finder = Finder::new(text.as_bytes());
    each_chunk(path, |bytes| finder.push(bytes))?;
    Ok(finder.has_found())
}

fn each_chunk(path: &Path, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
    let mut file = Unpacked::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        take(chunk.get(..read).unwrap_or_default());
    }
}
