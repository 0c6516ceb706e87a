//! One recorded file, handed out line by line with the time of each, without holding more than a chunk of it.

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::file::{RowReader, SessionFile, UsageRow};
use crate::core::lines::Finder;
use crate::core::source::{self, Agent, Parsed};
use crate::intake::LARGEST_DOCUMENT;
use crate::unpacked::Unpacked;

use super::files::Recorded;

const CHUNK: usize = 256 << 10;

/// A recorded session at what it says next.
#[derive(Debug)]
pub(super) struct Feed {
    /// The time of what comes next, never before that of what came before it.
    pub(super) at: Timestamp,
    pub(super) file: SessionFile,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Lines(Box<Lines>),
    /// What documents say that was not taken yet, in order.
    Documents(VecDeque<Parsed>),
}

/// A file that is read line by line.
#[derive(Debug)]
struct Lines {
    agent: Agent,
    reader: Unpacked,
    buffer: Vec<u8>,
    /// What is in the buffer and was not taken yet.
    from: usize,
    to: usize,
    over: bool,
}

impl Feed {
    /// Opens what was recorded; `None` when nothing in it has a time.
    pub(super) fn open(recorded: &Recorded) -> std::io::Result<Option<Self>> {
        let Recorded { path, agent, home, documents, .. } = recorded;
        let mut file = SessionFile::new(*agent, Arc::clone(home), Timestamp::MIN);
        file.locate(path);
        let source = if documents.is_empty() {
            Source::Lines(Box::new(Lines::open(path, *agent)?))
        } else {
            Source::Documents(told(documents, *agent)?.into())
        };
        let mut feed = Self { at: Timestamp::MIN, file, source };
        let any = feed.look()?;
        Ok(any.then_some(feed))
    }

    /// Feeds what comes next to the session and looks at what comes after it; false at the end.
    pub(super) fn step(&mut self) -> std::io::Result<bool> {
        let more = match &mut self.source {
            Source::Lines(lines) => lines.step(&mut self.file)?,
            Source::Documents(told) => {
                told.pop_front().into_iter().for_each(|parsed| self.file.take(parsed));
                true
            }
        };
        if more { self.look() } else { Ok(false) }
    }

    /// Finds the time of what comes next. A line without one, or torn, happens with the line before it.
    fn look(&mut self) -> std::io::Result<bool> {
        let (any, time) = match &mut self.source {
            Source::Lines(lines) => lines.look()?,
            Source::Documents(told) => (!told.is_empty(), told.front().and_then(Parsed::at)),
        };
        self.at = time.map_or(self.at, |time| self.at.max(time));
        Ok(any)
    }
}

impl Lines {
    fn open(path: &Path, agent: Agent) -> std::io::Result<Self> {
        let reader = Unpacked::open(path)?;
        Ok(Self { agent, reader, buffer: vec![0; CHUNK], from: 0, to: 0, over: false })
    }

    /// Feeds the next line to the file's session; false at the end.
    fn step(&mut self, file: &mut SessionFile) -> std::io::Result<bool> {
        loop {
            let rest = self.buffer.get(self.from..self.to).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                file.push(rest.get(..=end).unwrap_or_default());
                self.from += end + 1;
                return Ok(true);
            }
            file.push(rest);
            self.from = self.to;
            if self.over {
                file.end_line();
                return Ok(false);
            }
            self.fill()?;
        }
    }

    /// Whether there is a next line, and its time.
    fn look(&mut self) -> std::io::Result<(bool, Option<Timestamp>)> {
        let agent = self.agent;
        let next = self.ahead(agent.spec().time_within)?;
        Ok((!next.is_empty(), source::line_time(agent, next)))
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

/// What all documents of a session say, in the order of its times.
pub(super) fn told(documents: &[PathBuf], agent: Agent) -> std::io::Result<Vec<Parsed>> {
    let mut parser = (agent.spec().parser)();
    let mut told = Vec::new();
    for path in documents {
        let mut bytes = Vec::new();
        Unpacked::open(path)?.take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
        parser.located(path);
        parser.document(&path.to_string_lossy(), &bytes, &mut |parsed| told.push(parsed));
    }
    // What has no time happened with what was said before it.
    let mut at = Timestamp::MIN;
    let mut timed: Vec<_> = told
        .into_iter()
        .map(|parsed| {
            at = parsed.at().unwrap_or(at);
            (at, parsed)
        })
        .collect();
    timed.sort_by_key(|(at, _)| *at);
    Ok(timed.into_iter().map(|(_, parsed)| parsed).collect())
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
