//! `tap`: standard input to standard output, and what passes by to the daemon.
//!
//! Copying is all that matters. The thread that copies does nothing else: one read, one write, and the buffer goes on to a
//! second thread, which reads the usage out of it and gives the buffer back; a third one tells the daemon. Nothing that
//! the second or the third suffers from reaches the first, except that it never gets further ahead than [`BUFFERS`].
//! Read next: [`report`], which tells; [`crate::core::file::Stream`], which understands.

pub mod report;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use self::report::Pending;
use crate::core::file::Stream;
use crate::core::usage::Tokens;
use crate::daemon::clock;

/// How much is read at once, in bytes. Twice what a pipe holds gains nothing.
const BUFFER: usize = 128 << 10;

/// Buffers on their way; together they are all that is held of the stream.
const BUFFERS: usize = 16;

/// After so long without a byte, what is held back is told.
const QUIET: Duration = Duration::from_millis(300);

/// Sessions whose figures are kept for the end.
const SESSIONS: usize = 64;

/// Why copying ended before the input did.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The input could not be read.
    #[error("could not read standard input: {0}")]
    Input(io::Error),
    /// The output could not be written.
    #[error("could not write standard output: {0}")]
    Output(io::Error),
}

/// The total of every session of the stream, in order; unknown where it told none.
pub type Totals = Vec<Option<Tokens>>;

/// A buffer and how much of it is filled.
type Chunk = (Vec<u8>, usize);

/// Copies until the end of the input, while `stream` is read on a thread of its own and told to `pending`.
pub fn run(
    input: &mut impl Read,
    output: &mut impl Write,
    stream: Stream,
    pending: Arc<Pending>,
) -> (Result<(), CopyError>, Totals) {
    let (full, chunks) = sync_channel(BUFFERS);
    let (back, empty) = channel();
    let reading = thread::Builder::new().name("tap".to_owned());
    let reading = reading.spawn(move || read(stream, &chunks, &back, &pending));
    let copied = copy(input, output, &full, &empty);
    drop(full);
    let totals = reading.ok().and_then(|reading| reading.join().ok()).unwrap_or_default();
    (copied, totals)
}

fn copy(
    input: &mut impl Read,
    output: &mut impl Write,
    full: &SyncSender<Chunk>,
    empty: &Receiver<Vec<u8>>,
) -> Result<(), CopyError> {
    let mut made = 0;
    loop {
        let mut buffer = match empty.try_recv() {
            Ok(buffer) => buffer,
            Err(_) if made < BUFFERS => {
                made += 1;
                vec![0; BUFFER]
            }
            // Whoever reads is behind; if it is gone, nobody gives a buffer back.
            Err(_) => empty.recv().unwrap_or_else(|_| vec![0; BUFFER]),
        };
        let length = loop {
            match input.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(CopyError::Input)?,
            }
        };
        if length == 0 {
            return Ok(());
        }
        let bytes = buffer.get(..length).unwrap_or_default();
        output.write_all(bytes).and_then(|()| output.flush()).map_err(CopyError::Output)?;
        // A reader that broke off by a defect costs the figures, not the bytes.
        let _ = full.send((buffer, length));
    }
}

/// Reads what was copied, until nothing more comes.
fn read(mut stream: Stream, chunks: &Receiver<Chunk>, back: &Sender<Vec<u8>>, pending: &Pending) -> Totals {
    let mut totals = Sessions::default();
    let mut tell = |stream: &mut Stream| {
        for update in stream.take_updates() {
            totals.note(&update.session.id, update.session.usage.session_total_tokens);
            pending.add(update.into());
        }
    };
    let mut is_quiet = true;
    loop {
        let next = if is_quiet {
            chunks.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            chunks.recv_timeout(QUIET)
        };
        match next {
            Ok((buffer, length)) => {
                is_quiet = false;
                stream.push(buffer.get(..length).unwrap_or_default(), clock::now().wall);
                // The copy has ended if nobody takes it.
                let _ = back.send(buffer);
            }
            Err(RecvTimeoutError::Timeout) => {
                is_quiet = true;
                stream.settle(clock::now().wall);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        tell(&mut stream);
    }
    stream.finish(clock::now().wall);
    tell(&mut stream);
    totals.0.into_iter().map(|(_, total)| total).collect()
}

#[derive(Default)]
struct Sessions(Vec<(String, Option<Tokens>)>);

impl Sessions {
    fn note(&mut self, id: &str, total: Option<Tokens>) {
        match self.0.last_mut() {
            Some((last, known)) if last == id => *known = total,
            _ => {
                if self.0.len() >= SESSIONS {
                    self.0.remove(0);
                }
                self.0.push((id.to_owned(), total));
            }
        }
    }
}
